// Package form is what the console's pages send, and what they are answered.
package form

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"sallyport"
	"sallyport/internal/guard"
)

// Problem is an answer that is none.
type Problem struct {
	Status int // of HTTP
	Text   string
}

func (p *Problem) Error() string { return p.Text }

// Refused is a Problem.
func Refused(status int, format string, args ...any) error {
	return &Problem{status, fmt.Sprintf(format, args...)}
}

// Missing turns what the gate does not know into a page that says so.
func Missing(err error) error {
	if err == nil {
		return nil
	}
	return &Problem{http.StatusNotFound, err.Error()}
}

// Done says where the browser goes after an act, "" for the same page again.
type Done struct {
	Go string `json:"go"`
}

// Said is what an act has found out, for the form to show.
type Said struct {
	OK    bool     `json:"ok"`
	Lines []string `json:"lines"`
}

// Ceremony is what the browser passes to the person's device, or the device's
// answer.
type Ceremony struct {
	ID     string          `json:"id"`
	Ask    json.RawMessage `json:"ask,omitempty"`
	Answer json.RawMessage `json:"answer,omitempty"`
	Next   string          `json:"next,omitempty"`
}

// MaxBody is the longest body, in bytes.
const MaxBody = 64 << 10

// Read reads the one JSON object of a request.
func Read(w http.ResponseWriter, r *http.Request, into any) error {
	if !guard.IsJSON(r) {
		return Refused(http.StatusUnsupportedMediaType, "Content-Type must be application/json, in UTF-8")
	}
	text, status, err := guard.Body(w, r, MaxBody)
	if err != nil {
		return &Problem{status, err.Error()}
	}
	_, err = sallyport.Parse(text) // a name that is there twice is none of ours: two readers could read two things
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return Refused(http.StatusBadRequest, "This is not what the console's pages send: %v", err)
	}
	return nil
}

// Escaped is a part of a request's path, as a part of another.
func Escaped(r *http.Request, name string) string { return url.PathEscape(r.PathValue(name)) }
