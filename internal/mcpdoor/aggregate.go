package mcpdoor

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"time"

	"sallyport"
	"sallyport/internal/mcpdoor/greeting"
	"sallyport/internal/mcpdoor/post"
	"sallyport/internal/wire"
)

// route finds the server that a request means, and gives its params in that
// server's own names.
func (x *exchange) route() (server string, params sallyport.Value, fault *wire.Error) {
	if x.server != "" {
		return x.server, x.message.Params, nil
	}
	server, own, ok := wire.Unname(x.message.Method, x.message.Params)
	if !ok || !slices.Contains(x.here, server) {
		return "", params, &wire.Error{Code: wire.CodeInvalidParams, Message: x.message.Method +
			" names nothing that is here: on /mcp tools and prompts are called SERVER__NAME, resources sallyport:SERVER/URI"}
	}
	params, err := sallyport.Parse(x.message.Params.Splice(own))
	if err != nil {
		return "", params, &wire.Error{Code: wire.CodeInternal, Message: err.Error()}
	}
	return server, params, nil
}

const (
	// listWait bounds how long a list of all servers waits for one of them.
	listWait = 15 * time.Second
	// listPages bounds how many pages of one server are read.
	listPages = 100
)

// share is one server's part of a list.
type share struct {
	items [][]byte
	ttl   int64 // milliseconds for which it holds
	err   *post.Reply
}

// listAll merges the complete lists of all servers. A server that can't be
// asked is left out: the others are not its hostages.
func (x *exchange) listAll(ctx context.Context, row wire.Method) post.Reply {
	if x.message.Params.Get("cursor").Type() != sallyport.Absent {
		return x.fail(&wire.Error{Code: wire.CodeInvalidParams, Message: "this list has one page: there is no cursor to it"})
	}
	ctx, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	shares := eachServer(x.here, func(server string) share { return x.share(ctx, server, row) })
	dst := append(sallyport.AppendString([]byte("{"), row.Items), ":["...)
	count, ttl, answered := 0, int64(-1), 0
	for _, s := range shares {
		if s.err != nil {
			continue
		}
		answered++
		if ttl < 0 || s.ttl < ttl {
			ttl = s.ttl
		}
		for _, item := range s.items {
			if count > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, item...)
			count++
		}
	}
	if answered == 0 && len(shares) > 0 {
		return *shares[0].err
	}
	dst = append(dst, ']')
	if wire.IsStateless(x.revision) {
		// A list with a gap must be asked for again soon.
		if answered < len(shares) || ttl < 0 {
			ttl = 0
		}
		dst = strconv.AppendInt(append(dst, `,"ttlMs":`...), ttl, 10)
		dst = append(append(dst, `,"cacheScope":"private",`...), x.door.signature()...)
	}
	return post.Result(append(dst, '}'))
}

// signature are the members by which a result of the stateless era is
// complete and ours.
func (d *Door) signature() []byte {
	return append(append([]byte(`"resultType":"complete","_meta":{"`+wire.MetaServerInfo+`":`), d.serverInfo()...), '}')
}

func (d *Door) serverInfo() []byte {
	return append(sallyport.AppendString([]byte(`{"name":"sallyport","version":`), d.Version), '}')
}

// share reads all pages of one server's list.
func (x *exchange) share(ctx context.Context, server string, row wire.Method) share {
	var s share
	params := x.message.Params
	for range listPages {
		query := x.newQuery(server, params)
		ask := x.door.Gateway.List
		if row.Items == "tasks" {
			ask = x.door.Gateway.Query
		}
		answer, err := ask(ctx, x.credential, query)
		if err != nil || answer.Error.Type() != sallyport.Absent {
			failed := x.answered(ctx, server, answer, err)
			s.err = &failed
			return s
		}
		for _, item := range answer.Result.Get(row.Items).Items() {
			s.items = append(s.items, wire.Naming(server).Item(row.Items, item))
		}
		s.ttl, _ = strconv.ParseInt(string(answer.Result.Get("ttlMs").Raw()), 10, 64) // 0 where it says nothing
		next := answer.Result.Get("nextCursor")
		if next.Type() != sallyport.String || bytes.Equal(next.Raw(), params.Get("cursor").Raw()) {
			return s
		}
		if params, err = sallyport.Parse(wire.With(x.message.Params, "cursor", next.Raw())); err != nil {
			return s
		}
	}
	return s
}

// hellos asks all servers that the path means who they are.
func (x *exchange) hellos(ctx context.Context) []greeting.Hello {
	ctx, cancel := context.WithTimeout(ctx, helloWait)
	defer cancel()
	return eachServer(x.servers(), func(server string) greeting.Hello {
		answer, err := x.door.Gateway.Query(ctx, x.credential, x.newQuery(server, x.message.Params))
		if err != nil || answer.Error.Type() != sallyport.Absent {
			return greeting.Hello{Server: server, Failed: x.answered(ctx, server, answer, err)}
		}
		return greeting.Hello{Server: server, Words: answer.Result}
	})
}

// helloWait bounds how long an agent waits for servers to start. Its own
// patience is often 60 s.
const helloWait = 45 * time.Second

// maxHello bounds what an agent says of itself, in bytes: it is kept as long
// as the session, and sessions are many.
const maxHello = 64 << 10

// initialize begins a session (up to 2025-11-25). On success x.session is set.
func (x *exchange) initialize(ctx context.Context) post.Reply {
	wanted, ok := x.message.Params.Get("protocolVersion").Text()
	if !ok {
		return x.fail(&wire.Error{Code: wire.CodeInvalidParams, Message: "initialize needs a protocolVersion"})
	}
	if len(x.message.Params.Raw()) > maxHello {
		return x.fail(&wire.Error{Code: wire.CodeInvalidParams, Message: "initialize has too much to say: capabilities and clientInfo are kept with the session, and have at most 64 KiB"})
	}
	x.revision = wire.Negotiate(wanted)
	s := &session{owner: x.owner, run: x.run, server: x.server, revision: x.revision,
		capabilities: x.message.Params.Get("capabilities"), client: x.message.Params.Get("clientInfo")}
	if err := x.door.begin(s); err != nil {
		return x.fail(&wire.Error{Code: wire.CodeUnavailable, Message: err.Error()})
	}
	x.door.Guests.Greet(s.id, x.message.Params)
	x.session = s
	hellos := x.hellos(ctx)
	if x.server != "" && hellos[0].Words.Type() == sallyport.Absent {
		x.door.sessions.Remove(s.id)
		x.session = nil
		return hellos[0].Failed
	}
	if x.server != "" {
		raw, revision := greeting.In(s.revision, hellos[0].Words)
		s.revision = revision
		return post.Result(raw)
	}
	dst := sallyport.AppendString([]byte(`{"protocolVersion":`), s.revision)
	dst = append(append(dst, `,"capabilities":`...), greeting.Capabilities(hellos)...)
	dst = append(append(dst, `,"serverInfo":`...), x.door.serverInfo()...)
	return post.Result(append(greeting.AppendInstructions(dst, hellos), '}'))
}

// discover says who is here (from 2026-07-28).
func (x *exchange) discover(ctx context.Context) post.Reply {
	hellos := x.hellos(ctx)
	if x.server != "" {
		if hellos[0].Words.Type() == sallyport.Absent {
			return hellos[0].Failed
		}
		return post.Result(hellos[0].Words.Raw())
	}
	dst := []byte(`{"supportedVersions":[`)
	for i, revision := range slices.Backward(wire.Revisions[:]) {
		dst = sallyport.AppendString(dst, revision)
		if i > 0 {
			dst = append(dst, ',')
		}
	}
	dst = append(append(dst, `],"capabilities":`...), greeting.Capabilities(hellos)...)
	dst = append(greeting.AppendInstructions(dst, hellos), `,"ttlMs":0,"cacheScope":"private",`...)
	return post.Result(append(append(dst, x.door.signature()...), '}'))
}
