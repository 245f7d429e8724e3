package mcpdoor

import (
	"strings"
	"testing"
	"time"

	"sallyport"
)

const asks = `
@id("big") @ask("finance") @because("Big numbers need a person.")
forbid (principal, action in [Action::"desk/tool:echo", Action::"desk/tool:slow", Action::"desk/resource:read"], resource);`

// A held call is told to wait as a model understands it, in both eras: a result,
// no error where that breaks nothing, what to do, until when, and the words that
// the person sees.
func TestHeldCallIsToldToWait(t *testing.T) {
	w := serve(t, Options{})
	w.forbid(t, asks)
	session, modern := w.connect("/mcp/desk", anaToken, `{}`), w.modern("/mcp/desk", anaToken, `{}`)
	all := w.modern("/mcp", anaToken, `{}`)
	for name, call := range map[string]func() got{
		"session":   func() got { return session.rpc("7", "tools/call", `{"name":"echo","arguments":{"n":12}}`) },
		"stateless": func() got { return modern.modernCall("echo", `{"n":12}`) },
		"all":       func() got { return all.modernCall("desk__echo", `{"n":12}`) },
	} {
		t.Run(name, func(t *testing.T) {
			r := call().value(t).Get("result")
			d := r.Get("_meta").Get("sallyport/decision")
			text, _ := firstText(r)
			want(t, "isError", string(r.Get("isError").Raw()), "false")
			want(t, "structured content", r.Get("structuredContent").Type().String(), "nothing")
			if stateless := name != "session"; r.Get("resultType").IsText("complete") != stateless {
				t.Errorf("resultType: %s", r.Raw())
			}
			w.mu.Lock()
			a := w.asked
			w.mu.Unlock()
			for member, text := range map[string]string{
				"status": "pending_approval", "approval": a.ID, "words": a.Digest.Words(), "cause": "hold", "expires": a.Expires.UTC().Format(time.RFC3339),
			} {
				if !d.Get(member).IsText(text) {
					t.Errorf("%s is %s, want %q", member, d.Get(member).Raw(), text)
				}
			}
			want(t, "retry", string(d.Get("retry_after_s").Raw()), "30")
			for _, part := range []string{a.ID, a.Digest.Words(), "finance", "identical call", "Nothing has been done", "Big numbers need a person.", "(call c_"} {
				if !strings.Contains(text, part) {
					t.Errorf("the text does not say %q: %s", part, text)
				}
			}
		})
	}
	want(t, "held calls at the server", w.seen(), "")

	// A tool that promises structured content can't be answered without, unless
	// it is an error.
	r := session.rpc("8", "tools/call", `{"name":"slow"}`).value(t).Get("result")
	want(t, "isError", string(r.Get("isError").Raw()), "true")
	want(t, "status", string(r.Get("_meta").Get("sallyport/decision").Get("status").Raw()), `"pending_approval"`)

	// Other kinds have no result of ours.
	e := session.rpc("9", "resources/read", `{"uri":"desk://note/1"}`).value(t).Get("error")
	if !e.Get("data").Get("status").IsText("pending_approval") || e.Get("data").Get("retry_after_s").Type() != sallyport.Number || e.Get("data").Get("approval").Type() != sallyport.String {
		t.Errorf("a held resource: %s", e.Raw())
	}
}

// What people say arrives: once the result of the tool, and the reason of a no.
func TestAnswersReachTheAgent(t *testing.T) {
	w := serve(t, Options{})
	w.forbid(t, asks)
	a := w.connect("/mcp/desk", anaToken, `{}`)
	call := func() sallyport.Value {
		return a.rpc("7", "tools/call", `{"name":"echo","arguments":{"n":12}}`).value(t).Get("result")
	}
	answer := func(yes bool) {
		t.Helper()
		w.mu.Lock()
		defer w.mu.Unlock()
		next, err := w.asked.Refuse("operator", "Too big for today", time.Now())
		if yes {
			next, err = w.asked.Agree(time.Now(), sallyport.Answer{Group: "finance", By: "operator"})
		}
		if err != nil {
			t.Fatal(err)
		}
		w.asked = next
	}
	call()
	answer(true)
	if r := call(); r.Get("structuredContent").Type() != sallyport.Object {
		t.Errorf("agreed to: %s", r.Raw())
	}
	want(t, "server", w.seen(), `desk tools/call echo {"n":12}`)
	if r := call(); !r.Get("_meta").Get("sallyport/decision").Get("status").IsText("pending_approval") {
		t.Errorf("a second one: %s", r.Raw())
	}
	answer(false)
	r := call()
	text, _ := firstText(r)
	d := r.Get("_meta").Get("sallyport/decision")
	if string(r.Get("isError").Raw()) != "true" || !strings.Contains(text, "Too big for today") || !d.Get("status").IsText("refused") ||
		d.Get("retry_after_s").Type() != sallyport.Absent || !d.Get("cause").IsText("approval") {
		t.Errorf("refused: %s", r.Raw())
	}
	want(t, "server", w.seen(), "")
}

// A definition that is gone by now may have promised anything.
func TestUnknownToolPromises(t *testing.T) {
	w := serve(t, Options{})
	x := &exchange{door: w.door}
	for name, want := range map[string]bool{"echo": false, "slow": true, "gone": true} {
		if got := x.promises(&sallyport.Call{Server: "desk", Name: name}); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
