package remote

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// ErrTooLong ends a stream whose next message is over the limit: where it
// would end, and so where the next one begins, can't be known cheaply.
var ErrTooLong = errors.New("the server sent a message over the size limit")

const (
	lineBuffer = 8 << 10
	// keptBuffer is how much memory a quiet stream may keep after a large message.
	keptBuffer = 64 << 10
	maxPooled  = 1 << 20
)

// Lines reads lines of bounded length.
type Lines struct {
	from       io.Reader
	limit      int
	buf        []byte
	start, end int // of what has been read and not returned
	scanned    int // bytes after start known to hold no newline
	err        error
}

// NewLines reads lines of at most limit bytes.
func NewLines(from io.Reader, limit int) *Lines { return &Lines{from: from, limit: limit} }

// Next is the next line, valid until the next call.
func (l *Lines) Next() ([]byte, error) {
	for {
		if i := bytes.IndexByte(l.buf[l.start+l.scanned:l.end], '\n'); i >= 0 {
			line := l.buf[l.start : l.start+l.scanned+i]
			l.start += l.scanned + i + 1
			l.scanned = 0
			if n := len(line); n > 0 && line[n-1] == '\r' {
				line = line[:n-1]
			}
			return line, nil
		}
		l.scanned = l.end - l.start
		if l.scanned > l.limit {
			return nil, ErrTooLong
		}
		if l.err != nil {
			return nil, l.err // an unfinished last line is no message
		}
		l.fill()
	}
}

// buffers are those of streams that have ended.
var buffers = sync.Pool{New: func() any { return new(make([]byte, lineBuffer)) }}

// Free gives the memory back once nothing more is read.
func (l *Lines) Free() {
	if l.buf != nil && len(l.buf) <= maxPooled {
		buffers.Put(new(l.buf))
	}
	*l = Lines{}
}

func (l *Lines) fill() {
	switch {
	case l.buf == nil:
		l.buf = *buffers.Get().(*[]byte)
	case l.start == l.end:
		l.start, l.end = 0, 0
		if len(l.buf) > keptBuffer {
			l.buf = make([]byte, lineBuffer)
		}
	case l.start > 0 && l.end == len(l.buf):
		l.end = copy(l.buf, l.buf[l.start:l.end])
		l.start = 0
	case l.end == len(l.buf):
		grown := make([]byte, min(2*len(l.buf), max(l.limit, len(l.buf))+lineBuffer))
		copy(grown, l.buf[:l.end])
		l.buf = grown
	}
	var n int
	n, l.err = l.from.Read(l.buf[l.end:])
	l.end += n
}
