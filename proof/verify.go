package proof

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"sallyport"
)

// Options are what a verifier knows from elsewhere. All are optional; what is
// missing is said in the report.
type Options struct {
	// Key is the log's verifier key. Without it the key in the export is
	// taken, and the export vouches for itself.
	Key string
	// Checkpoints are signed checkpoints of the same log that were kept where
	// the log's owner can't change them. Only they show a log that was cut,
	// forked or written anew.
	Checkpoints [][]byte
	// Witnesses are verifier keys of witnesses whose cosignature the
	// checkpoint must carry, each of them.
	Witnesses []string
}

// ErrNotExport says that a file is not an export at all.
var ErrNotExport = errors.New("not a Sallyport log export")

// Verify reads an export and checks all that can be checked. What is wrong
// with the log is in the report; an error means that there is none, because
// the file can't be read or is no export, or an option is malformed.
func Verify(export io.Reader, options Options) (*Report, error) {
	// The header's line holds one checkpoint, so a small bound will do.
	r := bufio.NewReaderSize(export, 1<<16)
	first, err := r.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotExport, err)
	}
	header, err := parseHeader(bytes.TrimSuffix(first, []byte{'\n'}))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotExport, err)
	}
	v := verifier{report: Report{Key: header.Key, Types: map[sallyport.EntryType]uint64{}}, open: map[string]uint64{}}
	if options.Key != "" {
		v.report.Key, v.report.KeyFromElsewhere = options.Key, true
	}
	if err := v.checkpoints(header, options); err != nil {
		return nil, err
	}
	for number, line := range lines(r, 2) {
		switch {
		case line.err != nil:
			v.problem("line %d: %w", number, line.err)
		case line.entry != nil:
			v.entry(line.entry, line.leaf)
		case line.gap != nil:
			v.gap(number, line.gap)
		default:
			v.opening(number, line.opening)
		}
	}
	v.end()
	return &v.report, nil
}

type verifier struct {
	report  Report
	signed  Checkpoint   // of the header; zero when its signature is bad
	earlier []Checkpoint // in the order of Report.Earlier

	tree    Frontier
	before  *sallyport.Entry // the entry before, nil behind a gap
	leaf    sallyport.Digest // of before
	latest  time.Time
	open    map[string]uint64 // intents without outcome: call to index
	gaps    bool
	openers int // openings of the entry before
}

func (v *verifier) problem(format string, args ...any) {
	v.report.ProblemCount++
	if len(v.report.Problems) < maxProblems {
		v.report.Problems = append(v.report.Problems, fmt.Errorf(format, args...).Error())
	}
}

// checkpoints verifies signatures: of the header's checkpoint, of its
// witnesses, and of the checkpoints kept elsewhere.
func (v *verifier) checkpoints(header Header, options Options) error {
	signed, cosigned, err := OpenCheckpoint([]byte(header.Checkpoint), v.report.Key, options.Witnesses...)
	switch {
	case errors.Is(err, ErrKey):
		return err
	case err != nil:
		v.problem("the export's checkpoint: %w", err)
	}
	v.signed = signed
	v.report.Origin, v.report.Size, v.report.Root = signed.Origin, signed.Size, signed.Root.String()
	v.report.Witnesses = cosigned
	if err == nil && len(cosigned) < len(options.Witnesses) {
		v.problem("of %d witnesses %d have cosigned the checkpoint", len(options.Witnesses), len(cosigned))
	}
	for _, text := range options.Checkpoints {
		c, _, err := OpenCheckpoint(text, v.report.Key)
		if err != nil {
			v.problem("a checkpoint kept elsewhere is not one of this log, so the log was replaced or the checkpoint is of another: %w", err)
			v.report.Earlier = append(v.report.Earlier, Earlier{})
			v.earlier = append(v.earlier, Checkpoint{Size: 1<<64 - 1})
			continue
		}
		v.report.Earlier = append(v.report.Earlier, Earlier{Size: c.Size})
		v.earlier = append(v.earlier, c)
		if c.Size > signed.Size {
			v.problem("the log was cut: a checkpoint kept elsewhere covers %d entries, this one %d", c.Size, signed.Size)
		}
	}
	v.compare()
	return nil
}

// compare looks at the checkpoints kept elsewhere that end where the tree is.
func (v *verifier) compare() {
	for i, c := range v.earlier {
		if c.Size != v.tree.Size() {
			continue
		}
		v.report.Earlier[i].Compared = true
		if v.report.Earlier[i].Same = v.tree.Root() == c.Root; !v.report.Earlier[i].Same {
			v.problem("the log was changed or forked: its first %d entries are not those of a checkpoint kept elsewhere", c.Size)
		}
	}
}

func (v *verifier) entry(e *sallyport.Entry, leaf sallyport.Digest) {
	if position := v.tree.Size(); e.Index != position {
		v.problem("entry %d stands where entry %d belongs", e.Index, position)
	}
	switch {
	case e.Index == 0 && !e.Prev.IsZero():
		v.problem("entry 0 names an entry before it")
	case e.Index > 0 && e.Prev.IsZero():
		v.problem("entry %d names no entry before it", e.Index)
	case v.before != nil && e.Prev != v.leaf:
		v.problem("entry %d does not follow from the one before it: one of them was changed, dropped or moved", e.Index)
	}
	if e.Time.Before(v.latest) {
		v.problem("entry %d is older than one before it", e.Index)
	}
	v.latest = e.Time
	v.count(e)
	v.tree.Append(leaf)
	v.before, v.leaf, v.openers = e, leaf, 0
	v.compare()
}

func (v *verifier) count(e *sallyport.Entry) {
	r := &v.report
	if r.Entries == 0 {
		r.First = e.Time
	}
	r.Last = e.Time
	r.Entries++
	r.Types[e.Type]++
	if e.Observed {
		r.Observed++
	}
	for _, commitment := range []sallyport.Digest{e.Args, e.Result} {
		if !commitment.IsZero() {
			r.Sealed++
		}
	}
	switch e.Type {
	case sallyport.Intent:
		if at, twice := v.open[e.Call]; twice && !v.gaps {
			v.problem("entries %d and %d are intents of the same call %s", at, e.Index, e.Call)
		}
		v.open[e.Call] = e.Index
	case sallyport.Closed:
		if e.Outcome == sallyport.OutcomeUnknown {
			r.Unknown++
		}
		if _, known := v.open[e.Call]; !known && !v.gaps {
			v.problem("entry %d is an outcome without an open intent: call %s", e.Index, e.Call)
		}
		delete(v.open, e.Call)
	}
}

func (v *verifier) gap(number int, g *Gap) {
	subtrees := Subtrees(g.From, g.To)
	if g.From != v.tree.Size() || g.To <= g.From || len(subtrees) != len(g.Hashes) {
		v.problem("line %d: a gap that does not fit", number)
		return
	}
	for i, s := range subtrees {
		if err := v.tree.AppendSubtree(s.Level, g.Hashes[i]); err != nil {
			v.problem("line %d: %w", number, err)
			return
		}
	}
	v.report.Missing += g.To - g.From
	v.before, v.gaps = nil, true
	v.compare()
}

func (v *verifier) opening(number int, o *opened) {
	e := v.before
	if e == nil || e.Index != o.index || v.openers > 0 {
		v.problem("line %d: an opening that does not follow its entry", number)
		return
	}
	v.openers++
	for _, payload := range []struct {
		what               string
		committed, opening sallyport.Digest
	}{{"arguments", e.Args, o.args}, {"result", e.Result, o.result}} {
		switch {
		case payload.opening.IsZero():
		case payload.opening != payload.committed:
			v.problem("entry %d: the %s in the file are not those that the entry commits to", e.Index, payload.what)
		default:
			v.report.Opened++
		}
	}
}

// end compares the whole with the signed checkpoint.
func (v *verifier) end() {
	r := &v.report
	switch size := v.tree.Size(); {
	case v.signed.Origin == "":
		// Nothing is signed, which is a problem already.
	case size < v.signed.Size:
		v.problem("the file ends after %d of the %d entries that its checkpoint covers", size, v.signed.Size)
	case size > v.signed.Size:
		v.problem("the file holds %d entries, its checkpoint covers %d", size, v.signed.Size)
	case v.tree.Root() != v.signed.Root:
		v.problem("the entries are not those that the checkpoint signs")
	}
	for i, c := range v.earlier {
		if !r.Earlier[i].Compared && r.Earlier[i].Size != 0 && c.Size <= v.signed.Size {
			v.problem("the checkpoint kept elsewhere that covers %d entries could not be compared with this file: export again against it", c.Size)
		}
	}
	for call := range v.open {
		r.Open = append(r.Open, call)
	}
	slices.Sort(r.Open)
}
