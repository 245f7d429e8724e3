package upstream

import (
	"bytes"
	"io"
	"strconv"
	"time"
)

// event is one server-sent event (WHATWG HTML, "server-sent events"). data is
// a copy of its own.
type event struct {
	name  string
	id    string
	hasID bool
	retry time.Duration
	data  []byte
}

// events reads server-sent events of at most limit bytes.
type events struct {
	lines lines
	alive func() // called at each event and each comment
}

func newEvents(from io.Reader, limit int, alive func()) *events {
	return &events{lines: lines{from: from, limit: limit}, alive: alive}
}

// maxRetry bounds how long a server can make us wait before reconnecting.
const maxRetry = 30 * time.Second

// next is the next event that has any field. An event that the stream's end
// cuts off is dropped, as the specification says.
func (e *events) next() (event, error) {
	ev := event{retry: -1}
	some := false
	for {
		line, err := e.lines.next()
		if err != nil {
			return event{}, err
		}
		if len(line) == 0 {
			if some {
				e.alive()
				return ev, nil
			}
			continue
		}
		if line[0] == ':' {
			e.alive()
			continue
		}
		some = true
		name, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimPrefix(value, []byte{' '})
		switch string(name) {
		case "data":
			if len(ev.data)+len(value) > e.lines.limit {
				return event{}, errTooLong
			}
			if ev.data == nil {
				ev.data = append(make([]byte, 0, len(value)), value...)
			} else {
				ev.data = append(append(ev.data, '\n'), value...)
			}
		case "event":
			ev.name = string(value)
		case "id":
			if isHeaderSafe(value) { // it comes back in Last-Event-ID
				ev.id, ev.hasID = string(value), true
			}
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 32); err == nil {
				ev.retry = min(time.Duration(ms)*time.Millisecond, maxRetry)
			}
		}
	}
}

func isHeaderSafe(value []byte) bool {
	for _, c := range value {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return len(value) <= 1024
}
