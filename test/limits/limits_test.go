// Package limits races calls against limits of the built gateway, and counts at
// the server what got through: also while the gateway is killed and started again.
package limits

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/limits"
	"sallyport/test/rig"
)

// bank is a server that pays, and keeps count of it.
type bank struct {
	calls atomic.Int64
	cents atomic.Int64
	slow  atomic.Bool // a payment takes a while: calls are under way when the gateway dies
}

const bankTools = `[{"name":"pay","inputSchema":{"type":"object","properties":{"amount":{"type":"number"},"to":{"type":"string"}}}}]`

func (b *bank) pay(_ context.Context, params json.RawMessage) string {
	var sent struct{ Arguments struct{ Amount float64 } }
	_ = json.Unmarshal(params, &sent)
	b.calls.Add(1)
	b.cents.Add(int64(sent.Arguments.Amount * 100))
	if b.slow.Load() {
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
	}
	return `{"content":[{"type":"text","text":"paid"}]}`
}

// world is a gate with two agents of one user, before a bank.
type world struct {
	*bank
	t           *testing.T
	binary, dir string
	gate        *rig.Gate
}

func newWorld(t *testing.T, limited string) *world {
	t.Helper()
	w := &world{bank: &bank{}, t: t, dir: t.TempDir()}
	var err error
	if w.binary, err = rig.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	url, stop := rig.Serve(rig.NewUpstream(bankTools, w.bank.pay))
	t.Cleanup(stop)
	config := fmt.Sprintf(`listen: 127.0.0.1:0
policy: [all.cedar]
pin: trust-first-use
servers: {bank: {url: %q, effects: {pay: pay}}}
tenants: [acme]
users: {ana: {tenant: acme}}
roles: [tester]
agents: {tester: {role: tester, for: ana}, night: {role: tester, for: ana}}
listeners: [{address: "127.0.0.1:0", agent: tester}, {address: "127.0.0.1:0", agent: night}]
limits:
%s`, url, limited)
	for name, text := range map[string]string{"sallyport.yaml": config, "all.cedar": "permit (principal, action, resource);"} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.up()
	t.Cleanup(func() { w.gate.Stop() })
	return w
}

func (w *world) up() {
	w.t.Helper()
	var err error
	if w.gate, err = rig.Up(context.Background(), w.binary, w.dir, 1); err != nil {
		w.t.Fatal(err)
	}
}

// pay makes calls from so many sessions of each agent until stop says so, and
// counts those that the agents were told went through, and those refused by a
// limit. What breaks because the gateway is gone is neither.
func (w *world) pay(sessions int, arguments func() string, stop func() bool) (paid, refused int64) {
	w.t.Helper()
	var told, beyond atomic.Int64
	var group sync.WaitGroup
	for i := range 2 * sessions {
		url := "http://" + w.gate.Listeners[[]string{"tester", "night"}[i%2]] + "/mcp/bank"
		group.Go(func() {
			session, err := rig.Open(url)
			if err != nil {
				return
			}
			for n := 2; !stop(); n++ {
				answer, err := session.Post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"pay","arguments":%s}}`, n, arguments()))
				switch text := string(answer); {
				case err != nil:
					return
				case strings.Contains(text, `"text":"paid"`):
					told.Add(1)
				case strings.Contains(text, "Refused by limit "):
					beyond.Add(1)
				default:
					w.t.Errorf("answered %s", text)
					return
				}
			}
		})
	}
	group.Wait()
	return told.Load(), beyond.Load()
}

// times stops after so many calls.
func times(n int64) func() bool {
	var made atomic.Int64
	return func() bool { return made.Add(1) > n }
}

func (w *world) taken(limit string) limits.ShownAccount {
	w.t.Helper()
	out, err := exec.Command(w.binary, "limits", "show", limit, "-o", "json", "--dir", filepath.Join(w.dir, "state")).CombinedOutput()
	var shown limits.ShownAll
	if err != nil || json.Unmarshal(out, &shown) != nil || len(shown.Accounts) != 1 {
		w.t.Fatalf("limits show: %v\n%s", err, out)
	}
	return shown.Accounts[0]
}

// A thousand calls at once by two agents, and a limit of a hundred.
func TestThousandCallsOnAHundred(t *testing.T) {
	w := newWorld(t, `  payments: {unit: calls, cap: 100, window: day UTC, per: [user], applies: {effects: [pay]}}
`)
	paid, refused := w.pay(32, func() string { return `{"amount":1}` }, times(1000))
	if paid != 100 || refused != 900 || w.calls.Load() != 100 {
		t.Errorf("agents heard of %d payments and %d refusals; the bank made %d", paid, refused, w.calls.Load())
	}
	if a := w.taken("payments"); a.Used != "100" || a.Reserved != "0" || a.Left != "0" {
		t.Errorf("%+v", a)
	}
}

// Fifty times $500 by two agents of one user, who may give away $4,000 a day.
func TestFiftyPaymentsStopAtTheCap(t *testing.T) {
	w := newWorld(t, `  customer: {unit: USD, cap: 3000, window: day UTC, per: [user, input.to], applies: {tools: [bank/pay]}, estimate: input.amount, within: user}
  user: {unit: USD, cap: 4000, window: day UTC, per: [user]}
`)
	var n atomic.Int64
	paid, refused := w.pay(8, func() string { return fmt.Sprintf(`{"amount":500.00,"to":"cus_%d"}`, n.Add(1)%3) }, times(50))
	if paid != 8 || refused != 42 || w.cents.Load() != 4000_00 {
		t.Errorf("agents heard of %d payments and %d refusals; the bank paid %d cents", paid, refused, w.cents.Load())
	}
	if a := w.taken("user"); a.Used != "4000" || a.Left != "0" {
		t.Errorf("%+v", a)
	}
}

// The gateway is killed again and again while agents pay. Whatever the bank has
// paid was reserved, so it never pays more than the limit; what was reserved and
// not paid when the gateway died is lost to the agents, and never given twice.
func TestKilledWhilePaying(t *testing.T) {
	kills := 12
	if testing.Short() {
		kills = 3
	}
	const most = 2000
	w := newWorld(t, fmt.Sprintf(`  payments: {unit: calls, cap: %d, window: day UTC, per: [user], applies: {effects: [pay]}}
`, most))
	w.slow.Store(true)
	var told int64
	for range kills {
		time.AfterFunc(time.Duration(50+rand.IntN(250))*time.Millisecond, w.gate.Kill)
		paid, _ := w.pay(4, func() string { return `{"amount":1}` }, times(most/16))
		told += paid
		w.gate.Kill()
		w.up()
	}
	before := w.calls.Load()
	if before == 0 || before > most {
		t.Fatalf("the bank paid %d times under a limit of %d", before, most)
	}
	used, err := sallyport.ParseAmount(w.taken("payments").Used)
	if err != nil {
		t.Fatal(err)
	}
	if int64(used) < before*1_000_000 || told > before {
		t.Errorf("%s are taken, the bank paid %d times, agents heard of %d", used, before, told)
	}
	w.slow.Store(false)
	left := most - int64(used)/1_000_000
	paid, _ := w.pay(8, func() string { return `{"amount":1}` }, times(2*most))
	if paid != left || w.calls.Load() != before+left {
		t.Errorf("%d were left, and %d went through", left, paid)
	}
	if a := w.taken("payments"); a.Used != fmt.Sprint(most) || a.Left != "0" || a.Reserved != "0" {
		t.Errorf("%+v", a)
	}
	t.Logf("%d kills: the bank paid %d times, %d more were reserved when the gateway died", kills, before, int64(used)/1_000_000-before)
}
