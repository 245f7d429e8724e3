package card

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"sallyport"
)

const refund = `{"agent":"bot","args":{"amount":250.50,"note":"","to":["acct-9","acct-7"],"tags":[],"more":{}},"effects":["read","pay"],"kind":"tool","method":"tools/call",` +
	`"name":"refund","origins":[{"path":"amount","readers":"public","writer":"user"},{"path":"to[0]","readers":"private","writer":"untrusted"},{"path":"to[1]","readers":"public","writer":"new"}],` +
	`"params":{"inputResponses":{"a":{"action":"accept"}},"name":"refund"},"role":"support","rules":[],"run":"r_1","server":"crm","tenant":"acme","user":"ana","v":1}`

func asked(question string) sallyport.Approval {
	return sallyport.Approval{
		ID: "a_1", State: sallyport.Pending, Question: []byte(question), Digest: sallyport.DigestOf([]byte(question)), Class: sallyport.ClassType, Amount: "250.50",
		Rules: []sallyport.Rule{{ID: "look", File: "p.cedar", Line: 3, Because: "money", Otherwise: "amount is at most 100.0", Ask: []string{"finance", "legal"}}},
		Asked: time.Unix(1000, 0), Expires: time.Unix(2000, 0),
		Origins:  []string{"to[0]: untrusted; crm/tickets c_7 record 2 field body bytes 3-9", "amount: user; the user's words (human)"},
		Findings: []sallyport.Finding{{Scanner: "injection", Rule: "order", Path: "note", Start: 3, End: 9}},
		Answers:  []sallyport.Answer{{Group: "finance", By: "bo", As: "board", At: time.Unix(1500, 0), Proof: "secret"}},
	}
}

// The card says all that is asked, in order, and from the bytes that are bound.
func TestCard(t *testing.T) {
	a := asked(refund)
	a.Principal.Agent = "somebody else" // what counts is what the digest covers
	c, err := New(&a, Around{Words: []Said{{"refund ana", "human"}}, Chain: []Link{{Run: "r_0", Agent: "boss", User: "ana", Task: "refunds"}}, Uncounted: "no database",
		Costs: []Cost{{Limit: "day", Account: "user=ana", Unit: "USD", Takes: "250.5", Left: "100", Cap: "500", Beyond: true}}})
	if err != nil {
		t.Fatal(err)
	}
	want := Card{
		ID: "a_1", State: "pending", Verb: "PAY 250.50 with crm / refund", Act: "PAY", Amount: "250.50", Tool: "crm / refund", Effects: []string{"read", "pay"}, Undo: "What is paid can hardly be had back.", Irreversible: true,
		Class: 2, Takes: "typing the amount, or the number that the agent was told", Agent: "bot", Role: "support", User: "ana", Tenant: "acme", Run: "r_1",
		Words: []Said{{"refund ana", "human"}},
		Arguments: []Argument{
			{Path: "amount", Value: "250.50", Writer: "user", Readers: "public", From: "user; the user's words (human)"},
			{Path: "note", Value: `""`},
			{Path: "to[0]", Value: `"acct-9"`, Writer: "untrusted", Readers: "private", From: "untrusted; crm/tickets c_7 record 2 field body bytes 3-9"},
			{Path: "to[1]", Value: `"acct-7"`, Writer: "unknown", Readers: "public"}, // a word that nobody knows is the weakest
			{Path: "tags", Value: "[]"},
			{Path: "more", Value: "{}"},
		},
		Beside:   []Argument{{Path: "inputResponses.a.action", Value: `"accept"`}},
		Findings: []string{"injection/order in note, bytes 3 to 9"}, Careful: []string{"What it takes of limits can't be told: no database"},
		First: []string{}, Chain: []Link{{Run: "r_0", Agent: "boss", User: "ana", Task: "refunds"}}, Past: Past{Last: []Decision{}},
		Costs: []Cost{{Limit: "day", Account: "user=ana", Unit: "USD", Takes: "250.5", Left: "100", Cap: "500", Beyond: true}},
		Rules: []Rule{{"look", "p.cedar:3", "money", "amount is at most 100.0", []string{"finance", "legal"}}},
		Given: []Yes{{"finance", "bo", "board", time.Unix(1500, 0), "secret"}}, Open: []string{"legal"},
		Asked: time.Unix(1000, 0), Expires: time.Unix(2000, 0), Digest: a.Digest.String(), DigestWords: a.Digest.Words(),
	}
	if !reflect.DeepEqual(c, want) {
		got, _ := json.MarshalIndent(c, "", " ")
		t.Errorf("%s", got)
	}
	text, _ := json.Marshal(c)
	if strings.Contains(string(text), a.Number()) {
		t.Error("the number is on the card: nobody has to look at the agent's end")
	}
}

// What is not what the digest covers makes no card.
func TestCardIsWhatIsBound(t *testing.T) {
	for name, change := range map[string]func(a *sallyport.Approval){
		"other bytes": func(a *sallyport.Approval) { a.Question = []byte(strings.Replace(refund, "250.50", "2.50", 1)) },
		"no bytes":    func(a *sallyport.Approval) { a.Question = nil },
		"no JSON":     func(a *sallyport.Approval) { *a = asked("{") },
		"no object":   func(a *sallyport.Approval) { *a = asked("[]") },
		"two agents":  func(a *sallyport.Approval) { *a = asked(`{"agent":"a","agent":"b"}`) },
	} {
		a := asked(refund)
		change(&a)
		if _, err := New(&a, Around{}); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerbs(t *testing.T) {
	for question, want := range map[string]string{
		`{"effects":["read"],"kind":"tool","name":"x","server":"s"}`:         "READ with s / x",
		`{"effects":["write","read"],"kind":"tool","name":"x","server":"s"}`: "CHANGE DATA with s / x",
		`{"effects":["send"],"kind":"tool","name":"x","server":"s"}`:         "SEND with s / x",
		`{"effects":["delete"],"kind":"tool","name":"x","server":"s"}`:       "DELETE with s / x",
		`{"effects":["access"],"kind":"tool","name":"x","server":"s"}`:       "CHANGE WHO MAY DO WHAT with s / x",
		`{"kind":"tool","name":"x","server":"s"}`:                            "RUN ANYTHING with s / x",
		`{"effects":["read","new"],"kind":"tool","name":"x","server":"s"}`:   "RUN ANYTHING with s / x",
		`{"kind":"resource","name":"s://a","server":"s"}`:                    "READ the resource s / s://a",
		`{"kind":"subscribe","name":"s://a","server":"s"}`:                   "FOLLOW the resource s / s://a",
		`{"kind":"prompt","name":"p","server":"s"}`:                          "GET the prompt s / p",
	} {
		a := asked(question)
		a.Amount = ""
		if c, err := New(&a, Around{}); err != nil || c.Verb != want {
			t.Errorf("%s: %q, %v", question, c.Verb, err)
		}
	}
	params := asked(`{"kind":"resource","name":"a","params":{"uri":"b"},"v":1}`)
	if c, _ := New(&params, Around{}); len(c.Beside) != 1 || c.Beside[0].Value != `"b"` {
		t.Errorf("params that say something else than the name: %+v", c.Beside)
	}
}

func past(args string, state sallyport.ApprovalState) sallyport.Approval {
	a := asked(`{"args":` + args + `}`)
	if a.State = state; state == sallyport.Refused {
		a.By = "cy"
	}
	return a
}

// What was agreed to before is known, and nothing else is.
func TestCardComparesWithThePast(t *testing.T) {
	a := asked(`{"args":{"amount":5,"to":["acct-9","acct-1"]}}`)
	c, err := New(&a, Around{Past: []sallyport.Approval{
		past(`{"amount":7,"to":["acct-2","acct-9"]}`, sallyport.Spent),
		past(`{"amount":5,"to":["acct-1"]}`, sallyport.Refused),
		past(`{"amount":6,"to":["acct-3"]}`, sallyport.Approved),
		past(`{"amount":5}`, sallyport.Expired),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Past; p.Approved != 2 || p.Refused != 1 || p.Expired != 1 || len(p.Last) != 4 || p.Last[1].State != "refused" || p.Last[1].By != "cy" || p.Last[0].By != "bo" ||
		p.Text() != "Of the last 4 like this 2 were agreed to and 1 refused (33 % of the answers); 1 were not answered or not used in time." {
		t.Errorf("%+v: %s", p, p.Text())
	}
	amount, known, stranger := c.Arguments[0], c.Arguments[1], c.Arguments[2]
	if !amount.New || strings.Join(amount.Before, " ") != "7 6" {
		t.Errorf("refused before, and known: %+v", amount)
	}
	if known.New || !stranger.New || strings.Join(stranger.Before, " ") != `"acct-2" "acct-9" "acct-3"` {
		t.Errorf("%+v, %+v", known, stranger)
	}
	first, _ := New(&a, Around{Means: map[string]string{"to[0]": "recipient"}})
	if first.Arguments[0].New || first.Past.Text() != "This is the first question of this agent about this tool." {
		t.Error("without a past nothing is new")
	}
	if len(first.First) != 1 || first.First[0] != `First time: recipient "acct-9"` || first.Arguments[1].Means != "recipient" {
		t.Errorf("%q %+v", first.First, first.Arguments)
	}
	known2, err := New(&a, Around{Means: map[string]string{"to[0]": "recipient", "to[1]": "recipient"}, Past: []sallyport.Approval{past(`{"amount":7,"to":["acct-9"]}`, sallyport.Spent)}})
	if err != nil || len(known2.First) != 1 || known2.First[0] != `First time: recipient "acct-1"` {
		t.Errorf("%q %v", known2.First, err)
	}
	if text := (Past{Expired: 2, Last: make([]Decision, 2)}).Text(); text != "Nobody answered or used any of the last 2 like this." {
		t.Error(text)
	}
}

func cards(questions ...string) []Card {
	var all []Card
	for i, q := range questions {
		a := asked(q)
		a.ID, a.Findings, a.Answers, a.Origins = string(rune('a'+i)), nil, nil, nil
		c, err := New(&a, Around{})
		if err != nil {
			panic(err)
		}
		all = append(all, c)
	}
	return all
}

func ids(groups [][]Card) string {
	var all []string
	for _, g := range groups {
		var one string
		for _, c := range g {
			one += c.ID
		}
		all = append(all, one)
	}
	return strings.Join(all, " ")
}

// Equal questions are together; what stands out is by itself.
func TestGroup(t *testing.T) {
	one := func(args string) string {
		return `{"agent":"bot","args":` + args + `,"effects":["pay"],"kind":"tool","name":"refund","server":"crm","user":"ana"}`
	}
	with := func(old, new string) string { return strings.Replace(one(`{"n":1}`), old, new, 1) }
	for name, c := range map[string]struct {
		cards []Card
		want  string
	}{
		"nothing":           {nil, ""},
		"equal":             {cards(one(`{"n":1}`), one(`{"n":2}`), one(`{"n":2}`)), "abc"},
		"far above":         {cards(one(`{"n":1}`), one(`{"n":900}`), one(`{"n":2}`)), "ac b"},
		"below zero":        {cards(one(`{"n":1}`), one(`{"n":-1}`), one(`{"n":2}`)), "ac b"},
		"another agent":     {cards(one(`{"n":1}`), with("bot", "bob")), "a b"},
		"another user":      {cards(one(`{"n":1}`), with("ana", "bo")), "a b"},
		"another tool":      {cards(one(`{"n":1}`), with("refund", "pay")), "a b"},
		"another argument":  {cards(one(`{"n":1}`), one(`{"m":1}`)), "a b"},
		"an argument more":  {cards(one(`{"n":1}`), one(`{"n":1,"m":1}`)), "a b"},
		"another type":      {cards(one(`{"n":1}`), one(`{"n":"1"}`)), "a b"},
		"fools the eye":     {cards(one(`{"n":"a"}`), one("{\"n\":\"\u202e\"}"), one(`{"n":"b"}`)), "ac b"},
		"something with it": {cards(one(`{"n":1}`), with(`"server"`, `"params":{"task":{}},"server"`)), "a b"},
	} {
		if got := ids(Group(c.cards)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for name, change := range map[string]func(c *Card){
		"found":          func(c *Card) { c.Findings = []string{"secret/key"} },
		"class":          func(c *Card) { c.Class = 3 },
		"rule":           func(c *Card) { c.Rules[0].ID = "other" },
		"place":          func(c *Card) { c.Rules[0].Place = "q.cedar:1" },
		"groups":         func(c *Card) { c.Rules[0].Groups = []string{"board"} },
		"writer":         func(c *Card) { c.Arguments[0].Writer = "untrusted" },
		"readers":        func(c *Card) { c.Arguments[0].Readers = "private" },
		"new":            func(c *Card) { c.Arguments[0].New = true },
		"half answered":  func(c *Card) { c.Given = []Yes{{}} },
		"narrower":       func(c *Card) { c.Narrows = "a_0" },
		"another tenant": func(c *Card) { c.Tenant = "x" },
		"role":           func(c *Card) { c.Role = "x" },
	} {
		pair := cards(one(`{"n":1}`), one(`{"n":1}`))
		if change(&pair[1]); ids(Group(pair)) != "a b" {
			t.Errorf("another %s, and together", name)
		}
	}
	seconded := cards(one(`{"n":1}`), one(`{"n":1}`))
	seconded[0].Given, seconded[1].Given = []Yes{{Group: "finance", By: "bo"}}, []Yes{{Group: "finance", By: "bo"}}
	if got := ids(Group(seconded)); got != "ab" {
		t.Errorf("with the same yes: %q", got)
	}
	for _, y := range []Yes{{Group: "legal", By: "bo"}, {Group: "finance", By: "cy"}, {Group: "finance", By: "bo", As: "board"}} {
		if seconded[1].Given = []Yes{y}; ids(Group(seconded)) != "a b" {
			t.Errorf("together with another yes: %+v", y)
		}
	}
	var many []string
	for range MaxRows + 1 {
		many = append(many, one(`{"n":1}`))
	}
	if got := Group(cards(many...)); len(got) != 2 || len(got[0]) != MaxRows || len(got[1]) != 1 {
		t.Errorf("%d in one look", len(got[0]))
	}
}

// What is the same in all is said once, and what is one question's own beside it:
// nothing is left out, whatever is given.
func TestJoin(t *testing.T) {
	one := func(args string) string {
		return `{"agent":"bot","args":` + args + `,"effects":["pay"],"kind":"tool","name":"refund","server":"crm","user":"ana"}`
	}
	group := cards(one(`{"a":1,"b":"x","c":2}`), one(`{"a":1,"b":"y","c":2}`), one(`{"a":1,"b":"x","c":2}`))
	group[0].Amount, group[1].Amount, group[2].Amount = "0.10", "0.20", "120.70"
	group[2].Arguments[2].From = "another call"
	got := Join(group)
	var own []string
	for _, row := range got.Rows {
		own = append(own, row.ID)
		for _, a := range row.Own {
			own = append(own, a.Path+"="+a.Value)
		}
	}
	if want := `a b="x" c=2 b b="y" c=2 c b="x" c=2`; got.Does != "PAY with crm / refund" || got.Sum != "121" || len(got.Same) != 1 || got.Same[0].Path != "a" || strings.Join(own, " ") != want {
		t.Errorf("%q %q %+v %q", got.Does, got.Sum, got.Same, own)
	}
	for _, amount := range []string{"", "1e9", "many", "-1x"} {
		if group[1].Amount = amount; Join(group).Sum != "" {
			t.Errorf("%q is added up: %s", amount, Join(group).Sum)
		}
	}
	odd := cards(one(`{"a":1}`), one(`{"a":1,"b":2}`), one(`{"b":1}`)) // Group never puts these together
	if got := Join(odd); len(got.Same) != 0 || len(got.Rows[0].Own) != 1 || len(got.Rows[1].Own) != 2 || got.Rows[2].Own[0].Path != "b" {
		t.Errorf("%+v", got)
	}
	if got := Join(nil); len(got.Rows) != 0 {
		t.Errorf("%+v", got)
	}
}
