package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/wire"
)

// newModernFoe is a stateless server, written by hand, that answers every tools/call with what answer gives.
func newModernFoe(t *testing.T, limits Limits, answer func(m wire.Message) string) (*hall, *seen) {
	log := &seen{}
	return newHall(t, Server{Limits: limits, URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m, err := wire.Parse(body)
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		log.note(m.Method, "", string(m.Params.Raw()), r.Header.Clone())
		w.Header().Set("Content-Type", "application/json")
		result := `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"public"}`
		if m.Method != "server/discover" {
			result = answer(m)
		}
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID.Raw(), result)
	}))}), log
}

// TestRoundsEnd: an agent of the session era is not asked for ever by a stateless server.
func TestRoundsEnd(t *testing.T) {
	a := agent{revision: wire.Revision20250618, session: "s1"}
	for name, c := range map[string]struct{ result, want string }{
		"for ever":       {`{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}},"requestState":"x"}`, "never answered"},
		"URL":            {`{"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create","params":{"mode":"url"}}}}`, "open a URL"},
		"a task":         {`{"resultType":"task","taskId":"1"}`, `"task"`},
		"something else": {`{"resultType":"surprise"}`, `"surprise"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, log := newModernFoe(t, Limits{}, func(wire.Message) string { return c.result })
			client := &clientEnd{answer: func(context.Context, wire.Message) (gateway.Answer, error) {
				return gateway.Answer{Result: sallyport.MustParse(`{"roots":[]}`)}, nil
			}}
			_, err := a.execute(t.Context(), h, "tools/call", `{"name":"x"}`, client)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error: %v", err)
			}
			if n := log.count("tools/call"); n > maxRounds {
				t.Errorf("%d rounds", n)
			}
		})
	}
}

func TestRoundsCarryState(t *testing.T) {
	h, log := newModernFoe(t, Limits{}, func(m wire.Message) string {
		switch state, _ := m.Params.Get("requestState").Text(); state {
		case "":
			return `{"resultType":"input_required","requestState":"busy \u00e4"}` // nothing is asked: it is busy
		case "busy ä":
			return `{"resultType":"input_required","requestState":"asked","inputRequests":{"k":{"method":"roots/list","params":{}}}}`
		default:
			return `{"resultType":"complete","content":[{"type":"text","text":"done"}]}`
		}
	})
	client := &clientEnd{answer: func(context.Context, wire.Message) (gateway.Answer, error) {
		return gateway.Answer{Result: sallyport.MustParse(`{"roots":[ ]}`)}, nil
	}}
	a := agent{revision: wire.Revision20251125, session: "s1"}
	answer, err := a.execute(t.Context(), h, "tools/call", `{"name":"x","arguments":{"n":9007199254740993}}`, client)
	if textOf(t, answer, err) != "done" || answer.Result.Get("resultType").Type() != sallyport.Absent {
		t.Errorf("%s", answer.Result.Raw())
	}
	got := log.last("tools/call").Params
	for _, want := range []string{`"arguments":{"n":9007199254740993}`, `"inputResponses":{"k":{"roots":[ ]}}`, `"requestState":"asked"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}

// TestNoMeaning: what the other era has no word for is an error of the protocol, and the server hears nothing of it.
func TestNoMeaning(t *testing.T) {
	modern, log := newModernFoe(t, Limits{}, func(wire.Message) string { return `{}` })
	old, f := newFoe(t, Limits{}, nil)
	for _, c := range []struct {
		h      *hall
		a      agent
		method string
	}{
		{modern, agent{revision: wire.Revision20251125, session: "s1"}, "tasks/result"},
		{modern, agent{revision: wire.Revision20251125, session: "s1"}, "tasks/list"},
		{modern, agent{revision: wire.Revision20251125, session: "s1"}, "tasks/get"},
		{modern, agent{revision: wire.Revision20251125, session: "s1"}, "tasks/cancel"},
		{old, agent{revision: wire.Stateless}, "tasks/get"},
		{old, agent{revision: wire.Stateless}, "tasks/cancel"},
		{old, agent{revision: wire.Stateless}, "tasks/update"},
	} {
		answer, err := c.a.query(t.Context(), c.h, c.method, `{"taskId":"1"}`)
		if code := string(answer.Error.Get("code").Raw()); err != nil || code != "-32601" {
			t.Errorf("%s: %v %s", c.method, err, answer.Error.Raw())
		}
		if log.count(c.method)+f.log.count(c.method) > 0 {
			t.Errorf("%s reached the server", c.method)
		}
	}
}

// TestNoTaskWithoutItsEra: tasks of the session era are nothing that a stateless agent could follow.
func TestNoTaskWithoutItsEra(t *testing.T) {
	h, f := newFoe(t, Limits{}, nil)
	answer, err := agent{revision: wire.Stateless}.execute(t.Context(), h, "tools/call", `{"name":"x","arguments":{},"task":{"ttl":1}}`, nil)
	if code := string(answer.Error.Get("code").Raw()); err != nil || code != "-32602" {
		t.Errorf("%v %s", err, answer.Error.Raw())
	}
	if f.log.count("tools/call") > 0 {
		t.Error("it reached the server")
	}
}

// TestWaitingForTheAgentIsNoSilence: while a human thinks about a question, the server has nothing to say.
func TestWaitingForTheAgentIsNoSilence(t *testing.T) {
	t.Parallel()
	answered := make(chan struct{})
	h, f := newFoe(t, Limits{Silence: 200 * time.Millisecond}, func(w http.ResponseWriter, _ *http.Request, m wire.Message) {
		say := events(w)
		say("data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"roots/list\"}\n\n")
		<-answered
		say("data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n\n", m.ID.Raw(), wellResult)
	})
	client := &clientEnd{answer: func(context.Context, wire.Message) (gateway.Answer, error) {
		time.Sleep(700 * time.Millisecond)
		return gateway.Answer{Result: sallyport.MustParse(`{"roots":[]}`)}, nil
	}}
	go func() {
		for f.log.count("answer") == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		close(answered)
	}()
	a := agent{revision: wire.Revision20251125, session: "s1"}
	answer, err := a.execute(t.Context(), h, "tools/call", `{"name":"asks"}`, client)
	if got := textOf(t, answer, err); got != "fine" {
		t.Errorf("got %q", got)
	}
}

// TestAnswerDoesNotWaitForTheStreamsEnd: a stream that is held open after its answer does not keep the call.
func TestAnswerDoesNotWaitForTheStreamsEnd(t *testing.T) {
	t.Parallel()
	h, _ := newFoe(t, Limits{}, func(w http.ResponseWriter, r *http.Request, m wire.Message) {
		events(w)("data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n\n", m.ID.Raw(), wellResult)
		<-r.Context().Done()
	})
	a := agent{revision: wire.Revision20251125, session: "s1"}
	ctx, cancel := context.WithTimeout(t.Context(), drainTime/2)
	defer cancel()
	if answer, err := a.execute(ctx, h, "tools/call", `{"name":"x"}`, nil); textOf(t, answer, err) != "fine" {
		t.Error("no answer")
	}
}
