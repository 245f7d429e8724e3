package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"sallyport"
)

// Schema checks a tool's arguments against its pinned inputSchema.
type Schema struct {
	schema     *jsonschema.Schema
	undeclared bool // the operator admits undeclared properties
}

// Compile reads the inputSchema of a pinned tool (JSON Schema 2020-12 unless
// it says otherwise). A reference that leaves the schema is an error: nothing
// is fetched, so a server can't swap the rules behind the pin.
func Compile(tool *sallyport.Definition) (*Schema, error) {
	raw := tool.Raw.Get("inputSchema")
	if raw.Type() != sallyport.Object {
		return nil, fmt.Errorf("tool %s: inputSchema is not an object", tool.Name)
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
	return &Schema{schema, tool.Undeclared}, nil
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
	if args.Type() == sallyport.Absent {
		args = sallyport.MustParse("{}")
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(args.Raw()))
	if err != nil {
		return err
	}
	if err := s.schema.Validate(instance); err != nil {
		return readable(err)
	}
	if s.undeclared {
		return nil
	}
	return undeclared(args, []*jsonschema.Schema{s.schema}, "")
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
	if _, isRef := invalid.ErrorKind.(*kind.Reference); isRef {
		return fmt.Errorf("%s: does not fit the schema", place)
	}
	return fmt.Errorf("%s: %s", place, invalid.ErrorKind.LocalizedString(message.NewPrinter(language.English)))
}

// undeclared looks for a property that no part of the schema names. schemas
// are all that apply at this place.
func undeclared(value sallyport.Value, schemas []*jsonschema.Schema, path string) error {
	schemas = expand(schemas)
	for name, member := range value.Members() {
		var inner []*jsonschema.Schema
		for _, s := range schemas {
			if p := s.Properties[name]; p != nil {
				inner = append(inner, p)
			}
			for pattern, p := range s.PatternProperties {
				if pattern.MatchString(name) {
					inner = append(inner, p)
				}
			}
			// A typed map (additionalProperties is a schema) declares its
			// members' shape; a bare true declares nothing.
			if p, ok := s.AdditionalProperties.(*jsonschema.Schema); ok && !bare(p) {
				inner = append(inner, p)
			}
		}
		if len(inner) == 0 {
			return fmt.Errorf("%s/%s: not declared by the tool's schema; an operator can admit undeclared arguments for this tool in the configuration", path, name)
		}
		if err := undeclared(member, inner, path+"/"+name); err != nil {
			return err
		}
	}
	for i, item := range value.Items() {
		var inner []*jsonschema.Schema
		for _, s := range schemas {
			inner = append(inner, itemSchemas(s, i)...)
		}
		if err := undeclared(item, inner, fmt.Sprintf("%s/%d", path, i)); err != nil {
			return err
		}
	}
	return nil
}

// bare reports whether a schema says nothing about its instances.
func bare(s *jsonschema.Schema) bool {
	return s.Bool != nil && *s.Bool || s.Bool == nil && s.Types == nil && s.Ref == nil && s.Enum == nil &&
		s.Const == nil && len(s.Properties) == 0 && len(s.AnyOf) == 0 && len(s.OneOf) == 0 && len(s.AllOf) == 0
}

// expand follows references and combinators to all schemas that speak about
// one place.
func expand(schemas []*jsonschema.Schema) []*jsonschema.Schema {
	var out []*jsonschema.Schema
	seen := map[*jsonschema.Schema]bool{}
	var visit func(s *jsonschema.Schema)
	visit = func(s *jsonschema.Schema) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		out = append(out, s)
		visit(s.Ref)
		visit(s.RecursiveRef)
		if s.DynamicRef != nil {
			visit(s.DynamicRef.Ref)
		}
		for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, {s.If, s.Then, s.Else}} {
			for _, inner := range list {
				visit(inner)
			}
		}
		for _, inner := range s.DependentSchemas {
			visit(inner)
		}
	}
	for _, s := range schemas {
		visit(s)
	}
	return out
}

func itemSchemas(s *jsonschema.Schema, i int) []*jsonschema.Schema {
	if i < len(s.PrefixItems) {
		return []*jsonschema.Schema{s.PrefixItems[i]}
	}
	if s.Items2020 != nil {
		return []*jsonschema.Schema{s.Items2020}
	}
	switch items := s.Items.(type) {
	case *jsonschema.Schema:
		return []*jsonschema.Schema{items}
	case []*jsonschema.Schema:
		if i < len(items) {
			return []*jsonschema.Schema{items[i]}
		}
		if extra, ok := s.AdditionalItems.(*jsonschema.Schema); ok {
			return []*jsonschema.Schema{extra}
		}
	}
	return nil
}
