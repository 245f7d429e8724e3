package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/card"
	"sallyport/internal/console/session"
	"sallyport/internal/inbox"
)

// pending is a question as the gate tells it.
func pending(t *testing.T, w *world, class sallyport.Class) (one map[string]any, digest string) {
	t.Helper()
	text := `{"agent":"bot","args":{"amount":150},"kind":"tool","name":"refund","rules":[],"server":"desk","user":"ana","v":1}`
	a := sallyport.Approval{ID: "a_1", State: sallyport.Pending, Digest: sallyport.DigestOf([]byte(text)), Question: []byte(text), Class: class, Expires: w.at.Add(time.Hour)}
	shown, err := card.New(&a, card.Around{})
	if err != nil {
		t.Fatal(err)
	}
	one = map[string]any{}
	decode(t, jsonOf(shown), &one)
	one["question"] = text
	w.answers["/approvals/a_1"] = one
	return one, a.Digest.String()
}

// device signs whatever it is asked to.
type device struct {
	nobody
	bound sallyport.Digest
	who   string
}

func (d *device) BeginShow(_ context.Context, _, _ string, bound sallyport.Digest) (string, []byte, error) {
	d.bound = bound
	return "w_1", []byte(`{}`), nil
}

func (d *device) FinishShow(_ context.Context, _ string, _ []byte, bound sallyport.Digest) (string, error) {
	if bound != d.bound {
		return "", errors.New("something else was signed")
	}
	return d.who, nil
}

// What is answered is what was shown, by whom the session is.
func TestAnswer(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	cookie, key := person(t, c)
	one, digest := pending(t, w, sallyport.ClassTap)
	if r := ask(c, "POST", Path+"approvals/a_1", `{"yes":"perhaps","digest":"`+digest+`"}`, cookie, key); r.Code != 400 || len(w.posted) > 0 {
		t.Errorf("HTTP %d, %v", r.Code, w.posted)
	}
	for _, yes := range []string{"yes", "no"} {
		w.posted = nil
		if r := ask(c, "POST", Path+"approvals/a_1", `{"yes":"`+yes+`","digest":"`+digest+`","typed":"150","reason":"x","by":"operator"}`, cookie, key); r.Code != 200 {
			t.Fatalf("HTTP %d %s", r.Code, r.Body)
		}
		_, body, _ := strings.Cut(w.posted[0], " ")
		var given struct {
			By, Digest string
			Approve    bool
			Proof      struct{ Session, Typed, Secret string }
		}
		if err := json.Unmarshal([]byte(body), &given); err != nil {
			t.Fatal(err)
		}
		if given.By != "maren" || given.Digest != digest || given.Approve != (yes == "yes") || given.Proof.Typed != "150" || given.Proof.Secret != "" {
			t.Errorf("%+v", given)
		}
		if how, ok := c.Vouched("maren", given.Proof.Session); !ok || how != session.BySession {
			t.Errorf("the session is vouched for as %q", how)
		}
	}
	// What its digest does not cover is not shown as something to agree to.
	one["question"] = strings.Replace(one["question"].(string), "150", "1", 1)
	if page := ask(c, "GET", Path+"approvals/a_1", "", cookie).Body.String(); strings.Contains(page, "data-approve") || !strings.Contains(page, "digest covers") {
		t.Errorf("a changed question can be agreed to: %s", page)
	}
}

// A device signs the digest of what was shown, and the yes says so.
func TestAnswerWithPasskey(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	d := &device{who: "maren"}
	c.asked.Passkeys = d
	cookie, key := person(t, c)
	one, digest := pending(t, w, sallyport.ClassPair)
	body := `{"id":"w_1","answer":{},"typed":"150","digest":"` + digest + `"}`
	if r := ask(c, "POST", Path+"approvals/a_1/passkey", body, cookie, key); r.Code != http.StatusOK || d.bound.String() != digest {
		t.Fatalf("HTTP %d %s, signs %v", r.Code, r.Body, d.bound)
	}
	if r := ask(c, "POST", Path+"approvals/a_1/passkey/shown", body, cookie, key); r.Code != http.StatusOK || len(w.posted) != 1 {
		t.Fatalf("HTTP %d %s", r.Code, r.Body)
	}
	_, text, _ := strings.Cut(w.posted[0], " ")
	var given struct{ Proof struct{ Session string } }
	decode(t, text, &given)
	if how, ok := c.Vouched("maren", given.Proof.Session); !ok || how != session.ByPasskey {
		t.Errorf("vouched for as %q", how)
	}
	w.posted = nil
	d.who = "curtis"
	if r := ask(c, "POST", Path+"approvals/a_1/passkey/shown", body, cookie, key); r.Code != 403 || len(w.posted) > 0 {
		t.Errorf("another person's passkey: HTTP %d, %v", r.Code, w.posted)
	}
	d.who = "maren"
	one["digest"] = sallyport.DigestOf(nil).String() // asks something else now
	for _, path := range []string{"approvals/a_1/passkey", "approvals/a_1/passkey/shown"} {
		if r := ask(c, "POST", Path+path, body, cookie, key); r.Code != 409 || len(w.posted) > 0 {
			t.Errorf("%s of what was not shown: HTTP %d, %v", path, r.Code, w.posted)
		}
	}
}

// What the form says is what is granted: nothing is free that it does not free.
func TestGrant(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	cookie, key := person(t, c)
	const form = `"digest":"d","hours":"0.5","count":"3","free amount":"most","value amount":"160","free reason":"any","value reason":"x","free name":"","value name":"y","free to":"like","value to":"*@a","typed":"150"`
	for body, status := range map[string]int{
		`{` + form + `,"hours":""}`: 400, `{` + form + `,"hours":"NaN"}`: 400, `{` + form + `,"count":"many"}`: 400, `{` + form + `,"free to":"most","value to":""}`: 400, `{` + form + `,"free to":"all"}`: 400,
	} {
		if r := ask(c, "POST", Path+"approvals/a_1/grant", body, cookie, key); r.Code != status || len(w.posted) > 0 {
			t.Errorf("%s: HTTP %d %v", body, r.Code, w.posted)
		}
	}
	w.answers["POST /grants/forecast"] = map[string]any{"text": "refunds", "asked": 9, "saved": 4, "refused": 1}
	if r := ask(c, "POST", Path+"approvals/a_1/grant", `{`+form+`}`, cookie, key); r.Code != 200 || !strings.Contains(r.Body.String(), "refunds") || len(w.posted) != 1 || !strings.HasPrefix(w.posted[0], "/grants/forecast ") {
		t.Fatalf("HTTP %d %s, %v", r.Code, r.Body, w.posted)
	}
	w.posted = nil
	if r := ask(c, "POST", Path+"approvals/a_1/grant", `{`+form+`,"sure":"yes","run":"yes"}`, cookie, key); r.Code != 200 || len(w.posted) != 1 {
		t.Fatalf("HTTP %d %s", r.Code, r.Body)
	}
	path, body, _ := strings.Cut(w.posted[0], " ")
	var given inbox.Granting
	decode(t, body, &given)
	slices.SortFunc(given.Free, func(a, b inbox.Free) int { return strings.Compare(a.Path, b.Path) })
	if how, ok := c.Vouched("maren", given.Proof.Session); !ok || how != session.BySession || path != "/grants" {
		t.Errorf("%s, vouched for as %q", path, how)
	}
	given.Proof = asking.Proof{Typed: given.Proof.Typed}
	want := inbox.Granting{ID: "a_1", By: "maren", Digest: "d", Run: true, For: 1800, Count: 3, Proof: asking.Proof{Typed: "150"},
		Free: []inbox.Free{{Path: "amount", Most: "160"}, {Path: "reason"}, {Path: "to", Like: "*@a"}}}
	if !reflect.DeepEqual(given, want) {
		t.Errorf("granted %+v", given)
	}
}

// Less than what was asked is agreed to with a passkey, too: the device signs the
// question together with the arguments in its place.
func TestNarrowWithPasskey(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	d := &device{who: "maren"}
	c.asked.Passkeys = d
	cookie, key := person(t, c)
	_, digest := pending(t, w, sallyport.ClassPair)
	body := func(args string) string {
		return `{"id":"w_1","answer":{},"typed":"120","args":` + string(sallyport.AppendString(nil, args)) + `,"digest":"` + digest + `"}`
	}
	shown := sallyport.DigestOf([]byte(w.answers["/approvals/a_1"].(map[string]any)["question"].(string)))
	want := asking.Narrowed(shown, sallyport.MustParse(`{"amount":120}`))
	if r := ask(c, "POST", Path+"approvals/a_1/narrow/passkey", body(`{"amount":120}`), cookie, key); r.Code != http.StatusOK || d.bound != want {
		t.Fatalf("HTTP %d %s, signs %v", r.Code, r.Body, d.bound)
	}
	for _, other := range []string{`{"amount":121}`, `[]`, `{"amount":120,"amount":120}`} {
		if r := ask(c, "POST", Path+"approvals/a_1/narrow/passkey/shown", body(other), cookie, key); r.Code == http.StatusOK || len(w.posted) > 0 {
			t.Errorf("signed for %s: HTTP %d, %v", other, r.Code, w.posted)
		}
	}
	if r := ask(c, "POST", Path+"approvals/a_1/narrow/passkey/shown", body(`{"amount":120}`), cookie, key); r.Code != http.StatusOK || len(w.posted) != 1 {
		t.Fatalf("HTTP %d %s %v", r.Code, r.Body, w.posted)
	}
	path, text, _ := strings.Cut(w.posted[0], " ")
	var given inbox.Narrowing
	decode(t, text, &given)
	if path != "/approvals/a_1/narrow" || given.By != "maren" || given.Args != `{"amount":120}` || given.Digest != digest || given.Proof.Typed != "120" {
		t.Errorf("%s %+v", path, given)
	}
	if how, err := c.Proven("maren", sallyport.ClassPair, want, given.Proof.Session); err != nil || how != session.ByPasskey {
		t.Errorf("%s %v", how, err)
	}
}
