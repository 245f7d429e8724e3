package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"sallyport"
)

// Schema checks a tool's arguments against its pinned inputSchema.
type Schema struct {
	schema *jsonschema.Schema
	shape  *shape // nil where the operator admits undeclared properties
}

// Compile reads the inputSchema of a pinned tool (JSON Schema 2020-12 unless
// it says otherwise). A reference that leaves the schema is an error: nothing
// is fetched, so a server can't swap the rules behind the pin.
func Compile(tool *sallyport.Definition) (*Schema, error) {
	raw := tool.Raw.Get("inputSchema")
	if raw.Type() != sallyport.Object {
		return nil, fmt.Errorf("tool %s: inputSchema is not an object", tool.Name)
	}
	if err := bounded(raw); err != nil {
		return nil, fmt.Errorf("tool %s: inputSchema%w", tool.Name, err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw.Raw()))
	if err != nil {
		return nil, fmt.Errorf("tool %s: %w", tool.Name, err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(closedLoader{})
	const here = "https://schema.invalid/input" // hierarchical, so that a relative reference leads elsewhere
	if err := compiler.AddResource(here, document); err != nil {
		return nil, fmt.Errorf("tool %s: %w", tool.Name, err)
	}
	schema, err := compiler.Compile(here)
	if err != nil {
		return nil, fmt.Errorf("tool %s: %w", tool.Name, err)
	}
	if tool.Undeclared {
		return &Schema{schema: schema}, nil
	}
	return &Schema{schema, shapes{}.of([]*jsonschema.Schema{schema})}, nil
}

// closedLoader refuses every reference that is not inside the schema.
type closedLoader struct{}

func (closedLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("the schema refers to %s: references to other documents are refused", url)
}

// Check says why arguments don't fit, naming the place, or nil. Absent
// arguments count as an empty object.
//
// Properties that the schema does not declare are refused even where JSON
// Schema would admit them: an undeclared "bcc" is how a call does more than
// anyone has looked at.
func (s *Schema) Check(args sallyport.Value) error {
	if err := bounded(args); err != nil {
		return err
	}
	if err := s.schema.Validate(instance(args)); err != nil {
		return readable(err)
	}
	if s.shape == nil {
		return nil
	}
	return s.shape.check(args)
}

// maxNumber bounds a number's characters and its decimal exponent. No double is
// beyond it.
const maxNumber = 400

// bounded refuses numbers that are cheap to write and dear to hold. The
// validator makes exact fractions of them: 1e999999 takes it a while, an array
// of those takes minutes, and at 1e9999999 it panics.
func bounded(v sallyport.Value) error {
	if v.Type() == sallyport.Number {
		raw := string(v.Raw())
		exponent := 0
		var err error
		if i := strings.IndexAny(raw, "eE"); i >= 0 {
			exponent, err = strconv.Atoi(raw[i+1:])
		}
		if err != nil || len(raw) > maxNumber || max(exponent, -exponent) > maxNumber {
			return fmt.Errorf(": a number must have at most %d characters and an exponent of at most %d", maxNumber, maxNumber)
		}
	}
	for name, member := range v.Members() {
		if err := bounded(member); err != nil {
			return fmt.Errorf("/%s%w", name, err)
		}
	}
	for i, item := range v.Items() {
		if err := bounded(item); err != nil {
			return fmt.Errorf("/%d%w", i, err)
		}
	}
	return nil
}

// instance is a value as the validator takes it; numbers stay text.
func instance(v sallyport.Value) any {
	switch v.Type() {
	case sallyport.Object:
		members := make(map[string]any, v.Len())
		for name, member := range v.Members() {
			members[name] = instance(member)
		}
		return members
	case sallyport.Array:
		items := make([]any, 0, v.Len())
		for _, item := range v.Items() {
			items = append(items, instance(item))
		}
		return items
	case sallyport.String:
		text, _ := v.Text()
		return text
	case sallyport.Number:
		return json.Number(v.Raw())
	case sallyport.True, sallyport.False:
		return v.Type() == sallyport.True
	case sallyport.Absent:
		return map[string]any{}
	default:
		return nil
	}
}

func readable(err error) error {
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return err
	}
	for len(invalid.Causes) > 0 {
		invalid = invalid.Causes[0]
	}
	place := "the arguments"
	if len(invalid.InstanceLocation) > 0 {
		place = "/" + strings.Join(invalid.InstanceLocation, "/")
	}
	return fmt.Errorf("%s: %s", place, unmet(invalid.ErrorKind))
}

// unmet says what a schema wants, and nothing of the value that it did not
// get: the sentence goes into an entry of the log, where nobody can erase it.
// Of the validator's own sentences only those are taken that speak of schemas,
// types and numbers of things.
func unmet(wanted jsonschema.ErrorKind) string {
	number := func(want *big.Rat) string {
		limit, _ := want.Float64()
		return fmt.Sprintf("does not fit %s %v", wanted.KeywordPath()[0], limit)
	}
	switch k := wanted.(type) {
	case *kind.Pattern:
		return fmt.Sprintf("does not match pattern '%s'", k.Want)
	case *kind.Minimum:
		return number(k.Want)
	case *kind.Maximum:
		return number(k.Want)
	case *kind.ExclusiveMinimum:
		return number(k.Want)
	case *kind.ExclusiveMaximum:
		return number(k.Want)
	case *kind.MultipleOf:
		return number(k.Want)
	case *kind.Type, *kind.Enum, *kind.Const, *kind.Required, *kind.DependentRequired, *kind.Dependency,
		*kind.MinLength, *kind.MaxLength, *kind.MinItems, *kind.MaxItems, *kind.UniqueItems,
		*kind.Contains, *kind.MinContains, *kind.MaxContains, *kind.MinProperties, *kind.MaxProperties,
		*kind.Not, *kind.AnyOf, *kind.OneOf, *kind.AllOf:
		return wanted.LocalizedString(message.NewPrinter(language.English))
	case *kind.Reference:
		return "does not fit the schema"
	default:
		return fmt.Sprintf("does not fit the schema's %s", strings.Join(wanted.KeywordPath(), "/"))
	}
}
