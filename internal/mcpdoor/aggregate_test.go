package mcpdoor

import (
	"context"
	"strings"
	"testing"

	"sallyport"
)

func names(list sallyport.Value, member string) string {
	var all []string
	for _, item := range list.Items() {
		name, _ := item.Get(member).Text()
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

func TestAggregateNames(t *testing.T) {
	w := serve(t, Options{})
	a := w.connect("/mcp", anaToken, `{}`)
	list := func(method, items, member string) string {
		return names(a.rpc("1", method, `{}`).value(t).Get("result").Get(items), member)
	}
	want(t, "tools", list("tools/list", "tools", "name"), "desk__echo desk__refund desk__count desk__ask desk__slow desk__big desk__fail desk__link desk__job desk__region desk__cloud__echo desk__poll desk__stream cloud__echo")
	want(t, "prompts", list("prompts/list", "prompts", "name"), "desk__draft cloud__draft")
	want(t, "resources", list("resources/list", "resources", "uri"), "sallyport:desk/desk://a sallyport:cloud/cloud://a")
	want(t, "templates", list("resources/templates/list", "resourceTemplates", "uriTemplate"), "sallyport:desk/desk://tickets/{id} sallyport:cloud/desk://tickets/{id}")
	g := a.rpc("1", "tools/list", `{}`)
	if !strings.Contains(g.body, `"resourceUri":"sallyport:desk/ui://desk/card"`) {
		t.Errorf("the app of a tool has another URI than it can be read under: %s", g.body)
	}
	if g := a.rpc("1", "tools/list", `{"cursor":"more"}`); !strings.Contains(g.body, "-32602") {
		t.Errorf("a cursor that nobody gave out: %s", g.body)
	}

	for _, params := range []string{`{"name":"vault__echo"}`, `{"name":"echo"}`, `{}`} {
		if g := a.rpc("1", "tools/call", params); !strings.Contains(g.body, "names nothing that is here") {
			t.Errorf("%s: %s", params, g.body)
		}
	}
	for _, c := range []struct{ method, params, at, answer string }{
		{"tools/call", `{"name":"desk__echo","arguments":{"text":"x"}}`, `desk tools/call echo {"text":"x"}`, ""},
		{"tools/call", `{ "name" : "cloud__\u0065cho" , "arguments":{}}`, `cloud tools/call echo {}`, ""},
		{"tools/call", `{"name":"desk__cloud__echo","arguments":{}}`, `desk tools/call cloud__echo {}`, ""},
		{"tools/call", `{"name":"desk__link"}`, `desk tools/call link`,
			`{"content":[{"type":"resource_link","uri":"sallyport:desk/desk://a","name":"a"},{"type":"resource","resource":{"uri":"sallyport:desk/desk://b","text":""}},{"type":"text","text":"desk://c"}]}`},
		{"prompts/get", `{"name":"cloud__draft"}`, `cloud prompts/get draft`,
			`{"messages":[{"role":"user","content":{"type":"resource_link","uri":"sallyport:cloud/desk://a","name":"a"}}]}`},
		{"resources/read", `{"uri":"sallyport:desk/desk://a?b=c#d"}`, `desk resources/read desk://a?b=c#d {"uri":"desk://a?b=c#d"}`,
			`{"contents":[{"uri":"sallyport:desk/desk://a?b=c#d","text":"x"}]}`},
		{"resources/subscribe", `{"uri":"sallyport:desk/desk://a"}`, `desk resources/subscribe desk://a {"uri":"desk://a"}`, ""},
		{"completion/complete", `{"ref":{"type":"ref/prompt","name":"desk__draft"},"argument":{"name":"to","value":"a"}}`,
			`desk completion/complete draft {"ref":{"type":"ref/prompt","name":"draft"},"argument":{"name":"to","value":"a"}}`, ""},
		{"completion/complete", `{"ref":{"type":"ref/resource","uri":"sallyport:desk/desk://tickets/{id}"},"argument":{"name":"id","value":"1"}}`,
			`desk completion/complete desk://tickets/{id} {"ref":{"type":"ref/resource","uri":"desk://tickets/{id}"},"argument":{"name":"id","value":"1"}}`, ""},
		{"tools/call", `{"name":"desk__job"}`, `desk tools/call job`, `{"task":{"taskId":"desk__t__1","status":"working"}}`},
		{"tasks/get", `{"taskId":"desk__t__1"}`, ``,
			`{"resultType":"complete","taskId":"desk__t__1","status":"completed","result":{"content":[{"type":"resource_link","uri":"sallyport:desk/desk://a"}]}}`},
		{"tasks/list", `{}`, ``, `{"tasks":[{"taskId":"desk__t__1","status":"working"}]}`},
		{"logging/setLevel", `{"level":"info"}`, ``, `{}`},
	} {
		w.seen()
		g := a.rpc("1", c.method, c.params)
		want(t, c.method+" at the server", w.seen(), c.at)
		if c.answer != "" {
			want(t, c.method+" "+c.params, string(g.value(t).Get("result").Raw()), c.answer)
		}
		if g.value(t).Get("error").Type() != sallyport.Absent {
			t.Errorf("%s %s: %s", c.method, c.params, g.body)
		}
	}
}

func TestAggregateHello(t *testing.T) {
	w := serve(t, Options{})
	a := &agent{w: w, path: "/mcp", token: anaToken}
	g := a.rpc("1", "initialize", `{"protocolVersion":"2025-06-18","capabilities":{}}`)
	want(t, "initialize", g.body, `{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true,"listChanged":true},"logging":{},"completions":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"serverInfo":{"name":"sallyport","version":"1"},"instructions":"# desk\n\nBe kind.\n\n# cloud\n\nSpend little."}}`)
	m := w.modern("/mcp", anaToken, `{}`)
	g = m.do(m.ask(t.Context(), "1", "server/discover", "", ""))
	want(t, "discover", g.body, `{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"capabilities":{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true,"listChanged":true},"logging":{},"completions":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"instructions":"# desk\n\nBe kind.\n\n# cloud\n\nSpend little.","ttlMs":0,"cacheScope":"private","resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"sallyport","version":"1"}}}}`)
	g = m.do(m.ask(t.Context(), "1", "tools/list", "", ""))
	if !strings.Contains(g.body, `"ttlMs":30000,"cacheScope":"private"`) {
		t.Errorf("a merged list holds as long as its shortest part, for one agent: %s", g.body)
	}
}

// One server that is down takes nothing else with it.
func TestAggregateWithoutOne(t *testing.T) {
	w := serve(t, Options{})
	w.down["cloud"] = true
	a := w.connect("/mcp", anaToken, `{}`)
	r := a.rpc("1", "tools/list", `{}`).value(t).Get("result")
	if strings.Contains(names(r.Get("tools"), "name"), " cloud__echo") || r.Get("tools").Len() != 13 {
		t.Errorf("tools %s", names(r.Get("tools"), "name"))
	}
	one := &agent{w: w, path: "/mcp/cloud", token: anaToken}
	if g := one.rpc("1", "initialize", `{"protocolVersion":"2025-11-25"}`); !strings.Contains(g.body, "-31002") || g.header.Get("Mcp-Session-Id") != "" {
		t.Errorf("a session with a server that is down: %+v", g)
	}
	w.down["desk"] = true
	if g := a.rpc("1", "tools/list", `{}`); !strings.Contains(g.body, "-31002") {
		t.Errorf("an empty list where nobody could be asked: %s", g.body)
	}
}

// What one agent may not see is missing from its list alone.
func TestAggregateFilters(t *testing.T) {
	w := serve(t, Options{})
	a := w.connect("/mcp", bobToken, `{}`)
	want(t, "bob's resources", names(a.rpc("1", "resources/list", `{}`).value(t).Get("result").Get("resources"), "uri"), "sallyport:desk/desk://a")
	a.rpc("2", "resources/read", `{"uri":"sallyport:cloud/cloud://a"}`)
	want(t, "at the server", w.seen(), "")
}

func TestListen(t *testing.T) {
	w := serve(t, Options{})
	a := w.modern("/mcp/desk", anaToken, `{}`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	next, leave, header := a.open(a.ask(ctx, `"sub"`, "subscriptions/listen", "", `"notifications":{"toolsListChanged":true,"promptsListChanged":false,"resourceSubscriptions":["desk://a"]}`))
	defer leave()
	want(t, "acknowledgement", next(), `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["desk://a"]},"_meta":{"io.modelcontextprotocol/subscriptionId":"sub"}}}`)
	if header.Get("X-Accel-Buffering") != "no" {
		t.Error("proxies may hold events back")
	}
	w.changes <- message("notifications/tools/list_changed", `{"_meta":{"io.modelcontextprotocol/subscriptionId":77}}`)
	want(t, "event", next(), `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"sub"}}}`)
	w.changes <- message("notifications/tools/list_changed", `{}`)
	want(t, "event without an id", next(), `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"sub"}}}`)
	if seen := w.seen(); strings.Count(seen, "\n") != 1 || !strings.Contains(seen, `desk subscriptions/listen desk://a {"uri":"desk://a"}`) || !strings.Contains(seen, `desk subscriptions/listen  {"uri":""}`) {
		t.Errorf("each resource is a call of its own: %s", seen)
	}
	w.door.Drain()
	want(t, "graceful end", next(), `{"jsonrpc":"2.0","id":"sub","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"sub","io.modelcontextprotocol/serverInfo":{"name":"sallyport","version":"1"}}}}`)
}

func TestListenToAll(t *testing.T) {
	w := serve(t, Options{})
	a := w.modern("/mcp", bobToken, `{}`) // who may not read of the cloud
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	next, leave, _ := a.open(a.ask(ctx, `5`, "subscriptions/listen", "", `"notifications":{"toolsListChanged":true,"resourceSubscriptions":["sallyport:desk/desk://a","sallyport:cloud/cloud://a"]}`))
	defer leave()
	want(t, "what is refused is not honoured", next(), `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["sallyport:desk/desk://a"]},"_meta":{"io.modelcontextprotocol/subscriptionId":5}}}`)
	w.changes <- message("notifications/resources/updated", `{"uri":"desk://a","_meta":{"io.modelcontextprotocol/subscriptionId":77}}`)
	want(t, "event", next(), `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"sallyport:desk/desk://a","_meta":{"io.modelcontextprotocol/subscriptionId":5}}}`)
	job := w.modern("/mcp", anaToken, `{}`)
	job.modernCall("desk__job", `{}`)
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	next, leave2, _ := job.open(job.ask(ctx, `8`, "subscriptions/listen", "", `"notifications":{"taskIds":["desk__t__1"]}`))
	defer leave2()
	want(t, "tasks by name", next(), `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"taskIds":["desk__t__1"]},"_meta":{"io.modelcontextprotocol/subscriptionId":8}}}`)
	if strings.Contains(w.seen(), "cloud") {
		t.Error("a refused subscription reached the server")
	}
	for params, code := range map[string]string{
		``:                   "-32602",
		`"notifications":[]`: "-32602",
		`"notifications":{"resourceSubscriptions":["sallyport:vault/a"]}`:         "names what no server here has",
		`"notifications":{"resourceSubscriptions":["desk://a"]}`:                  "-32602", // whose?
		`"notifications":{"resourceSubscriptions":["sallyport:cloud/cloud://a"]}`: "-31001",
	} {
		if g := a.do(a.ask(t.Context(), "6", "subscriptions/listen", "", params)); !strings.Contains(g.last(), code) || strings.Contains(g.body, "acknowledged") {
			t.Errorf("%s: %+v", params, g)
		}
	}
	g := a.do(a.ask(t.Context(), "7", "subscriptions/listen", "", `"notifications":{}`))
	if len(g.events) != 2 || !strings.Contains(g.events[0], `"notifications":{}`) || !strings.Contains(g.events[1], "complete") {
		t.Errorf("a subscription to nothing: %+v", g)
	}
}
