package source

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"sallyport"
)

// Conjuncts are the parts that must all come out as wanted for a rule to apply.
func Conjuncts(conditions []Condition) []Condition {
	var out []Condition
	var split func(t *Tree, want bool)
	split = func(t *Tree, want bool) {
		switch t.Node.(type) {
		case ast.NodeTypeAnd:
			if want {
				split(t.Kids[0], true)
				split(t.Kids[1], true)
				return
			}
		case ast.NodeTypeOr:
			if !want {
				split(t.Kids[0], false)
				split(t.Kids[1], false)
				return
			}
		case ast.NodeTypeNot:
			split(t.Kids[0], !want)
			return
		}
		out = append(out, Condition{want, t})
	}
	for _, c := range conditions {
		split(c.Body, c.Want)
	}
	return out
}

// PathOf is the path that an expression spells out from a variable.
func PathOf(t *Tree) ([]string, bool) {
	switch n := t.Node.(type) {
	case ast.NodeTypeVariable:
		return []string{string(n.Name)}, true
	case ast.NodeTypeAccess:
		path, ok := PathOf(t.Kids[0])
		return append(path, string(n.Value)), ok
	default:
		return nil, false
	}
}

// Looks is the path that t reads, or asks for with has: nil when it does
// neither. Every look at an attribute must be such a path.
func Looks(t *Tree) (path []string, exists, ok bool) {
	switch n := t.Node.(type) {
	case ast.NodeTypeAccess:
		path, ok = PathOf(t)
	case ast.NodeTypeHas:
		path, ok = PathOf(t.Kids[0])
		path, exists = append(path, string(n.Value)), true
	default:
		return nil, false, true
	}
	return path, exists, ok
}

// Say words a simple comparison that must come out as want.
func (t *Tree) Say(want bool) (string, bool) {
	is := func(subject *Tree, yes, no string, object *Tree) (string, bool) {
		name, ok := subject.subject()
		literal, plain := object.literal()
		if !want {
			yes = no
		}
		return name + " is " + yes + literal, ok && plain
	}
	switch n := t.Node.(type) {
	case ast.NodeTypeLessThan:
		return is(t.Kids[0], "less than ", "at least ", t.Kids[1])
	case ast.NodeTypeLessThanOrEqual:
		return is(t.Kids[0], "at most ", "more than ", t.Kids[1])
	case ast.NodeTypeGreaterThan:
		return is(t.Kids[0], "more than ", "at most ", t.Kids[1])
	case ast.NodeTypeGreaterThanOrEqual:
		return is(t.Kids[0], "at least ", "less than ", t.Kids[1])
	case ast.NodeTypeEquals:
		return is(t.Kids[0], "", "not ", t.Kids[1])
	case ast.NodeTypeNotEquals:
		return is(t.Kids[0], "not ", "", t.Kids[1])
	case ast.NodeTypeIn:
		return is(t.Kids[0], "in ", "not in ", t.Kids[1])
	case ast.NodeTypeExtensionCall:
		words := map[types.Path][2]string{
			"lessThan": {"less than ", "at least "}, "lessThanOrEqual": {"at most ", "more than "},
			"greaterThan": {"more than ", "at most "}, "greaterThanOrEqual": {"at least ", "less than "},
		}[n.Name]
		if words[0] == "" || len(t.Kids) != 2 {
			return "", false
		}
		return is(t.Kids[0], words[0], words[1], t.Kids[1])
	case ast.NodeTypeContains:
		if _, ok := t.Kids[1].subject(); ok {
			return is(t.Kids[1], "one of ", "none of ", t.Kids[0])
		}
		return is(t.Kids[0], "a list with ", "a list without ", t.Kids[1])
	case ast.NodeTypeLike:
		name, ok := t.Kids[0].subject()
		pattern := string(n.Value.MarshalCedar())
		if !want {
			return name + " is not like " + pattern, ok
		}
		return name + " is like " + pattern, ok
	case ast.NodeTypeHas:
		path, _, ok := Looks(t)
		if !want {
			return PathText(path[1:]) + " is left out", ok
		}
		return PathText(path[1:]) + " is given", ok
	case ast.NodeTypeIsEmpty:
		name, ok := t.Kids[0].subject()
		if !want {
			return name + " is not empty", ok
		}
		return name + " is empty", ok
	case ast.NodeTypeAccess:
		name, ok := t.subject()
		return fmt.Sprintf("%s is %t", name, want), ok
	case ast.NodeTypeNot:
		return t.Kids[0].Say(!want)
	case ast.NodeTypeAnd, ast.NodeTypeOr:
		_, and := t.Node.(ast.NodeTypeAnd)
		left, ok := t.Kids[0].Say(want)
		right, both := t.Kids[1].Say(want)
		with := " or "
		if and == want {
			with = " and "
		}
		return left + with + right, ok && both
	default:
		return "", false
	}
}

// subject is how people call what a path stands for. The action and the
// resource have no name here: nobody can send the same call as another one.
func (t *Tree) subject() (string, bool) {
	path, ok := PathOf(t)
	switch {
	case ok && len(path) > 1:
		return PathText(path[1:]), true
	case ok && path[0] == "principal":
		return "the agent", true
	default:
		return "", false
	}
}

// literal is a constant as written in policies; decimals without their wrapping.
func (t *Tree) literal() (string, bool) {
	switch n := t.Node.(type) {
	case ast.NodeValue:
		return string(n.Value.MarshalCedar()), true
	case ast.NodeTypeExtensionCall:
		if len(t.Kids) == 1 && isFunction(n.Name) {
			word, ok := t.Kids[0].literal()
			return strings.Trim(word, `"`), ok
		}
	case ast.NodeTypeSet:
		var words []string
		for _, kid := range t.Kids {
			word, ok := kid.literal()
			if !ok {
				return "", false
			}
			words = append(words, word)
		}
		return strings.Join(words, ", "), true
	}
	return "", false
}

// PathText writes a path as policies do: customer.address, or labels["a b"].
func PathText(path []string) string {
	var b strings.Builder
	for i, name := range path {
		switch {
		case !isIdentifier(name):
			b.WriteString("[" + string(sallyport.AppendString(nil, name)) + "]")
		case i > 0:
			b.WriteString("." + name)
		default:
			b.WriteString(name)
		}
	}
	return b.String()
}

func isIdentifier(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// First is the first of the validator's joined errors, without its quotation.
func First(err error) string {
	for {
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok || len(joined.Unwrap()) == 0 {
			break
		}
		err = joined.Unwrap()[0]
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner
	}
	return err.Error()
}

// Join writes words one behind the other.
func Join[S ~string](words []S, with string) string {
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = string(word)
	}
	return strings.Join(out, with)
}

// Article puts the article before a word.
func Article(word string) string {
	if strings.IndexByte("AEIO", word[0]) >= 0 {
		return "an " + word
	}
	return "a " + word
}

// sentence ends a text with a full stop, unless it ends itself.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.ContainsAny(text[len(text)-1:], ".!?") {
		return text
	}
	return text + "."
}

// Sentences joins texts, each with a full stop.
func Sentences(sentences ...string) string {
	var out []string
	for _, s := range sentences {
		if s = sentence(s); s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}
