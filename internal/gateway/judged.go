package gateway

import (
	"context"

	"sallyport"
)

// asJudged refuses what a server could read otherwise than policy does. It is
// for the kinds whose params no pinned schema checks.
func (g *Gateway) asJudged(ctx context.Context, call *sallyport.Call) error {
	switch {
	case call.Kind == sallyport.KindCompletion && !completes(call.Args):
		return sallyport.Refuse(sallyport.CauseWire, "%s needs either a ref/prompt with a name or a ref/resource with a uri, and an argument whose name and value are strings", call.Method)
	case call.Method == "subscriptions/listen" && !g.listens(ctx, call):
		return sallyport.Refuse(sallyport.CauseWire, "%s may ask for lists, for one resource, and for tasks of its own", call.Method)
	}
	return nil
}

// completes reports whether params of completion/complete mean one thing. A
// ref with both a name and a uri is a prompt to one reader and a resource to
// another.
func completes(params sallyport.Value) bool {
	ref, argument := params.Get("ref"), params.Get("argument")
	name, uri := ref.Get("name").Type(), ref.Get("uri").Type()
	prompt := ref.Get("type").IsText("ref/prompt") && name == sallyport.String && uri == sallyport.Absent
	resource := ref.Get("type").IsText("ref/resource") && uri == sallyport.String && name == sallyport.Absent
	context := params.Get("context")
	return (prompt || resource) &&
		argument.Get("name").Type() == sallyport.String && argument.Get("value").Type() == sallyport.String &&
		objectOrNone(context) && objectOrNone(context.Get("arguments"))
}

func objectOrNone(v sallyport.Value) bool {
	return v.Type() == sallyport.Object || v.Type() == sallyport.Absent
}

// listens reports whether a subscription asks for what it is judged by: flags,
// the one resource of the call, and tasks that the principal opened. Anything
// else could be a way to hear of what belongs to others.
func (g *Gateway) listens(ctx context.Context, call *sallyport.Call) bool {
	wanted := call.Params.Get("notifications")
	for name, value := range wanted.Members() {
		switch {
		case name == "resourceSubscriptions":
			for _, uri := range value.Items() {
				if !uri.IsText(call.Name) || call.Name == "" {
					return false
				}
			}
			if value.Type() != sallyport.Array {
				return false
			}
		case name == "taskIds":
			g.tasks.settle(ctx)
			for _, task := range value.Items() {
				id, _ := task.Text()
				if g.tasks.ticket(call.Server, id, call.Principal, call.Run) == nil {
					return false
				}
			}
			if value.Type() != sallyport.Array {
				return false
			}
		case value.Type() != sallyport.True && value.Type() != sallyport.False:
			return false
		}
	}
	return wanted.Type() == sallyport.Object
}
