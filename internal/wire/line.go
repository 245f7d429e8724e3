package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// ErrLineTooLong is a line that was skipped.
var ErrLineTooLong = errors.New("line too long")

// Lines reads lines of bounded length.
type Lines struct {
	from  *bufio.Reader
	limit int
}

// NewLines reads lines of at most limit bytes.
func NewLines(from io.Reader, limit int) *Lines {
	return &Lines{bufio.NewReaderSize(from, 64<<10), limit}
}

// Next is the next line, in memory of its own and without white space around
// it. After ErrLineTooLong, which skips the line, it can go on.
func (l *Lines) Next() ([]byte, error) {
	var text []byte
	for {
		piece, err := l.from.ReadSlice('\n')
		if len(text)+len(piece) > l.limit+2 { // a line break is not part of it
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = l.from.ReadSlice('\n')
			}
			return nil, ErrLineTooLong
		}
		text = append(text, piece...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil && len(text) == 0:
			return nil, err
		case len(bytes.TrimRight(text, "\r\n")) > l.limit:
			return nil, ErrLineTooLong
		default:
			return bytes.TrimSpace(text), nil
		}
	}
}

// OneLine is a message without line breaks: JSON may have them between its
// tokens and nowhere else.
func OneLine(text []byte) []byte {
	if !bytes.ContainsAny(text, "\r\n") {
		return text[:len(text):len(text)]
	}
	return bytes.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return ' '
		}
		return r
	}, text)
}
