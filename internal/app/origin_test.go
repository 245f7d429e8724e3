package app

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport"
	"sallyport/internal/control"
	"sallyport/internal/store"
)

// What the configuration declares decides where a value came from, what an
// argument is for, and is shown; what fits nothing is said.
func TestDeclaredOrigins(t *testing.T) {
	dir, file := starterFiles(t)
	edit(t, file, "    builtin: desk\n", `    builtin: desk
    readers: internal
    results: [{tool: get_ticket, field: reporter.email, writer: trusted}, {tool: get_tocket, writer: trusted}]
    arguments: [{tool: add_note, argument: text, means: principal}]
    audience: {send_email: public}
`)
	a := started(t, dir, file)
	token := supportToken(t, a)
	callTool(t, a, token, "desk__get_ticket", `{"id":"tic_2207"}`)
	callTool(t, a, token, "desk__add_note", `{"id":"tic_2207","text":"mads.kjaer@inbox.example"}`)
	found, err := a.store.Query(t.Context(), store.Filter{Agent: "support-bot", Name: "add_note", Limit: 1})
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if got := strings.Join(found[0].Entry.Origins, "\n"); !strings.Contains(got, "text: trusted") {
		t.Errorf("an address that the configuration trusts: %s", got)
	}
	call := &sallyport.Call{Kind: sallyport.KindTool, Server: "desk", Name: "add_note", Run: sallyport.Run{ID: found[0].Entry.Run},
		Args: sallyport.MustParse(`{"id":"tic_2207","text":"mads.kjaer@inbox.example"}`)}
	flow := a.memories.Flow(t.Context(), call, a.pins.Tool("desk", "add_note"))
	i := slices.IndexFunc(flow.Traces, func(t sallyport.Trace) bool { return t.Path == "text" })
	if i < 0 || !flow.Traces[i].Critical || flow.Traces[i].Origin.Readers != sallyport.ReadersInternal || flow.Run.SawPrivate {
		t.Errorf("%+v", flow)
	}
	servers := a.Servers()
	desk := servers[slices.IndexFunc(servers, func(s control.Server) bool { return s.Name == "desk" })]
	if desk.Trust != "first-party" || desk.Readers != "internal" || len(desk.Results) != 2 ||
		desk.Results[0] != (control.Result{Tool: "get_ticket", Field: "reporter.email", Writer: "trusted", Readers: "internal"}) {
		t.Errorf("shown: %+v", desk)
	}
	tools := a.Tools()
	if i := slices.IndexFunc(tools, func(t control.Tool) bool { return t.Name == "send_email" }); tools[i].Audience != "public" {
		t.Errorf("shown: %+v", tools[i])
	}
	if i := slices.IndexFunc(tools, func(t control.Tool) bool { return t.Name == "add_note" }); tools[i].Means["text"] != "principal" {
		t.Errorf("shown: %+v", tools[i])
	}
	warned := func() bool {
		return slices.ContainsFunc(a.Doctor(t.Context()).Checks, func(c control.Check) bool {
			return c.Level == control.Warning && strings.Contains(c.What, "no tool get_tocket")
		})
	}
	if !warned() {
		t.Error("doctor does not say that a rule fits nothing")
	}
	edit(t, filepath.Join(dir, "sallyport.yaml"), ", {tool: get_tocket, writer: trusted}", ", {tool: get_*, writer: trusted}")
	a.Reload(t.Context())
	if p := a.PolicyStatus().Pending; p == nil || !slices.Contains(p.Reasons, "server desk: origins of results change") {
		t.Errorf("more is trusted, and nobody's credential was asked: %+v", p)
	}
	if !warned() {
		t.Error("what waits is in force")
	}
}
