package mcpdoor

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport"
)

// forms are those that count in a test: none without a text.
type forms struct {
	w    *world
	text string
}

func (f *forms) Text(context.Context, string) string { return f.text }

func (f *forms) Confirm(_ context.Context, shown *sallyport.Approval, yes bool, at time.Time) error {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	if f.w.asked.ID != shown.ID || f.w.asked.State != sallyport.Pending {
		return errors.New("not the question")
	}
	var err error
	if !yes {
		f.w.asked, err = f.w.asked.Refuse("ana", "declined in the agent's client", at)
	} else {
		f.w.asked, err = f.w.asked.Agree(at, sallyport.Answer{Group: "finance", By: "operator", At: at, Proof: "form"})
	}
	return err
}

const forming = `{"elicitation":{}}`

// Where a form counts the agent's user answers in the agent's own client. Nothing
// but a clear yes is one.
func TestForm(t *testing.T) {
	const ran, refused, waits = `"structuredContent":{"n":12}`, "declined in the agent's client", `"status":"pending_approval"`
	for name, c := range map[string]struct{ answer, says string }{
		"yes":                  {`{"action":"accept","content":{"approve":true}}`, ran},
		"no":                   {`{"action":"accept","content":{"approve":false}}`, refused},
		"declined":             {`{"action":"decline"}`, refused},
		"dismissed":            {`{"action":"cancel"}`, waits},
		"a word":               {`{"action":"accept","content":{"approve":"true"}}`, waits},
		"nothing":              {`{"action":"accept"}`, waits},
		"declined with a yes":  {`{"action":"decline","content":{"approve":true}}`, refused},
		"dismissed with a yes": {`{"action":"cancel","content":{"approve":true}}`, waits},
	} {
		for _, era := range eras {
			t.Run(name+"/"+era, func(t *testing.T) {
				defer soon(t)()
				w := serve(t, patient(t, "30s"))
				w.forbid(t, asks)
				w.forms = forms{w, "WRITE with desk / echo?"}
				var asked sallyport.Value
				var answered func() string
				if era == "session" {
					a := w.connect("/mcp/desk", anaToken, forming)
					next, leave, _ := a.open(a.request(t.Context(), http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"n":12}}}`))
					defer leave()
					asked = sallyport.MustParse(next())
					answered = func() string {
						a.post(`{"jsonrpc":"2.0","id":` + string(asked.Get("id").Raw()) + `,"result":` + c.answer + `}`)
						return next()
					}
				} else {
					a := w.modern("/mcp/desk", anaToken, forming)
					r := a.modernCall("echo", `{"n":12}`).value(t).Get("result")
					asked = r.Get("inputRequests").Get("ask-1")
					handle, _ := r.Get("requestState").Text()
					answered = func() string {
						g := a.retry("echo", `{"n":12}`, handle, `"inputResponses":{"ask-1":`+c.answer+`}`)
						if g.last() == "" {
							t.Errorf("no answer: %v", g.lastErr)
						}
						return g.last()
					}
				}
				p := asked.Get("params")
				if !asked.Get("method").IsText("elicitation/create") || !p.Get("message").IsText("WRITE with desk / echo?") ||
					p.Get("requestedSchema").Get("properties").Get("approve").Get("default").Type() != sallyport.False {
					t.Fatalf("asked: %s", asked.Raw())
				}
				if text := answered(); !strings.Contains(text, c.says) {
					t.Errorf("got %s, want %s", text, c.says)
				}
				if saw := w.seen(); (saw != "") != (c.says == ran) {
					t.Errorf("the server saw %q", saw)
				}
			})
		}
	}
}

// Where no form counts there is none, whatever the client can.
func TestNoForm(t *testing.T) {
	w := serve(t, patient(t, "30s"))
	w.forbid(t, asks)
	a := w.connect("/mcp/desk", anaToken, forming)
	if g := a.rpc("1", "tools/call", `{"name":"echo","arguments":{"n":12}}`); !strings.Contains(g.last(), `"status":"pending_approval"`) || len(g.events) > 0 {
		t.Errorf("got %+v", g)
	}
}
