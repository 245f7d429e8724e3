package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport/internal/lab/puppet"
	"sallyport/internal/lab/scenario"
)

// player does the steps of a puppet: directly at the servers, or through a gateway.
type player struct {
	s       *scenario.Scenario
	bench   *bench
	gateway *gateway // nil: directly
	agrees  bool     // people agree to whatever is held, and the puppet tries again
	accepts bool     // people accept whatever servers change

	agent    string // who acts
	token    string // of the run in which it acts
	sessions map[string]*mcp.ClientSession

	calls  int      // that were made
	looks  int      // at what they asked
	held   []string // calls about which people were asked
	failed []string // that did not go through
	read   []string // what the first agent has read
}

// start begins the first agent's run.
func (p *player) start(ctx context.Context, task string) ([]string, error) {
	return p.become(ctx, p.s.First(), task)
}

// become lets another agent act, in a run with a task of its own.
func (p *player) become(ctx context.Context, agent, task string) (read []string, err error) {
	p.agent = agent
	switch {
	case p.gateway == nil:
	case p.s.Credential == scenario.AgentToken:
		p.token, err = p.gateway.agent(ctx, agent)
	default:
		p.token, err = p.gateway.run(ctx, agent, task)
	}
	if err != nil {
		return nil, err
	}
	return p.connect(ctx)
}

// bearer sends a token with every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// connect makes new connections, and reads what the servers say of their tools.
func (p *player) connect(ctx context.Context) (read []string, err error) {
	p.close()
	p.sessions = map[string]*mcp.ClientSession{}
	endpoints := map[string]string{}
	if p.gateway != nil {
		endpoints[""] = p.gateway.URL
	}
	for name := range p.s.Servers {
		if p.gateway == nil || slices.Contains(p.s.Beyond, name) {
			endpoints[name] = p.bench.base + "/" + name
		}
	}
	for name, endpoint := range endpoints {
		client := mcp.NewClient(&mcp.Implementation{Name: "puppet", Version: "1"}, nil)
		p.sessions[name], err = client.Connect(ctx, &mcp.StreamableClientTransport{
			Endpoint: endpoint, HTTPClient: &http.Client{Transport: bearer(p.token)}, MaxRetries: -1, DisableStandaloneSSE: true,
		}, nil)
		if err != nil {
			delete(p.sessions, name)
			return nil, err
		}
	}
	return p.tools(ctx)
}

func (p *player) close() {
	for _, session := range p.sessions {
		session.Close()
	}
}

// tools is what there is to read about tools.
func (p *player) tools(ctx context.Context) (read []string, err error) {
	for _, session := range p.sessions {
		for tool, err := range session.Tools(ctx, nil) {
			if err != nil {
				return nil, err
			}
			schema, err := json.Marshal(tool.InputSchema)
			if err != nil {
				return nil, err
			}
			read = append(read, tool.Name+"\n"+tool.Description+"\n"+string(schema))
		}
	}
	slices.Sort(read)
	return read, nil
}

// do is what a puppet can do.
func (p *player) do(ctx context.Context, step puppet.Step) (read []string, err error) {
	switch step.Verb {
	case "":
		read, err = p.call(ctx, step)
	case "reconnect":
		read, err = p.connect(ctx)
	case "child":
		if p.gateway != nil {
			if p.token, err = p.gateway.child(ctx, p.token); err != nil {
				return nil, err
			}
		}
		read, err = p.connect(ctx)
	case "as":
		if _, known := p.s.Agents[step.Words]; !known && step.Words != p.s.First() {
			return nil, fmt.Errorf("the scenario has no agent %q", step.Words)
		}
		task := p.s.Task
		if step.Words != p.s.First() {
			task = p.s.Agents[step.Words].Task
		}
		read, err = p.become(ctx, step.Words, task)
	case "changes":
		read, err = p.changes(ctx, step.Words)
	case "accept":
		if p.gateway != nil {
			err = p.gateway.accept(ctx, step.Words)
		}
	case "approve":
		if p.gateway != nil {
			_, err = p.gateway.approve(ctx)
		}
	default:
		return nil, fmt.Errorf("there is no step %q", step.Verb)
	}
	if p.agent == p.s.First() {
		p.read = append(p.read, read...)
	}
	return read, err
}

// changes makes a server offer what it offers later.
func (p *player) changes(ctx context.Context, server string) ([]string, error) {
	later := p.s.Later[server]
	if later == nil {
		return nil, fmt.Errorf("the scenario does not say what %s offers later", server)
	}
	p.bench.offer(server, later)
	if p.gateway != nil {
		if err := p.gateway.noticed(ctx, server); err != nil {
			return nil, err
		}
		if p.accepts {
			if err := p.gateway.accept(ctx, server); err != nil {
				return nil, err
			}
		}
	}
	return p.tools(ctx)
}

// call calls a tool. Where people agree, a call that was held is made again.
func (p *player) call(ctx context.Context, step puppet.Step) ([]string, error) {
	p.calls++
	result, err := p.callTool(ctx, step)
	if err == nil && isHeld(result) {
		p.held = append(p.held, fmt.Sprintf("%s: %s", step, strings.Join(texts(result), " ")))
		if p.agrees {
			looks, failed := p.gateway.approve(ctx)
			if p.looks += looks; failed != nil {
				return nil, failed
			}
			result, err = p.callTool(ctx, step)
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil: // an answer of the protocol: there is no such tool
		p.failed = append(p.failed, fmt.Sprintf("%s: %v", step, err))
		return []string{err.Error()}, nil
	case result.IsError || isHeld(result):
		p.failed = append(p.failed, fmt.Sprintf("%s: %s", step, strings.Join(texts(result), " ")))
	}
	return texts(result), nil
}

func (p *player) callTool(ctx context.Context, step puppet.Step) (*mcp.CallToolResult, error) {
	session, name := p.sessions[step.Server], step.Tool
	if p.gateway != nil && !slices.Contains(p.s.Beyond, step.Server) {
		session, name = p.sessions[""], step.Server+"__"+step.Tool
	}
	if session == nil {
		return nil, fmt.Errorf("there is no server %q", step.Server)
	}
	return session.CallTool(ctx, &mcp.CallToolParams{Name: name, Arguments: json.RawMessage(step.Args)})
}

// isHeld reports whether people are asked about a call.
func isHeld(result *mcp.CallToolResult) bool {
	decision, _ := result.Meta["sallyport/decision"].(map[string]any)
	return decision["status"] == "pending_approval"
}

// texts is what there is to read in a result: structured content first.
func texts(result *mcp.CallToolResult) []string {
	var all []string
	if result.StructuredContent != nil {
		if text, err := json.Marshal(result.StructuredContent); err == nil {
			all = append(all, string(text))
			var leaves []string
			gather(result.StructuredContent, &leaves)
			all = append(all, leaves...)
		}
	}
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			all = append(all, text.Text)
		}
	}
	return all
}
