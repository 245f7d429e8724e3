package gateway

import (
	"context"
	"errors"

	"sallyport"
	"sallyport/internal/manifest"
	"sallyport/internal/policy"
	"sallyport/internal/wire"
)

// List asks a server for a page of tools, prompts, resources or templates and
// keeps of it what is pinned as shown and what policy would not refuse
// outright: by the same rules as a call, so a list never shows what can't be
// used, and never hides what can.
func (g *Gateway) List(ctx context.Context, credential sallyport.Credential, query *Query) (Answer, error) {
	principal, run, err := g.Identifier.Identify(ctx, credential)
	if err != nil {
		return Answer{}, &sallyport.RefusedError{Cause: sallyport.CauseIdentity, Decision: sallyport.Decision{Reason: err.Error()}}
	}
	query.Principal, query.Run = principal, run
	ctx, leave, err := g.Kills.Enter(ctx, query.target())
	if err != nil {
		return Answer{}, err
	}
	defer leave()
	row := wire.FromClient[query.Method]
	if row.Treatment != wire.List {
		return Answer{}, sallyport.Refuse(sallyport.CauseMethod, "%s is not a list", query.Method)
	}
	answer, err := g.Upstream.Query(ctx, query)
	if err != nil || answer.Error.Type() != sallyport.Absent {
		return g.overheard(ctx, query, answer, err)
	}
	filtered, err := g.filter(ctx, query, row, run, answer.Result)
	filtered.Streamed = answer.Streamed
	return filtered, err
}

func (g *Gateway) filter(ctx context.Context, query *Query, row wire.Method, run sallyport.Run, result sallyport.Value) (Answer, error) {
	items := result.Get(row.Items)
	kept := []byte{'['}
	changed := manifest.Manifest{Server: query.Server, Items: map[manifest.Key]manifest.Item{}}
	for _, raw := range items.Items() {
		raw, item := g.keeps(ctx, query, row, run, raw)
		if item != nil {
			changed.Items[item.Key] = *item
		}
		if raw.Type() == sallyport.Absent {
			continue
		}
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		if row.Items == "resources" && !g.Pins.Speaks(query.Server) {
			kept = append(kept, bare(raw)...)
		} else {
			kept = append(kept, raw.Raw()...)
		}
	}
	if len(changed.Items) > 0 {
		if err := g.quarantine(ctx, changed); err != nil {
			return Answer{}, err
		}
	}
	if items.Type() != sallyport.Array {
		return Answer{}, sallyport.Refuse(sallyport.CauseWire, "server %q answered %s without %q", query.Server, query.Method, row.Items)
	}
	edits := []sallyport.Edit{{Target: items, With: append(kept, ']')}}
	// What one agent may see must not be served to another from a cache.
	if scope := result.Get("cacheScope"); scope.Type() != sallyport.Absent {
		edits = append(edits, sallyport.Edit{Target: scope, With: []byte(`"private"`)})
	}
	filtered, err := sallyport.Parse(result.Splice(edits...))
	return Answer{Result: filtered}, err
}

// bare is a resource with no more than it takes to read it.
func bare(resource sallyport.Value) []byte {
	dst := []byte{'{'}
	for _, name := range [...]string{"uri", "name", "mimeType", "size"} {
		value := resource.Get(name)
		if value.Type() == sallyport.Absent {
			continue
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(append(sallyport.AppendString(dst, name), ':'), value.Raw()...)
	}
	return append(dst, '}')
}

// keeps decides about one item of a list and gives it as it may be shown, absent
// when it may not. A non-nil item differs from what
// was accepted. Resources come and go, so none has a pin: what a list says of
// one is content, and judged as what reading it brings.
func (g *Gateway) keeps(ctx context.Context, query *Query, row wire.Method, run sallyport.Run, raw sallyport.Value) (shown sallyport.Value, changed *manifest.Item) {
	call := &sallyport.Call{Kind: row.Kind, Server: query.Server, Principal: query.Principal, Run: run}
	facts := &sallyport.Facts{Call: call, Partial: true}
	if row.Items != "resources" {
		naming := "name"
		if row.Items == "resourceTemplates" {
			naming = "uriTemplate"
		}
		call.Name, _ = raw.Get(naming).Text()
		item := manifest.NewItem(manifest.KeyOf(row.Kind, call.Name), raw)
		definition, differs := g.Pins.Listed(query.Server, item)
		if differs {
			return shown, &item
		}
		if definition == nil {
			return shown, nil
		}
		facts.Tool = definition
	} else {
		// The URI is all that reading is judged by, and here it is known: the
		// names of what may not be read are not shown.
		uri := raw.Get("uri")
		call.Name, _ = uri.Text()
		args, err := sallyport.Parse(wire.With(sallyport.Value{}, "uri", uri.Raw()))
		if err != nil {
			return shown, nil
		}
		call.Args, facts.Partial = args, false
		if _, err := g.Pins.Admit(call); err != nil {
			return shown, nil
		}
		if raw, err = (&Ticket{Call: call, judged: call, gateway: g}).tell(ctx, raw); err != nil {
			return shown, nil
		}
		if g.Rules().LooksAtFlow() {
			facts.Flow = g.Memories.Flow(ctx, call, nil)
		}
	}
	stopped := query.target()
	if stopped.Action = call.Action(); g.Kills.Stops(stopped) != nil {
		return sallyport.Value{}, nil
	}
	if g.Observe() || policy.Decide(g.Rules(), facts).Verdict != sallyport.Deny {
		return raw, nil
	}
	return shown, nil
}

// hello asks a server who it is (initialize or server/discover, with the
// agent's own params) and gives back its hello as the server said it, in
// whichever era that was. Words that nobody has accepted are withheld:
// instructions go straight into a model's context. So are capabilities beyond
// the accepted ones. Who may use nothing of the server hears what is said of a
// server that is not there.
func (g *Gateway) hello(ctx context.Context, query *Query) (Answer, error) {
	if !g.Reveals(query.Principal, query.Server) {
		return Answer{}, sallyport.Refuse(sallyport.CauseServer, "there is no server %q", query.Server)
	}
	answer, err := g.Upstream.Query(ctx, query)
	if err != nil || answer.Error.Type() != sallyport.Absent {
		return g.overheard(ctx, query, answer, err)
	}
	edits, seen, err := g.withheld(query.Server, answer.Result)
	if err == nil && len(seen.Items) > 0 {
		err = g.quarantine(ctx, seen)
	}
	if err != nil {
		return Answer{}, err
	}
	if len(edits) == 0 {
		return answer, nil
	}
	answer.Result, err = sallyport.Parse(answer.Result.Splice(edits...))
	return answer, err
}

// withheld is what of a hello nobody has accepted: what stands in its place,
// and what of it is news.
func (g *Gateway) withheld(server string, hello sallyport.Value) (edits []sallyport.Edit, news manifest.Manifest, err error) {
	news = manifest.Manifest{Server: server, Items: map[manifest.Key]manifest.Item{}}
	words, err := manifest.Words(hello)
	if err != nil {
		return nil, news, err
	}
	definition, changed := g.Pins.Listed(server, words)
	if changed {
		news.Items[words.Key] = words
	}
	if definition == nil {
		edits = silenced(server, hello)
	}
	claimed := hello.Get("capabilities")
	accepted, settled := g.Pins.Capabilities(server)
	if claimed.Type() == sallyport.Absent || manifest.Within(claimed, accepted) {
		return edits, news, nil
	}
	if settled {
		all, err := sallyport.Parse(wire.AppendMerged(nil, []sallyport.Value{claimed, accepted}))
		if err != nil {
			return nil, news, err
		}
		news.Items[manifest.CapabilitiesKey] = manifest.NewItem(manifest.CapabilitiesKey, all)
	}
	if accepted.Type() == sallyport.Absent {
		accepted = unaccepted
	}
	return append(edits, sallyport.Edit{Target: claimed, With: accepted.Raw()}), news, nil
}

// unaccepted is what an agent may believe of a server of which nobody has
// accepted what it claims: that there is something to list, now or later.
var unaccepted = sallyport.MustParse(`{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true}}`)

// silenced takes a server's own words out of its hello.
func silenced(server string, hello sallyport.Value) (edits []sallyport.Edit) {
	if said := hello.Get("instructions"); said.Type() != sallyport.Absent {
		edits = append(edits, sallyport.Edit{Target: said, With: []byte(`""`)})
	}
	for _, said := range [...]sallyport.Value{hello.Get("serverInfo"), hello.Get("_meta").Get(wire.MetaServerInfo)} {
		if said.Type() != sallyport.Absent {
			name := append(sallyport.AppendString([]byte(`{"name":`), server), `,"version":"0"}`...)
			edits = append(edits, sallyport.Edit{Target: said, With: name})
		}
	}
	return edits
}

// quarantine takes what differs from the accepted state out of use, on the
// record.
func (g *Gateway) quarantine(ctx context.Context, seen manifest.Manifest) error {
	changed, err := g.Pins.Observe(ctx, seen)
	for _, pin := range changed {
		err = errors.Join(err, g.Record(ctx, "quarantine "+pin.Server+" "+string(pin.Key), "gateway",
			pin.Accepted(), pin.Shown()))
	}
	if err != nil {
		return sallyport.Refuse(sallyport.CauseLog, "the server's manifest has changed, and that cannot be recorded: %v", err)
	}
	return nil
}

// Saw compares a server's whole manifest with the pins; new and changed items
// go into quarantine, on the record.
func (g *Gateway) Saw(ctx context.Context, seen manifest.Manifest) error {
	return g.quarantine(ctx, seen)
}

// Record puts a change to the gateway itself on the record, durably.
func (g *Gateway) Record(ctx context.Context, subject, by string, before, after sallyport.Digest) error {
	return g.Log.Commit(ctx, &sallyport.Record{Entry: sallyport.Entry{
		Time: g.Now(), Type: sallyport.Change, Subject: subject, By: by, Before: before, After: after,
	}})
}
