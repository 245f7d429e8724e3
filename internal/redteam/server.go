package redteam

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"sallyport"

	"sallyport/internal/redteam/argument"
	"sallyport/internal/redteam/world"
)

// servers stand in for all servers of the configuration, each below its name.
// They offer exactly what is pinned, answer reading tools with what an attacker
// has written, and remember what reached them. Nothing real is touched.
type servers struct {
	world *world.World

	mu      sync.Mutex
	answers map[string]string         // what a tool returns, by SERVER/TOOL: a whole result
	keeps   map[string]argument.Place // the argument that a tool stores
	kept    string                    // what it was given
	reached []reached
}

// reached is a call that got through to a server.
type reached struct {
	Server, Tool string
	Args         any
}

func newServers(w *world.World) *servers { return &servers{world: w} }

// stage sets what tools return from now on, and forgets what has reached them.
func (s *servers) stage(answers map[string]string, keeps map[string]argument.Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers, s.keeps, s.kept, s.reached = answers, keeps, "", nil
}

// calls are those that have reached the servers since stage.
func (s *servers) calls() []reached {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reached
}

func (s *servers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(r.Body)
	message, parseErr := sallyport.Parse(body)
	if err != nil || parseErr != nil {
		http.Error(w, "no message", http.StatusBadRequest)
		return
	}
	id := message.Get("id")
	if id.Type() == sallyport.Absent {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	method, _ := message.Get("method").Text()
	w.Header().Set("Content-Type", "application/json")
	if result := s.result(strings.Trim(r.URL.Path, "/"), method, message.Get("params")); result != "" {
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, id.Raw(), result)
		return
	}
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"method not found"}}`, id.Raw())
}

// result answers one method of MCP 2025-11-25; "" is no answer.
func (s *servers) result(server, method string, params sallyport.Value) string {
	switch method {
	case "initialize":
		return `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"prompts":{},"resources":{}},"serverInfo":{"name":"simulated","version":"1"}}`
	case "ping":
		return `{}`
	case "tools/list":
		return `{"tools":[` + strings.Join(s.world.Listed(server, sallyport.KindTool), ",") + `]}`
	case "prompts/list":
		return `{"prompts":[` + strings.Join(s.world.Listed(server, sallyport.KindPrompt), ",") + `]}`
	case "resources/list":
		return `{"resources":[]}`
	case "resources/templates/list":
		return `{"resourceTemplates":[` + strings.Join(s.world.Listed(server, sallyport.KindResource), ",") + `]}`
	case "tools/call":
		return s.called(server, params)
	default:
		return ""
	}
}

func (s *servers) called(server string, params sallyport.Value) string {
	name, _ := params.Get("name").Text()
	var args any
	if raw := params.Get("arguments"); raw.Type() != sallyport.Absent {
		if err := json.Unmarshal(raw.Raw(), &args); err != nil {
			return ""
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reached = append(s.reached, reached{server, name, args})
	if at, keeps := s.keeps[server+"/"+name]; keeps {
		s.kept, _ = argument.Get(args, at).(string)
	}
	if answer, staged := s.answers[server+"/"+name]; staged {
		return keptIn(answer, s.kept)
	}
	return s.world.Done(server, name)
}

// keptIn puts what was stored into an answer: in its text, which is JSON within
// JSON, and in its structured content.
func keptIn(answer, kept string) string {
	if !strings.Contains(answer, keptPlace) {
		return answer
	}
	within := func(text string) string {
		quoted := string(sallyport.AppendString(nil, text))
		return quoted[1 : len(quoted)-1]
	}
	content, structured, _ := strings.Cut(answer, `"structuredContent":`)
	content = strings.ReplaceAll(content, keptPlace, within(within(kept)))
	if structured == "" {
		return content
	}
	return content + `"structuredContent":` + strings.ReplaceAll(structured, keptPlace, within(kept))
}
