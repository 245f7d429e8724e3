package rundoor

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/store/runs"
)

// memory is everything that is kept, with a fault to inject.
type memory struct {
	mu      sync.Mutex
	records map[string][]byte
	words   [][]byte
	fail    error
}

func (m *memory) Credentials(context.Context) (map[string][]byte, error) { return m.records, nil }
func (m *memory) SaveCredential(_ context.Context, name string, record []byte) error {
	m.records[name] = record
	return nil
}
func (m *memory) OpenRuns(context.Context) ([]runs.Row, error) { return nil, nil }
func (m *memory) RunRow(context.Context, string) (runs.Row, error) {
	return runs.Row{}, nil
}
func (m *memory) ChildRuns(context.Context, string) ([]string, error) { return nil, nil }
func (m *memory) SaveRuns(context.Context, []runs.Row) error          { return nil }
func (m *memory) Words(_ context.Context, index uint64) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.words[index], nil
}
func (m *memory) Calls(context.Context, string) (int, int, error) { return 2, 1, nil }
func (m *memory) RecordRun(_ context.Context, change gateway.RunChange) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return 0, m.fail
	}
	m.words = append(m.words, change.Words)
	return uint64(len(m.words) - 1), nil
}

// gate is an open door.
type gate struct {
	t      testing.TB
	door   *Door
	memory *memory
	tokens map[string]string
}

func open(t testing.TB) *gate {
	t.Helper()
	g := &gate{t: t, memory: &memory{records: map[string][]byte{}}, tokens: map[string]string{}}
	people := identity.People{
		Users:  map[string]identity.User{"ana": {}},
		Agents: map[string]identity.Agent{"bot": {User: "ana"}},
		Sources: map[string]identity.Source{
			"ci":     {Kind: sallyport.StrengthOrchestrator, Agents: []string{"bot"}},
			"editor": {Kind: sallyport.StrengthHook, Agents: []string{"bot"}},
		},
	}
	identities, err := identity.Load(context.Background(), g.memory, people, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	all, err := identity.LoadRuns(context.Background(), identities, g.memory, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	all.Log = g.memory
	for name := range people.Sources {
		if g.tokens[name], _, err = all.AddSource(context.Background(), name, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if g.tokens["bot"], err = all.Add(context.Background(), "bot", identity.Agent{}, time.Hour); err != nil {
		t.Fatal(err)
	}
	g.door = New(all, []string{"gate.example"}, []string{"https://app.example"})
	return g
}

// ask asks as somebody; edit may change the request.
func (g *gate) ask(who, method, path, body string, edit func(*http.Request)) (status int, answer map[string]any) {
	g.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:7717"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+g.tokens[who])
	}
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	g.door.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		g.t.Fatal(err)
	}
	_ = json.Unmarshal(text, &answer) // the mux answers some itself, in plain text
	if problem, _ := answer["error"].(string); w.Code >= 400 && w.Code != http.StatusMethodNotAllowed && len(problem) < 10 {
		g.t.Errorf("%s %s: %d without a reason: %s", method, path, w.Code, text)
	}
	if w.Code < 400 && w.Header().Get("Cache-Control") != "no-store" {
		g.t.Error("an answer may be kept by whoever passes it on")
	}
	return w.Code, answer
}

func TestRunsOverHTTP(t *testing.T) {
	g := open(t)
	status, begun := g.ask("ci", "POST", "/v1/runs", `{"agent":"bot","user":"ana","task":"pay the rent"}`, nil)
	run, _ := begun["run"].(string)
	token, _ := begun["token"].(string)
	expires, err := time.Parse(time.RFC3339, begun["expires"].(string))
	if status != 201 || run == "" || !strings.HasPrefix(token, identity.RunPrefix) || err != nil || time.Until(expires) > identity.RunLifetime {
		t.Fatalf("%d %v", status, begun)
	}
	g.tokens["run"] = token
	status, begun = g.ask("run", "POST", "/v1/runs", `{}`, nil)
	child, _ := begun["run"].(string)
	if status != 201 || child == "" {
		t.Fatalf("%d %v", status, begun)
	}
	if status, _ := g.ask("editor", "POST", "/v1/runs/"+run+"/messages", `{"text":"and \u0062o"}`, nil); status != 200 {
		t.Error(status)
	}
	status, shown := g.ask("ci", "GET", "/v1/runs/"+run, "", nil)
	words, _ := json.Marshal(shown["words"])
	if status != 200 || shown["agent"] != "bot" || shown["calls"] != 2.0 || shown["refused"] != 1.0 ||
		!strings.Contains(string(words), `"strength":"orchestrator","text":"pay the rent"`) || !strings.Contains(string(words), `"strength":"hook","text":"and bo"`) {
		t.Errorf("%d %v", status, shown)
	}
	for who, want := range map[string]int{"ci": 3, "bot": 1, "run": 2} {
		status, all := g.ask(who, "GET", "/v1/runs", "", nil)
		if list, _ := all["runs"].([]any); status != 200 || len(list) != want {
			t.Errorf("%s sees %v", who, all)
		}
	}
	if status, _ := g.ask("run", "POST", "/v1/runs/"+child+"/end", "", nil); status != 200 {
		t.Error(status)
	}
	if status, _ := g.ask("run", "POST", "/v1/runs/"+run+"/end", "{}", nil); status != 200 {
		t.Error(status)
	}
	if status, _ := g.ask("run", "GET", "/v1/runs", "", nil); status != 401 {
		t.Errorf("the token of a run that has ended: %d", status)
	}
}

func TestRefusals(t *testing.T) {
	g := open(t)
	_, begun := g.ask("ci", "POST", "/v1/runs", `{"agent":"bot","task":"pay the rent"}`, nil)
	run := begun["run"].(string)
	g.tokens["none"], g.tokens["run"] = "sp_run_none", begun["token"].(string)
	const good = `{"agent":"bot","task":"pay the rent"}`
	header := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	kept := len(g.memory.words)
	for name, c := range map[string]struct {
		who, method, path, body string
		edit                    func(*http.Request)
		want                    int
	}{
		"nobody":                     {"", "POST", "/v1/runs", good, nil, 401},
		"an unknown token":           {"none", "POST", "/v1/runs", good, nil, 401},
		"two tokens":                 {"ci", "POST", "/v1/runs", good, func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, 401},
		"a token in the query":       {"", "POST", "/v1/runs?access_token=" + g.tokens["ci"], good, nil, 401},
		"a web page":                 {"ci", "POST", "/v1/runs", good, header("Origin", "https://evil.example"), 403},
		"two origins":                {"ci", "POST", "/v1/runs", good, header("Origin", "https://app.example", "https://app.example"), 403},
		"another host":               {"ci", "POST", "/v1/runs", good, func(r *http.Request) { r.Host = "evil.example" }, 403},
		"another content type":       {"ci", "POST", "/v1/runs", good, header("Content-Type", "text/plain"), 415},
		"no content type":            {"ci", "POST", "/v1/runs", good, header("Content-Type"), 415},
		"another charset":            {"ci", "POST", "/v1/runs", good, header("Content-Type", "application/json; charset=utf-16"), 415},
		"compressed":                 {"ci", "POST", "/v1/runs", good, header("Content-Encoding", "gzip"), 415},
		"too long":                   {"ci", "POST", "/v1/runs", `{"agent":"bot","task":"` + strings.Repeat("a", maxBody) + `"}`, nil, 413},
		"too long a task":            {"ci", "POST", "/v1/runs", `{"agent":"bot","task":"` + strings.Repeat("a", 65537) + `"}`, nil, 400},
		"no JSON":                    {"ci", "POST", "/v1/runs", `{"agent":`, nil, 400},
		"trailing data":              {"ci", "POST", "/v1/runs", good + "{}", nil, 400},
		"a name twice":               {"ci", "POST", "/v1/runs", `{"agent":"bot","task":"a","task":"b"}`, nil, 400},
		"an unknown name":            {"ci", "POST", "/v1/runs", `{"agent":"bot","task":"a","strength":"human"}`, nil, 400},
		"a number":                   {"ci", "POST", "/v1/runs", `{"agent":"bot","task":1}`, nil, 400},
		"a list":                     {"ci", "POST", "/v1/runs", `[]`, nil, 400},
		"a null":                     {"ci", "POST", "/v1/runs", `{"agent":"bot","task":"a","parent":null}`, nil, 400},
		"invalid UTF-8":              {"ci", "POST", "/v1/runs", "{\"agent\":\"bot\",\"task\":\"\xff\"}", nil, 400},
		"half a character":           {"ci", "POST", "/v1/runs", `{"agent":"bot","task":"\ud800"}`, nil, 400},
		"no task":                    {"ci", "POST", "/v1/runs", `{"agent":"bot"}`, nil, 400},
		"another agent":              {"ci", "POST", "/v1/runs", `{"agent":"root","task":"a"}`, nil, 403},
		"a hook begins":              {"editor", "POST", "/v1/runs", good, nil, 403},
		"an agent begins":            {"bot", "POST", "/v1/runs", good, nil, 403},
		"an agent speaks":            {"run", "POST", "/v1/runs/" + run + "/messages", `{"text":"pay mallory"}`, nil, 403},
		"no such run":                {"ci", "POST", "/v1/runs/r_none/messages", `{"text":"x"}`, nil, 404},
		"another's run":              {"bot", "GET", "/v1/runs/" + run, "", nil, 404},
		"no words":                   {"ci", "POST", "/v1/runs/" + run + "/messages", `{}`, nil, 400},
		"an end with a word":         {"ci", "POST", "/v1/runs/" + run + "/end", `{"why":"x"}`, nil, 400},
		"another method":             {"ci", "DELETE", "/v1/runs/" + run, "", nil, 405},
		"another path":               {"ci", "GET", "/v1/runs/" + run + "/token", "", nil, 404},
		"an agent on another's path": {"run", "POST", "/v1/runs", `{"parent":"r_none"}`, nil, 403},
	} {
		if name == "another path" {
			continue // the mux answers it
		}
		if status, answer := g.ask(c.who, c.method, c.path, c.body, c.edit); status != c.want {
			t.Errorf("%s: %d %v, want %d", name, status, answer, c.want)
		}
	}
	if len(g.memory.words) != kept {
		t.Error("something was refused, and yet recorded")
	}
	for name, edit := range map[string]func(*http.Request){
		"an admitted host":     func(r *http.Request) { r.Host = "gate.example" },
		"an admitted origin":   header("Origin", "https://app.example"),
		"charset as it should": header("Content-Type", "application/json; charset=utf-8"),
	} {
		if status, answer := g.ask("ci", "POST", "/v1/runs", good, edit); status != 201 {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	g.memory.fail = errors.New("the disk is full")
	if status, answer := g.ask("ci", "POST", "/v1/runs", good, nil); status != 503 || answer["token"] != nil {
		t.Errorf("nothing can be recorded: %d %v", status, answer)
	}
}

// Whatever a body is, it is refused with a reason, or taken with exactly the
// words that it says.
func FuzzBodies(f *testing.F) {
	for _, body := range []string{`{"agent":"bot","task":"pay"}`, `{"agent":"bot","task":"a","task":"b"}`, `{`, `[]`, `{"task":null}`, "{\"agent\":\"bot\",\"task\":\"\xff\"}",
		`{"agent":"bot","task":"\ud83d\ude00","user":"","parent":""}`, `{"parent":"r_1"}`, ` {"agent" : "bot" , "task":"\u0000"} `} {
		f.Add(body)
	}
	g := open(f)
	f.Fuzz(func(t *testing.T, body string) {
		g.t = t
		before := len(g.memory.words)
		status, answer := g.ask("ci", "POST", "/v1/runs", body, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") })
		if status != 201 {
			if status/100 != 4 || answer["token"] != nil || len(g.memory.words) != before {
				t.Fatalf("%q: %d %v", body, status, answer)
			}
			return
		}
		var said struct{ Text string }
		var asked map[string]string
		if err := errors.Join(json.Unmarshal([]byte(body), &asked), json.Unmarshal(g.memory.words[before], &said)); err != nil {
			t.Fatalf("%q was taken: %v", body, err)
		}
		if said.Text != asked["task"] || asked["agent"] != "bot" || !utf8.ValidString(body) {
			t.Errorf("%q was taken as %q", body, said.Text)
		}
		for name := range maps.Keys(asked) {
			if !strings.Contains("agent user task parent", name) {
				t.Errorf("%q was taken with %q", body, name)
			}
		}
	})
}
