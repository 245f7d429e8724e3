package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/kill"
	"sallyport/internal/wire"
)

func ticketFor(call *sallyport.Call, tool *sallyport.Definition) *gateway.Ticket {
	return &gateway.Ticket{Call: call, Tool: tool}
}

// TestCredentialStaysAtItsOrigin: whatever a server answers, nobody else ever gets a request, let alone the
// credential.
func TestCredentialStaysAtItsOrigin(t *testing.T) {
	var elsewhere atomic.Int64
	thief := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { elsewhere.Add(1) }))
	a := agent{revision: wire.Revision20251125, session: "s1"}
	for _, status := range []int{301, 302, 303, 307, 308} {
		h := newHall(t, Server{Headers: map[string]string{"Authorization": "Bearer s3cret"}, URL: serve(t,
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief, status) }))})
		if _, err := a.execute(t.Context(), h, "tools/call", `{"name":"x"}`, nil); err == nil || !strings.Contains(err.Error(), "redirect") {
			t.Errorf("%d: %v", status, err)
		}
		h, _ = newFoe(t, Limits{}, func(w http.ResponseWriter, r *http.Request, _ wire.Message) { http.Redirect(w, r, thief, status) })
		if _, err := a.execute(t.Context(), h, "tools/call", `{"name":"x"}`, nil); err == nil || !strings.Contains(err.Error(), "redirect") {
			t.Errorf("%d in a session: %v", status, err)
		}
	}
	target, _ := url.Parse(thief)
	for _, endpoint := range []string{thief + "/messages", "//" + target.Host + "/messages", "https://example.com/x", "http://user@HOST/x", "ftp://HOST/x"} {
		h := newHall(t, Server{Transport: HTTPSSE, Headers: map[string]string{"Authorization": "Bearer s3cret"}, URL: serve(t,
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				events(w)("event: endpoint\ndata: %s\n\n", strings.ReplaceAll(endpoint, "HOST", r.Host))
				<-r.Context().Done()
			}))})
		if _, err := a.execute(t.Context(), h, "tools/call", `{"name":"x"}`, nil); err == nil || !strings.Contains(err.Error(), "named an endpoint on another origin") {
			t.Errorf("endpoint %s: %v", endpoint, err)
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d requests reached another origin", n)
	}
}

// TestWhatWasSentIsUnanswered: a server of HTTP+SSE that acts and then answers the POST with an error has had the
// call; one that does not even want to be spoken with has not.
func TestWhatWasSentIsUnanswered(t *testing.T) {
	a := agent{revision: wire.Revision20251125, session: "s1"}
	talks := make(chan string, 8)
	h := newHall(t, Server{Transport: HTTPSSE, Revision: wire.Revision20251125, URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			say := events(w)
			say("event: endpoint\ndata: /messages\n\n")
			for {
				select {
				case text := <-talks:
					say("event: message\ndata: %s\n\n", text)
				case <-r.Context().Done():
					return
				}
			}
		}
		body, _ := io.ReadAll(r.Body)
		switch m, _ := wire.Parse(body); m.Method {
		case "initialize":
			talks <- fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"x","version":"0"}}}`, m.ID.Raw())
			w.WriteHeader(http.StatusAccepted)
		case "tools/call":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	}))})
	if _, err := a.execute(t.Context(), h, "tools/call", `{"name":"x"}`, nil); !errors.Is(err, gateway.ErrUnanswered) || !strings.Contains(err.Error(), "HTTP 500") {
		t.Errorf("sent: %v", err)
	}
	h = newHall(t, Server{Revision: wire.Revision20251125, URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))})
	if _, err := a.execute(t.Context(), h, "tools/call", `{"name":"x"}`, nil); err == nil || errors.Is(err, gateway.ErrUnanswered) {
		t.Errorf("never sent: %v", err)
	}
}

func TestConfiguredHeadersReachTheServer(t *testing.T) {
	h, f := newFoe(t, Limits{}, nil)
	a := agent{revision: wire.Revision20251125, session: "s1"}
	a.tool(t, h, "well", `{}`, nil)
	h.Close()
	for _, c := range f.log.calls() {
		if got := c.Header.Get("Authorization"); got != "Bearer s3cret" {
			t.Errorf("%s came with %q", c.Method, got)
		}
		if c.Header.Get("Accept-Encoding") != "" {
			t.Errorf("%s asks for compression", c.Method)
		}
	}
	if strings.Contains(h.logs.String(), "s3cret") {
		t.Error("the credential is in the log")
	}
}

// TestForbiddenAddresses: a name that leads to an address of the machine, of the private network or of the cloud's
// metadata service does not, however often it is resolved.
func TestForbiddenAddresses(t *testing.T) {
	f := &foe{t: t}
	local, _ := url.Parse(serve(t, f))
	port := local.Port()
	for name, c := range map[string]struct {
		answers []string // of the resolver, one after another
		host    string
		allow   []netip.Prefix
		ok      bool
	}{
		"metadata":               {answers: []string{"169.254.169.254"}},
		"link-local":             {answers: []string{"169.254.1.1"}},
		"private":                {answers: []string{"10.0.0.7"}},
		"loopback":               {answers: []string{"127.0.0.1"}},
		"unspecified":            {answers: []string{"0.0.0.0"}},
		"rebinding":              {answers: []string{"203.0.113.5", "127.0.0.1"}},
		"loopback, allowed":      {answers: []string{"127.0.0.1"}, allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, ok: true},
		"another range allowed":  {answers: []string{"127.0.0.1"}, allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		"localhost":              {host: "localhost", answers: []string{"127.0.0.1"}, ok: true},
		"the address itself":     {host: "127.0.0.1", ok: true},
		"mapped address itself":  {host: "[::ffff:127.0.0.1]", ok: true},
		"metadata by its number": {host: "2852039166"}, // 169.254.169.254 as one number
	} {
		t.Run(name, func(t *testing.T) {
			host := c.host
			if host == "" {
				host = "mcp.example.test"
			}
			u := New(Options{Log: discard, Kills: &kill.Switch{}, Heard: func(string, string, sallyport.Principal, wire.Message) {}})
			defer u.Close()
			u.resolver = resolver(t, c.answers)
			if err := u.Configure([]Server{{Name: "peer", URL: "http://" + host + ":" + port, AllowAddresses: c.allow}}); err != nil {
				t.Fatal(err)
			}
			h := &hall{Servers: u, logs: &logBuffer{}}
			a := agent{revision: wire.Revision20251125, session: name}
			before := f.log.count("tools/call")
			for range 3 {
				_, err := a.execute(t.Context(), h, "tools/call", `{"name":"well"}`, nil)
				if (err == nil) != c.ok {
					t.Fatalf("error: %v", err)
				}
			}
			if reached := f.log.count("tools/call") > before; reached != c.ok {
				t.Errorf("reached: %v", reached)
			}
		})
	}
}

// resolver is a name server that gives one address after another, and the last one for ever.
func resolver(t *testing.T, answers []string) *net.Resolver {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	var asked atomic.Int64
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			query := append([]byte(nil), buf[:n]...)
			end := 12
			for query[end] != 0 {
				end += int(query[end]) + 1
			}
			question := query[12 : end+5]
			reply := append([]byte(nil), query[:2]...)
			reply = append(reply, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0)
			reply = append(reply, question...)
			if kind := binary.BigEndian.Uint16(query[end+1:]); kind == 1 && len(answers) > 0 {
				i := min(int(asked.Add(1)), len(answers)) - 1
				reply[7] = 1
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
				reply = append(reply, netip.MustParseAddr(answers[i]).AsSlice()...)
			}
			_, _ = server.WriteTo(reply, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func TestStatelessHeaders(t *testing.T) {
	log := &seen{}
	h := newHall(t, ways["http new"](t, func(revisions []string) *mcpServer { return newPeer(revisions, log) }))
	tool := &sallyport.Definition{Server: "peer", Kind: sallyport.KindTool, Name: "region", Digest: sallyport.DigestOf([]byte("1")), Raw: sallyport.MustParse(
		`{"name":"region","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"object","properties":{"level":{"type":"integer","x-mcp-header":"Level"}}}}}}`)}
	for _, revision := range []string{wire.Stateless, wire.Revision20251125} {
		for arguments, want := range map[string][2]string{
			`{"region":"eu-west","n":{"level":42}}`: {"eu-west", "42"},
			`{"region":"Zürich"}`:                   {"=?base64?WsO8cmljaA==?=", ""},
			`{"region":"a\r\nX-Evil: 1"}`:           {"=?base64?YQ0KWC1FdmlsOiAx?=", ""},
			`{}`:                                    {"", ""},
		} {
			a := agent{revision: revision, session: "s1"}
			call := &sallyport.Call{Server: "peer", Method: "tools/call", Name: "region", Principal: a.principal(), Session: a.session, Revision: revision,
				Params: a.params(`{"name":"region","arguments":` + arguments + `}`)}
			answer, err := h.Execute(t.Context(), ticketFor(call, tool), &clientEnd{})
			if got := textOf(t, answer, err); got != arguments {
				t.Errorf("%s: the server understood %s", arguments, got)
			}
			header := log.last("tools/call").Header
			got := [2]string{header.Get("Mcp-Param-Region"), header.Get("Mcp-Param-Level")}
			if got != want || header.Get("Mcp-Method") != "tools/call" || header.Get("Mcp-Name") != "region" || header.Get("Mcp-Protocol-Version") != wire.Stateless {
				t.Errorf("%s: headers %v", arguments, header)
			}
		}
	}
}

// TestErrorStatusPasses: in the stateless era the HTTP status of an error is part of the answer.
func TestErrorStatusPasses(t *testing.T) {
	log := &seen{}
	h := newHall(t, ways["http new"](t, func(revisions []string) *mcpServer { return newPeer(revisions, log) }))
	a := agent{revision: wire.Stateless}
	answer, err := a.execute(t.Context(), h, "tools/call", `{"name":"none","arguments":{}}`, nil)
	if err != nil || answer.Error.Type() != sallyport.Object || answer.Status != http.StatusBadRequest {
		t.Errorf("%v %s %d", err, answer.Error.Raw(), answer.Status)
	}
	a.tool(t, h, "echo", `{"text":"on"}`, nil)
}

// TestBytesSurvive: what no field of an SDK could hold passes unchanged, in both directions.
func TestBytesSurvive(t *testing.T) {
	h, f := newFoe(t, Limits{}, func(w http.ResponseWriter, _ *http.Request, m wire.Message) {
		answerJSON(w, m, `{"content":[], "x" : 9007199254740993 , "e":1.0E+2,"u":"\u00e4\/","_meta":{"k":null}}`)
	})
	const params = `{ "name":"odd","arguments":{"n":9007199254740993,"f":1.50,"s":"\u00e4\/"} , "unknown":[1, 2]}`
	answer, err := agent{revision: wire.Revision20251125, session: "s"}.execute(t.Context(), h, "tools/call", params, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(answer.Result.Raw()), `{"content":[], "x" : 9007199254740993 , "e":1.0E+2,"u":"\u00e4\/","_meta":{"k":null}}`; got != want {
		t.Errorf("result %s", got)
	}
	if got := f.log.last("tools/call").Params; !strings.Contains(got, `"params":`+params+`}`) {
		t.Errorf("params %s", got)
	}
	_, _ = agent{revision: wire.Revision20251125, session: "s"}.execute(t.Context(), h, "tools/call", `{"_meta":{ "progressToken" : "t" , "k":1 },"name":"odd"}`, nil)
	if got := f.log.last("tools/call").Params; !strings.Contains(got, `"k":1 },"name":"odd"}`) || strings.Contains(got, `"t"`) {
		t.Errorf("params with a token %s", got)
	}
	var id int
	_, _ = fmt.Sscanf(f.log.last("tools/call").Params, `{"jsonrpc":"2.0","id":%d`, &id)
	if want := fmt.Sprintf(`{"_meta":{ "progressToken" : %d , `, id); !strings.Contains(f.log.last("tools/call").Params, want) {
		t.Errorf("not %s: %s", want, f.log.last("tools/call").Params)
	}
}
