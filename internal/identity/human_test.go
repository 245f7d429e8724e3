package identity

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// Each person has a secret of its own; nobody comes in who is not let, and a guess
// at one bars nobody else.
func TestPeople(t *testing.T) {
	store, clock := &memory{}, &clock{time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	h, err := LoadHuman(t.Context(), store, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	enroll := func(who, secret, current string) error {
		err := h.Enroll(t.Context(), who, secret, current)
		clock.time = clock.time.Add(time.Minute) // whatever was wrong
		return err
	}
	const first, anas, bos = "the operator's", "ana's own one", "bo's own secret"
	if err := enroll("ana", anas, ""); !errors.Is(err, ErrNotEnrolled) {
		t.Fatalf("before the operator: %v", err)
	}
	if err := enroll(OperatorName, first, ""); err != nil {
		t.Fatal(err)
	}
	for current, want := range map[string]error{"": ErrEnrolled, "a wrong secret": ErrWrongSecret} {
		if err := enroll("ana", anas, current); !errors.Is(err, want) {
			t.Errorf("let by %q: %v", current, err)
		}
	}
	if err := h.Verify("ana", anas); !errors.Is(err, ErrNoPerson) {
		t.Errorf("not enrolled: %v", err)
	}
	for _, e := range [][3]string{{"ana", anas, first}, {"bo", bos, first}} {
		if err := enroll(e[0], e[1], e[2]); err != nil {
			t.Fatal(err)
		}
	}
	if err := enroll("bo", "a third secret", anas); !errors.Is(err, ErrWrongSecret) {
		t.Errorf("replaced with somebody else's: %v", err)
	}
	if err := enroll(OperatorName, "a third secret", anas); !errors.Is(err, ErrWrongSecret) {
		t.Errorf("a person became the operator: %v", err)
	}
	if err := h.Verify("ana", bos); !errors.Is(err, ErrWrongSecret) {
		t.Errorf("with another's secret: %v", err)
	}
	if err := h.Verify("ana", anas); !errors.Is(err, ErrTooSoon) {
		t.Errorf("right after a wrong guess: %v", err)
	}
	for who, secret := range map[string]string{"bo": bos, OperatorName: first} {
		if err := h.Verify(who, secret); err != nil {
			t.Errorf("a guess at ana bars %s: %v", who, err)
		}
	}
	clock.time = clock.time.Add(time.Minute)
	if err := enroll("ana", "ana's new secret", anas); err != nil {
		t.Errorf("with the own one: %v", err)
	}
	if err := enroll("bo", "bo's new secret", first); err != nil {
		t.Errorf("with the operator's: %v", err)
	}
	again, err := LoadHuman(t.Context(), store, clock.now)
	if err != nil || !slices.Equal(again.People(), []string{"ana", "bo", OperatorName}) || !again.Enrolled() {
		t.Fatalf("%q, %v", again.People(), err)
	}
	if err := again.Verify("ana", "ana's new secret"); err != nil {
		t.Error(err)
	}
	store.fail = errors.New("disk full")
	if enroll("cy", "a secret of cy", first) == nil || slices.Contains(h.People(), "cy") {
		t.Error("enrolled a secret that is not saved")
	}
}

// At the port guesses bar whoever guesses there, and neither people at the control
// socket nor whoever has shown a link; nobody learns there who has enrolled.
func TestLogin(t *testing.T) {
	store, clock := &memory{}, &clock{time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	h, err := LoadHuman(t.Context(), store, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	const first, anas = "the operator's", "ana's own one"
	if err := h.Enroll(t.Context(), OperatorName, first, ""); err != nil {
		t.Fatal(err)
	}
	if err := h.Enroll(t.Context(), "ana", anas, first); err != nil {
		t.Fatal(err)
	}
	for _, known := range []bool{false, true} {
		if err := h.Login(known, "ana", anas); err != nil {
			t.Errorf("known %v: %v", known, err)
		}
	}
	for _, who := range []string{"ana", "nobody"} {
		if err := h.Login(false, who, "a wrong secret"); err == nil || err.Error() != ErrWrongSecret.Error() {
			t.Errorf("%q: %v", who, err)
		}
		if err := h.Login(false, OperatorName, first); !errors.Is(err, ErrTooSoon) {
			t.Errorf("right after a wrong one: %v", err)
		}
		if err := h.Login(true, OperatorName, first); err != nil {
			t.Errorf("a stranger's guess at %q bars who is known: %v", who, err)
		}
		for person, secret := range map[string]string{"ana": anas, OperatorName: first} {
			if err := h.Verify(person, secret); err != nil {
				t.Errorf("a guess at the port bars %s: %v", person, err)
			}
		}
		clock.time = clock.time.Add(longestBackoff)
	}
	if err := h.Login(false, "nobody", ""); !errors.Is(err, ErrWrongSecret) {
		t.Errorf("the secret of nobody: %v", err)
	}
	// It takes twice as long each time, and after a while without any it is short again.
	h.logins[1] = guesses{failures: 11, barred: clock.time}
	if _ = h.Login(true, "ana", "wrong"); !h.logins[1].barred.Equal(clock.time.Add(longestBackoff)) {
		t.Errorf("after 12: %v", h.logins[1].barred.Sub(clock.time))
	}
	clock.time = clock.time.Add(longestBackoff + forgetAfter + 1)
	if _ = h.Login(true, "ana", "wrong"); !h.logins[1].barred.Equal(clock.time.Add(time.Second)) {
		t.Errorf("after a while: %v", h.logins[1].barred.Sub(clock.time))
	}
}
