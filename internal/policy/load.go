package policy

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"
	publicast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"sallyport"
	"sallyport/internal/policy/source"
)

// Load parses and checks a policy set against everything that is pinned (with
// its effects) and declared. The error is Problems: all of them, with places.
// No files is a policy that refuses everything.
func Load(files []File, pinned []sallyport.Definition, declared Declared) (*Rules, error) {
	actions, problems := actionsOf(pinned, declared.Servers)
	r := &Rules{actions: actions, declared: declared, static: types.EntityMap{}}
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })

	c := newChecker(actions, declared)
	for i, file := range files {
		if i > 0 && files[i-1].Name == file.Name {
			problems = append(problems, source.Problem{File: file.Name, Text: "two policy files have this name"})
		}
		statements, broken := file.Statements()
		problems = append(problems, broken...)
		for _, s := range statements {
			r.rules = append(r.rules, c.rule(s))
		}
	}
	r.ordered = c.ordered
	if problems = append(problems, c.problems...); len(problems) > 0 {
		return nil, problems.Sorted()
	}
	for _, a := range actions {
		r.static[a.uid] = types.Entity{UID: a.uid, Parents: types.NewEntityUIDSet(a.groups...)}
	}
	r.calls, r.results = newIndex(), newIndex()
	for _, rule := range r.rules {
		rule.policy = cedar.NewPolicyFromAST((*publicast.Policy)(rule.source))
		rule.foresee()
		if rule.Ask != nil {
			rule.Otherwise = rule.otherwise()
		}
		r.flow = r.flow || len(rule.uses.flow) > 0
		r.finds = r.finds || rule.uses.findings || rule.uses.found || rule.Mask != nil
		r.changing = r.changing || rule.permit && rule.changes()
		if rule.result {
			r.results.add(rule)
		} else {
			r.calls.add(rule)
		}
	}
	r.digest = digest(files, actions)
	return r, nil
}

// digest covers everything that a decision depends on besides its facts.
func digest(files []File, actions map[string]*action) sallyport.Digest {
	h := sha256.New()
	part := func(text []byte) { // with its length, so that no two lists of parts look the same
		fmt.Fprintf(h, "%d:", len(text))
		h.Write(text)
	}
	for _, file := range files {
		part([]byte(file.Name))
		part(file.Text)
	}
	for _, key := range sortedKeys(actions) {
		a := actions[key]
		part([]byte(key))
		part(a.pinned[:])
		part(strconv.AppendBool(a.input.AppendTo(nil), a.undeclared))
		for _, group := range a.groups {
			part([]byte(group.ID))
		}
	}
	return sallyport.Digest(h.Sum(nil))
}

// rule reads one statement. What is wrong with it goes to c.problems.
func (c *checker) rule(s source.Statement) *rule {
	at := s.Start()
	out := &rule{
		Rule:   sallyport.Rule{File: s.File.Name, Line: at.Line, Digest: sallyport.DigestOf(s.Text())},
		permit: s.Policy.Effect == ast.EffectPermit,
		source: s.Policy,
	}
	out.Rule.ID = s.File.Name + ":" + strconv.Itoa(at.Line)
	c.statement = s
	c.annotations(out)
	c.head(out)
	out.conditions = s.Conditions()
	c.body(out)
	return out
}

func (c *checker) annotations(out *rule) {
	tokens := c.statement.Cursor()
	for _, annotation := range c.statement.Policy.Annotations {
		at := tokens.After("@")
		key, value := string(annotation.Key), string(annotation.Value)
		switch key {
		case "id":
			if value == "" {
				c.problem(at, "@id needs a name")
				continue
			}
			out.Rule.ID = value
		case "because":
			out.Because = value
		case "ask":
			for group := range strings.SplitSeq(value, ",") {
				out.Ask = append(out.Ask, strings.TrimSpace(group))
				c.name(at, "group", strings.TrimSpace(group), c.declared.Groups)
			}
		case "class":
			if i := slices.Index([]string{"1", "2", "3"}, value); i >= 0 {
				out.Class = sallyport.Class(i + 1)
			} else {
				c.problem(at, `a class is "1", "2" or "3"`)
			}
		case "on":
			if out.result = value == "result"; !out.result {
				c.problem(at, `@on("result") is the only one there is`)
			}
		case "mask":
			c.mask(at, out, value)
		case "neutralise":
			if out.Neutralise = value == ""; !out.Neutralise {
				c.problem(at, "@neutralise says all: write it without a text")
			}
		default:
			c.problem(at, "there is no annotation @%s%s", key, source.Meant(key, []string{"id", "because", "ask", "class", "on", "mask", "neutralise"}))
		}
	}
	slices.Sort(out.Ask)
	out.Ask = slices.Compact(out.Ask)
	at := c.statement.Start()
	if out.permit && (out.Ask != nil || out.result) {
		c.problem(at, "only a forbid can ask or judge results; a permit with @ask or @on would allow without asking")
	}
	if out.Class != 0 && out.Ask == nil {
		c.problem(at, "@class is of a question: write whom it asks with @ask")
	}
	c.changing(out)
	if first := c.ids[out.Rule.ID]; first != "" {
		c.problem(at, "the rule at %s is called %q too", first, out.Rule.ID)
	}
	c.ids[out.Rule.ID] = fmt.Sprintf("%s:%d", out.File, out.Line)
}

// head reads the scope. Forms that can never apply are problems.
func (c *checker) head(out *rule) {
	policy := c.statement.Policy
	tokens := c.statement.Cursor()
	entity := func(uid types.EntityUID, want ...types.EntityType) {
		at := tokens.Literal(uid)
		if !slices.Contains(want, uid.Type) {
			c.problem(at, "%s can't stand here; expected %s", uid, source.Join(want, " or "))
			return
		}
		c.entity(at, uid)
	}
	is := func(got, want types.EntityType) {
		if at := tokens.After("is"); got != want {
			c.problem(at, "this is always %s, never %s", source.Article(string(want)), got)
		}
	}
	switch s := policy.Principal.(type) {
	case ast.ScopeTypeEq:
		entity(s.Entity, typeAgent)
		out.scope.principal = s.Entity
	case ast.ScopeTypeIn:
		entity(s.Entity, typeAgent, typeRole, typeUser, typeTenant)
		out.scope.principal = s.Entity
	case ast.ScopeTypeIs:
		is(s.Type, typeAgent)
	case ast.ScopeTypeIsIn:
		is(s.Type, typeAgent)
		entity(s.Entity, typeAgent, typeRole, typeUser, typeTenant)
		out.scope.principal = s.Entity
	}
	switch s := policy.Action.(type) {
	case ast.ScopeTypeEq:
		entity(s.Entity, typeAction)
		out.scope.actions = []types.EntityUID{s.Entity}
		if c.actions[string(s.Entity.ID)] == nil && c.isGroup(s.Entity) {
			c.problem(tokens.Last, "%s is a group of actions; write `action in`", s.Entity)
		}
	case ast.ScopeTypeIn:
		entity(s.Entity, typeAction)
		out.scope.actions = []types.EntityUID{s.Entity}
	case ast.ScopeTypeInSet:
		out.scope.actions = []types.EntityUID{}
		for _, uid := range s.Entities {
			entity(uid, typeAction)
			out.scope.actions = append(out.scope.actions, uid)
		}
		if len(s.Entities) == 0 {
			c.problem(c.statement.Start(), "no action is in []; this rule can never apply")
		}
	}
	switch s := policy.Resource.(type) {
	case ast.ScopeTypeEq:
		entity(s.Entity, typeServer)
		out.scope.server = string(s.Entity.ID)
	case ast.ScopeTypeIn:
		entity(s.Entity, typeServer)
		out.scope.server = string(s.Entity.ID)
	case ast.ScopeTypeIs:
		is(s.Type, typeServer)
	case ast.ScopeTypeIsIn:
		is(s.Type, typeServer)
		entity(s.Entity, typeServer)
		out.scope.server = string(s.Entity.ID)
	}
}
