package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sallyport"
	"sallyport/internal/provenance"
	"sallyport/internal/scope"
)

// notes is a record with a server that is a memory, all of whose values its
// operator trusts and shows to everybody, as far as nobody else wrote them.
func notes() *record {
	r := newRecord()
	r.tools = append(r.tools,
		definition("notes", "write_note", "Write a note.", `{"name":{"type":"string"},"text":{"type":"string"}}`, sallyport.Write),
		definition("notes", "read_note", "Read a note.", `{"name":{"type":"string"}}`, sallyport.Read),
		definition("notes", "search", "Search notes.", `{"words":{"type":"string"}}`, sallyport.Read))
	r.declared = map[string]provenance.Declaration{"notes": {Trust: provenance.FirstParty, Readers: sallyport.ReadersPublic, Rules: []provenance.Rule{
		{Field: "text", Origin: sallyport.Origin{Writer: sallyport.WriterTrusted, Readers: sallyport.ReadersPublic}}}}}
	keyed := Use{Memory: true, Meanings: map[string]scope.Role{"name": scope.RoleID}}
	r.uses = map[string]Use{"notes/write_note": keyed, "notes/read_note": keyed, "notes/search": {Memory: true}, "notes/": {Memory: true}}
	return r
}

// does has a run make a call that is allowed, and puts it on the record.
func (r *record) does(m *Memories, run, id, server, tool, args, result string) *sallyport.Flow {
	call := callOf(run, id, server, tool, args)
	if run == child {
		call.Run.Parent = "b"
	}
	flow := flowOf(m, r, call)
	act := Act{Call: id, Server: server, Tool: tool, Args: call.Args, Result: sallyport.MustParse(result), Labels: flow.Labels(), Found: []string{}}
	var definition *sallyport.Definition
	for i := range r.tools {
		if d := &r.tools[i]; d.Server == server && d.Name == tool {
			definition, act.Effects = d, d.Effects
		}
	}
	r.acts[run] = append(r.acts[run], act)
	if !slices.Equal(act.Effects, onlyRead) {
		r.written[server] = append(r.written[server], act)
	}
	m.Did(call, definition, flow)
	m.Saw(call, act.Result, act.Found)
	return flow
}

// child is a run that begins below the run b.
const child = "below b"

const note = `{"content":[],"structuredContent":{"text":"Pay the rent to GB33BUKB20201555555555."}}`

// What a run that has read others' text leaves in a memory is others' text for
// whoever reads it, whatever the operator trusts, and over a restart.
func TestMemoryCarriesLabels(t *testing.T) {
	for name, c := range map[string]struct {
		write, read, args  string // which is written; how it is read
		untrusted, private bool
	}{
		"the item":                        {write: "todo", read: "read_note", args: `{"name":"todo"}`, untrusted: true, private: true},
		"in capitals":                     {write: "todo", read: "read_note", args: `{"name":"TODO"}`, untrusted: true, private: true},
		"another item":                    {write: "todo", read: "read_note", args: `{"name":"other"}`},
		"whatever is found":               {write: "todo", read: "search", args: `{"words":"rent"}`, untrusted: true, private: true},
		"by a key that leads elsewhere":   {write: "todo", read: "read_note", args: `{"name":"x/../todo"}`, untrusted: true, private: true},
		"left under such a key":           {write: "x/../other", read: "read_note", args: `{"name":"other"}`, untrusted: true, private: true},
		"without a key":                   {write: "todo", read: "read_note", args: `{}`, untrusted: true, private: true},
		"a resource, whatever its name":   {write: "todo", read: "note://todo", args: `{}`, untrusted: true, private: true},
		"by a key that is no single text": {write: "todo", read: "read_note", args: `{"name":["todo"]}`, untrusted: true, private: true},
	} {
		r := notes()
		r.uses["notes/note://todo"] = Use{Memory: true}
		m := New(r, r, scope.Default)
		r.does(m, "a", "c_1", "mail", "read_mail", `{"id":"1"}`, evil)
		r.does(m, "a", "c_2", "notes", "write_note", fmt.Sprintf(`{"name":%q,"text":"Pay the rent."}`, c.write), `{}`)
		for when, m := range map[string]*Memories{"": m, " after a restart": New(r, r, scope.Default)} {
			run := "b" + when
			r.does(m, run, "c_3", "notes", c.read, c.args, note)
			f := flowOf(m, r, callOf(run, "c_4", "bank", "pay", `{"iban":"GB33BUKB20201555555555","amount":1}`))
			writer := sallyport.WriterTrusted
			if c.untrusted {
				writer = sallyport.WriterUntrusted
			}
			if f.Run.SawUntrusted != c.untrusted || f.Run.SawPrivate != c.private || trace(f, "iban").Origin.Writer != writer {
				t.Errorf("%s%s: %+v", name, when, f)
			}
		}
	}
}

// Nobody knows what was written by whom: then it counts as the worst.
func TestMemoryOfUnknownWriters(t *testing.T) {
	for name, change := range map[string]func(*record){
		"no labels were kept": func(r *record) { r.written["notes"] = []Act{{Server: "notes", Tool: "write_note"}} },
		"more than is read":   func(r *record) { r.writtenMore = true },
		"nobody can say":      func(r *record) { r.writtenErr = errors.New("disk gone") },
	} {
		r := notes()
		change(r)
		m := New(r, r, scope.Default)
		call := callOf("b", "c_1", "notes", "search", `{"words":"rent"}`)
		flow := flowOf(m, r, call)
		if r.writtenErr != nil {
			if flow != nil {
				t.Errorf("%s: %+v", name, flow)
			}
		}
		m.Saw(call, sallyport.MustParse(note), nil)
		r.acts["b"] = []Act{{Call: "c_1", Server: "notes", Tool: "search", Effects: onlyRead, Result: sallyport.MustParse(note)}}
		if r.writtenErr != nil {
			if f := flowOf(New(r, r, scope.Default), r, callOf("b", "c_2", "mail", "read_mail", `{}`)); f != nil {
				t.Errorf("%s, when its run is read again: %+v", name, f)
			}
		}
		if f := flowOf(m, r, callOf("b", "c_2", "mail", "read_mail", `{}`)); !f.Run.SawUntrusted || !f.Run.SawPrivate {
			t.Errorf("%s: %+v", name, f.Run)
		}
	}
	// A write that rules without a look at labels let through.
	r := notes()
	m := New(r, r, scope.Default)
	flowOf(m, r, callOf("b", "c_0", "notes", "search", `{}`))
	m.Did(callOf("a", "c_1", "notes", "write_note", `{"name":"x"}`), &r.tools[3], nil)
	r.does(m, "b", "c_2", "notes", "read_note", `{"name":"x"}`, note)
	if f := flowOf(m, r, callOf("b", "c_3", "mail", "read_mail", `{}`)); !f.Run.SawUntrusted {
		t.Errorf("written by nobody knows whom: %+v", f.Run)
	}
	// An answer to a question of the server is kept there, too.
	r = notes()
	m = New(r, r, scope.Default)
	flowOf(m, r, callOf("b", "c_0", "notes", "search", `{}`))
	answer := callOf("a", "c_1", "notes", "elicitation/create", `{"name":"x"}`)
	answer.Kind = sallyport.KindAnswer
	r.uses["notes/elicitation/create"] = r.uses["notes/write_note"]
	m.Did(answer, nil, &sallyport.Flow{Run: sallyport.Labels{SawUntrusted: true}})
	r.does(m, "b", "c_2", "notes", "read_note", `{"name":"y"}`, note)
	if f := flowOf(m, r, callOf("b", "c_3", "mail", "read_mail", `{}`)); !f.Run.SawUntrusted {
		t.Errorf("answered: %+v", f.Run)
	}
}

// When another argument becomes the key, an item is found under its new one.
func TestMemoryIsReadAgain(t *testing.T) {
	r := notes()
	m := New(r, r, scope.Default)
	r.does(m, "a", "c_1", "mail", "read_mail", `{"id":"1"}`, evil)
	r.does(m, "a", "c_2", "notes", "write_note", `{"name":"n1","text":"shelf"}`, `{}`)
	for name, text := range map[string]string{"write_note": "text", "read_note": "name"} {
		r.uses["notes/"+name] = Use{Memory: true, Meanings: map[string]scope.Role{text: scope.RoleID}}
	}
	m.Reread()
	r.does(m, "b", "c_3", "notes", "read_note", `{"name":"shelf"}`, note)
	if f := flowOf(m, r, callOf("b", "c_4", "mail", "read_mail", `{}`)); !f.Run.SawUntrusted {
		t.Errorf("%+v", f.Run)
	}
}

// Many items are as good as none: the whole server takes what is on one of them.
func TestMemoryOfManyItems(t *testing.T) {
	k := &kept{items: map[string]taint{}, loaded: true}
	for i := range maxItems {
		k.wrote(fmt.Sprint("k", i), true, taint{})
	}
	k.wrote("one more", true, taint{untrusted: true})
	if len(k.items) > maxItems || !k.read("k1", true).untrusted || !k.read("one more", true).untrusted {
		t.Errorf("%d items, %+v", len(k.items), k.whole)
	}
}

// However runs, children, sessions, restarts, drops and reads of a memory are
// mixed: what a run has read, and what those had read whose notes it reads, a
// decision about it sees from then on.
func TestLabelsNeverShrinkThroughMemories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := notes()
		m := New(r, r, scope.Default)
		runs := []string{"a", "b", child, "c"}
		tainted := map[string]bool{} // runs, and items as "note x"
		id := 0
		next := func() string { id++; return fmt.Sprint("c_", id) }
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			run := rapid.SampledFrom(runs).Draw(t, "run")
			if run == child && len(r.acts[child]) == 0 {
				tainted[child] = tainted["b"] // it begins with what b has read until then
			}
			item := rapid.SampledFrom([]string{"x", "y", "Z"}).Draw(t, "item")
			var flow *sallyport.Flow
			switch rapid.SampledFrom([]string{"evil", "clean", "write", "write anywhere", "read", "search", "restart", "drop"}).Draw(t, "step") {
			case "evil":
				flow = r.does(m, run, next(), "mail", "read_mail", `{"id":"1"}`, evil)
				r.check(t, tainted, run, flow)
				tainted[run] = true
				continue
			case "clean":
				flow = r.does(m, run, next(), "mail", "read_mail", `{"id":"1"}`, `{"content":[],"structuredContent":{"id":"msg_1"}}`)
			case "write":
				flow = r.does(m, run, next(), "notes", "write_note", fmt.Sprintf(`{"name":%q,"text":"x"}`, item), `{}`)
				r.check(t, tainted, run, flow)
				tainted["note "+item] = tainted["note "+item] || flow.Run.SawUntrusted
				continue
			case "write anywhere":
				flow = r.does(m, run, next(), "notes", "write_note", fmt.Sprintf(`{"name":"../%s","text":"x"}`, item), `{}`)
				for _, other := range []string{"x", "y", "Z"} {
					tainted["note "+other] = tainted["note "+other] || flow.Run.SawUntrusted
				}
			case "read":
				flow = r.does(m, run, next(), "notes", "read_note", fmt.Sprintf(`{"name":%q}`, item), note)
				r.check(t, tainted, run, flow)
				tainted[run] = tainted[run] || tainted["note "+item]
				continue
			case "search":
				flow = r.does(m, run, next(), "notes", "search", `{"words":"rent"}`, note)
				r.check(t, tainted, run, flow)
				tainted[run] = tainted[run] || tainted["note x"] || tainted["note y"] || tainted["note Z"]
				continue
			case "restart":
				m = New(r, r, scope.Default)
				continue
			default:
				delete(m.runs, run)
				continue
			}
			r.check(t, tainted, run, flow)
		}
	})
}

func (r *record) check(t *rapid.T, tainted map[string]bool, run string, flow *sallyport.Flow) {
	if tainted[run] && !flow.Run.SawUntrusted {
		t.Fatalf("run %s has lost its label: %+v", run, flow.Run)
	}
	if flow.Run.SawUntrusted && !slices.Contains(flow.Labels(), sallyport.LabelSawUntrusted) {
		t.Fatalf("it is not in the entry: %v", flow.Labels())
	}
}

func (r *record) Written(_ context.Context, server string, most int) ([]Act, bool, error) {
	return r.written[server], r.writtenMore, r.writtenErr
}

// Who overwrites an item clears nothing: the server may keep what was there.
func TestOverwritingClearsNothing(t *testing.T) {
	for _, known := range []bool{true, false} {
		k := &kept{items: map[string]taint{}, loaded: true}
		k.wrote("x", known, taint{untrusted: true})
		k.wrote("x", known, taint{private: true})
		if got := k.read("x", true); got != worst {
			t.Errorf("by its key %v: %+v", known, got)
		}
	}
}

// One argument is the key, or none is.
func TestKeys(t *testing.T) {
	args := sallyport.MustParse(`{"name":"Todo","folder":"work"}`)
	for name, c := range map[string]struct {
		meanings map[string]scope.Role
		want     string
	}{
		"an id":         {map[string]scope.Role{"name": scope.RoleID}, "todo"},
		"a path":        {map[string]scope.Role{"name": scope.RolePath}, "todo"},
		"two":           {map[string]scope.Role{"name": scope.RoleID, "folder": scope.RolePath}, ""},
		"another thing": {map[string]scope.Role{"name": scope.RoleContent}, ""},
		"none":          {nil, ""},
	} {
		if key, known := keyOf(c.meanings, args); key != c.want || known != (c.want != "") {
			t.Errorf("%s: %q %v", name, key, known)
		}
	}
}

// What comes back of a memory is as bad as the worst of what was written there,
// without any rule about its fields, too; and where nobody could say, the worst.
func TestDeclarationOfAMemory(t *testing.T) {
	r := notes()
	m := New(r, r, scope.Default)
	call := callOf("b", "c_1", "notes", "search", `{}`)
	for name, set := range map[string]func(){
		"nobody could say": func() { m.kept = map[string]*kept{} },
		"the worst":        func() { m.kept["notes"] = &kept{loaded: true, all: worst} },
	} {
		set()
		if d := m.declaration(call); d.Trust != provenance.Community || d.Readers != sallyport.ReadersPrivate || d.Rules[0].Origin != (sallyport.Origin{Writer: sallyport.WriterUntrusted}) {
			t.Errorf("%s: %+v", name, d)
		}
	}
	m.kept["notes"] = &kept{loaded: true}
	if d := m.declaration(call); d.Trust != provenance.FirstParty || d.Readers != sallyport.ReadersPublic || d.Verbatim {
		t.Errorf("nobody wrote: %+v", d)
	}
	call.Kind = sallyport.KindResource
	if !m.declaration(call).Verbatim {
		t.Error("a resource is handed out as somebody wrote it")
	}
}
