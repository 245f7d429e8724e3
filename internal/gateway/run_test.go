package gateway

import (
	"context"
	"errors"
	"testing"

	"sallyport"
	"sallyport/internal/wire"
)

// A run that ends while its call is decided: nothing is committed, nothing is
// carried out.
func TestNothingIsCommittedInARunThatHasEnded(t *testing.T) {
	g, w := open(t)
	w.runEnded = true
	_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{})
	refusedBecause(t, err, sallyport.CauseIdentity)
	if len(w.executed) > 0 || w.entries() != "refusal shop/tool:pay identity" {
		t.Errorf("carried out: %v, log:\n%s", w.executed, w.entries())
	}
	w.runEnded = false
	begun(t, g, w)
	w.runEnded = true
	_, err = act(t, g, "tasks/cancel", `{"taskId":"t1"}`)
	refusedBecause(t, err, sallyport.CauseIdentity)
	if len(w.executed) > 0 {
		t.Error("the server was told to cancel")
	}
}

// What a server asks back is committed under the run, too.
func TestNothingIsAskedInARunThatHasEnded(t *testing.T) {
	g, w := open(t)
	asked := &agent{}
	w.execute = func(ctx context.Context, _ *Ticket, client Client) (Answer, error) {
		w.mu.Lock()
		w.runEnded = true
		w.mu.Unlock()
		ask, _ := wire.Parse([]byte(`{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"Sure?"}}`))
		_, err := client.Ask(ctx, ask)
		return Answer{}, err
	}
	_, err := g.Call(t.Context(), sallyport.Credential{}, pay(), asked)
	refusedBecause(t, err, sallyport.CauseIdentity)
	if len(asked.asked) > 0 {
		t.Error("the agent was asked")
	}
}

// The run is held while its intent is written, and let go then: while the
// server acts it may end.
func TestARunIsHeldWhileItsIntentIsWritten(t *testing.T) {
	g, w := open(t)
	w.committing = func() {
		if w.held != 1 {
			t.Errorf("%d runs are held while the intent is written", w.held)
		}
	}
	w.execute = func(context.Context, *Ticket, Client) (Answer, error) {
		if w.held != 0 {
			t.Errorf("%d runs are held while the server acts", w.held)
		}
		return Answer{Result: sallyport.MustParse(`{"content":[]}`)}, nil
	}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
		t.Error(err)
	}
	w.commitErr = errors.New("the disk is full")
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err == nil || w.held != 0 {
		t.Errorf("%v, and %d runs are still held", err, w.held)
	}
}

func TestEntriesNameTheRunAndItsParent(t *testing.T) {
	g, w := open(t)
	w.run = sallyport.Run{ID: "r_child", Parent: "r_parent"}
	if _, err := g.Call(t.Context(), sallyport.Credential{}, pay(), &agent{}); err != nil {
		t.Fatal(err)
	}
	for _, r := range w.records {
		if r.Entry.Run != "r_child" || r.Entry.ParentRun != "r_parent" {
			t.Errorf("%s entry of run %q below %q", r.Entry.Type, r.Entry.Run, r.Entry.ParentRun)
		}
	}
	if len(w.records) != 2 {
		t.Errorf("%d entries", len(w.records))
	}
}

// Another run of the same agent would read what this one has asked for.
func TestTasksBelongToTheirRun(t *testing.T) {
	g, w := open(t)
	begun(t, g, w)
	w.query = func(q *Query) (Answer, error) {
		return Answer{Result: sallyport.MustParse(`{"status":"working","tasks":[{"taskId":"t1"}]}`)}, nil
	}
	for _, run := range []sallyport.Run{{ID: "r_2"}, {ID: "r_2", Parent: "r_1"}, {}} {
		w.run = run
		_, err := get(t, g, "t1")
		refusedBecause(t, err, sallyport.CauseMethod)
		_, err = act(t, g, "tasks/cancel", `{"taskId":"t1"}`)
		refusedBecause(t, err, sallyport.CauseMethod)
		_, err = act(t, g, "tasks/update", `{"taskId":"t1"}`)
		refusedBecause(t, err, sallyport.CauseMethod)
		list, err := g.Query(t.Context(), sallyport.Credential{}, &Query{Server: "shop", Method: "tasks/list"})
		if err != nil || string(list.Result.Get("tasks").Raw()) != "[]" {
			t.Errorf("run %q lists %s, %v", run.ID, list.Result.Raw(), err)
		}
	}
	w.run = sallyport.Run{ID: "r_1", Standing: true}
	if _, err := get(t, g, "t1"); err != nil {
		t.Error(err)
	}
}

func TestChangesOfRunsAreOnTheRecord(t *testing.T) {
	g, w := open(t)
	change := RunChange{What: "run begun", Run: sallyport.Run{ID: "r_2", Parent: "r_1"}, Principal: w.principal,
		By: "orchestrator ci", Words: []byte(`{"text":"pay ana"}`)}
	if _, err := g.RecordRun(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	r := w.records[0]
	if e := r.Entry; e.Type != sallyport.Change || e.Subject != "run begun r_2" || e.By != "orchestrator ci" || e.Run != "r_2" ||
		e.ParentRun != "r_1" || e.Principal.Agent != "bot" || string(r.Args) != `{"text":"pay ana"}` {
		t.Errorf("%+v", r)
	}
	w.commitErr = errors.New("the disk is full")
	if _, err := g.RecordRun(t.Context(), change); err == nil {
		t.Error("a change that is not on the record took place")
	}
}
