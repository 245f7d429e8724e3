package parking

import (
	"strings"
	"testing"
	"time"
)

func TestLot(t *testing.T) {
	var l Lot[string, int]
	late := make(chan int, 1)
	any := func(int) bool { return true }
	handle, ok := l.Put("p.", "ana", 1, time.Hour, func() {})
	if !ok || !strings.HasPrefix(handle, "p.") || len(handle) < 40 {
		t.Fatalf("%q", handle)
	}
	if _, ok := l.Take(handle, "bob", any); ok {
		t.Error("another took it")
	}
	if _, ok := l.Take(handle, "ana", func(int) bool { return false }); ok {
		t.Error("it was taken for something else")
	}
	if thing, ok := l.Take(handle, "ana", any); !ok || thing != 1 {
		t.Error("who parked it does not get it back")
	}
	if _, ok := l.Take(handle, "ana", any); ok {
		t.Error("it was taken twice")
	}

	handle, _ = l.Put("", "ana", 2, time.Millisecond, func() { late <- 2 })
	if <-late != 2 {
		t.Error("nobody is told that it was late")
	}
	if _, ok := l.Take(handle, "ana", any); ok {
		t.Error("it was taken too late")
	}
	for range MaxOfOne {
		if _, ok := l.Put("", "ana", 3, time.Hour, nil); !ok {
			t.Fatal("no room")
		}
	}
	if _, ok := l.Put("", "ana", 3, time.Hour, nil); ok {
		t.Error("one has more than its share")
	}
	if _, ok := l.Put("", "bob", 3, time.Hour, nil); !ok {
		t.Error("another has no room")
	}
	ended := 0
	l.Close(func(int) { ended++ })
	if ended != MaxOfOne+1 || len(l.held) != 0 {
		t.Errorf("%d ended", ended)
	}
	if _, ok := l.Put("", "eve", 3, time.Hour, nil); ok {
		t.Error("taken in after the end")
	}
}
