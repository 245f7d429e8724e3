package flow

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport"
)

func entry(run, tool string, kind sallyport.EntryType, effect sallyport.Effect, labels ...sallyport.Label) sallyport.Entry {
	return sallyport.Entry{Type: kind, Kind: sallyport.KindTool, Principal: sallyport.Principal{Agent: "bot"}, Run: run, Server: "desk", Name: tool,
		Effects: []sallyport.Effect{effect}, Labels: labels}
}

func private(string) string { return "private" }

// lines are the edges in words.
func lines(m Map) []string {
	var all []string
	for _, e := range m.Edges {
		line := fmt.Sprintf("%s > %s %d", e.From.Name, e.To.Name, e.Calls)
		for i, on := range []bool{e.Blocked > 0, e.Held > 0, e.Untrusted, e.Private} {
			if on {
				line += []string{" blocked", " held", " untrusted", " private"}[i]
			}
		}
		all = append(all, line)
	}
	return all
}

// What a run does after it has read goes from the data that it had read; what
// another run does goes from its agent.
func TestWhatWentWhere(t *testing.T) {
	m := Of([]sallyport.Entry{
		entry("r_1", "send_email", sallyport.Intent, sallyport.Send),
		entry("r_1", "get_ticket", sallyport.Intent, sallyport.Read),
		entry("r_1", "send_email", sallyport.Refusal, sallyport.Send, sallyport.LabelSawUntrusted),
		entry("r_1", "issue_refund", sallyport.Held, sallyport.Pay),
		entry("r_2", "get_ticket", sallyport.Refusal, sallyport.Read),
		entry("r_2", "issue_refund", sallyport.Intent, sallyport.Pay, sallyport.LabelSawPrivate),
		{Type: sallyport.Change, Subject: "policy"},
	}, private)
	want := []string{
		"bot > desk / get_ticket 2 blocked", "bot > desk / issue_refund 1 private", "bot > desk / send_email 1",
		"desk / get_ticket > desk: private 1", "desk: private > desk / issue_refund 1 held", "desk: private > desk / send_email 1 blocked untrusted",
	}
	got := lines(m)
	slices.Sort(got)
	slices.Sort(want)
	if strings.Join(got, "\n") != strings.Join(want, "\n") || m.Calls != 6 {
		t.Errorf("%d calls:\n%s\nwant\n%s", m.Calls, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	p := m.Draw()
	if len(p.Boxes) != len(m.Nodes) || len(p.Lines) != len(m.Edges) {
		t.Errorf("%d boxes, %d lines", len(p.Boxes), len(p.Lines))
	}
	if last := p.Lines[len(p.Lines)-1]; last.Blocked+last.Held == 0 {
		t.Error("what was blocked is painted over")
	}
	for i, a := range p.Boxes {
		for _, b := range p.Boxes[:i] {
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%s covers %s", a.Name, b.Name)
			}
		}
		if a.X+a.W > p.Width || a.Y+a.H > p.Height {
			t.Errorf("%s is outside", a.Name)
		}
	}
}

// A thousand tools make no picture of a thousand boxes, and it says so.
func TestBounded(t *testing.T) {
	var entries []sallyport.Entry
	for i := range 1000 {
		entries = append(entries, entry("r_1", fmt.Sprint("tool", i), sallyport.Intent, sallyport.Send))
	}
	m := Of(entries, private)
	if len(m.Nodes) != 1+maxRows || m.Left != 1000-maxRows || len(m.Edges) != maxRows {
		t.Errorf("%d boxes, %d lines, %d left out", len(m.Nodes), len(m.Edges), m.Left)
	}
}
