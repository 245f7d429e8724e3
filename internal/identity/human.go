package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// MinSecret is the fewest characters that a human's secret may have.
const MinSecret = 12

// OperatorName is the person who enrolled first: the one credential that may loosen,
// accept and let others enroll.
const OperatorName = "operator"

// The store's names of people's credentials.
const (
	humanRecord  = "human" // the operator's
	personPrefix = "human/"
)

// Cost of a verification: the second recommended choice of RFC 9106, section
// 4 (argon2id, 64 MiB, 3 passes, 4 lanes).
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonLanes   = 4
	argonKeySize = 32
)

// Human is the credentials of people. No agent holds one, no command prints one,
// and nothing remembers that it was shown. The operator's may loosen and accept;
// everybody's answers approvals.
type Human struct {
	store Store
	now   func() time.Time

	mu     sync.Mutex // one verification at a time: each takes 64 MiB
	people map[string]*person
	logins [2]guesses               // at the port, by strangers and by whoever is known there
	names  atomic.Pointer[[]string] // of people, for who must not wait for a verification
}

// person is one credential, with the guesses at it.
type person struct {
	record string
	guesses
}

// guesses are wrong secrets. After each the next is looked at only after a while,
// twice as long each time.
type guesses struct {
	failures int
	barred   time.Time // no guess is looked at before
}

// longestBackoff bounds how long one guesser can keep the human out, forgetAfter
// says after how long without a guess the first wait is short again.
const longestBackoff, forgetAfter = time.Minute, 10 * time.Minute

func (g *guesses) tooSoon(now time.Time) error {
	if wait := g.barred.Sub(now); wait > 0 {
		return fmt.Errorf("%w: try again in %s", ErrTooSoon, wait.Round(time.Second)+time.Second)
	}
	return nil
}

func (g *guesses) wrong(now time.Time) error {
	if now.Sub(g.barred) > forgetAfter {
		g.failures = 0
	}
	g.failures++
	g.barred = now.Add(min(time.Second<<min(g.failures-1, 10), longestBackoff))
	return ErrWrongSecret
}

// Errors of the human's credential.
var (
	ErrNotEnrolled = errors.New("no human has enrolled yet: run \"sallyport enroll\" first")
	ErrEnrolled    = errors.New("a human has enrolled already: to replace the secret, give the current one as well")
	ErrNoPerson    = errors.New("this person has not enrolled: run \"sallyport enroll --as NAME\" first")
	ErrWrongSecret = errors.New("that is not the enrolled secret")
	ErrTooSoon     = errors.New("too many wrong secrets")
	errDamaged     = errors.New("the human's credential is damaged")
)

// LoadHuman reads people's credentials from their store.
func LoadHuman(ctx context.Context, store Store, now func() time.Time) (*Human, error) {
	records, err := store.Credentials(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading the human's credential: %w", err)
	}
	h := &Human{store: store, now: now, people: map[string]*person{}}
	for name, record := range records {
		if name == humanRecord {
			h.people[OperatorName] = &person{record: string(record)}
		} else if who, ok := strings.CutPrefix(name, personPrefix); ok {
			h.people[who] = &person{record: string(record)}
		}
	}
	h.publish()
	return h, nil
}

// Enrolled reports whether the operator has enrolled.
func (h *Human) Enrolled() bool { return slices.Contains(h.People(), OperatorName) }

// People are those who have enrolled, in order.
func (h *Human) People() []string { return *h.names.Load() }

func (h *Human) publish() {
	names := slices.Sorted(maps.Keys(h.people))
	h.names.Store(&names)
}

// Enroll sets the secret of a person. Replacing the operator's needs the current
// one, and anybody else's the operator's or their own: whoever enrolls first is
// the operator, and nobody comes after who is not let.
func (h *Human) Enroll(ctx context.Context, who, secret, current string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.mayEnroll(who, current); err != nil {
		return err
	}
	if !utf8.ValidString(secret) || utf8.RuneCountInString(secret) < MinSecret {
		return fmt.Errorf("the secret needs at least %d characters", MinSecret)
	}
	var salt [16]byte
	rand.Read(salt[:]) // never fails (crypto/rand)
	record := phc(salt[:], derive(secret, salt[:]))
	name := personPrefix + who
	if who == OperatorName {
		name = humanRecord
	}
	if err := h.store.SaveCredential(ctx, name, []byte(record)); err != nil {
		return fmt.Errorf("saving the human's credential: %w", err)
	}
	h.people[who] = &person{record: record}
	h.publish()
	return nil
}

// mayEnroll says why a secret may not be set. The caller holds mu.
func (h *Human) mayEnroll(who, current string) error {
	switch {
	case h.people[OperatorName] == nil && who == OperatorName:
		return nil
	case h.people[OperatorName] == nil:
		return ErrNotEnrolled
	case current == "":
		return ErrEnrolled
	}
	if who != OperatorName && h.people[who] != nil && h.verify(who, current) == nil {
		return nil
	}
	return h.verify(OperatorName, current)
}

// Verify checks the secret of a person at the control socket, where a guess at one
// person bars nobody else.
func (h *Human) Verify(who, secret string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.verify(who, secret)
}

func (h *Human) verify(who, secret string) error {
	p := h.people[who]
	switch {
	case p == nil && who == OperatorName:
		return ErrNotEnrolled
	case p == nil:
		return ErrNoPerson
	}
	if err := p.tooSoon(h.now()); err != nil {
		return err
	}
	right, err := p.is(secret)
	if err != nil {
		return err
	}
	if !right {
		return p.wrong(h.now())
	}
	p.guesses = guesses{}
	return nil
}

// Login checks the secret of a person at the port, which agents reach, too. Guesses
// there bar nobody at the control socket, so that no agent can keep people from
// answering. Known is who has shown a link before, which is had at the socket
// alone: for them the guesses of strangers don't count.
func (h *Human) Login(known bool, who, secret string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	door := &h.logins[0]
	if known {
		door = &h.logins[1]
	}
	if err := door.tooSoon(h.now()); err != nil {
		return err
	}
	p, enrolled := h.people[who]
	if !enrolled { // whoever asks learns neither by the answer nor by its time who has
		p = &person{record: phc(make([]byte, 16), make([]byte, argonKeySize))}
	}
	right, err := p.is(secret)
	if err != nil {
		return err
	}
	if !right {
		return door.wrong(h.now())
	}
	return nil
}

func (p *person) is(secret string) (bool, error) {
	salt, key, err := parsePHC(p.record)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, derive(secret, salt)) == 1, nil
}

func derive(secret string, salt []byte) []byte {
	return argon2.IDKey([]byte(secret), salt, argonTime, argonMemory, argonLanes, argonKeySize)
}

// phc is the PHC string format, as argon2's reference implementation prints.
func phc(salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

func parsePHC(record string) (salt, key []byte, err error) {
	// The parameters are fixed, so the record must begin with exactly these.
	rest, ok := strings.CutPrefix(record, strings.TrimSuffix(phc(nil, nil), "$"))
	if !ok {
		return nil, nil, errDamaged
	}
	saltText, keyText, _ := strings.Cut(rest, "$")
	salt, saltErr := base64.RawStdEncoding.DecodeString(saltText)
	key, keyErr := base64.RawStdEncoding.DecodeString(keyText)
	if saltErr != nil || keyErr != nil || len(salt) < 16 || len(key) != argonKeySize {
		return nil, nil, errDamaged
	}
	return salt, key, nil
}
