package policy

import (
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"sallyport"
	"sallyport/internal/policy/beside"
	"sallyport/internal/policy/shape"
	"sallyport/internal/policy/source"
)

// checker finds what is wrong with policies before they decide anything. A rule
// that loads and silently never applies is the failure it is there to stop.
type checker struct {
	declared Declared
	actions  map[string]*action
	ordered  []*action // by name
	servers  []string
	contexts map[*action]contextTypes
	ids      map[string]string // rule id → where
	problems source.Problems

	statement source.Statement // the one being read
	scope     []*action        // that it can apply to
	result    bool
}

type contextTypes struct{ call, result resolved.RecordType }

func (c *checker) problem(at source.Place, format string, args ...any) {
	c.problems = append(c.problems, c.statement.File.Problem(at, format, args...))
}

// name checks that something named is declared.
func (c *checker) name(at source.Place, what, name string, declared []string) {
	if !slices.Contains(declared, name) {
		c.problem(at, "no %s %q is declared%s", what, name, source.Meant(name, declared))
	}
}

func (c *checker) isGroup(uid types.EntityUID) bool {
	if server, ok := strings.CutPrefix(string(uid.ID), "server:"); ok {
		return slices.Contains(c.servers, server)
	}
	effect, ok := strings.CutPrefix(string(uid.ID), "effect:")
	return ok && slices.Contains(sallyport.Effects[:], sallyport.Effect(effect))
}

func newChecker(actions map[string]*action, declared Declared) *checker {
	c := &checker{declared: declared, actions: actions, contexts: map[*action]contextTypes{}, ids: map[string]string{}}
	for _, key := range sortedKeys(actions) {
		c.ordered = append(c.ordered, actions[key])
		c.servers = append(c.servers, actions[key].server)
	}
	slices.Sort(c.servers)
	c.servers = slices.Compact(c.servers)
	return c
}

// entity checks that an entity named in a policy exists.
func (c *checker) entity(at source.Place, uid types.EntityUID) {
	name := string(uid.ID)
	switch uid.Type {
	case typeAgent:
		c.name(at, "agent", name, c.declared.Agents)
	case typeRole:
		c.name(at, "role", name, c.declared.Roles)
	case typeUser:
		c.name(at, "user", name, c.declared.Users)
	case typeTenant:
		c.name(at, "tenant", name, c.declared.Tenants)
	case typeServer:
		c.name(at, "server", name, c.servers)
	case typeAction:
		if c.actions[name] == nil && !c.isGroup(uid) {
			c.action(at, name)
		}
	default:
		c.problem(at, "there is no entity type %s; there are Agent, Role, User, Tenant, Server and Action", uid.Type)
	}
}

// action says what is wrong with the name of an action that does not exist.
func (c *checker) action(at source.Place, name string) {
	names := sortedKeys(c.actions)
	for _, effect := range sallyport.Effects {
		names = append(names, "effect:"+string(effect))
	}
	for _, server := range c.servers {
		names = append(names, "server:"+server)
	}
	hint := source.Meant(name, names)
	server, item, _ := strings.Cut(name, "/")
	kind, item, ok := strings.Cut(item, ":")
	switch {
	case ok && !slices.Contains(c.servers, server):
		c.problem(at, "no server %q is declared%s", server, source.Meant(server, c.servers))
	case ok && (kind == "tool" || kind == "prompt"):
		c.problem(at, "%s has no %s %q%s", server, kind, item, hint)
	default:
		c.problem(at, "there is no action %q%s", name, hint)
	}
}

// body checks the conditions and notes what they read.
func (c *checker) body(out *rule) {
	c.result = out.result
	c.scope = c.scope[:0]
	for _, a := range c.ordered {
		if out.scope.covers(a) {
			c.scope = append(c.scope, a)
		}
	}
	exists := func(uid types.EntityUID) bool { return c.actions[string(uid.ID)] != nil }
	if len(c.scope) == 0 && slices.ContainsFunc(out.scope.actions, exists) {
		c.problem(c.statement.Start(), "none of these actions is on server %q; this rule can never apply", out.scope.server)
	}
	before := len(c.problems)
	for _, condition := range out.conditions {
		c.expression(condition.Body)
		out.note(condition.Body)
	}
	if len(c.problems) > before {
		return
	}
	for _, condition := range out.conditions {
		c.types(condition.Body)
	}
}

// expression checks names: the library's validator takes a has of an attribute
// that nobody declares for false, which silently ends a forbid.
func (c *checker) expression(t *source.Tree) {
	t.Walk(func(t *source.Tree) bool {
		path, _, ok := source.Looks(t)
		switch {
		case !ok:
			c.problem(t.At, "write the whole path here, from context or principal; conditions can't reach into other expressions")
			return false
		case path != nil:
			c.declares(t, path)
			return false
		}
		switch n := t.Node.(type) {
		case ast.NodeTypeVariable:
			if n.Name == "context" {
				// Partial evaluation would take the unknown parts for values.
				c.problem(t.At, "context as a whole can't be compared; name the parts")
			}
		case ast.NodeValue:
			if uid, ok := n.Value.(types.EntityUID); ok {
				c.entity(t.At, uid)
			}
		case ast.NodeTypeIs:
			c.entityType(t, n.EntityType)
		case ast.NodeTypeIsIn:
			c.entityType(t, n.EntityType)
		case ast.NodeTypeEquals, ast.NodeTypeNotEquals, ast.NodeTypeContains, ast.NodeTypeContainsAll, ast.NodeTypeContainsAny:
			c.word(t.Kids[0], t.Kids[1])
			c.word(t.Kids[1], t.Kids[0])
		}
		return true
	})
}

func (c *checker) entityType(t *source.Tree, name types.EntityType) {
	if !slices.Contains([]types.EntityType{typeAgent, typeRole, typeUser, typeTenant, typeServer, typeAction}, name) {
		c.problem(t.At, "there is no entity type %s", name)
	}
}

// context is the type of an action's context in the rule being checked.
func (c *checker) context(a *action) resolved.RecordType {
	known, ok := c.contexts[a]
	if !ok {
		known = contextTypes{a.contextType(c.declared.Attributes, false), a.contextType(c.declared.Attributes, true)}
		c.contexts[a] = known
	}
	if c.result {
		return known.result
	}
	return known.call
}

// depth is how many names of the path the type declares.
func depth(t resolved.IsType, path []string) int {
	for i, name := range path {
		fields, ok := t.(resolved.RecordType)
		if !ok {
			return i
		}
		attribute, ok := fields[types.String(name)]
		if !ok {
			return i
		}
		t = attribute.Type
	}
	return len(path)
}

// declares checks that some action in scope has the path.
func (c *checker) declares(t *source.Tree, path []string) {
	if path[0] != "context" {
		c.problem(t.At, "%s has no attributes; what is known is in context", path[0])
		return
	}
	path = path[1:]
	scope, reached := c.scope, 0
	if len(scope) == 0 { // no tool has the effect yet, but what every call has is there all the same
		scope = []*action{{input: shape.Flat(false, nil)}}
	}
	for _, a := range scope {
		if reached = max(reached, depth(c.context(a), path)); reached == len(path) {
			return
		}
	}
	at := t
	for range len(path) - 1 - reached {
		at = at.Kids[0]
	}
	name, full := path[reached], "context."+source.PathText(path[:reached+1])
	if full == "context.result" {
		c.problem(at.At, `only a rule marked @on("result") can look at context.result`)
		return
	}
	var names []string
	for _, a := range scope {
		if a.hides(path[:reached+1]) {
			c.problem(at.At, "%s can be of several kinds, which Cedar can't hold; ask context.opaque.contains(%q) instead", full, source.PathText(path[1:reached+1]))
			return
		}
		names = append(names, fieldsAt(c.context(a), path[:reached])...)
	}
	c.problem(at.At, "no action in this rule's scope has %s%s", full, source.Meant(name, names))
}

// fieldsAt are the attributes that a type declares at a path.
func fieldsAt(t resolved.IsType, path []string) []string {
	for _, name := range path {
		fields, _ := t.(resolved.RecordType)
		t = fields[types.String(name)].Type
	}
	var names []string
	fields, _ := t.(resolved.RecordType)
	for name := range fields {
		names = append(names, string(name))
	}
	return names
}

// at is the shape of the arguments at a path below context, nil for none.
func (a *action) at(path []string) *shape.Shape {
	if len(path) == 0 || path[0] != "input" {
		return nil
	}
	s := a.input
	for _, name := range path[1:] {
		f := s.Fields[name]
		if f == nil {
			return nil
		}
		s = f.Shape
	}
	return s
}

// hides reports whether the schema declares the path and Cedar can't hold it.
func (a *action) hides(path []string) bool {
	s := a.at(path)
	return s != nil && s.Kind == shape.Opaque
}

// word checks a literal that is compared with something of which all values are
// known: an enumeration, a group, a role.
func (c *checker) word(value, literal *source.Tree) {
	path, ok := source.PathOf(value)
	if !ok || path[0] != "context" {
		return
	}
	words := c.words(path[1:])
	if words == nil {
		return
	}
	literal.Walk(func(t *source.Tree) bool {
		n, ok := t.Node.(ast.NodeValue)
		if !ok {
			_, isSet := t.Node.(ast.NodeTypeSet)
			return isSet
		}
		if word, ok := n.Value.(types.String); ok && !slices.Contains(words, string(word)) {
			c.problem(t.At, "context.%s is never %q%s", source.PathText(path[1:]), string(word), source.Meant(string(word), words))
		}
		return false
	})
}

// words are all values that a path can have, nil when they aren't known.
func (c *checker) words(path []string) []string {
	switch strings.Join(path, ".") {
	case "user.roles":
		return append([]string{}, c.declared.Roles...)
	case "user.groups":
		return append([]string{}, c.declared.Groups...)
	case "user.name":
		return append([]string{""}, c.declared.Users...)
	case "user.tenant":
		return append([]string{""}, c.declared.Tenants...)
	case "opaque", "untrusted", "unknown", "private", "critical", "unlinked", "exposed":
		return c.paths()
	case "run.did":
		return effectNames()
	case "findings", "run.found":
		return beside.FindingNames(c.declared.Findings)
	}
	var words []string
	for _, a := range c.scope {
		switch s := a.at(path); {
		case s == nil || s.Kind == shape.Opaque:
		case s.Kind == shape.Set && s.Items.Words != nil:
			words = append(words, s.Items.Words...)
		case s.Words != nil:
			words = append(words, s.Words...)
		default:
			return nil
		}
	}
	return words
}

func effectNames() []string {
	var names []string
	for _, effect := range sallyport.Effects {
		names = append(names, string(effect))
	}
	return names
}

// paths are all that context.opaque can contain, and all that rules can name of
// context.untrusted and its like, nil when a tool in scope takes
// arguments that its schema doesn't declare.
func (c *checker) paths() []string {
	out := map[string]bool{}
	var below func(path []string, s *shape.Shape)
	below = func(path []string, s *shape.Shape) {
		for name, f := range s.Fields {
			path := append(slices.Clone(path), name)
			out[source.PathText(path)] = true
			below(path, f.Shape)
		}
	}
	for _, a := range c.scope {
		if a.undeclared || strings.HasPrefix(a.name, "ask:") || strings.HasPrefix(a.name, "answer:") {
			return nil
		}
		below(nil, a.input)
	}
	return append([]string{}, sortedKeys(out)...)
}

// types has the library's validator check a condition, and finds the smallest
// part that it complains about: its errors have no places.
func (c *checker) types(t *source.Tree) {
	if c.validate(c.scope, t.Node) == nil {
		return
	}
	for _, a := range c.scope {
		if part, err := c.blame(a, nil, t); err != nil {
			c.complain(a, part, err)
			return
		}
	}
}

func (c *checker) validate(scope []*action, condition ast.IsNode) error {
	s := schema(scope, c.context)
	ast.Inspect(ast.NewNode(condition), func(n ast.IsNode) bool {
		if value, ok := n.(ast.NodeValue); ok {
			if uid, ok := value.Value.(types.EntityUID); ok && uid.Type == typeAction {
				if _, known := s.Actions[uid]; !known {
					s.Actions[uid] = resolved.Action{Entity: types.Entity{UID: uid, Parents: c.parents(uid)}}
				}
			}
		}
		return true
	})
	return validate.New(s).Policy("", ast.Permit().When(ast.NewNode(condition)))
}

func (c *checker) parents(uid types.EntityUID) types.EntityUIDSet {
	if a := c.actions[string(uid.ID)]; a != nil {
		return types.NewEntityUIDSet(a.groups...)
	}
	return types.EntityUIDSet{}
}

// blame descends to the smallest part that does not fit one action's types,
// keeping what has been tested before it, which may have been a has.
func (c *checker) blame(a *action, tested []ast.IsNode, t *source.Tree) (*source.Tree, error) {
	whole := t.Node
	for _, before := range slices.Backward(tested) {
		whole = ast.NodeTypeAnd{BinaryNode: ast.BinaryNode{Left: before, Right: whole}}
	}
	err := c.validate([]*action{a}, whole)
	if err == nil {
		return nil, nil
	}
	after := func(n ast.IsNode) []ast.IsNode { return append(slices.Clone(tested), n) }
	try := func(tested []ast.IsNode, kid *source.Tree) *source.Tree {
		if part, err := c.blame(a, tested, kid); err != nil {
			return part
		}
		return nil
	}
	var part *source.Tree
	switch t.Node.(type) {
	case ast.NodeTypeAnd:
		if part = try(tested, t.Kids[0]); part == nil {
			part = try(after(t.Kids[0].Node), t.Kids[1])
		}
	case ast.NodeTypeOr:
		if part = try(tested, t.Kids[0]); part == nil {
			part = try(tested, t.Kids[1])
		}
	case ast.NodeTypeNot:
		part = try(tested, t.Kids[0])
	case ast.NodeTypeIfThenElse:
		if part = try(tested, t.Kids[0]); part == nil {
			if part = try(after(t.Kids[0].Node), t.Kids[1]); part == nil {
				part = try(tested, t.Kids[2])
			}
		}
	}
	if part != nil {
		t = part
	}
	return t, err
}

// complain words the validator's error for the part that it is about.
func (c *checker) complain(a *action, part *source.Tree, err error) {
	text := source.First(err)
	var culprit *source.Tree
	var problem string
	part.Walk(func(t *source.Tree) bool {
		path, exists, _ := source.Looks(t)
		if path == nil || culprit != nil {
			return culprit == nil
		}
		full := source.PathText(path)
		if exists {
			path = path[:len(path)-1]
		}
		switch {
		case depth(c.context(a), path[1:]) < len(path)-1:
			culprit, problem = t, a.key()+" has no "+full+"; test it with `has` first, or name other actions in the scope"
		case strings.Contains(text, "optional attribute"):
			culprit, problem = t, full+" is optional in "+a.key()+"; test it with `has` first, in the same condition"
		}
		return false
	})
	if culprit != nil {
		c.problem(culprit.At, "%s", problem)
		return
	}
	c.problem(part.Start(), "%s", source.Hinted(text))
}

// note records what a condition looks at.
func (r *rule) note(t *source.Tree) {
	t.Walk(func(t *source.Tree) bool {
		path, exists, _ := source.Looks(t)
		if len(path) > 1 {
			r.uses.note(path[1:])
			switch path[1] {
			case "input":
				r.reads = append(r.reads, read{path: path[2:], exists: exists})
			case "opaque":
				r.reads = append(r.reads, read{opaque: true})
			}
			return false
		}
		switch n := t.Node.(type) {
		case ast.NodeTypeVariable:
			r.uses.caller = true
		case ast.NodeValue:
			// What an entity is in can depend on who calls.
			if _, ok := n.Value.(types.EntityUID); ok {
				r.uses.caller = true
			}
		case ast.NodeTypeAdd, ast.NodeTypeSub, ast.NodeTypeMult, ast.NodeTypeNegate:
			r.fallible = true
		case ast.NodeTypeExtensionCall:
			// Making a value of a string can fail, and so can sums of times.
			literal := false
			if len(t.Kids) == 1 {
				_, literal = t.Kids[0].Node.(ast.NodeValue)
			}
			safe := strings.HasPrefix(string(n.Name), "less") || strings.HasPrefix(string(n.Name), "greater")
			r.fallible = r.fallible || !safe && !literal
		}
		return true
	})
}

// note records a look at context; path is below it.
func (u *uses) note(path []string) {
	switch path[0] {
	case "input":
		if len(path) == 1 {
			u.all = true
		} else {
			u.arguments = append(u.arguments, path[1])
		}
	case "opaque":
		u.all = true
	case "user":
		u.caller = true
		if len(path) == 1 {
			u.user = append(u.user, beside.UserParts...)
		} else {
			u.user = append(u.user, path[1])
		}
	case "result":
		u.result = true
	case "findings":
		u.findings = true
	default:
		u.flow = append(u.flow, path[0])
		u.found = u.found || path[0] == "run" && (len(path) == 1 || path[1] == "found")
	}
}
