package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/console/form"
	"sallyport/internal/console/session"
	"sallyport/internal/store"
	"sallyport/proof"
)

// world is a gateway as the console sees it.
type world struct {
	answers  map[string]any // by path, of the gate
	posted   []string       // paths
	found    []store.Found
	opened   []store.Opened
	recorded []string
	at       time.Time
	broken   error  // of the log that changes go to
	gone     bool   // maren has left
	known    []bool // who tried to log in
	grown    chan sallyport.Entry
}

func (w *world) Get(_ context.Context, path string, out any) error {
	asked, _, _ := strings.Cut(path, "?since=") // of a time
	asked, _, _ = strings.Cut(asked, "?to=")    // shown to somebody
	answer, known := w.answers[asked]
	if !known {
		return errors.New("the gate knows nothing of " + path)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, out)
}

func (w *world) Post(ctx context.Context, path string, in, out any) error {
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	w.posted = append(w.posted, path+" "+string(text))
	if _, known := w.answers["POST "+path]; !known {
		return nil
	}
	return w.Get(ctx, "POST "+path, out)
}

func (w *world) Query(context.Context, store.Filter) ([]store.Found, error) { return w.found, nil }
func (w *world) Count(context.Context, store.Filter) (int, error)           { return len(w.found), nil }
func (w *world) Show(context.Context, string) ([]store.Opened, error) {
	if w.opened == nil {
		return nil, fmt.Errorf("%w: no such call", store.ErrNotFound)
	}
	return w.opened, nil
}

func (w *world) Tail(ctx context.Context, _ uint64) iter.Seq2[sallyport.Entry, error] {
	return func(yield func(sallyport.Entry, error) bool) {
		for {
			select {
			case e := <-w.grown:
				if !yield(e, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func (w *world) Size(context.Context) (uint64, error) { return uint64(len(w.found)), nil }
func (w *world) Checkpoint() (proof.Checkpoint, []byte, error) {
	return proof.Checkpoint{Size: 1}, nil, nil
}
func (w *world) Export(context.Context, io.Writer, store.ExportOptions) error { return nil }

func (w *world) Here(who string) bool { return !w.gone && (who == "maren" || who == "operator") }

func (w *world) Login(known bool, who, secret string) error {
	w.known = append(w.known, known)
	if who != "maren" || secret != "right" {
		return errors.New("that is not the enrolled secret")
	}
	return nil
}

func (w *world) Record(_ context.Context, subject, by string, _, _ sallyport.Digest) error {
	w.recorded = append(w.recorded, subject+" by "+by)
	return w.broken
}

// nobody has passkeys.
type nobody struct{}

func (nobody) Forget(context.Context, string) error             { return nil }
func (nobody) Has(context.Context, string, string) (int, error) { return 0, nil }
func (nobody) BeginEnrol(context.Context, string, string) (string, []byte, error) {
	return "", nil, errors.New("none")
}
func (nobody) FinishEnrol(context.Context, string, []byte) error { return errors.New("none") }
func (nobody) BeginShow(context.Context, string, string, sallyport.Digest) (string, []byte, error) {
	return "", nil, errors.New("none")
}
func (nobody) FinishShow(context.Context, string, []byte, sallyport.Digest) (string, error) {
	return "", errors.New("none")
}

func newWorld() *world {
	return &world{at: time.Date(2026, 11, 29, 21, 0, 0, 0, time.UTC), grown: make(chan sallyport.Entry), answers: map[string]any{
		"/human": map[string]bool{"enrolled": true}, "/approvals": []any{}, "/approvals?all": []any{}, "/grants?all": []any{}, "/kills": []any{}, "/servers": []any{},
		"/tools": []any{}, "/agents": []any{}, "/runs": []any{}, "/doctor": map[string]any{}, "/policy": map[string]any{}, "/policy/files": []any{}, "/policy/rules": []any{}, "/spent": []any{},
	}}
}

func open(t *testing.T, w *world, secure bool, hosts ...string) *Console {
	t.Helper()
	c, err := New(Parts{Gate: w, Log: w, Proof: w, People: w, Passkeys: nobody{}, Record: w, Now: func() time.Time { return w.at }, Version: "test"}, hosts, secure)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask sends a request as a page of the console would.
func ask(c *Console, method, path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost:7717"+path, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Origin", "http://localhost:7717")
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// person logs in and gives what a request of the session has on it.
func person(t *testing.T, c *Console) (cookie, key func(*http.Request)) {
	t.Helper()
	w := ask(c, "POST", Path+"login", `{"name":"maren","secret":"right"}`)
	var in loggedIn
	if err := json.Unmarshal(w.Body.Bytes(), &in); err != nil || in.Key == "" || w.Code != http.StatusOK {
		t.Fatalf("HTTP %d %s", w.Code, w.Body)
	}
	return cookieOf(t, w), header(session.KeyHeader, in.Key)
}

func cookieOf(t *testing.T, w *httptest.ResponseRecorder) func(*http.Request) {
	t.Helper()
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies %v", cookies)
	}
	return func(r *http.Request) { r.AddCookie(cookies[0]) }
}

// looking opens a link.
func looking(t *testing.T, c *Console) func(*http.Request) {
	t.Helper()
	return cookieOf(t, ask(c, "GET", c.Link(), ""))
}

// Who may come in at all, before anything is looked at.
func TestAdmission(t *testing.T) {
	c := open(t, newWorld(), false)
	cookie, key := person(t, c)
	for name, one := range map[string]struct {
		change []func(*http.Request)
		status int
	}{
		"the page itself":                {nil, 200},
		"another name for this host":     {[]func(*http.Request){func(r *http.Request) { r.Host = "evil.example" }}, 403},
		"an agent's credential":          {[]func(*http.Request){header("Authorization", "Bearer sp_x")}, 403},
		"another page's request":         {[]func(*http.Request){header("Origin", "http://evil.example")}, 403},
		"another port's request":         {[]func(*http.Request){header("Origin", "http://localhost:3000")}, 403},
		"a page without origin":          {[]func(*http.Request){func(r *http.Request) { r.Header.Del("Origin") }}, 403},
		"two origins":                    {[]func(*http.Request){func(r *http.Request) { r.Header.Add("Origin", "http://localhost:7717") }}, 403},
		"another port, says the browser": {[]func(*http.Request){header("Sec-Fetch-Site", "same-site")}, 403},
		"a form of another page":         {[]func(*http.Request){header("Content-Type", "text/plain")}, 415},
		"without the key":                {[]func(*http.Request){func(r *http.Request) { r.Header.Del(session.KeyHeader) }}, 403},
		"with another key":               {[]func(*http.Request){header(session.KeyHeader, "guess")}, 403},
		"without a session":              {[]func(*http.Request){func(r *http.Request) { r.Header.Del("Cookie") }}, 401},
	} {
		w := ask(c, "POST", Path+"kills", `{"What":"pause","Scope":"all","Typed":"everything"}`, append([]func(*http.Request){cookie, key}, one.change...)...)
		if w.Code != one.status {
			t.Errorf("%s: HTTP %d, want %d: %s", name, w.Code, one.status, w.Body)
		}
	}
	// What another page may not load it can't read by its effects, either.
	for site, status := range map[string]int{"none": 200, "same-origin": 200, "same-site": 403, "cross-site": 403} {
		if w := ask(c, "GET", Path, "", cookie, header("Sec-Fetch-Site", site)); w.Code != status {
			t.Errorf("loaded by %s: HTTP %d", site, w.Code)
		}
	}
	if w := ask(c, "GET", Path, "", cookie, header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Mode", "navigate")); w.Code != 200 {
		t.Errorf("a link on another page: HTTP %d", w.Code)
	}
}

// A page can load nothing but our own files, and no other page can put it in a
// frame.
func TestHeaders(t *testing.T) {
	c := open(t, newWorld(), false)
	for _, path := range []string{Path + "login", Path + "asset/console.js", Path + "nothing"} {
		h := ask(c, "GET", path, "").Header()
		csp := h.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestCookie(t *testing.T) {
	for secure, name := range map[bool]string{false: "sallyport", true: "__Host-sallyport"} {
		c := open(t, newWorld(), secure)
		origin := "http://localhost:7717"
		if secure {
			origin = "https://localhost:7717"
		}
		w := ask(c, "POST", Path+"login", `{"name":"maren","secret":"right"}`, header("Origin", origin))
		for _, cookie := range w.Result().Cookies() {
			if cookie.Name != name || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Secure != secure || (cookie.Path == "/") != secure {
				t.Errorf("%+v", cookie)
			}
			if strings.Contains(w.Body.String(), cookie.Value) {
				t.Error("the script can read what the cookie holds")
			}
		}
	}
}

// A session that began with a link shows everything and does nothing; it ends
// with time, as a person's does.
func TestSessions(t *testing.T) {
	world := newWorld()
	c := open(t, world, false)
	view := looking(t, c)
	if w := ask(c, "GET", Path, "", view); w.Code != 200 {
		t.Errorf("HTTP %d", w.Code)
	}
	for _, path := range []string{"kills", "kills/k_1/resume", "approvals/a_1", "approvals/a_1/narrow", "approvals/a_1/grant", "grants/g_1/revoke", "approvals/a_1/passkey", "approvals/a_1/passkey/shown", "account/passkey",
		"account/passkey/shown", "servers/desk/accept", "policies/accept", "log/verify", "logout"} {
		if w := ask(c, "POST", Path+path, "{}", view, header(session.KeyHeader, "")); w.Code != 403 {
			t.Errorf("a link does %s: HTTP %d", path, w.Code)
		}
	}
	if len(world.posted) > 0 {
		t.Errorf("a link did %v", world.posted)
	}
	// Not even with its key, which no browser is given.
	value, known := c.sessions.Begin("")
	if w := ask(c, "POST", Path+"log/verify", "{}", header("Cookie", c.cookieName()+"="+value), header(session.KeyHeader, known)); w.Code != 403 {
		t.Errorf("nobody in particular acts: HTTP %d", w.Code)
	}
	cookie, key := person(t, c)
	if w := ask(c, "POST", Path+"logout", "{}", cookie, key); w.Code != 200 {
		t.Errorf("HTTP %d %s", w.Code, w.Body)
	}
	if w := ask(c, "GET", Path, "", cookie); w.Code != 303 {
		t.Errorf("after the logout: HTTP %d", w.Code)
	}
	cookie, key = person(t, c)
	for range 11 {
		world.at = world.at.Add(session.Idle - time.Minute)
		if w := ask(c, "GET", Path, "", cookie); w.Code != 200 {
			t.Fatalf("a session in use is over: HTTP %d", w.Code)
		}
	}
	world.at = world.at.Add(session.Idle - time.Minute)
	ask(c, "GET", Path, "", cookie, header(session.ByItself, "1"))
	world.at = world.at.Add(time.Minute)
	if w := ask(c, "POST", Path+"logout", "{}", cookie, key); w.Code != 401 {
		t.Errorf("a page left open kept its session alive: HTTP %d", w.Code)
	}
	cookie, _ = person(t, c)
	for range 13 {
		world.at = world.at.Add(session.Idle - time.Minute)
		ask(c, "GET", Path, "", cookie)
	}
	if w := ask(c, "GET", Path, "", cookie); w.Code != 303 {
		t.Errorf("a session is for ever: HTTP %d", w.Code)
	}
}

func TestLinks(t *testing.T) {
	world := newWorld()
	c := open(t, world, false)
	link := c.Link()
	if w := ask(c, "GET", link, ""); w.Code != 303 || w.Header().Get("Location") != Path {
		t.Errorf("HTTP %d", w.Code)
	}
	if w := ask(c, "GET", link, ""); w.Code != 403 {
		t.Errorf("a link was opened twice: HTTP %d", w.Code)
	}
	link = c.Link()
	world.at = world.at.Add(session.LinkFor)
	if w := ask(c, "GET", link, ""); w.Code != 403 {
		t.Errorf("an old link was opened: HTTP %d", w.Code)
	}
	if w := ask(c, "GET", Path+"open?link=", ""); w.Code != 403 {
		t.Errorf("no link was opened: HTTP %d", w.Code)
	}
	// A person who opens a link stays one.
	cookie, key := person(t, c)
	ask(c, "GET", c.Link(), "", cookie)
	if w := ask(c, "POST", Path+"logout", "{}", cookie, key); w.Code != 200 {
		t.Errorf("a link took a session away: HTTP %d", w.Code)
	}
	world.broken = errors.New("the disk is full")
	if w := ask(c, "GET", c.Link(), ""); w.Code != 422 || len(w.Result().Cookies()) > 0 {
		t.Errorf("opened off the record: HTTP %d", w.Code)
	}
}

func TestLogin(t *testing.T) {
	world := newWorld()
	c := open(t, world, false)
	for body, status := range map[string]int{
		`{"name":"maren","secret":"wrong"}`: 403, `{"name":"curtis","secret":"right"}`: 403, `{"name":"","secret":""}`: 403, `{`: 400,
		`{"name":"maren","secret":"` + strings.Repeat("x", form.MaxBody) + `"}`: 413,
	} {
		if w := ask(c, "POST", Path+"login", body); w.Code != status || len(w.Result().Cookies()) > 0 {
			t.Errorf("%.40s: HTTP %d", body, w.Code)
		}
	}
	if len(world.recorded) != 1 || !strings.HasPrefix(world.recorded[0], "console login refused") { // whichever came first
		t.Errorf("recorded %v", world.recorded)
	}
	for n := range 2 {
		if n > 0 && fmt.Sprint(world.recorded) != "[console login refused as maren by console]" {
			t.Errorf("recorded %v", world.recorded)
		}
		world.recorded, world.at = nil, world.at.Add(time.Second)
		ask(c, "POST", Path+"login", `{"name":"maren","secret":"wrong"}`)
		ask(c, "POST", Path+"login/passkey/shown", `{"id":"x"}`)
	}
	c.sessions.Proving.Lock() // somebody else is at it
	if w := ask(c, "POST", Path+"login", `{"name":"maren","secret":"right"}`); w.Code != 429 {
		t.Errorf("two at once: HTTP %d", w.Code)
	}
	c.sessions.Proving.Unlock()
	world.broken = errors.New("the disk is full")
	if w := ask(c, "POST", Path+"login", `{"name":"maren","secret":"right"}`); w.Code == 200 || len(w.Result().Cookies()) > 0 {
		t.Errorf("logged in off the record: HTTP %d", w.Code)
	}
	for wanted, goes := range map[string]string{
		"/console/log?agent=x": "/console/log?agent=x", "": Path, "https://evil.example/console/": Path, "//evil.example/console/": Path, `/\evil.example`: Path,
		"/mcp": Path, "/console/../mcp": Path, "javascript:alert(1)": Path, `/console/\..\x`: Path,
	} {
		if got := next(wanted); got != goes {
			t.Errorf("after the login %q leads to %q", wanted, got)
		}
	}
}

// A voucher is good for one act of its own person, for a moment.
func TestVoucher(t *testing.T) {
	world := newWorld()
	c := open(t, world, false)
	secret := c.sessions.Vouch("maren")
	if _, ok := c.Vouched("operator", secret); ok {
		t.Error("good for somebody else")
	}
	if _, ok := c.Vouched("maren", secret); ok {
		t.Error("still good after it was tried")
	}
	secret = c.sessions.Vouch("maren")
	if how, ok := c.Vouched("maren", secret); !ok || how != session.BySession {
		t.Error("not good")
	}
	if _, ok := c.Vouched("maren", secret); ok {
		t.Error("good twice")
	}
	secret = c.sessions.Vouch("maren")
	world.at = world.at.Add(session.VouchFor)
	if _, ok := c.Vouched("maren", secret); ok {
		t.Error("good for ever")
	}
	if _, ok := c.Vouched("", ""); ok {
		t.Error("nothing is good")
	}
	one, other := sallyport.DigestOf([]byte("one")), sallyport.DigestOf([]byte("other"))
	for _, class := range []sallyport.Class{sallyport.ClassPair, 0, 9} {
		if _, err := c.Proven("maren", class, one, c.sessions.Vouch("maren")); err == nil {
			t.Errorf("class %d without a passkey", class)
		}
		if _, err := c.Proven("maren", class, sallyport.Digest{}, c.sessions.Vouch("maren")); err == nil {
			t.Errorf("class %d of nothing without a passkey", class)
		}
		if _, err := c.Proven("maren", class, one, c.sessions.VouchSigned("maren", other)); err == nil {
			t.Errorf("class %d with a passkey that has signed something else", class)
		}
		if how, err := c.Proven("maren", class, one, c.sessions.VouchSigned("maren", one)); err != nil || how != session.ByPasskey {
			t.Errorf("class %d: %s %v", class, how, err)
		}
	}
	if how, err := c.Proven("maren", sallyport.ClassTap, one, c.sessions.Vouch("maren")); err != nil || how != session.BySession {
		t.Errorf("%s %v", how, err)
	}
	if _, err := c.Proven("maren", sallyport.ClassTap, one, "made up"); err == nil {
		t.Error("a made-up voucher")
	}
}

// A kill needs its own name, and the person is on the record once it is in force.
func TestKillIsTyped(t *testing.T) {
	world := newWorld()
	c := open(t, world, false)
	cookie, key := person(t, c)
	for body, status := range map[string]int{
		`{"What":"kill","Scope":"agent bot","Typed":"agent bo"}`: 422, `{"What":"kill","Scope":"agent bot","Typed":""}`: 422,
		`{"What":"drain","Scope":"agent bot","Typed":"agent bot"}`: 400, `{"What":"kill","Scope":"all","Typed":"all"}`: 422,
	} {
		if w := ask(c, "POST", Path+"kills", body, cookie, key); w.Code != status || len(world.posted) > 0 {
			t.Errorf("%s: HTTP %d, %v", body, w.Code, world.posted)
		}
	}
	world.answers["POST /kills"] = map[string]string{"id": "k_1"}
	if w := ask(c, "POST", Path+"kills", `{"What":"kill","Scope":"agent bot","Typed":"agent bot","Reason":"x"}`, cookie, key); w.Code != 200 {
		t.Errorf("HTTP %d %s", w.Code, w.Body)
	}
	if got := fmt.Sprint(world.posted); got != `[/kills {"pause":false,"scope":{"kind":"agent","name":"bot"},"reason":"x"}]` {
		t.Error(got)
	}
	if got := world.recorded[len(world.recorded)-1]; got != "console kill k_1 by maren" {
		t.Error(got)
	}
}

func quote(text string) string { return string(sallyport.AppendString(nil, text)) }

func jsonOf(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}

func urlOf(text string) string { return url.PathEscape(text) }

// One handler answers a person and a program, at the same address.
func TestJSON(t *testing.T) {
	w := newWorld()
	w.found = []store.Found{{Entry: sallyport.Entry{Type: sallyport.Refusal, Time: w.at, Call: "c_1", Action: "desk/tool:pay"}}}
	c := open(t, w, false)
	cookie, _ := person(t, c)
	for _, answer := range []*httptest.ResponseRecorder{
		ask(c, "GET", Path+"log.json", "", cookie), ask(c, "GET", Path+"log", "", cookie, header("Accept", "application/json")),
	} {
		var data struct {
			Entries []struct{ Call, Decision string }
		}
		decode(t, answer.Body.String(), &data)
		if len(data.Entries) != 1 || data.Entries[0].Call != "c_1" || data.Entries[0].Decision != "refused" || answer.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%+v %v", data, answer.Header())
		}
	}
	if page := ask(c, "GET", Path+"log", "", cookie).Body.String(); !strings.Contains(page, "desk/tool:pay") {
		t.Error("the page shows something else")
	}
	for path, status := range map[string]int{"log.json": 401, "nothing.json": 404} {
		if answer := ask(c, "GET", Path+path, ""); answer.Code != status || answer.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: HTTP %d", path, answer.Code)
		}
	}
}
