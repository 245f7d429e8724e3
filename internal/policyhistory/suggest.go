package policyhistory

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"

	"sallyport"
	"sallyport/internal/policy/shape"
	"sallyport/internal/policy/source"
)

// A restriction needs this many calls that agree: fewer are chance.
const enough = 3

// Suggest writes the least policy that allows what was let through: one permit
// for each role (or agent without one) and action, restricted where the calls
// leave no doubt: constants, small sets, numbers within bounds, folders, and
// arguments that nobody used. Calls that were refused and those of tainted runs
// teach nothing; they are listed at the end.
func Suggest(records []Observed) string {
	groups := map[key][]Observed{}
	left := map[string]int{}
	learned := 0
	for _, r := range records {
		k := key{"", r.Call.Principal.Role, r.Call.Action()}
		if k.role == "" {
			k.agent = r.Call.Principal.Agent
		}
		switch {
		case !r.Passed && r.Verdict == sallyport.Hold:
			left[k.String()+": held for a human then"]++
		case !r.Passed:
			left[k.String()+": refused then"]++
		case r.tainted():
			left[k.String()+": acts after reading what others wrote, or is made of it"]++
		default:
			groups[k] = append(groups[k], r)
			learned++
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "// Suggested from %s. A rule here says what was done, not that it should be:\n// read each one before you use it.\n", count(learned, "call"))
	ids := map[string]bool{}
	for _, k := range slices.SortedFunc(maps.Keys(groups), compareKeys) {
		rule(&b, k, groups[k], ids)
	}
	if len(left) > 0 {
		b.WriteString("\n// Left out:\n")
		for _, what := range slices.Sorted(maps.Keys(left)) {
			fmt.Fprintf(&b, "//   %s, %s\n", count(left[what], "call"), what)
		}
	}
	return b.String()
}

// key is what one permit is about.
type key struct{ agent, role, action string }

func compareKeys(a, b key) int {
	return cmp.Or(strings.Compare(a.role, b.role), strings.Compare(a.agent, b.agent), strings.Compare(a.action, b.action))
}

// String quotes names: a server chooses those of its tools, and a line break in
// one must not end a comment.
func (k key) String() string {
	if k.role == "" {
		return fmt.Sprintf("agent %q, %q", k.agent, k.action)
	}
	return fmt.Sprintf("role %q, %q", k.role, k.action)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func rule(b *strings.Builder, k key, calls []Observed, ids map[string]bool) {
	agents := map[string]bool{}
	for _, r := range calls {
		agents[r.Call.Principal.Agent] = true
	}
	fmt.Fprintf(b, "\n// %s by %s.\n", count(len(calls), "call"), quoted(slices.Sorted(maps.Keys(agents))))
	l := learner{calls: len(calls)}
	l.learn(calls)
	for _, line := range l.comments {
		fmt.Fprintf(b, "// %s\n", line)
	}
	principal := types.NewEntityUID("Role", types.String(k.role))
	is := "in"
	if k.role == "" {
		principal, is = types.NewEntityUID("Agent", types.String(k.agent)), "=="
	}
	first := calls[0].Call
	fmt.Fprintf(b, "@id(%s)\npermit (\n  principal %s %s,\n  action == %s,\n  resource == %s\n)", literal(name(k, ids)), is, principal.MarshalCedar(),
		types.NewEntityUID("Action", types.String(k.action)).MarshalCedar(), types.NewEntityUID("Server", types.String(first.Server)).MarshalCedar())
	if len(l.conditions) > 0 {
		fmt.Fprintf(b, "\nwhen {\n  %s\n}", strings.Join(l.conditions, " &&\n  "))
	}
	b.WriteString(";\n")
}

func quoted(names []string) string {
	for i, name := range names {
		names[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(names, ", ")
}

// name is the rule's, unlike any other.
func name(k key, ids map[string]bool) string {
	plain := func(r rune) rune {
		if r == '_' || r == '-' || r == '.' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}
	id := strings.Map(plain, strings.Replace(k.role+k.agent+"-"+k.action, "/tool:", "-", 1))
	unlike := id
	for n := 2; ids[unlike]; n++ {
		unlike = fmt.Sprintf("%s-%d", id, n)
	}
	ids[unlike] = true
	return unlike
}

func literal(word string) string { return string(types.String(word).MarshalCedar()) }

// learner finds what the arguments of some calls have in common.
type learner struct {
	calls      int
	conditions []string
	comments   []string
}

func (l *learner) learn(calls []Observed) {
	s := shapeOf(calls[0])
	values := make([]sallyport.Value, len(calls))
	opaque := map[string]bool{} // first names of arguments that were opaque in any call
	for i, r := range calls {
		values[i] = r.Call.Args
		var c shape.Conversion
		c.Arguments(s, r.Call.Args)
		for _, path := range c.Opaque {
			if len(path) == 0 {
				l.comment("arguments were sent that rules can't read at all; nothing is restricted")
				return
			}
			opaque[path[0]] = true
			if s.Fields[path[0]] == nil {
				l.comment("%q is not declared by the schema, and was sent", path[0])
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Fields)) {
		f := s.Fields[name]
		seen := present(values, name)
		switch {
		case opaque[name]:
			l.comment("%q was sent in forms that rules can't read; not restricted", name)
		case f.Shape.Kind == shape.Opaque:
			l.conditions = append(l.conditions, fmt.Sprintf("!context.opaque.contains(%s)", literal(source.PathText([]string{name}))))
		default:
			l.argument("context.input", f, seen)
		}
	}
}

// shapeOf is the shape of a call's arguments.
func shapeOf(r Observed) *shape.Shape {
	switch {
	case r.Call.Kind == sallyport.KindTool && r.Tool != nil:
		return shape.Of(r.Tool.Raw.Get("inputSchema"))
	case r.Call.Kind == sallyport.KindPrompt && r.Tool != nil:
		return shape.OfPrompt(r.Tool.Raw)
	case r.Call.Kind == sallyport.KindResource || r.Call.Kind == sallyport.KindSubscribe:
		return shape.Flat(true, map[string]shape.Kind{"uri": shape.Text})
	default:
		return shape.Flat(false, nil)
	}
}

func present(values []sallyport.Value, name string) []sallyport.Value {
	var out []sallyport.Value
	for _, v := range values {
		if member := v.Get(name); member.Type() != sallyport.Absent {
			out = append(out, member)
		}
	}
	return out
}

func (l *learner) comment(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); !slices.Contains(l.comments, line) {
		l.comments = append(l.comments, line)
	}
}

// argument restricts one argument to what it was.
func (l *learner) argument(of string, f *shape.Field, seen []sallyport.Value) {
	has := of + " has " + attribute(f)
	if len(seen) == 0 {
		if l.calls >= enough && !f.Required {
			l.conditions = append(l.conditions, "!("+has+")")
		}
		return
	}
	condition := l.restrict(of+member(f), f, seen)
	switch {
	case condition == "":
	case f.Required:
		l.conditions = append(l.conditions, condition)
	default: // Cedar's validator follows if, not ||
		l.conditions = append(l.conditions, fmt.Sprintf("(if %s then %s else true)", has, condition))
	}
}

func attribute(f *shape.Field) string {
	if name := string(f.Name); plainName(name) {
		return name
	}
	return literal(string(f.Name))
}

func member(f *shape.Field) string {
	if plainName(string(f.Name)) {
		return "." + string(f.Name)
	}
	return "[" + literal(string(f.Name)) + "]"
}

// plainName reports whether Cedar takes the name without quotes.
func plainName(name string) bool {
	reserved := []string{"true", "false", "if", "then", "else", "in", "like", "has", "is", "__cedar"}
	return source.PathText([]string{name}) == name && !slices.Contains(reserved, name)
}

// restrict is a condition that every value seen meets, "" for none.
func (l *learner) restrict(path string, f *shape.Field, seen []sallyport.Value) string {
	if len(seen) < enough {
		l.comment("%q: %s; too few to restrict it", f.Name, count(len(seen), "value"))
		return ""
	}
	switch f.Shape.Kind {
	case shape.Boolean:
		if first := seen[0].Type(); !slices.ContainsFunc(seen, func(v sallyport.Value) bool { return v.Type() != first }) {
			return fmt.Sprintf("%s == %t", path, first == sallyport.True)
		}
	case shape.Long, shape.Decimal:
		return bounds(path, f.Shape, seen)
	case shape.Text:
		words := make([]string, len(seen))
		for i, v := range seen {
			words[i], _ = v.Text()
		}
		condition := oneOf(path, f.Shape, words)
		if condition == "" {
			l.comment("%q: %d different values; not restricted", f.Name, len(distinct(words)))
		}
		return condition
	case shape.Set:
		if f.Shape.Items.Kind == shape.Text {
			return within(path, seen)
		}
	}
	return ""
}

// bounds: from 0, or what was less, to the most that was seen.
func bounds(path string, s *shape.Shape, seen []sallyport.Value) string {
	var values []types.Value
	for _, v := range seen {
		values = append(values, s.Value(v))
	}
	slices.SortFunc(values, compareNumbers)
	low, high := values[0], values[len(values)-1]
	if s.Kind == shape.Long {
		if low == high {
			return fmt.Sprintf("%s == %s", path, low.MarshalCedar())
		}
		low := min(low.(types.Long), 0)
		return fmt.Sprintf("%s >= %d && %s <= %s", path, low, path, high.MarshalCedar())
	}
	if zero, _ := types.NewDecimalFromInt(0); low.(types.Decimal).Compare(zero) > 0 {
		low = zero
	}
	return fmt.Sprintf("%s.greaterThanOrEqual(%s) && %s.lessThanOrEqual(%s)", path, low.MarshalCedar(), path, high.MarshalCedar())
}

func compareNumbers(a, b types.Value) int {
	if a, ok := a.(types.Long); ok {
		return cmp.Compare(a, b.(types.Long))
	}
	return a.(types.Decimal).Compare(b.(types.Decimal))
}

func distinct(words []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(words)))
}

// oneOf: a constant, a few words that came up often enough, or one folder.
func oneOf(path string, s *shape.Shape, words []string) string {
	different := distinct(words)
	switch {
	case len(different) == 1:
		return path + " == " + literal(different[0])
	case s.Words != nil || len(different) <= 5 && len(words) >= 4*len(different):
		return fmt.Sprintf("[%s].contains(%s)", literals(different), path)
	}
	return folder(path, different)
}

func literals(words []string) string {
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = literal(word)
	}
	return strings.Join(out, ", ")
}

// escapes are the ways out of a folder that a pattern would not see.
var escapes = []string{"..", "%", `\`}

// folder: all below the same folder, or below one of the same host. Values that
// could climb out of it are refused; if any was seen, nothing is safe to say.
func folder(path string, words []string) string {
	prefix := words[0]
	for _, word := range words {
		for !strings.HasPrefix(word, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
		for _, escape := range escapes {
			if strings.Contains(word, escape) {
				return ""
			}
		}
	}
	prefix = prefix[:strings.LastIndexByte(prefix, '/')+1]
	below := prefix
	if _, rest, ok := strings.Cut(prefix, "://"); ok {
		below = rest // the host must be whole
	}
	if strings.Count(strings.TrimPrefix(below, "/"), "/") < 1 {
		return ""
	}
	conditions := []string{path + " like " + pattern(types.String(prefix), types.Wildcard{})}
	for _, escape := range escapes {
		conditions = append(conditions, fmt.Sprintf("!(%s like %s)", path, pattern(types.Wildcard{}, types.String(escape), types.Wildcard{})))
	}
	return strings.Join(conditions, " && ")
}

func pattern(parts ...any) string { return string(types.NewPattern(parts...).MarshalCedar()) }

// within: lists of words that were all seen.
func within(path string, seen []sallyport.Value) string {
	var words []string
	for _, v := range seen {
		for _, item := range v.Items() {
			word, _ := item.Text()
			words = append(words, word)
		}
	}
	words = distinct(words)
	switch {
	case len(words) == 0:
		return path + ".isEmpty()"
	case len(words) <= 10 && len(seen) >= len(words):
		return fmt.Sprintf("[%s].containsAll(%s)", literals(words), path)
	default:
		return ""
	}
}

// tainted reports whether others may have led the agent to the call: one that
// acts in a run that has read what they wrote, or whose arguments are theirs. A
// policy learned from it would permit what they wanted.
func (o *Observed) tainted() bool {
	if o.Flow == nil || !o.Flow.Run.SawUntrusted {
		return false
	}
	reads := o.Tool == nil || slices.Equal(o.Tool.Effects, []sallyport.Effect{sallyport.Read})
	return !reads || slices.ContainsFunc(o.Flow.Traces, func(t sallyport.Trace) bool { return t.Origin.Writer == sallyport.WriterUntrusted })
}
