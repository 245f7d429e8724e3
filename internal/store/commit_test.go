package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/pin"
)

var (
	_ gateway.Log = (*Store)(nil)
	_ pin.Store   = (*Store)(nil)
)

// Many commits at once share transactions, and each hears its own index.
func TestCommitsInParallel(t *testing.T) {
	s := open(t, t.TempDir())
	var mu sync.Mutex
	taken := map[uint64]string{}
	var group sync.WaitGroup
	for w := range 50 {
		group.Go(func() {
			for i := range 20 {
				r := intent(fmt.Sprintf("c_%d_%d", w, i))
				r.Entry.Run = fmt.Sprintf("r_%d", w%5)
				if err := s.Commit(context.Background(), r); err != nil {
					t.Error(err)
				}
				mu.Lock()
				if other, twice := taken[r.Entry.Index]; twice {
					t.Errorf("%s and %s have one index", other, r.Entry.Call)
				}
				taken[r.Entry.Index] = r.Entry.Call
				mu.Unlock()
			}
		})
	}
	group.Wait()
	for e, err := range s.Entries(t.Context(), 0, 1000) {
		if err != nil || taken[e.Index] != e.Call {
			t.Fatalf("%d is %s, not %s (%v)", e.Index, e.Call, taken[e.Index], err)
		}
	}
	for i := range 50 {
		o, err := s.Reader.Open(t.Context(), uint64(i*20))
		if err != nil || o.ArgsErr != nil || !strings.Contains(string(o.Args.Text), o.Entry.Call) {
			t.Errorf("%+v, %v", o, err)
		}
	}
}

func TestCommitWithdrawn(t *testing.T) {
	s := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Commit(ctx, intent("c_1")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	// One that gives up while it waits either is recorded or is not, and knows.
	for i := range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		call := fmt.Sprint("c_", i)
		err := s.Commit(ctx, intent(call))
		commit(t, s, intent("c_after_"+call))
		_, found := s.Show(t.Context(), call)
		if (err == nil) != (found == nil) {
			t.Fatalf("Commit said %v, the log %v", err, found)
		}
	}
}

// What is accepted while the state is changed becomes durable by itself, without
// a record that comes after it.
func TestAcceptedBehindAChangeIsWritten(t *testing.T) {
	s := open(t, t.TempDir())
	asked := commit(t, s, intent("c_1"))
	err := s.committer.change(t.Context(), func(ctx context.Context, _ *sql.Conn) error { return s.Append(ctx, outcome(asked)) })
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if size, err := s.Size(t.Context()); err != nil || size == 2 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the outcome was accepted, and is not written")
		}
	}
}

// While the log can't be written nothing is accepted, and what was accepted
// before is kept.
func TestAcceptedIsKept(t *testing.T) {
	s := open(t, t.TempDir())
	asked := commit(t, s, intent("c_1"))
	rename := func(from, to string) {
		t.Helper()
		err := s.committer.change(t.Context(), func(ctx context.Context, conn *sql.Conn) error {
			_, err := conn.ExecContext(ctx, "ALTER TABLE "+from+" RENAME TO "+to)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rename("entries", "hidden")
	appendRecord(t, s, outcome(asked))
	for s.committer.failure() == nil {
		time.Sleep(time.Millisecond)
	}
	if err := s.Commit(t.Context(), intent("c_2")); err == nil {
		t.Error("Commit into nothing")
	}
	if err := s.Append(t.Context(), intent("c_3")); err == nil {
		t.Error("accepted while the log can't be written")
	}
	if s.Health() == nil {
		t.Error("called healthy")
	}
	// The key of a new run is rolled back with its record, and written again.
	newRun := intent("c_4")
	newRun.Entry.Run = "r_new"
	if err := s.Commit(t.Context(), newRun); err == nil {
		t.Error("Commit into nothing")
	}
	rename("hidden", "entries")
	commit(t, s, newRun)
	if shown, err := s.Show(t.Context(), "c_4"); err != nil || shown[0].Args == nil {
		t.Errorf("%+v, %v", shown, err)
	}
	var got []string
	for e, err := range s.Entries(t.Context(), 0, 100) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(e.Type)+" "+e.Call)
	}
	if want := []string{"intent c_1", "outcome c_1", "intent c_4"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	if err := s.committer.failure(); err != nil {
		t.Error(err)
	}
}

// A transaction that committed and then failed did commit: its records are
// not written again.
func TestCommittedThoughItFailed(t *testing.T) {
	s := open(t, t.TempDir())
	asked := commit(t, s, intent("c_1"))
	honest := s.committer.commit
	swap := func(statement *sql.Stmt) {
		s.committer.change(t.Context(), func(context.Context, *sql.Conn) error {
			s.committer.commit = statement
			return nil
		})
	}
	failing, err := s.committer.conn.PrepareContext(t.Context(), "COMMIT; SELECT 1 FROM nothing")
	if err != nil {
		t.Fatal(err)
	}
	defer failing.Close()
	swap(failing)
	appendRecord(t, s, outcome(asked))
	commit(t, s, intent("c_2"))
	swap(honest)
	commit(t, s, intent("c_3"))
	if r := verified(t, s); !r.OK() || r.Entries != 4 {
		t.Errorf("%s", r)
	}
}

func TestTooLarge(t *testing.T) {
	s := open(t, t.TempDir())
	r := intent("c_1")
	r.Entry.Name = strings.Repeat("x", sallyport.MaxEntry)
	if err := s.Commit(t.Context(), r); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
	if err := s.Append(t.Context(), r); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
	r = intent("c_1")
	r.Args = make([]byte, maxWaiting)
	if err := s.Commit(t.Context(), r); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
	// The largest that a gateway takes is fine.
	r = intent("c_1")
	r.Entry.Name = strings.Repeat("x", 30_000)
	r.Args = append(append([]byte{'"'}, bytes.Repeat([]byte("x"), 8<<20)...), '"')
	commit(t, s, r)
	if shown, err := s.Show(t.Context(), "c_1"); err != nil || !bytes.Equal(shown[0].Args.Text, r.Args) {
		t.Errorf("%v", err)
	}
}

// Whatever string of an entry is too long is seen beforehand: found out in
// the transaction it would take the whole group with it.
func TestFitsLooksAtEverything(t *testing.T) {
	var check func(value reflect.Value, e *sallyport.Entry)
	long := strings.Repeat("\x01", sallyport.MaxEntry/6)
	fields := 0
	check = func(value reflect.Value, e *sallyport.Entry) {
		for i := range value.NumField() {
			field := value.Field(i)
			switch name := value.Type().Field(i).Name; {
			case name == "Principal":
				check(field, e)
				continue
			case name == "Type" || name == "Roles" || name == "Groups":
				continue // one of five; not in the log
			}
			switch field.Kind() {
			case reflect.String:
				field.SetString(long)
			case reflect.Slice:
				field.Set(reflect.MakeSlice(field.Type(), 30_000, 30_000))
			default:
				continue
			}
			fields++
			if err := fits(e, nil); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s is not looked at", value.Type().Field(i).Name)
			}
			field.SetZero()
		}
	}
	var e sallyport.Entry
	check(reflect.ValueOf(&e).Elem(), &e)
	if fields < 20 {
		t.Errorf("%d fields", fields)
	}
	dear := []sallyport.Charge{{Limit: "refunds", Unit: "USD", Account: "user=" + long, Amount: 1, Cost: 2}}
	for _, of := range []sallyport.EntryType{sallyport.Intent, sallyport.Closed} {
		if err := fits(&sallyport.Entry{Type: of}, dear); !errors.Is(err, ErrTooLarge) {
			t.Errorf("the charges of an %s are not looked at", of)
		}
	}
}

func TestPinsCredentialsSettings(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	since := time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)
	pins := []pin.Pin{
		{Server: "crm", Key: "server", Seen: []byte(`{}`)},
		{Server: "crm", Key: "tool:refund", Raw: []byte(`{"name":"refund"}`), Since: since, By: "grace"},
	}
	if err := s.SavePins(t.Context(), pins); err != nil {
		t.Fatal(err)
	}
	pins[1].Seen = []byte(`{"name":"refund","title":"new"}`)
	if err := s.SavePins(t.Context(), pins[1:]); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveCredential(t.Context(), "agent/bot", []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveCredential(t.Context(), "agent/bot", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveSettings(t.Context(), map[string][]byte{"policy": []byte("permit;"), "digest": {1, 2}}); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	s = open(t, dir)
	got, err := s.Pins(t.Context())
	if err != nil || !reflect.DeepEqual(got, pins) {
		t.Errorf("%+v, %v", got, err)
	}
	credentials, err := s.Credentials(t.Context())
	if err != nil || !reflect.DeepEqual(credentials, map[string][]byte{"agent/bot": []byte("new")}) {
		t.Errorf("%v, %v", credentials, err)
	}
	for name, want := range map[string]string{"policy": "permit;", "digest": "\x01\x02", "none": ""} {
		if value, err := s.Setting(t.Context(), name); err != nil || string(value) != want {
			t.Errorf("%s: %q, %v", name, value, err)
		}
	}
}
