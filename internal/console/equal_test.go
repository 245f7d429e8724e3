package console

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/card"
	"sallyport/internal/console/session"
	"sallyport/internal/inbox"
)

// equal are two pending questions as the gate tells them.
func equal(t *testing.T, w *world, class sallyport.Class) (digests []string) {
	t.Helper()
	var all []map[string]any
	for i, amount := range []string{"150", "120.50"} {
		text := `{"agent":"bot","args":{"amount":` + amount + `,"to":"acct-7"},"kind":"tool","name":"refund","rules":[],"server":"desk","user":"ana","v":1}`
		a := sallyport.Approval{ID: []string{"a_1", "a_2"}[i], State: sallyport.Pending, Digest: sallyport.DigestOf([]byte(text)), Question: []byte(text), Class: class, Amount: amount, Expires: w.at.Add(time.Hour)}
		shown, err := card.New(&a, card.Around{})
		if err != nil {
			t.Fatal(err)
		}
		one := map[string]any{}
		decode(t, jsonOf(shown), &one)
		one["question"], one["equal"] = text, []string{[]string{"a_2", "a_1"}[i]}
		all, digests = append(all, one), append(digests, a.Digest.String())
	}
	w.answers["/approvals/a_1/equal"], w.answers["/approvals?all"] = all, all
	return digests
}

// Equal questions are one line of the list, and one card with a row for each.
func TestEqualIsOneCard(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	cookie, _ := person(t, c)
	digests := equal(t, w, sallyport.ClassType)
	list := ask(c, "GET", Path+"approvals", "", cookie).Body.String()
	if strings.Count(list, `href="/console/approvals/a_1/equal"`) != 1 || strings.Contains(list, "approvals/a_2") || !strings.Contains(list, "2 equal") {
		t.Errorf("the list: %s", list)
	}
	page := ask(c, "GET", Path+"approvals/a_1/equal", "", cookie).Body.String()
	for _, wanted := range []string{"2 times", "270.5", `name="row a_1" value="` + digests[0], `name="row a_2" value="` + digests[1], `name="typed a_2"`, "120.50", "150", "acct-7"} {
		if !strings.Contains(page, wanted) {
			t.Errorf("the card does not say %s: %s", wanted, page)
		}
	}
	w.answers["/approvals/a_1/equal"].([]map[string]any)[1]["question"] = strings.Replace(w.answers["/approvals/a_1/equal"].([]map[string]any)[1]["question"].(string), "120.50", "1", 1)
	if page := ask(c, "GET", Path+"approvals/a_1/equal", "", cookie).Body.String(); strings.Contains(page, "row a_2") {
		t.Error("what its digest does not cover can be agreed to")
	}
	w.answers["/approvals/a_1/equal"] = []any{}
	if page := ask(c, "GET", Path+"approvals/a_1/equal", "", cookie).Body.String(); !strings.Contains(page, "Nothing waits here any more") || strings.Contains(page, "data-approve") {
		t.Errorf("of nothing: %s", page)
	}
}

// What is answered are the rows that are sent, each with its digest and what was
// typed beside it.
func TestAnswerEqual(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	cookie, key := person(t, c)
	d := equal(t, w, sallyport.ClassType)
	for body, status := range map[string]int{
		`{"row a_1":"` + d[0] + `"}`: 400, `{"yes":"perhaps","row a_1":"` + d[0] + `"}`: 400, `{"yes":"yes"}`: 400, `{"yes":"yes","row a_1":"x"}`: 400, `{"yes":"yes","row a_1":7}`: 400,
		`{"yes":"yes","row a_1":"` + d[0] + `\n` + d[1] + `"}`: 400,
	} {
		if r := ask(c, "POST", Path+"approvals/a_1/equal", body, cookie, key); r.Code != status || len(w.posted) > 0 {
			t.Errorf("%s: HTTP %d %v", body, r.Code, w.posted)
		}
	}
	w.answers["POST /approvals/equal"] = []map[string]any{{"id": "a_1", "state": "approved"}, {"id": "a_2", "state": "spent", "said": "it has moved on"}}
	r := ask(c, "POST", Path+"approvals/a_1/equal", `{"yes":"yes","reason":"","row a_2":"`+d[1]+`","typed a_2":"120.5","row a_1":"`+d[0]+`","typed a_1":"150","typed a_3":"1","by":"operator"}`, cookie, key)
	if r.Code != 200 || !strings.Contains(r.Body.String(), "it has moved on") || len(w.posted) != 1 {
		t.Fatalf("HTTP %d %s %v", r.Code, r.Body, w.posted)
	}
	path, body, _ := strings.Cut(w.posted[0], " ")
	var given inbox.Together
	decode(t, body, &given)
	if path != "/approvals/equal" || given.By != "maren" || !given.Approve || len(given.Rows) != 2 || given.Rows[0] != (inbox.Row{ID: "a_1", Digest: d[0], Typed: "150"}) || given.Rows[1] != (inbox.Row{ID: "a_2", Digest: d[1], Typed: "120.5"}) {
		t.Errorf("%s %+v", path, given)
	}
	if how, ok := c.Vouched("maren", given.Proof.Session); !ok || how != session.BySession {
		t.Errorf("vouched for as %q", how)
	}
}

// One signature covers exactly the rows that were shown.
func TestAnswerEqualWithPasskey(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	device := &device{who: "maren"}
	c.asked.Passkeys = device
	cookie, key := person(t, c)
	d := equal(t, w, sallyport.ClassPair)
	body := func(rows string) string { return `{"yes":"yes","id":"w_1","answer":{},` + rows + `}` }
	both := `"row a_1":"` + d[0] + `","row a_2":"` + d[1] + `"`
	if r := ask(c, "POST", Path+"approvals/a_1/equal/passkey", body(both), cookie, key); r.Code != 200 || device.bound != asking.Together(d) {
		t.Fatalf("HTTP %d %s, signs %v", r.Code, r.Body, device.bound)
	}
	for name, rows := range map[string]string{
		"one less": `"row a_1":"` + d[0] + `"`, "one more": both + `,"row a_3":"` + sallyport.DigestOf(nil).String() + `"`, "another": `"row a_1":"` + d[0] + `","row a_2":"` + sallyport.DigestOf(nil).String() + `"`,
	} {
		if r := ask(c, "POST", Path+"approvals/a_1/equal/passkey/shown", body(rows), cookie, key); r.Code == 200 || len(w.posted) > 0 {
			t.Errorf("%s: HTTP %d %v", name, r.Code, w.posted)
		}
	}
	device.who = "curtis"
	if r := ask(c, "POST", Path+"approvals/a_1/equal/passkey/shown", body(both), cookie, key); r.Code != 403 || len(w.posted) > 0 {
		t.Errorf("another person's passkey: HTTP %d %v", r.Code, w.posted)
	}
	device.who = "maren"
	if r := ask(c, "POST", Path+"approvals/a_1/equal/passkey/shown", body(both), cookie, key); r.Code != 200 || len(w.posted) != 1 {
		t.Fatalf("HTTP %d %s", r.Code, r.Body)
	}
	_, text, _ := strings.Cut(w.posted[0], " ")
	var given inbox.Together
	decode(t, text, &given)
	if how, err := c.Proven("maren", sallyport.ClassPair, asking.Together(d), given.Proof.Session); err != nil || how != session.ByPasskey {
		t.Errorf("%s %v", how, err)
	}
}

// refusing is a gate that refuses one thing.
type refusing struct {
	*world
	path string
}

func (r refusing) Post(ctx context.Context, path string, in, out any) error {
	err := r.world.Post(ctx, path, in, out)
	if path == r.path {
		return errors.New("no")
	}
	return err
}

// A no can end the run that asks: first the question, and the run whatever became
// of that.
func TestDenyAndEndTheRun(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	cookie, key := person(t, c)
	one, digest := pending(t, w, sallyport.ClassPair)
	one["run"] = "r_7"
	w.answers["POST /kills"] = map[string]any{"id": "k_1"}
	body := `{"digest":"` + digest + `","yes":"yes","reason":"it was talked into this"}`
	r := ask(c, "POST", Path+"approvals/a_1/end", body, cookie, key)
	if r.Code != 200 || len(w.posted) != 2 || !strings.HasPrefix(w.posted[0], "/approvals/a_1 ") || !strings.HasPrefix(w.posted[1], "/kills ") {
		t.Fatalf("HTTP %d %s %v", r.Code, r.Body, w.posted)
	}
	var given inbox.Answer
	decode(t, strings.TrimPrefix(w.posted[0], "/approvals/a_1 "), &given)
	var order struct {
		Scope  struct{ Kind, Name string }
		Reason string
	}
	decode(t, strings.TrimPrefix(w.posted[1], "/kills "), &order)
	if given.Approve || given.By != "maren" || order.Scope.Kind != "run" || order.Scope.Name != "r_7" || order.Reason != "it was talked into this" || !strings.HasSuffix(strings.Join(w.recorded, " "), "console kill k_1 by maren") {
		t.Errorf("%+v %+v %q", given, order, w.recorded)
	}
	w.posted, c.asked.Gate = nil, refusing{w, "/approvals/a_1"}
	if r := ask(c, "POST", Path+"approvals/a_1/end", body, cookie, key); r.Code == 200 || !strings.Contains(r.Body.String(), "the run was ended") || len(w.posted) != 2 {
		t.Errorf("HTTP %d %s %v", r.Code, r.Body, w.posted)
	}
	c.asked.Gate = refusing{w, "/kills"}
	if r := ask(c, "POST", Path+"approvals/a_1/end", body, cookie, key); r.Code == http.StatusOK || !strings.Contains(r.Body.String(), "the run goes on") {
		t.Errorf("HTTP %d %s", r.Code, r.Body)
	}
}
