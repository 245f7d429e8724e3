package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/app/ruling"
	"sallyport/internal/control"
	"sallyport/internal/gateway"
	"sallyport/internal/policy"
	"sallyport/internal/policyhistory"
	"sallyport/internal/policytest"
	"sallyport/internal/store"
)

// ReadFiles reads the policies (*.cedar) and suites (*.test.yaml) that a
// command line names, directories with all below them.
func ReadFiles(paths []string) (control.Files, error) {
	var files control.Files
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			into := &files.Policies
			switch {
			case strings.HasSuffix(name, ".test.yaml"):
				into = &files.Suites
			case !strings.HasSuffix(name, ".cedar") && name != path:
				return nil
			}
			text, err := os.ReadFile(name)
			*into = append(*into, control.File{Name: name, Text: string(text)})
			return err
		})
		if err != nil {
			return files, err
		}
	}
	if len(paths) > 0 && files.Policies == nil && files.Suites == nil {
		// Without any, those of the configuration would be meant.
		return files, fmt.Errorf("there are no *.cedar or *.test.yaml files in %s", strings.Join(paths, ", "))
	}
	return files, nil
}

// PolicyText implements control.Policy.
func (a *App) PolicyText() []control.File {
	files := []control.File{}
	for _, file := range a.inForce().Files {
		files = append(files, control.File{Name: file.Name, Text: string(file.Text)})
	}
	return files
}

func policyFiles(files []control.File) []policy.File {
	var all []policy.File
	for _, file := range files {
		all = append(all, policy.File{Name: file.Name, Text: []byte(file.Text)})
	}
	return all
}

// ruling is policies under the configuration in force, or the files on disk
// when none are given.
func (a *App) ruling(files []control.File) (*ruling.Ruling, error) {
	if files == nil {
		return ruling.Read(a.configPath)
	}
	r := a.inForce()
	r.Files = policyFiles(files)
	return &r, nil
}

// ruled makes rules of them, with what the command line says.
func (a *App) ruled(files []control.File) (*ruling.Ruling, *policy.Rules, error) {
	r, err := a.ruling(files)
	if err != nil {
		return nil, nil, err
	}
	r = a.options.overlay(r, a.pins.All())
	rules, err := r.Load(a.pins.All())
	return r, rules, err
}

// CheckPolicy implements control.PolicyFiles.
func (a *App) CheckPolicy(_ context.Context, files control.Files) (control.Checked, error) {
	checked := control.Checked{Problems: []string{}, Looser: []string{}}
	r, err := a.ruling(files.Policies)
	var rules *policy.Rules
	if err == nil {
		rules, err = r.Load(a.pins.All())
	}
	if err != nil {
		checked.Problems = strings.Split(err.Error(), "\n")
		return checked, nil
	}
	checked.OK, checked.Rules = true, len(rules.All())
	a.changing.Lock()
	defer a.changing.Unlock()
	checked.Looser = append(checked.Looser, a.looser(r, rules)...)
	return checked, nil
}

// TestPolicy implements control.PolicyFiles.
func (a *App) TestPolicy(_ context.Context, files control.Files) (control.Tested, error) {
	tested := control.Tested{Problems: []string{}, Results: []control.TestResult{}, Coverage: []control.Coverage{}}
	r, rules, err := a.ruled(files.Policies)
	if err != nil {
		tested.Problems = strings.Split(err.Error(), "\n")
		return tested, nil
	}
	suites := policyFiles(files.Suites)
	if suites == nil {
		beside, err := ReadFiles(r.Config.Policy)
		if err != nil {
			return tested, err
		}
		suites = policyFiles(beside.Suites)
	}
	if len(suites) == 0 {
		return tested, errors.New("there are no tests: write them into *.test.yaml files beside the policies")
	}
	report, err := policytest.Run(rules, r.World(a.pins.All()), suites)
	if err != nil {
		tested.Problems = strings.Split(err.Error(), "\n")
		return tested, nil
	}
	tested.OK = report.Passed()
	for _, result := range report.Results {
		tested.Results = append(tested.Results, control.TestResult(result))
	}
	for _, c := range report.Coverage {
		tested.Coverage = append(tested.Coverage, control.Coverage{Rule: c.Rule.ID, Place: place(c.Rule), Fired: c.Fired})
	}
	return tested, nil
}

func place(rule sallyport.Rule) string { return fmt.Sprintf("%s:%d", rule.File, rule.Line) }

// recorded makes the call of an entry again. The entry keeps names; what else
// is known of the user is what the configuration says now.
func (a *App) recorded(opened *store.Opened) (*sallyport.Call, *sallyport.Definition, error) {
	e := &opened.Entry
	call := &sallyport.Call{ID: e.Call, Kind: e.Kind, Server: e.Server, Name: e.Name, Principal: e.Principal, Run: sallyport.Run{ID: e.Run, Parent: e.ParentRun}, Parent: e.Parent}
	if user, known := a.config().Users[e.Principal.User]; known {
		call.Principal.Roles, call.Principal.Groups, call.Principal.Attributes = user.Roles, user.Groups, user.Attributes
	}
	switch {
	case e.Kind == sallyport.KindTask:
		return nil, nil, fmt.Errorf("%s is judged as the call that opened the task, which is %s", e.Name, e.Parent)
	case opened.ArgsErr != nil:
		return nil, nil, fmt.Errorf("the arguments are not there any more: %w", opened.ArgsErr)
	case opened.Args != nil:
		args, err := sallyport.Parse(opened.Args.Text)
		if err != nil {
			return nil, nil, err
		}
		call.Args = args
	}
	var tool *sallyport.Definition
	if e.Kind == sallyport.KindTool {
		if tool = a.pins.Tool(e.Server, e.Name); tool == nil {
			return nil, nil, fmt.Errorf("%s is not among the accepted tools any more", e.Action)
		}
	}
	return call, tool, nil
}

// Why implements control.History.
func (a *App) Why(ctx context.Context, id string) (control.Why, error) {
	all, err := a.store.Show(ctx, id)
	if err != nil {
		return control.Why{}, err
	}
	decided := slices.IndexFunc(all, func(o store.Opened) bool { return o.Entry.Type != sallyport.Closed && o.Entry.Type != sallyport.Change })
	if decided < 0 {
		return control.Why{}, fmt.Errorf("%s was not decided: give the id of a call, or the index of an intent, a refusal or a hold", id)
	}
	e := all[decided].Entry
	why := control.Why{
		Call: e.Call, Action: e.Action, Agent: e.Principal.Agent, Verdict: e.Verdict.String(), Cause: string(e.Cause), Reason: e.Reason,
		Policy: e.Policy.String(), Origins: e.Origins, Rules: []control.Judgement{}, Approval: e.Approval, Approver: e.Approver,
	}
	why.Findings = e.Findings
	for _, o := range all {
		if o.Entry.Type == sallyport.Closed {
			why.Found, why.Modified = o.Entry.Findings, o.Entry.Modified
		}
	}
	if e.Cause != "" && !policyDecided(&e) {
		why.Note = "Policy did not decide this: the call was refused before, or the log could not be written."
	}
	call, tool, err := a.recorded(&all[decided])
	if err != nil {
		why.Note = strings.TrimSpace(why.Note + " What policy says now can't be told: " + err.Error())
		return why, nil
	}
	explanation := policy.Explain(a.rules.Load(), &sallyport.Facts{Call: call, Tool: tool, Flow: a.memories.Flow(ctx, call, tool), Findings: foundIn(&e)})
	now := explanation.Decision
	why.Now = control.Judged{Verdict: now.Verdict.String(), Reason: now.Reason, Policy: now.Policy.String()}
	if e.Policy != now.Policy && why.Note == "" {
		why.Note = "The policy has changed since; the rules below are those of now."
	}
	for _, j := range explanation.Rules {
		judgement := control.Judgement{
			Rule: j.Rule.ID, Place: place(j.Rule), Permit: j.Permit, Outcome: string(j.Outcome), Because: j.Rule.Because, Change: j.Change,
		}
		for _, r := range j.Reads {
			judgement.Reads = append(judgement.Reads, control.Reading(r))
		}
		why.Rules = append(why.Rules, judgement)
	}
	return why, nil
}

// foundIn are the findings of an entry, without their places.
func foundIn(e *sallyport.Entry) []sallyport.Finding {
	var all []sallyport.Finding
	for _, name := range gateway.FindingNames(e.Findings) {
		all = append(all, sallyport.FindingOf(name))
	}
	return all
}

// policyDecided reports whether a refusal or a hold is policy's.
func policyDecided(e *sallyport.Entry) bool {
	return e.Cause == sallyport.CausePolicy || e.Cause == sallyport.CauseHold || e.Cause == sallyport.CauseApproval
}

// past is every recorded call on which policy had a say.
func (a *App) past(ctx context.Context, wanted control.Past) (calls []policyhistory.Observed, entries []sallyport.Entry, skipped int, err error) {
	found, err := a.store.Query(ctx, store.Filter{Agent: wanted.Agent, Since: wanted.Since, Limit: math.MaxInt32})
	if err != nil {
		return nil, nil, 0, err
	}
	slices.Reverse(found) // oldest first
	for _, f := range found {
		e := &f.Entry
		passed := e.Type == sallyport.Intent
		if !passed && !policyDecided(e) || e.Kind == sallyport.KindTask {
			continue // the call that opened a task says all that an act on it could
		}
		opened, err := a.store.Open(ctx, e.Index)
		if err != nil {
			return nil, nil, 0, err
		}
		call, tool, err := a.recorded(&opened)
		if err != nil {
			skipped++
			continue
		}
		verdict := e.Verdict
		if passed && e.Approval != "" {
			verdict = sallyport.Hold // which people agreed to, and policy alone would not
		}
		calls = append(calls, policyhistory.Observed{Call: call, Tool: tool, Findings: foundIn(e), Flow: policyhistory.FlowOf(e, call.Args),
			Verdict: verdict, Passed: passed})
		entries = append(entries, *e)
	}
	return calls, entries, skipped, nil
}

// Replay implements control.History.
func (a *App) Replay(ctx context.Context, wanted control.Replay) (control.Replayed, error) {
	_, rules, err := a.ruled(wanted.Policies)
	if err != nil {
		return control.Replayed{}, &control.CodedError{Code: control.Failed, Text: err.Error()}
	}
	calls, entries, skipped, err := a.past(ctx, wanted.Past)
	if err != nil {
		return control.Replayed{}, err
	}
	replayed := control.Replayed{Calls: len(calls), Skipped: skipped, Changed: []control.ReplayedCall{}}
	for _, c := range calls {
		if c.Flow == nil {
			replayed.Unlabelled++
		}
	}
	for _, c := range policyhistory.Replay(rules, calls) {
		e := &entries[c.Record]
		replayed.Changed = append(replayed.Changed, control.ReplayedCall{
			Call: e.Call, Time: e.Time, Agent: e.Principal.Agent, Action: e.Action,
			Then: c.Then.String(), Now: c.Now.Verdict.String(), Reason: c.Now.Reason,
		})
	}
	return replayed, nil
}

// Suggest implements control.History.
func (a *App) Suggest(ctx context.Context, wanted control.Past) (control.Suggestion, error) {
	calls, _, skipped, err := a.past(ctx, wanted)
	if err != nil {
		return control.Suggestion{}, err
	}
	if len(calls) == 0 {
		return control.Suggestion{}, errors.New("no calls are recorded yet that a policy could be suggested from: let agents work for a while, for example with \"sallyport up --observe\"")
	}
	return control.Suggestion{Calls: len(calls), Skipped: skipped, Policy: policyhistory.Suggest(calls)}, nil
}
