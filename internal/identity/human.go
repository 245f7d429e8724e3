package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// MinSecret is the fewest characters that a human's secret may have.
const MinSecret = 12

// humanRecord is the store's name of the human's credential.
const humanRecord = "human"

// Cost of a verification: the second recommended choice of RFC 9106, section
// 4 (argon2id, 64 MiB, 3 passes, 4 lanes).
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonLanes   = 4
	argonKeySize = 32
)

// longestBackoff bounds how long one guesser can keep the human out.
const longestBackoff = time.Minute

// Human is the one credential that may loosen, accept and approve. No agent
// holds it, no command prints it, and nothing remembers that it was shown.
type Human struct {
	store Store
	now   func() time.Time

	mu       sync.Mutex // one verification at a time: each takes 64 MiB
	record   string     // "" while nobody has enrolled
	failures int
	barred   time.Time // no guess is looked at before
}

// Errors of the human's credential.
var (
	ErrNotEnrolled = errors.New("no human has enrolled yet: run \"sallyport enroll\" first")
	ErrEnrolled    = errors.New("a human has enrolled already: to replace the secret, give the current one as well")
	ErrWrongSecret = errors.New("that is not the enrolled secret")
	ErrTooSoon     = errors.New("too many wrong secrets")
	errDamaged     = errors.New("the human's credential is damaged")
)

// LoadHuman reads the human's credential from its store.
func LoadHuman(ctx context.Context, store Store, now func() time.Time) (*Human, error) {
	records, err := store.Credentials(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading the human's credential: %w", err)
	}
	return &Human{store: store, now: now, record: string(records[humanRecord])}, nil
}

// Enrolled reports whether there is a secret to verify against.
func (h *Human) Enrolled() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.record != ""
}

// Enroll sets the secret. Replacing one needs the current secret.
func (h *Human) Enroll(ctx context.Context, secret, current string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.record != "" {
		if current == "" {
			return ErrEnrolled
		}
		if err := h.verify(current); err != nil {
			return err
		}
	}
	if !utf8.ValidString(secret) || utf8.RuneCountInString(secret) < MinSecret {
		return fmt.Errorf("the secret needs at least %d characters", MinSecret)
	}
	var salt [16]byte
	rand.Read(salt[:]) // never fails (crypto/rand)
	record := phc(salt[:], derive(secret, salt[:]))
	if err := h.store.SaveCredential(ctx, humanRecord, []byte(record)); err != nil {
		return fmt.Errorf("saving the human's credential: %w", err)
	}
	h.record = record
	return nil
}

// Verify checks the secret. After each wrong guess the next is looked at only
// after a while, twice as long each time, so that whoever reaches the control
// socket can't try many.
func (h *Human) Verify(secret string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.record == "" {
		return ErrNotEnrolled
	}
	return h.verify(secret)
}

func (h *Human) verify(secret string) error {
	if wait := h.barred.Sub(h.now()); wait > 0 {
		return fmt.Errorf("%w: try again in %s", ErrTooSoon, wait.Round(time.Second)+time.Second)
	}
	salt, key, err := parsePHC(h.record)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(key, derive(secret, salt)) != 1 {
		h.failures++
		h.barred = h.now().Add(min(time.Second<<min(h.failures-1, 10), longestBackoff))
		return ErrWrongSecret
	}
	h.failures, h.barred = 0, time.Time{}
	return nil
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
