package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"sallyport"
	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/memory"
	"sallyport/internal/provenance"
	"sallyport/internal/store"
)

// past is what is on the record of runs, for their memories.
type past struct {
	store *store.Store
	runs  *identity.Runs
}

// Acts implements memory.Past. What a server asked was read by the agent like a
// result.
func (p past) Acts(ctx context.Context, run string, most int) (acts []memory.Act, more bool, err error) {
	found, err := p.store.Query(ctx, store.Filter{Run: run, Type: sallyport.Intent, Limit: most + 1})
	if err != nil {
		return nil, false, err
	}
	if more = len(found) > most; more {
		found = found[:most]
	}
	slices.Reverse(found)
	for _, f := range found {
		if f.Entry.Kind == sallyport.KindAnswer {
			continue // the agent's own words
		}
		act := memory.Act{Call: f.Entry.Call, Server: f.Entry.Server, Tool: f.Entry.Name, Effects: f.Entry.Effects}
		if f.Entry.Kind != sallyport.KindTool {
			act.Effects = []sallyport.Effect{sallyport.Read}
		}
		act.Withheld = f.Outcome != nil && f.Outcome.Outcome == sallyport.OutcomeWithheld
		opened, err := p.store.Show(ctx, f.Entry.Call)
		if err != nil {
			return nil, false, err
		}
		for _, o := range opened {
			if o.Args != nil {
				act.Args, _ = sallyport.Parse(o.Args.Text) // what can't be read is not there
			}
			if o.Result != nil {
				act.Result, _ = sallyport.Parse(o.Result.Text)
			}
		}
		if f.Entry.Kind == sallyport.KindAsk {
			act.Result = act.Args
		}
		acts = append(acts, act)
	}
	return acts, more, nil
}

// Words implements memory.Past.
func (p past) Words(ctx context.Context, run string) ([]memory.Word, error) {
	shown, err := p.runs.Show(ctx, identity.AtSocket(), run)
	if errors.Is(err, identity.ErrNoRun) {
		return nil, nil // a standing run that nobody has told anything
	}
	if err != nil {
		return nil, err
	}
	var words []memory.Word
	for _, word := range shown.Words {
		if word.Gone != "" {
			return nil, fmt.Errorf("what was said to run %s is not there any more: %s", run, word.Gone)
		}
		words = append(words, memory.Word{Text: word.Text, Strength: word.Strength})
	}
	return words, nil
}

// told passes the user's words on to a run's memory once they are on the record.
type told struct {
	runLog
	memories *memory.Memories
}

// RecordRun implements identity.RunLog.
func (t told) RecordRun(ctx context.Context, change gateway.RunChange) (uint64, error) {
	index, err := t.runLog.RecordRun(ctx, change)
	var word struct {
		Strength sallyport.Strength
		Text     string
	}
	if err == nil && json.Unmarshal(change.Words, &word) == nil && word.Text != "" {
		t.memories.Said(change.Run.ID, memory.Word{Text: word.Text, Strength: word.Strength})
	}
	return index, err
}

// Definitions implements memory.Servers.
func (a *App) Definitions() []sallyport.Definition { return a.pins.Definitions() }

// Declaration implements memory.Servers.
func (a *App) Declaration(server string) provenance.Declaration {
	return provenance.Declaration{Trust: trust(a.config().Servers[server])}
}

func trust(s config.Server) provenance.Trust {
	switch {
	case s.Trust == "first-party", s.Trust == "" && s.Builtin != "":
		return provenance.FirstParty
	case s.Trust == "vetted":
		return provenance.Vetted
	default:
		return provenance.Community
	}
}
