package crash

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"sallyport"
	"sallyport/internal/tlog"
	"sallyport/proof"
	"sallyport/test/rig"
)

// genuine is the log of a gateway that ran and was ended in order, and what was
// kept elsewhere: its key, and a checkpoint from the middle of its life.
type genuine struct {
	binary, dir string
	key         string
	kept        string // file with the checkpoint
	size        uint64 // that it covers
	export      string // with payloads
}

func newGenuine(t *testing.T, binary string) *genuine {
	t.Helper()
	l := &genuine{binary: binary, dir: t.TempDir()}
	url, stop := rig.Serve(newEffects())
	t.Cleanup(stop)
	configure(t, l.dir, url)
	g := launch(t, l.binary, l.dir)
	c := &caller{t: t, address: g.address(t)}
	c.waitForTool()
	for range 140 {
		c.call() // so that there is more than one tile
	}
	// The checkpoint follows within a second.
	for end := time.Now().Add(20 * time.Second); l.size < 256; time.Sleep(20 * time.Millisecond) {
		var checkpoint struct {
			Size uint64
			Text string
		}
		if err := json.Unmarshal([]byte(l.run(t, "log", "checkpoint", "-o", "json")), &checkpoint); err != nil {
			t.Fatal(err)
		}
		l.kept, l.size = filepath.Join(l.dir, "kept"), checkpoint.Size
		if err := os.WriteFile(l.kept, []byte(checkpoint.Text), 0o600); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(end) {
			t.Fatalf("no checkpoint over 256 entries, but %d", l.size)
		}
	}
	for range 20 {
		c.call()
	}
	g.command.Process.Signal(os.Interrupt)
	<-g.ended
	l.export = l.run(t, "log", "export", "--payloads")
	key, err := os.ReadFile(filepath.Join(l.dir, "state", "log", "key"))
	if err != nil {
		t.Fatal(err)
	}
	l.key = strings.TrimSpace(string(key))
	return l
}

func (l *genuine) run(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, l.binary, l.dir, args...)
}

// found reports whether "log verify" finds something wrong.
func (l *genuine) found(t *testing.T, args ...string) bool {
	t.Helper()
	out, err := exec.Command(l.binary, append([]string{"log", "verify"}, args...)...).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 4) {
		t.Fatalf("log verify %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	if err != nil && !bytes.Contains(out, []byte("WRONG")) && !bytes.Contains(out, []byte("log/checkpoint")) {
		t.Errorf("it fails and does not say why:\n%s", out)
	}
	return err != nil
}

// lines of the export: the header, then entries and openings.
func (l *genuine) lines() []string { return strings.SplitAfter(l.export, "\n") }

// isEntry finds entries of a type among lines.
func isEntry(kind string) func(string) bool {
	return func(line string) bool { return strings.Contains(line, `"type":"`+kind+`"`) }
}

// at is the n-th line that fits.
func at(t *testing.T, lines []string, n int, fits func(string) bool) int {
	t.Helper()
	for i, line := range lines {
		if fits(line) {
			if n--; n < 0 {
				return i
			}
		}
	}
	t.Fatal("there is no such line")
	return 0
}

func isOpening(line string) bool { return strings.HasPrefix(line, `{"opening":`) }

// forged is the export of a liar who has the log's key, or one of his own:
// the entries as change makes them, chained and signed anew.
func (l *genuine) forged(t *testing.T, secret string, change func([]sallyport.Entry) []sallyport.Entry) []string {
	t.Helper()
	var entries []sallyport.Entry
	for _, line := range l.lines() {
		if e, err := sallyport.ParseEntry([]byte(strings.TrimSuffix(line, "\n"))); err == nil {
			entries = append(entries, e)
		}
	}
	signer, err := tlog.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	var tree proof.Frontier
	var prev sallyport.Digest
	lines := []string{""}
	for i, e := range change(entries) {
		e.Index, e.Prev = uint64(i), prev
		text := e.AppendCanonical(nil)
		prev = sallyport.LeafHash(text)
		tree.Append(prev)
		lines = append(lines, string(text)+"\n")
	}
	signed, err := signer.Sign(tree.Size(), tree.Root())
	if err != nil {
		t.Fatal(err)
	}
	lines[0] = string(proof.Header{Key: signer.Key(), Checkpoint: string(signed)}.Append(nil))
	return lines
}

func (l *genuine) secret(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(l.dir, "state", "log.key"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// TestTamperedExports changes exports in every way that we know, and asks what
// finds it: the export alone, the key from elsewhere, or only a checkpoint
// that was kept elsewhere. docs/log.md has this table.
func TestTamperedExports(t *testing.T) {
	binary := build(t)
	l, other := newGenuine(t, binary), newGenuine(t, binary)
	middle := func(lines []string) int { return at(t, lines, 70, isEntry("intent")) }
	edit := func(old, new string) func([]string) []string {
		return func(lines []string) []string {
			i := middle(lines)
			if !strings.Contains(lines[i], old) {
				t.Fatalf("no %s in %s", old, lines[i])
			}
			lines[i] = strings.Replace(lines[i], old, new, 1)
			return lines
		}
	}
	owner := func(change func([]sallyport.Entry) []sallyport.Entry) func([]string) []string {
		return func([]string) []string { return l.forged(t, l.secret(t), change) }
	}
	same := func(entries []sallyport.Entry) []sallyport.Entry { return entries }
	const (
		nobody = iota // it is not wrong
		alone         // the export alone shows it
		key           // the key from elsewhere does
		kept          // only a checkpoint kept elsewhere does
		never         // nothing does
	)
	for _, row := range []struct {
		name   string
		change func([]string) []string
		finder int
	}{
		{"nothing", func(lines []string) []string { return lines }, nobody},
		{"entry", edit(`"name":"act"`, `"name":"get"`), alone},
		{"decision", edit(`"verdict":"allow"`, `"verdict":"hold"`), alone},
		{"approver", edit(`"args"`, `"approver":"grace","args"`), alone},
		{"time", edit(`"time":"20`, `"time":"21`), alone},
		{"last entry", func(lines []string) []string {
			for i, line := range slices.Backward(lines) {
				if strings.Contains(line, `"time":"20`) {
					lines[i] = strings.Replace(line, `"time":"20`, `"time":"21`, 1)
					return lines
				}
			}
			return nil
		}, alone},
		{"dropped", func(lines []string) []string { return slices.Delete(lines, middle(lines), middle(lines)+2) }, alone},
		{"reordered", func(lines []string) []string {
			i, j := middle(lines), at(t, lines, 71, isEntry("intent"))
			lines[i], lines[j] = lines[j], lines[i]
			return lines
		}, alone},
		{"twice", func(lines []string) []string { return slices.Insert(lines, middle(lines), lines[middle(lines)]) }, alone},
		{"end cut off", func(lines []string) []string { return lines[:len(lines)-20] }, alone},
		{"cut within a line", func(lines []string) []string {
			lines = lines[:middle(lines)+1]
			lines[len(lines)-1] = lines[len(lines)-1][:40]
			return lines
		}, alone},
		{"middle cut out for a gap with wrong hashes", func(lines []string) []string {
			i := middle(lines)
			e, err := sallyport.ParseEntry([]byte(strings.TrimSuffix(lines[i], "\n")))
			if err != nil {
				t.Fatal(err)
			}
			lines[i] = string(proof.Gap{From: e.Index, To: e.Index + 1, Hashes: []sallyport.Digest{{1}}}.Append(nil))
			return slices.Delete(lines, i+1, i+2)
		}, alone},
		{"space", edit(`"name":`, `"name": `), alone},
		{"escape", edit(`"name":"act"`, `"name":"\u0061ct"`), alone},
		{"order of members", edit(`"v":3,"verdict":"allow"`, `"verdict":"allow","v":3`), alone},
		{"number", edit(`"v":3`, `"v":3.0`), alone},
		{"member twice", edit(`"v":3`, `"v":3,"v":3`), alone},
		{"unknown member", edit(`"v":3`, `"v":3,"w":1`), alone},
		{"line break", edit("}\n", "}\r\n"), alone},
		{"payload", func(lines []string) []string {
			i := at(t, lines, 70, isOpening)
			lines[i] = strings.Replace(lines[i], `\"n\":`, `\"m\":`, 1)
			return lines
		}, alone},
		{"payload of another call", func(lines []string) []string {
			i, j := at(t, lines, 70, isOpening), at(t, lines, 72, isOpening)
			ours, theirs, _ := strings.Cut(lines[j], `"index"`)
			_, rest, _ := strings.Cut(lines[i], `"index"`)
			if theirs == "" || rest == "" {
				t.Fatal("the openings are not of arguments")
			}
			lines[i] = ours + `"index"` + rest
			return lines
		}, alone},
		{"payloads swapped", func(lines []string) []string {
			i, j := at(t, lines, 70, isOpening), at(t, lines, 72, isOpening)
			lines[i], lines[j] = lines[j], lines[i]
			return lines
		}, alone},
		{"payload twice", func(lines []string) []string {
			i := at(t, lines, 70, isOpening)
			return slices.Insert(lines, i, lines[i])
		}, alone},
		{"checkpoint of another log", func(lines []string) []string {
			var theirs, ours proof.Header
			theirs.Checkpoint, ours.Key = headerOf(t, other.lines()[0]).Checkpoint, l.key
			lines[0] = string(proof.Header{Key: ours.Key, Checkpoint: theirs.Checkpoint}.Append(nil))
			return lines
		}, alone},
		{"earlier checkpoint", func(lines []string) []string {
			text, err := os.ReadFile(l.kept)
			if err != nil {
				t.Fatal(err)
			}
			lines[0] = string(proof.Header{Key: l.key, Checkpoint: string(text)}.Append(nil))
			return lines
		}, alone},
		{"checkpoint by another key of the same name", func(lines []string) []string {
			name, _, _ := strings.Cut(l.key, "+")
			secret, public, err := note.GenerateKey(rand.Reader, name)
			if err != nil {
				t.Fatal(err)
			}
			forged := l.forged(t, secret, same)
			if headerOf(t, forged[0]).Key != public {
				t.Fatal("another key was used")
			}
			return forged
		}, key},
		{"another log", func([]string) []string { return other.lines() }, key},
		{"written anew by the owner", owner(func(entries []sallyport.Entry) []sallyport.Entry {
			entries[100].Approver = "grace"
			return entries
		}), kept},
		{"dropped by the owner", owner(func(entries []sallyport.Entry) []sallyport.Entry {
			i := slices.IndexFunc(entries, func(e sallyport.Entry) bool { return e.Type == sallyport.Closed })
			call := entries[i].Call
			return slices.DeleteFunc(entries, func(e sallyport.Entry) bool { return e.Call == call })
		}), kept},
		{"cut by the owner", owner(func(entries []sallyport.Entry) []sallyport.Entry { return entries[:100] }), kept},
		{"forked by the owner", owner(func(entries []sallyport.Entry) []sallyport.Entry {
			return append(entries[:l.size-3], entries[:40]...)
		}), alone}, // a call twice
		{"time set back by the owner", owner(func(entries []sallyport.Entry) []sallyport.Entry {
			entries[100].Time = entries[100].Time.Add(-time.Hour)
			return entries
		}), alone},
		{"outcome given twice by the owner", owner(func(entries []sallyport.Entry) []sallyport.Entry {
			i := slices.IndexFunc(entries, func(e sallyport.Entry) bool { return e.Type == sallyport.Closed })
			return slices.Insert(entries, i, entries[i])
		}), alone},
		{"written anew behind the checkpoint that was kept", owner(func(entries []sallyport.Entry) []sallyport.Entry {
			entries[l.size+1].Approver = "grace"
			return entries
		}), never},
		{"dated to the future by the owner, behind it", owner(func(entries []sallyport.Entry) []sallyport.Entry {
			for i := l.size; i < uint64(len(entries)); i++ {
				entries[i].Time = entries[i].Time.AddDate(10, 0, 0)
			}
			return entries
		}), never},
	} {
		t.Run(row.name, func(t *testing.T) {
			lines := row.change(l.lines())
			if row.name != "nothing" && strings.Join(lines, "") == l.export {
				t.Fatal("nothing was changed")
			}
			file := filepath.Join(t.TempDir(), "export")
			if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600); err != nil {
				t.Fatal(err)
			}
			for finder, found := range map[int]bool{
				alone: l.found(t, file),
				key:   l.found(t, file, "--key", l.key),
				kept:  l.found(t, file, "--key", l.key, "--checkpoint", l.kept),
			} {
				if want := row.finder != nobody && row.finder <= finder; found != want {
					t.Errorf("found %v, want %v, by way %d", found, want, finder)
				}
			}
		})
	}
}

func headerOf(t *testing.T, line string) (h proof.Header) {
	t.Helper()
	var text struct {
		Export struct{ Key, Checkpoint string }
	}
	if err := json.Unmarshal([]byte(line), &text); err != nil {
		t.Fatal(err)
	}
	return proof.Header{Key: text.Export.Key, Checkpoint: text.Export.Checkpoint}
}

// TestTamperedDirectories changes the files of a log whose gateway has ended,
// and asks whether "log verify" finds it, with and without a checkpoint kept
// elsewhere, and whether a gateway still starts on it.
func TestTamperedDirectories(t *testing.T) {
	binary := build(t)
	l, other := newGenuine(t, binary), newGenuine(t, binary)
	state := func(of *genuine, name string) []byte {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(of.dir, "state", name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	write := func(name string, text []byte) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), text, 0o600) }
	}
	query := func(database, statement string, args ...any) func(string) error {
		return func(dir string) error {
			db, err := sql.Open("sqlite", filepath.Join(dir, database))
			if err != nil {
				return err
			}
			result, err := db.Exec(statement, args...)
			if err == nil {
				if n, _ := result.RowsAffected(); n == 0 {
					err = errors.New("nothing was changed")
				}
			}
			return errors.Join(err, db.Close())
		}
	}
	replace := func(old, new string) func(string) error {
		return query("sallyport.db", `UPDATE entries SET entry = CAST(replace(CAST(entry AS TEXT), $1, $2) AS BLOB)
			WHERE idx = (SELECT min(idx) FROM entries WHERE idx > 100 AND CAST(entry AS TEXT) LIKE '%"type":"intent"%')`, old, new)
	}
	damaged := func(name string) func(string) error {
		text := state(l, name)
		text[5]++
		return write(name, text)
	}
	segment := func(dir string) string {
		names, err := filepath.Glob(filepath.Join(dir, "payloads", "0*"))
		if err != nil || len(names) == 0 {
			t.Fatalf("no payloads: %v", err)
		}
		return names[0]
	}
	kept, err := os.ReadFile(l.kept)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name          string
		change        func(dir string) error
		here, against bool // found by "log verify", without and with the kept checkpoint
		starts        bool
	}{
		{"nothing", func(string) error { return nil }, false, false, true},
		{"entry", replace(`"name":"act"`, `"name":"get"`), true, true, true},
		{"decision", replace(`"verdict":"allow"`, `"verdict":"deny"`), true, true, true},
		{"approver", replace(`"args"`, `"approver":"grace","args"`), true, true, true},
		{"dropped", query("sallyport.db", "DELETE FROM entries WHERE idx = 100"), true, true, true},
		{"reordered", query("sallyport.db", "UPDATE entries SET entry = (SELECT entry FROM entries AS e WHERE e.idx = 201 - entries.idx) WHERE idx IN (100, 101)"), true, true, true},
		{"cut", query("sallyport.db", "DELETE FROM entries WHERE idx >= 100"), true, true, false},
		{"cut and the kept checkpoint put back", func(dir string) error {
			return errors.Join(query("sallyport.db", "DELETE FROM entries WHERE idx >= $1", l.size)(dir), write("log/checkpoint", kept)(dir))
		}, false, false, true}, // all that the kept checkpoint covers is there
		{"cut before the kept checkpoint", func(dir string) error {
			return errors.Join(query("sallyport.db", "DELETE FROM entries WHERE idx >= 100")(dir), os.Remove(filepath.Join(dir, "log", "checkpoint")))
		}, true, true, false},
		{"database of another log", write("sallyport.db", state(other, "sallyport.db")), true, true, false},
		{"another log", func(dir string) error {
			return errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(filepath.Join(other.dir, "state"))))
		}, false, true, true},
		{"key", write("log.key", state(other, "log.key")), false, false, false},
		{"checkpoint of another log", write("log/checkpoint", state(other, "log/checkpoint")), true, true, false},
		{"key of another log beside the checkpoint", write("log/key", state(other, "log/key")), true, true, false},
		{"tile", damaged("log/tile/0/000"), true, true, true},
		{"bundle", damaged("log/tile/entries/000"), true, true, true},
		{"tile of another log", write("log/tile/0/000", state(other, "log/tile/0/000")), true, true, true},
		{"tile of another size", func(dir string) error {
			text := state(l, "log/tile/0/000")
			return os.WriteFile(filepath.Join(dir, "log/tile/0/000"), text[:len(text)-32], 0o600)
		}, true, true, true},
		{"tiles gone", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "log", "tile")) }, true, true, true},
		{"payloads gone", func(dir string) error { return os.Remove(segment(dir)) }, false, false, true},
		{"payloads cut", func(dir string) error { return os.Truncate(segment(dir), 100) }, false, false, true},
		{"projections gone", func(dir string) error { return os.Remove(filepath.Join(dir, "index.db")) }, false, false, true},
		{"projection", query("index.db", "DELETE FROM records WHERE idx > 50"), false, false, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(l.dir)); err != nil {
				t.Fatal(err)
			}
			if err := row.change(filepath.Join(dir, "state")); err != nil {
				t.Fatal(err)
			}
			of := []string{"--dir", filepath.Join(dir, "state")}
			if found := l.found(t, of...); found != row.here {
				t.Errorf("alone: found %v, want %v", found, row.here)
			}
			against := append(of, "--checkpoint", l.kept)
			if found := l.found(t, against...); found != row.against {
				t.Errorf("against the kept checkpoint: found %v, want %v", found, row.against)
			}
			g := launch(t, l.binary, dir)
			if started := g.starts(); started != row.starts {
				t.Errorf("started %v, want %v: %s", started, row.starts, g.output)
			} else if !started && !strings.Contains(g.output.String(), "the database does not hold the log that was signed") {
				t.Errorf("it does not say why it does not start: %s", g.output)
			}
			g.command.Process.Signal(os.Interrupt)
			<-g.ended
			// What is only derived is made again.
			if slices.Contains([]string{"tile", "bundle", "tile of another log", "tile of another size", "tiles gone"}, row.name) {
				run(t, l.binary, dir, "log", "reindex")
				if l.found(t, against...) {
					t.Error("tiles are not made again")
				}
			}
			if row.name == "projection" {
				if n := len(intents(t, l, dir)); n >= 150 {
					t.Errorf("%d intents are found: the projections were not asked", n)
				}
				run(t, l.binary, dir, "log", "reindex")
				if n := len(intents(t, l, dir)); n != 160 {
					t.Errorf("after a reindex %d intents are found", n)
				}
			}
			if strings.HasPrefix(row.name, "payloads") {
				out := run(t, l.binary, dir, "log", "show", "101")
				if !strings.Contains(out, "payload") {
					t.Errorf("the missing payload is not named: %s", out)
				}
			}
		})
	}
}

func intents(t *testing.T, l *genuine, dir string) []entry {
	t.Helper()
	var all []entry
	out := run(t, l.binary, dir, "log", "query", "--type", "intent", "--limit", "0", "-o", "json")
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(e entry) bool { return e.Type != "intent" })
}

// starts reports whether the gateway listens, or ends by itself.
func (g gateway) starts() bool {
	for range 30_000 {
		if text, err := os.ReadFile(g.addresses); err == nil && json.Valid(text) {
			return true
		}
		select {
		case <-g.ended:
			return false
		case <-time.After(time.Millisecond):
		}
	}
	return false
}

// TestTwoGatewaysOnOneDirectory: the second one refuses to start, and says
// which process has the directory.
func TestTwoGatewaysOnOneDirectory(t *testing.T) {
	binary, dir := build(t), t.TempDir()
	configure(t, dir, "http://127.0.0.1:1")
	first := launch(t, binary, dir)
	first.address(t)
	second := exec.Command(binary, "up", "--config", filepath.Join(dir, "sallyport.yaml"), "--dir", filepath.Join(dir, "state"))
	out, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another gateway runs") || !strings.Contains(string(out), fmt.Sprint(first.command.Process.Pid)) {
		t.Errorf("%v: %s", err, out)
	}
}
