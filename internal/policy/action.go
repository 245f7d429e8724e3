package policy

import (
	"maps"
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"

	"sallyport"
	"sallyport/internal/policy/beside"
	"sallyport/internal/policy/shape"
	"sallyport/internal/policy/source"
)

// The entity types of every policy.
const (
	typeAgent  = types.EntityType("Agent")
	typeRole   = types.EntityType("Role")
	typeUser   = types.EntityType("User")
	typeTenant = types.EntityType("Tenant")
	typeServer = types.EntityType("Server")
	typeAction = types.EntityType("Action")
)

// Declared is what the operator's configuration names, and policies may name.
// Everything that a policy names must be here or pinned: a rule about a role
// that does not exist is a rule that silently does nothing.
type Declared struct {
	Servers    []string
	Agents     []string
	Roles      []string // of agents and of users
	Users      []string
	Groups     []string
	Tenants    []string
	Attributes []string // that any user has
	Findings   []string // that scanners can have, by name
}

// action is one thing that can be asked of a server: its place among Cedar's
// actions, and the shape of its arguments.
type action struct {
	uid        types.EntityUID
	server     string
	name       string // "tool:refund"
	effects    []sallyport.Effect
	input      *shape.Shape
	undeclared bool // arguments that the schema doesn't declare may be sent
	pinned     sallyport.Digest
	listed     bool // can be listed, so it can be offered instead
	groups     []types.EntityUID
}

func (a *action) key() string { return string(a.uid.ID) }

func serverGroup(server string) types.EntityUID {
	return types.NewEntityUID(typeAction, types.String("server:"+server))
}

func effectGroup(effect sallyport.Effect) types.EntityUID {
	return types.NewEntityUID(typeAction, types.String("effect:"+string(effect)))
}

func newAction(server, name string, input *shape.Shape, effects ...sallyport.Effect) *action {
	a := &action{
		uid:     types.NewEntityUID(typeAction, types.String(server+"/"+name)),
		server:  server,
		name:    name,
		effects: effects,
		input:   input,
		groups:  []types.EntityUID{serverGroup(server)},
	}
	for _, effect := range effects {
		a.groups = append(a.groups, effectGroup(effect))
	}
	return a
}

// asked are the shapes of what a server asks back and of the answers: the parts
// that people write rules about. The rest is opaque.
var asked = map[string]map[string]shape.Kind{
	"ask:elicitation":    {"message": shape.Text, "mode": shape.Text, "url": shape.Text},
	"ask:sampling":       {"systemPrompt": shape.Text, "maxTokens": shape.Long, "includeContext": shape.Text},
	"ask:roots":          {},
	"answer:elicitation": {"action": shape.Text},
	"answer:sampling":    {"model": shape.Text, "role": shape.Text, "stopReason": shape.Text},
	"answer:roots":       {},
}

// actionsOf are all actions that exist: those of the pinned definitions, and of
// each server reading resources, asking and answering.
func actionsOf(pinned []sallyport.Definition, servers []string) (map[string]*action, source.Problems) {
	actions := map[string]*action{}
	var problems source.Problems
	add := func(a *action) {
		if actions[a.key()] != nil {
			problems = append(problems, source.Problem{Text: "two pinned definitions claim the action " + a.key()})
		}
		actions[a.key()] = a
	}
	all := map[string]bool{}
	for _, name := range servers {
		all[name] = true
	}
	for _, d := range pinned {
		all[d.Server] = true
		switch d.Kind {
		case sallyport.KindTool:
			a := newAction(d.Server, "tool:"+d.Name, shape.Of(d.Raw.Get("inputSchema")), beside.Effects(d.Effects)...)
			a.undeclared, a.pinned, a.listed = d.Undeclared, d.Digest, true
			add(a)
		case sallyport.KindPrompt:
			a := newAction(d.Server, "prompt:"+d.Name, shape.OfPrompt(d.Raw), sallyport.Read)
			a.pinned, a.listed = d.Digest, true
			add(a)
		}
	}
	for name := range all {
		read := newAction(name, "resource:read", shape.Flat(true, map[string]shape.Kind{"uri": shape.Text}), sallyport.Read)
		read.listed = true
		add(read)
		for ask, fields := range asked {
			add(newAction(name, ask, shape.Flat(false, fields)))
		}
	}
	return actions, problems
}

// contextType is what the rules of one action can read. Room is left beside
// input for what later facts add.
func (a *action) contextType(attributes []string, result bool) resolved.RecordType {
	context := resolved.RecordType{
		"input":  {Type: a.input.Cedar()},
		"opaque": {Type: beside.Words},
		"user":   {Type: beside.UserType(attributes)},
		"run":    {Type: beside.RunType},

		"findings": {Type: beside.Words},
	}
	for _, part := range beside.FlowParts {
		if beside.IsPaths(part) {
			context[types.String(part)] = resolved.Attribute{Type: beside.Words}
		}
	}
	if result {
		context["result"] = resolved.Attribute{Type: beside.ResultType}
	}
	return context
}

// schema is Cedar's for these actions alone. Validating a policy against the
// actions in its scope, rather than all, keeps loading linear.
func schema(actions []*action, context func(*action) resolved.RecordType) *resolved.Schema {
	s := &resolved.Schema{
		Entities: map[types.EntityType]resolved.Entity{
			typeAgent:  {Name: typeAgent, ParentTypes: []types.EntityType{typeRole, typeUser, typeTenant}},
			typeRole:   {Name: typeRole},
			typeUser:   {Name: typeUser},
			typeTenant: {Name: typeTenant},
			typeServer: {Name: typeServer},
		},
		Actions: map[types.EntityUID]resolved.Action{},
	}
	for _, a := range actions {
		s.Actions[a.uid] = resolved.Action{
			Entity: types.Entity{UID: a.uid, Parents: types.NewEntityUIDSet(a.groups...)},
			AppliesTo: &resolved.AppliesTo{
				Principals: []types.EntityType{typeAgent},
				Resources:  []types.EntityType{typeServer},
				Context:    context(a),
			},
		}
	}
	return s
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
