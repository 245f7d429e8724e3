package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/store"
)

// call is one record of the log as lists show it.
type call struct {
	Index    uint64    `json:"index"`
	Time     time.Time `json:"time"`
	Type     string    `json:"type"` // intent, refusal, hold, change
	Call     string    `json:"call,omitempty"`
	Agent    string    `json:"agent,omitempty"`
	User     string    `json:"user,omitempty"`
	Run      string    `json:"run,omitempty"`
	Server   string    `json:"server,omitempty"`
	Name     string    `json:"name,omitempty"`
	Action   string    `json:"action,omitempty"`
	Effects  []string  `json:"effects,omitempty"`
	Decision string    `json:"decision"` // allowed, observed, held, refused, change
	Cause    string    `json:"cause,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Rules    []string  `json:"rules,omitempty"`
	Origins  []string  `json:"origins,omitempty"`
	Labels   []string  `json:"labels,omitempty"`
	New      []string  `json:"new_labels,omitempty"` // of a run's timeline: that the call before did not have
	Findings []string  `json:"findings,omitempty"`
	Approval string    `json:"approval,omitempty"`
	Approver string    `json:"approver,omitempty"`
	Outcome  string    `json:"outcome,omitempty"`
	Took     string    `json:"took,omitempty"`
	Subject  string    `json:"subject,omitempty"`
	By       string    `json:"by,omitempty"`
}

func callOf(found store.Found) call {
	e := &found.Entry
	one := call{
		Index: e.Index, Time: e.Time, Type: string(e.Type), Call: e.Call, Agent: e.Principal.Agent, User: e.Principal.User, Run: e.Run,
		Server: e.Server, Name: e.Name, Action: e.Action, Effects: texts(e.Effects), Decision: decisionOf(e), Cause: string(e.Cause), Reason: e.Reason,
		Rules: e.Rules, Origins: e.Origins, Labels: texts(e.Labels), Findings: e.Findings, Approval: e.Approval, Approver: e.Approver,
		Subject: e.Subject, By: e.By,
	}
	if o := found.Outcome; o != nil {
		one.Outcome, one.Took = string(o.Outcome), o.Took.Round(100*time.Microsecond).String()
		one.Findings = append(one.Findings, o.Findings...)
	}
	return one
}

// decisionOf is how a call was decided, in one word.
func decisionOf(e *sallyport.Entry) string {
	switch e.Type {
	case sallyport.Intent:
		if e.Observed {
			return "observed"
		}
		return "allowed"
	case sallyport.Refusal:
		return "refused"
	case sallyport.Held:
		return "held"
	case sallyport.Closed:
		return "outcome"
	default:
		return "change"
	}
}

// What is done to what: the action and, of what has its name beside it, the name.
func (c call) What() string {
	switch {
	case c.Action == "":
		return c.Subject
	case strings.HasSuffix(c.Action, ":"+c.Name) || c.Name == "":
		return c.Action
	default:
		return c.Action + " " + c.Name
	}
}

func texts[T ~string](all []T) []string {
	var list []string
	for _, one := range all {
		list = append(list, string(one))
	}
	return list
}

// payload is what an entry commits to.
type payload struct {
	Text    string `json:"text,omitempty"`
	Problem string `json:"problem,omitempty"` // why it is not there
}

// entryData is everything about one call.
type entryData struct {
	Entries []shownEntry `json:"entries"`
	Call    string       `json:"call,omitempty"`
}

type shownEntry struct {
	call
	Canonical json.RawMessage `json:"entry"` // its bytes, as they are in the log
	Pretty    string          `json:"-"`
	Args      payload         `json:"args"`
	Result    payload         `json:"result"`
}

func (c *Console) entry(r *http.Request) (string, any, error) {
	opened, err := c.Log.Show(r.Context(), r.PathValue("id"))
	if err != nil {
		return "", nil, err
	}
	data := entryData{}
	for _, o := range opened {
		text := o.Entry.AppendCanonical(nil)
		shown := shownEntry{call: callOf(store.Found{Entry: o.Entry}), Canonical: text, Pretty: indent(text)}
		if o.Args != nil {
			shown.Args.Text = indent(o.Args.Text)
		}
		if o.Result != nil {
			shown.Result.Text = indent(o.Result.Text)
		}
		shown.Args.Problem, shown.Result.Problem = textOf(o.ArgsErr), textOf(o.ResultErr)
		if o.Entry.Type == sallyport.Closed {
			shown.Outcome, shown.Took = string(o.Entry.Outcome), o.Entry.Took.String()
		}
		data.Entries, data.Call = append(data.Entries, shown), o.Entry.Call
	}
	return "Entry", data, nil
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func indent(raw []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}
