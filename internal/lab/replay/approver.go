package replay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/card"
	"sallyport/internal/granting"
	"sallyport/internal/inbox"
)

// approver is the person of the model: looks at the inbox, agrees to what the user's
// own calls ask, refuses the attacker's and, after so many equal questions, grants.
type approver struct {
	inbox *inbox.Inbox
	after int // equal questions, of which the last makes a grant; 0 for never
	seen  map[string]*shape

	questions int // that were answered
	looks     int // at cards, each of one question or of several equal ones
	grants    int // that were made
}

// shape are the questions that an approver takes for the same again: about one
// tool, asked by the same rules, with arguments at the same places.
type shape struct {
	values map[string][]sallyport.Value // of every argument, by its path
	since  int                          // the last grant, how many
}

func (g *gate) approver(after int) *approver {
	return &approver{after: after, seen: map[string]*shape{}, inbox: &inbox.Inbox{
		Store: g.store, Gateway: g.Gateway, Terms: g.Gateway.Asking, Now: time.Now, Guesses: &inbox.Guesses{}, Record: g.Record,
		Prove: func(context.Context, string, sallyport.Class, sallyport.Digest, asking.Proof) (string, error) {
			return "replay", nil
		},
		Around: func(context.Context, *sallyport.Approval) card.Around { return card.Around{} },
	}}
}

// look answers all that waits. Equal questions that wait together are one look.
func (a *approver) look(ctx context.Context, injected func(question string) bool) error {
	waiting, err := a.inbox.List(ctx, false)
	if err != nil {
		return err
	}
	looked := map[string]bool{}
	for _, listed := range waiting {
		q, err := a.inbox.Show(ctx, listed.ID)
		if err != nil {
			return err
		}
		if a.questions++; !looked[q.ID] {
			a.looks++
		}
		for _, equal := range q.Equal {
			looked[equal] = true
		}
		if injected(q.ID) {
			_, err = a.inbox.Answer(ctx, inbox.Answer{ID: q.ID, By: approverName, Digest: q.Digest, Reason: "the user did not ask for this"})
		} else {
			err = a.agree(ctx, &q)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", q.Verb, err)
		}
	}
	return nil
}

const approverName = "replay"

// agree agrees to a question or, where it has come often enough, makes a grant of it.
func (a *approver) agree(ctx context.Context, q *inbox.Question) error {
	digest := sallyport.DigestOf([]byte(q.Question))
	proof := asking.Proof{Typed: sallyport.Approval{ID: q.ID, Digest: digest}.Number()} // read at the agent's end
	if free, often := a.again(q); often {
		given := inbox.Granting{ID: q.ID, By: approverName, Digest: q.Digest, Free: free, For: int64(8 * time.Hour / time.Second), Count: granting.MostCalls, Proof: proof}
		if _, err := a.inbox.Forecast(ctx, given); err == nil { // else nobody can grant it
			a.grants++
			_, err = a.inbox.Grant(ctx, given)
			return err
		}
	}
	_, err := a.inbox.Answer(ctx, inbox.Answer{ID: q.ID, By: approverName, Digest: q.Digest, Approve: true, Proof: proof})
	return err
}

// again remembers a question, and says with what set free a grant would have
// answered it and all that were like it, once that is worth one.
func (a *approver) again(q *inbox.Question) (free []inbox.Free, often bool) {
	question, err := sallyport.Parse([]byte(q.Question))
	if err != nil || a.after == 0 {
		return nil, false
	}
	key := []string{q.Server, q.Name}
	for _, rule := range q.Rules {
		key = append(key, rule.ID)
	}
	leaves := map[string]sallyport.Value{}
	var paths []string
	for path, leaf := range question.Get("args").Leaves() {
		leaves[string(path)] = leaf
		paths = append(paths, string(path))
	}
	slices.Sort(paths)
	name := strings.Join(append(key, paths...), "\x00")
	s := a.seen[name]
	if s == nil {
		s = &shape{values: map[string][]sallyport.Value{}}
		a.seen[name] = s
	}
	for path, leaf := range leaves {
		s.values[path] = append(s.values[path], leaf)
	}
	if s.since++; s.since < a.after {
		return nil, false
	}
	s.since = 0
	for _, path := range paths {
		if f, differs := narrowest(path, s.values[path]); differs {
			free = append(free, f)
		}
	}
	return free, true
}

// narrowest is the least that has to be set free of an argument so that all of some
// values are within it: nothing where they are one, up to the largest of numbers, a
// pattern of texts, and anything only where none of these can be.
func narrowest(path string, values []sallyport.Value) (free inbox.Free, differs bool) {
	differs = slices.ContainsFunc(values, func(v sallyport.Value) bool {
		return string(v.AppendCanonical(nil)) != string(values[0].AppendCanonical(nil))
	})
	free.Path = path
	for _, wanted := range []inbox.Free{{Path: path, Most: largest(values)}, {Path: path, Like: pattern(values)}} {
		if (wanted.Most != "" || wanted.Like != "") && !slices.ContainsFunc(values, func(v sallyport.Value) bool { return !within(wanted, v) }) {
			return wanted, differs
		}
	}
	return free, differs
}

// within reports whether a value is within what was set free, as the gateway sees it.
func within(free inbox.Free, v sallyport.Value) bool {
	free.Path = "v"
	question := fmt.Appendf(nil, `{"args":{"v":%s}}`, v.Raw())
	return granting.Fits(&sallyport.Grant{Free: []sallyport.Free{sallyport.Free(free)}}, question, question) == nil
}

func largest(values []sallyport.Value) (most string) {
	for _, v := range values {
		if v.Type() != sallyport.Number {
			return ""
		}
		if order, ok := asking.Compare(string(v.Raw()), most); most == "" || ok && order > 0 {
			most = string(v.Raw())
		}
	}
	return most
}

// pattern is what texts begin and end with, and * between.
func pattern(values []sallyport.Value) string {
	var first, end string
	shortest := -1
	for i, v := range values {
		text, ok := v.Text()
		if !ok || strings.Contains(text, "*") {
			return ""
		}
		if i == 0 {
			first, end = text, text
		}
		for !strings.HasPrefix(text, first) {
			_, size := utf8.DecodeLastRuneInString(first)
			first = first[:len(first)-size]
		}
		for !strings.HasSuffix(text, end) {
			_, size := utf8.DecodeRuneInString(end)
			end = end[size:]
		}
		if shortest < 0 || len(text) < shortest {
			shortest = len(text)
		}
	}
	for len(first)+len(end) >= max(shortest, 1) { // they must not overlap, and * stands for something
		if end != "" {
			_, size := utf8.DecodeRuneInString(end)
			end = end[size:]
			continue
		}
		_, size := utf8.DecodeLastRuneInString(first)
		first = first[:len(first)-size]
	}
	return first + "*" + end
}
