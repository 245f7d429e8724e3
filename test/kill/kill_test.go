package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/kill"
	"sallyport/test/rig"
)

// bound is the latest that an effect may come after an acknowledged kill, on
// the slowest machine that tests run on. How late it really comes is measured
// by this directory's program.
const bound = 500 * time.Millisecond

func started(t *testing.T) *world {
	t.Helper()
	binary, err := rig.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w, err := begin(context.WithoutCancel(t.Context()), binary, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.end()
		if t.Failed() {
			t.Logf("the gateway said:\n%.4000s", w.Output())
		}
	})
	return w
}

// run runs a verb that must succeed.
func (w *world) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := w.sallyport(t.Context(), args...)
	if err != nil {
		t.Fatalf("%v\nthe gateway said:\n%.4000s", err, w.Output())
	}
	return out
}

// once opens a session, calls a tool in it and says what came back.
func (w *world) once(t *testing.T, agent, tool string) string {
	t.Helper()
	s, err := w.open(agent)
	if err != nil {
		return err.Error()
	}
	defer s.Close()
	answer, err := call(s, 2, tool, agent)
	if err != nil {
		return err.Error()
	}
	return answer
}

// until waits for what other goroutines bring about.
func until(t *testing.T, what string, true func() bool) {
	t.Helper()
	for range 2000 {
		if true() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("it did not come to it that %s", what)
}

// An agent that is killed while 64 sessions call has no effect from then on,
// whatever becomes of the gateway; the others go on.
func TestKilledWhileAllCall(t *testing.T) {
	w := started(t)
	victim := name(0)
	if got := w.once(t, victim, "risk"); !strings.Contains(got, "Held") {
		t.Fatalf("what people are asked about: %s", got)
	}
	var asked []struct{ ID string }
	if err := json.Unmarshal([]byte(w.run(t, "approvals", "list", "-o", "json")), &asked); err != nil || len(asked) != 1 {
		t.Fatalf("what people are asked: %v, %v", asked, err)
	}
	c, err := w.gather(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.leave()
	for i := range agents {
		until(t, name(i)+" acts", func() bool { return len(w.effects.of(name(i))) >= 2*each })
	}

	var done kill.Done
	out := w.run(t, "kill", "--agent", victim, "--reason", "it was taken over", "-o", "json")
	acknowledged := time.Now()
	if err := json.Unmarshal([]byte(out), &done); err != nil || done.Left != 0 || !done.Recorded {
		t.Errorf("%s, %v", out, err)
	}
	before := map[string]int{}
	for i := range agents {
		before[name(i)] = len(w.effects.of(name(i)))
	}
	until(t, "all sessions of the killed agent were refused", func() bool { return c.refusals(victim) >= 2*each })
	for i := 1; i < agents; i++ {
		until(t, name(i)+" goes on", func() bool { return len(w.effects.of(name(i))) >= before[name(i)]+2*each })
		if c.refusals(name(i)) != 0 {
			t.Errorf("%s was refused, too", name(i))
		}
	}
	time.Sleep(time.Until(acknowledged.Add(2 * bound)))
	if late := since(w.effects.of(victim), acknowledged); late > bound {
		t.Errorf("an effect came %s after the kill was acknowledged", late)
	}

	// What people had been asked on its behalf is dead, and stays so.
	if got := w.run(t, "approvals", "list", "-o", "json"); strings.TrimSpace(got) != "[]" {
		t.Errorf("still asked: %s", got)
	}
	if _, err := w.sallyport(t.Context(), "approvals", "approve", asked[0].ID, "--secret-file", w.secret); err == nil {
		t.Error("what a kill has refused was approved")
	}

	w.Kill()
	c.leave()
	if err := w.up(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	effects := len(w.effects.of(victim))
	for _, tool := range []string{"act", "risk"} {
		if got := w.once(t, victim, tool); !strings.Contains(got, "killed by the operator: it was taken over") {
			t.Errorf("after a restart: %s", got)
		}
	}
	if got := w.once(t, name(1), "act"); !strings.Contains(got, "done") {
		t.Errorf("the others after a restart: %s", got)
	}
	if len(w.effects.of(victim)) != effects {
		t.Error("the killed agent has effects after a restart")
	}
	w.run(t, "resume", done.ID, "--secret-file", w.secret)
	if got := w.once(t, victim, "act"); !strings.Contains(got, "done") {
		t.Errorf("after it was resumed: %s", got)
	}
	w.run(t, "log", "verify")
}

// since is how long after a time the last of others came, 0 when none did.
func since(all []time.Time, then time.Time) (late time.Duration) {
	for _, at := range all {
		late = max(late, at.Sub(then))
	}
	return late
}

// A drain finishes what runs, refuses what is new, and then the gateway is gone,
// in order. The next start serves.
func TestDrainFinishesWhatRuns(t *testing.T) {
	w := started(t)
	answers := make(chan string, agents)
	for i := range agents {
		go func() { answers <- w.once(t, name(i), "job") }()
	}
	for i := range agents {
		until(t, name(i)+" is at work", func() bool { return len(w.effects.of(name(i))) == 1 })
	}
	newcomer, err := w.open(name(0))
	if err != nil {
		t.Fatal(err)
	}
	drained := make(chan string, 1)
	go func() {
		out, err := w.sallyport(t.Context(), "drain", "--within", "1m", "-o", "json")
		drained <- fmt.Sprint(out, err)
	}()
	// Before that the newcomer would be under way itself.
	until(t, "the drain has begun", func() bool { return strings.Contains(string(w.Output()), "DRAINING") })
	until(t, "what is new is refused", func() bool {
		answer, err := call(newcomer, 2, "act", "new")
		return err == nil && strings.Contains(answer, "the gateway is about to stop")
	})
	for range agents {
		if got := <-answers; !strings.Contains(got, "done") {
			t.Errorf("what ran: %s", got)
		}
	}
	if got := <-drained; !strings.Contains(got, `"under_way": 8`) || !strings.Contains(got, `"left": 0`) {
		t.Errorf("the drain says %s", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if state, err := w.Wait(ctx); err != nil || !state.Success() {
		t.Errorf("the gateway: %v, %v", state, err)
	}
	if err := w.up(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if got := w.once(t, name(0), "act"); !strings.Contains(got, "done") {
		t.Errorf("after the next start: %s", got)
	}
	if got := outcomes(t, w, "job"); strings.Join(got, " ") != strings.TrimSpace(strings.Repeat("ok ", agents)) {
		t.Errorf("on record: %q", got)
	}
}

// A drain does not wait for ever: what has not ended in time is cut off, and on
// record as unknown.
func TestDrainEndsInTime(t *testing.T) {
	w := started(t)
	answer := make(chan string, 1)
	go func() { answer <- w.once(t, name(0), "stuck") }()
	until(t, "the job has begun", func() bool { return len(w.effects.of(name(0))) == 1 })
	if got := w.run(t, "drain", "--within", "200ms", "-o", "json"); !strings.Contains(got, `"under_way": 1`) || !strings.Contains(got, `"left": 1`) {
		t.Errorf("the drain says %s", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if state, err := w.Wait(ctx); err != nil || !state.Success() {
		t.Errorf("the gateway: %v, %v", state, err)
	}
	<-answer
	if got := outcomes(t, w, "stuck"); len(got) != 1 || got[0] != "unknown" {
		t.Errorf("on record: %q", got)
	}
}

// outcomes are how a tool's calls ended, by the record.
func outcomes(t *testing.T, w *world, tool string) (all []string) {
	t.Helper()
	var entries []struct{ Type, Name, Outcome string }
	if err := json.Unmarshal([]byte(w.run(t, "log", "query", "--limit", "0", "-o", "json")), &entries); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type == "outcome" && e.Name == tool {
			all = append(all, e.Outcome)
		}
	}
	return all
}

// stream opens a stream that no call of an agent's own ends, and is closed when
// it ends.
func (w *world) stream(t *testing.T, request *http.Request, agent string) <-chan struct{} {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		t.Fatalf("the stream of %s: %s %s", agent, response.Status, text)
	}
	t.Cleanup(func() { response.Body.Close() })
	over := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, response.Body)
		close(over)
	}()
	return over
}

// hearing opens the GET stream of a session.
func (w *world) hearing(t *testing.T, agent string) <-chan struct{} {
	t.Helper()
	s, err := w.open(agent)
	if err != nil {
		t.Fatal(err)
	}
	request, err := s.Request(http.MethodGet, "")
	if err != nil {
		t.Fatal(err)
	}
	return w.stream(t, request, agent)
}

// listening opens a subscription of the stateless era.
func (w *world) listening(t *testing.T, agent string) <-chan struct{} {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"rig","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
	request, err := http.NewRequest(http.MethodPost, "http://"+w.Listeners[agent]+"/mcp/act", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"} {
		request.Header.Set(name, value)
	}
	return w.stream(t, request, agent)
}

func ended(over <-chan struct{}, within time.Duration) bool {
	select {
	case <-over:
		return true
	case <-time.After(within):
		return false
	}
}

// What a killed agent hears on ends, and is not opened again; the others hear on.
func TestKillEndsStreams(t *testing.T) {
	w := started(t)
	theirs := map[string]<-chan struct{}{"GET": w.hearing(t, name(0)), "listen": w.listening(t, name(0))}
	others := map[string]<-chan struct{}{"GET": w.hearing(t, name(1)), "listen": w.listening(t, name(1))}
	s, err := w.open(name(0))
	if err != nil {
		t.Fatal(err)
	}
	w.run(t, "kill", "--agent", name(0), "--reason", "it was taken over")
	for which, over := range theirs {
		if !ended(over, 5*time.Second) {
			t.Errorf("the killed agent hears on: %s", which)
		}
	}
	for which, over := range others {
		if ended(over, bound) {
			t.Errorf("another agent hears nothing more: %s", which)
		}
	}
	request, err := s.Request(http.MethodGet, "")
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Fatalf("it may listen again: %s", response.Status)
	}
	if text, _ := io.ReadAll(response.Body); !strings.Contains(string(text), "killed by the operator") {
		t.Errorf("it is told: %s", text)
	}
}

// Streams that nobody ends don't keep a drain waiting.
func TestDrainEndsStreams(t *testing.T) {
	w := started(t)
	streams := []<-chan struct{}{w.hearing(t, name(0)), w.listening(t, name(0))}
	began := time.Now()
	if got := w.run(t, "drain", "--within", "1m", "-o", "json"); !strings.Contains(got, `"left": 0`) || time.Since(began) > 20*time.Second {
		t.Errorf("after %s the drain says %s", time.Since(began), got)
	}
	for _, over := range streams {
		if !ended(over, 5*time.Second) {
			t.Error("a stream is open after the drain")
		}
	}
}
