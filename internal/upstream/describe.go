package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/manifest"
	"sallyport/internal/upstream/era"
	"sallyport/internal/wire"
)

const maxPages, maxItems = 1000, 100_000

// Manifest fetches all that a server says of itself, on the gateway's own
// behalf. A server that speaks both eras may offer more in one of them; where
// it says different things of one item, what it says in the stateless era
// counts, and the other will be a change. Capabilities count together.
func (u *Servers) Manifest(ctx context.Context, name string) (manifest.Manifest, error) {
	srv, err := u.server(name)
	if err != nil {
		return manifest.Manifest{}, err
	}
	m, err := u.manifest(ctx, name, wire.Stateless)
	_, stateless := srv.lastSaid(true)
	if _, bridged := srv.lastSaid(false); err != nil || !stateless || bridged {
		return m, err
	}
	more, err := u.manifest(ctx, name, wire.Revision20251125)
	if err != nil {
		return more, err
	}
	const key = manifest.CapabilitiesKey
	claimed, err := sallyport.Parse(wire.AppendMerged(nil, []sallyport.Value{m.Items[key].Raw, more.Items[key].Raw}))
	maps.Copy(more.Items, m.Items)
	more.Items[key] = manifest.NewItem(key, claimed)
	return more, err
}

func (u *Servers) manifest(ctx context.Context, name, revision string) (manifest.Manifest, error) {
	method := "server/discover"
	if !wire.IsStateless(revision) {
		method = "initialize"
	}
	hello, err := u.own(ctx, name, revision, method)
	if err != nil {
		return manifest.Manifest{}, err
	}
	capabilities := hello.Result.Get("capabilities")
	var lists [3][]sallyport.Value
	for i, list := range [...]struct{ method, items, capability string }{
		{"tools/list", "tools", "tools"},
		{"prompts/list", "prompts", "prompts"},
		{"resources/templates/list", "resourceTemplates", "resources"},
	} {
		lists[i], err = u.pages(ctx, name, revision, list.method, list.items)
		// What a server does not claim to have it need not list; one that
		// lists it all the same is taken at its word.
		_, answered := errors.AsType[*wire.Error](err)
		if err != nil && !(answered && capabilities.Get(list.capability).Type() == sallyport.Absent) {
			return manifest.Manifest{}, err
		}
	}
	return manifest.New(name, hello.Result, lists[0], lists[1], lists[2])
}

// own is a request on the gateway's own behalf.
func (u *Servers) own(ctx context.Context, name, revision, method string, more ...era.Member) (gateway.Answer, error) {
	text := era.Object(more)
	if wire.IsStateless(revision) {
		text = u.introduce(&request{}).Params(more...)
	}
	params, err := sallyport.Parse(text)
	if err != nil {
		return gateway.Answer{}, err
	}
	answer, err := u.Query(ctx, &gateway.Query{Server: name, Method: method, Params: params, Revision: revision})
	if err == nil && answer.Error.Type() != sallyport.Absent {
		text, _ := answer.Error.Get("message").Text()
		err = &wire.Error{Code: wire.CodeInternal, Message: fmt.Sprintf("server %s answered %s with the error %.200q", name, method, text)}
	}
	return answer, err
}

// pages collects the items of all pages of a list.
func (u *Servers) pages(ctx context.Context, name, revision, method, items string) ([]sallyport.Value, error) {
	var all []sallyport.Value
	var cursor []era.Member
	for n := 0; n < maxPages && len(all) <= maxItems; n++ {
		page, err := u.own(ctx, name, revision, method, cursor...)
		if err != nil {
			return nil, err
		}
		list := page.Result.Get(items)
		if list.Type() != sallyport.Array {
			return nil, fmt.Errorf("server %s answered %s without %q", name, method, items)
		}
		for _, item := range list.Items() {
			all = append(all, item)
		}
		next := page.Result.Get("nextCursor")
		if next.Type() != sallyport.String {
			return all, nil
		}
		cursor = []era.Member{{Name: "cursor", Raw: next.Raw()}}
	}
	return nil, fmt.Errorf("server %s: %s never ends", name, method)
}
