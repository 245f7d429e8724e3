package console

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"sallyport/test/rig"
)

// Calls that are held, from end to end: a client that others wrote makes one against
// the built gateway, people read its card in a browser and answer, the client comes
// again, and the bank behind it counts. Each story is told twice: at a stretch, and
// with the gateway killed and started again between each step and the next.
func TestHeldCalls(t *testing.T) {
	needsBrowser(t)
	for _, row := range stories {
		t.Run(row.name+"/inspector", func(t *testing.T) {
			t.Parallel()
			row.tell(t, "inspector", false)
		})
		t.Run(row.name+"/openai-agents, killed between the steps", func(t *testing.T) {
			t.Parallel()
			row.tell(t, "openai-agents", true)
		})
	}
}

// story is one held call and what comes of it.
type story struct {
	name   string
	call   rig.Call
	sees   []string // what a person reads on its card
	expire string   // of the question
	steps  []step
}

var stories = []story{
	{"agreed to by a tap", note("Closed on Friday"), []string{"CHANGE DATA with bank / note", "Closed on Friday", "notes-asked", "class 1"}, "1h",
		[]step{held, reads("maren"), yes("maren", ""), runs, asksAnew}},
	{"agreed to with the amount", pay(150), payment, "1h",
		[]step{held, reads("maren"), yesRefused("maren", "151"), stillWaits, yes("maren", "150"), runs, asksAnew}},
	{"agreed to with the number", mail("ana@corp.example"), []string{"SEND with bank / mail", "ana@corp.example", "mail-asked", "class 2"}, "1h",
		[]step{held, reads("maren"), yesRefused("maren", "yes"), yes("maren", theNumber), runs, asksAnew}},
	{"agreed to by two with passkeys", pay(5000), []string{"PAY 5000", "cus_1013", "class 3", "can't be undone"}, "1h",
		[]step{passkey("maren"), passkey("curtis"), held, reads("maren"), firstYes("maren", "5000"), stillWaits,
			yesRefused("maren", "5000"), reads("curtis"), yes("curtis", "5000"), runs, asksAnew}},
	{"refused", pay(150), payment, "1h",
		[]step{held, reads("maren"), no("maren", "Paid by bank already"), refused("Paid by bank already")}},
	{"not answered", pay(150), payment, "1m",
		[]step{held, reads("maren"), silence("maren"), refused("nobody of finance answered in time"), asksAnew}},
	{"agreed to too late", pay(150), payment, "1m",
		[]step{held, reads("maren"), yes("maren", "150"), runsOut, refused("was not used in time")}},
	{"agreed to in part", pay(150), payment, "1h",
		[]step{held, reads("maren"), less("maren", pay(120), "120"), refused(`{"amount":120,"to":"cus_1013"}`), instead(pay(120)), runs, asksAnew,
			instead(pay(150)), refused("people agree to less than this")}},
	{"agreed to for a while", pay(150), payment, "1h",
		[]step{held, reads("maren"), grants("maren", "160", "150"), runs, instead(pay(140)), runs, instead(pay(170)), asksAnew, revokes("maren"), instead(pay(130)), asksAnew}},
	{"killed", pay(150), payment, "1h",
		[]step{held, reads("maren"), kills("maren"), turnedAway, over("maren", "refused"), resumes("operator"),
			refused("killed by the operator")}},
	{"forbidden before the answer", pay(150), payment, "1h",
		[]step{held, reads("maren"), tightens(nobodyPays), yes("maren", "150"), refused("Nobody pays this week")}},
	{"forbidden before the retry", pay(150), payment, "1h",
		[]step{held, reads("maren"), yes("maren", "150"), tightens(nobodyPays), refused("Nobody pays this week")}},
	{"others are asked, too, before the answer", pay(150), payment, "1h",
		[]step{held, reads("maren"), tightens(securityToo), yes("maren", "150"), asksAnew, reads("maren"), firstYes("maren", "150"), stillWaits,
			reads("tess"), yes("tess", "150"), runs}},
	{"others are asked, too, before the retry", pay(150), payment, "1h",
		[]step{held, reads("maren"), yes("maren", "150"), tightens(securityToo), asksAnew}},
	{"the tool becomes another before the answer", pay(150), payment, "1h",
		[]step{held, reads("maren"), redefines, yes("maren", "150"), turnedAway}},
	{"the tool becomes another before the retry", pay(150), payment, "1h",
		[]step{held, reads("maren"), yes("maren", "150"), redefines, turnedAway, accepts, asksAnew}},
	{"other arguments", pay(150), payment, "1h",
		[]step{held, reads("maren"), yes("maren", "150"), instead(pay(151)), asksAnew, instead(pay(150)), runs}},
}

// What the agent calls, and what people are asked about.
func note(text string) rig.Call {
	return rig.Call{Tool: "bank__note", Args: args{"text": text}}
}
func mail(to string) rig.Call { return rig.Call{Tool: "bank__mail", Args: args{"to": to}} }
func pay(amount int) rig.Call {
	return rig.Call{Tool: "bank__pay", Args: args{"amount": amount, "to": "cus_1013"}}
}

var payment = []string{"PAY 150 with bank / pay", "cus_1013", "payments-asked", "Finance decides about payments over 100.", "tester", "ana", "class 2", "can't be undone"}

const bankTools = `[
	{"name":"note","description":"Writes a note.","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}},
	{"name":"mail","description":"Sends a mail.","inputSchema":{"type":"object","properties":{"to":{"type":"string"}}}},
	{"name":"pay","description":"Pays.","inputSchema":{"type":"object","properties":{"amount":{"type":"number"},"to":{"type":"string"}},"required":["amount","to"]}}]`

const bankPolicy = `
@id("all") permit (principal, action, resource);
@id("notes-asked") @ask("finance") forbid (principal, action == Action::"bank/tool:note", resource);
@id("mail-asked") @ask("finance") forbid (principal, action == Action::"bank/tool:mail", resource);
@id("payments-asked") @ask("finance") @because("Finance decides about payments over 100.")
forbid (principal, action == Action::"bank/tool:pay", resource) when { context.input.amount.greaterThan(decimal("100.0")) };
`

const (
	nobodyPays = `@id("nobody-pays") @because("Nobody pays this week.")
forbid (principal, action == Action::"bank/tool:pay", resource) when { context.input.amount.greaterThan(decimal("0.0")) };`
	securityToo = `@id("security-asked") @ask("security") @because("Security looks at payments, too.")
forbid (principal, action == Action::"bank/tool:pay", resource);`
)

const bankConfig = `listen: $LISTEN
policy: [policy]
pin: trust-first-use
servers: {bank: {url: %q, effects: {note: write, mail: send, pay: pay}}}
tenants: [acme]
users:
  ana: {tenant: acme}
  maren: {tenant: acme, groups: [finance]}
  curtis: {tenant: acme, groups: [finance]}
  tess: {tenant: acme, groups: [security]}
roles: [tester]
agents: {tester: {role: tester, for: ana, tenant: acme}}
listeners: [{address: "127.0.0.1:0", agent: tester}]
approvals: {large: "1000", expire: %s}
`

// bank is a server that remembers what it did.
type bank struct {
	*rig.Upstream
	mu   sync.Mutex
	done []string
}

func (b *bank) call(_ context.Context, params json.RawMessage) string {
	var named struct {
		Name      string
		Arguments args
	}
	_ = json.Unmarshal(params, &named)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = append(b.done, deed(rig.Call{Tool: named.Name, Args: named.Arguments}))
	return `{"content":[{"type":"text","text":"The bank did it."}]}`
}

func (b *bank) did() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.done)
}

// deed is what a call comes to at the bank.
func deed(c rig.Call) string {
	text, _ := json.Marshal(c.Args)
	return strings.TrimPrefix(c.Tool, "bank__") + string(text)
}
