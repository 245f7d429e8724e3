package crowd

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

type member struct {
	id   string
	busy bool
}

func (m *member) Busy() bool { return m.busy }

// hall is a table, a clock that is set by hand, and who has left.
type hall struct {
	*Table[string, *member]
	now  time.Time
	left []string
}

func newHall(most, share int, idle time.Duration) *hall {
	h := &hall{now: time.Unix(1, 0)}
	h.Table = New[string](Rules[*member]{Max: most, Share: share, Idle: idle, Now: func() time.Time { return h.now },
		Ended: func(m *member) { h.left = append(h.left, m.id) }})
	return h
}

// admit takes one in; who is busy stays so.
func (h *hall) admit(id, owner string, busy bool) error {
	h.now = h.now.Add(time.Second)
	return h.Admit(id, owner, &member{id, busy})
}

func (h *hall) find(id, owner string) bool {
	h.now = h.now.Add(time.Second)
	_, ok := h.Find(id, owner)
	return ok
}

func (h *hall) want(t *testing.T, left ...string) {
	t.Helper()
	if !slices.Equal(h.left, left) {
		t.Errorf("left: %v, want %v", h.left, left)
	}
}

func TestTheOwnerWithTheMostGivesUpItsLongestIdle(t *testing.T) {
	h := newHall(4, 4, time.Hour)
	_ = h.admit("q", "quiet", false)
	_ = h.admit("b", "greedy", true)
	_ = h.admit("g1", "greedy", false)
	_ = h.admit("g2", "greedy", false)
	if !h.find("g1", "greedy") { // so g2 is idle for longer
		t.Fatal("not there")
	}
	if err := h.admit("q2", "quiet", false); err != nil {
		t.Fatal(err)
	}
	h.want(t, "g2")
	if err := h.admit("g3", "greedy", false); err != nil {
		t.Fatal(err)
	}
	h.want(t, "g2", "g1") // the same number each: its own
	if h.find("q", "greedy") || h.find("g1", "greedy") || !h.find("q", "quiet") || !h.find("q2", "quiet") {
		t.Error("wrong ones are found")
	}
}

func TestNobodyExceedsItsShare(t *testing.T) {
	h := newHall(10, 2, time.Hour)
	_ = h.admit("1", "a", true)
	_ = h.admit("2", "a", false)
	if err := h.admit("3", "a", true); err != nil {
		t.Fatal(err)
	}
	h.want(t, "2")
	if err := h.admit("4", "a", false); !errors.Is(err, ErrShare) {
		t.Errorf("a third while all are busy: %v", err)
	}
	if err := h.admit("5", "b", false); err != nil {
		t.Errorf("another owner: %v", err)
	}
	h.want(t, "2")
}

func TestBusyOnesDoNotLockOthersOut(t *testing.T) {
	h := newHall(3, 3, time.Hour)
	for i := range 3 {
		_ = h.admit(fmt.Sprint(i), "greedy", true)
	}
	if err := h.admit("q", "quiet", true); err != nil {
		t.Fatalf("locked out: %v", err)
	}
	h.want(t, "0")
	if err := h.admit("g", "greedy", true); !errors.Is(err, ErrFull) {
		t.Errorf("who has the most takes nothing from others: %v", err)
	}
	h.want(t, "0")
}

func TestRemoveAndClose(t *testing.T) {
	h := newHall(3, 3, time.Hour)
	_ = h.admit("1", "a", false)
	h.Remove("1")
	h.Remove("1")
	h.want(t, "1")
	_ = h.admit("2", "a", true)
	h.Close()
	h.want(t, "1", "2")
	if err := h.admit("3", "a", false); !errors.Is(err, ErrClosed) || h.find("2", "a") {
		t.Errorf("after Close: %v", err)
	}
}

func TestExpire(t *testing.T) {
	h := newHall(3, 3, time.Hour)
	_ = h.admit("idle", "a", false)
	_ = h.admit("busy", "a", true)
	h.now = h.now.Add(59 * time.Minute)
	_ = h.admit("new", "a", false)
	h.expire()
	h.want(t)
	h.now = h.now.Add(2 * time.Minute)
	h.expire()
	h.want(t, "idle")
}

// A flood costs as much per session as a few sessions do.
func BenchmarkAdmitToAFullTable(b *testing.B) {
	h := newHall(16<<10, 16<<10, time.Hour)
	for i := range 16 << 10 {
		_ = h.admit(fmt.Sprint(i), "a", false)
	}
	for i := range b.N {
		_ = h.Admit(fmt.Sprint("x", i), "a", &member{})
	}
}
