package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/tlog"
	"sallyport/proof"
)

// tampered is a log of 400 entries whose gateway has stopped, as the owner of
// the host can get at it.
type tampered struct {
	t          *testing.T
	dir        string
	key        string
	checkpoint []byte // kept elsewhere
}

func newTampered(t *testing.T) *tampered {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	calls(t, s, 200)
	closed(t, s)
	return (&tampered{t: t, dir: dir}).remember()
}

func (l *tampered) remember() *tampered {
	l.t.Helper()
	r := l.reader()
	defer r.Close()
	_, text, err := r.Checkpoint()
	if err != nil {
		l.t.Fatal(err)
	}
	l.checkpoint = text
	if l.key, err = r.Key(); err != nil {
		l.t.Fatal(err)
	}
	return l
}

func (l *tampered) reader() *Reader {
	l.t.Helper()
	r, err := OpenReader(l.dir)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// sql changes the database behind everybody's back.
func (l *tampered) sql(statement string, args ...any) {
	l.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(l.dir, "sallyport.db"))
	if err != nil {
		l.t.Fatal(err)
	}
	defer db.Close()
	result, err := db.Exec(statement, args...)
	if err != nil {
		l.t.Fatal(err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		l.t.Fatalf("%s changed nothing", statement)
	}
}

func (l *tampered) replace(index int, old, new string) {
	l.t.Helper()
	l.sql("UPDATE entries SET entry = CAST(replace(CAST(entry AS TEXT), $1, $2) AS BLOB) WHERE idx = $3 AND instr(CAST(entry AS TEXT), $1) > 0", old, new, index)
}

func (l *tampered) verify(o proof.Options) *proof.Report {
	l.t.Helper()
	r := l.reader()
	defer r.Close()
	o.Key = l.key
	report, err := r.Verify(context.Background(), o)
	if err != nil {
		l.t.Fatal(err)
	}
	return report
}

func (l *tampered) openFails() {
	l.t.Helper()
	s, err := Open(l.dir, time.Now)
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, ErrReplaced) {
		l.t.Errorf("opening it: %v", err)
	}
}

// intentIndex is an intent near index.
func (l *tampered) intentIndex(near uint64) int {
	l.t.Helper()
	r := l.reader()
	defer r.Close()
	for e, err := range r.Entries(context.Background(), near, near+50) {
		if err != nil {
			l.t.Fatal(err)
		}
		if e.Type == "intent" {
			return int(e.Index)
		}
	}
	l.t.Fatal("no intent")
	return 0
}

func TestHonestLogVerifies(t *testing.T) {
	l := newTampered(t)
	if r := l.verify(proof.Options{Checkpoints: [][]byte{l.checkpoint}}); !r.OK() || r.Entries != 400 {
		t.Errorf("%s", r)
	}
}

func TestEditsAreDetected(t *testing.T) {
	for name, edit := range map[string]func(*tampered){
		"entry":    func(l *tampered) { l.replace(l.intentIndex(100), "lookup_customer", "delete_customer") },
		"decision": func(l *tampered) { l.replace(l.intentIndex(100), `"verdict":"allow"`, `"verdict":"deny"`) },
		"approver": func(l *tampered) { l.replace(l.intentIndex(100), `"args"`, `"approver":"grace","args"`) },
		"dropped":  func(l *tampered) { l.sql("DELETE FROM entries WHERE idx = 100") },
		"reordered": func(l *tampered) {
			l.sql(`UPDATE entries SET entry = (SELECT entry FROM entries AS e WHERE e.idx = 201 - entries.idx) WHERE idx IN (100, 101)`)
		},
		"renumbered": func(l *tampered) {
			l.sql("DELETE FROM entries WHERE idx = 100")
			l.sql("UPDATE entries SET idx = idx - 1000 WHERE idx > 100")
			l.sql("UPDATE entries SET idx = idx + 999 WHERE idx < 0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newTampered(t)
			edit(l)
			if r := l.verify(proof.Options{}); r.OK() {
				t.Error("not detected")
			}
			r := l.reader()
			defer r.Close()
			if _, err := r.CheckTiles(t.Context()); !errors.Is(err, ErrReplaced) {
				t.Errorf("the tiles: %v", err)
			}
		})
	}
}

// What a killed gateway wrote and had not signed yet is fixed by its chain
// alone. A gateway that starts must not sign it when somebody changed it.
func TestUnsignedEditsAreDetected(t *testing.T) {
	live := t.TempDir()
	s := open(t, live)
	calls(t, s, 20)
	if err := s.sequencer.advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	signed, _, err := s.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	s.sequencer.pass.Lock()
	for i := range 20 {
		commit(t, s, intent(fmt.Sprint("c_unsigned_", i)))
	}
	killed := t.TempDir()
	err = os.CopyFS(killed, os.DirFS(live))
	s.sequencer.pass.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	first := int(signed.Size)
	for name, edit := range map[string]func(*tampered){
		"nothing":  nil,
		"first":    func(l *tampered) { l.replace(first, "lookup_customer", "delete_customer") },
		"middle":   func(l *tampered) { l.replace(l.intentIndex(signed.Size+5), `"verdict":"allow"`, `"verdict":"deny"`) },
		"dropped":  func(l *tampered) { l.sql("DELETE FROM entries WHERE idx = $1", first+5) },
		"no entry": func(l *tampered) { l.replace(l.intentIndex(signed.Size+5), `"verdict"`, `"Verdict"`) },
		"swapped": func(l *tampered) {
			l.sql(`UPDATE entries SET entry = (SELECT entry FROM entries AS e WHERE e.idx = $1 - entries.idx) WHERE idx IN ($2, $3)`, 2*first+5, first+2, first+3)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := &tampered{t: t, dir: t.TempDir()}
			if err := os.CopyFS(l.dir, os.DirFS(killed)); err != nil {
				t.Fatal(err)
			}
			if edit == nil {
				if r := verified(t, open(t, l.dir)); !r.OK() || r.Unknown != 20 {
					t.Errorf("%s", r)
				}
				return
			}
			edit(l)
			l.openFails()
			if after, _, err := l.reader().Checkpoint(); err != nil || after != signed {
				t.Errorf("the checkpoint went from %d to %d entries (%v)", signed.Size, after.Size, err)
			}
		})
	}
}

// Without its write-ahead log the database of a killed gateway is an older one.
func TestMissingWriteAheadLogIsDetected(t *testing.T) {
	live := t.TempDir()
	s := open(t, live)
	calls(t, s, 20)
	if err := s.sequencer.advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := &tampered{t: t, dir: t.TempDir()}
	if err := os.CopyFS(l.dir, os.DirFS(live)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(l.dir, "sallyport.db-wal")); err != nil {
		t.Fatal(err)
	}
	l.openFails()
}

func TestTruncationIsDetected(t *testing.T) {
	l := newTampered(t)
	l.sql("DELETE FROM entries WHERE idx >= 390")
	l.openFails()
	if r := l.verify(proof.Options{}); r.OK() {
		t.Error("not detected")
	}
}

// An old copy of the whole directory is consistent in itself. Only what was
// kept elsewhere shows that the log was longer.
func TestOldCopyIsDetected(t *testing.T) {
	l := newTampered(t)
	old := t.TempDir()
	if err := os.CopyFS(old, os.DirFS(l.dir)); err != nil {
		t.Fatal(err)
	}
	s := open(t, l.dir)
	calls(t, s, 5)
	closed(t, s)
	l.remember()
	l.dir = old
	if r := l.verify(proof.Options{}); !r.OK() {
		t.Fatalf("%s", r)
	}
	r := l.verify(proof.Options{Checkpoints: [][]byte{l.checkpoint}})
	if r.OK() || !strings.Contains(r.Problems[0], "cut") {
		t.Errorf("%s", r)
	}
}

// Two copies that both go on are a fork.
func TestForkIsDetected(t *testing.T) {
	l := newTampered(t)
	fork := t.TempDir()
	if err := os.CopyFS(fork, os.DirFS(l.dir)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{l.dir, fork} {
		s := open(t, dir)
		calls(t, s, 20)
		closed(t, s)
	}
	l.remember()
	l.dir = fork
	r := l.verify(proof.Options{Checkpoints: [][]byte{l.checkpoint}})
	if r.OK() || !strings.Contains(r.Problems[0], "forked") {
		t.Errorf("%s", r)
	}
}

func TestReplacedDatabaseIsDetected(t *testing.T) {
	l := newTampered(t)
	other := newTampered(t)
	s := open(t, other.dir)
	calls(t, s, 10) // longer, so that the number of entries does not show it
	closed(t, s)
	text, err := os.ReadFile(filepath.Join(other.dir, "sallyport.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.dir, "sallyport.db"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := l.verify(proof.Options{}); r.OK() {
		t.Error("not detected")
	}
	l.openFails()
	// With its key and checkpoint too, it is another log.
	for _, name := range []string{"log.key", "log/key", "log/checkpoint"} {
		text, err := os.ReadFile(filepath.Join(other.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(l.dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := l.verify(proof.Options{Checkpoints: [][]byte{l.checkpoint}}); r.OK() {
		t.Error("another log is not detected")
	}
}

func TestMissingProofIsDetected(t *testing.T) {
	for _, name := range []string{"log.key", "log/checkpoint"} {
		l := newTampered(t)
		if err := os.Remove(filepath.Join(l.dir, name)); err != nil {
			t.Fatal(err)
		}
		l.openFails()
		if _, err := os.Stat(filepath.Join(l.dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a new %s was made for an old log", name)
		}
	}
	l := newTampered(t)
	if err := os.WriteFile(filepath.Join(l.dir, "log/checkpoint"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.openFails()
}

// Another key signs nothing of this log, and what others verify it with stays.
func TestReplacedKeyIsDetected(t *testing.T) {
	l := newTampered(t)
	secret, err := tlog.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.dir, "log.key"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	l.openFails()
	if r := l.verify(proof.Options{Checkpoints: [][]byte{l.checkpoint}}); !r.OK() {
		t.Errorf("%s", r)
	}
}

func TestDamagedTileIsDetectedAndRepaired(t *testing.T) {
	l := newTampered(t)
	damage := func(name string) {
		t.Helper()
		path := filepath.Join(l.dir, "log", name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text[7]++
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"tile/0/000", "tile/0/001.p/144", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/144"} {
		damage(name)
		r := l.reader()
		damaged, err := r.CheckTiles(t.Context())
		if err != nil || !slices.Equal(damaged, []string{name}) {
			t.Errorf("%s: %v, %v", name, damaged, err)
		}
		if strings.HasPrefix(name, "tile/0/000") {
			err := r.Export(t.Context(), new(bytes.Buffer), ExportOptions{Ranges: []Range{{100, 101}}})
			if err == nil {
				t.Error("made a proof from a damaged tile")
			}
		}
		r.Close()
		s := open(t, l.dir) // which repairs what it needs itself
		if _, err := s.RepairTiles(t.Context()); err != nil {
			t.Fatal(err)
		}
		if damaged, err := s.CheckTiles(t.Context()); err != nil || len(damaged) != 0 {
			t.Errorf("%s is not repaired: %v, %v", name, damaged, err)
		}
		closed(t, s)
	}
	// Without any tile the log opens, since the rows have the signed root …
	if err := os.RemoveAll(filepath.Join(l.dir, "log", "tile")); err != nil {
		t.Fatal(err)
	}
	closed(t, open(t, l.dir))
	if r := l.verify(proof.Options{Checkpoints: [][]byte{l.checkpoint}}); !r.OK() {
		t.Errorf("%s", r)
	}
	// … and not when they haven't.
	if err := os.RemoveAll(filepath.Join(l.dir, "log", "tile")); err != nil {
		t.Fatal(err)
	}
	l.replace(l.intentIndex(100), "lookup_customer", "delete_customer")
	l.openFails()
	if _, err := os.Stat(filepath.Join(l.dir, "log", "tile")); !errors.Is(err, os.ErrNotExist) {
		t.Error("tiles were made from entries that nobody signed")
	}
}

// Tiles that could not be written are written later; the checkpoint never
// speaks of tiles that are not there.
func TestTilesThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	calls(t, s, 5)
	if err := s.sequencer.advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	tiles := filepath.Join(dir, "log", "tile")
	if err := errors.Join(os.Rename(tiles, tiles+".away"), os.WriteFile(tiles, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	calls(t, s, 300)
	if err := s.sequencer.advance(t.Context()); err == nil || s.Health() == nil {
		t.Error("no error")
	}
	commit(t, s, intent("c_more"))
	if err := errors.Join(os.Remove(tiles), os.Rename(tiles+".away", tiles)); err != nil {
		t.Fatal(err)
	}
	if err := s.sequencer.advance(t.Context()); err != nil {
		t.Error(err)
	}
	if damaged, err := s.CheckTiles(t.Context()); err != nil || len(damaged) > 0 {
		t.Errorf("%v, %v", damaged, err)
	}
	if checkpoint, _, err := s.Checkpoint(); err != nil || checkpoint.Size < 601 {
		t.Errorf("%+v, %v", checkpoint, err)
	}
}

func TestExportRanges(t *testing.T) {
	l := newTampered(t)
	r := l.reader()
	defer r.Close()
	s := open(t, l.dir)
	calls(t, s, 3)
	commit(t, s, intent("c_last")) // what was accepted before is durable with it
	var text bytes.Buffer
	call := l.intentIndex(200)
	o := ExportOptions{Ranges: []Range{{0, 1}, {uint64(call), uint64(call) + 1}, {300, 310}, {399, 99999}}, Against: []uint64{400, 250, 7777}, Payloads: true}
	if err := s.Export(t.Context(), &text, o); err != nil {
		t.Fatal(err)
	}
	report, err := proof.Verify(bytes.NewReader(text.Bytes()), proof.Options{Key: l.key, Checkpoints: [][]byte{l.checkpoint}})
	if err != nil || !report.OK() || report.Entries != 1+1+10+8 || report.Missing != 407-20 || report.Opened != report.Sealed || report.Opened == 0 {
		t.Errorf("%s, %v", report, err)
	}
	text.Reset()
	if err := s.Export(t.Context(), &text, ExportOptions{Ranges: []Range{}}); err != nil {
		t.Fatal(err)
	}
	// Nothing but the checkpoint, and a checkpoint kept elsewhere that can't be
	// compared with it.
	if report, err = proof.Verify(&text, proof.Options{Key: l.key, Checkpoints: [][]byte{l.checkpoint}}); err != nil || report.OK() {
		t.Errorf("%s, %v", report, err)
	}
	if err := s.Export(t.Context(), &text, ExportOptions{Ranges: []Range{{5, 9}, {3, 4}}}); err == nil {
		t.Error("ranges out of order")
	}
}
