package proof

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strings"
	"testing"
	"time"

	keys "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport"
)

// logbook is a log in memory, as an honest gateway would write it.
type logbook struct {
	t       testing.TB
	signer  note.Signer
	key     string
	entries []sallyport.Entry
	args    [][]byte // payloads, all with the salt of zeros
}

func newLogbook(t testing.TB, calls int) *logbook {
	t.Helper()
	private, key, err := note.GenerateKey(rand.Reader, "log.test/"+t.Name())
	if err != nil {
		t.Fatal(err)
	}
	return newLogbookOf(t, calls, private, key)
}

func newLogbookOf(t testing.TB, calls int, private, key string) *logbook {
	t.Helper()
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	l := &logbook{t: t, signer: signer, key: key}
	for i := range calls {
		call := fmt.Sprintf("c_%04d", i)
		args := fmt.Appendf(nil, `{"amount":%d}`, i)
		l.entries = append(l.entries, sallyport.Entry{Type: sallyport.Intent, Call: call, Kind: sallyport.KindTool,
			Server: "crm", Name: "refund", Verdict: sallyport.Allow, Approver: "grace", Args: Commitment([SaltSize]byte{}, args)},
			sallyport.Entry{Type: sallyport.Closed, Call: call, Outcome: sallyport.OutcomeOK})
		l.args = append(l.args, args, nil)
	}
	return l
}

// texts are the canonical bytes of the entries, chained.
func (l *logbook) texts() [][]byte {
	var all [][]byte
	var prev sallyport.Digest
	start := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for i, e := range l.entries {
		e.Index, e.Prev, e.Time = uint64(i), prev, start.Add(time.Duration(i)*time.Second)
		text := e.AppendCanonical(nil)
		prev = sallyport.LeafHash(text)
		all = append(all, text)
	}
	return all
}

func (l *logbook) checkpoint(texts [][]byte, signers ...note.Signer) []byte {
	l.t.Helper()
	var f Frontier
	for _, text := range texts {
		f.Append(sallyport.LeafHash(text))
	}
	c := Checkpoint{Origin: l.signer.Name(), Size: f.Size(), Root: f.Root()}
	signed, err := note.Sign(&note.Note{Text: c.Text()}, append([]note.Signer{l.signer}, signers...)...)
	if err != nil {
		l.t.Fatal(err)
	}
	return signed
}

// export is a whole export of texts under a checkpoint.
func (l *logbook) export(texts [][]byte, checkpoint []byte) []byte {
	out := Header{Key: l.key, Checkpoint: string(checkpoint)}.Append(nil)
	for _, text := range texts {
		out = append(append(out, text...), '\n')
	}
	return out
}

func (l *logbook) verify(export []byte, options Options) *Report {
	l.t.Helper()
	report, err := Verify(bytes.NewReader(export), options)
	if err != nil {
		l.t.Fatal(err)
	}
	return report
}

func wantProblem(t *testing.T, r *Report, about string) {
	t.Helper()
	if r.OK() || !slices.ContainsFunc(r.Problems, func(p string) bool { return strings.Contains(p, about) }) {
		t.Errorf("no problem about %q, but %q", about, r.Problems)
	}
}

func TestVerifyWhole(t *testing.T) {
	l := newLogbook(t, 600)
	texts := l.texts()
	earlier := l.checkpoint(texts[:777])
	export := l.export(texts, l.checkpoint(texts))
	r := l.verify(export, Options{Key: l.key, Checkpoints: [][]byte{earlier}})
	if !r.OK() || r.Entries != 1200 || r.Missing != 0 || r.Types[sallyport.Intent] != 600 || len(r.Open) != 0 ||
		r.Sealed != 600 || r.Opened != 0 || !r.Earlier[0].Same || !r.KeyFromElsewhere {
		t.Errorf("%+v", r)
	}
	r = l.verify(export, Options{})
	if !r.OK() || r.KeyFromElsewhere {
		t.Errorf("%+v", r)
	}
	text := r.String()
	for _, want := range []string{"vouches for itself", "No checkpoint kept elsewhere", "600 payloads are not in the file"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %q:\n%s", want, text)
		}
	}
}

func TestVerifyEmpty(t *testing.T) {
	l := newLogbook(t, 0)
	if r := l.verify(l.export(nil, l.checkpoint(nil)), Options{Key: l.key}); !r.OK() {
		t.Errorf("%+v", r)
	}
}

// Whoever changes entries without the key can't make a good export of them,
// and with the key is found out by a checkpoint kept elsewhere.
func TestVerifyFindsChanges(t *testing.T) {
	l := newLogbook(t, 20)
	honest := l.texts()
	checkpoint := l.checkpoint(honest)
	changes := map[string]func() [][]byte{
		"decision": func() [][]byte {
			texts := slices.Clone(honest)
			texts[10] = bytes.Replace(texts[10], []byte(`"verdict":"allow"`), []byte(`"verdict":"hold"`), 1)
			return texts
		},
		"approver": func() [][]byte {
			texts := slices.Clone(honest)
			texts[10] = bytes.Replace(texts[10], []byte("grace"), []byte("mallo"), 1)
			return texts
		},
		"last entry": func() [][]byte {
			texts := slices.Clone(honest)
			texts[39] = bytes.Replace(texts[39], []byte(`"ok"`), []byte(`"error"`), 1)
			return texts
		},
		"dropped":      func() [][]byte { return slices.Delete(slices.Clone(honest), 10, 11) },
		"dropped last": func() [][]byte { return honest[:39] },
		"reordered": func() [][]byte {
			texts := slices.Clone(honest)
			texts[10], texts[12] = texts[12], texts[10]
			return texts
		},
		"repeated": func() [][]byte { return slices.Insert(slices.Clone(honest), 10, honest[10]) },
		"rewritten": func() [][]byte {
			changed := *l
			changed.entries = slices.Clone(l.entries)
			changed.entries[10].Approver = "mallory"
			return changed.texts()
		},
		"forked": func() [][]byte {
			fork := *l
			fork.entries = append(slices.Clone(l.entries[:30]), l.entries[32:]...)
			return fork.texts()
		},
		"cut": func() [][]byte { return honest[:30] },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			texts := change()
			if r := l.verify(l.export(texts, checkpoint), Options{Key: l.key}); r.OK() {
				t.Error("not found with the checkpoint of the honest log")
			}
			if name == "dropped" || name == "dropped last" || name == "reordered" || name == "repeated" {
				return // a liar with the key would chain them anew: see the others
			}
			signedAnew := l.export(texts, l.checkpoint(texts))
			r := l.verify(signedAnew, Options{Key: l.key, Checkpoints: [][]byte{checkpoint}})
			if r.OK() {
				t.Error("not found with a checkpoint kept elsewhere")
			}
		})
	}
	t.Run("cut is named", func(t *testing.T) {
		cut := honest[:30]
		wantProblem(t, l.verify(l.export(cut, l.checkpoint(cut)), Options{Key: l.key, Checkpoints: [][]byte{checkpoint}}), "the log was cut")
	})
	t.Run("rewrite without a checkpoint is said not to be covered", func(t *testing.T) {
		texts := changes["rewritten"]()
		r := l.verify(l.export(texts, l.checkpoint(texts)), Options{Key: l.key})
		if !r.OK() || !strings.Contains(strings.Join(r.NotCovered(), " "), "can't be seen") {
			t.Errorf("%s", r)
		}
	})
	t.Run("another log", func(t *testing.T) {
		other := newLogbook(t, 20)
		texts := other.texts()
		export := other.export(texts, other.checkpoint(texts))
		wantProblem(t, other.verify(export, Options{Key: l.key}), "not signed")
		wantProblem(t, other.verify(export, Options{Key: other.key, Checkpoints: [][]byte{checkpoint}}), "replaced")
	})
	t.Run("chain alone", func(t *testing.T) {
		// Signed by the key's owner over a broken chain: the tree is right,
		// the chain is not.
		texts := changes["decision"]()
		wantProblem(t, l.verify(l.export(texts, l.checkpoint(texts)), Options{Key: l.key}), "does not follow")
	})
}

func TestVerifyFindsNonsense(t *testing.T) {
	for name, test := range map[string]struct {
		entries []sallyport.Entry
		about   string
	}{
		"outcome without intent": {[]sallyport.Entry{{Type: sallyport.Closed, Call: "c"}}, "without an open intent"},
		"two outcomes": {[]sallyport.Entry{{Type: sallyport.Intent, Call: "c"}, {Type: sallyport.Closed, Call: "c"},
			{Type: sallyport.Closed, Call: "c"}}, "without an open intent"},
		"two intents": {[]sallyport.Entry{{Type: sallyport.Intent, Call: "c"}, {Type: sallyport.Intent, Call: "c"}}, "the same call"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLogbook(t, 0)
			l.entries = test.entries
			texts := l.texts()
			wantProblem(t, l.verify(l.export(texts, l.checkpoint(texts)), Options{Key: l.key}), test.about)
		})
	}
}

// Whoever has the key can sign anything, but not everything is a log.
func TestVerifyFindsLiesWithTheKey(t *testing.T) {
	for name, test := range map[string]struct {
		lie   func(i int, e *sallyport.Entry)
		about string
	}{
		"numbered from one": {func(i int, e *sallyport.Entry) { e.Index++ }, "entry 1 stands where entry 0 belongs"},
		"one number twice":  {func(i int, e *sallyport.Entry) { e.Index = min(e.Index, 2) }, "entry 2 stands where entry 3 belongs"},
		"before the first":  {func(i int, e *sallyport.Entry) { e.Prev = sallyport.DigestOf(nil) }, "entry 0 names an entry before it"},
		"no chain":          {func(i int, e *sallyport.Entry) { e.Prev = sallyport.Digest{} }, "entry 1 names no entry before it"},
		"time goes back": {func(i int, e *sallyport.Entry) {
			if i == 2 {
				e.Time = e.Time.Add(-time.Hour)
			}
		}, "entry 2 is older"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLogbook(t, 2)
			var texts [][]byte
			var prev sallyport.Digest
			for i, text := range l.texts() {
				e, err := sallyport.ParseEntry(text)
				if err != nil {
					t.Fatal(err)
				}
				e.Prev = prev
				test.lie(i, &e)
				texts = append(texts, e.AppendCanonical(nil))
				prev = sallyport.LeafHash(texts[i])
			}
			wantProblem(t, l.verify(l.export(texts, l.checkpoint(texts)), Options{Key: l.key}), test.about)
		})
	}
}

func TestVerifyCheckpoint(t *testing.T) {
	l := newLogbook(t, 2)
	texts := l.texts()
	private, _, err := note.GenerateKey(rand.Reader, "witness.test/w")
	if err != nil {
		t.Fatal(err)
	}
	witness, err := keys.NewSignerForCosignatureV1(private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.VKeyToCosignatureV1(vkey(t, private))
	if err != nil {
		t.Fatal(err)
	}
	var f Frontier
	for _, text := range texts {
		f.Append(sallyport.LeafHash(text))
	}
	sign := func(c Checkpoint, signer note.Signer) []byte {
		t.Helper()
		signed, err := note.Sign(&note.Note{Text: c.Text()}, signer)
		if err != nil {
			t.Fatal(err)
		}
		return l.export(texts, signed)
	}
	right := Checkpoint{Origin: l.signer.Name(), Size: 4, Root: f.Root()}
	other, long, short := right, right, right
	other.Origin, long.Size, short.Size = "log.test/other", 5, 3
	wantProblem(t, l.verify(sign(right, witness), Options{Key: l.key, Witnesses: []string{key}}), "not signed by the log's key")
	wantProblem(t, l.verify(sign(other, l.signer), Options{Key: l.key}), `of log "log.test/other"`)
	wantProblem(t, l.verify(sign(long, l.signer), Options{Key: l.key}), "ends after 4 of the 5")
	wantProblem(t, l.verify(sign(short, l.signer), Options{Key: l.key}), "holds 4 entries, its checkpoint covers 3")
	if r := l.verify(sign(right, l.signer), Options{Key: l.key}); !r.OK() {
		t.Errorf("%s", r)
	}
}

// vkey is the public half of a signed-note key.
func vkey(t *testing.T, private string) string {
	t.Helper()
	seed, err := base64.StdEncoding.DecodeString(strings.SplitN(private, "+", 5)[4])
	if err != nil {
		t.Fatal(err)
	}
	key, err := note.NewEd25519VerifierKey(strings.SplitN(private, "+", 5)[2], ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestSubtreesHaveTheirPlace(t *testing.T) {
	var f Frontier
	f.Append(sallyport.Digest{})
	for _, level := range []int{-1, 1, 63, 64} {
		if err := f.AppendSubtree(level, sallyport.Digest{}); err == nil {
			t.Errorf("2^%d leaves were put behind one", level)
		}
	}
}

// endless is a line without an end.
type endless struct{ read int }

func (e *endless) Read(into []byte) (int, error) {
	for i := range into {
		into[i] = 'x'
	}
	e.read += len(into)
	return len(into), nil
}

func TestVerifyEndlessLine(t *testing.T) {
	l := newLogbook(t, 0)
	line := new(endless)
	r, err := Verify(io.MultiReader(bytes.NewReader(l.export(nil, l.checkpoint(nil))), line), Options{Key: l.key})
	if err != nil {
		t.Fatal(err)
	}
	wantProblem(t, r, "too long")
	if line.read > 4*maxLine {
		t.Errorf("%d bytes were read of it", line.read)
	}
}

// hashes is the log as a standard implementation of RFC 6962 stores it.
func hashes(texts [][]byte) tlog.HashReader {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i, text := range texts {
		more, err := tlog.StoredHashes(int64(i), text, reader)
		if err != nil {
			panic(err)
		}
		stored = append(stored, more...)
	}
	return reader
}

func gap(h tlog.HashReader, from, to uint64) []byte {
	g := Gap{From: from, To: to}
	for _, s := range Subtrees(from, to) {
		hash, err := h.ReadHashes([]int64{tlog.StoredHashIndex(s.Level, int64(s.Number))})
		if err != nil {
			panic(err)
		}
		g.Hashes = append(g.Hashes, sallyport.Digest(hash[0]))
	}
	return g.Append(nil)
}

func TestFrontierIsRFC6962(t *testing.T) {
	texts := newLogbook(t, 150).texts()
	h := hashes(texts)
	var f Frontier
	for i, text := range texts {
		f.Append(sallyport.LeafHash(text))
		want, err := tlog.TreeHash(int64(i+1), h)
		if err != nil {
			t.Fatal(err)
		}
		if f.Root() != sallyport.Digest(want) || f.Size() != uint64(i+1) {
			t.Fatalf("root of %d", i+1)
		}
	}
}

func TestSubtreesCover(t *testing.T) {
	for to := range uint64(70) {
		for from := range to {
			at := from
			for _, s := range Subtrees(from, to) {
				if s.Number<<s.Level != at {
					t.Fatalf("%d to %d: subtree %+v at %d", from, to, s, at)
				}
				at += 1 << s.Level
			}
			if at != to {
				t.Fatalf("%d to %d ends at %d", from, to, at)
			}
			if n := len(Subtrees(from, to)); n > 2*bits.Len64(to) {
				t.Fatalf("%d to %d needs %d hashes", from, to, n)
			}
		}
	}
}

// Every range of a small log verifies on its own, and against every earlier
// checkpoint at which its gaps are split.
func TestVerifyRanges(t *testing.T) {
	l := newLogbook(t, 6)
	texts := l.texts()
	h := hashes(texts)
	size := uint64(len(texts))
	checkpoint := l.checkpoint(texts)
	for from := uint64(0); from <= size; from++ {
		for to := from; to <= size; to++ {
			for earlier := uint64(0); earlier <= size; earlier++ {
				export := Header{Key: l.key, Checkpoint: string(checkpoint)}.Append(nil)
				cover := func(a, b uint64) {
					if a < earlier && earlier < b {
						export = append(append(export, gap(h, a, earlier)...), gap(h, earlier, b)...)
					} else if a < b {
						export = append(export, gap(h, a, b)...)
					}
				}
				cover(0, from)
				for i := from; i < to; i++ {
					export = append(append(export, texts[i]...), '\n')
				}
				cover(to, size)
				r := l.verify(export, Options{Key: l.key, Checkpoints: [][]byte{l.checkpoint(texts[:earlier])}})
				if !r.OK() || r.Entries != to-from || r.Missing != size-(to-from) {
					t.Fatalf("%d to %d against %d: %s", from, to, earlier, r)
				}
				if from < to {
					bad := bytes.Replace(export, []byte("crm"), []byte("cms"), 1)
					if to-from > 1 && l.verify(bad, Options{Key: l.key}).OK() {
						t.Fatalf("%d to %d: change not found", from, to)
					}
				}
			}
		}
	}
}

// A hash of a gap that is written in another way is none, even where its bytes
// would fit.
func TestVerifyGapHashes(t *testing.T) {
	l := newLogbook(t, 2)
	texts := l.texts()
	header := Header{Key: l.key, Checkpoint: string(l.checkpoint(texts))}.Append(nil)
	good := string(gap(hashes(texts), 0, 4))
	if r := l.verify(append(slices.Clone(header), good...), Options{Key: l.key}); !r.OK() {
		t.Errorf("%s", r)
	}
	for _, bad := range []string{
		strings.Replace(good, "sha256:", "sha999:", 1), strings.Replace(good, "sha256:", "", 1), strings.Replace(good, "sha256:", "sha256:0", 1),
		strings.Replace(good, `["sha256`, `[7,"sha256`, 1), strings.Replace(good, `"to":4`, `"to":4,"to":4`, 1), strings.Replace(good, `"to":4`, `"to":4.0`, 1),
	} {
		if bad == good {
			t.Fatal("nothing changed")
		}
		if r := l.verify(append(slices.Clone(header), bad...), Options{Key: l.key}); r.OK() {
			t.Errorf("accepted %s", bad)
		}
	}
}

func TestVerifyUncomparable(t *testing.T) {
	l := newLogbook(t, 6)
	texts := l.texts()
	export := append(Header{Key: l.key, Checkpoint: string(l.checkpoint(texts))}.Append(nil), gap(hashes(texts), 0, 12)...)
	wantProblem(t, l.verify(export, Options{Key: l.key, Checkpoints: [][]byte{l.checkpoint(texts[:5])}}), "could not be compared")
}

func TestVerifyOpenings(t *testing.T) {
	l := newLogbook(t, 2)
	texts := l.texts()
	make := func(opening Opening) []byte {
		export := Header{Key: l.key, Checkpoint: string(l.checkpoint(texts))}.Append(nil)
		export = append(append(export, texts[0]...), '\n')
		export = opening.Append(export)
		for _, text := range texts[1:] {
			export = append(append(export, text...), '\n')
		}
		return export
	}
	good := &Payload{Text: l.args[0]}
	r := l.verify(make(Opening{Index: 0, Args: good}), Options{Key: l.key})
	if !r.OK() || r.Opened != 1 || r.Sealed != 2 {
		t.Errorf("%s", r)
	}
	wantProblem(t, l.verify(make(Opening{Index: 0, Args: &Payload{Text: []byte(`{"amount":1}`)}}), Options{Key: l.key}), "not those that the entry commits to")
	wantProblem(t, l.verify(make(Opening{Index: 0, Args: &Payload{Text: l.args[0], Salt: [SaltSize]byte{1}}}), Options{Key: l.key}), "not those that the entry commits to")
	wantProblem(t, l.verify(make(Opening{Index: 0, Result: good}), Options{Key: l.key}), "not those that the entry commits to")
	wantProblem(t, l.verify(make(Opening{Index: 1, Args: good}), Options{Key: l.key}), "does not follow its entry")
	wantProblem(t, l.verify(make(Opening{Index: 0, Args: good, Result: good}), Options{Key: l.key}), "the result in the file")
	// A shorter salt with the rest of it in the payload has the same hash.
	whole := string(make(Opening{Index: 0, Args: good}))
	shifted := strings.Replace(strings.Replace(whole, base64.StdEncoding.EncodeToString(good.Salt[:]), base64.StdEncoding.EncodeToString(good.Salt[1:]), 1),
		`{"payload":"`, `{"payload":"\u0000`, 1)
	if shifted == whole {
		t.Fatal("nothing shifted")
	}
	wantProblem(t, l.verify([]byte(shifted), Options{Key: l.key}), "not a payload and a salt")
}

func TestVerifyWitness(t *testing.T) {
	l := newLogbook(t, 2)
	texts := l.texts()
	private, public, err := note.GenerateKey(rand.Reader, "witness.test/w")
	if err != nil {
		t.Fatal(err)
	}
	witness, err := keys.NewSignerForCosignatureV1(private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.VKeyToCosignatureV1(public)
	if err != nil {
		t.Fatal(err)
	}
	r := l.verify(l.export(texts, l.checkpoint(texts, witness)), Options{Key: l.key, Witnesses: []string{key}})
	if !r.OK() || len(r.Witnesses) != 1 {
		t.Errorf("%s", r)
	}
	// An unknown cosignature does no harm, a missing one is said.
	if r := l.verify(l.export(texts, l.checkpoint(texts, witness)), Options{Key: l.key}); !r.OK() {
		t.Errorf("%s", r)
	}
	wantProblem(t, l.verify(l.export(texts, l.checkpoint(texts)), Options{Key: l.key, Witnesses: []string{key}}), "of 1 witnesses 0 have cosigned")
}

func TestVerifyMalformed(t *testing.T) {
	l := newLogbook(t, 2)
	texts := l.texts()
	good := l.export(texts, l.checkpoint(texts))
	for name, export := range map[string]string{
		"empty": "", "no line": "{}", "other JSON": "{}\n", "other version": strings.Replace(string(good), `"v":1}}`, `"v":2}}`, 1),
		"unknown name": strings.Replace(string(good), `"v":1}}`, `"v":1,"w":1}}`, 1),
	} {
		if _, err := Verify(strings.NewReader(export), Options{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, tail := range map[string]string{
		"junk": "junk\n", "within a line": `{"gap":`, "gap beyond": `{"gap":{"from":4,"hashes":["` + l.entryDigest(0) + `"],"to":5}}` + "\n",
		"gap of nothing": `{"gap":{"from":4,"hashes":[],"to":4}}` + "\n", "gap back": `{"gap":{"from":4,"hashes":[],"to":3}}` + "\n",
		"empty line": "\n", "carriage return": "\r\n",
	} {
		if r := l.verify(append(slices.Clone(good), tail...), Options{Key: l.key}); r.OK() {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, options := range []Options{{Key: "nonsense"}, {Witnesses: []string{"nonsense"}}} {
		if _, err := Verify(bytes.NewReader(good), options); err == nil {
			t.Errorf("%+v: no error", options)
		}
	}
	failing := io.MultiReader(bytes.NewReader(good), failingReader{})
	if r, err := Verify(failing, Options{}); err != nil || r.OK() {
		t.Errorf("a file that can't be read to its end: %v, %v", r, err)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func (l *logbook) entryDigest(i int) string { return sallyport.LeafHash(l.texts()[i]).String() }

func FuzzVerify(f *testing.F) {
	// One key for all processes of the fuzzer, so that what one of them finds
	// is signed for the others.
	l := newLogbookOf(f, 3, "PRIVATE+KEY+log.test/FuzzVerify+72e6df12+AZumDKocU6S8ilRxADrjEZoUWm8FQW7QmGy2sxSYUkjy",
		"log.test/FuzzVerify+72e6df12+ASEAYic2tQIgoeEKqJM+Kptg8quLABthNiQUwvdBM1nm")
	texts := l.texts()
	h := hashes(texts)
	f.Add(l.export(texts, l.checkpoint(texts)))
	export := append(Header{Key: l.key, Checkpoint: string(l.checkpoint(texts))}.Append(nil), gap(h, 0, 2)...)
	export = append(append(export, texts[2]...), '\n')
	export = Opening{Index: 2, Args: &Payload{Text: l.args[2]}}.Append(export)
	f.Add(append(export, gap(h, 3, 6)...))
	f.Fuzz(func(t *testing.T, export []byte) {
		r, err := Verify(bytes.NewReader(export), Options{Key: l.key})
		if err != nil || !r.OK() {
			return
		}
		// Whatever passes names only entries of the one log that was signed.
		for _, text := range bytes.Split(export, []byte{'\n'}) {
			if entry, err := sallyport.ParseEntry(text); err == nil && !bytes.Equal(texts[entry.Index], text) {
				t.Errorf("accepted %s", text)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	l := newLogbook(b, 50_000)
	for i := range l.entries {
		e := &l.entries[i]
		e.Principal = sallyport.Principal{Agent: "support-bot", Role: "support", User: "ada", Tenant: "north"}
		e.Run, e.Door, e.Server, e.Name = "r_01JD3Q6Z8Y", "mcp/2026-07-28 http", "desk", "lookup_customer"
		e.Tool, e.Policy = sallyport.DigestOf([]byte("tool")), sallyport.DigestOf([]byte("policy"))
	}
	texts := l.texts()
	export := l.export(texts, l.checkpoint(texts))
	b.SetBytes(int64(len(export)))
	b.ResetTimer()
	for b.Loop() {
		if r := l.verify(export, Options{Key: l.key}); !r.OK() {
			b.Fatal(r)
		}
	}
	b.ReportMetric(float64(len(texts))*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
