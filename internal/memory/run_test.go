package memory

import (
	"context"
	"errors"
	"testing"

	"sallyport"
	"sallyport/internal/scope"
)

// An agent that begins a run below its own reads in the one and acts in the
// other: both know.
func TestRunsThatAnAgentBeginsShareItsMemory(t *testing.T) {
	child := sallyport.Run{ID: "child", Parent: "r", Memory: "r"}
	pay := func(run sallyport.Run) *sallyport.Call {
		call := callOf(run.ID, "c_9", "bank", "pay", `{"iban":"GB33BUKB20201555555555","amount":20}`)
		call.Run = run
		return call
	}
	for _, reads := range []sallyport.Run{{ID: "r"}, child} {
		r := newRecord()
		m := New(r, r, scope.Default)
		for _, run := range []sallyport.Run{{ID: "r"}, child} {
			if flowOf(m, r, pay(run)).Run.SawUntrusted {
				t.Error("something was read")
			}
		}
		call := callOf(reads.ID, "c_1", "mail", "read_mail", `{"id":"1"}`)
		call.Run = reads
		m.Did(call, &r.tools[0], flowOf(m, r, call))
		m.Saw(call, sallyport.MustParse(evil), nil)
		for _, acts := range []sallyport.Run{{ID: "r"}, child} {
			f := flowOf(m, r, pay(acts))
			if !f.Run.SawUntrusted || trace(f, "iban").Origin.Writer != sallyport.WriterUntrusted {
				t.Errorf("read in %s, and %s knows nothing of it: %+v", reads.ID, acts.ID, f)
			}
		}
		if flowOf(m, r, pay(sallyport.Run{ID: "other"})).Run.SawUntrusted {
			t.Error("a run that has nothing to do with it knows it, too")
		}
	}
}

// kin is a past that knows who stands above whom.
type kin struct {
	*record
	lineage []string
	err     error
}

func (k kin) Lineage(context.Context, sallyport.Run) ([]string, error) { return k.lineage, k.err }

// A memory is made of all that the lineage names, and of nothing when nobody
// can say what that is.
func TestMemoryIsMadeOfTheWholeLineage(t *testing.T) {
	for _, id := range []string{"grand", "r", "sibling", "child"} {
		r := newRecord()
		r.acts[id] = []Act{{Call: "c_1", Server: "mail", Tool: "read_mail", Effects: []sallyport.Effect{sallyport.Read},
			Args: sallyport.MustParse(`{"id":"1"}`), Result: sallyport.MustParse(evil)}}
		call := callOf("child", "c_2", "bank", "pay", `{"iban":"GB33BUKB20201555555555","amount":20}`)
		if f := flowOf(New(kin{record: r, lineage: []string{"grand", "r", "sibling", "child"}}, r, scope.Default), r, call); f == nil || !f.Run.SawUntrusted {
			t.Errorf("what %s has read is forgotten: %+v", id, f)
		}
		if f := flowOf(New(kin{record: r, err: errors.New("the database is gone")}, r, scope.Default), r, call); f != nil {
			t.Errorf("nobody knows what was read, and yet: %+v", f)
		}
	}
}
