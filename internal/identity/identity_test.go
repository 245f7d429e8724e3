package identity

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport"
)

// memory is a store that can be told to fail.
type memory struct {
	mu      sync.Mutex
	records map[string][]byte
	fail    error
}

func (m *memory) Credentials(context.Context) (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.records), m.fail
}

func (m *memory) SaveCredential(_ context.Context, name string, record []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if m.records == nil {
		m.records = map[string][]byte{}
	}
	m.records[name] = record
	return nil
}

// clock is a time that the test moves.
type clock struct{ time time.Time }

func (c *clock) now() time.Time { return c.time }

var people = People{
	Users: map[string]User{
		"ana": {Roles: []string{"clerk"}, Groups: []string{"finance"}, Tenant: "acme", Attributes: map[string]string{"region": "eu"}},
		"bo":  {},
	},
	Agents: map[string]Agent{
		"declared": {Role: "support", User: "ana"},
		"orphan":   {Role: "support", User: "nobody"},
		"crossed":  {Role: "support", User: "ana", Tenant: "globex"},
	},
}

func open(t *testing.T) (*Identities, *memory, *clock) {
	t.Helper()
	store, clock := &memory{}, &clock{time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	i, err := Load(t.Context(), store, people, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	return i, store, clock
}

func mustAdd(t *testing.T, i *Identities, name string, agent Agent) string {
	t.Helper()
	token, err := i.Add(t.Context(), name, agent, DefaultLifetime)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestIdentify(t *testing.T) {
	i, _, _ := open(t)
	bot := mustAdd(t, i, "bot", Agent{Role: "analyst", User: "bo", Tenant: "acme"})
	declared := mustAdd(t, i, "declared", Agent{})
	for _, test := range []struct {
		name       string
		credential sallyport.Credential
		agent      string // "" for a refusal
		tenant     string
		because    string
	}{
		{"nothing", sallyport.Credential{}, "", "", "no credential"},
		{"token", sallyport.Credential{Token: bot}, "bot", "acme", ""},
		{"token of a declared agent", sallyport.Credential{Token: declared}, "declared", "acme", ""},
		{"token in capitals", sallyport.Credential{Token: strings.ToUpper(bot)}, "", "", "not known"},
		{"token with a space", sallyport.Credential{Token: bot + " "}, "", "", "not known"},
		{"unknown token", sallyport.Credential{Token: "sp_x"}, "", "", "not known"},
		{"hash as token", sallyport.Credential{Token: hashToken(bot).String()}, "", "", "not known"},
		{"listener", sallyport.Credential{Listener: "declared"}, "declared", "acme", ""},
		{"listener of an agent that only has a token", sallyport.Credential{Listener: "bot"}, "", "", "not declared"},
		{"wrong token on a bound listener", sallyport.Credential{Token: "sp_x", Listener: "declared"}, "", "", "not known"},
		{"token on another's listener", sallyport.Credential{Token: bot, Listener: "declared"}, "bot", "acme", ""},
		{"unknown user", sallyport.Credential{Listener: "orphan"}, "", "", "not declared"},
		{"agent and user of two tenants", sallyport.Credential{Listener: "crossed"}, "", "", "tenant"},
	} {
		t.Run(test.name, func(t *testing.T) {
			principal, run, err := i.Identify(t.Context(), test.credential)
			if test.agent == "" {
				if err == nil || !strings.Contains(err.Error(), test.because) {
					t.Fatalf("error %v, want one about %q", err, test.because)
				}
				if principal.Agent != "" || run.ID != "" {
					t.Fatalf("refused, yet %+v %+v", principal, run)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if principal.Agent != test.agent || principal.Tenant != test.tenant || !run.Standing || !strings.HasPrefix(run.ID, "r_") {
				t.Fatalf("%+v %+v", principal, run)
			}
		})
	}
}

func TestPrincipalCarriesTheUser(t *testing.T) {
	i, _, _ := open(t)
	p, _, err := i.Identify(t.Context(), sallyport.Credential{Listener: "declared"})
	if err != nil || p.User != "ana" || p.Role != "support" || p.Roles[0] != "clerk" || p.Groups[0] != "finance" || p.Attributes["region"] != "eu" {
		t.Fatalf("%+v %v", p, err)
	}
}

// An agent must not get a run with a clean memory by anything it can do.
func TestStandingRunIsStable(t *testing.T) {
	i, store, clock := open(t)
	token := mustAdd(t, i, "bot", Agent{Role: "analyst", User: "bo", Tenant: "acme"})
	_, first, _ := i.Identify(t.Context(), sallyport.Credential{Token: token})
	token, err := i.Rotate(t.Context(), "bot", DefaultLifetime)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(t.Context(), store, people, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := again.Identify(t.Context(), sallyport.Credential{Token: token})
	if err != nil || first != second {
		t.Fatalf("%v, then %v (%v)", first, second, err)
	}
	others := map[string]bool{}
	for _, p := range []sallyport.Principal{
		{Agent: "bot", User: "bo", Tenant: "acme"}, {Agent: "bot", User: "bo"}, {Agent: "bot", Tenant: "bo"},
		{Agent: "botb", User: "o", Tenant: "acme"}, {Agent: "bot", User: "boa", Tenant: "cme"},
	} {
		others[standingRun(p)] = true
	}
	if len(others) != 5 || !others[first.ID] {
		t.Fatalf("identities share a run: %v", others)
	}
}

func TestTokenEnds(t *testing.T) {
	i, store, clock := open(t)
	token := mustAdd(t, i, "bot", Agent{User: "bo"})
	works := func(want bool, when string) {
		t.Helper()
		if _, _, err := i.Identify(t.Context(), sallyport.Credential{Token: token}); (err == nil) != want {
			t.Fatalf("%s: error %v", when, err)
		}
	}
	works(true, "fresh")
	clock.time = clock.time.Add(DefaultLifetime - time.Second)
	works(true, "a second before its end")
	clock.time = clock.time.Add(time.Second)
	works(false, "expired")

	old := token
	token = mustAdd(t, i, "bot", Agent{User: "bo"}) // an expired agent can be added again
	works(true, "added again")
	if _, err := i.Add(t.Context(), "bot", Agent{User: "bo"}, time.Hour); !errors.Is(err, ErrHasToken) {
		t.Fatalf("adding twice: %v", err)
	}
	if _, _, err := i.Identify(t.Context(), sallyport.Credential{Token: old}); err == nil {
		t.Fatal("the token before still works")
	}

	store.fail = errors.New("disk full")
	if _, err := i.Rotate(t.Context(), "bot", time.Hour); err == nil {
		t.Fatal("a token was given out that is not saved")
	}
	works(true, "a rotation failed")
	if err := i.Revoke(t.Context(), "bot"); err == nil {
		t.Fatal("the lost revocation was not reported")
	}
	works(false, "revoked while the disk is full")
}

func TestRevocationSurvivesRestart(t *testing.T) {
	i, store, clock := open(t)
	token := mustAdd(t, i, "bot", Agent{User: "bo"})
	if err := i.Revoke(t.Context(), "bot"); err != nil {
		t.Fatal(err)
	}
	again, err := Load(t.Context(), store, people, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := again.Identify(t.Context(), sallyport.Credential{Token: token}); !errors.Is(err, ErrUnknown) {
		t.Fatalf("after a restart: %v", err)
	}
}

// Whoever comes in on a listener needs no token, so ending the token alone
// would end nothing.
func TestRevocationShutsTheListener(t *testing.T) {
	i, store, clock := open(t)
	listener := sallyport.Credential{Listener: "declared"}
	if _, _, err := i.Identify(t.Context(), listener); err != nil {
		t.Fatal(err)
	}
	if err := i.Revoke(t.Context(), "declared"); err != nil {
		t.Fatal(err)
	}
	again, err := Load(t.Context(), store, people, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	for when, i := range map[string]*Identities{"at once": i, "after a restart": again} {
		if _, _, err := i.Identify(t.Context(), listener); err == nil || !strings.Contains(err.Error(), "was revoked") {
			t.Errorf("%s: %v", when, err)
		}
		if _, known := i.Principal("declared"); known {
			t.Errorf("%s: it can still be used", when)
		}
	}
	if _, err := again.Rotate(t.Context(), "declared", time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, _, err := again.Identify(t.Context(), listener); err != nil {
		t.Errorf("a human let it in again: %v", err)
	}
	if err := i.Revoke(t.Context(), "nobody"); !errors.Is(err, ErrNoAgent) {
		t.Errorf("an agent that is none: %v", err)
	}
}

func TestConfigureTakesAgentsOut(t *testing.T) {
	i, _, _ := open(t)
	token := mustAdd(t, i, "declared", Agent{})
	added := mustAdd(t, i, "bot", Agent{Role: "support", User: "ana"})
	if err := i.Configure(t.Context(), People{Users: people.Users}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []sallyport.Credential{{Token: token}, {Listener: "declared"}} {
		if _, _, err := i.Identify(t.Context(), c); err == nil || !strings.Contains(err.Error(), "declared") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, _, err := i.Identify(t.Context(), sallyport.Credential{Token: added}); err != nil {
		t.Errorf("an added agent: %v", err)
	}
	if err := i.Configure(t.Context(), People{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := i.Identify(t.Context(), sallyport.Credential{Token: added}); err == nil {
		t.Error("an agent acts for a user who is gone")
	}
}

func TestAddRefuses(t *testing.T) {
	i, _, _ := open(t)
	for _, test := range []struct {
		name     string
		agent    Agent
		lifetime time.Duration
	}{
		{"", Agent{User: "bo"}, time.Hour},
		{"UPPER", Agent{User: "bo"}, time.Hour},
		{"a/b", Agent{User: "bo"}, time.Hour},
		{"bot", Agent{User: "nobody"}, time.Hour},
		{"bot", Agent{}, time.Hour},
		{"bot", Agent{User: "ana", Tenant: "globex"}, time.Hour},
		{"bot", Agent{User: "bo"}, 0},
		{"declared", Agent{Role: "admin", User: "ana"}, time.Hour},
	} {
		if token, err := i.Add(t.Context(), test.name, test.agent, test.lifetime); err == nil || token != "" {
			t.Errorf("%+v was added", test)
		}
	}
	if _, err := i.Rotate(t.Context(), "ghost", time.Hour); err == nil {
		t.Error("a token for an agent that does not exist")
	}
	if err := i.Revoke(t.Context(), "ghost"); err == nil {
		t.Error("a ghost was revoked")
	}
}

func TestStoreKeepsNoToken(t *testing.T) {
	i, store, clock := open(t)
	token := mustAdd(t, i, "bot", Agent{User: "bo"})
	human, err := LoadHuman(t.Context(), store, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	const secret = "correct horse battery"
	if err := human.Enroll(t.Context(), OperatorName, secret, ""); err != nil {
		t.Fatal(err)
	}
	for name, record := range store.records {
		if bytes.Contains(record, []byte(token[len(TokenPrefix):])) || bytes.Contains(record, []byte(secret)) {
			t.Errorf("record %s holds a secret: %s", name, record)
		}
	}
	if len(token) != len(TokenPrefix)+52 {
		t.Errorf("token of %d characters", len(token))
	}
}

func TestLoadRefusesDamage(t *testing.T) {
	store := &memory{records: map[string][]byte{"agent/bot": []byte("{")}}
	if _, err := Load(t.Context(), store, people, time.Now); err == nil {
		t.Error("a damaged credential was loaded")
	}
	store.fail = errors.New("no disk")
	if _, err := Load(t.Context(), store, people, time.Now); err == nil {
		t.Error("nobody is known, yet it loaded")
	}
	if _, err := LoadHuman(t.Context(), store, time.Now); err == nil {
		t.Error("the human is not known, yet it loaded")
	}
}

func TestList(t *testing.T) {
	i, _, clock := open(t)
	mustAdd(t, i, "gone", Agent{User: "bo"})
	if err := i.Revoke(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Add(t.Context(), "old", Agent{User: "bo"}, time.Hour); err != nil {
		t.Fatal(err)
	}
	clock.time = clock.time.Add(2 * time.Hour)
	mustAdd(t, i, "bot", Agent{User: "bo"})
	want := map[string]string{"bot": "active", "declared": "no token", "gone": "revoked", "old": "expired",
		"orphan": "nobody", "crossed": "tenant"}
	for _, s := range i.List() {
		if !strings.Contains(s.State, want[s.Name]) || want[s.Name] == "" {
			t.Errorf("%s: %q", s.Name, s.State)
		}
		if s.Name == "declared" && s.Tenant != "acme" {
			t.Errorf("declared is of tenant %q, want its user's", s.Tenant)
		}
		delete(want, s.Name)
	}
	if len(want) > 0 {
		t.Errorf("not listed: %v", want)
	}
}

func TestHuman(t *testing.T) {
	store, clock := &memory{}, &clock{time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	h, err := LoadHuman(t.Context(), store, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Verify(OperatorName, ""); !errors.Is(err, ErrNotEnrolled) {
		t.Fatalf("nobody enrolled, yet %v", err)
	}
	for _, short := range []string{"", "elevenchars", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if h.Enroll(t.Context(), OperatorName, short, "") == nil {
			t.Fatalf("%q was enrolled", short)
		}
	}
	store.fail = errors.New("disk full")
	if h.Enroll(t.Context(), OperatorName, "first secret", "") == nil || h.Enrolled() {
		t.Fatal("enrolled a secret that is not saved")
	}
	store.fail = nil
	if err := h.Enroll(t.Context(), OperatorName, "first secret", ""); err != nil {
		t.Fatal(err)
	}
	if h.Enroll(t.Context(), OperatorName, "other secret", "") == nil {
		t.Fatal("the secret was replaced without the current one")
	}
	if err := h.Enroll(t.Context(), OperatorName, "other secret", "wrong secret!"); !errors.Is(err, ErrWrongSecret) {
		t.Fatalf("replaced with a wrong one: %v", err)
	}
	if err := h.Verify(OperatorName, "first secret"); err == nil {
		t.Fatal("verified right after a wrong guess")
	}
	clock.time = clock.time.Add(time.Second)
	if err := h.Enroll(t.Context(), OperatorName, "other secret", "first secret"); err != nil {
		t.Fatal(err)
	}
	again, err := LoadHuman(t.Context(), store, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Verify(OperatorName, "first secret"); !errors.Is(err, ErrWrongSecret) {
		t.Fatalf("the old secret: %v", err)
	}
	clock.time = clock.time.Add(time.Second)
	if err := again.Verify(OperatorName, "other secret"); err != nil {
		t.Fatal(err)
	}
}

func TestGuessingGetsSlow(t *testing.T) {
	store, clock := &memory{}, &clock{time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	h, _ := LoadHuman(t.Context(), store, clock.now)
	if err := h.Enroll(t.Context(), OperatorName, "the right secret", ""); err != nil {
		t.Fatal(err)
	}
	looked := 0
	for range 600 { // a guess each second for ten minutes
		if err := h.Verify(OperatorName, "a wrong secret"); errors.Is(err, ErrWrongSecret) {
			looked++
		}
		clock.time = clock.time.Add(time.Second)
	}
	if looked < 6 || looked > 20 {
		t.Fatalf("%d guesses were looked at in ten minutes", looked)
	}
	clock.time = clock.time.Add(longestBackoff)
	if err := h.Verify(OperatorName, "the right secret"); err != nil {
		t.Fatalf("the human stays locked out: %v", err)
	}
	if err := h.Verify(OperatorName, "the right secret"); err != nil {
		t.Fatalf("success did not clear the backoff: %v", err)
	}
}

func FuzzParsePHC(f *testing.F) {
	salt, key := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 32)
	f.Add(phc(salt, key))
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AQEBAQEBAQEBAQEBAQEBAQ$AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI")
	f.Fuzz(func(t *testing.T, record string) {
		salt, key, err := parsePHC(record)
		if err == nil && (len(salt) < 16 || len(key) != argonKeySize) {
			t.Fatalf("%q was read as %d bytes of salt and %d of key", record, len(salt), len(key))
		}
	})
}

func BenchmarkIdentify(b *testing.B) {
	store := &memory{}
	i, _ := Load(b.Context(), store, people, time.Now)
	token, err := i.Add(b.Context(), "bot", Agent{User: "bo"}, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	credential := sallyport.Credential{Token: token}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := i.Identify(b.Context(), credential); err != nil {
			b.Fatal(err)
		}
	}
}
