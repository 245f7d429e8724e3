package upstream

import (
	"context"
	"errors"
	"fmt"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/manifest"
	"sallyport/internal/wire"
)

const (
	maxPages = 1000
	maxItems = 100_000
)

// Manifest fetches all that a server says of itself, on the gateway's own
// behalf.
func (u *Servers) Manifest(ctx context.Context, name string) (manifest.Manifest, error) {
	discovered, err := u.own(ctx, name, "server/discover", nil)
	if err != nil {
		return manifest.Manifest{}, err
	}
	capabilities := discovered.Result.Get("capabilities")
	var lists [3][]sallyport.Value
	for i, list := range [...]struct{ method, items, capability string }{
		{"tools/list", "tools", "tools"},
		{"prompts/list", "prompts", "prompts"},
		{"resources/templates/list", "resourceTemplates", "resources"},
	} {
		lists[i], err = u.pages(ctx, name, list.method, list.items)
		// What a server does not claim to have it need not list; one that
		// lists it all the same is taken at its word.
		_, answered := errors.AsType[*wire.Error](err)
		if err != nil && !(answered && capabilities.Get(list.capability).Type() == sallyport.Absent) {
			return manifest.Manifest{}, err
		}
	}
	return manifest.New(name, discovered.Result, lists[0], lists[1], lists[2])
}

// own is a request on the gateway's own behalf.
func (u *Servers) own(ctx context.Context, name, method string, more []byte) (gateway.Answer, error) {
	params, err := sallyport.Parse(u.introduce(&request{}).Params(more))
	if err != nil {
		return gateway.Answer{}, err
	}
	answer, err := u.Query(ctx, &gateway.Query{Server: name, Method: method, Params: params, Revision: wire.Stateless})
	if err == nil && answer.Error.Type() != sallyport.Absent {
		text, _ := answer.Error.Get("message").Text()
		err = &wire.Error{Code: wire.CodeInternal, Message: fmt.Sprintf("server %s answered %s with the error %.200q", name, method, text)}
	}
	return answer, err
}

// pages collects the items of all pages of a list.
func (u *Servers) pages(ctx context.Context, name, method, items string) ([]sallyport.Value, error) {
	var all []sallyport.Value
	var cursor []byte
	for n := 0; n < maxPages && len(all) <= maxItems; n++ {
		page, err := u.own(ctx, name, method, cursor)
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
		cursor = append([]byte(`,"cursor":`), next.Raw()...)
	}
	return nil, fmt.Errorf("server %s: %s never ends", name, method)
}
