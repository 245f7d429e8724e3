// Package past is what the record says of runs and of calls that are open: so
// that a gateway that starts knows what the one before it knew.
package past

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/memory"
	"sallyport/internal/store"
)

// Past is what is on the record of runs, for their memories.
type Past struct {
	Store *store.Store
	Runs  *identity.Runs
}

// Acts implements memory.Past. What a server asked was read by the agent like a
// result.
func (p Past) Acts(ctx context.Context, run string, most int) (acts []memory.Act, more bool, err error) {
	found, err := p.Store.Query(ctx, store.Filter{Run: run, Type: sallyport.Intent, Limit: most + 1})
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
		act := memory.Act{Kind: f.Entry.Kind, Call: f.Entry.Call, Server: f.Entry.Server, Tool: f.Entry.Name, Effects: f.Entry.Effects}
		if f.Entry.Kind != sallyport.KindTool && f.Entry.Kind != sallyport.KindTask {
			act.Effects = []sallyport.Effect{sallyport.Read}
		}
		act.Withheld = f.Outcome != nil && f.Outcome.Outcome == sallyport.OutcomeWithheld
		act.Changed = f.Outcome != nil && f.Outcome.Observed && len(f.Outcome.Modified) > 0
		switch {
		case f.Entry.Kind == sallyport.KindAsk:
			act.Found = names(f.Entry.Findings)
		case f.Outcome != nil && f.Outcome.Outcome != sallyport.OutcomeUnknown:
			act.Found = names(f.Outcome.Findings)
		}
		opened, err := p.Store.Show(ctx, f.Entry.Call)
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
	told, err := p.Store.Query(ctx, store.Filter{Run: run, Type: sallyport.Change, Subject: heard, Limit: most})
	for _, f := range told {
		acts = append(acts, memory.Act{Server: f.Entry.Server, Found: names(f.Entry.Findings)})
	}
	return acts, more, err
}

// names are those of the findings of an entry, never nil.
func names(lines []string) []string { return append([]string{}, gateway.FindingNames(lines)...) }

// Written are the calls that may have changed what a server keeps, for
// memory.Servers, with their arguments where those tell items apart. What people
// answered to a question of the server is kept there, too.
func (p Past) Written(ctx context.Context, server string, most int, items bool) (acts []memory.Act, more bool, err error) {
	found, err := p.Store.Query(ctx, store.Filter{Server: server, Type: sallyport.Intent, Limit: most + 1})
	if err != nil {
		return nil, false, err
	}
	if more = len(found) > most; more {
		found = found[:most]
	}
	for _, f := range found {
		e := &f.Entry
		switch e.Kind {
		case sallyport.KindAnswer:
		case sallyport.KindTool, sallyport.KindTask:
			if slices.Equal(e.Effects, []sallyport.Effect{sallyport.Read}) {
				continue
			}
		default:
			continue
		}
		act := memory.Act{Call: e.Call, Server: e.Server, Tool: e.Name, Effects: e.Effects, Labels: e.Labels}
		if items && e.Kind == sallyport.KindTool {
			opened, err := p.Store.Open(ctx, e.Index)
			if err != nil {
				return nil, false, err
			}
			if opened.Args != nil {
				act.Args, _ = sallyport.Parse(opened.Args.Text) // what can't be read is about no item
			}
		}
		acts = append(acts, act)
	}
	return acts, more, nil
}

// heard is the subject of an entry that says that a run was told something by a
// server that is on no record: progress, a log line, what a list said.
const heard = "run heard"

// Heard implements memory.Past.
func (p Past) Heard(ctx context.Context, call *sallyport.Call, found []string) error {
	return p.Store.Commit(ctx, &sallyport.Record{Entry: sallyport.Entry{
		Time: time.Now(), Type: sallyport.Change, Subject: heard, By: "gateway", Server: call.Server,
		Principal: call.Principal, Run: call.Run.ID, ParentRun: call.Run.Parent, Findings: found,
	}})
}

// Lineage implements memory.Past.
func (p Past) Lineage(ctx context.Context, run sallyport.Run) ([]string, error) {
	return p.Runs.Lineage(ctx, run)
}

// Words implements memory.Past.
func (p Past) Words(ctx context.Context, run string) ([]memory.Word, error) {
	shown, err := p.Runs.Show(ctx, identity.AtSocket(), run)
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

// Log is the log as far as runs need it. What it records is remembered.
type Log struct {
	*gateway.Gateway
	Store    *store.Store
	Memories *memory.Memories
}

var errNoWords = errors.New("this entry has no words")

// Words implements identity.RunLog.
func (l Log) Words(ctx context.Context, index uint64) ([]byte, error) {
	opened, err := l.Store.Show(ctx, strconv.FormatUint(index, 10))
	switch {
	case err != nil:
		return nil, err
	case opened[0].ArgsErr != nil:
		return nil, opened[0].ArgsErr
	case opened[0].Args == nil:
		return nil, errNoWords
	}
	return opened[0].Args.Text, nil
}

// Calls implements identity.RunLog.
func (l Log) Calls(ctx context.Context, run string) (calls, refused int, err error) {
	counts, err := l.Store.Runs(ctx, run, 1)
	if err != nil || len(counts) == 0 {
		return 0, 0, err
	}
	return counts[0].Calls, counts[0].Denied, nil
}

// RecordRun implements identity.RunLog.
func (l Log) RecordRun(ctx context.Context, change gateway.RunChange) (uint64, error) {
	index, err := l.Gateway.RecordRun(ctx, change)
	var word struct {
		Strength sallyport.Strength
		Text     string
	}
	if err == nil && json.Unmarshal(change.Words, &word) == nil && word.Text != "" {
		l.Memories.Said(change.Run.RememberedIn(), memory.Word{Text: word.Text, Strength: word.Strength})
	}
	return index, err
}

// lost stands for arguments that are not there any more. It fits no tool, so a
// task whose arguments nobody knows can be read and cancelled, but not fed.
var lost = sallyport.MustParse("null")

// taskMemory is how many of the last entries are searched for tasks that were
// open when the gateway stopped.
const taskMemory = 50_000

// Tasks runs over the tasks that were open when the gateway stopped, with the
// calls that opened them: whoever opened one may ask for it after a restart, and
// nobody else.
func Tasks(ctx context.Context, log *store.Store, runs *identity.Runs, each func(id string, call *sallyport.Call)) error {
	size, err := log.Size(ctx)
	if err != nil {
		return err
	}
	for e, err := range log.Entries(ctx, size-min(size, taskMemory), size) {
		if err != nil {
			return err
		}
		if e.Type == sallyport.Closed && e.Task != "" {
			each(e.Task, opening(ctx, log, runs, &e))
		}
	}
	return nil
}

// opening is the call that opened a task, of which e is the outcome.
func opening(ctx context.Context, log *store.Store, runs *identity.Runs, e *sallyport.Entry) *sallyport.Call {
	call := &sallyport.Call{
		ID: e.Call, Kind: e.Kind, Server: e.Server, Name: e.Name, Principal: e.Principal, Run: sallyport.Run{ID: e.Run, Parent: e.ParentRun},
		Parent: e.Parent, Args: lost,
	}
	if run, err := runs.Ref(ctx, call.Run); err == nil {
		call.Run = run
	}
	shown, err := log.Show(ctx, e.Call)
	if err != nil || shown[0].ArgsErr != nil {
		return call
	}
	call.Door, call.Args = shown[0].Entry.Door, sallyport.Value{}
	if shown[0].Args != nil {
		if call.Args, err = sallyport.Parse(shown[0].Args.Text); err != nil {
			call.Args = lost
		}
	}
	return call
}
