package sse

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/wire"
)

// WriteWait is how long a reader may take to accept what is written to it.
const WriteWait = 30 * time.Second

// Writer writes events to one response, each at once.
type Writer struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// ContentType is the media type of an event stream.
const ContentType = "text/event-stream"

// Start turns a response into an event stream.
func Start(w http.ResponseWriter) *Writer {
	h := w.Header()
	h["Content-Type"] = streamType
	h["Cache-Control"] = noCache
	h["X-Accel-Buffering"] = noBuffering // proxies must not hold events back
	w.WriteHeader(http.StatusOK)
	return &Writer{w, http.NewResponseController(w)}
}

// The values that responses share; net/http does not change them.
var (
	streamType  = []string{ContentType}
	noCache     = []string{"no-cache, no-transform"}
	noBuffering = []string{"no"}
)

// Write sends a message; an event without a number has no id. JSON may have
// line breaks between its tokens; the lines of an event's data are joined by
// the reader.
func (s *Writer) Write(e Event) error {
	frame := append(make([]byte, 0, len(e.Text)+64), "event: message\n"...)
	if e.Seq > 0 {
		frame = append(append(append(frame, "id: "...), e.ID()...), '\n')
	}
	for line := range bytes.Lines(e.Text) {
		frame = append(append(append(frame, "data: "...), bytes.TrimRight(line, "\r\n")...), '\n')
	}
	return s.send(frame, "\n")
}

// Prime sends an event that holds nothing but an id, from which an agent whose
// connection breaks can resume (MCP 2025-11-25).
func (s *Writer) Prime(e Event) error { return s.send([]byte("id: "+e.ID()), "\ndata: \n\n") }

// Retry tells readers how long to wait before they come back.
func (s *Writer) Retry(wait time.Duration) error {
	return s.send(strconv.AppendInt([]byte("retry: "), wait.Milliseconds(), 10), "\n\n")
}

// Comment sends what readers skip, to show that the stream is alive.
func (s *Writer) Comment(text string) error { return s.send([]byte(": "+text), "\n\n") }

func (s *Writer) send(frame []byte, end string) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(WriteWait)) // not every writer has one
	if _, err := s.w.Write(append(frame, end...)); err != nil {
		return err
	}
	return s.control.Flush()
}

// Reader reads the messages of an event stream.
type Reader struct {
	Last  string // id of the last event
	lines *wire.Lines
	limit int
}

// NewReader reads messages of at most limit bytes. last is the id of the event
// after which the stream begins.
func NewReader(from io.Reader, last string, limit int) *Reader {
	return &Reader{last, wire.NewLines(from, limit+len("data: ")), limit}
}

// Next is the data of the next event that has any. What the stream's end cuts
// off is no event.
func (r *Reader) Next() ([]byte, error) {
	var data []byte
	for {
		line, err := r.lines.Next()
		if err != nil {
			return nil, err
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case len(line) == 0 && len(data) > 0:
			return data, nil
		case string(field) == "data":
			if data != nil {
				data = append(data, '\n')
			}
			if data = append(data, bytes.TrimPrefix(value, []byte(" "))...); len(data) > r.limit {
				return nil, wire.ErrLineTooLong
			}
		case string(field) == "id":
			r.Last = strings.TrimPrefix(string(value), " ")
		}
	}
}
