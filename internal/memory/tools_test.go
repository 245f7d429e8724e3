package memory

import (
	"context"
	"fmt"
	"testing"

	"sallyport"
	"sallyport/internal/scope"
)

// What the operator says a tool does counts from then on, though the tool's own
// words are the same; so does a tool that comes or goes.
func TestOtherToolsAreReadAnew(t *testing.T) {
	r := newRecord()
	r.words["r"] = []Word{{"Write a note about lunch.", sallyport.StrengthHuman}}
	r.tools = append(r.tools, definition("notes", "peek_device", "Peek at a device.", `{"text":{"type":"string"}}`, sallyport.Read))
	m := New(r, r, scope.Default)
	call := callOf("r", "c_1", "notes", "peek_device", `{"text":"lunch"}`)
	if f := flowOf(m, r, call); f.Outside != "" {
		t.Fatalf("reading is free: %+v", f)
	}
	set := m.tools
	if flowOf(m, r, callOf("other", "c_2", "notes", "peek_device", `{"text":"lunch"}`)); m.tools != set {
		t.Error("the same tools were read again for another run")
	}
	r.tools[3].Effects = []sallyport.Effect{sallyport.Delete}
	if f := flowOf(m, r, call); f.Outside == "" {
		t.Errorf("it does more, and no task asks for that: %+v", f)
	}
	for name, change := range map[string]func(){
		"a tool is gone":            func() { r.tools = r.tools[:3] },
		"a tool has come":           func() { r.tools = append(r.tools[:3:3], definition("notes", "more", "More.", `{}`, sallyport.Write)) },
		"a tool has another digest": func() { r.tools[0].Digest = sallyport.DigestOf([]byte("x")) },
		"a tool has another name":   func() { r.tools[1].Name = "x" },
		"a tool has another server": func() { r.tools[1].Server = "x" },
	} {
		set := m.toolsOf(r.tools)
		change()
		if m.toolsOf(r.tools) == set {
			t.Errorf("%s, and nobody looked", name)
		}
	}
}

// The first call of a run that has a task and 64 tools.
func BenchmarkFirstFlowOf64Tools(b *testing.B) {
	r := newRecord()
	verbs := []string{"send", "create", "delete", "update", "book", "share", "cancel", "assign"}
	things := []string{"message", "event", "file", "invoice", "ticket", "contact", "order", "page"}
	for _, verb := range verbs {
		for _, thing := range things {
			r.tools = append(r.tools, definition("suite", verb+"_"+thing, fmt.Sprintf("Use this to %s a %s with the given details and to tell everybody who takes part.", verb, thing),
				`{"id":{"type":"string"},"to":{"type":"string"}}`, sallyport.Write))
		}
	}
	m := New(r, r, scope.Default)
	i := 0
	for b.Loop() {
		i++
		run := fmt.Sprint("r_", i)
		r.words[run] = []Word{{"Send anna@corp.example the file minutes.docx and book an event for Friday.", sallyport.StrengthHuman}}
		call := callOf(run, "c_1", "suite", "send_message", `{"id":"1","to":"anna@corp.example"}`)
		m.Flow(context.Background(), call, &r.tools[3])
		delete(r.words, run)
	}
}

// What a tool is, and what the operator says of it, is known as soon as it changes.
func TestToolOfACall(t *testing.T) {
	r := newRecord()
	m := New(r, r, scope.Default)
	r.words["r"] = []Word{{"Send a mail to anna@corp.example", sallyport.StrengthHuman}}
	send := callOf("r", "c_1", "mail", "send_mail", `{"to":"anna@corp.example","body":"hi"}`)
	all := r.tools
	r.tools = all[:1]
	if f := flowOf(m, r, send); f.Outside != "" {
		t.Errorf("what reads is never outside: %+v", f)
	}
	if f := m.Flow(t.Context(), send, &all[1]); f.Outside == "" {
		t.Error("a tool that is not there is what the task asks for")
	}
	r.tools = all
	if f := flowOf(m, r, send); f.Outside != "" {
		t.Errorf("a tool that has come is not seen: %+v", f)
	}
	gone := definition("mail", "wipe", "Wipe a folder.", `{"place":{"type":"string","format":"uri"}}`, sallyport.Delete)
	call := callOf("r", "c_2", "mail", "wipe", `{"place":"x"}`)
	if got := m.tool(call, &gone); got.Reads() || got.RoleOf("place", call.Args.Get("place")) != scope.RoleURL {
		t.Errorf("what is not pinned any more: %+v", got)
	}
	r.uses = map[string]Use{"mail/wipe": {Meanings: map[string]scope.Role{"place": scope.RoleContent}}}
	if got := m.tool(call, &gone).RoleOf("place", call.Args.Get("place")); got != scope.RoleContent {
		t.Errorf("what the operator says: %v", got)
	}
}
