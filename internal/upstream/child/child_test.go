package child

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRetryIsPutOffLongerEachTime(t *testing.T) {
	var r Retry
	if err := r.Wait(t.Context()); err != nil {
		t.Fatalf("the first start: %v", err)
	}
	for range 6 {
		r.Ended(0)
	}
	if err := r.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "keeps failing") {
		t.Errorf("after six failures: %v", err)
	}
	r.Ended(time.Hour)
	r.next = time.Now().Add(time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that gave up: %v", err)
	}
}

func TestWhoDoesNotReadIsGivenUp(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	write := LinesTo(w, 100*time.Millisecond)
	if err := write(t.Context(), make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error: %v", err)
	}
}
