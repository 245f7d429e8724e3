package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"sallyport/internal/policy/source"
)

// maxConfig bounds the configuration in bytes, maxNesting its depth: the YAML
// parser recurses.
const (
	maxConfig  = 1 << 20
	maxNesting = 32
)

// Problem is one thing that is wrong with the configuration, and where. Line
// and Column start at 1; Line 0 means no particular place.
type Problem struct {
	File         string
	Line, Column int
	Text         string
}

func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text)
}

// Read reads and checks a configuration file. The error joins a
// *Problem for everything that is wrong.
func Read(name string) (*Config, []byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, err
	}
	config, err := Parse(name, text)
	return config, text, err
}

// Parse checks the text of a configuration file. Relative paths in it
// start from the directory of name.
func Parse(name string, text []byte) (config *Config, err error) {
	if len(text) > maxConfig {
		return nil, &Problem{File: name, Text: fmt.Sprintf("larger than %d bytes", maxConfig)}
	}
	if line := tooDeep(text); line > 0 {
		return nil, &Problem{name, line, 1, fmt.Sprintf("nested deeper than %d", maxNesting)}
	}
	// The YAML library has panicked on odd input before; a broken file must
	// never take a running gateway down.
	defer func() {
		if r := recover(); r != nil {
			config, err = nil, &Problem{File: name, Text: "not readable as YAML"}
		}
	}()
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, fromYAML(name, err)
	}
	if len(file.Docs) > 1 {
		return nil, problemIn(name, file.Docs[1].Body, "a second document: one file holds one configuration")
	}
	r := &reader{name: name, config: &Config{}}
	if len(file.Docs) == 1 && file.Docs[0].Body != nil {
		r.root = file.Docs[0].Body
		if err := r.refuseReferences(); err != nil {
			return nil, err
		}
		if err := yaml.NodeToValue(r.root, r.config, yaml.Strict()); err != nil {
			return nil, fromYAML(name, err)
		}
	}
	base, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	r.config.defaults(base)
	r.check()
	if len(r.problems) > 0 {
		return nil, errors.Join(r.problems...)
	}
	return r.config, nil
}

// reader checks one file and remembers where things stand in it.
type reader struct {
	name     string
	root     ast.Node
	config   *Config
	problems []error
}

// problem remarks on what stands at path: mapping keys and sequence indices
// from the root.
func (r *reader) problem(path []any, format string, args ...any) {
	r.problems = append(r.problems, problemIn(r.name, find(r.root, path), format, args...))
}

// find follows a path as far as it goes.
func find(node ast.Node, path []any) ast.Node {
	for _, step := range path {
		next := child(node, step)
		if next == nil {
			return node
		}
		node = next
	}
	return node
}

func child(node ast.Node, step any) ast.Node {
	if value, ok := node.(*ast.MappingValueNode); ok {
		node = value.Value
	}
	switch step := step.(type) {
	case string:
		mapping, ok := node.(*ast.MappingNode)
		if !ok {
			return nil
		}
		for _, value := range mapping.Values {
			if value.Key.GetToken().Value == step {
				return value
			}
		}
	case int:
		if sequence, ok := node.(*ast.SequenceNode); ok && step < len(sequence.Values) {
			return sequence.Values[step]
		}
	}
	return nil
}

// refuseReferences refuses anchors, aliases, merge keys and tags: what a human
// reads in one place must be all that there is.
func (r *reader) refuseReferences() error {
	finder := &referenceFinder{}
	ast.Walk(finder, r.root)
	if finder.found != nil {
		return problemIn(r.name, finder.found, "anchors, aliases, merge keys and tags are refused: write it out")
	}
	return nil
}

type referenceFinder struct{ found ast.Node }

func (f *referenceFinder) Visit(node ast.Node) ast.Visitor {
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		if f.found == nil {
			f.found = node
		}
		return nil
	}
	return f
}

// tooDeep is the first line that is nested deeper than maxNesting, 0 when none
// is. It counts what could nest, so quoted brackets count too.
func tooDeep(text []byte) int {
	open := 0
	for i, line := range bytes.Split(text, []byte("\n")) {
		indent := len(line) - len(bytes.TrimLeft(line, " -?:\t"))
		open += bytes.Count(line, []byte("[")) + bytes.Count(line, []byte("{"))
		open -= bytes.Count(line, []byte("]")) + bytes.Count(line, []byte("}"))
		open = max(open, 0)
		if open > maxNesting || indent > 4*maxNesting || bytes.Count(line, []byte("[")) > 4*maxNesting || bytes.Count(line, []byte("{")) > 4*maxNesting {
			return i + 1
		}
	}
	return 0
}

func problemIn(name string, node ast.Node, format string, args ...any) *Problem {
	p := &Problem{File: name, Text: fmt.Sprintf(format, args...)}
	if value, ok := node.(*ast.MappingValueNode); ok {
		node = value.Key
		if _, plain := value.Value.(ast.ScalarNode); plain {
			node = value.Value
		}
	}
	if node != nil {
		p.place(node.GetToken())
	}
	return p
}

func (p *Problem) place(at *token.Token) {
	if at != nil && at.Position != nil {
		p.Line, p.Column = at.Position.Line, at.Position.Column
	}
}

// problemAt is for UnmarshalYAML methods, which don't know the file.
func problemAt(node ast.Node, format string, args ...any) error {
	return problemIn("", node, format, args...)
}

// fromYAML turns the library's errors, which quote the source, into one line.
func fromYAML(name string, err error) error {
	if problem, ok := errors.AsType[*Problem](err); ok {
		problem.File = name
		return problem
	}
	var at yaml.Error
	if !errors.As(err, &at) {
		return &Problem{File: name, Text: err.Error()}
	}
	p := &Problem{File: name, Text: plainWords(at)}
	p.place(at.GetToken())
	return p
}

func plainWords(err yaml.Error) string {
	at := err.GetToken()
	switch err := err.(type) {
	case *yaml.UnknownFieldError:
		if slices.Contains(configKeys, at.Value) {
			return fmt.Sprintf("the key %q belongs elsewhere", at.Value)
		}
		return fmt.Sprintf("there is no key %q here%s", at.Value, source.Meant(at.Value, configKeys))
	case *yaml.TypeError:
		return fmt.Sprintf("%q does not belong here: %s is expected", at.Value, typeName(err.DstType))
	default:
		return err.GetMessage()
	}
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Map, reflect.Struct:
		return "a mapping"
	case reflect.Slice:
		return "a list"
	default:
		return "a text"
	}
}

// configKeys is every key that the configuration knows.
var configKeys = keysOf(reflect.TypeFor[Config](), nil)

func keysOf(t reflect.Type, keys []string) []string {
	switch t.Kind() {
	case reflect.Map, reflect.Slice, reflect.Pointer:
		return keysOf(t.Elem(), keys)
	case reflect.Struct:
		for field := range t.Fields() {
			if key := field.Tag.Get("yaml"); key != "" {
				keys = keysOf(field.Type, append(keys, key))
			}
		}
	}
	return keys
}

func scalar(node ast.Node) (string, error) {
	switch node := node.(type) {
	case *ast.StringNode:
		return node.Value, nil
	case *ast.LiteralNode:
		return node.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return node.GetToken().Value, nil
	}
	return "", problemAt(node, "a text is expected here")
}

func scalars(node ast.Node) ([]string, error) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		text, err := scalar(node)
		return []string{text}, err
	}
	var all []string
	for _, item := range sequence.Values {
		text, err := scalar(item)
		if err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, nil
}
