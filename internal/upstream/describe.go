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

// Describe is what the server says of itself to a principal, as it said it:
// its result of initialize or of server/discover.
func (u *Servers) Describe(ctx context.Context, name string, principal sallyport.Principal) (sallyport.Value, error) {
	srv, err := u.server(name)
	if err != nil {
		return sallyport.Value{}, err
	}
	s, err := srv.acquire(&request{Query: gateway.Query{Principal: principal, Revision: wire.Stateless}})
	if err == nil {
		defer srv.release(s)
		var v *conversation
		if v, err = s.converse(ctx); err == nil {
			return v.words, nil
		}
	}
	return sallyport.Value{}, fmt.Errorf("server %s: %w", name, err)
}

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
	hello, err := parsed(initializeResult(discovered.Result, ""))
	if err != nil {
		return manifest.Manifest{}, err
	}
	capabilities := discovered.Result.Get("capabilities")
	var lists [3][]sallyport.Value
	for i, list := range []struct{ method, items, capability string }{
		{"tools/list", "tools", "tools"},
		{"prompts/list", "prompts", "prompts"},
		{"resources/templates/list", "resourceTemplates", "resources"},
	} {
		offered := capabilities.Get(list.capability).Type() != sallyport.Absent
		if lists[i], err = u.pages(ctx, name, list.method, list.items); err != nil {
			// What a server does not claim to have it need not list; a server
			// that lists it all the same is taken at its word.
			if _, answered := errors.AsType[*wire.Error](err); answered && !offered {
				continue
			}
			return manifest.Manifest{}, err
		}
	}
	return manifest.New(name, hello.Result, lists[0], lists[1], lists[2])
}

// own is a request on the gateway's own behalf.
func (u *Servers) own(ctx context.Context, name, method string, more []byte) (gateway.Answer, error) {
	self := u.introduce(&request{})
	text := append(append([]byte(`{"_meta":{`), self.meta()...), '}')
	params, err := sallyport.Parse(append(append(text, more...), '}'))
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
	for range maxPages {
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
		if len(all) > maxItems {
			break
		}
		cursor = append([]byte(`,"cursor":`), next.Raw()...)
	}
	return nil, fmt.Errorf("server %s: %s never ends", name, method)
}
