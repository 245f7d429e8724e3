// Package policytest runs the tests that stand beside policies: calls with
// expectations, role × effect matrices and invariants. The format is described
// in docs/policy.md.
package policytest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"sallyport"
	"sallyport/internal/policy"
)

// suite is one *.test.yaml file.
type suite struct {
	file   string
	Suite  string
	Agents map[string]agent
	Users  map[string]User
	Tests  []placed[test]
	Matrix []placed[matrix]
	Never  []placed[invariant]
}

type agent struct{ Role, For, Tenant string }

// User is a user as policies see one.
type User struct {
	Groups     []string
	Roles      []string
	Tenant     string
	Attributes map[string]string
}

// test is one step written flat, or several.
type test struct {
	Name    string
	As      string
	Call    *call
	Expect  *expect
	Result  *value
	Found   []string // in the result
	Release *expect
	Steps   []placed[step]
}

type step struct {
	Call    *call
	Expect  *expect
	Result  *value
	Found   []string
	Release *expect
}

type call struct {
	Server, Tool, Prompt, Resource, Ask, Answer string
	Args                                        *value

	// Where the arguments came from, as paths; those that are not named are the
	// user's and everybody's to read.
	Untrusted, Unknown, Private, Critical, Unlinked, Exposed []string
	Run                                                      labels
	Found                                                    []string // by scanners, in the arguments
}

// labels are what the run of a call has on it.
type labels struct {
	SawUntrusted bool `yaml:"sawUntrusted"`
	SawPrivate   bool `yaml:"sawPrivate"`
	Taskless     bool // nobody told it what to do
	Outside      bool
	Did          []sallyport.Effect
	Found        []string
}

// flow is what the decision is told of where the arguments came from.
func (c *call) flow() *sallyport.Flow {
	f := &sallyport.Flow{Task: !c.Run.Taskless, Unlinked: c.Unlinked, Exposed: c.Exposed, Run: sallyport.Labels{SawUntrusted: c.Run.SawUntrusted, SawPrivate: c.Run.SawPrivate, Did: c.Run.Did, Found: c.Run.Found}}
	if c.Run.Outside {
		f.Outside = "the test says so"
	}
	mark := func(paths []string, t sallyport.Trace) {
		for _, t.Path = range paths {
			f.Traces = append(f.Traces, t)
		}
	}
	own := sallyport.Origin{Writer: sallyport.WriterUser, Readers: sallyport.ReadersPublic}
	mark(c.Untrusted, sallyport.Trace{Origin: sallyport.Origin{Writer: sallyport.WriterUntrusted, Readers: sallyport.ReadersPublic}})
	mark(c.Unknown, sallyport.Trace{Origin: sallyport.Origin{Readers: sallyport.ReadersPublic}})
	mark(c.Private, sallyport.Trace{Origin: sallyport.Origin{Writer: sallyport.WriterTrusted}})
	mark(c.Critical, sallyport.Trace{Origin: own, Critical: true})
	return f
}

type matrix struct {
	Role    string
	Servers map[string]map[sallyport.Effect]string
}

type invariant struct {
	Name   string
	Call   target
	Unless *exception
}

// target is what an invariant is about: everything that all given parts fit.
type target struct {
	Server, Tool, Prompt string
	Effect               sallyport.Effect
	Where                *value
}

type exception struct {
	Role, Agent, User, Group, Tenant string
	Held                             bool
}

// parse reads a suite strictly: a key that nobody reads is a test that does not
// test.
func parse(file policy.File) (*suite, *policy.Problem) {
	s := suite{file: file.Name}
	err := yaml.UnmarshalWithOptions(file.Text, &s, yaml.Strict())
	if err == nil {
		if s.Suite == "" {
			return nil, &policy.Problem{File: file.Name, Line: 1, Column: 1, Text: "a suite needs a name: suite: …"}
		}
		return &s, nil
	}
	problem := policy.Problem{File: file.Name, Line: 1, Column: 1, Text: err.Error()}
	var placed yaml.Error
	if errors.As(err, &placed) {
		problem.Text = placed.GetMessage()
		if token := placed.GetToken(); token != nil {
			problem.Line, problem.Column = token.Position.Line, token.Position.Column
		}
	}
	return nil, &problem
}

// placed remembers the line on which a part of a suite begins.
type placed[T any] struct {
	line int
	it   T
}

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (p *placed[T]) UnmarshalYAML(node ast.Node) error {
	p.line = node.GetToken().Position.Line
	return yaml.NodeToValue(node, &p.it, yaml.Strict())
}

// expect is a verdict, with the rule and the groups that must go with it, and
// how what comes back must be changed.
type expect struct {
	verdict     sallyport.Verdict
	rule        string
	groups      []string
	masked      []string // nil for whatever
	neutralised *bool    // nil for either
	text        string
}

// UnmarshalYAML implements yaml.NodeUnmarshaler: allow, or {deny: RULE}, or
// {hold: [GROUPS], rule: RULE}, or {masked: [FINDINGS], neutralised: true}.
func (e *expect) UnmarshalYAML(node ast.Node) error {
	var word string
	if yaml.NodeToValue(node, &word) == nil && slices.Contains([]string{"allow", "hold", "deny"}, word) {
		e.verdict, e.text = sallyport.VerdictOf(word), word
		return nil
	}
	var long struct {
		Allow, Deny, Rule string
		Hold              []string
		Masked            []string
		Neutralised       *bool
	}
	if err := yaml.NodeToValue(node, &long, yaml.Strict()); err != nil {
		return err
	}
	changed := long.Masked != nil || long.Neutralised != nil
	switch {
	case long.Hold != nil && long.Allow == "" && long.Deny == "" && !changed:
		slices.Sort(long.Hold)
		*e = expect{verdict: sallyport.Hold, rule: long.Rule, groups: long.Hold, text: fmt.Sprintf("hold for %q", long.Hold)}
		if long.Rule != "" {
			e.text += " by " + long.Rule
		}
	case long.Rule == "" && long.Hold == nil && long.Deny != "" && long.Allow == "" && !changed:
		*e = expect{verdict: sallyport.Deny, rule: long.Deny, text: "deny by " + long.Deny}
	case long.Rule == "" && long.Hold == nil && (long.Allow != "" || changed) && long.Deny == "":
		*e = expect{verdict: sallyport.Allow, rule: long.Allow, masked: long.Masked, neutralised: long.Neutralised, text: "allow"}
		if long.Allow != "" {
			e.text += " by " + long.Allow
		}
		if changed {
			slices.Sort(e.masked)
			e.text += " " + change(e.masked, e.neutralised != nil && *e.neutralised)
		}
	default:
		return &yaml.SyntaxError{Message: "expect is allow, hold, deny, {allow: RULE}, {deny: RULE} or {hold: [GROUPS], rule: RULE}; release may be {masked: [FINDINGS], neutralised: true}", Token: node.GetToken()}
	}
	return nil
}

// change says how what comes back is changed.
func change(masked []string, neutralised bool) string {
	text := fmt.Sprintf("with %q masked", masked)
	if neutralised {
		text += " and neutralised"
	}
	return text
}

// changes reports whether something is expected of how a result is changed.
func (e *expect) changes() bool { return e.masked != nil || e.neutralised != nil }

// meets reports whether a decision is the expected one.
func (e *expect) meets(d sallyport.Decision) bool {
	switch {
	case d.Verdict != e.verdict || e.groups != nil && !slices.Equal(e.groups, d.Asks):
		return false
	case e.masked != nil && !slices.Equal(e.masked, d.Mask) || e.neutralised != nil && *e.neutralised != d.Neutralise:
		return false
	}
	return e.rule == "" || slices.ContainsFunc(d.Rules, func(r sallyport.Rule) bool { return r.ID == e.rule })
}

// value is JSON written as YAML; numbers keep their digits.
type value struct{ sallyport.Value }

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (v *value) UnmarshalYAML(node ast.Node) error {
	text, err := appendJSON(nil, node)
	if err != nil {
		return err
	}
	if v.Value, err = sallyport.Parse(text); err != nil {
		return &yaml.SyntaxError{Message: err.Error(), Token: node.GetToken()}
	}
	return nil
}

func appendJSON(dst []byte, node ast.Node) ([]byte, error) {
	var err error
	switch n := node.(type) {
	case *ast.MappingNode:
		dst = append(dst, '{')
		for i, member := range n.Values {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(sallyport.AppendString(dst, member.Key.GetToken().Value), ':')
			if dst, err = appendJSON(dst, member.Value); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case *ast.SequenceNode:
		dst = append(dst, '[')
		for i, item := range n.Values {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendJSON(dst, item); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case *ast.StringNode:
		return sallyport.AppendString(dst, n.Value), nil
	case *ast.LiteralNode:
		return sallyport.AppendString(dst, n.Value.Value), nil
	case *ast.BoolNode:
		return strconv.AppendBool(dst, n.Value), nil
	case *ast.NullNode:
		return append(dst, "null"...), nil
	case *ast.IntegerNode, *ast.FloatNode:
		return append(dst, n.GetToken().Value...), nil // not JSON's number: Parse refuses it
	default:
		return nil, &yaml.SyntaxError{Message: "this can't be an argument; write plain maps, lists, strings, numbers, true, false or null", Token: node.GetToken()}
	}
}
