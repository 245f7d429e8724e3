// Package hookdoor is the door for clients that carry out tools of their own,
// and run a program before and after each: Claude Code with its hooks. Before a
// tool acts it is decided like any call and put on the record; afterwards what
// it brought is remembered. What the user types reaches the run.
//
//	POST /v1/hooks/claude-code   what the hook was told → what the hook answers
//
// The client carries out what it is allowed, so nothing can be kept from it
// afterwards; and a client that does not ask is not stopped. docs/hooks.md says
// what follows from that.
package hookdoor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/guard"
	"sallyport/internal/hookdoor/own"
	"sallyport/internal/hookdoor/table"
	"sallyport/internal/identity"
)

// Headers of a hook's request, besides the Authorization.
const (
	RunHeader      = "Sallyport-Run"      // the token of the run, where Authorization has that of a source
	KeepHeader     = "Sallyport-Keep"     // a file of the hook's own that no tool may touch
	SettingsHeader = "Sallyport-Settings" // the folder of the client's settings, where it is not the usual one
)

// AnswerHeader is in every answer, with the event that it answers: one that says
// nothing lets a call pass, and so would whatever else listens where a gateway was.
const AnswerHeader = "Sallyport-Answer"

// Path is where hooks are served.
const Path = "/v1/hooks/claude-code"

// Parts are what the door is wired to.
type Parts struct {
	Gateway *gateway.Gateway
	Runs    *identity.Runs
	// Missed takes note of a result that the agent may have got and nobody has
	// seen.
	Missed func(call *sallyport.Call)
	// Server is the name under which the client's own tools are decided, "" where
	// the configuration has none.
	Server func() string
	// Behind reports whether the client reaches an MCP server through this
	// gateway, which decides about it there.
	Behind  func(server string) bool
	Own     func() own.Things
	Observe func() bool

	Hosts, Origins []string
	Body           int           // limit, in bytes
	Deadline       time.Duration // until which a result must have come
}

// Door is an http.Handler for hooks.
type Door struct {
	Parts
	room    guard.Room
	tickets tickets
	written written
}

// New makes a door.
func New(parts Parts) *Door { return &Door{Parts: parts} }

// asker is whose call it is.
type asker struct {
	caller     identity.Caller      // who speaks: a source, or an agent in its run
	credential sallyport.Credential // of the run
	run        sallyport.Run
	keep       string // a file that no tool may touch
	settings   string // the folder of the client's settings, "" for the usual one
}

func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, ok := guard.Origin(r, d.Origins); !ok || !guard.Host(r, d.Hosts) {
		refuse(w, http.StatusForbidden, "the Host or Origin of this request is not one that this gateway serves (a web page must not reach it through your browser)")
		return
	}
	if r.Method != http.MethodPost {
		refuse(w, http.StatusMethodNotAllowed, "what a hook was told is sent with POST")
		return
	}
	who, err := d.who(r)
	if err != nil {
		refuse(w, http.StatusUnauthorized, err.Error())
		return
	}
	if !guard.IsJSON(r) {
		refuse(w, http.StatusUnsupportedMediaType, "Content-Type must be application/json, in UTF-8")
		return
	}
	body, leave, status, err := d.room.Body(w, r, who.caller.By(), d.Body)
	if err != nil {
		refuse(w, status, err.Error())
		return
	}
	defer leave()
	e, err := parse(body)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	var said answer
	switch e.name {
	case "UserPromptSubmit":
		said = d.told(r.Context(), who, e)
	case "PreToolUse":
		said = d.before(r.Context(), who, e)
	default:
		said = d.after(r.Context(), who, e)
	}
	w.Header().Set(AnswerHeader, e.name)
	write(w, http.StatusOK, said)
}

// who says whose call it is, by credentials alone: a session that the client
// names has no say in it, so a new one sheds nothing.
func (d *Door) who(r *http.Request) (who asker, err error) {
	who.credential.Token = guard.Bearer(r)
	if who.caller, err = d.Runs.Caller(r.Context(), who.credential); err != nil {
		return who, err
	}
	tokens := r.Header[RunHeader]
	switch {
	case len(tokens) > 1 || len(tokens) == 1 && who.caller.IsAgent():
		return who, errors.New("a hook speaks in one run")
	case len(tokens) == 1:
		who.credential.Token = tokens[0]
	case !who.caller.IsAgent():
		agent, err := who.caller.HookAgent()
		if err != nil {
			return who, err
		}
		who.credential = sallyport.Credential{Listener: agent}
	}
	who.keep, who.settings = r.Header.Get(KeepHeader), r.Header.Get(SettingsHeader)
	_, who.run, err = d.Runs.Identify(r.Context(), who.credential)
	return who, err
}

// told passes on what the user typed.
func (d *Door) told(ctx context.Context, who asker, e *event) answer {
	err := d.written.check(who.run.ID, e.prompt)
	if err == nil {
		err = d.Runs.Say(ctx, who.caller, who.run.ID, e.prompt)
	}
	if err != nil {
		return answer{Message: "Sallyport: what was submitted does not count as your word, since " + err.Error()}
	}
	return answer{}
}

// before decides about a call before the client carries it out.
func (d *Door) before(ctx context.Context, who asker, e *event) answer {
	server := d.Server()
	if server == "" {
		return deny("Sallyport's configuration has no server with builtin: claude-code, so nothing that this client does itself is permitted. See docs/hooks.md.")
	}
	call := e.call(server)
	d.written.note(who.run.ID, e.input)
	if tool, _ := table.Lookup(e.tool); tool.Speaks {
		return d.refused(d.Gateway.Refuse(ctx, who.credential, call, sallyport.Refuse(sallyport.CausePolicy,
			"Refused: %s would have the client submit what you write as if the user had typed it. No policy permits that.", e.tool)))
	}
	things := d.Own()
	things.Settings = who.settings
	if who.keep != "" {
		things.Paths = append(things.Paths, who.keep)
	}
	touched := ""
	switch mcp := e.mcp(); {
	case mcp != "":
		touched = things.Led(e.tool, e.at(), e.input)
	case e.known():
		touched = things.Touched(e.tool, e.at(), e.input)
	default:
		touched = things.TouchedByAny(e.tool, e.at(), e.input)
	}
	if touched != "" {
		return d.refused(d.Gateway.Refuse(ctx, who.credential, call, sallyport.Refuse(sallyport.CausePolicy,
			"Refused: %s. No tool may touch it, whatever the policy says. Don't try this in another way.", touched)))
	}
	if mcp := e.mcp(); mcp != "" {
		if d.Behind(mcp) {
			return answer{} // decided where it passes
		}
		return d.refused(d.Gateway.Refuse(ctx, who.credential, call, sallyport.Refuse(sallyport.CauseServer,
			"Refused: the MCP server %q does not pass through Sallyport. A human can put it behind (sallyport import).", mcp)))
	}
	ticket, err := d.Gateway.Open(ctx, who.credential, call)
	if err != nil {
		return d.refused(err)
	}
	d.tickets.keep(&open{key: e.key(who.run.ID), digest: e.digest(), ticket: ticket}, d.Deadline, func(o *open, why string) {
		d.lose(context.Background(), o.ticket, why)
	})
	if d.Observe() {
		return answer{} // the client asks whom it would ask without us
	}
	return allow()
}

// after remembers what a call has brought. The agent has it already.
func (d *Door) after(ctx context.Context, who asker, e *event) answer {
	if mcp := e.mcp(); mcp != "" && d.Behind(mcp) {
		return answer{}
	}
	call := e.call(d.Server())
	wanted := e.key(who.run.ID)
	o := d.tickets.take(func(o *open) bool { return o.key == wanted }, who.run.ID)
	switch {
	case o == nil:
		return d.happened(ctx, who, call, "Sallyport was not asked about this call of "+e.tool+".")
	case o.digest != e.digest():
		d.lose(ctx, o.ticket, "the client carried out another call than the one that was decided")
		return d.happened(ctx, who, call, "Sallyport had decided about another call of "+e.tool+".")
	case e.result.Type() == sallyport.Absent:
		d.lose(ctx, o.ticket, "what it brought could not be read")
		return answer{Message: "Sallyport: what " + e.tool + " brought could not be read. The run counts as one that has read the worst."}
	}
	changed, refused, err := o.ticket.Witness(ctx, e.answer(), e.failed)
	switch {
	case err != nil:
		return stop("Sallyport: what " + e.tool + " brought could not be recorded: " + err.Error())
	case refused != nil && e.failed: // which no client takes another text for
		return stop("Sallyport would have kept back what " + e.tool + " brought: " + refused.Error())
	case refused != nil:
		return replace(e, refused)
	case changed.Type() != sallyport.Absent && !e.failed:
		return answer{Specific: &specific{Event: e.name, Output: outOf(changed).Raw()}}
	}
	return answer{}
}

// happened puts on the record what the client did without permission.
func (d *Door) happened(ctx context.Context, who asker, call *sallyport.Call, why string) answer {
	ticket, err := d.Gateway.Happened(ctx, who.credential, call)
	if err != nil {
		return stop(why + " It could not be recorded: " + err.Error())
	}
	d.lose(ctx, ticket, "nobody was asked, so nobody knows what it brought")
	return answer{Message: why + " It is on the record, and the run counts as one that has read the worst."}
}

func refuse(w http.ResponseWriter, status int, text string) {
	write(w, status, map[string]string{"error": text})
}

func write(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // nobody is left to tell
}
