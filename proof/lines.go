package proof

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"runtime"
)

// maxLine is the longest line of an export in bytes: an opening of the
// largest message that a gateway takes, fully escaped. It bounds the memory
// that a hostile file can make a verifier use.
const maxLine = 64 << 20

const blockSize = 1 << 20

// block is a piece of an export that ends with a line. It is taken apart on
// its own, so that all processors work on one file.
type block struct {
	text  []byte
	first int // number of its first line, from 1
	lines []line
	err   error
	ready chan struct{}
}

// lines runs over the lines of an export behind the header, in order, with
// their numbers. It ends with the first line that is none.
func lines(r io.Reader, number int) iter.Seq2[int, parsed] {
	return func(yield func(int, parsed) bool) {
		stop := make(chan struct{})
		defer close(stop)
		workers := runtime.GOMAXPROCS(0)
		ordered := make(chan *block, 2*workers)
		work := make(chan *block, 2*workers)
		go split(r, number, ordered, work, stop)
		for range workers {
			go func() {
				for b := range work {
					b.parse()
				}
			}()
		}
		for b := range ordered {
			<-b.ready
			for i, line := range b.lines {
				if !yield(b.first+i, parsed{line: line}) {
					return
				}
			}
			if b.err != nil {
				yield(b.first+len(b.lines), parsed{err: b.err})
				return
			}
		}
	}
}

// parsed is a line or why it is none.
type parsed struct {
	line
	err error
}

// split cuts what it reads into blocks at the ends of lines.
func split(r io.Reader, number int, ordered, work chan<- *block, stop <-chan struct{}) {
	defer close(ordered)
	defer close(work)
	var rest []byte
	for {
		text := make([]byte, max(blockSize, 2*len(rest)))
		n := copy(text, rest)
		read, err := io.ReadFull(r, text[n:])
		text = text[:n+read]
		end := bytes.LastIndexByte(text, '\n') + 1
		rest = text[end:]
		b := &block{text: text[:end], first: number, ready: make(chan struct{})}
		number += bytes.Count(b.text, []byte{'\n'})
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		switch {
		case err != nil && !ended:
			b.err = err
		case ended && len(rest) > 0:
			b.err = errors.New("the file ends within a line")
		case len(rest) > maxLine:
			b.err = errors.New("the line is too long")
		}
		for _, to := range []chan<- *block{ordered, work} {
			select {
			case to <- b:
			case <-stop:
				return
			}
		}
		if err != nil || b.err != nil {
			return
		}
	}
}

func (b *block) parse() {
	defer close(b.ready)
	rest := b.text
	b.lines = make([]line, 0, len(rest)/512)
	for len(rest) > 0 {
		end := bytes.IndexByte(rest, '\n')
		l, err := parseLine(rest[:end])
		if err != nil {
			b.err = err
			return
		}
		b.lines = append(b.lines, l)
		rest = rest[end+1:]
	}
}
