package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport"
	"sallyport/proof"
)

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func closed(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func intent(call string) *sallyport.Record {
	return &sallyport.Record{Entry: sallyport.Entry{
		Time: time.Now(), Type: sallyport.Intent, Call: call, Kind: sallyport.KindTool, Server: "desk", Name: "lookup_customer",
		Action: "desk/tool:lookup_customer", Effects: []sallyport.Effect{sallyport.Read}, Door: "mcp/2026-07-28 http",
		Principal: sallyport.Principal{Agent: "support-bot", Role: "support", User: "ada", Tenant: "north"}, Run: "r_1",
		Tool: sallyport.DigestOf([]byte("tool")), Policy: sallyport.DigestOf([]byte("policy")), Verdict: sallyport.Allow,
		Rules: []string{"support-reads"},
	}, Args: []byte(`{"customer":"` + call + `"}`)}
}

func outcome(of *sallyport.Record) *sallyport.Record {
	e := of.Entry
	return &sallyport.Record{Entry: sallyport.Entry{Time: time.Now(), Type: sallyport.Closed, Call: e.Call, Kind: e.Kind,
		Server: e.Server, Name: e.Name, Principal: e.Principal, Run: e.Run, Outcome: sallyport.OutcomeOK, Took: time.Millisecond,
	}, Result: []byte(`{"content":[{"type":"text","text":"` + e.Call + `"}]}`)}
}

func commit(t testing.TB, s *Store, r *sallyport.Record) *sallyport.Record {
	t.Helper()
	if err := s.Commit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func appendRecord(t testing.TB, s *Store, r *sallyport.Record) {
	t.Helper()
	if err := s.Append(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// call makes a whole call.
func call(t testing.TB, s *Store, id string) {
	t.Helper()
	appendRecord(t, s, outcome(commit(t, s, intent(id))))
}

func calls(t testing.TB, s *Store, n int) {
	t.Helper()
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			for i := w; i < n; i += 8 {
				if err := s.Commit(context.Background(), intent(fmt.Sprintf("c_%05d", i))); err != nil {
					t.Error(err)
				}
				if err := s.Append(context.Background(), outcome(intent(fmt.Sprintf("c_%05d", i)))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

func verified(t testing.TB, s *Store, earlier ...[]byte) *proof.Report {
	t.Helper()
	key, err := s.Key()
	if err != nil {
		t.Fatal(err)
	}
	report, err := s.Verify(context.Background(), proof.Options{Key: key, Checkpoints: earlier})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	first := commit(t, s, intent("c_1"))
	if first.Entry.Index != 0 || !first.Entry.Prev.IsZero() || first.Entry.Args.IsZero() {
		t.Errorf("%+v", first.Entry)
	}
	answer := outcome(first)
	appendRecord(t, s, answer)
	if answer.Entry.Result.IsZero() {
		t.Error("Append did not fill the commitment")
	}
	refusal := intent("c_2")
	refusal.Entry.Type, refusal.Entry.Verdict, refusal.Entry.Cause = sallyport.Refusal, sallyport.Deny, sallyport.CausePolicy
	commit(t, s, refusal)
	change := &sallyport.Record{Entry: sallyport.Entry{Type: sallyport.Change, Time: time.Now(), Subject: "policy", By: "grace"}}
	commit(t, s, change)
	if change.Entry.Index != 3 {
		t.Errorf("%+v", change.Entry)
	}

	shown, err := s.Show(t.Context(), "c_1")
	if err != nil || len(shown) != 2 || shown[0].ArgsErr != nil || shown[1].ResultErr != nil {
		t.Fatalf("%+v, %v", shown, err)
	}
	if string(shown[0].Args.Text) != `{"customer":"c_1"}` || !strings.Contains(string(shown[1].Result.Text), "c_1") {
		t.Errorf("%s, %s", shown[0].Args.Text, shown[1].Result.Text)
	}
	if byIndex, err := s.Show(t.Context(), "2"); err != nil || byIndex[0].Entry.Call != "c_2" {
		t.Errorf("%+v, %v", byIndex, err)
	}
	for _, nothing := range []string{"c_9", "99"} {
		if _, err := s.Show(t.Context(), nothing); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", nothing, err)
		}
	}

	r := verified(t, s)
	if !r.OK() || r.Entries != 4 || len(r.Open) != 0 {
		t.Errorf("%s", r)
	}
	closed(t, s)
	if err := s.Commit(t.Context(), intent("c_3")); !errors.Is(err, ErrClosed) {
		t.Errorf("commit after close: %v", err)
	}

	s = open(t, dir)
	commit(t, s, intent("c_3"))
	if r := verified(t, s); !r.OK() || r.Entries != 5 || len(r.Open) != 1 {
		t.Errorf("%s", r)
	}
}

func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := open(t, dir)
	call(t, s, "c_1")
	verified(t, s)
	seen := 0
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		seen++
		if want := map[bool]os.FileMode{true: 0o700, false: 0o600}[info.IsDir()]; info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if bytes.Contains(text, []byte(`"customer"`)) {
				t.Errorf("%s has a payload in the clear", path)
			}
		}
		return nil
	})
	if err != nil || seen < 10 {
		t.Errorf("%d files, %v", seen, err)
	}
}

func TestSecondGatewayIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := Open(dir, time.Now); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("%v", err)
	}
	commit(t, s, intent("c_1"))
	closed(t, s)
	open(t, dir)
}
