// Package aside tells the rules apart that are about servers which nobody has
// accepted yet.
package aside

import (
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"sallyport/internal/policy"
)

// Set blanks the rules that are about unseen servers alone, so that one
// server which is late does not take the policy for all others with it. It is
// sound: such a rule has a say only in calls that the missing pin refuses. A
// rule that also has a say elsewhere is blanked only when it is a permit, whose
// absence allows nothing. late is the text of what was blanked, in order.
func Set(files []policy.File, unseen []string) (kept []policy.File, late []string) {
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
			late = append(late, string(text[s.Policy.Position.Offset:end]))
			blank(text[s.Policy.Position.Offset:end])
		}
		kept = append(kept, policy.File{Name: file.Name, Text: text})
	}
	slices.Sort(late)
	return kept, late
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
