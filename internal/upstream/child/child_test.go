package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"syscall"
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

// What the gateway has open without knowing is not passed on.
func TestChildInheritsNothing(t *testing.T) {
	var pipe [2]int
	if err := syscall.Pipe(pipe[:]); err != nil { // not closed on exec
		t.Fatal(err)
	}
	defer syscall.Close(pipe[0])
	defer syscall.Close(pipe[1])
	c, err := Start(Command{Path: "/bin/sh", Args: []string{"-c", fmt.Sprintf("test -e /dev/fd/%d && echo passed on || echo kept", pipe[1])}, Grace: time.Second, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	out, _ := io.ReadAll(c.Out)
	c.Stop()
	if runtime.GOOS == "linux" && string(out) != "kept\n" {
		t.Errorf("a file of ours was %s", out)
	}
}
