package app

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/control"
	"sallyport/internal/kill"
	"sallyport/internal/store"
)

// visitor is a browser in which a person has logged in to the console.
type visitor struct {
	t            *testing.T
	origin       string
	cookie, key  string
	name, secret string
}

func visit(t *testing.T, a *App, name, secret string) *visitor {
	t.Helper()
	v := &visitor{t: t, origin: "http://" + a.Addresses().Listen, name: name, secret: secret}
	if status, text := v.logIn(); status != http.StatusOK {
		t.Fatalf("%s can't log in: HTTP %d %s", name, status, text)
	}
	return v
}

func (v *visitor) logIn() (status int, text string) {
	status, text, header := v.post("login", map[string]string{"name": v.name, "secret": v.secret})
	if status == http.StatusOK {
		var in struct{ Key string }
		if err := json.Unmarshal([]byte(text), &in); err != nil {
			v.t.Fatal(err)
		}
		v.key = in.Key
		v.cookie, _, _ = strings.Cut(header.Get("Set-Cookie"), ";")
	}
	return status, text
}

func (v *visitor) post(path string, in any) (status int, text string, header http.Header) {
	v.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		v.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.origin+"/console/"+path, bytes.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	for name, value := range map[string]string{"Origin": v.origin, "Content-Type": "application/json", "Cookie": v.cookie, "X-Sallyport-Key": v.key} {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return response.StatusCode, string(all), response.Header
}

// What takes the operator takes nobody else who has logged in to the console, and
// that somebody else tried is no guess at the operator's secret: it bars nobody, and
// is on the record as what it was. With another secret of a person, their sessions
// are over; without a place in the configuration, they are nobody.
func TestWhoIsNotTheOperator(t *testing.T) {
	dir, config := starterFiles(t)
	a := started(t, dir, config)
	const marens, other = "maren's own secret", "maren's other secret"
	enroll(t, a)
	if err := a.Enroll(t.Context(), control.Enrolment{As: "maren", Secret: marens, Current: secret}); err != nil {
		t.Fatal(err)
	}
	paused, err := a.halt.Kill(t.Context(), kill.Wanted{Pause: true, Scope: kill.Scope{Kind: "agent", Name: "analyst-bot"}})
	if err != nil {
		t.Fatal(err)
	}
	maren := visit(t, a, "maren", marens)
	for _, path := range []string{"kills/" + paused.ID + "/resume", "policies/accept", "servers/desk/accept"} {
		if status, text, _ := maren.post(path, map[string]string{"digest": "x"}); status == http.StatusOK || !strings.Contains(text, "it takes operator") {
			t.Errorf("%s: HTTP %d %s", path, status, text)
		}
	}
	if len(a.halt.Kills()) != 1 {
		t.Error("it was resumed")
	}
	if err := a.verify(t.Context(), secret); err != nil {
		t.Errorf("the operator is barred: %v", err)
	}
	if status, text, _ := visit(t, a, operator, secret).post("kills/"+paused.ID+"/resume", struct{}{}); status != http.StatusOK {
		t.Errorf("HTTP %d %s", status, text)
	}
	found, err := a.store.Query(t.Context(), store.Filter{Type: "change", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, one := range found {
		if one.Entry.Subject == "human credential refused" && one.Entry.By == "maren" {
			tried++
		}
	}
	if tried != 3 {
		t.Errorf("%d of 3 are on the record", tried)
	}
	if err := a.Enroll(t.Context(), control.Enrolment{As: "maren", Secret: other, Current: secret}); err != nil {
		t.Fatal(err)
	}
	if status, text, _ := maren.post("log/verify", struct{}{}); status != http.StatusUnauthorized {
		t.Errorf("with a secret that is none any more: HTTP %d %s", status, text)
	}
	maren = visit(t, a, "maren", other)
	edit(t, config, "  maren: {tenant: acme, groups: [finance]}\n", "")
	a.Reload(t.Context())
	if a.config().Users["maren"].Tenant != "" {
		if pending := a.PolicyStatus().Pending; pending == nil {
			t.Fatal("maren is still declared")
		} else if err := a.AcceptPolicy(t.Context(), control.Accept{Secret: secret, Digest: pending.Digest}); err != nil {
			t.Fatal(err)
		}
	}
	if status, text, _ := maren.post("log/verify", struct{}{}); status != http.StatusUnauthorized {
		t.Errorf("who has left acts: HTTP %d %s", status, text)
	}
	if status, text := maren.logIn(); status != http.StatusForbidden || !strings.Contains(text, "no person here") {
		t.Errorf("who has left logs in: HTTP %d %s", status, text)
	}
}
