package manifest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sallyport"
)

// shape says what a schema declares at one place, over all references and
// combinators that speak about it: which properties, and the shapes of items.
// It is made once per pin, so that checking a call only walks it.
type shape struct {
	properties map[string]*shape
	patterns   []pattern
	rest       *shape   // of typed additional properties, nil where none are declared
	prefix     []*shape // of an array's first items
	items      *shape   // of its others
}

type pattern struct {
	regexp jsonschema.Regexp
	shape  *shape
}

// nothing declares no property anywhere below.
var nothing = &shape{}

// check looks for a property that nothing declares, and names the first.
func (s *shape) check(value sallyport.Value) error {
	for name, member := range value.Members() {
		inner := s.property(name)
		if inner == nil {
			return fmt.Errorf("/%s: not declared by the tool's schema; an operator can admit undeclared arguments for this tool in the configuration", name)
		}
		if err := inner.check(member); err != nil {
			return fmt.Errorf("/%s%w", name, err)
		}
	}
	for i, item := range value.Items() {
		inner := s.items
		if i < len(s.prefix) {
			inner = s.prefix[i]
		}
		if inner == nil {
			inner = nothing
		}
		if err := inner.check(item); err != nil {
			return fmt.Errorf("/%d%w", i, err)
		}
	}
	return nil
}

func (s *shape) property(name string) *shape {
	if declared := s.properties[name]; declared != nil {
		return declared
	}
	for _, p := range s.patterns {
		if p.regexp.MatchString(name) {
			return p.shape
		}
	}
	return s.rest
}

// shapes remembers the shape of each set of schemas, which is what ends
// recursion.
type shapes map[string]*shape

func (known shapes) of(schemas []*jsonschema.Schema) *shape {
	schemas = expand(schemas)
	if len(schemas) == 0 {
		return nil
	}
	key := keyOf(schemas)
	if s := known[key]; s != nil {
		return s
	}
	if len(known) >= maxShapes {
		return nothing
	}
	s := &shape{properties: map[string]*shape{}}
	known[key] = s
	properties := map[string][]*jsonschema.Schema{}
	var rest, items []*jsonschema.Schema
	longest := 0
	for _, schema := range schemas {
		for name, p := range schema.Properties {
			properties[name] = append(properties[name], p)
		}
		for regexp, p := range schema.PatternProperties {
			s.patterns = append(s.patterns, pattern{regexp, known.of([]*jsonschema.Schema{p})})
		}
		// A typed map (additionalProperties is a schema) declares its
		// members' shape; a bare true declares nothing.
		if p, ok := schema.AdditionalProperties.(*jsonschema.Schema); ok && !bare(p) {
			rest = append(rest, p)
		}
		items = append(items, restOfItems(schema)...)
		longest = max(longest, len(prefixOfItems(schema)))
	}
	for name, declared := range properties {
		s.properties[name] = known.of(declared)
	}
	s.rest, s.items = known.of(rest), known.of(items)
	for i := range longest {
		var at []*jsonschema.Schema
		for _, schema := range schemas {
			if prefix := prefixOfItems(schema); i < len(prefix) {
				at = append(at, prefix[i])
			} else {
				at = append(at, restOfItems(schema)...)
			}
		}
		s.prefix = append(s.prefix, known.of(at))
	}
	return s
}

// maxShapes bounds what a crafted schema can cost: its unions could name
// exponentially many sets. Beyond it nothing counts as declared.
const maxShapes = 10_000

// keyOf names a set of schemas.
func keyOf(schemas []*jsonschema.Schema) string {
	names := make([]string, len(schemas))
	for i, s := range schemas {
		names[i] = fmt.Sprintf("%p", s)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
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

// prefixOfItems are the schemas of an array's first items: prefixItems of
// 2020-12, a list of items before it.
func prefixOfItems(s *jsonschema.Schema) []*jsonschema.Schema {
	if list, ok := s.Items.([]*jsonschema.Schema); ok {
		return list
	}
	return s.PrefixItems
}

// restOfItems are the schemas of the items after those.
func restOfItems(s *jsonschema.Schema) []*jsonschema.Schema {
	if s.Items2020 != nil {
		return []*jsonschema.Schema{s.Items2020}
	}
	switch items := s.Items.(type) {
	case *jsonschema.Schema:
		return []*jsonschema.Schema{items}
	case []*jsonschema.Schema:
		if extra, ok := s.AdditionalItems.(*jsonschema.Schema); ok {
			return []*jsonschema.Schema{extra}
		}
	}
	return nil
}
