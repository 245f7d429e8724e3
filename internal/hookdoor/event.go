package hookdoor

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"sallyport"
	"sallyport/internal/hookdoor/table"
)

// event is what a client's hook is told, of which everything else is nobody's
// business here.
type event struct {
	name    string // UserPromptSubmit, PreToolUse, PostToolUse, PostToolUseFailure
	session string
	cwd     string
	prompt  string

	tool  string
	input sallyport.Value
	use   string // the client's id of the call, "" where it has none

	result sallyport.Value // what came back, absent where it could not be sent on
	failed bool
}

// parse is strict: what one reader overlooks another may take as meant. Names
// that are not known are left alone, since clients tell more with every version.
func parse(body []byte) (*event, error) {
	object, err := sallyport.Parse(body)
	if err != nil {
		return nil, err
	}
	if object.Type() != sallyport.Object {
		return nil, errors.New("what the client's hook says must be a JSON object")
	}
	e := &event{input: object.Get("tool_input"), result: object.Get("tool_response")}
	for name, to := range map[string]*string{
		"hook_event_name": &e.name, "session_id": &e.session, "cwd": &e.cwd, "prompt": &e.prompt, "tool_name": &e.tool, "tool_use_id": &e.use,
	} {
		value := object.Get(name)
		text, ok := value.Text()
		if !ok && value.Type() != sallyport.Absent {
			return nil, fmt.Errorf("%s must be a text", name)
		}
		*to = text
	}
	switch e.name {
	case "UserPromptSubmit":
		return e, nil
	case "PostToolUseFailure":
		e.result, e.failed = object.Get("error"), true
	case "PreToolUse", "PostToolUse":
	default:
		return nil, fmt.Errorf("%q is no event of a hook that is decided here", e.name)
	}
	if e.tool == "" || e.session == "" || e.input.Type() != sallyport.Object {
		return nil, errors.New("a call has a tool_name, a session_id and a tool_input, which is an object")
	}
	if e.name == "PreToolUse" && e.at() == "" {
		return nil, errors.New("cwd must be an absolute path: else nobody knows where a relative one leads")
	}
	return e, nil
}

// mcp is the MCP server of the client that the event is about, "" for none.
func (e *event) mcp() string {
	if name, ok := strings.CutPrefix(e.tool, "mcp__"); ok {
		server, _, _ := strings.Cut(name, "__")
		return server
	}
	server := ""
	if e.tool == "ReadMcpResourceTool" || e.tool == "ListMcpResourcesTool" {
		server, _ = e.input.Get("server").Text()
	}
	return server
}

// call is the event as a call on the server that stands for the client's own
// tools. A tool that the table does not have is taken for the worst.
func (e *event) call(server string) *sallyport.Call {
	call := &sallyport.Call{Kind: sallyport.KindTool, Server: server, Name: e.tool, Method: "tools/call", Args: e.input, Door: "hook claude-code", Session: e.session}
	if _, known := table.Lookup(e.tool); (!known || e.tool == table.Unknown) && e.mcp() == "" {
		call.Name = table.Unknown
		call.Args = object("tool", quoted(e.tool), "input", e.input.Raw())
	}
	call.Params = object("name", quoted(call.Name), "arguments", call.Args.Raw())
	return call
}

// answer is what came back, as results are remembered and kept.
func (e *event) answer() sallyport.Value {
	tool, _ := table.Lookup(e.tool)
	switch {
	case tool.Echo && !e.failed:
		return sallyport.MustParse(`{"content":[]}`)
	case e.result.Type() == sallyport.String:
		return object("content", []byte(`[{"type":"text","text":`+string(e.result.Raw())+`}]`))
	default:
		return object("structuredContent", []byte(`{"result":`+string(e.result.Raw())+`}`))
	}
}

// outOf is what came back, out of what answer made of it.
func outOf(answer sallyport.Value) sallyport.Value {
	for _, item := range answer.Get("content").Items() {
		return item.Get("text")
	}
	return answer.Get("structuredContent").Get("result")
}

// key finds the call again when its result comes. Without an id of the client
// it is what was asked for.
func (e *event) key(run string) key {
	use := e.use
	if use == "" {
		use = e.digest().String()
	}
	return key{run, e.session, use}
}

// digest binds a result to what was decided: what a client has done with other
// arguments was not.
func (e *event) digest() sallyport.Digest {
	return sallyport.DigestOf(e.input.AppendCanonical(sallyport.AppendString(nil, e.tool)))
}

// known reports whether the names of the tool's arguments mean what they say.
func (e *event) known() bool {
	_, ok := table.Lookup(e.tool)
	return ok
}

// at is the folder that relative paths are meant to be in.
func (e *event) at() string {
	if filepath.IsAbs(e.cwd) {
		return filepath.Clean(e.cwd)
	}
	return ""
}

// object makes a JSON object of names and raw values.
func object(pairs ...any) sallyport.Value {
	dst := []byte{'{'}
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(sallyport.AppendString(dst, pairs[i].(string)), ':'), pairs[i+1].([]byte)...)
	}
	v, err := sallyport.Parse(append(dst, '}'))
	if err != nil {
		return sallyport.MustParse("null") // deeper than is read: it fits no schema, and no memory
	}
	return v
}

func quoted(text string) []byte { return sallyport.AppendString(nil, text) }
