package console

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// refund is a call that finance is asked about.
func refund(amount float64) args {
	return args{"customer_id": "cus_1013", "order_id": "ord_4037", "amount": amount, "currency": "EUR", "reason": "goodwill"}
}

// refunds are what the desk has paid, as an agent that may look says.
func refunds(t testing.TB, s *mcp.ClientSession) int {
	t.Helper()
	var listed struct{ Total int }
	result, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "desk__list_refunds", Arguments: args{"tenant": "acme"}})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(result.StructuredContent)
	if err := json.Unmarshal(text, &listed); err != nil {
		t.Fatal(err)
	}
	return listed.Total
}

// ask makes the call and returns the id of its question.
func (g *gate) ask(t testing.TB, s *mcp.ClientSession, amount float64) string {
	t.Helper()
	if said := call(t, s, "desk__issue_refund", refund(amount)); !strings.Contains(said, "Waiting for approval") {
		t.Fatalf("not held: %s", said)
	}
	return g.waiting(t, "issue_refund")
}

// waiting is the last question about a tool that waits.
func (g *gate) waiting(t testing.TB, tool string) (id string) {
	t.Helper()
	var asked []struct{ ID, Name string }
	if err := json.Unmarshal([]byte(g.sallyport(t, "approvals", "list", "-o", "json")), &asked); err != nil {
		t.Fatal(err)
	}
	for _, a := range asked {
		if a.Name == tool {
			id = a.ID
		}
	}
	if id == "" {
		t.Fatalf("no %s waits", tool)
	}
	return id
}

// A person logs in, sees the question come by itself, reads the card, types the
// amount and agrees; the call runs once.
func TestApprove(t *testing.T) {
	needsBrowser(t)
	g := start(t, "")
	agent := g.agent(t, "support-bot")
	b := openBrowser(t, 1280, 900)
	b.logIn(g, "operator")
	b.open(g.origin + "/console/approvals")
	b.do(chromedp.WaitVisible("#waiting .empty"))
	id := g.ask(t, agent, 150)
	asked := time.Now()
	b.do(chromedp.WaitVisible(`#waiting a[href="/console/approvals/`+id+`"]`, chromedp.ByQuery))
	if took := time.Since(asked); took > 500*time.Millisecond {
		t.Errorf("the inbox showed it after %v", took)
	}
	b.do(chromedp.Click(`#waiting a[href="/console/approvals/`+id+`"]`, chromedp.ByQuery), chromedp.WaitVisible("[data-deny]"))
	page := b.text()
	for _, wanted := range []string{"PAY 150", "cus_1013", "ord_4037", "EUR", "goodwill", "refund-over-limit", "Refunds over 100 are finance's to decide", "support-bot", "ana"} {
		if !strings.Contains(page, wanted) {
			t.Errorf("the card does not say %q:\n%s", wanted, page)
		}
	}
	var focus string
	b.evaluate("document.activeElement.textContent", &focus)
	if focus != "Deny" {
		t.Errorf("at hand is %q", focus)
	}
	// Something else than the amount agrees to nothing.
	b.do(chromedp.SendKeys("input[name=typed]", "151"), chromedp.Click("button.main", chromedp.NodeVisible))
	b.says("neither the amount nor the number")
	if said := call(t, agent, "desk__issue_refund", refund(150)); !strings.Contains(said, "Waiting for approval") {
		t.Fatalf("a wrong amount was taken: %s", said)
	}
	b.do(chromedp.SetValue("input[name=typed]", "150"), chromedp.Click("button.main", chromedp.NodeVisible))
	b.shows("#decision .tag.approved")
	if said := call(t, agent, "desk__issue_refund", refund(150)); !strings.Contains(said, "ref_") {
		t.Fatalf("approved, and yet: %s", said)
	}
	b.shows("#decision .tag.spent")
	if said := call(t, agent, "desk__issue_refund", refund(150)); strings.Contains(said, "ref_") || refunds(t, agent) != 1 {
		t.Fatalf("it ran twice: %s", said)
	}
}

// The agent hears why a person says no.
func TestDeny(t *testing.T) {
	needsBrowser(t)
	g := start(t, "")
	agent := g.agent(t, "support-bot")
	id := g.ask(t, agent, 150)
	b := openBrowser(t, 390, 844)
	b.logIn(g, "operator")
	b.open(g.origin + "/console/approvals/" + id)
	b.do(chromedp.SetValue("input[name=reason]", "Paid by bank already"), chromedp.Click("[data-deny]"))
	b.shows("#decision .tag.refused")
	if said := call(t, agent, "desk__issue_refund", refund(150)); !strings.Contains(said, "Paid by bank already") || refunds(t, agent) != 0 {
		t.Errorf("the agent hears %s", said)
	}
}

// A link shows everything, once, and answers nothing.
func TestLinkOnlyShows(t *testing.T) {
	needsBrowser(t)
	g := start(t, "")
	agent := g.agent(t, "support-bot")
	id := g.ask(t, agent, 150)
	link := g.link(t)
	b := openBrowser(t, 1280, 900)
	b.open(link)
	b.open(g.origin + "/console/approvals/" + id)
	b.do(chromedp.WaitVisible("#decision", chromedp.ByQuery)) // and not the link to it
	var forms int
	b.evaluate(`document.querySelectorAll("form[data-act], [data-deny], [data-approve]").length`, &forms)
	if forms != 0 {
		t.Errorf("%d forms that act", forms)
	}
	// Nor does whoever makes the request without a form.
	for _, path := range []string{"approvals/" + id, "approvals/" + id + "/passkey", "account/passkey", "kills", "servers/desk/accept", "policies/accept", "log/verify"} {
		var status int
		b.do(chromedp.Evaluate(`fetch("/console/`+path+`", {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"}).then(r => r.status)`, &status, awaited))
		if status != 403 {
			t.Errorf("%s: HTTP %d", path, status)
		}
	}
	again := openBrowser(t, 1280, 900)
	again.open(link)
	if !strings.Contains(again.text(), "opened already") {
		t.Errorf("a link was opened twice: %s", again.text())
	}
}

// What can do the most takes two people and the passkey of each, which signs the
// very question.
func TestTwoPeopleWithPasskeys(t *testing.T) {
	needsBrowser(t)
	g := start(t, "approvals: {large: \"300\"}\n", "maren", "curtis")
	agent := g.agent(t, "support-bot")
	id := g.ask(t, agent, 320)
	page := g.origin + "/console/approvals/" + id
	for i, who := range []string{"maren", "curtis"} {
		b := openBrowser(t, 1280, 900)
		b.authenticator()
		b.logIn(g, who)
		b.open(page)
		b.do(chromedp.SetValue("input[name=typed]", "320"), chromedp.Click("button.main", chromedp.NodeVisible))
		b.says("no passkey is enrolled")
		b.open(g.origin + "/console/account")
		b.do(chromedp.SendKeys("main input[name=secret]", secretOf(who)), chromedp.Click("button.main"))
		b.until(`document.body.innerText.includes("1 passkey is enrolled")`)
		// It logs in, too.
		b.do(chromedp.Click(".who form button"))
		b.shows(".login input[name=secret]")
		b.do(chromedp.Click(`.login form[data-act=passkey] button`))
		b.shows("nav")
		b.open(page)
		b.do(chromedp.SetValue("input[name=typed]", "320"), chromedp.Click("button.main", chromedp.NodeVisible))
		if i == 0 {
			b.until(`document.querySelector("#decision").innerText.includes("` + who + ` for finance")`)
			if said := call(t, agent, "desk__issue_refund", refund(320)); !strings.Contains(said, "Waiting for approval") {
				t.Fatalf("one person was enough: %s", said)
			}
		} else {
			b.shows("#decision .tag.approved")
		}
	}
	if said := call(t, agent, "desk__issue_refund", refund(320)); strings.Contains(said, "Waiting") || strings.Contains(said, "Refused") {
		t.Fatalf("approved by two, and yet: %s", said)
	}
	log := g.sallyport(t, "log", "query", "-o", "json", "--limit", "300")
	for _, wanted := range []string{"passkey enrolled", "console login with a passkey", "console login with a secret", "console logout"} {
		if !strings.Contains(log, wanted) {
			t.Errorf("the log does not have %q", wanted)
		}
	}
}

// A kill in the console stops what it names once the name is typed, and a person
// resumes it.
func TestKill(t *testing.T) {
	needsBrowser(t)
	g := start(t, "")
	agent := g.agent(t, "support-bot")
	b := openBrowser(t, 1280, 900)
	b.logIn(g, "operator")
	b.do(chromedp.SetValue("select[name=What]", "pause"), chromedp.SetValue("select[name=Scope]", "agent support-bot"),
		chromedp.SendKeys("input[name=Typed]", "everything"), chromedp.Click("button.stop"))
	b.says("Nothing was stopped")
	if said := call(t, agent, "desk__list_tickets", args{"tenant": "acme"}); !strings.Contains(said, "tic_") {
		t.Fatalf("stopped without the name: %s", said)
	}
	b.do(chromedp.SetValue("input[name=Typed]", "agent support-bot"), chromedp.Click("button.stop"))
	b.shows("#stopped .strip")
	b.shows("form[action$=resume]")
	if said := call(t, agent, "desk__list_tickets", args{"tenant": "acme"}); !strings.Contains(said, "paused") {
		t.Errorf("paused, and yet: %s", said)
	}
	b.do(chromedp.Click(`form[action$="/resume"] button`))
	b.until(`!document.querySelector("#stopped .strip")`)
	if said := call(t, agent, "desk__list_tickets", args{"tenant": "acme"}); !strings.Contains(said, "tic_") {
		t.Errorf("resumed, and yet: %s", said)
	}
}
