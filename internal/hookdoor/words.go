package hookdoor

import (
	"errors"
	"strings"
	"sync"

	"sallyport"
)

// written is what agents have written of late, by run. A client submits more
// than what the user types: what it schedules for the agent, what came of
// commands in the background with the agent's own words about them. Taken for
// the user's, those would let an agent order itself whatever it likes.
type written struct {
	mu   sync.Mutex
	runs map[string]map[sallyport.Digest]bool
}

// Bounds of what is remembered. What is forgotten can be taken for the user's,
// so this is the second line: tools that submit are refused by the table.
const (
	maxWritten     = 4096 // texts of one run
	maxWrittenRuns = 256
)

// note remembers every text of a call's input.
func (w *written) note(run string, input sallyport.Value) {
	w.mu.Lock()
	defer w.mu.Unlock()
	texts := w.runs[run]
	if texts == nil {
		if w.runs == nil || len(w.runs) >= maxWrittenRuns {
			w.runs = map[string]map[sallyport.Digest]bool{}
		}
		texts = map[sallyport.Digest]bool{}
		w.runs[run] = texts
	}
	each(input, func(text string) {
		if len(texts) >= maxWritten { // one input can have as many
			clear(texts)
		}
		texts[digestOf(text)] = true
	})
}

// each tells of every text of a value.
func each(value sallyport.Value, tell func(text string)) {
	if text, ok := value.Text(); ok {
		tell(text)
	}
	for _, member := range value.Members() {
		each(member, tell)
	}
	for _, item := range value.Items() {
		each(item, tell)
	}
}

func digestOf(text string) sallyport.Digest {
	return sallyport.DigestOf([]byte(strings.TrimSpace(text)))
}

// check says why a prompt is not the user's.
func (w *written) check(run, prompt string) error {
	prompt = strings.TrimSpace(prompt)
	if len(prompt) > 1 && prompt[0] == '<' && (prompt[1]|0x20 >= 'a' && prompt[1]|0x20 <= 'z') {
		return errors.New("it begins with a tag, as what the client itself submits does")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.runs[run][digestOf(prompt)] {
		return errors.New("the agent has written the same")
	}
	return nil
}
