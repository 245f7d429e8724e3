package console

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"sallyport/test/rig"
)

// telling is a story on its way.
type telling struct {
	*gate
	story
	t      *testing.T
	bank   *bank
	client rig.Client
	people map[string]*person
	life   int // how often the gateway was started again

	id, words, number string   // of the question, as the agent was told
	ran               []string // what has to have happened at the bank so far
}

// person is somebody with a browser.
type person struct {
	*browser
	life int // of the gateway, in which they have logged in
}

// step is what happens next.
type step func(*telling)

// tell tells a story on a gateway of its own. After each step the bank has done what
// it should have, and nothing else; in the end that is on the record.
func (row story) tell(t *testing.T, client string, restarts bool) {
	b := &bank{}
	b.Upstream = rig.NewUpstream(bankTools, b.call)
	url, stop := rig.Serve(b)
	t.Cleanup(stop)
	s := &telling{story: row, t: t, bank: b, client: rig.Client{Script: client}, people: map[string]*person{}}
	s.gate = begin(t, 1, map[string]string{
		"sallyport.yaml":    fmt.Sprintf(bankConfig, url, row.expire),
		"policy/bank.cedar": bankPolicy,
	})
	for i, next := range row.steps {
		if i > 0 && restarts {
			s.restart(t)
			s.life++
		}
		next(s)
		if did := s.bank.did(); !slices.Equal(did, s.ran) {
			t.Fatalf("after step %d the bank did %q, not %q", i+1, did, s.ran)
		}
	}
	var entries []struct{ Type string }
	if err := json.Unmarshal([]byte(s.sallyport(t, "log", "query", "--limit", "0", "-o", "json")), &entries); err != nil {
		t.Fatal(err)
	}
	intents := 0
	for _, e := range entries {
		if e.Type == "intent" {
			intents++
		}
	}
	if intents != len(s.ran) {
		t.Errorf("%d intents are on the record, and the bank did %q", intents, s.ran)
	}
	s.sallyport(t, "log", "verify")
}

// does has the client make the call.
func (s *telling) does() rig.Answer {
	s.t.Helper()
	answers, err := s.client.Do(s.t.Context(), rig.Target{URL: "http://" + s.Agent + "/mcp"}, s.call)
	if err != nil {
		s.t.Fatal(err)
	}
	return answers[0]
}

var waiting = regexp.MustCompile(`Waiting for approval (a_\w+) \(([a-z-]+)\) by [a-z ]+\.(?: Show the user this number, .*: (\d{4})\.)?`)

// held: the client is told that people are asked.
func held(s *telling) {
	s.t.Helper()
	said := s.does()
	told := waiting.FindStringSubmatch(said.Text)
	if told == nil || !said.OK {
		s.t.Fatalf("not held: %+v", said)
	}
	s.id, s.words, s.number = told[1], told[2], told[3]
}

// asksAnew: the same call is another question.
func asksAnew(s *telling) {
	s.t.Helper()
	before := s.id
	if held(s); s.id == before {
		s.t.Fatal("it is the question that was there before")
	}
}

// stillWaits: the same call is the same question.
func stillWaits(s *telling) {
	s.t.Helper()
	id, words, number := s.id, s.words, s.number
	if held(s); s.id != id || s.words != words || s.number != number {
		s.t.Fatalf("it is another question: %s (%s) %s, not %s (%s) %s", s.id, s.words, s.number, id, words, number)
	}
}

// runs: the same call goes through.
func runs(s *telling) {
	s.t.Helper()
	if said := s.does(); !said.OK || said.Text != "The bank did it." {
		s.t.Fatalf("agreed to, and yet: %+v", said)
	}
	s.ran = append(s.ran, deed(s.call))
}

// refused: the same call is refused, and the client hears why.
func refused(why string) step {
	return func(s *telling) {
		s.t.Helper()
		if said := s.does(); said.OK || !strings.Contains(said.Text, why) {
			s.t.Fatalf("the agent does not hear %q: %+v", why, said)
		}
	}
}

// turnedAway: the client does not find the tool any more, or is not let in.
func turnedAway(s *telling) {
	s.t.Helper()
	if said := s.does(); said.OK || !strings.Contains(said.Text, "not found") && !strings.Contains(said.Text, "killed by the operator") {
		s.t.Fatalf("the agent hears %+v", said)
	}
}

// instead: the client goes on with another call.
func instead(c rig.Call) step { return func(s *telling) { s.call = c } }

// at is a person who has logged in since the gateway was started last.
func (s *telling) at(who string) *person {
	s.t.Helper()
	p := s.people[who]
	if p == nil {
		if who != "operator" {
			s.enroll(s.t, who)
		}
		p = &person{browser: openBrowser(s.t, 1280, 900), life: -1}
		s.people[who] = p
	}
	if p.life != s.life {
		p.logIn(s.gate, who)
		p.life = s.life
	}
	return p
}

func (s *telling) page() string { return s.origin + "/console/approvals/" + s.id }

// reads: a person finds the question among those that wait, and reads its card.
func reads(who string) step {
	return func(s *telling) {
		s.t.Helper()
		p := s.at(who)
		p.open(s.origin + "/console/approvals")
		link := `#waiting a[href="/console/approvals/` + s.id + `"]`
		p.shows(link)
		p.do(chromedp.Click(link))
		s.onCard(p)
	}
}

// onCard looks whether the card says what there is to decide, in the words that the
// agent was told, and has no at hand.
func (s *telling) onCard(p *person) {
	s.t.Helper()
	p.shows("[data-deny]")
	card := p.text()
	for _, wanted := range s.sees {
		if !strings.Contains(card, wanted) {
			s.t.Errorf("the card does not say %q:\n%s", wanted, card)
		}
	}
	var shown string
	p.evaluate(`document.querySelector(".fingerprint").innerText`, &shown)
	if shown != s.words {
		s.t.Errorf("the card says %q, the agent was told %q", shown, s.words)
	}
	p.until(`document.activeElement.textContent === "Deny"`)
}

// facing is a person who has the card before them. One who read it before the gateway
// was started again has to log in again: what they press until then counts nothing.
func (s *telling) facing(who string) *person {
	s.t.Helper()
	p := s.people[who]
	if p != nil && p.life != s.life {
		p.do(chromedp.Click("[data-deny]"))
		p.says("log in again")
	}
	if p == nil || p.life != s.life {
		p = s.at(who)
		p.open(s.page())
		s.onCard(p)
	}
	return p
}

// theNumber is typed as the agent was told it.
const theNumber = "the number"

// approves presses Approve, once what that takes is typed.
func (s *telling) approves(p *person, typed string) {
	s.t.Helper()
	if typed == theNumber {
		typed = s.number
	}
	if typed != "" {
		p.do(chromedp.SetValue("input[name=typed][data-approve]", typed))
	}
	p.do(chromedp.Click("button.main", chromedp.NodeVisible))
}

// yes: a person agrees, and the call may go through.
func yes(who, typed string) step {
	return func(s *telling) {
		s.t.Helper()
		p := s.facing(who)
		s.approves(p, typed)
		p.shows("#decision .tag.approved")
	}
}

// firstYes: a person agrees, and that is not enough.
func firstYes(who, typed string) step {
	return func(s *telling) {
		s.t.Helper()
		p := s.facing(who)
		s.approves(p, typed)
		p.until(`document.querySelector("#decision").innerText.includes("` + who + ` for finance")`)
		p.shows("#decision [data-deny]")
	}
}

// yesRefused: a person's yes does not count.
func yesRefused(who, typed string) step {
	return func(s *telling) {
		s.t.Helper()
		p := s.facing(who)
		s.approves(p, typed)
		p.until(`[...document.querySelectorAll("#decision [role=alert]")].some(e => e.textContent)`)
		p.open(s.page())
		s.onCard(p)
	}
}

// no: a person refuses, and says why.
func no(who, why string) step {
	return func(s *telling) {
		s.t.Helper()
		p := s.facing(who)
		p.do(chromedp.SetValue("input[name=reason]", why), chromedp.Click("[data-deny]"))
		p.shows("#decision .tag.refused")
	}
}

// silence: nobody answers in time, and then it is too late.
func silence(who string) step {
	return func(s *telling) {
		s.t.Helper()
		p := s.people[who]
		p.until(`document.querySelector("time[data-until]").textContent === "over"`)
		if p.life == s.life {
			s.approves(p, "150")
			p.until(`[...document.querySelectorAll("#decision [role=alert]")].some(e => e.textContent)`)
		}
		over(who, "expired")(s)
	}
}

// runsOut: a yes is used too late.
func runsOut(s *telling) {
	s.t.Helper()
	var asked struct{ Expires time.Time }
	if err := json.Unmarshal([]byte(s.sallyport(s.t, "approvals", "show", s.id, "-o", "json")), &asked); err != nil || asked.Expires.IsZero() {
		s.t.Fatalf("when it expires: %v, %v", asked, err)
	}
	time.Sleep(time.Until(asked.Expires))
}

// over: a person sees that there is nothing to answer any more.
func over(who, state string) step {
	return func(s *telling) {
		s.t.Helper()
		p := s.at(who)
		p.open(s.page())
		p.shows("#decision .tag." + state)
		var forms int
		p.evaluate(`document.querySelectorAll("form[data-act]").length`, &forms)
		if forms != 1 { // to log out
			s.t.Errorf("%d forms are on the card of a question that is over", forms)
		}
	}
}

// less: a person agrees to less.
func less(who string, narrower rig.Call, typed string) step {
	return func(s *telling) {
		s.t.Helper()
		p := s.facing(who)
		text, _ := json.Marshal(narrower.Args)
		form := "form[action$=narrow] "
		p.opens(form)
		p.do(chromedp.SetValue(form+"textarea", string(text)), chromedp.SetValue(form+"input[name=typed]", typed), chromedp.Click(form+"button"))
		p.shows("#decision .tag.approved")
		p.open(s.page())
		p.shows("#decision .tag.refused")
	}
}

// opens unfolds the part of a page in which something is.
func (b *browser) opens(selector string) {
	b.t.Helper()
	b.do(chromedp.Evaluate(`document.querySelector("`+selector+`").closest("details").open = true`, nil))
}

// grants: a person agrees to payments up to most, for a while, once they have seen
// what that would have done.
func grants(who, most, typed string) step {
	return func(s *telling) {
		s.t.Helper()
		p := s.facing(who)
		form := "form[action$=grant] "
		p.opens(form)
		p.do(chromedp.SetValue(form+`select[name="free amount"]`, "most"), chromedp.SetValue(form+`input[name="value amount"]`, most), chromedp.Click(form+`button[value=""]`))
		p.until(`document.querySelector("` + form + `output").textContent.includes("` + most + `")`)
		p.do(chromedp.SetValue(form+"input[name=typed]", typed), chromedp.Click(form+`button[value="yes"]`))
		p.shows("#grants .tag.good")
	}
}

// revokes: a person ends the one grant that there is.
func revokes(who string) step {
	return func(s *telling) {
		s.t.Helper()
		p := s.at(who)
		p.open(s.origin + "/console/grants")
		p.do(chromedp.Click("form[action$=revoke] button"))
		p.until(`!document.querySelector("#grants .tag.good")`)
	}
}

// kills: a person kills the agent.
func kills(who string) step {
	return func(s *telling) {
		s.t.Helper()
		p := s.at(who)
		p.open(s.origin + "/console/")
		p.do(chromedp.SetValue("select[name=Scope]", "agent tester"), chromedp.SetValue("input[name=Typed]", "agent tester"), chromedp.Click("button.stop"))
		p.shows("form[action$=resume]")
	}
}

// resumes: a person lets the agent go on.
func resumes(who string) step {
	return func(s *telling) {
		s.t.Helper()
		p := s.at(who)
		p.open(s.origin + "/console/")
		p.do(chromedp.Click("form[action$=resume] button"))
		p.until(`!!document.querySelector("#stop") && !document.querySelector("form[action$=resume]")`)
	}
}

// passkey: a person enrols one.
func passkey(who string) step {
	return func(s *telling) {
		s.t.Helper()
		p := s.at(who)
		p.authenticator()
		p.open(s.origin + "/console/account")
		p.do(chromedp.SetValue("form input[name=secret]", secretOf(who)), chromedp.Click("button.main"))
		p.until(`document.body.innerText.includes("1 passkey is enrolled")`)
	}
}

// tightens: a rule more is in force.
func tightens(rule string) step {
	return func(s *telling) {
		s.t.Helper()
		before := s.sallyport(s.t, "policy", "status", "-o", "json")
		s.write(s.t, "policy/tighter.cedar", rule)
		s.wait(s.t, "the tighter policy", func() bool { return s.sallyport(s.t, "policy", "status", "-o", "json") != before })
	}
}

// redefines: the bank's tool says something else of itself than people know.
func redefines(s *telling) {
	s.t.Helper()
	s.bank.Offer(strings.Replace(bankTools, `"Pays."`, `"Pays, and tells nobody."`, 1))
	s.wait(s.t, "the bank to be quarantined", func() bool { return s.waits(s.t, "bank") > 0 })
}

// accepts: the operator reads what the bank says now, and accepts it.
func accepts(s *telling) {
	s.t.Helper()
	p := s.at("operator")
	p.open(s.origin + "/console/servers/bank")
	if text := p.text(); !strings.Contains(text, "Pays, and tells nobody.") {
		s.t.Errorf("what is accepted is not shown:\n%s", text)
	}
	p.do(chromedp.Click("form[action$=accept] button.main"))
	p.until(`!document.querySelector("form[action$=accept]")`)
}
