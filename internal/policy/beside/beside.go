// Package beside is what rules can read beside the arguments, as Cedar holds it:
// the user, what came back, and where the arguments came from.
package beside

import (
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"

	"sallyport"
)

// UserParts are the parts of context.user.
var UserParts = []string{"name", "tenant", "roles", "groups", "attributes"}

// User has the named parts of context.user.
func User(p *sallyport.Principal, parts []string) types.Record {
	members := make(types.RecordMap, len(parts))
	for _, part := range parts {
		if _, done := members[types.String(part)]; done {
			continue
		}
		switch part {
		case "name":
			members["name"] = types.String(p.User)
		case "tenant":
			members["tenant"] = types.String(p.Tenant)
		case "roles":
			members["roles"] = words(p.Roles)
		case "groups":
			members["groups"] = words(p.Groups)
		case "attributes":
			attributes := make(types.RecordMap, len(p.Attributes))
			for name, value := range p.Attributes {
				attributes[types.String(name)] = types.String(value)
			}
			members["attributes"] = types.NewRecord(attributes)
		}
	}
	return types.NewRecord(members)
}

// UserType is the type of context.user, for users with these attributes.
func UserType(attributes []string) resolved.RecordType {
	own := resolved.RecordType{}
	for _, name := range attributes {
		own[types.String(name)] = resolved.Attribute{Type: resolved.StringType{}, Optional: true}
	}
	return resolved.RecordType{
		"name":       {Type: resolved.StringType{}},
		"tenant":     {Type: resolved.StringType{}},
		"roles":      {Type: Words},
		"groups":     {Type: Words},
		"attributes": {Type: own},
	}
}

// Words is the type of a set of strings.
var Words = resolved.SetType{Element: resolved.StringType{}}

func words[S ~string](list []S) types.Set {
	values := make([]types.Value, len(list))
	for i, word := range list {
		values[i] = types.String(word)
	}
	return types.NewSet(values...)
}

// ResultType is the type of context.result.
var ResultType = resolved.RecordType{
	"isError": {Type: resolved.BoolType{}},
	"text":    {Type: resolved.StringType{}},
}

// Result is what rules about results read: every string and number, and the
// names within structured content, so that nothing can hide in a corner that
// the rules don't look at.
func Result(result sallyport.Value) types.Record {
	var lines []string
	var gather func(v sallyport.Value, names bool)
	gather = func(v sallyport.Value, names bool) {
		switch v.Type() {
		case sallyport.String:
			line, _ := v.Text()
			lines = append(lines, line)
		case sallyport.Number:
			lines = append(lines, string(v.Raw()))
		}
		for name, member := range v.Members() {
			if names {
				lines = append(lines, name)
			}
			gather(member, names || name == "structuredContent" || name == "_meta")
		}
		for _, item := range v.Items() {
			gather(item, names)
		}
	}
	gather(result, false)
	return types.NewRecord(types.RecordMap{
		"isError": types.Boolean(result.Get("isError").Type() == sallyport.True),
		"text":    types.String(strings.Join(lines, "\n")),
	})
}

// Effects are a tool's effects in their order, each once. An effect that nobody
// knows, and no effect at all, count as the strictest.
func Effects(effects []sallyport.Effect) []sallyport.Effect {
	var out []sallyport.Effect
	for _, effect := range sallyport.Effects {
		if slices.Contains(effects, effect) {
			out = append(out, effect)
		}
	}
	strange := slices.ContainsFunc(effects, func(e sallyport.Effect) bool { return !slices.Contains(sallyport.Effects[:], e) })
	if (len(out) == 0 || strange) && !slices.Contains(out, sallyport.Exec) {
		out = append(out, sallyport.Exec)
	}
	return out
}
