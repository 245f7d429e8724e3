package proof

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"sallyport"
)

// A report counts what it does not show, and says so.
func TestReportIsHonest(t *testing.T) {
	l := newLogbook(t, 3)
	l.entries[0].Observed, l.entries[0].Verdict = true, sallyport.Deny
	l.entries[3].Outcome = sallyport.OutcomeUnknown
	l.entries = append(l.entries, sallyport.Entry{Type: sallyport.Intent, Call: "c_open", Verdict: sallyport.Allow},
		sallyport.Entry{Type: sallyport.Change, Subject: "stop"})
	texts := l.texts()
	export := Header{Key: l.key, Checkpoint: string(l.checkpoint(texts))}.Append(nil)
	for i, text := range texts {
		export = append(append(export, text...), '\n')
		if i == 0 {
			export = Opening{Index: 0, Args: &Payload{Text: l.args[0]}}.Append(export)
		}
	}
	r := l.verify(export, Options{Checkpoints: [][]byte{l.checkpoint(texts[:5])}})
	if !r.OK() {
		t.Fatalf("%s", r)
	}
	first, _ := sallyport.ParseEntry(texts[0])
	last, _ := sallyport.ParseEntry(texts[7])
	if r.Observed != 1 || r.Unknown != 1 || !slices.Equal(r.Open, []string{"c_open"}) || r.Sealed != 3 || r.Opened != 1 ||
		!r.First.Equal(first.Time) || !r.Last.Equal(last.Time) || r.Types[sallyport.Change] != 1 || r.Origin != l.signer.Name() || r.Size != 8 {
		t.Errorf("%+v", r)
	}
	wantSaid := func(where []string, all ...string) {
		t.Helper()
		if len(where) != len(all) {
			t.Errorf("%d sentences, want %d: %q", len(where), len(all), where)
			return
		}
		for i, part := range all {
			if !strings.Contains(where[i], part) {
				t.Errorf("%q does not say %q", where[i], part)
			}
		}
	}
	wantSaid(r.Checked(), "over 8 entries is signed", "8 entries, 2026-11-22T00:00:00Z to 2026-11-22T00:00:07Z", "1 payloads are those",
		"only grown since the checkpoint over 5 entries")
	wantSaid(r.NotCovered(), "vouches for itself", "of the entries from 5 on can't be seen", "2 payloads are not in the file",
		"1 intents have no outcome", `1 outcomes are "unknown"`, "1 calls went through although", "Entries made after the checkpoint")

	// A checkpoint as long as the log leaves no rewrite unseen.
	r = l.verify(export, Options{Key: l.key, Checkpoints: [][]byte{l.checkpoint(texts)}})
	if all := strings.Join(r.NotCovered(), " "); !r.OK() || strings.Contains(all, "can't be seen") || strings.Contains(all, "vouches") {
		t.Errorf("%s", r)
	}
	// A report of what is wrong has verified nothing.
	r = l.verify(bytes.Replace(export, []byte("grace"), []byte("mallo"), 1), Options{Key: l.key})
	if r.OK() || len(r.Checked()) != 0 || strings.Contains(r.String(), "Verified:") || !strings.Contains(r.String(), "WRONG:") {
		t.Errorf("%s", r)
	}
}

// Entries that are left out are counted, and nothing is said of them.
func TestReportCountsMissing(t *testing.T) {
	l := newLogbook(t, 3)
	texts := l.texts()
	export := append(Header{Key: l.key, Checkpoint: string(l.checkpoint(texts))}.Append(nil), gap(hashes(texts), 0, 3)...)
	export = append(append(export, texts[3]...), '\n') // an outcome whose intent is left out
	export = append(export, gap(hashes(texts), 4, 6)...)
	r := l.verify(export, Options{Key: l.key})
	if !r.OK() || r.Entries != 1 || r.Missing != 5 || !strings.Contains(strings.Join(r.NotCovered(), " "), "5 of the log's 6 entries are not in the file") {
		t.Errorf("%s", r)
	}
}

// A hundred problems are spelled out, and the others counted.
func TestManyProblems(t *testing.T) {
	l := newLogbook(t, 100)
	texts := l.texts()
	slices.Reverse(texts)
	r := l.verify(l.export(texts, l.checkpoint(texts)), Options{Key: l.key})
	if len(r.Problems) != maxProblems || r.ProblemCount <= maxProblems || !strings.Contains(r.String(), "more") {
		t.Errorf("%d of %d problems", len(r.Problems), r.ProblemCount)
	}
}

// A header that is not a whole line is none.
func TestHeaderIsALine(t *testing.T) {
	l := newLogbook(t, 0)
	export := l.export(nil, l.checkpoint(nil))
	if _, err := Verify(bytes.NewReader(export[:len(export)-1]), Options{Key: l.key}); err == nil {
		t.Error("no error")
	}
}
