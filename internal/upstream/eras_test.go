package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/manifest"
	"sallyport/internal/wire"
)

// everyWay runs a test for each transport and era of the server and each era of the agent.
func everyWay(t *testing.T, test func(t *testing.T, h *hall, a agent, log *seen)) {
	for name, way := range ways {
		for _, revision := range []string{wire.Revision20251125, wire.Stateless} {
			t.Run(name+" "+revision, func(t *testing.T) {
				t.Parallel()
				log := &seen{}
				server := way(t, func(revisions []string) *mcp.Server { return newPeer(revisions, log) })
				if server.Command != "" {
					log.file = filepath.Join(t.TempDir(), "seen")
					server.Env[childLog] = log.file
				}
				h := newHall(t, server)
				a := agent{revision: revision, user: "ann"}
				if !wire.IsStateless(revision) {
					a.session = "s1"
					h.Greet(a.session, sallyport.MustParse(declaredOld))
				}
				test(t, h, a, log)
			})
		}
	}
}

func TestEveryWayEchoes(t *testing.T) {
	everyWay(t, func(t *testing.T, h *hall, a agent, log *seen) {
		for _, text := range []string{"one", "zwei ü", `3 \"quoted\"`} {
			want := sallyport.MustParse(`"` + text + `"`)
			wanted, _ := want.Text()
			if got := a.tool(t, h, "echo", `{"text":"`+text+`"}`, nil); got != wanted {
				t.Errorf("got %q, want %q", got, wanted)
			}
		}
		if n := log.count("tools/call"); n != 3 {
			t.Errorf("the server saw %d calls", n)
		}
		if n := log.count("initialize"); n > 1 {
			t.Errorf("%d sessions for one agent", n)
		}
	})
}

func TestEveryWayResultShape(t *testing.T) {
	everyWay(t, func(t *testing.T, h *hall, a agent, _ *seen) {
		for _, method := range []string{"tools/list", "prompts/list", "resources/list", "resources/templates/list"} {
			answer, err := a.query(t.Context(), h, method, `{}`)
			if err != nil {
				t.Fatal(err)
			}
			kind, _ := answer.Result.Get("resultType").Text()
			if wire.IsStateless(a.revision) {
				if kind != "complete" || answer.Result.Get("ttlMs").Type() != sallyport.Number || answer.Result.Get("cacheScope").Type() != sallyport.String {
					t.Errorf("%s: not a result of the stateless era: %s", method, answer.Result.Raw())
				}
			}
		}
		answer, err := a.execute(t.Context(), h, "resources/read", `{"uri":"test://t/none"}`, nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Error.Type() != sallyport.Object {
			t.Errorf("a missing resource was answered with %s", answer.Result.Raw())
		}
	})
}

func TestEveryWayProgress(t *testing.T) {
	everyWay(t, func(t *testing.T, h *hall, a agent, log *seen) {
		client := &clientEnd{}
		answer, err := a.execute(t.Context(), h, "tools/call", `{"name":"count","arguments":{},"_meta":{"progressToken":"tök-1"}}`, client)
		textOf(t, answer, err)
		var progress []string
		for _, m := range client.told {
			if m.Method == "notifications/progress" {
				token, _ := m.Params.Get("progressToken").Text()
				progress = append(progress, token+" "+string(m.Params.Get("progress").Raw()))
			}
		}
		if got := strings.Join(progress, ","); got != "tök-1 1,tök-1 2,tök-1 3" {
			t.Errorf("progress: %s", got)
		}
		if strings.Contains(log.last("tools/call").Params, "tök-1") {
			t.Error("the agent's own token reached the server")
		}
	})
}

// TestEveryWayAsks: elicitation, sampling and roots reach the agent in its own
// era, whichever the server speaks, and the answer reaches the server.
func TestEveryWayAsks(t *testing.T) {
	for _, c := range []struct{ tool, key, method, answer, want string }{
		{"ask", "name", "elicitation/create", `{"action":"accept","content":{"name":"Ann"}}`, "accept Ann stäte"},
		{"sample", "text", "sampling/createMessage", `{"role":"assistant","model":"m","content":{"type":"text","text":"hi"}}`, "m hi"},
		{"roots", "roots", "roots/list", `{"roots":[{"uri":"file:///home"}]}`, "file:///home"},
	} {
		t.Run(c.tool, func(t *testing.T) {
			everyWay(t, func(t *testing.T, h *hall, a agent, log *seen) {
				client := &clientEnd{answer: func(_ context.Context, m wire.Message) (gateway.Answer, error) {
					if m.Method != c.method {
						return gateway.Answer{}, errors.New("asked " + m.Method)
					}
					return gateway.Answer{Result: sallyport.MustParse(c.answer)}, nil
				}}
				answer, err := a.execute(t.Context(), h, "tools/call", `{"name":"`+c.tool+`","arguments":{}}`, client)
				kind, _ := answer.Result.Get("resultType").Text()
				if kind == "input_required" && wire.IsStateless(a.revision) {
					// The same era at both ends: the agent retries by itself.
					if len(client.asked) != 0 {
						t.Fatal("asked although the result says it")
					}
					retry := `{"name":"` + c.tool + `","arguments":{},"inputResponses":{"` + c.key + `":` + c.answer + `}`
					if state := answer.Result.Get("requestState"); state.Type() != sallyport.Absent {
						retry += `,"requestState":` + string(state.Raw())
					}
					answer, err = a.execute(t.Context(), h, "tools/call", retry+"}", client)
				} else if len(client.asked) != 1 {
					t.Fatalf("asked %d times", len(client.asked))
				}
				if got := textOf(t, answer, err); got != c.want {
					t.Errorf("got %q", got)
				}
			})
		})
	}
}

// TestEveryWayUpdates: whoever subscribed hears of the resource in the way of
// its own era, and nobody hears of it who has stopped.
func TestEveryWayUpdates(t *testing.T) {
	const updated = "notifications/resources/updated"
	everyWay(t, func(t *testing.T, h *hall, a agent, log *seen) {
		if !wire.IsStateless(a.revision) {
			if answer, err := a.execute(t.Context(), h, "resources/subscribe", `{"uri":"test://r"}`, nil); err != nil || answer.Error.Type() != sallyport.Absent {
				t.Fatalf("subscribe: %v %s", err, answer.Error.Raw())
			}
			a.tool(t, h, "touch", `{}`, nil)
			x := h.waitHeard(t, updated)
			if !x.message.Params.Get("uri").IsText("test://r") || x.message.Params.Get("_meta").Get(wire.MetaSubscription).Type() != sallyport.Absent || x.session != "s1" {
				t.Errorf("heard %s in session %s", x.message.Raw, x.session)
			}
			return
		}
		client := &clientEnd{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := a.execute(ctx, h, "subscriptions/listen", `{"notifications":{"resourceSubscriptions":["test://r"]}}`, client)
			done <- err
		}()
		eventually(t, "never acknowledged", func() bool { return len(client.methods()) == 1 })
		a.tool(t, h, "touch", `{}`, nil)
		eventually(t, "never told", func() bool { return len(client.methods()) == 2 })
		if m := client.told[1]; m.Method != updated || !m.Params.Get("uri").IsText("test://r") || m.Params.Get("_meta").Get(wire.MetaSubscription).Type() == sallyport.Absent {
			t.Errorf("told %s", m.Raw)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

// TestEveryWayLogs: log lines come to who asked for them, per session or per
// request as the agent's era has it, and to nobody else.
func TestEveryWayLogs(t *testing.T) {
	const line = "notifications/message"
	everyWay(t, func(t *testing.T, h *hall, a agent, log *seen) {
		quiet := &clientEnd{}
		if wire.IsStateless(a.revision) {
			a.tool(t, h, "log", `{}`, quiet)
			loud := &clientEnd{}
			answer, err := a.execute(t.Context(), h, "tools/call", `{"name":"log","arguments":{},"_meta":{"io.modelcontextprotocol/logLevel":"info"}}`, loud)
			textOf(t, answer, err)
			eventually(t, "the log line never came", func() bool { return slices.Contains(loud.methods(), line) }, log)
			if slices.Contains(quiet.methods(), line) {
				t.Error("a request that asked for no log lines got one")
			}
			return
		}
		if answer, err := a.query(t.Context(), h, "logging/setLevel", `{"level":"info"}`); err != nil || answer.Error.Type() != sallyport.Absent {
			t.Fatalf("setLevel: %v %s", err, answer.Error.Raw())
		}
		client := &clientEnd{}
		a.tool(t, h, "log", `{}`, client)
		if !slices.Contains(client.methods(), line) {
			h.waitHeard(t, line)
		}
		if answer, err := a.query(t.Context(), h, "logging/setLevel", `{"level":"error"}`); err != nil || answer.Error.Type() != sallyport.Absent {
			t.Fatalf("setLevel: %v %s", err, answer.Error.Raw())
		}
		a.tool(t, h, "log", `{}`, quiet)
		a.tool(t, h, "echo", `{"text":"after"}`, nil) // whatever was said before has come
		if slices.Contains(quiet.methods(), line) {
			t.Error("a line below the level was passed on")
		}
	})
}

func TestEveryWayRefusedAsk(t *testing.T) {
	everyWay(t, func(t *testing.T, h *hall, a agent, log *seen) {
		client := &clientEnd{answer: func(context.Context, wire.Message) (gateway.Answer, error) {
			return gateway.Answer{}, sallyport.Refuse(sallyport.CausePolicy, "rule 17 forbids it")
		}}
		answer, err := a.execute(t.Context(), h, "tools/call", `{"name":"ask","arguments":{}}`, client)
		if kind, _ := answer.Result.Get("resultType").Text(); kind == "input_required" {
			return
		}
		if err == nil && answer.Result.Get("isError").Type() != sallyport.True && answer.Error.Type() == sallyport.Absent {
			t.Errorf("a refused ask went through: %s", answer.Result.Raw())
		}
		for _, a := range log.calls() {
			if strings.Contains(a.Params, "rule 17") {
				t.Errorf("the policy's reason reached the server in %s", a.Method)
			}
		}
		if got := a.tool(t, h, "echo", `{"text":"on"}`, nil); got != "on" {
			t.Errorf("afterwards: %q", got)
		}
	})
}

func TestEveryWayCancels(t *testing.T) {
	everyWay(t, func(t *testing.T, h *hall, a agent, log *seen) {
		a.tool(t, h, "echo", `{"text":"warm"}`, nil)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for log.count("tools/call") < 2 {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
		_, err := a.execute(ctx, h, "tools/call", `{"name":"wait","arguments":{}}`, nil)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, gateway.ErrUnanswered) {
			t.Fatalf("error: %v", err)
		}
		eventually(t, "the server never heard of the cancellation", func() bool { return log.count("wait cancelled") == 1 }, log)
		if got := a.tool(t, h, "echo", `{"text":"on"}`, nil); got != "on" {
			t.Errorf("afterwards: %q", got)
		}
	})
}

func TestEveryWayListChanged(t *testing.T) {
	everyWay(t, func(t *testing.T, h *hall, a agent, _ *seen) {
		if wire.IsStateless(a.revision) {
			client := &clientEnd{}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				_, err := a.execute(ctx, h, "subscriptions/listen", `{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["test://r"]}}`, client)
				done <- err
			}()
			eventually(t, "never acknowledged", func() bool { return len(client.methods()) == 1 })
			if got := client.methods()[0]; got != "notifications/subscriptions/acknowledged" {
				t.Errorf("first came %s", got)
			}
			a.tool(t, h, "grow", `{}`, nil)
			eventually(t, "never told", func() bool { return len(client.methods()) == 2 })
			if m := client.told[1]; m.Method != "notifications/tools/list_changed" || m.Params.Get("_meta").Get(wire.MetaSubscription).Type() == sallyport.Absent {
				t.Errorf("then came %s", m.Raw)
			}
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
			return
		}
		if answer, err := a.execute(t.Context(), h, "resources/subscribe", `{"uri":"test://r"}`, nil); err != nil || answer.Error.Type() != sallyport.Absent {
			t.Fatalf("subscribe: %v %s", err, answer.Error.Raw())
		}
		if answer, err := a.query(t.Context(), h, "logging/setLevel", `{"level":"debug"}`); err != nil || answer.Error.Type() != sallyport.Absent {
			t.Fatalf("setLevel: %v %s", err, answer.Error.Raw())
		}
		client := &clientEnd{}
		a.tool(t, h, "log", `{}`, client)
		if len(client.methods()) != 1 {
			h.waitHeard(t, "notifications/message")
		}
		a.tool(t, h, "grow", `{}`, nil)
		if x := h.waitHeard(t, "notifications/tools/list_changed"); x.session != "s1" || x.user != "ann" {
			t.Errorf("said to %+v", x)
		}
		if answer, err := a.query(t.Context(), h, "resources/unsubscribe", `{"uri":"test://r"}`); err != nil || answer.Error.Type() != sallyport.Absent {
			t.Fatalf("unsubscribe: %v %s", err, answer.Error.Raw())
		}
	})
}

func TestEveryWayManifest(t *testing.T) {
	everyWay(t, func(t *testing.T, h *hall, a agent, _ *seen) {
		m, err := h.Manifest(t.Context(), "peer")
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, k := range m.Keys() {
			keys = append(keys, string(k))
		}
		want := "capabilities prompt:greet server template:test://t/{id} tool:ask tool:count tool:echo tool:grow tool:log tool:region tool:roots tool:sample tool:touch tool:wait"
		if got := strings.Join(keys, " "); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if words := string(m.Items["server"].Raw.Raw()); !strings.Contains(words, "be kind") || !strings.Contains(words, `"peer"`) {
			t.Errorf("the server's words: %s", words)
		}
		for _, method := range []string{"initialize", "server/discover"} {
			if wire.IsStateless(a.revision) == (method == "initialize") {
				continue
			}
			answer, err := a.query(t.Context(), h, method, declaredOld)
			if err != nil || answer.Result.Get("capabilities").Type() != sallyport.Object {
				t.Errorf("%s: %v %s", method, err, answer.Result.Raw())
			}
		}
	})
}

// TestManifestOfBothEras: what a server offers in one era only is seen, too.
func TestManifestOfBothEras(t *testing.T) {
	h := newHall(t, ways["http both"](t, func(revisions []string) *mcp.Server {
		server := newPeer(revisions, &seen{})
		name := "only-stateless"
		if revisions[0] == oldRevisions[0] {
			name = "only-old"
		}
		mcp.AddTool(server, &mcp.Tool{Name: name}, func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{}, nil, nil
		})
		return server
	}))
	m, err := h.Manifest(t.Context(), "peer")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []manifest.Key{"tool:only-stateless", "tool:only-old", "tool:echo"} {
		if _, there := m.Items[key]; !there {
			t.Errorf("%s is missing", key)
		}
	}
}

// TestCapabilitiesOfBothEras: what a server claims in either era is within what
// it claims altogether, which is what is pinned.
func TestCapabilitiesOfBothEras(t *testing.T) {
	servers := bothEras(newPeer(oldRevisions, &seen{}), newPeer(newRevisions, &seen{}))
	h := newHall(t, Server{Name: "peer", URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !bytes.Contains(body, []byte(`"method":"initialize"`)) {
			servers.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		servers.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(answer.Code)
		_, _ = w.Write(bytes.Replace(answer.Body.Bytes(), []byte(`"capabilities":{`), []byte(`"capabilities":{"onlyOld":{"x":true},`), 1))
	}))})
	m, err := h.Manifest(t.Context(), "peer")
	if err != nil {
		t.Fatal(err)
	}
	all := m.Items[manifest.CapabilitiesKey].Raw
	for revision, method := range map[string]string{wire.Revision20251125: "initialize", wire.Stateless: "server/discover"} {
		answer, err := agent{revision: revision, user: "ann"}.query(t.Context(), h, method, declaredOld)
		if err != nil {
			t.Fatal(err)
		}
		claimed := answer.Result.Get("capabilities")
		if claimed.Get("tools").Type() != sallyport.Object || !manifest.Within(claimed, all) {
			t.Errorf("%s: %s is not within %s", revision, claimed.Raw(), all.Raw())
		}
		if only := claimed.Get("onlyOld").Type() == sallyport.Object; only == wire.IsStateless(revision) {
			t.Errorf("%s: the test's server claims the same in both eras", revision)
		}
	}
}

func eventually(t testing.TB, what string, holds func() bool, logs ...*seen) {
	t.Helper()
	for range 1000 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, log := range logs {
		what += "; the server saw " + log.methods()
	}
	t.Fatal(what)
}
