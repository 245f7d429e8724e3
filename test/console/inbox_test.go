package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// asks makes calls that are held, and returns the ids of their questions, by
// amount, and the number that the agent was told of each.
func (g *gate) asks(t testing.TB, s *mcp.ClientSession, amounts ...float64) (ids, numbers map[float64]string) {
	t.Helper()
	ids, numbers = map[float64]string{}, map[float64]string{}
	for _, amount := range amounts {
		ids[amount] = g.ask(t, s, amount)
		result, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "desk__issue_refund", Arguments: refund(amount)})
		if err != nil {
			t.Fatal(err)
		}
		told, _ := json.Marshal(result.Meta["sallyport/decision"])
		var decision struct{ Approval, Number string }
		if err := json.Unmarshal(told, &decision); err != nil || decision.Approval != ids[amount] {
			t.Fatalf("the agent is told %s", told)
		}
		numbers[amount] = decision.Number
	}
	return ids, numbers
}

// states are what became of questions.
func (g *gate) states(t testing.TB, ids map[float64]string) string {
	t.Helper()
	var all []string
	for _, amount := range slices.Sorted(maps.Keys(ids)) {
		var q struct{ State string }
		if err := json.Unmarshal([]byte(g.sallyport(t, "approvals", "show", ids[amount], "-o", "json")), &q); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(amount, " ", q.State))
	}
	return strings.Join(all, ", ")
}

// look takes a picture where the environment wants one, to be looked at.
func (b *browser) look(name string) {
	if dir := os.Getenv("SALLYPORT_LOOK"); dir != "" {
		b.picture(filepath.Join(dir, name+".jpg"))
	}
}

// Equal questions are one card: the one that stands out is by itself, one is left
// out, and one is answered elsewhere meanwhile. Each of the others takes its own
// number, and runs once.
func TestEqualTogether(t *testing.T) {
	needsBrowser(t)
	g := start(t, "")
	agent := g.agent(t, "support-bot")
	ids, numbers := g.asks(t, agent, 110.31, 120.32, 130.33, 140.34, 900)
	b := openBrowser(t, 1280, 900)
	b.logIn(g, "operator")
	b.open(g.origin + "/console/approvals")
	var lines int
	b.evaluate(`document.querySelectorAll("#waiting .item").length`, &lines)
	if lines != 2 {
		t.Errorf("%d cards wait, want the equal ones and the one that stands out: %s", lines, b.text())
	}
	b.accessible("approvals")
	b.look("inbox")
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"), chromedp.WaitVisible("#together"))
	if page := b.text(); strings.Contains(page, "900") || !strings.Contains(page, "add up to 501.3") {
		t.Errorf("the card says\n%s", page)
	}
	b.accessible("equal")
	b.look("equal-desktop-light")
	b.dark(true)
	b.accessible("equal, dark")
	b.look("equal-dark")
	b.dark(false)
	row := func(amount float64) string { return "#row-" + ids[amount] }
	typed := func(amount float64) string { return row(amount) + " input:not([type=checkbox])" }
	b.do(chromedp.Click(row(110.31) + " input[type=checkbox]"))
	b.until(`document.querySelector("button.main [data-chosen]").textContent === "3"`)
	// One is refused elsewhere, and leaves the card by itself while something is typed.
	b.do(chromedp.SendKeys(typed(120.32), "12"))
	g.sallyport(t, "approvals", "deny", ids[140.34], "--reason", "paid by bank", "--secret-file", g.path("operator.secret"))
	b.until(`document.querySelector("` + row(140.34) + `").classList.contains("gone")`)
	b.until(`document.querySelector("button.main [data-chosen]").textContent === "2"`)
	// A number answers one question; Enter goes on to the next and answers nothing.
	b.do(chromedp.SetValue(typed(120.32), numbers[120.32]), chromedp.SetValue(typed(130.33), numbers[120.32]), chromedp.SendKeys(typed(120.32), "\r"))
	b.do(chromedp.Click("button.main"))
	b.says("1 of 2 not answered")
	b.until(`document.querySelector("` + row(130.33) + ` .outcome").textContent.includes("neither the amount nor the number")`)
	b.look("equal-partly")
	b.until(`document.querySelector("button.main [data-chosen]").textContent === "1"`)
	b.do(chromedp.SetValue(typed(130.33), "130.33"), chromedp.Click("button.main"))
	b.shows("#waiting")
	if states := g.states(t, ids); states != "110.31 pending, 120.32 approved, 130.33 approved, 140.34 refused, 900 pending" {
		t.Error(states)
	}
	for _, c := range []struct {
		amount float64
		want   string
	}{{110.31, "Waiting for approval"}, {140.34, "paid by bank"}, {900, "Waiting for approval"}, {120.32, "ref_"}} {
		if said := call(t, agent, "desk__issue_refund", refund(c.amount)); !strings.Contains(said, c.want) {
			t.Errorf("%v: %s", c.amount, said)
		}
	}
	if call(t, agent, "desk__issue_refund", refund(120.32)); refunds(t, agent) != 1 {
		t.Errorf("%d refunds", refunds(t, agent))
	}
}

// In the highest class one signature of each of two people covers the card, and
// what is exchanged behind it is answered by none.
func TestEqualTogetherSigned(t *testing.T) {
	needsBrowser(t)
	g := start(t, "approvals: {large: \"300\"}\n", "maren", "curtis")
	agent := g.agent(t, "support-bot")
	ids, _ := g.asks(t, agent, 310, 320, 330)
	page := g.origin + "/console/approvals/" + ids[310] + "/equal"
	for i, who := range []string{"maren", "curtis"} {
		b := openBrowser(t, 1280, 900)
		b.authenticator()
		b.logIn(g, who)
		b.open(g.origin + "/console/account")
		b.do(chromedp.SendKeys("main input[name=secret]", secretOf(who)), chromedp.Click("button.main"))
		b.until(`document.body.innerText.includes("1 passkey is enrolled")`)
		b.open(page)
		for amount, id := range ids {
			b.do(chromedp.SetValue("#row-"+id+" input:not([type=checkbox])", strings.TrimSuffix(jsonOf(amount), ".0")))
		}
		if i == 0 { // another question in the place of one that was shown
			other := g.ask(t, agent, 340)
			b.do(chromedp.Evaluate(`{const r = document.querySelector("#row-`+ids[330]+` input"); r.name = "row `+other+`"; document.querySelector("#row-`+ids[330]+` input:not([type=checkbox])").name = "typed `+other+`"}`, nil),
				chromedp.Click("button.main"))
			b.says("exactly what was shown")
			g.sallyport(t, "approvals", "deny", other, "--as", who, "--reason", "not this", "--secret-file", g.path(who+".secret"))
			b.open(page)
			for amount, id := range ids {
				b.do(chromedp.SetValue("#row-"+id+" input:not([type=checkbox])", strings.TrimSuffix(jsonOf(amount), ".0")))
			}
		}
		b.do(chromedp.Click("button.main"))
		if i == 0 {
			b.until(`[...document.querySelectorAll(".outcome")].filter(e => e.textContent.includes("waits for")).length === 3`)
			if said := call(t, agent, "desk__issue_refund", refund(320)); !strings.Contains(said, "Waiting for approval") {
				t.Fatalf("one person was enough: %s", said)
			}
		} else {
			b.shows("#waiting")
		}
	}
	if states := g.states(t, ids); states != "310 approved, 320 approved, 330 approved" {
		t.Error(states)
	}
	if said := call(t, agent, "desk__issue_refund", refund(320)); strings.Contains(said, "Waiting") || strings.Contains(said, "Refused") {
		t.Errorf("agreed to by two, and yet: %s", said)
	}
}

// In the highest class a no takes nothing more than a login; less is agreed to with
// the passkeys of two.
func TestLessSigned(t *testing.T) {
	needsBrowser(t)
	g := start(t, "approvals: {large: \"300\"}\n", "maren", "curtis")
	agent := g.agent(t, "support-bot")
	id := g.ask(t, agent, 350)
	less, _ := json.Marshal(refund(320))
	for i, who := range []string{"maren", "curtis"} {
		b := openBrowser(t, 1280, 900)
		b.authenticator()
		b.logIn(g, who)
		b.open(g.origin + "/console/account")
		b.do(chromedp.SendKeys("main input[name=secret]", secretOf(who)), chromedp.Click("button.main"))
		b.until(`document.body.innerText.includes("1 passkey is enrolled")`)
		b.open(g.origin + "/console/approvals/" + id)
		if i == 0 {
			b.look("signed")
			if page := b.text(); !strings.Contains(page, "there is no grant for this") {
				t.Errorf("the card says\n%s", page)
			}
			b.do(chromedp.KeyEvent("n"))
			b.shows("#say-less textarea")
			b.do(chromedp.SetValue("textarea", string(less)), chromedp.SetValue("#say-less input[name=typed]", "320"), chromedp.Click("#say-less button"))
			b.until(`location.pathname !== "/console/approvals/` + id + `"`)
			id = g.waiting(t, "issue_refund")
			continue
		}
		b.do(chromedp.SetValue("#say-yes input[name=typed]", "320"), chromedp.Click("#say-yes button"))
		b.shows("#decision .tag.approved")
	}
	if said := call(t, agent, "desk__issue_refund", refund(350)); !strings.Contains(said, "320") {
		t.Errorf("the agent hears %s", said)
	}
	if said := call(t, agent, "desk__issue_refund", refund(320)); strings.Contains(said, "Waiting") || strings.Contains(said, "Refused") {
		t.Errorf("agreed to by two, and yet: %s", said)
	}
	refused := g.ask(t, agent, 360)
	b := openBrowser(t, 1280, 900)
	b.logIn(g, "maren")
	b.open(g.origin + "/console/approvals/" + refused)
	b.do(chromedp.Click("[data-deny]"))
	b.shows("#decision .tag.refused")
}

// A no ends the run where a person wants it to: it does nothing any more.
func TestDenyAndEnd(t *testing.T) {
	needsBrowser(t)
	g := start(t, "")
	agent := g.inRun(t, "support-bot", "Look after order ord_4037.")
	id := g.ask(t, agent, 150)
	b := openBrowser(t, 390, 844)
	b.logIn(g, "operator")
	b.open(g.origin + "/console/approvals")
	b.until(`document.querySelector("#waiting time")?.textContent.includes("left")`) // the script has begun
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("d"))
	b.until(`location.pathname === "/console/approvals/` + id + `" && document.activeElement.textContent === "Deny"`)
	b.look("card-phone")
	b.accessible("approval")
	b.do(chromedp.SetValue("#say-no input[name=reason]", "It was talked into this"), chromedp.Click("#say-no summary"))
	b.shows("#say-no button.stop")
	b.do(chromedp.Click("#say-no button.stop"))
	b.shows("#decision .tag.refused")
	if said := call(t, agent, "desk__list_tickets", args{"tenant": "acme"}); strings.Contains(said, "tic_") {
		t.Errorf("its run goes on: %s", said)
	}
	log := g.sallyport(t, "log", "query", "-o", "json", "--limit", "50")
	for _, wanted := range []string{"approval refused " + id, "It was talked into this", "console kill k_"} {
		if !strings.Contains(log, wanted) {
			t.Errorf("the log does not have %q", wanted)
		}
	}
}

// What a grant answers, what is used up and what is closed leaves the inbox by
// itself.
func TestInboxEmptiesItself(t *testing.T) {
	needsBrowser(t)
	g := start(t, "")
	agent := g.agent(t, "support-bot")
	ids, _ := g.asks(t, agent, 110, 120)
	b := openBrowser(t, 1280, 900)
	b.logIn(g, "operator")
	b.open(g.origin + "/console/approvals")
	b.shows(`#waiting .item[href$="/equal"]`)
	g.sallyport(t, "grants", "make", ids[110], "--most", "amount=130", "--typed", "110", "--secret-file", g.path("operator.secret"))
	b.shows("#waiting .empty")
	b.until(`!document.querySelector("nav .count")`)
	if said := call(t, agent, "desk__issue_refund", refund(120)); !strings.Contains(said, "ref_") {
		t.Errorf("granted, and yet: %s", said)
	}
	var grants []struct{ ID string }
	if err := json.Unmarshal([]byte(g.sallyport(t, "grants", "list", "-o", "json")), &grants); err != nil || len(grants) != 1 {
		t.Fatalf("%v %v", grants, err)
	}
	g.ask(t, agent, 140) // beyond it
	b.shows("#waiting .item")
	g.sallyport(t, "grants", "revoke", grants[0].ID, "--secret-file", g.path("operator.secret"))
	b.until(`document.querySelectorAll("#waiting .item").length === 1`) // and what it answered is done
}

func jsonOf(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}
