package mcpdoor

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"sallyport"
)

// A server of which an agent may use nothing is answered for as one that does
// not exist, whatever is asked of it.
func TestHiddenServerIsNoServer(t *testing.T) {
	w := serve(t, Options{})
	const hello = `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`
	session := w.connect("/mcp/cloud", anaToken, `{}`).session
	everybody := w.connect("/mcp", eveToken, `{}`).session
	w.seen()
	for name, try := range map[string]func(server string) got{
		"initialize": func(server string) got {
			return (&agent{w: w, path: "/mcp/" + server, token: eveToken}).rpc("1", "initialize", hello)
		},
		"a list without a session": func(server string) got {
			return (&agent{w: w, path: "/mcp/" + server, token: eveToken}).rpc("1", "tools/list", `{}`)
		},
		"a session of somebody else": func(server string) got {
			return (&agent{w: w, path: "/mcp/" + server, token: eveToken, session: session}).rpc("1", "tools/list", `{}`)
		},
		"GET": func(server string) got {
			a := &agent{w: w, path: "/mcp/" + server, token: eveToken, session: session}
			return a.do(a.request(t.Context(), http.MethodGet, ""))
		},
		"DELETE": func(server string) got {
			a := &agent{w: w, path: "/mcp/" + server, token: eveToken, session: session}
			return a.do(a.request(t.Context(), http.MethodDelete, ""))
		},
		"discover": func(server string) got {
			a := w.modern("/mcp/"+server, eveToken, `{}`)
			return a.do(a.ask(t.Context(), "1", "server/discover", "", ""))
		},
		"a list": func(server string) got {
			a := w.modern("/mcp/"+server, eveToken, `{}`)
			return a.do(a.ask(t.Context(), "1", "tools/list", "", ""))
		},
		"a call": func(server string) got { return w.modern("/mcp/"+server, eveToken, `{}`).modernCall("echo", `{}`) },
		"a method that nobody knows": func(server string) got {
			a := w.modern("/mcp/"+server, eveToken, `{}`)
			return a.do(a.ask(t.Context(), "1", "made/up", "", ""))
		},
		"malformed": func(server string) got { return (&agent{w: w, path: "/mcp/" + server, token: eveToken}).post(`{`) },
		"a call among all": func(server string) got {
			return w.modern("/mcp", eveToken, `{}`).modernCall(server+"__echo", `{}`)
		},
		"a call among all in a session": func(server string) got {
			return (&agent{w: w, path: "/mcp", token: eveToken, session: everybody}).rpc("1", "tools/call", `{"name":"`+server+`__echo"}`)
		},
		"a resource among all": func(server string) got {
			a := w.modern("/mcp", eveToken, `{}`)
			return a.do(a.ask(t.Context(), "1", "resources/read", "sallyport:"+server+"/x", `"uri":"sallyport:`+server+`/x"`))
		},
		"a subscription among all": func(server string) got {
			a := w.modern("/mcp", eveToken, `{}`)
			return a.do(a.ask(t.Context(), "1", "subscriptions/listen", "", `"notifications":{"resourceSubscriptions":["sallyport:`+server+`/x"]}`))
		},
		"a task among all": func(server string) got {
			a := w.modern("/mcp", eveToken, `{"extensions":{"io.modelcontextprotocol/tasks":{}}}`)
			return a.do(a.ask(t.Context(), "1", "tasks/get", server+"__t", `"taskId":"`+server+`__t"`))
		},
	} {
		hidden, none := try("cloud"), try("cloup")
		if hidden.lastErr != nil || hidden.status != none.status || strings.ReplaceAll(hidden.last(), "cloud", "cloup") != none.last() {
			t.Errorf("%s: a hidden server answers %d %s, none %d %s", name, hidden.status, hidden.last(), none.status, none.last())
		}
	}
	if seen := w.seen(); strings.Contains(seen, "cloud") {
		t.Errorf("the server saw %s", seen)
	}
	var out bytes.Buffer
	if err := w.door.ServeStdio(t.Context(), strings.NewReader(""), &out, sallyport.Credential{Token: eveToken}, "cloud"); err == nil {
		t.Error("served over stdio")
	}
	if g := (&agent{w: w, path: "/mcp/cloud", token: anaToken}).rpc("1", "initialize", hello); !strings.Contains(g.body, "Spend little.") {
		t.Errorf("who may use it hears %s", g.body)
	}
}

// Among all servers a hidden one is not there: none of its words, and no trace
// of it in what is merged.
func TestHiddenServerIsMissingAmongAll(t *testing.T) {
	w := serve(t, Options{})
	a, m := w.connect("/mcp", eveToken, `{}`), w.modern("/mcp", eveToken, `{}`)
	all := map[string]got{
		"initialize": (&agent{w: w, path: "/mcp", token: eveToken}).rpc("1", "initialize", `{"protocolVersion":"2025-11-25"}`),
		"discover":   m.do(m.ask(context.Background(), "1", "server/discover", "", "")),
	}
	for _, method := range []string{"tools/list", "prompts/list", "resources/list", "resources/templates/list"} {
		all[method] = a.rpc("1", method, `{}`)
		all[method+" stateless"] = m.do(m.ask(context.Background(), "1", method, "", ""))
	}
	for name, g := range all {
		if text := g.last(); g.status != 200 || !strings.Contains(text, "desk") || strings.Contains(text, "Spend little") ||
			strings.Contains(strings.ReplaceAll(text, "desk__cloud__echo", ""), "cloud") {
			t.Errorf("%s: %d %s", name, g.status, text)
		}
	}
}

// Who has a task open at a server may end it, whatever policy says by now.
func TestServerWithAnOpenTaskStaysThere(t *testing.T) {
	w := serve(t, Options{})
	const tasks = `{"extensions":{"io.modelcontextprotocol/tasks":{}}}`
	a := w.modern("/mcp/desk", anaToken, tasks)
	if g := a.modernCall("job", `{}`); !strings.Contains(g.last(), `"taskId":"t__1"`) {
		t.Fatalf("%+v", g)
	}
	w.forbid(t, `forbid (principal, action in Action::"server:desk", resource);`)
	w.seen()
	for path, task := range map[string]string{"/mcp/desk": "t__1", "/mcp": "desk__t__1"} {
		a := w.modern(path, anaToken, tasks)
		g := a.do(a.ask(context.Background(), "1", "tasks/cancel", task, `"taskId":"`+task+`"`))
		if g.status != 200 || strings.Contains(g.last(), `"error"`) || !strings.Contains(w.seen(), "desk tasks/cancel") {
			t.Errorf("%s: %+v", path, g)
		}
	}
	b := w.modern("/mcp/desk", bobToken, tasks)
	if g := b.do(b.ask(context.Background(), "1", "tasks/cancel", "t__1", `"taskId":"t__1"`)); g.status != 404 {
		t.Errorf("to somebody else it is there: %+v", g)
	}
}
