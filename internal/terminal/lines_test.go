package terminal

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

// pieces remembers what was written, a piece each.
type pieces struct{ written []string }

func (p *pieces) Write(text []byte) (int, error) {
	p.written = append(p.written, string(text))
	return len(text), nil
}

func TestLinesAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pieces
		l := NewLines(&p)
		for i := range 100 {
			fmt.Fprintf(l, "line %d\n", i)
		}
		l.Close()
		if text := strings.Join(p.written, ""); strings.Count(text, "\n") != 100 || !strings.HasSuffix(text, "line 99\n") {
			t.Errorf("written: %q", text)
		}
		if len(p.written) > 3 {
			t.Errorf("written in %d pieces", len(p.written))
		}
	})
}

// Whoever is told of a decision waits for nothing: a pipe that nobody reads
// must not stop calls.
func TestLinesNeverWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, writer := io.Pipe()
		l := NewLines(writer)
		long := strings.Repeat("x", 1023) + "\n"
		for range 10 * maxText / len(long) {
			io.WriteString(l, long)
		}
		synctest.Wait()
		go l.Close()
		text, lines := make([]byte, 3*maxText), 0
		n := 0
		for {
			k, err := reader.Read(text[n:])
			n += k
			lines = strings.Count(string(text[:n]), "\n")
			if err != nil || strings.Contains(string(text[:n]), "lines left out") {
				break
			}
		}
		if n > 2*maxText || lines < 1024 {
			t.Errorf("%d bytes kept, %d lines", n, lines)
		}
		<-l.ended
	})
}
