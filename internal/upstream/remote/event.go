package remote

import (
	"bytes"
	"io"
	"strconv"
	"time"
)

// Event is one server-sent event (WHATWG HTML, "server-sent events").
type Event struct {
	Name string
	Data []byte // in memory of its own
}

// IsMessage reports whether the event carries a message of MCP.
func (e *Event) IsMessage() bool { return len(e.Data) > 0 && (e.Name == "" || e.Name == "message") }

// Events reads an event stream, over all the connections that it may take.
type Events struct {
	Last  string        // id of the last event, empty when none had one
	Retry time.Duration // that the server wants to pass before a reconnection, 0 when it named none
	lines Lines
	limit int
	alive func()
}

// NewEvents reads events of at most limit bytes. alive is called at each event
// and each comment.
func NewEvents(limit int, alive func()) *Events { return &Events{limit: limit, alive: alive} }

// From reads on from a new connection.
func (e *Events) From(body io.Reader) {
	e.lines.Free()
	e.lines = Lines{from: body, limit: e.limit + len("data: ")}
}

// Free gives the memory back once nothing more is read.
func (e *Events) Free() { e.lines.Free() }

// maxRetry bounds how long a server can make us wait before reconnecting.
const maxRetry = 30 * time.Second

// Next is the next event that has any field. An event that the stream's end
// cuts off is dropped, as the specification says.
func (e *Events) Next() (Event, error) {
	var ev Event
	some := false
	for {
		line, err := e.lines.Next()
		switch {
		case err != nil:
			return Event{}, err
		case len(line) == 0 && some:
			e.alive()
			return ev, nil
		case len(line) == 0:
			continue
		case line[0] == ':':
			e.alive()
			continue
		}
		some = true
		if err := e.field(&ev, line); err != nil {
			return Event{}, err
		}
	}
}

func (e *Events) field(ev *Event, line []byte) error {
	name, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimPrefix(value, []byte{' '})
	switch string(name) {
	case "data":
		if len(ev.Data)+len(value) > e.limit {
			return ErrTooLong
		}
		if ev.Data == nil {
			ev.Data = append(make([]byte, 0, len(value)), value...)
		} else {
			ev.Data = append(append(ev.Data, '\n'), value...)
		}
	case "event":
		ev.Name = string(value)
	case "id":
		if isHeaderSafe(value) { // it comes back in Last-Event-ID
			e.Last = string(value)
		}
	case "retry":
		if ms, err := strconv.ParseUint(string(value), 10, 32); err == nil {
			e.Retry = min(max(time.Duration(ms)*time.Millisecond, 1), maxRetry)
		}
	}
	return nil
}

func isHeaderSafe(value []byte) bool {
	for _, c := range value {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return len(value) <= 1024
}
