// Package around finds what people want to know beside a question itself: what
// the user said, for whom its run was begun, what its arguments are for, and what
// the call takes of limits.
package around

import (
	"context"

	"sallyport"
	"sallyport/internal/card"
	"sallyport/internal/identity"
	"sallyport/internal/scope"
)

// maxChain is how many runs above one are shown; there are no more.
const maxChain = 16

// Around finds it. Every field must be set.
type Around struct {
	Run   func(ctx context.Context, id string) (identity.ShownRun, error)
	Means func(server, tool string) map[string]scope.Role // as the operator says
	Admit func(call *sallyport.Call) (*sallyport.Definition, error)
	Costs func(ctx context.Context, call *sallyport.Call, tool *sallyport.Definition) ([]card.Cost, error)
}

// Of is what is around a question. What can't be had is not there: a question is
// shown without it rather than not at all.
func (a *Around) Of(ctx context.Context, asked *sallyport.Approval) (found card.Around) {
	shown, err := a.Run(ctx, asked.Run)
	if err == nil {
		found.Words, found.Chain = words(&shown), a.chain(ctx, shown.Parent)
	}
	q, err := sallyport.Parse(asked.Question)
	if err != nil {
		return found
	}
	call := &sallyport.Call{Kind: asked.Kind, Server: asked.Server, Principal: asked.Principal,
		Run: sallyport.Run{ID: asked.Run, Parent: shown.Parent}, Args: q.Get("args")}
	call.Name, _ = q.Get("name").Text() // of the approval it may be cut
	tool, err := a.Admit(call)
	if err != nil {
		tool = &sallyport.Definition{Effects: asked.Effects}
	}
	found.Means = a.means(call, tool)
	found.Costs, err = a.Costs(ctx, call, tool)
	if err != nil {
		found.Uncounted = err.Error()
	}
	return found
}

func words(run *identity.ShownRun) []card.Said {
	var said []card.Said
	for _, word := range run.Words {
		said = append(said, card.Said{Text: textOf(word), Strength: string(word.Strength)})
	}
	return said
}

func textOf(word identity.Word) string {
	if word.Gone != "" {
		return word.Gone
	}
	return word.Text
}

// chain are the runs from the first one down to a run.
func (a *Around) chain(ctx context.Context, id string) (chain []card.Link) {
	for range maxChain {
		if id == "" {
			break
		}
		link := card.Link{Run: id}
		run, err := a.Run(ctx, id)
		if err == nil {
			link.Agent, link.User = run.Agent, run.User
			if len(run.Words) > 0 {
				link.Task = textOf(run.Words[0])
			}
		}
		chain = append([]card.Link{link}, chain...)
		id = run.Parent
	}
	return chain
}

// meanings are what a person is told of an argument that names somebody or
// something.
var meanings = map[scope.Role]string{scope.RolePrincipal: "recipient", scope.RoleID: "record", scope.RoleURL: "address", scope.RolePath: "file"}

func (a *Around) means(call *sallyport.Call, tool *sallyport.Definition) map[string]string {
	if call.Kind != sallyport.KindTool {
		return nil
	}
	about := scope.Tool{Server: call.Server, Name: call.Name, Effects: tool.Effects, Schema: tool.Raw.Get("inputSchema"), Roles: a.Means(call.Server, call.Name)}
	means := map[string]string{}
	for path, leaf := range call.Args.Leaves() {
		if meaning := meanings[about.RoleOf(string(path), leaf)]; meaning != "" {
			means[card.Exact(string(path))] = meaning
		}
	}
	return means
}
