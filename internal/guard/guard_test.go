package guard

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestHost(t *testing.T) {
	for host, ok := range map[string]bool{
		"localhost": true, "localhost:7717": true, "127.0.0.1": true, "127.9.9.9:1": true, "[::1]:80": true, "[::1]": true, "::1": true,
		"gate.example": true, "gate.example:443": true, "192.0.2.7:7717": true, "[::ffff:127.0.0.1]": true,
		"": false, "LOCALHOST": false, "localhost.": false, "localhost.evil.example": false, "evil.example": false, "192.0.2.8": false,
		"0.0.0.0": false, "127.1": false, "0x7f.1": false, "2130706433": false, "gate.example.": false,
	} {
		r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
		r.Host = host
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 7717})))
		if got := Host(r, []string{"gate.example"}); got != ok {
			t.Errorf("%q: %v", host, got)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	r.Host = "192.0.2.7" // the address that was connected to is unknown
	if Host(r, nil) {
		t.Error("admitted without knowing where the connection came to")
	}
}

func TestOrigin(t *testing.T) {
	for origin, ok := range map[string]bool{
		"http://localhost": true, "https://127.0.0.1:3000": true, "http://[::1]:1": true, "https://console.example": true,
		"null": false, "": false, "file://": false, "http://evil.example": false, "https://console.example.evil.example": false,
		"http://localhost.evil.example": false, "http://localhost@evil.example": false, "ftp://localhost": false, "localhost": false,
	} {
		r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
		r.Header["Origin"] = []string{origin}
		from, got := Origin(r, []string{"https://console.example"})
		if got != ok || from != origin {
			t.Errorf("%q: %q %v", origin, from, got)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	if from, ok := Origin(r, nil); !ok || from != "" {
		t.Error("who is no web page sends no Origin")
	}
	r.Header["Origin"] = []string{"http://localhost", "http://evil.example"}
	if _, ok := Origin(r, nil); ok {
		t.Error("two origins")
	}
}

func TestBearer(t *testing.T) {
	for value, token := range map[string]string{"Bearer x": "x", "bearer  x ": "x", "Basic x": "", "Bearer": "", "Bearer ": "", "x": "", "": ""} {
		r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
		r.Header["Authorization"] = []string{value}
		if got := Bearer(r); got != token {
			t.Errorf("%q: %q", value, got)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	r.Header["Authorization"] = []string{"Bearer a", "Bearer b"}
	if Bearer(r) != "" {
		t.Error("two tokens: which one?")
	}
}

func TestIsJSON(t *testing.T) {
	for value, ok := range map[string]bool{
		"application/json": true, "Application/JSON": true, "application/json; charset=utf-8": true, `application/json;charset="UTF-8"`: true, "application/json; v=1": true,
		"": false, "text/plain": false, "application/json; charset=utf-16le": false, "application/json; charset=utf-7": false, "application/json; charset": false,
		"application/json, text/plain": false, `multipart/form-data; boundary="application/json"`: false, "application/jsonp": false, "application/json; charset=utf-8; charset=utf-7": false,
	} {
		r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
		r.Header["Content-Type"] = []string{value}
		if got := IsJSON(r); got != ok {
			t.Errorf("%q: %v", value, got)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	if IsJSON(r) {
		t.Error("no content type")
	}
	r.Header["Content-Type"] = []string{"application/json", "text/plain"}
	if IsJSON(r) {
		t.Error("two content types")
	}
}

func TestBody(t *testing.T) {
	for _, c := range []struct {
		length, announced int
		ok                bool
	}{{0, 0, true}, {10, 10, true}, {10, -1, true}, {11, 11, false}, {11, -1, false}, {1000, -1, false}, {5, 10, false}} {
		r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(strings.Repeat("x", c.length)))
		r.ContentLength = int64(c.announced)
		w := httptest.NewRecorder()
		text, status, err := Body(w, r, 10)
		if (err == nil) != c.ok || c.ok && len(text) != c.length || !c.ok && status < 400 {
			t.Errorf("%+v: %d bytes, HTTP %d, %v", c, len(text), status, err)
		}
		if long := c.length > 10; long != errors.Is(err, ErrTooLong) || (w.Header().Get("Connection") == "close") != (c.length > 20) {
			t.Errorf("%+v: %v, %v", c, err, w.Header())
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader("x"))
	r.Header.Set("Content-Encoding", "gzip")
	if _, status, _ := Body(httptest.NewRecorder(), r, 10); status != http.StatusUnsupportedMediaType {
		t.Errorf("compressed: %d", status)
	}
}

// deadlines remembers what it is told.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

// A body has its time, and the call after it is not cut off by that.
func TestBodyHasItsTime(t *testing.T) {
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	if _, _, err := Body(w, httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader("x")), 10); err != nil {
		t.Fatal(err)
	}
	if len(w.set) != 2 || w.set[0].IsZero() || time.Until(w.set[0]) > time.Minute || !w.set[1].IsZero() {
		t.Errorf("deadlines %v", w.set)
	}
}

// Who has its share of large messages waits; others and small ones do not.
func TestRoom(t *testing.T) {
	const limit = 1 << 20
	var m Room
	now, cancel := context.WithCancel(t.Context())
	cancel() // nobody waits with this one
	for range shareOf {
		if err := m.enter(now, "greedy", limit, limit); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.enter(now, "greedy", small+1, limit); !errors.Is(err, ErrNoRoom) {
		t.Errorf("more than a share: %v", err)
	}
	if err := m.enter(now, "greedy", small, limit); err != nil {
		t.Errorf("a small message: %v", err)
	}
	if err := m.enter(now, "quiet", limit, limit); err != nil {
		t.Errorf("another owner: %v", err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- m.enter(t.Context(), "greedy", limit, limit) }()
	m.leave("greedy", small)
	m.leave("greedy", limit)
	if err := <-waiting; err != nil {
		t.Errorf("after room was given back: %v", err)
	}
	for owner := range roomOf - shareOf - 1 {
		if err := m.enter(now, owner, limit, limit); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.enter(now, "late", limit, limit); !errors.Is(err, ErrNoRoom) {
		t.Errorf("more than the room: %v", err)
	}
	m.leave("quiet", limit)
	for range shareOf {
		m.leave("greedy", limit)
	}
	for owner := range roomOf - shareOf - 1 {
		m.leave(owner, limit)
	}
	if m.used != 0 || len(m.held) != 0 {
		t.Errorf("not given back: %d, %v", m.used, m.held)
	}
}

// A message takes what it has, not what it could have had.
func TestRoomOfABody(t *testing.T) {
	var m Room
	for _, announced := range []int64{-1, 5} {
		r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader("12345"))
		r.ContentLength = announced
		text, leave, _, err := m.Body(httptest.NewRecorder(), r, "a", 1<<20)
		if err != nil || string(text) != "12345" || m.used != 5 {
			t.Errorf("%q, %v, %d bytes taken", text, err, m.used)
		}
		leave()
	}
	r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader("12345"))
	if _, _, status, err := m.Body(httptest.NewRecorder(), r, "a", 4); status != http.StatusRequestEntityTooLarge || err == nil {
		t.Errorf("too long: %d %v", status, err)
	}
	if m.used != 0 || len(m.held) != 0 {
		t.Errorf("not given back: %d, %v", m.used, m.held)
	}
}
