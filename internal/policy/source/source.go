// Package source reads policy files: statements, their syntax trees with the
// places that cedar-go's trees lack, and what a condition says in words.
package source

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// File is one policy file. Its name appears in problems and in reasons.
type File struct {
	Name string
	Text []byte
}

// Problem is one thing that is wrong with a policy, and where. Line and Column
// start at 1; a column counts characters. Line 0 means no particular place.
type Problem struct {
	File         string
	Line, Column int
	Text         string
}

func (p Problem) Error() string {
	switch {
	case p.File == "":
		return p.Text
	case p.Line == 0:
		return p.File + ": " + p.Text
	default:
		return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text)
	}
}

// Problems is all that is wrong with a policy set, by file and place.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Sorted are the problems by file and place, each once.
func (p Problems) Sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(p)
}

// Place is a position in a policy file. Line and column start at 1.
type Place struct{ Offset, Line, Column int }

// Problem is one about a place in this file.
func (f File) Problem(at Place, format string, args ...any) Problem {
	return Problem{File: f.Name, Line: at.Line, Column: at.Column, Text: fmt.Sprintf(format, args...)}
}

// token is one lexical element of Cedar.
type token struct {
	kind byte // 'a' identifier or keyword, '0' integer, '"' string, '.' operator
	text string
	at   Place
}

func (t token) end() int { return t.at.Offset + len(t.text) }

// cedarToken matches one token of Cedar's grammar after white space and
// comments; group 1 is an identifier, 2 an integer, 3 a string, 4 an operator.
var (
	blank      = regexp.MustCompile(`^(?:[ \t\r\n]+|//[^\n]*|/\*(?s:.*?)\*/)+`)
	cedarToken = regexp.MustCompile(`^(?:([_a-zA-Z][_a-zA-Z0-9]*)|([0-9]+)|("(?:[^"\\\n]|\\[^\n])*")|(::|[=!<>]=|&&|\|\||[@.,;(){}\[\]+*:!<>-]))`)
)

// tokens reads a whole file.
func (f File) tokens() ([]token, *Problem) {
	var out []token
	at := Place{Line: 1, Column: 1}
	move := func(text string) {
		at.Offset += len(text)
		if i := strings.LastIndexByte(text, '\n'); i >= 0 {
			at.Line += strings.Count(text, "\n")
			at.Column = 1
			text = text[i+1:]
		}
		at.Column += utf8.RuneCountInString(text)
	}
	if !utf8.Valid(f.Text) {
		problem := f.Problem(at, "the file is not valid UTF-8")
		return nil, &problem
	}
	for text := string(f.Text); ; {
		move(blank.FindString(text[at.Offset:]))
		rest := text[at.Offset:]
		if rest == "" {
			return out, nil
		}
		m := cedarToken.FindStringSubmatch(rest)
		if m == nil {
			r, _ := utf8.DecodeRuneInString(rest)
			problem := f.Problem(at, "%s", Hinted(fmt.Sprintf("unexpected %q", r)))
			if r == '"' {
				problem.Text = "this string does not end on its line"
			}
			return out, &problem
		}
		t := token{kind: '.', text: m[0], at: at}
		for i, kind := range []byte{'a', '0', '"'} {
			if m[i+1] != "" {
				t.kind = kind
			}
		}
		out = append(out, t)
		move(m[0])
	}
}

// maxStatement bounds one policy's text, in bytes: the parser recurses, and a
// file of a million brackets must not end the process.
const maxStatement = 64 << 10

// Statement is one policy as written.
type Statement struct {
	File   File
	Policy *ast.Policy
	tokens []token // with the closing semicolon
}

// Statements parses the file policy by policy, so that one mistake does not hide
// the next.
func (f File) Statements() ([]Statement, Problems) {
	tokens, broken := f.tokens()
	var out []Statement
	var problems Problems
	for len(tokens) > 0 {
		n := 1 + slices.IndexFunc(tokens, func(t token) bool { return t.text == ";" && t.kind == '.' })
		if n == 0 {
			if broken != nil {
				break // the file stops being Cedar inside this policy
			}
			n = len(tokens)
		}
		s := Statement{File: f, tokens: tokens[:n]}
		if problem := s.parse(); problem != nil {
			problems = append(problems, *problem)
		} else {
			out = append(out, s)
		}
		tokens = tokens[n:]
	}
	if broken != nil {
		problems = append(problems, *broken)
	}
	return out, problems
}

// Text is the policy as written, from its first token to its last.
func (s *Statement) Text() []byte {
	return s.File.Text[s.tokens[0].at.Offset:s.tokens[len(s.tokens)-1].end()]
}

func (s *Statement) parse() *Problem {
	first, text := s.tokens[0], s.Text()
	if len(text) > maxStatement {
		problem := s.File.Problem(first.at, "this policy is longer than %d bytes; split it", maxStatement)
		return &problem
	}
	list, err := cedar.NewPolicyListFromBytes(s.File.Name, text)
	if err != nil {
		problem := s.syntax(err)
		return &problem
	}
	// Cedar's own scanner must see exactly the one policy that ours saw.
	if len(list) != 1 {
		problem := s.File.Problem(first.at, "this is not one policy but %d", len(list))
		return &problem
	}
	s.Policy = (*ast.Policy)(list[0].AST())
	s.Policy.Position = ast.Position{Filename: s.File.Name, Offset: first.at.Offset, Line: first.at.Line, Column: first.at.Column}
	return nil
}

var (
	parsePlace = regexp.MustCompile(`<input>:(\d+):(\d+)`)
	parseWant  = regexp.MustCompile(`exact got (.*) want (.*)$`)
)

// culprit is the token that the parser complains about: mostly the one before
// the place that it names, which it has moved past.
func (s *Statement) culprit(at Place, text string) Place {
	i := slices.IndexFunc(s.tokens, func(t token) bool { return t.at.Line == at.Line && t.at.Column == at.Column })
	if i < 0 {
		i = len(s.tokens) // the end
	}
	if peeked := strings.HasPrefix(text, "got ") || strings.HasPrefix(text, "duplicate"); i > 0 && !peeked {
		i--
	}
	return s.tokens[min(i, len(s.tokens)-1)].at
}

// syntax turns the parser's error into a problem. The parser counts from the
// statement's start.
func (s *Statement) syntax(err error) Problem {
	text := strings.TrimPrefix(err.Error(), "parser error: ")
	at := s.tokens[0].at
	if m := parsePlace.FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1])
		column, _ := strconv.Atoi(m[2])
		if line == 1 {
			column += at.Column - 1
		}
		line += at.Line - 1
		at = Place{Line: line, Column: column}
		parsing := strings.HasPrefix(text, "parse error at")
		text = text[strings.Index(text, m[0])+len(m[0]):]
		text = text[strings.Index(text, ": ")+2:]
		if parsing {
			at = s.culprit(at, text)
		}
	}
	if m := parseWant.FindStringSubmatch(text); m != nil {
		text = fmt.Sprintf("expected %q, found %q", m[2], m[1])
		if m[1] == "" {
			text = fmt.Sprintf("expected %q at the end of this policy", m[2])
		}
	}
	return s.File.Problem(at, "%s", Hinted(text))
}
