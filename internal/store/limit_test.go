package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport"
	"sallyport/internal/limits"
)

func usd(n int64) sallyport.Amount { return sallyport.Amount(n * 1_000_000) }

var hourly = sallyport.Window{Kind: sallyport.Fixed, Length: time.Hour}

func charge(limit, account string, amount, limitedTo int64) sallyport.Charge {
	return sallyport.Charge{Limit: limit, Unit: "USD", Account: account, Label: account, Window: hourly, Cap: usd(limitedTo), Ceiling: usd(limitedTo), Amount: usd(amount)}
}

// taking is an intent that takes charges.
func taking(call string, charges ...sallyport.Charge) *sallyport.Record {
	r := intent(call)
	r.Charges = charges
	return r
}

// settling is its outcome, which came to costs.
func settling(r *sallyport.Record, costs ...int64) *sallyport.Record {
	closing := outcome(r)
	closing.Charges = slices.Clone(r.Charges)
	for i := range closing.Charges {
		closing.Charges[i].Cost = usd(costs[i])
	}
	return closing
}

func account(t testing.TB, s *Store, c sallyport.Charge, at time.Time) limits.Account {
	t.Helper()
	all, err := s.Ledger().Accounts(context.Background(), []sallyport.Charge{c}, at)
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// A thousand calls at once on a limit of a hundred: exactly a hundred of them.
func TestLimitRace(t *testing.T) {
	s := open(t, t.TempDir())
	var admitted, full atomic.Int64
	var group sync.WaitGroup
	for i := range 1000 {
		group.Go(func() {
			r := taking(fmt.Sprint("c_", i), charge("burst", "agent=bot", 1, 100))
			switch err := s.Commit(context.Background(), r); {
			case err == nil:
				admitted.Add(1)
				if i%2 == 0 {
					s.Append(context.Background(), settling(r, 1))
				}
			case errors.Is(err, sallyport.ErrFull) && errors.Is(err, sallyport.ErrOvertaken):
				full.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if admitted.Load() != 100 || full.Load() != 900 {
		t.Errorf("%d admitted, %d dropped out", admitted.Load(), full.Load())
	}
	if a := account(t, s, charge("burst", "agent=bot", 1, 100), time.Now()); a.Total() != usd(100) {
		t.Errorf("%s are taken", a.Total())
	}
}

// A call that one of its limits has no room for takes nothing of the others, and
// keeps nobody else from the same transaction.
func TestLimitAllOrNothing(t *testing.T) {
	s := open(t, t.TempDir())
	commit(t, s, taking("c_1", charge("user", "user=ana", 90, 100)))
	both := func(call string) *sallyport.Record {
		return taking(call, charge("customer", "#1", 50, 100), charge("user", "user=ana", 50, 100))
	}
	if err := s.Commit(t.Context(), both("c_2")); !errors.Is(err, sallyport.ErrFull) {
		t.Fatalf("beyond the second limit: %v", err)
	}
	if a := account(t, s, charge("customer", "#1", 0, 0), time.Now()); a.Total() != 0 {
		t.Errorf("%s of the first limit are taken all the same", a.Total())
	}
	// Nor does one whose approval is gone.
	r := taking("c_3", charge("customer", "#1", 50, 100))
	r.Approval = &sallyport.Approval{ID: "a_none", State: sallyport.Spent, Digest: sallyport.DigestOf([]byte("q"))}
	if err := s.Commit(t.Context(), r); !errors.Is(err, sallyport.ErrOvertaken) {
		t.Fatal(err)
	}
	if a := account(t, s, charge("customer", "#1", 0, 0), time.Now()); a.Total() != 0 {
		t.Errorf("%s are taken by a call that lost its approval", a.Total())
	}
}

func TestLimitSettled(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	of := charge("user", "user=ana", 0, 0)
	state := func() string {
		a := account(t, s, of, time.Now())
		if len(a.Parts) != 1 {
			return fmt.Sprint(a)
		}
		return fmt.Sprintf("%s reserved, %s used", a.Parts[0].Reserved, a.Parts[0].Used)
	}
	r := commit(t, s, taking("c_1", charge("user", "user=ana", 60, 100)))
	if len(r.Entry.Charges) != 1 || r.Charges[0].Until.IsZero() {
		t.Fatalf("the entry does not say what was reserved: %q", r.Entry.Charges)
	}
	if got := state(); got != "60 reserved, 0 used" {
		t.Error(got)
	}
	closing := commit(t, s, settling(r, 25))
	if got := state(); got != "0 reserved, 25 used" {
		t.Error(got)
	}
	if len(closing.Entry.Charges) != 1 || closing.Entry.Charges[0][:3] != "25 " {
		t.Errorf("the outcome does not say what it came to: %q", closing.Entry.Charges)
	}
	r = commit(t, s, taking("c_2", charge("user", "user=ana", 75, 100)))
	if got := commit(t, s, settling(r, 75)).Entry.Charges; got != nil {
		t.Errorf("an outcome that says what the intent says: %q", got)
	}
	// What nobody knows the end of counts in full, also after a restart.
	commit(t, s, settling(commit(t, s, taking("c_3", charge("other", "", 10, 100))), 0))
	commit(t, s, taking("c_4", charge("other", "", 30, 100)))
	closed(t, s)
	s = open(t, dir)
	of = charge("other", "", 0, 0)
	if got := state(); got != "0 reserved, 30 used" {
		t.Error(got)
	}
	// An amount that is not a number of this world stops at the most there is.
	r = commit(t, s, taking("c_5", charge("other", "", 1, 100)))
	r.Charges[0].Cost = sallyport.MaxAmount
	dear := settling(r, 0)
	dear.Charges[0].Cost = sallyport.MaxAmount
	commit(t, s, dear)
	for i := range 100 { // whose sum no 64 bits hold
		c := charge("other", "", 1, 100)
		c.Ceiling = 10 * sallyport.MaxAmount
		dear := settling(commit(t, s, taking(fmt.Sprint("d_", i), c)), 0)
		dear.Charges[0].Cost = sallyport.MaxAmount
		commit(t, s, dear)
	}
	if err := s.Commit(t.Context(), taking("c_6", charge("other", "", 1, 100))); !errors.Is(err, sallyport.ErrFull) {
		t.Error(err)
	}
}

// What is typical is the most there was, which is forgotten by and by.
func TestLimitHistory(t *testing.T) {
	s := open(t, t.TempDir())
	if _, ok, err := s.Ledger().Typical(t.Context(), "rows", "crm/tool:find"); ok || err != nil {
		t.Error(ok, err)
	}
	cost := func(i int, rows int64) sallyport.Amount {
		c := charge("rows", "", 100, 1_000_000)
		c.Costly = "crm/tool:find"
		commit(t, s, settling(commit(t, s, taking(fmt.Sprint("c_", i), c)), rows))
		most, ok, err := s.Ledger().Typical(t.Context(), "rows", "crm/tool:find")
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		return most
	}
	if got := cost(1, 50); got != usd(50) {
		t.Errorf("after 50: %s", got)
	}
	if got := cost(2, 70); got != usd(70) {
		t.Errorf("after 70: %s", got)
	}
	// Calls that fail cost nothing, and make none that follows cheaper.
	if got := cost(4, 0); got != usd(70) {
		t.Errorf("after a call that cost nothing: %s", got)
	}
	if got := cost(3, 1); got >= usd(70) || got < usd(68) {
		t.Errorf("after 1: %s", got)
	}
}

// A clock that is set back opens no window again, and one that is set forward and
// back neither.
func TestLimitClock(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	noon := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	at := func(call string, when time.Time) error {
		r := taking(call, charge("user", "user=ana", 60, 100))
		r.Entry.Time = when
		return s.Commit(t.Context(), r)
	}
	if err := at("c_1", noon.Add(59*time.Minute)); err != nil {
		t.Fatal(err)
	}
	for name, when := range map[string]time.Time{"the same window": noon.Add(59 * time.Minute), "an hour before": noon.Add(-time.Minute), "a year before": noon.AddDate(-1, 0, 0)} {
		if err := at("c_2", when); !errors.Is(err, sallyport.ErrFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := at("c_3", noon.Add(time.Hour)); err != nil {
		t.Errorf("a new window: %v", err)
	}
	if err := s.DropCharges(t.Context()); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	s, err := Open(dir, func() time.Time { return noon }) // and reads what was not dropped
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := at("c_4", noon.Add(59*time.Minute)); !errors.Is(err, sallyport.ErrFull) {
		t.Errorf("set back behind a new window: %v", err)
	}
}

// Whatever happens in whatever order (calls that begin, end and never end, deaths,
// restarts, rows that are lost, a clock that jumps), no account ever holds more
// than its limit, and no charge is forgotten while it counts.
// SALLYPORT_LIMITS says how many lives are tried.
func TestLimitProperty(t *testing.T) {
	lives := 25
	if n, err := strconv.Atoi(os.Getenv("SALLYPORT_LIMITS")); err == nil {
		lives = n
	}
	rapid.Check(t, func(t *rapid.T) {
		if lives--; lives < 0 {
			return
		}
		dir, err := os.MkdirTemp("", "limits")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		begin := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
		m := &model{t: t, dir: filepath.Join(dir, "0"), root: dir, clock: begin}
		m.start()
		defer func() { m.store.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"": m.check, "reserve": m.reserve, "settle": m.settle, "crash": m.crash, "restart": m.restart, "lose": m.lose, "clock": m.jump,
		})
	})
}

// model is what the ledger must hold.
type model struct {
	t         *rapid.T
	root, dir string
	store     *Store
	calls     int
	lives     int
	clock     time.Time
	log       time.Time // never goes back
	charges   []*promised
}

// promised is a charge that was taken.
type promised struct {
	sallyport.Charge
	record *sallyport.Record // nil once it has ended
	counts sallyport.Amount
}

var modelLimits = []sallyport.Charge{charge("user", "user=ana", 0, 100), charge("user", "user=bob", 0, 100), charge("all", "", 0, 150)}

func (m *model) start() {
	store, err := Open(m.dir, func() time.Time { return m.clock })
	if err != nil {
		m.t.Fatal(err)
	}
	m.store = store
	// A crash leaves the files as they are, so nothing has to wait for the disk.
	if _, err := store.committer.conn.ExecContext(context.Background(), "PRAGMA synchronous = OFF"); err != nil {
		m.t.Fatal(err)
	}
	for _, p := range m.charges {
		if p.record != nil { // its end was never heard
			p.record = nil
			m.log = later(m.log, m.clock)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (m *model) total(of sallyport.Charge) (total sallyport.Amount) {
	for _, p := range m.charges {
		if p.Limit == of.Limit && p.Account == of.Account && p.Until.After(m.log) {
			total += p.counts
		}
	}
	return total
}

func (m *model) check(t *rapid.T) {
	for _, l := range modelLimits {
		a, err := m.store.Ledger().Accounts(context.Background(), []sallyport.Charge{l}, m.log)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := a[0].Total(), m.total(l); got != want || got > l.Cap {
			t.Fatalf("%s %s holds %s of %s, and %s was taken", l.Limit, l.Account, got, l.Cap, want)
		}
	}
}

func (m *model) reserve(t *rapid.T) {
	m.calls++
	user := rapid.SampledFrom(modelLimits[:2]).Draw(t, "user")
	user.Amount = usd(rapid.Int64Range(0, 70).Draw(t, "amount"))
	all := modelLimits[2]
	all.Amount = user.Amount
	r := taking(fmt.Sprint("c_", m.calls), user, all)
	r.Entry.Time = m.clock
	at := later(m.log, m.clock)
	before := m.log
	m.log = at // by which it is judged
	room := m.total(user)+user.Amount <= user.Cap && m.total(all)+all.Amount <= all.Cap
	switch err := m.store.Commit(context.Background(), r); {
	case err == nil && room:
		for _, c := range r.Charges {
			m.charges = append(m.charges, &promised{Charge: c, record: r, counts: c.Amount})
		}
	case errors.Is(err, sallyport.ErrFull) && !room:
		m.log = before // nothing was written
	default:
		t.Fatalf("with room %v: %v", room, err)
	}
}

func (m *model) settle(t *rapid.T) {
	i := slices.IndexFunc(m.charges, func(p *promised) bool { return p.record != nil })
	if i < 0 {
		t.Skip("nothing is under way")
	}
	r := m.charges[i].record
	cost := rapid.Int64Range(0, int64(r.Charges[0].Amount)).Draw(t, "cost")
	closing := outcome(r)
	closing.Entry.Time = m.clock
	closing.Charges = slices.Clone(r.Charges)
	for j := range closing.Charges {
		closing.Charges[j].Cost = sallyport.Amount(cost)
	}
	if err := m.store.Commit(context.Background(), closing); err != nil {
		t.Fatal(err)
	}
	m.log = later(m.log, m.clock)
	for _, p := range m.charges {
		if p.record == r {
			p.record, p.counts = nil, sallyport.Amount(cost)
		}
	}
}

// crash goes on with the files as they are now.
func (m *model) crash(t *rapid.T) {
	m.lives++
	next := filepath.Join(m.root, fmt.Sprint(m.lives))
	for _, name := range []string{"log", "payloads"} {
		if err := os.CopyFS(filepath.Join(next, name), os.DirFS(filepath.Join(m.dir, name))); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"log.key", "kills.json", "sallyport.db", "sallyport.db-wal"} { // the log last: it is ahead of all else
		text, err := os.ReadFile(filepath.Join(m.dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(next, name), text, 0o600)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	m.store.Close()
	m.dir = next
	m.start()
}

func (m *model) restart(t *rapid.T) {
	if err := m.store.Close(); err != nil {
		t.Fatal(err)
	}
	m.start()
}

// lose has the rows made again from the entries.
func (m *model) lose(t *rapid.T) {
	err := m.store.committer.change(context.Background(), func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, "DELETE FROM ledger")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	m.restart(t)
}

func (m *model) jump(t *rapid.T) {
	m.clock = m.clock.Add(time.Duration(rapid.Int64Range(-90, 120).Draw(t, "minutes")) * time.Minute)
}

// A transaction that fails takes nothing.
func TestLimitRolledBack(t *testing.T) {
	s := open(t, t.TempDir())
	first := commit(t, s, taking("c_1", charge("user", "user=ana", 40, 100)))
	execute(t, s, "ALTER TABLE entries RENAME TO hidden")
	if err := s.Commit(t.Context(), taking("c_2", charge("user", "user=ana", 40, 100))); err == nil || errors.Is(err, sallyport.ErrFull) {
		t.Fatalf("taken without an entry: %v", err)
	}
	if err := s.Commit(t.Context(), settling(first, 0)); err == nil {
		t.Fatal("settled without an entry")
	}
	execute(t, s, "ALTER TABLE hidden RENAME TO entries")
	if a := account(t, s, charge("user", "user=ana", 0, 0), time.Now()); a.Total() != usd(40) {
		t.Errorf("%s are taken", a.Total())
	}
	commit(t, s, taking("c_3", charge("user", "user=ana", 60, 100)))
	if err := s.Commit(t.Context(), taking("c_4", charge("user", "user=ana", 1, 100))); !errors.Is(err, sallyport.ErrFull) {
		t.Error(err)
	}
}

// More accounts than are held at a time are found again.
func TestLimitManyAccounts(t *testing.T) {
	s := open(t, t.TempDir())
	var charges []sallyport.Charge
	for i := range 300 {
		charges = append(charges, charge("customer", fmt.Sprint("#", i), 60, 100))
	}
	for i := range 40 {
		for j := range charges {
			charges[j].Account = fmt.Sprint("#", i, "-", j)
		}
		commit(t, s, taking(fmt.Sprint("c_", i), charges...))
	}
	for i := range 40 {
		if err := s.Commit(t.Context(), taking(fmt.Sprint("d_", i), charge("customer", fmt.Sprint("#", i, "-7"), 41, 100))); !errors.Is(err, sallyport.ErrFull) {
			t.Errorf("#%d-7: %v", i, err)
		}
	}
}
