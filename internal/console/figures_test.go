package console

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sallyport/internal/limits"
)

// spending is what a gateway says of a limit that is half used up.
func spending(w *world) {
	ends := w.at.Add(3 * time.Hour)
	refunds := limits.Shown{Name: "refunds", Unit: "EUR", Cap: "5000", Window: "day UTC", Groups: []string{"finance"}, Accounts: 1, Fullest: 62}
	account := limits.ShownAccount{Account: "customer cus_1042", Key: "input.customer_id=#5f0c", Cap: "5000", Used: "3000", Reserved: "100", Left: "1900", Percent: 62, Resets: ends, Empty: ends}
	w.answers["/spent"] = []limits.Spent{{Unit: "calls", Calls: 400, Settled: "400", Limits: []limits.Shown{{Name: "burst", Unit: "calls", Fullest: 99}}},
		{Unit: "EUR", Calls: 7, Estimate: "3200.5", Settled: "3100.5", Limits: []limits.Shown{refunds}}}
	w.answers["/limits/refunds"] = limits.ShownAll{Limit: refunds, Accounts: []limits.ShownAccount{account}}
	w.answers["/limits/refunds/course?account=input.customer_id%3D%235f0c"] = limits.Course{
		Limit: refunds, Account: limits.ShownAccount{Account: account.Key, Key: account.Key, Percent: 62, Reserved: "100"}, Begins: w.at.Add(-21 * time.Hour), Now: w.at, Ends: ends,
		Points:  []limits.Point{{At: w.at.Add(-10 * time.Hour), Estimate: 52, Settled: 51}, {At: w.at.Add(-time.Hour), Estimate: 64, Settled: 62}},
		Reached: []limits.Reached{{Percent: 50, At: w.at.Add(-10 * time.Hour)}}, Calls: 7, Estimate: "3200.5", Settled: "3100.5", Pace: "1200", Since: w.at.Add(-6 * time.Hour), Full: w.at.Add(95 * time.Minute),
	}
}

// Home says what was spent, against what, and how much of policy has ever
// mattered; and where there is nothing to say, why.
func TestFigures(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	cookie, _ := person(t, c)
	empty := ask(c, "GET", Path, "", cookie).Body.String()
	for _, want := range []string{"nothing is limited, so nothing is counted", "no rule is in force: every call is refused"} {
		if !strings.Contains(empty, want) {
			t.Errorf("an empty home does not say %q", want)
		}
	}
	spending(w)
	last := uint64(12)
	w.answers["/policy/rules"] = []rule{{Rule: "reads", File: "a.cedar", Line: 1, Calls: 9, Last: &last}, {Rule: "asks", File: "a.cedar", Line: 2}, {Rule: "pays", File: "a.cedar", Line: 3, Calls: 1, Last: &last}}
	full := ask(c, "GET", Path, "", cookie).Body.String()
	for _, want := range []string{"<b>3,100.5 <small>EUR</small></b>", "refunds is 62 % taken", "<b>66 <small>%</small></b>", "2 of 3 rules have decided a call"} {
		if !strings.Contains(full, want) {
			t.Errorf("home does not say %q", want)
		}
	}
	if strings.Contains(full, "400") {
		t.Error("calls are counted beside money")
	}
}

// A limit's page shows how an account was used up, and says it in words too.
func TestBurned(t *testing.T) {
	w := newWorld()
	spending(w)
	c := open(t, w, false)
	cookie, _ := person(t, c)
	for _, path := range []string{"limits/refunds", "limits/refunds?account=input.customer_id%3D%235f0c"} {
		page := ask(c, "GET", Path+path, "", cookie).Body.String()
		for _, want := range []string{"customer cus_1042", `role="img"`, `class="forecast"`, `class="estimate"`, "1,200 EUR an hour, nothing is left from", "Then it asks finance", "3,200.5 EUR by 7 calls", "of which 100 are under way", "50 % was taken about", "51.0 %"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s does not say %q", path, want)
			}
		}
	}
	var data struct{ Course limits.Course }
	if answer := ask(c, "GET", Path+"limits/refunds.json", "", cookie); json.Unmarshal(answer.Body.Bytes(), &data) != nil || len(data.Course.Points) != 2 {
		t.Errorf("as data: %s", answer.Body)
	}
	if answer := ask(c, "GET", Path+"limits/refunds?account=other", "", cookie); answer.Code != 404 {
		t.Errorf("an account that is none: HTTP %d", answer.Code)
	}
	many := make([]limits.ShownAccount, onLimit+50)
	for i := range many {
		many[i] = limits.ShownAccount{Key: "input.customer_id=#5f0c", Account: "customer"}
	}
	w.answers["/limits/refunds"] = limits.ShownAll{Limit: limits.Shown{Name: "refunds"}, Accounts: many}
	if page := ask(c, "GET", Path+"limits/refunds", "", cookie).Body.String(); !strings.Contains(page, "50 more") || strings.Count(page, "<a data-item") != onLimit {
		t.Errorf("%d accounts are shown, and it says how many are not: %v", strings.Count(page, "<a data-item"), strings.Contains(page, "50 more"))
	}
	w.answers["/limits/refunds"] = limits.ShownAll{Limit: limits.Shown{Name: "refunds"}, Accounts: []limits.ShownAccount{}}
	if page := ask(c, "GET", Path+"limits/refunds", "", cookie).Body.String(); !strings.Contains(page, "Nothing is taken") || strings.Contains(page, "<svg viewBox=\"0 0 7") {
		t.Error("a picture of nothing")
	}
}

// What a rule has done stands beside its text: in the log, and in tests once they
// were run.
func TestCoverage(t *testing.T) {
	w := newWorld()
	last := uint64(12)
	w.answers["/policy"] = map[string]any{"digest": "sha256:0", "rules": 2, "mode": "enforce"}
	w.answers["/policy/files"] = []file{{Name: "a.cedar", Text: "@id(\"reads\")\npermit (principal, action, resource);\n@id(\"asks\") @ask(\"finance\")\nforbid (principal, action, resource);\n"}}
	w.answers["/policy/rules"] = []rule{{Rule: "reads", File: "a.cedar", Line: 1, Calls: 9, Last: &last}, {Rule: "asks", File: "a.cedar", Line: 3}}
	w.answers["POST /policy/test"] = map[string]any{"ok": true, "problems": []any{}, "results": []map[string]any{{"name": "one", "passed": true}},
		"coverage": []map[string]any{{"rule": "reads", "place": "a.cedar:1", "fired": 0}, {"rule": "asks", "place": "a.cedar:3", "fired": 4}}}
	c := open(t, w, false)
	cookie, _ := person(t, c)
	says := func(page string, wanted ...string) {
		t.Helper()
		at := 0
		for _, want := range wanted { // in this order
			next := strings.Index(page[at:], want)
			if next < 0 {
				t.Fatalf("%q is not there, or not behind what goes before:\n%s", want, page[at:])
			}
			at += next
		}
	}
	before := ask(c, "GET", Path+"policies", "", cookie).Body.String()
	says(before, "1 of 2 rules have decided a call (50 %)", "1 rule never did", `href="/console/policies#a.cedar-L3">asks</a>`, "not run here since the gateway started",
		"<strong>reads</strong>", "decided 9 calls", `href="/console/log/12"`, `id="a.cedar-L1"`, "<strong>asks</strong>", "never decided a call", `id="a.cedar-L3"`)
	if strings.Contains(before, "no test") {
		t.Error("it says what tests cover, though none were run")
	}
	if answer := ask(c, "GET", Path+"policies/tests", "", cookie); answer.Code != 200 {
		t.Fatalf("HTTP %d %s", answer.Code, answer.Body)
	}
	says(ask(c, "GET", Path+"policies", "", cookie).Body.String(), "1 of 2 made a difference, and 1 of 1 tests passed", "<strong>reads</strong>", "no test", "<strong>asks</strong>", "4 tests")
}

func TestAmount(t *testing.T) {
	for text, want := range map[string]string{"": "", "0": "0", "12": "12", "123": "123", "1234": "1,234", "1234567.5": "1,234,567.5", "-1234": "-1,234", "-123": "-123", "0.000001": "0.000001"} {
		if got := amount(text); got != want {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
}

// What a rule says ends with one stop, before what is said next.
func TestPeriod(t *testing.T) {
	w := newWorld()
	w.answers["/approvals"] = []map[string]any{{"id": "a_1", "state": "pending", "groups": []string{"finance"}, "rules": []map[string]any{{"because": "Too much"}, {"because": "Too late."}}}}
	c := open(t, w, false)
	cookie, _ := person(t, c)
	if page := ask(c, "GET", Path, "", cookie).Body.String(); !strings.Contains(page, "Too much. Too late. Asks finance.") {
		t.Error("sentences run into each other")
	}
}
