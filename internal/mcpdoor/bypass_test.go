package mcpdoor

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
)

// Everything here tries to get past the decision. Whatever the door answers,
// the server must have seen no call, or exactly the one that was decided.
func TestBypassSessionEra(t *testing.T) {
	w := serve(t, Options{})
	const call = `"jsonrpc":"2.0","id":1,"method":"tools/call"`
	for name, c := range map[string]struct{ path, body, saw string }{
		"batch":                           {"/mcp/desk", `[{` + call + `,"params":{"name":"refund","arguments":{"amount":500}}}]`, ""},
		"batch of one allowed":            {"/mcp/desk", `[{` + call + `,"params":{"name":"echo"}}]`, ""},
		"empty batch":                     {"/mcp/desk", `[]`, ""},
		"method twice":                    {"/mcp/desk", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"name":"refund","arguments":{"amount":500}},"method":"tools/call"}`, ""},
		"name twice":                      {"/mcp/desk", `{` + call + `,"params":{"name":"echo","name":"refund"}}`, ""},
		"name twice, escaped":             {"/mcp/desk", `{` + call + `,"params":{"name":"echo","n\u0061me":"refund"}}`, ""},
		"argument twice":                  {"/mcp/desk", `{` + call + `,"params":{"name":"refund","arguments":{"amount":1,"amount":500}}}`, ""},
		"params twice":                    {"/mcp/desk", `{` + call + `,"params":{"name":"echo"},"params":{"name":"refund","arguments":{"amount":500}}}`, ""},
		"two messages":                    {"/mcp/desk", `{"jsonrpc":"2.0","id":2,"method":"ping"}{` + call + `,"params":{"name":"refund","arguments":{"amount":500}}}`, ""},
		"case of the tool":                {"/mcp/desk", `{` + call + `,"params":{"name":"ECHO"}}`, ""},
		"Cyrillic e":                      {"/mcp/desk", `{` + call + `,"params":{"name":"еcho"}}`, ""},
		"full-width":                      {"/mcp/desk", `{` + call + `,"params":{"name":"ｅcho"}}`, ""},
		"zero width":                      {"/mcp/desk", `{` + call + `,"params":{"name":"ec\u200bho"}}`, ""},
		"combining":                       {"/mcp/desk", `{` + call + `,"params":{"name":"e\u0301cho"}}`, ""},
		"space":                           {"/mcp/desk", `{` + call + `,"params":{"name":"echo "}}`, ""},
		"NUL":                             {"/mcp/desk", `{` + call + `,"params":{"name":"echo\u0000"}}`, ""},
		"escaped name is the same name":   {"/mcp/desk", `{` + call + `,"params":{"name":"\u0065cho"}}`, "desk tools/call echo"},
		"case of the method":              {"/mcp/desk", `{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"echo"}}`, ""},
		"space in the method":             {"/mcp/desk", `{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"echo"}}`, ""},
		"unknown method":                  {"/mcp/desk", `{"jsonrpc":"2.0","id":1,"method":"tools/execute","params":{"name":"echo"}}`, ""},
		"prototype as method":             {"/mcp/desk", `{"jsonrpc":"2.0","id":1,"method":"__proto__","params":{"name":"echo"}}`, ""},
		"a call as notification":          {"/mcp/desk", `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}`, ""},
		"unsubscribing without an id":     {"/mcp/desk", `{"jsonrpc":"2.0","method":"resources/unsubscribe","params":{"uri":"desk://a"}}`, ""},
		"a call with a null id":           {"/mcp/desk", `{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"echo"}}`, ""},
		"a call with an array as id":      {"/mcp/desk", `{"jsonrpc":"2.0","id":[1],"method":"tools/call","params":{"name":"echo"}}`, ""},
		"a call with a fraction as id":    {"/mcp/desk", `{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"name":"echo"}}`, ""},
		"a call that is also an answer":   {"/mcp/desk", `{` + call + `,"params":{"name":"echo"},"result":{}}`, ""},
		"notification in notification":    {"/mcp/desk", `{"jsonrpc":"2.0","method":"notifications/message","params":{"method":"tools/call","params":{"name":"echo"}}}`, ""},
		"notification with an id":         {"/mcp/desk", `{"jsonrpc":"2.0","id":1,"method":"notifications/roots/list_changed"}`, ""},
		"a server's request":              {"/mcp/desk", `{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}`, ""},
		"an answer nobody asked for":      {"/mcp/desk", `{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}`, ""},
		"other version":                   {"/mcp/desk", `{"jsonrpc":"1.0","id":1,"method":"tools/call","params":{"name":"echo"}}`, ""},
		"params as array":                 {"/mcp/desk", `{` + call + `,"params":["echo"]}`, ""},
		"undeclared argument":             {"/mcp/desk", `{` + call + `,"params":{"name":"echo","arguments":{"text":"x","bcc":"eve"}}}`, ""},
		"arguments as text":               {"/mcp/desk", `{` + call + `,"params":{"name":"refund","arguments":"{\"amount\":500}"}}`, ""},
		"amount as text":                  {"/mcp/desk", `{` + call + `,"params":{"name":"refund","arguments":{"amount":"500"}}}`, ""},
		"amount beyond integers":          {"/mcp/desk", `{` + call + `,"params":{"name":"refund","arguments":{"amount":99999999999999999999}}}`, ""},
		"amount with an exponent":         {"/mcp/desk", `{` + call + `,"params":{"name":"refund","arguments":{"amount":5e2}}}`, ""},
		"name in _meta":                   {"/mcp/desk", `{` + call + `,"params":{"_meta":{"name":"refund"},"name":"echo"}}`, "desk tools/call echo"},
		"principal in _meta":              {"/mcp/desk", `{` + call + `,"params":{"_meta":{"agent":"root","user":"root"},"name":"refund","arguments":{"amount":500}}}`, ""},
		"arguments beside params":         {"/mcp/desk", `{` + call + `,"arguments":{"amount":500},"params":{"name":"refund","arguments":{"amount":1}}}`, `desk tools/call refund {"amount":1}`},
		"a tool as prompt":                {"/mcp/desk", `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"echo"}}`, ""},
		"no name":                         {"/mcp/desk", `{` + call + `,"params":{}}`, ""},
		"name as object":                  {"/mcp/desk", `{` + call + `,"params":{"name":{"name":"echo"}}}`, ""},
		"invalid UTF-8":                   {"/mcp/desk", "{" + call + ",\"params\":{\"name\":\"echo\",\"arguments\":{\"text\":\"\xff\"}}}", ""},
		"lone surrogate":                  {"/mcp/desk", `{` + call + `,"params":{"name":"echo","arguments":{"text":"\ud800"}}}`, ""},
		"deep":                            {"/mcp/desk", `{` + call + `,"params":{"name":"echo","arguments":{"text":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}}}`, ""},
		"the aggregate's name for one":    {"/mcp/desk", `{` + call + `,"params":{"name":"desk__echo"}}`, ""},
		"another server's tool":           {"/mcp/desk", `{` + call + `,"params":{"name":"cloud__echo"}}`, "desk tools/call cloud__echo"},
		"no server":                       {"/mcp", `{` + call + `,"params":{"name":"echo"}}`, ""},
		"unknown server":                  {"/mcp", `{` + call + `,"params":{"name":"vault__echo"}}`, ""},
		"empty server":                    {"/mcp", `{` + call + `,"params":{"name":"__echo"}}`, ""},
		"three underscores":               {"/mcp", `{` + call + `,"params":{"name":"desk___echo"}}`, ""},
		"case of the server":              {"/mcp", `{` + call + `,"params":{"name":"Desk__echo"}}`, ""},
		"path in the server":              {"/mcp", `{` + call + `,"params":{"name":"desk/../cloud__echo"}}`, ""},
		"own URI on the aggregate":        {"/mcp", `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"desk://a"}}`, ""},
		"URI of an unknown server":        {"/mcp", `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"sallyport:vault/x"}}`, ""},
		"scheme in capitals":              {"/mcp", `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"SALLYPORT:desk/desk://a"}}`, ""},
		"dots in a URI stay what is sent": {"/mcp", `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"sallyport:desk/../cloud/x"}}`, `desk resources/read ../cloud/x {"uri":"../cloud/x"}`},
		"another's task":                  {"/mcp/desk", `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t__1"}}`, ""},
		"the other era's listen":          {"/mcp/desk", `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true}}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.connect(c.path, anaToken, `{}`)
			w.seen()
			g := a.post(c.body)
			want(t, "the server saw", w.seen(), c.saw)
			if c.saw == "" && !strings.Contains(g.body, `"error"`) && !strings.Contains(g.body, `"isError":true`) &&
				!(g.status == http.StatusAccepted && strings.Contains(c.body, `"method":"notifications/`)) {
				t.Errorf("not refused: %d %s", g.status, g.body)
			}
			if g := a.rpc("2", "ping", `{}`); g.status != 200 {
				t.Errorf("the session did not survive: %+v", g)
			}
		})
	}
}

// In the stateless era headers repeat the body, and must not say anything else.
func TestBypassStatelessEra(t *testing.T) {
	w := serve(t, Options{})
	a := w.modern("/mcp/desk", anaToken, `{}`)
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	echo := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo",` + meta + `}}`
	for name, c := range map[string]struct {
		headers map[string]string
		body    string
		code    string
		saw     string
	}{
		"all as it should be":     {nil, echo, "", "desk tools/call echo"},
		"another tool in header":  {map[string]string{"Mcp-Name": "refund"}, echo, "-32020", ""},
		"case of the name":        {map[string]string{"Mcp-Name": "ECHO"}, echo, "-32020", ""},
		"encoded name":            {map[string]string{"Mcp-Name": "=?base64?ZWNobw==?="}, echo, "", "desk tools/call echo"},
		"badly encoded name":      {map[string]string{"Mcp-Name": "=?base64?ZWNobw?="}, echo, "-32020", ""},
		"no name":                 {map[string]string{"Mcp-Name": ""}, echo, "-32020", ""},
		"no method":               {map[string]string{"Mcp-Method": ""}, echo, "-32020", ""},
		"another method":          {map[string]string{"Mcp-Method": "tools/list"}, echo, "-32020", ""},
		"case of the method":      {map[string]string{"Mcp-Method": "Tools/Call"}, echo, "-32020", ""},
		"spaces around":           {map[string]string{"Mcp-Method": "  tools/call\t"}, echo, "", "desk tools/call echo"},
		"no revision in header":   {map[string]string{"Mcp-Protocol-Version": ""}, echo, "-32020", ""},
		"another revision":        {map[string]string{"Mcp-Protocol-Version": "2025-11-25"}, echo, "-32020", ""},
		"unknown revision":        {map[string]string{"Mcp-Protocol-Version": "v999"}, strings.ReplaceAll(echo, "2026-07-28", "v999"), "-32022", ""},
		"old revision as claim":   {map[string]string{"Mcp-Protocol-Version": "2025-11-25"}, strings.ReplaceAll(echo, "2026-07-28", "2025-11-25"), "-32022", ""},
		"no claim in the body":    {nil, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}`, "-32602", ""},
		"claim as a number":       {nil, strings.ReplaceAll(echo, `"2026-07-28"`, "20260728"), "-32602", ""},
		"no capabilities":         {nil, strings.ReplaceAll(echo, `"io.modelcontextprotocol/clientCapabilities":{}`, `"x":{}`), "-32602", ""},
		"initialize with header":  {map[string]string{"Mcp-Method": "initialize", "Mcp-Name": ""}, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`, "-32020", ""},
		"name where none belongs": {map[string]string{"Mcp-Method": "tools/list", "Mcp-Name": "echo"}, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + meta + `}}`, "-32020", ""},
		"a call without an id":    {nil, `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo",` + meta + `}}`, "-32600", ""},
		"an answer":               {nil, `{"jsonrpc":"2.0","id":1,"result":{}}`, "-32600", ""},
		"batch":                   {nil, `[` + echo + `]`, "-32600", ""},
		"a session's method":      {map[string]string{"Mcp-Method": "logging/setLevel", "Mcp-Name": ""}, `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"debug",` + meta + `}}`, "-32601", ""},
		"tasks unannounced":       {map[string]string{"Mcp-Method": "tasks/get", "Mcp-Name": "t__1"}, `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t__1",` + meta + `}}`, `-32021,"message":"tasks/get needs the extension io.modelcontextprotocol/tasks","data":{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`, ""},
		"an open task of nobody":  {map[string]string{"Mcp-Method": "tasks/get", "Mcp-Name": "t__1"}, `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t__1",` + strings.Replace(meta, `lities":{}`, `lities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}`, 1) + `}}`, "-32602", ""},
		"another's task name":     {map[string]string{"Mcp-Method": "tasks/get", "Mcp-Name": "t__2"}, `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t__1",` + meta + `}}`, "-32020", ""},
		"a session beside":        {map[string]string{"Mcp-Session-Id": "x"}, echo, "", "desk tools/call echo"},
		"region missing":          {map[string]string{"Mcp-Name": "region"}, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"region","arguments":{"where":"eu"},` + meta + `}}`, "-32020", ""},
		"region differs":          {map[string]string{"Mcp-Name": "region", "Mcp-Param-Region": "us"}, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"region","arguments":{"where":"eu"},` + meta + `}}`, "-32020", ""},
		"region equal":            {map[string]string{"Mcp-Name": "region", "Mcp-Param-Region": "eu"}, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"region","arguments":{"where":"eu"},` + meta + `}}`, "", `desk tools/call region {"where":"eu"}`},
		"region without argument": {map[string]string{"Mcp-Name": "region", "Mcp-Param-Region": "eu"}, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"region","arguments":{},` + meta + `}}`, "-32020", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := a.request(t.Context(), http.MethodPost, c.body)
			r.Header.Set("Mcp-Method", "tools/call")
			r.Header.Set("Mcp-Name", "echo")
			for name, value := range c.headers {
				if value == "" {
					r.Header.Del(name)
				} else {
					r.Header.Set(name, value)
				}
			}
			w.seen()
			g := a.do(r)
			want(t, "the server saw", w.seen(), c.saw)
			if (c.code == "") != (g.status == 200) || !strings.Contains(g.body, c.code) {
				t.Errorf("got %d %s, want %s", g.status, g.body, c.code)
			}
			if code := g.value(t).Get("error").Get("code"); c.code != "" && g.status < 400 || c.code == "-32601" && g.status != 404 {
				t.Errorf("HTTP %d for %s", g.status, code.Raw())
			}
		})
	}
	twice := a.request(t.Context(), http.MethodPost, echo)
	twice.Header["Mcp-Method"] = []string{"tools/call"}
	twice.Header["Mcp-Name"] = []string{"echo", "refund"}
	if g := a.do(twice); !strings.Contains(g.body, "-32020") {
		t.Errorf("a header sent twice: %+v", g)
	}
	want(t, "the server saw", w.seen(), "")
}

func TestSessionsAreBoundToTheirOwner(t *testing.T) {
	w := serve(t, Options{})
	a := w.connect("/mcp/desk", anaToken, `{}`)
	for name, b := range map[string]*agent{
		"another agent":  {w: w, path: "/mcp/desk", token: bobToken, session: a.session},
		"another run":    {w: w, path: "/mcp/desk", token: anaRunToken, session: a.session},
		"another path":   {w: w, path: "/mcp", token: anaToken, session: a.session},
		"another server": {w: w, path: "/mcp/cloud", token: anaToken, session: a.session},
		"a guess":        {w: w, path: "/mcp/desk", token: anaToken, session: a.session[1:]},
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			if g := b.do(b.request(t.Context(), method, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}`)); g.status != 404 {
				t.Errorf("%s, %s: %+v", name, method, g)
			}
		}
	}
	none := &agent{w: w, path: "/mcp/desk", token: anaToken}
	if g := none.rpc("1", "tools/call", `{"name":"echo"}`); g.status != 400 {
		t.Errorf("no session: %+v", g)
	}
	for _, token := range []string{"", "nonsense", anaToken + "x"} {
		b := &agent{w: w, path: "/mcp/desk", token: token, session: a.session}
		g := b.rpc("1", "tools/call", `{"name":"echo"}`)
		if g.status != 401 || !strings.HasPrefix(g.header.Get("WWW-Authenticate"), "Bearer") || !strings.Contains(g.body, "no token, no call") {
			t.Errorf("token %q: %+v", token, g)
		}
	}
	twice := a.request(t.Context(), http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	twice.Header["Authorization"] = []string{"Bearer " + anaToken, "Bearer " + bobToken}
	if g := a.do(twice); g.status != 401 {
		t.Errorf("two tokens: %+v", g)
	}
	want(t, "the server saw", w.seen(), "")
	if g := a.rpc("1", "ping", `{}`); g.status != 200 {
		t.Errorf("the owner: %+v", g)
	}
}

func TestListenerIsTheAgent(t *testing.T) {
	w := serve(t, Options{Agent: "bob"})
	a := w.connect("/mcp/desk", "", `{}`)
	a.token = anaToken // which says nothing here
	if g := a.rpc("1", "tools/call", `{"name":"echo"}`); g.status != 200 {
		t.Errorf("%+v", g)
	}
}

func TestHostAndOrigin(t *testing.T) {
	w := serve(t, Options{Hosts: []string{"gate.example"}, Origins: []string{"https://console.example"}})
	own := strings.TrimPrefix(w.url, "http://")
	for _, c := range []struct {
		host, origin string
		ok           bool
	}{
		{"", "", true}, {"localhost:7717", "", true}, {"LOCALHOST", "", false}, {"127.0.0.2:1", "", true}, {"[::1]:80", "", true}, {"gate.example:443", "", true}, {"gate.example", "", true},
		{"evil.example", "", false}, {"evil.example:7717", "", false}, {"127.0.0.1.evil.example", "", false}, {"localhost.evil.example", "", false}, {"gate.example.evil.example", "", false},
		{"0.0.0.0", "", false}, {"10.1.2.3", "", false},
		{"", "http://" + own, true}, {"", "http://localhost:3000", true}, {"", "https://console.example", true}, {"", "http://[::1]:1", true},
		{"", "http://evil.example", false}, {"", "null", false}, {"", "file://", false}, {"", "http://localhost.evil.example", false}, {"", "http://console.example", false}, {"", "https://console.example.evil.example", false},
		{"evil.example", "http://evil.example", false},
	} {
		a := &agent{w: w, path: "/mcp", token: anaToken}
		r := a.request(t.Context(), http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`)
		if c.host != "" {
			r.Host = c.host
		}
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		g := a.do(r)
		if ok := g.status == 200; ok != c.ok || !ok && g.status != 403 {
			t.Errorf("Host %q, Origin %q: HTTP %d", c.host, c.origin, g.status)
		}
		if allowed := g.header.Get("Access-Control-Allow-Origin"); allowed != "" && (allowed != c.origin || !c.ok) {
			t.Errorf("Origin %q may read: %q", c.origin, allowed)
		}
	}
}

func TestTransportRules(t *testing.T) {
	w := serve(t, Options{Body: 1 << 10})
	a := w.connect("/mcp/desk", anaToken, `{}`)
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	for name, c := range map[string]struct {
		method, path, body string
		headers            map[string]string
		status             int
	}{
		"as it should be":    {"POST", "", ping, nil, 200},
		"other content type": {"POST", "", ping, map[string]string{"Content-Type": "text/plain"}, 415},
		"no content type":    {"POST", "", ping, map[string]string{"Content-Type": ""}, 415},
		"with a charset":     {"POST", "", ping, map[string]string{"Content-Type": "Application/JSON; charset=utf-8"}, 200},
		"compressed":         {"POST", "", ping, map[string]string{"Content-Encoding": "gzip"}, 415},
		"accepts HTML":       {"POST", "", ping, map[string]string{"Accept": "text/html"}, 406},
		"accepts anything":   {"POST", "", ping, map[string]string{"Accept": "*/*;q=0.1"}, 200},
		"GET of JSON":        {"GET", "", "", map[string]string{"Accept": "application/json"}, 406},
		"PUT":                {"PUT", "", ping, nil, 405},
		"empty body":         {"POST", "", "", nil, 400},
		"unknown revision":   {"POST", "", ping, map[string]string{"Mcp-Protocol-Version": "1999-01-01"}, 400},
		"unknown server":     {"POST", "/mcp/vault", ping, nil, 404},
		"below a server":     {"POST", "/mcp/desk/x", ping, nil, 404},
		"dots in the path":   {"POST", "/mcp/../mcp/desk", ping, nil, 404},
		"empty server":       {"POST", "/mcp/", ping, nil, 404},
		"case of the path":   {"POST", "/MCP/desk", ping, nil, 404},
		"beside":             {"POST", "/mcpx", ping, nil, 404},
		"too long":           {"POST", "", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"` + strings.Repeat("x", 1<<10) + `"}}`, nil, 413},
		"bad event id":       {"GET", "", "", map[string]string{"Last-Event-Id": "x"}, 400},
		"unknown stream":     {"GET", "", "", map[string]string{"Last-Event-Id": "9-1"}, 400},
	} {
		b := *a
		if c.path != "" {
			b.path = c.path
		}
		b.headers = c.headers
		g := b.do(b.request(t.Context(), c.method, c.body))
		if g.status != c.status {
			t.Errorf("%s: HTTP %d %s, want %d", name, g.status, g.body, c.status)
		}
		if g.status >= 400 && !strings.Contains(g.body, `{"jsonrpc":"2.0","id":`) {
			t.Errorf("%s: no JSON-RPC error: %s", name, g.body)
		}
	}
	preflight := a.request(t.Context(), http.MethodOptions, "")
	preflight.Header.Del("Authorization")
	if g := a.do(preflight); g.status != 204 {
		t.Errorf("preflight: %+v", g)
	}
}

// A body that is too long does not cost the connection.
func TestTooLongBodyKeepsTheConnection(t *testing.T) {
	w := serve(t, Options{Body: 1 << 20})
	connections := 0
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	a := &agent{w: w, path: "/mcp", token: anaToken}
	for _, size := range []int{1, 3 << 19, 1, 2 << 20} {
		trace := a.request(t.Context(), http.MethodPost, `{"x":"`+strings.Repeat("x", size)+`"}`)
		trace = trace.WithContext(traced(trace.Context(), &connections))
		response, err := client.Do(trace)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	if connections != 1 {
		t.Errorf("%d connections", connections)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	w := newWorld(t, Options{Sessions: 4})
	begin := func(agent string) *session {
		s := &session{owner: owner{agent: agent}}
		if err := w.door.begin(s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // so that one is older
		return s
	}
	quiet := begin("quiet")
	first, second := begin("greedy"), begin("greedy")
	_, done, err := first.calls.Begin(t.Context(), sallyport.MustParse("1"))
	if err != nil {
		t.Fatal(err)
	}
	begin("greedy")
	begin("greedy") // the fifth: the greedy one's longest idle gives way
	find := func(s *session) bool { return w.door.find(s.id, s.owner, s.run, "") != nil }
	if !find(quiet) || !find(first) || find(second) {
		t.Errorf("quiet %v, busy %v, idle %v", find(quiet), find(first), find(second))
	}
	done()
	if len(w.left) != 1 || w.left[0] != second.id {
		t.Errorf("left: %v", w.left)
	}
	ctx, _, _ := first.calls.Begin(t.Context(), sallyport.MustParse("2"))
	w.door.Close()
	if ctx.Err() == nil || find(quiet) || len(w.left) != 5 {
		t.Errorf("after Close: %v, left %d", ctx.Err(), len(w.left))
	}
	if err := w.door.begin(&session{}); err == nil {
		t.Error("a session began after Close")
	}
}

// What an agent says of itself is kept with its session, so it is short.
func TestIntroductionsAreBounded(t *testing.T) {
	w := serve(t, Options{})
	a := &agent{w: w, path: "/mcp/desk", token: anaToken}
	for length, ok := range map[int]bool{maxHello / 2: true, maxHello: false} {
		g := a.rpc("1", "initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"`+strings.Repeat("x", length)+`","version":"1"}}`)
		if got := g.header.Get("Mcp-Session-Id") != ""; got != ok || !ok && !strings.Contains(g.body, "too much to say") {
			t.Errorf("%d bytes: %.200s", length, g.body)
		}
	}
}

func TestSessionsExpire(t *testing.T) {
	w := serve(t, Options{Idle: 40 * time.Millisecond})
	a := w.connect("/mcp/desk", anaToken, `{}`)
	b := w.connect("/mcp/desk", anaToken, elicits)
	_, leave, _ := b.open(b.request(t.Context(), http.MethodGet, "")) // who listens is not idle
	defer leave()
	w.until(func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.left) == 1 && w.left[0] == a.session })
	if g := a.rpc("1", "ping", `{}`); g.status != 404 {
		t.Errorf("an expired session: %+v", g)
	}
	time.Sleep(80 * time.Millisecond)
	if g := b.rpc("1", "ping", `{}`); g.status != 200 {
		t.Errorf("a session with an open stream: %+v", g)
	}
}

func FuzzHTTP(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`, `[]`, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"desk__echo","arguments":{"text":"x"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"sallyport:desk/x"}}`, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`,
		`{"jsonrpc":"2.0","id":1,"result":{}}`, `{"jsonrpc":"2.0","id":"x","method":"tasks/get","params":{"taskId":"desk__1"}}`, "\xff",
	} {
		f.Add(seed, "2026-07-28", "tools/call", "desk__echo")
		f.Add(seed, "", "", "")
	}
	w := newWorld(f, Options{})
	w.execute = func(ctx context.Context, ticket *gateway.Ticket, client gateway.Client) (gateway.Answer, error) {
		_ = client.Tell(ctx, message("notifications/message", `{"level":"info"}`))
		return answer(`{"content":[{"type":"resource_link","uri":"x"}]}`)
	}
	f.Fuzz(func(t *testing.T, body, revision, method, name string) {
		for _, path := range []string{"/mcp", "/mcp/desk"} {
			session := &session{owner: owner{"acme", "ana", "ana"}, server: strings.TrimPrefix(strings.TrimPrefix(path, "/mcp"), "/"), revision: "2025-11-25"}
			if err := w.door.begin(session); err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost"+path, strings.NewReader(body))
			r.Header["Content-Type"], r.Header["Authorization"] = []string{"application/json"}, []string{"Bearer " + anaToken}
			r.Header["Mcp-Session-Id"] = []string{session.id}
			for header, value := range map[string]string{"Mcp-Protocol-Version": revision, "Mcp-Method": method, "Mcp-Name": name} {
				if value != "" {
					r.Header[header] = []string{value}
				}
			}
			out := httptest.NewRecorder()
			w.door.ServeHTTP(out, r)
			if out.Code == http.StatusAccepted || out.Header().Get("Content-Type") == "text/event-stream" {
				w.door.sessions.Remove(session.id)
				continue
			}
			if _, err := sallyport.Parse(out.Body.Bytes()); err != nil {
				t.Errorf("HTTP %d with %q: %v", out.Code, out.Body, err)
			}
			w.door.sessions.Remove(session.id)
		}
	})
}
