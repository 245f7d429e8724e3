package sse

import (
	"bytes"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/internal/wire"
)

func TestWriteAndRead(t *testing.T) {
	out := httptest.NewRecorder()
	w := Start(out)
	messages := []string{`{"a":1}`, "{\n \"b\": 2\r\n}", strings.Repeat("x", 100_000)}
	for i, text := range messages {
		if err := w.Write(Event{Stream: 3, Seq: uint32(i), Text: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Prime(Event{Stream: 4, Seq: 9})
	_ = w.Comment("hi")
	if !out.Flushed || out.Header().Get("Content-Type") != ContentType {
		t.Error("events may be held back")
	}
	text := out.Body.String()
	if !strings.HasPrefix(text, "event: message\ndata: {\"a\":1}\n\nevent: message\nid: 3-1\ndata: {\ndata:  \"b\": 2\ndata: }\n\n") || !strings.HasSuffix(text, "id: 4-9\ndata: \n\n: hi\n\n") {
		t.Errorf("%.200q … %q", text, text[len(text)-40:])
	}
	in := NewReader(strings.NewReader(text), "", 1<<20)
	for _, want := range []string{`{"a":1}`, "{\n \"b\": 2\n}", messages[2]} {
		got, err := in.Next()
		if err != nil || string(got) != want {
			t.Errorf("%v %.50q, want %.50q", err, got, want)
		}
	}
	if _, err := in.Next(); !errors.Is(err, io.EOF) || in.Last != "4-9" {
		t.Errorf("at the end: %v, last %q", err, in.Last)
	}
	short := NewReader(strings.NewReader(text), "x", 1000)
	for range 2 {
		if _, err := short.Next(); err != nil || short.Last == "" {
			t.Fatal(err)
		}
	}
	if _, err := short.Next(); !errors.Is(err, wire.ErrLineTooLong) {
		t.Errorf("too long: %v", err)
	}
	cut := NewReader(strings.NewReader("data: {}\n"), "", 100)
	if got, err := cut.Next(); err == nil {
		t.Errorf("half an event was read: %q", got)
	}
}

func TestEventIDs(t *testing.T) {
	for _, id := range []string{"0-0", "7-4294967295"} {
		if stream, seq, ok := ParseID(id); !ok || (Event{Stream: stream, Seq: seq}).ID() != id {
			t.Errorf("%s: %d %d %v", id, stream, seq, ok)
		}
	}
	for _, id := range []string{"", "1", "-", "1-", "-1", "1-2-3", "a-1", "1-4294967296", "+1-1", "1- 1"} {
		if _, _, ok := ParseID(id); ok {
			t.Errorf("%q was read", id)
		}
	}
}

func texts(events []Event) string {
	var all []string
	for _, e := range events {
		all = append(all, string(e.Text))
	}
	return strings.Join(all, " ")
}

func TestLog(t *testing.T) {
	var budget atomic.Int64
	l := &Log{Budget: &budget}
	l.Add(0, []byte("own"))
	first := l.Open()
	_, live, wake := l.After(first.Stream, first.Seq)
	if !live {
		t.Error("an open stream is over")
	}
	l.Add(first.Stream, []byte("a"))
	<-wake
	l.Add(0, []byte("own2"))
	e := l.Add(first.Stream, []byte("b"))
	if more, _, _ := l.After(first.Stream, first.Seq); texts(more) != "a b" {
		t.Errorf("stream: %s", texts(more))
	}
	if more, live, _ := l.After(0, 0); texts(more) != "own own2" || !live {
		t.Errorf("own: %s", texts(more))
	}
	_, _, wake = l.After(first.Stream, e.Seq)
	l.Finish(first.Stream)
	<-wake
	if more, live, _ := l.After(first.Stream, e.Seq); len(more) > 0 || live {
		t.Errorf("a finished stream: %s %v", texts(more), live)
	}
	if !l.Keeps(first.Stream, 0) || l.Keeps(first.Stream+1, 0) || budget.Load() != 9 || l.Newest() != 4 {
		t.Errorf("keeps %v %v, budget %d", l.Keeps(first.Stream, 0), l.Keeps(first.Stream+1, 0), budget.Load())
	}
	_, _, wake = l.After(0, 9)
	l.End()
	<-wake
	if l.Add(0, []byte("late")); budget.Load() != 0 {
		t.Errorf("budget %d after the end", budget.Load())
	}
	if _, live, _ := l.After(0, 0); live {
		t.Error("an ended log lives")
	}
}

func TestLogIsBounded(t *testing.T) {
	var budget atomic.Int64
	a, b := &Log{Budget: &budget}, &Log{Budget: &budget}
	s := a.Open()
	for range 3 * maxEvents {
		a.Add(s.Stream, []byte("x"))
	}
	if more, _, _ := a.After(s.Stream, 0); len(more) != maxEvents || budget.Load() != maxEvents {
		t.Errorf("%d events, %d bytes", len(more), budget.Load())
	}
	if a.Keeps(s.Stream, 0) || !a.Keeps(s.Stream, 2*maxEvents) || !a.Keeps(0, 0) {
		t.Error("what is lost is not said")
	}
	a.Add(s.Stream, bytes.Repeat([]byte("x"), maxBytes))
	if more, _, _ := a.After(s.Stream, 0); len(more) != 1 {
		t.Errorf("%d events", len(more))
	}
	budget.Add(maxBudget)
	b.Add(0, []byte("x")) // others have taken it all
	if more, _, _ := b.After(0, 0); len(more) != 1 {
		t.Errorf("others cost this one what was said: %d events", len(more))
	}
	b.Add(0, bytes.Repeat([]byte("x"), maxOwn))
	if more, _, _ := b.After(0, 0); len(more) != 1 || budget.Load() != maxBudget+maxBytes+maxOwn {
		t.Errorf("%d events, budget %d", len(more), budget.Load())
	}
}
