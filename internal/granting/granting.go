// Package granting says which calls a grant is for: those that are, byte for byte,
// what people agreed to, but for the arguments that they set free. It is pure.
package granting

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sallyport"
)

// There is no "always".
const (
	Longest   = 30 * 24 * time.Hour // from its making to its end
	MostCalls = 1000
	Idle      = 7 * 24 * time.Hour // without a use, and it is over
)

// Live says why a grant answers nothing any more; nil while it does.
func Live(g *sallyport.Grant, now time.Time) error {
	last := g.Made
	if g.Last.After(last) {
		last = g.Last
	}
	switch {
	case g.Revoked != "":
		return fmt.Errorf("revoked by %s", g.Revoked)
	case !now.Before(g.Until):
		return errors.New("its time is over")
	case g.Used >= g.Count:
		return errors.New("used as often as it may be")
	case !now.Before(last.Add(Idle)):
		return errors.New("not used for a week")
	case now.Before(g.Made.Add(-time.Minute)):
		return errors.New("made at a time that has not come: the clock was set back")
	}
	return nil
}

// Text says what a grant is for, in one sentence. Who shows it has to make
// patterns visible.
func Text(g *sallyport.Grant) string {
	text := fmt.Sprintf("%s may call %s/%s as in %s", g.Agent, g.Server, g.Name, g.Approval)
	for _, free := range g.Free {
		switch {
		case free.Most != "":
			text += fmt.Sprintf(", with %s from 0 to %s", free.Path, free.Most)
		case free.Like != "":
			text += fmt.Sprintf(", with %s like %s", free.Path, free.Like)
		default:
			text += fmt.Sprintf(", with any %s", free.Path)
		}
	}
	if g.Run != "" {
		text += ", in the run " + g.Run
	}
	return fmt.Sprintf("%s, %d times until %s", text, g.Count, g.Until.UTC().Format(time.RFC3339))
}

// Check refuses a grant that nobody should make of a question, of which asked is
// the canonical bytes.
func Check(g *sallyport.Grant, a *sallyport.Approval, asked []byte) error {
	switch {
	case a.Class.Known() >= sallyport.ClassPair:
		return errors.New("calls of the highest class are agreed to one by one")
	case g.Count < 1 || g.Count > MostCalls:
		return fmt.Errorf("a grant is for 1 to %d calls", MostCalls)
	case !g.Until.After(g.Made) || g.Until.Sub(g.Made) > Longest:
		return fmt.Errorf("a grant ends in the future, %d days from now at the latest", Longest/(24*time.Hour))
	case slices.ContainsFunc(a.Rules, func(r sallyport.Rule) bool { return strings.HasPrefix(r.ID, "limit ") }):
		return errors.New("what goes beyond a limit is agreed to each time")
	}
	args := member(asked, "args")
	for i, free := range g.Free {
		for _, other := range g.Free[:i] {
			if within(free.Path, other.Path) || within(other.Path, free.Path) {
				return fmt.Errorf("%s is set free twice", free.Path)
			}
		}
		asked := node(nil, args, free.Path)
		switch {
		case asked.Type() == sallyport.Absent:
			return fmt.Errorf("the call that was asked about has no argument %q", free.Path)
		case (free.Most != "" || free.Like != "") && (asked.Type() == sallyport.Object || asked.Type() == sallyport.Array):
			return fmt.Errorf("%s is no single value: name one within it, such as %s[0]", free.Path, free.Path)
		}
		if err := admits(&free, free.Path, asked); err != nil {
			return fmt.Errorf("what was asked is not within the grant: %w", err)
		}
	}
	return nil
}

// node is the value at a path, Absent where none is.
func node(path []byte, v sallyport.Value, wanted string) sallyport.Value {
	if string(path) == wanted && wanted != "" {
		return v
	}
	for name, member := range v.Members() {
		if found := node(sallyport.AppendName(bytes.Clone(path), name), member, wanted); found.Type() != sallyport.Absent {
			return found
		}
	}
	for i, item := range v.Items() {
		if found := node(fmt.Appendf(bytes.Clone(path), "[%d]", i), item, wanted); found.Type() != sallyport.Absent {
			return found
		}
	}
	return sallyport.Value{}
}

// Fits says why a call, as the canonical bytes of its question, is not one that a
// grant is for; nil when it is. asked is the question that people agreed to. The
// rules are not compared: see sallyport.Approval.Covers.
func Fits(g *sallyport.Grant, asked, call []byte) error {
	was, err := sallyport.Parse(asked)
	if err != nil {
		return fmt.Errorf("what was agreed to can't be read: %w", err)
	}
	is, err := sallyport.Parse(call)
	if err != nil {
		return fmt.Errorf("the call can't be read: %w", err)
	}
	for _, name := range names(was, is) {
		switch a, b := was.Get(name), is.Get(name); name {
		case "args":
			err = same(g, nil, a, b)
		case "origins":
			err = noWorse(g, a, b, is.Get("args"))
		case "rules":
		case "run":
			if text, _ := b.Text(); g.Run != "" && text != g.Run {
				err = errors.New("it is of another run")
			}
		default:
			if !bytes.Equal(a.Raw(), b.Raw()) {
				err = fmt.Errorf("it has another %s", name)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func names(a, b sallyport.Value) (all []string) {
	for _, v := range []sallyport.Value{a, b} {
		for name := range v.Members() {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func member(question []byte, name string) sallyport.Value {
	v, err := sallyport.Parse(question)
	if err != nil {
		return sallyport.Value{}
	}
	return v.Get(name)
}

// same reports whether arguments are those that were agreed to, but for the free
// ones. What is there now and was not then was agreed to by nobody.
func same(g *sallyport.Grant, path []byte, was, is sallyport.Value) error {
	at := slices.IndexFunc(g.Free, func(f sallyport.Free) bool { return f.Path != "" && f.Path == string(path) })
	if at >= 0 {
		free := &g.Free[at]
		for below, leaf := range is.Leaves() {
			if err := admits(free, string(path)+string(below), leaf); err != nil {
				return err
			}
		}
		if was.Type() != is.Type() {
			return fmt.Errorf("%s is not the kind of value that it was", path)
		}
		return nil
	}
	if was.Type() != is.Type() || was.Type() == sallyport.Array && was.Len() != is.Len() {
		return fmt.Errorf("%s is another", label(path))
	}
	switch was.Type() {
	case sallyport.Object:
		for _, name := range names(was, is) {
			if err := same(g, sallyport.AppendName(bytes.Clone(path), name), was.Get(name), is.Get(name)); err != nil {
				return err
			}
		}
	case sallyport.Array:
		now := slices.Collect(items(is))
		for i, item := range was.Items() {
			if err := same(g, fmt.Appendf(bytes.Clone(path), "[%d]", i), item, now[i]); err != nil {
				return err
			}
		}
	default:
		if !bytes.Equal(was.AppendCanonical(nil), is.AppendCanonical(nil)) {
			return fmt.Errorf("%s is another", label(path))
		}
	}
	return nil
}

func items(v sallyport.Value) func(func(sallyport.Value) bool) {
	return func(yield func(sallyport.Value) bool) {
		for _, item := range v.Items() {
			if !yield(item) {
				return
			}
		}
	}
}

func label(path []byte) string {
	if len(path) == 0 {
		return "what it is called with"
	}
	return string(path)
}

// within reports whether a path is another one or below it.
func within(path, above string) bool {
	rest, ok := strings.CutPrefix(path, above)
	return ok && above != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// admits says why a value is not within what was set free.
func admits(free *sallyport.Free, path string, leaf sallyport.Value) error {
	switch {
	case free.Most != "":
		number, ok := sallyport.ParseNumber(string(leaf.Raw()))
		most, bounded := sallyport.ParseNumber(free.Most)
		// As a text or in another spelling other programs read another number.
		if leaf.Type() != sallyport.Number || !plain.Match(leaf.Raw()) || !ok || !bounded || number.Cmp(most) > 0 {
			return fmt.Errorf("%s is not a plain number between 0 and %s", path, free.Most)
		}
	case free.Like != "":
		text, ok := leaf.Text()
		if !ok || !utf8.ValidString(free.Like) || strings.Contains(text, "..") || strings.ContainsFunc(text, invisible) || !like(free.Like).MatchString(text) {
			return fmt.Errorf("%s is not like %s", path, free.Like)
		}
	}
	return nil
}

// plain is a number as people write it: no sign, no exponent, no zero in front.
var plain = regexp.MustCompile(`\A(0|[1-9][0-9]*)(\.[0-9]+)?\z`)

// invisible are letters that show nothing.
func invisible(r rune) bool { return unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) }

// like is a pattern whose * stands for a name: letters, digits and underscores, and
// signs behind the first of them. So *@corp.example is one address at that place,
// and not a list with another in front; reports/* is nothing further up or down;
// and nothing begins as an option of a command does.
func like(pattern string) *regexp.Regexp {
	parts := strings.Split(pattern, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`\A` + strings.Join(parts, `[\p{L}\p{N}_][\p{L}\p{N}_.+\-]*`) + `\z`)
}

// noWorse reports whether no argument came from a worse place than those that
// people saw: a grant for what the user wrote is none for what a stranger did. One
// that was not there then is measured by the argument that was set free.
func noWorse(g *sallyport.Grant, was, is, args sallyport.Value) error {
	// A value and the name that it stands under can have one path: then in order.
	seen, freed := map[string][]sallyport.Origin{}, map[string]sallyport.Origin{}
	for _, trace := range was.Items() {
		path, origin := traced(trace)
		seen[path] = append(seen[path], origin)
		if free := above(g, path); free != "" {
			if worst, ok := freed[free]; ok {
				origin = origin.Weaker(worst)
			}
			freed[free] = origin
		}
	}
	now := map[string]int{}
	for _, trace := range is.Items() {
		path, origin := traced(trace)
		allowed, ok := freed[above(g, path)]
		if before := seen[path]; now[path] < len(before) {
			allowed, ok = before[now[path]], true
		} else if before != nil {
			ok = false
		}
		now[path]++
		if !ok || origin.Weaker(allowed) != allowed {
			return fmt.Errorf("%s came from a worse place than what was agreed to", path)
		}
	}
	// Where nobody knows any more, it may be any place.
	for path := range args.Leaves() {
		_, free := freed[above(g, string(path))]
		if n := len(seen[string(path)]); now[string(path)] < n || free && now[string(path)] == 0 {
			return fmt.Errorf("nobody knows where %s came from", path)
		}
	}
	return nil
}

// above is the free argument in which a path lies, "" for none.
func above(g *sallyport.Grant, path string) string {
	for _, free := range g.Free {
		if within(path, free.Path) {
			return free.Path
		}
	}
	return ""
}

func traced(trace sallyport.Value) (string, sallyport.Origin) {
	path, _ := trace.Get("path").Text()
	writer, _ := trace.Get("writer").Text()
	readers, _ := trace.Get("readers").Text()
	return path, sallyport.Origin{Writer: sallyport.WriterOf(writer), Readers: sallyport.ReadersOf(readers)}
}
