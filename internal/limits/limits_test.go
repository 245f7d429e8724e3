package limits

import (
	"strings"
	"testing"
	"time"

	"sallyport"
)

func TestExpressions(t *testing.T) {
	input := sallyport.MustParse(`{"amount":49.90,"text":"0.1","cents":4990,"quantity":3,"price":0.1,"to":["a@x.example","b@x.example"],"cc":null,
		"one":"a@x.example; b@x.example,c@x.example","name":"a@x.example b@x.example","items":[{"amount":0.1},{"amount":0.2}],"broken":[{"amount":1},{}],"odd name":7,
		"negative":-5,"thousands":"1.000","cent":"1.25","mills":1.000,"list":[1],"big":1e30,"nested":{"deep":{"amount":2}},"flag":true,"lines":[[1,2],[3]]}`)
	result := sallyport.MustParse(`{"structuredContent":{"rows":[{},{},{}]},"_meta":{"cost":0.0123}}`)
	for text, want := range map[string]string{
		"input.amount": "49.9", "input.quantity * input.price": "0.3", "input.cents / 100": "49.9", "(input.amount + 0.10) * 2": "100",
		"sum(input.items.amount)": "0.3", "count(input.to) + count(input.cc) + count(input.bcc)": "2", "count(input.one)": "3", "count(input.name)": "2",
		`input["odd name"]`: "7", "or(input.limit, 100)": "100", "or(input.quantity, 100)": "3", "or(input.cc, 5)": "5", "max(1, input.quantity, 2)": "3",
		"min(5, input.quantity)": "3", "input.nested.deep.amount": "2", "count(input.lines)": "3", "sum(input.lines)": "6", "input.list": "1",
		"input.text": "0.1", "input.cent": "1.25", "input.mills": "1", "count(result.structuredContent.rows)": "3", "result._meta.cost": "0.0123", "bytes(input.list)": "1", "0.02": "0.02",
		"10 - input.quantity": "7", "bytes(result._meta)": "15",
	} {
		e, err := ParseExpression(text, "input", "result")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := e.amount(named{input, result}); err != nil || got.String() != want {
			t.Errorf("%s is %s (%v), want %s", text, got, err, want)
		}
	}
	for _, text := range []string{ // have no amount, and so are refused
		"input.missing", "input.to", "input.thousands", "sum(input.thousands)", "input.broken.amount + 0", "sum(input.broken.amount)", "input.negative", "input.big", "input.flag", "input.cc",
		"input.quantity / 0", "1 - input.quantity", "or(input.flag, 1)", "sum(input.missing)", "sum(input.to)", "input.name", "input.nested", "input.amount.amount",
	} {
		e, err := ParseExpression(text, "input")
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got, err := e.amount(named{input: input}); err == nil {
			t.Errorf("%s is %s", text, got)
		}
	}
	for _, text := range []string{
		"", "input.", "output.amount", "result.x", "input.amount % 2", "input[0]", "os.Exit(1)", "func() {}()", "count(1)", "sum(1)", "or(1, 2)", "max()", "bytes(1, 2)",
		"sum(input.a, input.b)", "-input.amount", "0x10", "1_000", "'a'", `"a"`, "input.amount > 1", "input.a.b()", "eval(input.a)", "1e999999", "!input.x",
		strings.Repeat("(", 300) + "1" + strings.Repeat(")", 300),
	} {
		if e, err := ParseExpression(text, "input"); err == nil {
			t.Errorf("%q is an expression: %v", text, e)
		}
	}
}

// desk is the limits of a support desk.
func desk(t testing.TB, change func(map[string]*Limit)) *Set {
	t.Helper()
	day := sallyport.Window{Kind: sallyport.Daily, Zone: time.UTC}
	amount, err := ParseExpression("input.amount", "input")
	if err != nil {
		t.Fatal(err)
	}
	currency, _ := ParseExpression("input.currency", "input")
	one, _ := ParseExpression("1", "input")
	all := []Limit{
		{Name: "customer", File: "sallyport.yaml", Line: 3, Unit: "USD", Cap: usd(500), Window: day, Spell: "day", Per: []string{"user", "input.customer_id"}, Within: "user",
			Applies: Applies{Tools: []string{"desk/issue_*"}}, Estimate: amount, Currency: currency},
		{Name: "user", File: "sallyport.yaml", Line: 9, Unit: "USD", Cap: usd(2000), Window: day, Spell: "day", Per: []string{"user"}, Ask: []string{"finance"}},
		{Name: "burst", Unit: "calls", Cap: usd(10), Window: sallyport.Window{Kind: sallyport.Sliding, Length: time.Minute}, Per: []string{"agent"}, Estimate: one,
			Applies: Applies{Effects: []sallyport.Effect{sallyport.Pay, sallyport.Send}}},
	}
	if change != nil {
		byName := map[string]*Limit{}
		for i := range all {
			byName[all[i].Name] = &all[i]
		}
		change(byName)
	}
	set, err := New(all, map[string]bool{"desk": true}, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func usd(n int64) sallyport.Amount { return sallyport.Amount(n * 1_000_000) }

func refund(args string) *sallyport.Call {
	return &sallyport.Call{Kind: sallyport.KindTool, Server: "desk", Name: "issue_refund", Args: sallyport.MustParse(args),
		Principal: sallyport.Principal{Agent: "bot", User: "ana", Tenant: "acme", Role: "support"}, Run: sallyport.Run{ID: "r_1"}}
}

var refundTool = &sallyport.Definition{Server: "desk", Name: "issue_refund", Kind: sallyport.KindTool, Effects: []sallyport.Effect{sallyport.Pay}}

// history is what calls cost before.
type history map[string]sallyport.Amount

func (h history) Typical(limit, action string) (sallyport.Amount, bool, error) {
	amount, ok := h[limit+" "+action]
	return amount, ok, nil
}

// charged is a set of charges in short.
func charged(charges []sallyport.Charge) string {
	var lines []string
	for _, c := range charges {
		lines = append(lines, c.Limit+" "+c.Amount.String()+" of "+c.Label)
	}
	return strings.Join(lines, "\n")
}

func TestCharges(t *testing.T) {
	set := desk(t, nil)
	charges, err := set.Charges(refund(`{"customer_id":"cus_1","amount":499.99,"currency":"USD"}`), refundTool, history{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "burst 1 of agent=bot\ncustomer 499.99 of user=ana input.customer_id=cus_1\nuser 499.99 of user=ana"; charged(sorted(charges)) != want {
		t.Errorf("%s\nwant\n%s", charged(charges), want)
	}
	for _, c := range charges {
		if strings.Contains(c.Account, "cus_1") {
			t.Errorf("the account %s, which is in the log, says an argument", c.Account)
		}
	}
	reading := refund(`{}`)
	reading.Name = "get_customer"
	if charges, err := set.Charges(reading, &sallyport.Definition{Effects: []sallyport.Effect{sallyport.Read}}, history{}); err != nil || len(charges) > 0 {
		t.Errorf("reading is charged %s, %v", charged(charges), err)
	}
	// Nobody knows what it does, so it could pay.
	if charges, _ := set.Charges(reading, nil, history{}); len(charges) != 1 {
		t.Errorf("a tool that nobody knows is charged %s", charged(charges))
	}
	for _, kind := range []sallyport.Kind{sallyport.KindAsk, sallyport.KindAnswer, sallyport.KindTask} {
		under := refund(`{"customer_id":"cus_1","amount":1,"currency":"USD"}`)
		if under.Kind = kind; len(must(set.Charges(under, refundTool, history{}))) > 0 {
			t.Errorf("%s is charged beside the call to which it belongs", kind)
		}
	}
	for _, args := range []string{
		`{"customer_id":"cus_1","amount":5,"currency":"EUR"}`, `{"customer_id":"cus_1","amount":5}`, `{"customer_id":"cus_1","amount":-5,"currency":"USD"}`,
		`{"amount":5,"currency":"USD"}`, `{"customer_id":"","amount":5,"currency":"USD"}`, `{"customer_id":null,"amount":5,"currency":"USD"}`, `{"customer_id":{},"amount":5,"currency":"USD"}`,
		`{"customer_id":["cus_1","cus_2"],"amount":5,"currency":"USD"}`, `{"customer_id":"cus_1","amount":"much","currency":"USD"}`, `{"customer_id":"cus_1","currency":"USD"}`,
		`{"customer_id":"cus_1","amount":1e40,"currency":"USD"}`, `{"customer_id":"cus_1","amount":5,"currency":["USD","EUR"]}`,
	} {
		if charges, err := set.Charges(refund(args), refundTool, history{}); err == nil {
			t.Errorf("%s is charged %s", args, charged(charges))
		}
	}
}

func must(charges []sallyport.Charge, err error) []sallyport.Charge {
	if err != nil {
		panic(err)
	}
	return charges
}

func sorted(charges []sallyport.Charge) []sallyport.Charge {
	for i := range charges {
		for j := range i {
			if charges[i].Limit < charges[j].Limit {
				charges[i], charges[j] = charges[j], charges[i]
			}
		}
	}
	return charges
}

// Who writes the same customer otherwise has the same account, and another
// customer has another one.
func TestAccounts(t *testing.T) {
	set := desk(t, nil)
	account := func(id string) string {
		return must(set.Charges(refund(`{"customer_id":`+id+`,"amount":1,"currency":"USD"}`), refundTool, history{}))[0].Account
	}
	for _, same := range [][]string{{`"DE89 3704"`, `"DE893704"`, `"DE89\u00a03704"`, `"DE89\u200b3704"`, `"DE89\u034f3704"`, `"\u2060DE89\u00ad3704\ufe0f"`, `"DE89\t3704\u0007"`}, {`"cus_1"`, `"CUS_1"`, `" cus_1 "`, `"ｃｕｓ_1"`, `"\u0063us_1"`}, {`17`, `"17"`, `17.0`, `1.7e1`}} {
		for _, id := range same[1:] {
			if account(id) != account(same[0]) {
				t.Errorf("%s and %s have an account each", same[0], id)
			}
		}
	}
	if account(`"cus_1"`) == account(`"cus_2"`) || account(`"cus_1"`) == account(`17`) {
		t.Error("two customers have one account")
	}
	other, _ := New([]Limit{*set.byName["customer"], *set.byName["user"]}, nil, []byte("another secret"))
	if there := must(other.Charges(refund(`{"customer_id":"cus_1","amount":1,"currency":"USD"}`), refundTool, history{})); there[0].Account == account(`"cus_1"`) {
		t.Error("the digest of an argument does not depend on the secret: it can be tried")
	}
}

// An agent begins runs below its own as it likes: they have the account of that one.
// Runs that others began have one of their own.
func TestAccountsOfRuns(t *testing.T) {
	set := desk(t, func(l map[string]*Limit) { l["burst"].Per = []string{"run"} })
	account := func(run sallyport.Run) string {
		call := refund(`{"customer_id":"cus_1","amount":1,"currency":"USD"}`)
		call.Run = run
		for _, c := range must(set.Charges(call, refundTool, history{})) {
			if c.Limit == "burst" {
				return c.Account
			}
		}
		return "none"
	}
	for run, want := range map[sallyport.Run]string{
		{ID: "r_1"}: "run=r_1",
		{ID: "r_2", Parent: "r_1", Memory: "r_1"}: "run=r_1",
		{ID: "r_3", Parent: "r_2", Memory: "r_1"}: "run=r_1",
		{ID: "r_4", Parent: "r_1"}:                "run=r_4",
	} {
		if got := account(run); got != want {
			t.Errorf("%+v is charged to %s, want %s", run, got, want)
		}
	}
}

func TestCircles(t *testing.T) {
	for _, all := range [][]Limit{{{Name: "a", Within: "a"}}, {{Name: "a", Within: "b"}, {Name: "b", Within: "a"}}, {{Name: "a", Within: "gone"}}} {
		if _, err := New(all, nil, nil); err == nil {
			t.Errorf("%+v is a set of limits", all)
		}
	}
}

func TestBeyond(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	tonight := now.Add(12 * time.Hour)
	call := refund(`{"customer_id":"cus_1","amount":300,"currency":"USD"}`)
	taken := func(limit string, amount int64) func(c sallyport.Charge) Account {
		return func(c sallyport.Charge) Account {
			if c.Limit != limit {
				return Account{}
			}
			return Account{Parts: []Part{{Until: tonight, Used: usd(amount - 100), Reserved: usd(100)}}}
		}
	}
	for _, c := range []struct {
		name    string
		taken   func(sallyport.Charge) Account
		rules   string
		because string
		ceiling int64
	}{
		{"room", taken("customer", 200), "", "", 500},
		{"no room", taken("customer", 201), "limit customer", "201 of 500 USD are taken per user, input.customer_id, and this call takes 300: there is room again at 2026-11-30T00:00:00Z at the latest", 500},
		{"people can let it", taken("user", 1900), "limit user up to 2200 USD", "1900 of 2000 USD are taken per user, and this call takes 300", 2200},
		{"further", taken("user", 2150), "limit user up to 2600 USD", "2150 of 2000", 2600},
	} {
		set := desk(t, nil)
		charges := must(set.Charges(call, refundTool, history{}))
		var accounts []Account
		for _, charge := range charges {
			accounts = append(accounts, c.taken(charge))
		}
		rules := set.Beyond(charges, accounts, now)
		if (len(rules) > 0) != (c.rules != "") {
			t.Errorf("%s: %+v", c.name, rules)
			continue
		}
		if len(rules) > 0 && (rules[0].ID != c.rules || !strings.Contains(rules[0].Because, c.because) || rules[0].Digest.IsZero() || rules[0].File != "sallyport.yaml") {
			t.Errorf("%s: %+v", c.name, rules[0])
		}
		for _, charge := range charges {
			if strings.HasPrefix(c.rules, "limit "+charge.Limit) && charge.Ceiling != usd(c.ceiling) {
				t.Errorf("%s: %s may come to %s", c.name, charge.Limit, charge.Ceiling)
			}
		}
	}
	// What people agree to is for one account, and up to one amount.
	question := func(args string, taken int64) sallyport.Digest {
		set := desk(t, nil)
		charges := must(set.Charges(refund(args), refundTool, history{}))
		accounts := make([]Account, len(charges))
		for i := range charges {
			if charges[i].Limit == "user" {
				accounts[i] = Account{Parts: []Part{{Until: tonight, Used: usd(taken)}}}
			}
		}
		return set.Beyond(charges, accounts, now)[0].Digest
	}
	same := `{"customer_id":"cus_1","amount":300,"currency":"USD"}`
	if question(same, 1900) != question(same, 1890) {
		t.Error("the same question is another one as soon as another call has come")
	}
	if question(same, 1900) == question(same, 1901) || question(same, 1900) == question(same, 2100) {
		t.Error("who agreed to 2200 has agreed to more")
	}
}

func TestBeyondOneCall(t *testing.T) {
	set := desk(t, func(l map[string]*Limit) { l["customer"].Window = sallyport.Window{Kind: sallyport.PerCall} })
	charges := must(set.Charges(refund(`{"customer_id":"cus_1","amount":500.01,"currency":"USD"}`), refundTool, history{}))
	rules := set.Beyond(charges, make([]Account, len(charges)), time.Now())
	if len(rules) != 1 || !strings.Contains(rules[0].Because, "a call may take 500 USD, and this one takes 500.01") {
		t.Errorf("%+v", rules)
	}
	for _, c := range Kept(charges) {
		if c.Limit == "customer" {
			t.Error("what counts for one call is kept")
		}
	}
}

// Room is when the last part that is in the way has stopped to count.
func TestRoom(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	account := Account{Parts: []Part{{Until: now.Add(1 * time.Minute), Used: usd(3)}, {Until: now.Add(2 * time.Minute), Used: usd(3)}, {Until: now.Add(3 * time.Minute), Used: usd(4)}}}
	for amount, want := range map[int64]time.Duration{1: 1, 3: 1, 4: 2, 6: 2, 7: 3, 10: 3} {
		if at := Room(&sallyport.Charge{Amount: usd(amount), Cap: usd(10)}, &account, now); at != now.Add(want*time.Minute) {
			t.Errorf("room for %d at %s", amount, at)
		}
	}
}

// A call that is too large for a new agent is so for now, and not for ever.
func TestBeyondARamp(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	set := desk(t, func(l map[string]*Limit) { l["user"].Ramp, l["user"].Ask = Ramp{From: 10, Days: 14}, nil })
	for amount, want := range map[string]string{
		"300": "0 of 200 USD are taken per user, and this call takes 300: more than there is yet, of the 2000 that a new account comes to in 14 days",
		"500": "0 of 200 USD are taken per user, and this call takes 500: more than there is yet, of the 2000 that a new account comes to in 14 days",
	} {
		charges := must(set.Charges(refund(`{"customer_id":"cus_1","amount":`+amount+`,"currency":"USD"}`), refundTool, history{}))
		rules := set.Beyond(charges, make([]Account, len(charges)), now)
		if len(rules) != 1 || rules[0].Because != want {
			t.Errorf("%s: %+v", amount, rules)
		}
	}
}

func TestRamp(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	l := &Limit{Cap: usd(1000), Ramp: Ramp{From: 10, Days: 9}}
	for since, want := range map[time.Duration]int64{0: 100, 23 * time.Hour: 100, 24 * time.Hour: 200, 8 * 24 * time.Hour: 900, 9 * 24 * time.Hour: 1000, 999 * 24 * time.Hour: 1000, -time.Hour: 100} {
		if got := l.Whole(now.Add(-since), now); got != usd(want) {
			t.Errorf("after %s: %s", since, got)
		}
	}
	if got := l.Whole(time.Time{}, now); got != usd(100) {
		t.Errorf("an account that was never charged has %s", got)
	}
}

func TestSettle(t *testing.T) {
	cost := func(text string) *Expression { e, _ := ParseExpression(text, "input", "result"); return e }
	call := refund(`{"customer_id":"cus_1","amount":300,"currency":"USD"}`)
	for _, c := range []struct {
		name     string
		cost     *Expression
		server   string
		outcome  sallyport.Outcome
		answered bool
		result   string
		want     int64 // of customer and user
		calls    int64
	}{
		{"done", nil, "desk", sallyport.OutcomeOK, true, `{}`, 300, 0},
		{"nobody knows", nil, "desk", sallyport.OutcomeUnknown, false, ``, 300, 0},
		{"nobody knows, and has read a cost", cost("result.cost"), "desk", sallyport.OutcomeUnknown, false, `{"cost":1}`, 300, 0},
		{"never reached the server", nil, "shop", sallyport.OutcomeError, false, ``, 0, 0},
		{"the server says that it failed", nil, "desk", sallyport.OutcomeToolErr, true, `{"isError":true}`, 0, 1},
		{"one that is not trusted says so", nil, "shop", sallyport.OutcomeToolErr, true, `{"isError":true}`, 300, 0},
		{"refused by the server", nil, "desk", sallyport.OutcomeError, true, ``, 0, 1},
		{"refused by one that is not trusted", nil, "shop", sallyport.OutcomeError, true, ``, 300, 0},
		{"the server wants more", nil, "shop", sallyport.OutcomeOK, true, `{"resultType":"input_required"}`, 0, 1},
		{"cheaper", cost("result.cost"), "desk", sallyport.OutcomeOK, true, `{"cost":250}`, 250, 0},
		{"dearer", cost("result.cost"), "desk", sallyport.OutcomeOK, true, `{"cost":350}`, 350, 0},
		{"withheld", cost("result.cost"), "desk", sallyport.OutcomeWithheld, true, `{"cost":250}`, 250, 0},
		{"cost that is not there", cost("result.cost"), "desk", sallyport.OutcomeOK, true, `{}`, 300, 0},
		{"cost that gives back", cost("result.cost"), "desk", sallyport.OutcomeOK, true, `{"cost":-1}`, 300, 0},
	} {
		set := desk(t, func(l map[string]*Limit) { l["customer"].Cost = c.cost })
		charges := must(set.Charges(call, refundTool, history{}))
		of := *call
		of.Server = c.server
		var result sallyport.Value
		if c.result != "" {
			result = sallyport.MustParse(c.result)
		}
		for _, settled := range set.Settle(charges, &of, c.outcome, c.answered, result) {
			if settled.Limit != "burst" && settled.Cost != usd(c.want) {
				t.Errorf("%s: %s came to %s, want %d", c.name, settled.Limit, settled.Cost, c.want)
			}
			// Who calls in vain has called.
			if calls := usd(min(1, max(c.want, c.calls))); settled.Limit == "burst" && settled.Cost != calls {
				t.Errorf("%s: %s calls, want %s", c.name, settled.Cost, calls)
			}
		}
	}
	set := desk(t, nil)
	charges := must(set.Charges(call, refundTool, history{}))
	if gone := None().Settle(charges, call, sallyport.OutcomeOK, true, sallyport.MustParse(`{}`)); gone[0].Cost != gone[0].Amount {
		t.Error("a limit that is gone gives back what was reserved")
	}
}

// What one part settles at less gives nothing back of what another takes of the same
// limit, also when that counts for one call alone and nothing is kept of it.
func TestSettleBesideOneCall(t *testing.T) {
	amount, _ := ParseExpression("input.amount", "input")
	fee, _ := ParseExpression("2", "input")
	came, _ := ParseExpression("result.fee", "input", "result")
	day := sallyport.Window{Kind: sallyport.Daily, Zone: time.UTC}
	tools := Applies{Tools: []string{"desk/issue_refund"}}
	set, err := New([]Limit{
		{Name: "each", Unit: "USD", Cap: usd(500), Window: sallyport.Window{Kind: sallyport.PerCall}, Applies: tools, Estimate: amount, Within: "all"},
		{Name: "fees", Unit: "USD", Cap: usd(50), Window: day, Applies: tools, Estimate: fee, Cost: came, Within: "all"},
		{Name: "all", Unit: "USD", Cap: usd(900), Window: day, Within: "everything"},
		{Name: "everything", Unit: "USD", Cap: usd(9000), Window: day},
	}, nil, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	call := refund(`{"customer_id":"cus_1","amount":300,"currency":"USD"}`)
	for result, want := range map[string]string{
		`{"fee":1}`:    "fees 1, all 300, everything 300",
		`{"fee":400}`:  "fees 400, all 400, everything 400",
		`{}`:           "fees 2, all 300, everything 300",
		`{"fee":"no"}`: "fees 2, all 300, everything 300",
	} {
		var got []string
		for _, c := range set.Settle(Kept(must(set.Charges(call, refundTool, history{}))), call, sallyport.OutcomeOK, true, sallyport.MustParse(result)) {
			got = append(got, c.Limit+" "+c.Cost.String())
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %s, want %s", result, strings.Join(got, ", "), want)
		}
	}
	for _, c := range set.Settle(Kept(must(set.Charges(call, refundTool, history{}))), call, sallyport.OutcomeError, false, sallyport.Value{}) {
		if c.Cost != 0 {
			t.Errorf("what was never sent takes %s of %s", c.Cost, c.Limit)
		}
	}
}

func TestHistory(t *testing.T) {
	set := desk(t, func(l map[string]*Limit) { l["burst"].History, l["burst"].First = true, usd(5) })
	call := refund(`{"customer_id":"cus_1","amount":300,"currency":"USD"}`)
	of := func(h history) string {
		for _, c := range must(set.Charges(call, refundTool, h)) {
			if c.Limit == "burst" {
				return c.Amount.String() + " " + c.Costly
			}
		}
		return ""
	}
	if got := of(history{}); got != "5 desk/tool:issue_refund" {
		t.Errorf("without a history: %s", got)
	}
	if got := of(history{"burst desk/tool:issue_refund": usd(7)}); got != "7 desk/tool:issue_refund" {
		t.Errorf("with one: %s", got)
	}
}

func TestCrossed(t *testing.T) {
	for _, c := range []struct{ before, amount, want int64 }{{0, 49, 0}, {0, 50, 50}, {50, 1, 0}, {49, 31, 80}, {79, 1, 80}, {80, 19, 0}, {99, 1, 100}, {0, 100, 100}, {100, 5, 0}, {10, 95, 100}} {
		_, percent := Crossed([]sallyport.Charge{{Cap: usd(100), Before: usd(c.before), Amount: usd(c.amount)}})
		if len(percent) != min(int(c.want), 1) || len(percent) > 0 && percent[0] != c.want {
			t.Errorf("from %d by %d: %v", c.before, c.amount, percent)
		}
	}
}

func TestFits(t *testing.T) {
	for pattern, names := range map[string][2]string{
		"desk/issue_refund": {"desk/issue_refund", "desk/issue_refunds"}, "desk/*": {"desk/a/b", "desks/a"}, "*": {"anything", "\x00no"},
		"*/delete_*": {"crm/delete_all", "crm/undelete"}, "a*b*c": {"axxbyyc", "axxbyy"},
	} {
		if !fits(pattern, names[0]) || names[1] != "\x00no" && fits(pattern, names[1]) {
			t.Errorf("%s: %v, %v", pattern, fits(pattern, names[0]), fits(pattern, names[1]))
		}
	}
}
