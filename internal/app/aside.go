package app

import (
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/internal/policy"
)

// unseen are the configured servers of which nothing was ever accepted: no
// call to them is possible, and what a policy says of their tools can't be
// checked yet.
func unseen(c *config.Config, pins []gateway.Pin) []string {
	var names []string
	for name := range c.Servers {
		known := slices.ContainsFunc(pins, func(p gateway.Pin) bool { return p.Server == name && p.Raw != nil })
		if !known {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// setAside blanks the rules that are about unseen servers alone, so that one
// server which is late does not take the policy for all others with it. It is
// sound: such a rule has a say only in calls that the missing pin refuses. A
// rule that also has a say elsewhere is blanked only when it is a permit, whose
// absence allows nothing.
func setAside(files []policy.File, unseen []string) (kept []policy.File, aside int) {
	for _, file := range files {
		statements, problems := file.Statements()
		if len(problems) > 0 {
			kept = append(kept, file)
			continue
		}
		text := slices.Clone(file.Text)
		for i, s := range statements {
			alone, touched := about(s.Policy, unseen)
			if !alone && !(touched && s.Policy.Effect == ast.EffectPermit) {
				continue
			}
			end := len(text)
			if i+1 < len(statements) {
				end = statements[i+1].Policy.Position.Offset
			}
			blank(text[s.Policy.Position.Offset:end])
			aside++
		}
		kept = append(kept, policy.File{Name: file.Name, Text: text})
	}
	return kept, aside
}

// blank leaves lines where they are, so that problems keep their places.
func blank(text []byte) {
	for i := range text {
		if text[i] != '\n' {
			text[i] = ' '
		}
	}
}

// about reports whether a rule's scope is about the given servers alone, and
// whether it names any of their actions at all.
func about(p *ast.Policy, servers []string) (alone, touched bool) {
	switch r := p.Resource.(type) {
	case ast.ScopeTypeEq:
		alone = isServer(r.Entity, servers)
	case ast.ScopeTypeIn:
		alone = isServer(r.Entity, servers)
	}
	var actions []types.EntityUID
	switch a := p.Action.(type) {
	case ast.ScopeTypeEq:
		actions = []types.EntityUID{a.Entity}
	case ast.ScopeTypeIn:
		actions = []types.EntityUID{a.Entity}
	case ast.ScopeTypeInSet:
		actions = a.Entities
	}
	all := len(actions) > 0
	for _, action := range actions {
		if isAction(action, servers) {
			touched = true
		} else {
			all = false
		}
	}
	return alone || all, alone || touched
}

func isServer(uid types.EntityUID, servers []string) bool {
	return uid.Type == "Server" && slices.Contains(servers, string(uid.ID))
}

func isAction(uid types.EntityUID, servers []string) bool {
	if uid.Type != "Action" {
		return false
	}
	if server, isGroup := strings.CutPrefix(string(uid.ID), "server:"); isGroup {
		return slices.Contains(servers, server)
	}
	server, _, named := strings.Cut(string(uid.ID), "/")
	return named && slices.Contains(servers, server)
}
