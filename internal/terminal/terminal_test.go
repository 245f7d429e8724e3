package terminal

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport"
)

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain":            "plain",
		"naïve ünïcode ✓":  "naïve ünïcode ✓",
		"a\x1b[2Jb":        `a\u{1b}[2Jb`,
		"a\rb\nc\td":       `a\u{d}b\u{a}c\u{9}d`,
		"x\u202ey":         `x\u{202e}y`,
		"x\u200by":         `x\u{200b}y`,
		"tag\U000e0041":    `tag\u{e0041}`,
		"line\u2028sep":    `line\u{2028}sep`,
		"bad\xffutf8":      `bad\u{fffd}utf8`,
		"soft\u00adhyphen": `soft\u{ad}hyphen`,
	} {
		if got := Visible(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	if got := Indent("a\n\tb\x07\n", "  "); got != "  a\n  \tb\\u{7}" {
		t.Errorf("%q", got)
	}
}

func TestTableShowsCellsVisibly(t *testing.T) {
	var out bytes.Buffer
	table := NewTable(&out)
	table.Row("NAME", "STATE")
	table.Row("evil\x1b[1A", "")
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	if want := "NAME           STATE\nevil\\u{1b}[1A  -\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestColours(t *testing.T) {
	if Colored(&bytes.Buffer{}) {
		t.Error("a buffer is coloured")
	}
	if Paint(false, Red, "x") != "x" || !strings.Contains(Paint(true, Red, "x"), "\x1b[31m") {
		t.Error("Paint does not do as it is told")
	}
}

func TestSecretFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "secret")
	write := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	write("first line\r\nsecond\n", 0o600)
	if got, err := SecretFile(name, nil); err != nil || got != "first line" {
		t.Errorf("%q %v", got, err)
	}
	write("first line\n", 0o640)
	if _, err := SecretFile(name, nil); err == nil {
		t.Error("a secret that others can read was taken")
	}
	write("\nsecond\n", 0o600)
	if _, err := SecretFile(name, nil); err == nil {
		t.Error("an empty secret was taken")
	}
	if got, err := SecretFile("-", strings.NewReader("piped\n")); err != nil || got != "piped" {
		t.Errorf("%q %v", got, err)
	}
}

// A terminal that does not read must not hold a call up, and one that is
// closed must not end the program.
func TestConsoleNeverBlocks(t *testing.T) {
	out := &slow{gate: make(chan struct{})}
	c := NewConsole(out)
	go c.Show()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 5000 {
			c.Decided(&sallyport.Entry{Type: sallyport.Intent, Action: "a/tool:b"})
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("a slow terminal holds calls up")
	}
	close(out.gate)
	c.Close()
	c.Tell("too late")
	if !strings.Contains(out.String(), "lines left out") {
		t.Error("lines were left out silently")
	}
}

func TestConsoleLines(t *testing.T) {
	c := NewConsole(&bytes.Buffer{})
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	who := sallyport.Principal{Agent: "bot\x1b[0m", User: "ana"}
	for _, test := range []struct {
		entry sallyport.Entry
		want  string
	}{
		{sallyport.Entry{Type: sallyport.Intent, Action: "d/tool:x", Call: "c_1"}, `12:00:00  allow  d/tool:x  bot\u{1b}[0m for ana  c_1`},
		{sallyport.Entry{Type: sallyport.Refusal, Action: "d/tool:x", Reason: "no\nway", Call: "c_1"}, `deny   d/tool:x  bot\u{1b}[0m for ana  no\u{a}way  c_1`},
		{sallyport.Entry{Type: sallyport.Held, Action: "d/tool:x", Reason: "ask"}, "hold   d/tool:x"},
		{sallyport.Entry{Type: sallyport.Intent, Observed: true, Verdict: sallyport.Deny, Action: "d/tool:x", Reason: "no"}, "allow, but would deny  d/tool:x"},
		{sallyport.Entry{Type: sallyport.Intent, Kind: sallyport.KindResource, Action: "d/resource:read", Name: "d://1"}, "d/resource:read d://1"},
		{sallyport.Entry{Type: sallyport.Closed, Outcome: sallyport.OutcomeUnknown, Call: "c_1", Reason: "gone"}, "unknown  c_1 0s  gone"},
		{sallyport.Entry{Type: sallyport.Change, Subject: "policy", By: "operator"}, "change policy  by operator"},
	} {
		test.entry.Time, test.entry.Principal = at, who
		if got := c.Entry(&test.entry); !strings.Contains(got, test.want) {
			t.Errorf("%q, want %q", got, test.want)
		} else if !strings.HasPrefix(got, "2026-11-22 12:00:00  ") {
			t.Errorf("%q does not say when", got)
		}
	}
}

// slow is an output that takes nothing until its gate is open.
type slow struct {
	gate chan struct{}
	mu   sync.Mutex
	bytes.Buffer
}

func (s *slow) Write(b []byte) (int, error) {
	<-s.gate
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.Write(b)
}
