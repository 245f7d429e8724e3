package redteam

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/control"
	"sallyport/internal/identity"
	"sallyport/internal/lab/scenario"
	"sallyport/internal/redteam/world"
)

// gate is a throw-away gateway: the real one, with the user's policy and
// declarations, on a temporary state directory and before simulated servers.
type gate struct {
	scenario.Gate
	dir      string
	servers  *servers
	serving  *http.Server
	control  *control.Client
	http     *http.Client
	url      string
	source   string            // token of the orchestrator that says what users say
	standing map[string]string // the agents' standing runs, by name
}

const (
	patience = 20 * time.Second // with what should take no time
	lifetime = 24 * time.Hour   // of credentials
)

// openGate starts a gateway on what the world says, for these agents.
func openGate(ctx context.Context, open scenario.Open, w *world.World, agents []string) (_ *gate, err error) {
	g := &gate{servers: newServers(w), http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}, standing: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	if g.dir, err = os.MkdirTemp("", "sallyport-redteam-"); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g.serving = &http.Server{Handler: g.servers, ReadHeaderTimeout: patience}
	go g.serving.Serve(listener)
	name := filepath.Join(g.dir, "sallyport.yaml")
	if err := w.Write(g.dir, "http://"+listener.Addr().String()+"/", agents); err != nil {
		return nil, err
	}
	if g.Gate, err = open(ctx, filepath.Join(g.dir, "state"), name); err != nil {
		return nil, err
	}
	g.url, g.control = strings.TrimSuffix(g.URL, "/mcp"), control.Local(g.Control)
	return g, g.enroll(ctx, agents)
}

// enroll makes the credentials of everybody who takes part.
func (g *gate) enroll(ctx context.Context, agents []string) error {
	status, err := control.Get[control.PolicyStatus](ctx, g.control, "/policy")
	if err != nil {
		return err
	}
	if status.Broken != "" || status.Rules == 0 {
		return fmt.Errorf("the policy is not in force: %s", status.Broken)
	}
	secret := rand.Text() // of the human, whom nobody will ask anything
	if _, err := control.Post[struct{}](ctx, g.control, "/human", control.Enrolment{Secret: secret}); err != nil {
		return err
	}
	source, err := control.Post[control.SourceToken](ctx, g.control, "/sources", control.NewSource{Secret: secret, Name: world.Source, Lifetime: lifetime})
	if err != nil {
		return err
	}
	g.source = source.Token
	for _, agent := range agents { // without a token they have no standing run
		if _, err := control.Post[control.Token](ctx, g.control, "/agents", control.NewAgent{Secret: secret, Name: agent, Lifetime: lifetime}); err != nil {
			return err
		}
	}
	runs, err := control.Get[[]identity.RunStatus](ctx, g.control, "/runs")
	if err != nil {
		return err
	}
	for _, run := range runs {
		if run.Standing {
			g.standing[run.Agent] = run.Run
		}
	}
	return nil
}

func (g *gate) close() error {
	var errs []error
	if g.Close != nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		errs = append(errs, g.Close(ctx))
	}
	if g.serving != nil {
		errs = append(errs, g.serving.Close())
	}
	g.http.CloseIdleConnections()
	if g.dir != "" {
		errs = append(errs, os.RemoveAll(g.dir))
	}
	return errors.Join(errs...)
}

// run is where a puppet acts: the credential that it holds.
type run struct {
	id, token string
	session   string // of the session era, "" for the stateless one
}

// begin begins a run of an agent that was told a task. Without a task it begins
// one below the agent's standing run, in which nothing ever happens: that
// remembers nothing, and nobody has told it anything.
func (g *gate) begin(ctx context.Context, agent, task string) (run, error) {
	if task == "" {
		return g.beginAs(ctx, g.source, map[string]string{"parent": g.standing[agent]})
	}
	return g.beginAs(ctx, g.source, map[string]string{"agent": agent, "task": task})
}

func (g *gate) beginAs(ctx context.Context, token string, wanted map[string]string) (run, error) {
	answer, err := g.post(ctx, "/v1/runs", token, wanted, nil)
	if err != nil {
		return run{}, err
	}
	var begun struct{ Run, Token, Error string }
	if err := json.Unmarshal(answer, &begun); err != nil || begun.Error != "" {
		return run{}, errors.Join(err, errors.New(begun.Error))
	}
	return run{id: begun.Run, token: begun.Token}, nil
}

// say passes words on as if the user had said them, with whichever credential.
func (g *gate) say(ctx context.Context, token, run, text string) error {
	answer, err := g.post(ctx, "/v1/runs/"+run+"/messages", token, map[string]string{"text": text}, nil)
	var said struct{ Error string }
	if err == nil {
		err = json.Unmarshal(answer, &said)
	}
	if err == nil && said.Error != "" {
		err = errors.New(said.Error)
	}
	return err
}

// endRun ends a run that is not needed any more, so that thousands don't pile up.
func (g *gate) endRun(ctx context.Context, r run) {
	g.post(ctx, "/v1/runs/"+r.id+"/end", g.source, map[string]string{}, nil) // what stays open expires
}

// verdict is what became of a call.
type verdict struct {
	allowed bool
	call    string // its id in the log, when it was not allowed
	cause   string // why not: policy, hold, arguments, …
	rules   []string
	text    string // as the agent reads it
	read    []string
}

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

// call calls a tool as an agent does. An error means that the gateway gave no
// answer that an agent could read.
func (g *gate) call(ctx context.Context, r run, server, tool string, args any) (verdict, error) {
	text, err := json.Marshal(args)
	if err != nil {
		return verdict{}, err
	}
	name := string(sallyport.AppendString(nil, server+"__"+tool))
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":` + name + `,"arguments":` + string(text) + `,` + meta + `}}`
	header := map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": server + "__" + tool}
	if r.session != "" {
		body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":` + name + `,"arguments":` + string(text) + `}}`
		header = map[string]string{"Mcp-Protocol-Version": "2025-11-25", "Mcp-Session-Id": r.session}
	}
	answer, err := g.post(ctx, "/mcp", r.token, json.RawMessage(body), header)
	if err != nil {
		return verdict{}, err
	}
	var heard struct {
		Result *struct {
			Content           []struct{ Text string }
			StructuredContent json.RawMessage
			Meta              struct {
				Decision *struct {
					Call, Cause string
					Rules       []string
				} `json:"sallyport/decision"`
			} `json:"_meta"`
		}
		Error *struct{ Message string }
	}
	if err := json.Unmarshal(answer, &heard); err != nil {
		return verdict{}, fmt.Errorf("the gateway answered %q: %w", answer, err)
	}
	switch {
	case heard.Error != nil:
		return verdict{cause: "error", text: heard.Error.Message, read: []string{heard.Error.Message}}, nil
	case heard.Result == nil:
		return verdict{}, fmt.Errorf("the gateway answered %q", answer)
	}
	v := verdict{allowed: heard.Result.Meta.Decision == nil}
	for _, part := range heard.Result.Content {
		v.text += part.Text
		v.read = append(v.read, part.Text)
	}
	if d := heard.Result.Meta.Decision; d != nil {
		v.call, v.cause, v.rules = d.Call, d.Cause, d.Rules
	}
	return v, nil
}

// listed are the tools that an agent is shown, by the names it is shown them.
func (g *gate) listed(ctx context.Context, r run) ([]string, error) {
	answer, err := g.post(ctx, "/mcp", r.token, json.RawMessage(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+meta+`}}`),
		map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"})
	if err != nil {
		return nil, err
	}
	var heard struct {
		Result struct{ Tools []struct{ Name string } }
	}
	if err := json.Unmarshal(answer, &heard); err != nil {
		return nil, fmt.Errorf("the gateway answered %q: %w", answer, err)
	}
	var names []string
	for _, tool := range heard.Result.Tools {
		names = append(names, tool.Name)
	}
	return names, nil
}

// newSession opens another session of the same run, in the other era.
func (g *gate) newSession(ctx context.Context, r run) (run, error) {
	const hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"puppet","version":"1"}}}`
	header := http.Header{}
	if _, err := g.exchange(ctx, "/mcp", r.token, json.RawMessage(hello), nil, &header); err != nil {
		return r, err
	}
	r.session = header.Get("Mcp-Session-Id")
	_, err := g.exchange(ctx, "/mcp", r.token, json.RawMessage(`{"jsonrpc":"2.0","method":"notifications/initialized"}`),
		map[string]string{"Mcp-Session-Id": r.session, "Mcp-Protocol-Version": "2025-11-25"}, nil)
	return r, err
}

func (g *gate) post(ctx context.Context, path, token string, body any, header map[string]string) ([]byte, error) {
	return g.exchange(ctx, path, token, body, header, nil)
}

func (g *gate) exchange(ctx context.Context, path, token string, body any, header map[string]string, got *http.Header) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := g.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if got != nil {
		*got = response.Header
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, 8<<20))
	if data, streamed := bytes.CutPrefix(answer, []byte("data: ")); streamed || bytes.Contains(answer, []byte("\ndata: {")) {
		if !streamed {
			_, data, _ = bytes.Cut(answer, []byte("\ndata: "))
		}
		answer, _, _ = bytes.Cut(data, []byte("\n"))
	}
	return answer, err
}

// why is what the operator would be told about a call that did not pass: the
// attacker knows as much.
func (g *gate) why(ctx context.Context, v verdict) (control.Why, error) {
	return control.Get[control.Why](ctx, g.control, "/policy/why/"+v.call)
}
