package terminal

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

// Lines is a writer of structured lines that never holds its callers up: what they write is
// gathered and written in one piece a moment later. A terminal that is paused,
// or a pipe that nobody reads, must not stop calls.
type Lines struct {
	out    io.Writer
	wake   chan struct{}
	done   chan struct{} // closed by Close
	ended  chan struct{} // closed when all is written
	mu     sync.Mutex
	text   bytes.Buffer
	missed int
}

const (
	gatherFor = 20 * time.Millisecond
	maxText   = 1 << 20 // bytes that wait; further lines are left out and counted
	flushFor  = time.Second
)

// NewLines makes a writer of whole lines to out.
func NewLines(out io.Writer) *Lines {
	l := &Lines{out: out, wake: make(chan struct{}, 1), done: make(chan struct{}), ended: make(chan struct{})}
	go l.run()
	return l
}

// Write takes whole lines. It never fails.
func (l *Lines) Write(lines []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text.Len()+len(lines) > maxText {
		l.missed += bytes.Count(lines, []byte("\n"))
		return len(lines), nil
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return l.text.Write(lines)
}

// Close writes what there is, as long as somebody reads it.
func (l *Lines) Close() {
	close(l.done)
	select {
	case <-l.ended:
	case <-time.After(flushFor):
	}
}

func (l *Lines) run() {
	defer close(l.ended)
	var text []byte
	for stopping := false; !stopping; {
		select {
		case <-l.wake:
			select {
			case <-time.After(gatherFor):
			case <-l.done:
			}
		case <-l.done:
			stopping = true
		}
		text = l.take(text[:0])
		if len(text) > 0 {
			l.out.Write(text)
		}
	}
}

// take moves what waits into text.
func (l *Lines) take(text []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	text = append(text, l.text.Bytes()...)
	l.text.Reset()
	if l.missed > 0 {
		text = fmt.Appendf(text, `{"level":"WARN","msg":"lines left out: nobody reads them fast enough","lines":%d}`+"\n", l.missed)
		l.missed = 0
	}
	return text
}
