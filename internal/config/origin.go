package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/hookdoor/table"
	"sallyport/internal/policy/source"
	"sallyport/internal/provenance"
	"sallyport/internal/scope"
)

// Result says who could have written the values of certain fields, and who may
// read them.
type Result struct {
	Tool  string `yaml:"tool"`  // name or pattern (*); default: every tool
	Field string `yaml:"field"` // path without indexes, such as sender.email, with * for one name; default: every field
	// Kind is what the identifiers there name, such as file; default: what the
	// names of field and tool say.
	Kind string `yaml:"kind"`
	// Writer is trusted (the server itself, or somebody it vouches for) or
	// untrusted (the default).
	Writer  string `yaml:"writer"`
	Readers string `yaml:"readers"` // default: the server's
}

// Argument says what an argument is for, where its name, schema and value don't
// say it or mislead.
type Argument struct {
	Tool     string `yaml:"tool"`     // name or pattern (* and ?); default: every tool
	Argument string `yaml:"argument"` // path without indexes, such as customer.email
	Means    string `yaml:"means"`
}

// readersNames are the values of readers, fewest first.
var readersNames = []string{sallyport.ReadersPrivate.String(), sallyport.ReadersInternal.String(), sallyport.ReadersPublic.String()}

// writerNames are the values of writer: no server speaks for the user.
var writerNames = []string{sallyport.WriterUntrusted.String(), sallyport.WriterTrusted.String()}

// meanings are the values of means. All but the last three are critical: the
// call does harm when the argument is the attacker's.
var meanings = []string{
	string(scope.RolePrincipal), string(scope.RoleURL), string(scope.RolePath), string(scope.RoleID), string(scope.RoleThing),
	string(scope.RoleSecret), string(scope.RoleCommand), string(scope.RoleAmount),
	string(scope.RoleContent), string(scope.RoleTime), string(scope.RoleQuery),
}

func (r *reader) checkOrigins(s Server, at func(...any) []any) {
	r.word(at("readers"), "reader", s.Readers, readersNames)
	for i, result := range s.Results {
		r.word(at("results", i, "writer"), "writer", result.Writer, writerNames)
		r.word(at("results", i, "readers"), "reader", result.Readers, readersNames)
		if strings.ContainsAny(result.Field, "[]") {
			r.problem(at("results", i, "field"), "%q: write the path without indexes, such as sender.email", result.Field)
		}
		if result.Tool == "" && result.Field == "" {
			r.problem(at("results", i), "name a tool or a field: for whatever the server returns there are trust and readers")
		}
		if strings.Contains(result.Tool, "?") {
			r.problem(at("results", i, "tool"), "%q: * stands for any characters here, ? for nothing", result.Tool)
		}
	}
	for i, a := range s.Arguments {
		if a.Argument == "" || strings.ContainsAny(a.Argument, "[]*") {
			r.problem(at("arguments", i), "say which argument, by its path without indexes, such as customer.email")
		}
		if a.Means == "" {
			r.problem(at("arguments", i), "say what %s means: %s", a.Argument, strings.Join(meanings, ", "))
		}
		r.word(at("arguments", i, "means"), "meaning", a.Means, meanings)
	}
	for _, pattern := range slices.Sorted(maps.Keys(s.Audience)) {
		if r.word(at("audience", pattern), "audience", s.Audience[pattern], readersNames); s.Audience[pattern] == "" {
			r.problem(at("audience", pattern), "%s has no audience: private, internal or public", pattern)
		}
	}
}

// word refuses what is none of the known words; left out is for the defaults.
func (r *reader) word(at []any, what, word string, known []string) {
	if word != "" && !slices.Contains(known, word) {
		r.problem(at, "there is no %s %q%s", what, word, source.Meant(word, known))
	}
}

// Declaration is what the operator said of a server's results, for the package
// that traces values. Of a server that is not configured nothing is trusted.
func (c *Config) Declaration(server string) provenance.Declaration {
	s := c.Servers[server]
	d := provenance.Declaration{Trust: s.trust(), Readers: sallyport.ReadersOf(s.Readers), Serialised: s.Serialised}
	for _, r := range s.Results {
		d.Rules = append(d.Rules, provenance.Rule{Tool: r.Tool, Field: r.Field, Kind: r.Kind, Origin: s.origin(r)})
	}
	d.Rules = append(d.Rules, s.clientRules()...)
	return d
}

func (s *Server) trust() provenance.Trust {
	switch {
	case s.Trust == "first-party", s.Trust == "" && s.Builtin != "" && s.Builtin != table.ClaudeCode:
		return provenance.FirstParty
	case s.Trust == "vetted":
		return provenance.Vetted
	default:
		return provenance.Community
	}
}

// origin of what a rule fits. What it leaves out is untrusted, and read by
// those who read the server's results.
func (s *Server) origin(r Result) sallyport.Origin {
	o := sallyport.Origin{Writer: sallyport.WriterUntrusted, Readers: sallyport.ReadersOf(s.Readers)}
	if r.Writer == sallyport.WriterTrusted.String() {
		o.Writer = sallyport.WriterTrusted
	}
	if r.Readers != "" {
		o.Readers = sallyport.ReadersOf(r.Readers)
	}
	return o
}

// Meanings says what the arguments of a tool are for, by path, as far as the
// operator says it. The first that fits decides.
func (c *Config) Meanings(server, tool string) map[string]scope.Role {
	var all map[string]scope.Role
	for _, a := range slices.Backward(c.Servers[server].Arguments) {
		if a.Tool == "" || matches(a.Tool, tool) {
			if all == nil {
				all = map[string]scope.Role{}
			}
			all[a.Argument] = scope.Role(a.Means)
		}
	}
	return all
}

// Audience is who can read what is sent to a tool; false where the operator
// does not say.
func (c *Config) Audience(server, tool string) (sallyport.Readers, bool) {
	audience, said := nearest(c.Servers[server].Audience, tool, func(a string) int { return int(sallyport.ReadersOf(a)) })
	return sallyport.ReadersOf(audience), said
}

// Unfit are the declarations about a server that are about no tool of it, or no
// argument: they say nothing, and whoever wrote them thinks that they do.
func (s *Server) Unfit(tools []sallyport.Definition) []string {
	var unfit []string
	fits := func(pattern string, declared func(sallyport.Definition) bool) bool {
		return slices.ContainsFunc(tools, func(d sallyport.Definition) bool {
			return (pattern == "" || matches(pattern, d.Name)) && declared(d)
		})
	}
	ever := func(sallyport.Definition) bool { return true }
	for i, r := range s.Results {
		if !fits(r.Tool, ever) {
			unfit = append(unfit, fmt.Sprintf("results[%d]: no tool %s", i, r.Tool))
		}
	}
	for i, a := range s.Arguments {
		if !fits(a.Tool, func(d sallyport.Definition) bool { return takes(d.Raw.Get("inputSchema"), a.Argument) }) {
			unfit = append(unfit, fmt.Sprintf("arguments[%d]: no tool %s takes %s", i, a.Tool, a.Argument))
		}
	}
	for _, pattern := range slices.Sorted(maps.Keys(s.Audience)) {
		if !fits(pattern, ever) {
			unfit = append(unfit, fmt.Sprintf("audience: no tool %s", pattern))
		}
	}
	return unfit
}

// takes reports whether a schema may have an argument. Where it uses more than
// properties and items nobody knows, and it counts as one that may.
func takes(schema sallyport.Value, path string) bool {
	for name := range strings.SplitSeq(path, ".") {
		if items := schema.Get("items"); items.Type() == sallyport.Object {
			schema = items
		}
		properties := schema.Get("properties")
		if properties.Type() != sallyport.Object {
			return true
		}
		if schema = properties.Get(name); schema.Type() == sallyport.Absent {
			return false
		}
	}
	return true
}

// looserOrigins says what is trusted further, shown to more, or less critical.
func looserOrigins(name string, before, after *Server) []string {
	var why []string
	add := func(what string) { why = append(why, fmt.Sprintf("server %s: %s", name, what)) }
	if after.trust() > before.trust() {
		why = append(why, fmt.Sprintf("server %s is trusted further", name))
	}
	if sallyport.ReadersOf(after.Readers) > sallyport.ReadersOf(before.Readers) {
		add("more people may read what it returns")
	}
	if after.Serialised && !before.Serialised {
		add("its texts are trusted to be serialised")
	}
	if before.Memory && !after.Memory {
		add("it is no memory any more")
	}
	if !weaker(before, after) {
		add("origins of results change")
	}
	if !slices.Equal(before.Arguments, after.Arguments) {
		add("what arguments mean changes")
	}
	sameOrMore := func(a, b string) bool { return sallyport.ReadersOf(b) >= sallyport.ReadersOf(a) }
	if !maps.EqualFunc(before.Audience, after.Audience, sameOrMore) {
		add("audiences of tools change")
	}
	return why
}

// weaker reports whether no result can be trusted further, or be read by more,
// under the rules of after. The first rule that fits decides, so the same rules
// have to stand in the same order; what is put between them may only say the
// worst.
func weaker(before, after *Server) bool {
	old := before.Results
	for _, r := range after.Results {
		o := after.origin(r)
		if len(old) > 0 && old[0].Tool == r.Tool && old[0].Field == r.Field && old[0].Kind == r.Kind {
			if was := before.origin(old[0]); o.Weaker(was) == o {
				old = old[1:]
				continue
			}
		}
		if o != (sallyport.Origin{Writer: sallyport.WriterUntrusted}) {
			return false
		}
	}
	return len(old) == 0
}
