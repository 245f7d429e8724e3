package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/console/session"
)

// keyring enrols whoever it is asked to.
type keyring struct {
	nobody
	begun     []string
	forgotten []string
	who       string
}

func (k *keyring) BeginEnrol(_ context.Context, _, person string) (string, []byte, error) {
	k.begun = append(k.begun, person)
	return "w_1", []byte(`{"user":{}}`), nil
}

func (k *keyring) Forget(_ context.Context, person string) error {
	k.forgotten = append(k.forgotten, person)
	return nil
}

func (k *keyring) FinishShow(context.Context, string, []byte, sallyport.Digest) (string, error) {
	return k.who, nil
}

// Who got hold of a session can't make a passkey of it: that takes the secret anew.
func TestEnrolmentTakesTheSecret(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	k := &keyring{}
	c.Passkeys = k
	cookie, key := person(t, c)
	for _, body := range []string{`{}`, `{"secret":""}`, `{"secret":"wrong"}`, `{"name":"operator","secret":"wrong"}`} {
		if r := ask(c, "POST", Path+"account/passkey", body, cookie, key); r.Code != http.StatusForbidden || len(k.begun) > 0 {
			t.Errorf("%s: HTTP %d, %v", body, r.Code, k.begun)
		}
	}
	if r := ask(c, "POST", Path+"account/passkey", `{"secret":"right"}`, cookie, key); r.Code != http.StatusOK || fmt.Sprint(k.begun) != "[maren]" {
		t.Errorf("HTTP %d %s, %v", r.Code, r.Body, k.begun)
	}
	if !w.known[len(w.known)-1] || w.known[0] {
		t.Errorf("known are %v", w.known)
	}
	if page := ask(c, "GET", Path+"account", "", cookie).Body.String(); !strings.Contains(page, `type="password" name="secret"`) {
		t.Error("the page does not ask for it")
	}
}

// Who has shown a link is told from strangers, whose guesses don't count for them.
func TestLoginIsKnownByLink(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	const body = `{"name":"maren","secret":"right"}`
	ask(c, "POST", Path+"login", body)
	ask(c, "POST", Path+"login", body, header("Cookie", "sallyport=made-up"))
	ask(c, "POST", Path+"login", body, looking(t, c))
	if fmt.Sprint(w.known) != "[false false true]" {
		t.Errorf("known are %v", w.known)
	}
}

// Whoever guesses writes into the log whose secret it was, of people, and nothing of
// their own.
func TestGuessesName(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	for name, want := range map[string]string{"operator": "console login refused as operator by console", "made up <b>": "console login refused by console"} {
		w.recorded, w.at = nil, w.at.Add(time.Second)
		ask(c, "POST", Path+"login", `{"name":"`+name+`","secret":"wrong"}`)
		if fmt.Sprint(w.recorded) != "["+want+"]" {
			t.Errorf("%s: recorded %v", name, w.recorded)
		}
	}
}

// What somebody tries who may not is on the record, with whose session it was.
func TestRefusedActsAreRecorded(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	link := looking(t, c)
	cookie, _ := person(t, c)
	for n, one := range []struct {
		change []func(*http.Request)
		want   string
	}{
		{[]func(*http.Request){link}, "console refused servers/{name}/accept by link"},
		{[]func(*http.Request){cookie}, "console refused servers/{name}/accept by cookie of maren"},
		{[]func(*http.Request){cookie, header(session.KeyHeader, "guess")}, "console refused servers/{name}/accept by cookie of maren"},
	} {
		w.recorded, w.at = nil, w.at.Add(time.Second)
		for range 3 { // and nobody fills the log by it
			if r := ask(c, "POST", Path+"servers/desk/accept", `{}`, one.change...); r.Code != http.StatusForbidden {
				t.Errorf("%d: HTTP %d", n, r.Code)
			}
		}
		if fmt.Sprint(w.recorded) != "["+one.want+"]" {
			t.Errorf("%d: recorded %v", n, w.recorded)
		}
	}
	if len(w.posted) > 0 {
		t.Errorf("done: %v", w.posted)
	}
}

// Whom the configuration does not name any more is nobody here, at once, however
// they come.
func TestWhoHasLeft(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	c.Passkeys = &keyring{who: "maren"}
	cookie, key := person(t, c)
	w.gone = true
	if r := ask(c, "GET", Path, "", cookie); r.Code != http.StatusSeeOther {
		t.Errorf("still looks: HTTP %d", r.Code)
	}
	if r := ask(c, "POST", Path+"log/verify", `{}`, cookie, key); r.Code != http.StatusUnauthorized {
		t.Errorf("still acts: HTTP %d", r.Code)
	}
	for path, body := range map[string]string{"login": `{"name":"maren","secret":"right"}`, "login/passkey/shown": `{"id":"w_1","answer":{}}`} {
		if r := ask(c, "POST", Path+path, body); r.Code != http.StatusForbidden || len(r.Result().Cookies()) > 0 {
			t.Errorf("%s: HTTP %d", path, r.Code)
		}
	}
	w.gone = false
	if r := ask(c, "GET", Path, "", cookie); r.Code != http.StatusOK {
		t.Errorf("back again: HTTP %d", r.Code)
	}
}

// With another secret of a person all that the old one opened is over.
func TestLeave(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	k := &keyring{}
	c.Passkeys = k
	cookie, _ := person(t, c)
	again, _ := person(t, c)
	link := looking(t, c)
	if err := c.Leave(t.Context(), "maren"); err != nil || !slices.Equal(k.forgotten, []string{"maren"}) {
		t.Errorf("%v, %v", err, k.forgotten)
	}
	for n, one := range []func(*http.Request){cookie, again, link} {
		if r := ask(c, "GET", Path, "", one); (r.Code == http.StatusOK) != (n == 2) {
			t.Errorf("session %d: HTTP %d", n, r.Code)
		}
	}
}

// Links push nobody out who has logged in, and people only whoever was away the
// longest.
func TestLinksPushNobodyOut(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	cookie, _ := person(t, c)
	for range 300 {
		w.at = w.at.Add(time.Millisecond)
		looking(t, c)
	}
	last := looking(t, c)
	for n, one := range []func(*http.Request){cookie, last} {
		if r := ask(c, "GET", Path, "", one); r.Code != http.StatusOK {
			t.Errorf("session %d: HTTP %d", n, r.Code)
		}
	}
	var cookies []func(*http.Request)
	for range 256 {
		w.at = w.at.Add(time.Millisecond)
		one, _ := person(t, c)
		cookies = append(cookies, one)
	}
	for n, one := range map[int]func(*http.Request){0: cookie, 1: cookies[0], 2: cookies[255]} {
		if r := ask(c, "GET", Path, "", one); (r.Code == http.StatusOK) != (n > 0) {
			t.Errorf("person %d: HTTP %d", n, r.Code)
		}
	}
}

// A session ends by the clock on the wall: the other one stands still while a
// machine sleeps.
func TestSessionsEndWhileTheMachineSleeps(t *testing.T) {
	c := open(t, newWorld(), false)
	c.Now = time.Now
	fresh, err := New(c.Parts, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if now := fresh.sessions.Now(); now != now.Round(0) {
		t.Errorf("sessions are measured by %v", now)
	}
}

// A voucher of one person is not taken for a wrong guess at another's secret.
func TestWhoseVoucher(t *testing.T) {
	c := open(t, newWorld(), false)
	voucher := c.sessions.Vouch("maren")
	if c.Whose(voucher) != "maren" || c.Whose("made up") != "" || c.Whose("") != "" {
		t.Error("whose it is is not known")
	}
	if _, ok := c.Vouched("maren", voucher); !ok || c.Whose(voucher) != "" {
		t.Error("it is good once, and looking uses it up")
	}
}

// What two readers could read as two things is not read at all.
func TestFormsAreStrict(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	cookie, key := person(t, c)
	for _, body := range []string{`{"yes":"no","yes":"yes"}`, `{"yes":"yes"} {}`, "{\"yes\":\"\xff\"}", `{"yes":"\ud800"}`, `[]`, ``} {
		if r := ask(c, "POST", Path+"approvals/a_1", body, cookie, key); r.Code != http.StatusBadRequest || len(w.posted) > 0 {
			t.Errorf("%s: HTTP %d, %v", body, r.Code, w.posted)
		}
	}
}
