package wire

import (
	"slices"
	"strings"

	"sallyport"
)

// On /mcp every name says whose it is, always and in the same way, so that a
// name never changes its meaning when a server is added:
//
//	tools, prompts    SERVER__NAME
//	resources         sallyport:SERVER/URI (and URI templates)
//	tasks             SERVER__TASKID
//
// A server's name contains no "__" and no "/", so each can be taken apart in
// one way only, byte for byte.
const (
	separator = "__"
	scheme    = "sallyport:"
)

// Naming is a server's name, to write and read names on /mcp.
type Naming string

func (n Naming) name(own string) string { return string(n) + separator + own }
func (n Naming) uri(own string) string  { return scheme + string(n) + "/" + own }

// SplitName takes apart the name of a tool, prompt or task.
func SplitName(shown string) (server, own string, ok bool) {
	return strings.Cut(shown, separator)
}

// SplitURI takes apart the URI of a resource.
func SplitURI(shown string) (server, own string, ok bool) {
	rest, ok := strings.CutPrefix(shown, scheme)
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, "/")
}

// Unname takes apart the name in a request's params: which server it means,
// and what stands in the params for that server's own name. ok is false when
// there is no name, or none that says a server.
func Unname(method string, params sallyport.Value) (server string, own sallyport.Edit, ok bool) {
	named, split := named(method, params)
	shown, ok := named.Text()
	if !ok {
		return "", own, false
	}
	server, name, ok := split(shown)
	return server, sallyport.Edit{Target: named, With: sallyport.AppendString(nil, name)}, ok
}

// named is the part of a request's params that names something of a server.
func named(method string, params sallyport.Value) (v sallyport.Value, split func(string) (string, string, bool)) {
	switch method {
	case "tools/call", "prompts/get":
		return params.Get("name"), SplitName
	case "resources/read", "resources/subscribe", "resources/unsubscribe":
		return params.Get("uri"), SplitURI
	case "completion/complete":
		ref := params.Get("ref")
		if ref.Get("type").IsText("ref/resource") {
			return ref.Get("uri"), SplitURI
		}
		return ref.Get("name"), SplitName
	default: // tasks/*
		return params.Get("taskId"), SplitName
	}
}

// Result is a result with the server's names as they are on /mcp. What names
// nothing keeps its bytes.
func (n Naming) Result(result sallyport.Value) []byte {
	return spliced(result, n.edits(nil, result))
}

// Error is an error object with them.
func (n Naming) Error(object sallyport.Value) []byte {
	return spliced(object, n.editURI(nil, object.Get("data").Get("uri")))
}

// Notification is a notification's params with them.
func (n Naming) Notification(params sallyport.Value) []byte {
	edits := n.editURI(nil, params.Get("uri"))
	edits = n.editName(edits, params.Get("taskId"))
	return spliced(params, n.editName(edits, params.Get("_meta").Get(metaRelatedTask).Get("taskId")))
}

func spliced(v sallyport.Value, edits []sallyport.Edit) []byte {
	if len(edits) == 0 {
		return v.Raw()
	}
	return v.Splice(edits...)
}

const metaRelatedTask = "io.modelcontextprotocol/related-task"

func (n Naming) edits(edits []sallyport.Edit, v sallyport.Value) []sallyport.Edit {
	edits = n.editName(edits, v.Get("taskId"))
	edits = n.editName(edits, v.Get("task").Get("taskId"))
	edits = n.editName(edits, v.Get("_meta").Get(metaRelatedTask).Get("taskId"))
	edits = n.editContent(edits, v.Get("content"))
	for _, message := range v.Get("messages").Items() {
		edits = n.editContent(edits, message.Get("content"))
	}
	for _, content := range v.Get("contents").Items() {
		edits = n.editURI(edits, content.Get("uri"))
	}
	if inner := v.Get("result"); inner.Type() == sallyport.Object { // of a task
		edits = n.edits(edits, inner)
	}
	return edits
}

// editContent looks for resources in content: one block or several.
func (n Naming) editContent(edits []sallyport.Edit, content sallyport.Value) []sallyport.Edit {
	switch content.Type() {
	case sallyport.Array:
		for _, block := range content.Items() {
			edits = n.editContent(edits, block)
		}
	case sallyport.Object:
		switch kind := content.Get("type"); {
		case kind.IsText("resource_link"):
			edits = n.editURI(edits, content.Get("uri"))
		case kind.IsText("resource"):
			edits = n.editURI(edits, content.Get("resource").Get("uri"))
		}
	}
	return edits
}

func (n Naming) editName(edits []sallyport.Edit, v sallyport.Value) []sallyport.Edit {
	return edit(edits, v, n.name)
}

func (n Naming) editURI(edits []sallyport.Edit, v sallyport.Value) []sallyport.Edit {
	return edit(edits, v, n.uri)
}

func edit(edits []sallyport.Edit, v sallyport.Value, shown func(string) string) []sallyport.Edit {
	if own, ok := v.Text(); ok {
		edits = append(edits, sallyport.Edit{Target: v, With: sallyport.AppendString(nil, shown(own))})
	}
	return edits
}

// Item is an item of a list with its names as they are on /mcp.
func (n Naming) Item(items string, v sallyport.Value) []byte {
	var edits []sallyport.Edit
	switch items {
	case "tools":
		edits = n.editName(edits, v.Get("name"))
		edits = n.editURI(edits, v.Get("_meta").Get("ui").Get("resourceUri")) // MCP Apps
		edits = n.editURI(edits, v.Get("_meta").Get("ui/resourceUri"))
	case "prompts":
		edits = n.editName(edits, v.Get("name"))
	case "resources":
		edits = n.editURI(edits, v.Get("uri"))
	case "resourceTemplates":
		edits = n.editURI(edits, v.Get("uriTemplate"))
	case "tasks":
		edits = n.editName(edits, v.Get("taskId"))
	}
	return spliced(v, edits)
}

// AppendMerged appends objects as one: what any of them has is there, flags
// are true where any is.
func AppendMerged(dst []byte, objects []sallyport.Value) []byte {
	var names []string
	values := map[string][]sallyport.Value{}
	for _, object := range objects {
		for name, value := range object.Members() {
			if values[name] == nil {
				names = append(names, name)
			}
			values[name] = append(values[name], value)
		}
	}
	dst = append(dst, '{')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(sallyport.AppendString(dst, name), ':')
		same := values[name]
		isObject := func(v sallyport.Value) bool { return v.Type() == sallyport.Object }
		isTrue := func(v sallyport.Value) bool { return v.Type() == sallyport.True }
		switch first := slices.IndexFunc(same, isTrue); {
		case slices.ContainsFunc(same, isObject):
			dst = AppendMerged(dst, slices.DeleteFunc(same, func(v sallyport.Value) bool { return !isObject(v) }))
		case first >= 0:
			dst = append(dst, "true"...)
		default:
			dst = append(dst, same[0].Raw()...)
		}
	}
	return append(dst, '}')
}

// WithSubscription is a notification's params with the subscription id that
// the agent knows: the server knows the subscription by another.
func WithSubscription(params sallyport.Value, id []byte) []byte {
	meta := params.Get("_meta")
	if theirs := meta.Get(MetaSubscription); theirs.Type() != sallyport.Absent {
		return params.Splice(sallyport.Edit{Target: theirs, With: id})
	}
	tagged := With(meta, MetaSubscription, id)
	if meta.Type() != sallyport.Absent {
		return params.Splice(sallyport.Edit{Target: meta, With: tagged})
	}
	return With(params, "_meta", tagged)
}
