package gateway

import (
	"errors"
	"testing"

	"sallyport"
)

// What a door refuses of itself is on the record, in the run of who asked.
func TestADoorsRefusalIsRecorded(t *testing.T) {
	g, w := open(t)
	err := g.Refuse(t.Context(), sallyport.Credential{}, pay(), sallyport.Refuse(sallyport.CausePolicy, "it touches what is ours"))
	refusedBecause(t, err, sallyport.CausePolicy)
	last := w.records[len(w.records)-1].Entry
	if last.Type != sallyport.Refusal || last.Reason != "it touches what is ours" || last.Call == "" || last.Principal.Agent == "" {
		t.Errorf("%+v", last)
	}
	before := len(w.records)
	w.unknown = true
	refusedBecause(t, g.Refuse(t.Context(), sallyport.Credential{}, pay(), sallyport.Refuse(sallyport.CausePolicy, "x")), sallyport.CauseIdentity)
	if _, err := g.Happened(t.Context(), sallyport.Credential{}, pay()); err == nil || len(w.records) != before {
		t.Error("whoever has no credential fills the log")
	}
}

// A call that nobody asked about is on the record as one that had no
// permission, and is never taken for one that was allowed.
func TestWhatHappenedUnaskedIsRecorded(t *testing.T) {
	g, w := open(t)
	ticket, err := g.Happened(t.Context(), sallyport.Credential{}, pay())
	if err != nil {
		t.Fatal(err)
	}
	intent := w.records[len(w.records)-1].Entry
	if intent.Type != sallyport.Intent || intent.Verdict != sallyport.Deny || !intent.Observed || len(intent.Effects) == 0 {
		t.Errorf("%+v", intent)
	}
	if got := w.memory(); got != "did pay" {
		t.Errorf("what the run has done: %s", got)
	}
	if _, err := ticket.Close(t.Context(), Answer{}, ErrUnanswered); !errors.Is(err, ErrUnanswered) {
		t.Error(err)
	}
	if last := w.records[len(w.records)-1].Entry; last.Outcome != sallyport.OutcomeUnknown {
		t.Errorf("%+v", last)
	}
	w.runEnded = true
	if _, err := g.Happened(t.Context(), sallyport.Credential{}, pay()); err == nil {
		t.Error("something happened in a run that has ended, as if it went on")
	}
}

// What the agent has already is remembered also where a rule would have kept
// it back, and its outcome never says that it was.
func TestWitness(t *testing.T) {
	g, w := open(t)
	w.observe = false
	flowRules(t, g, `permit (principal, action, resource);
@id("none-of-it") @on("result") forbid (principal, action, resource) when { context.result.text like "*secret*" };`)
	w.flow = &sallyport.Flow{}
	for _, c := range []struct {
		result  string
		failed  bool
		refused bool
		outcome sallyport.Outcome
	}{
		{`{"content":[{"type":"text","text":"fine"}]}`, false, false, sallyport.OutcomeOK},
		{`{"content":[{"type":"text","text":"broken"}]}`, true, false, sallyport.OutcomeToolErr},
		{`{"content":[{"type":"text","text":"secret"}]}`, false, true, sallyport.OutcomeOK},
	} {
		ticket, err := g.Open(t.Context(), sallyport.Credential{}, pay())
		if err != nil {
			t.Fatal(err)
		}
		w.memory()
		_, refused, err := ticket.Witness(t.Context(), sallyport.MustParse(c.result), c.failed)
		if (refused != nil) != c.refused || err != nil {
			t.Errorf("%s: %v, %v", c.result, refused, err)
		}
		last := w.records[len(w.records)-1]
		if got := w.memory(); got != "saw "+c.result+" scanner/unasked" || last.Entry.Outcome != c.outcome || string(last.Result) != c.result || (last.Entry.Reason != "") != c.refused {
			t.Errorf("%s: %s, %+v", c.result, got, last.Entry)
		}
	}
	ticket, err := g.Open(t.Context(), sallyport.Credential{}, pay())
	if err != nil {
		t.Fatal(err)
	}
	w.appendErr = errors.New("the disk is full")
	if _, _, err := ticket.Witness(t.Context(), sallyport.MustParse(`{}`), false); err == nil {
		t.Error("nobody is told that it could not be recorded")
	}
}
