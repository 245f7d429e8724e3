package store

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"sallyport/internal/tlog"
	"sallyport/proof"
)

// Range is entries by their indexes, To not included.
type Range struct{ From, To uint64 }

// ExportOptions say what goes into an export.
type ExportOptions struct {
	Ranges   []Range  // in order and apart; nil for everything
	Against  []uint64 // sizes of checkpoints kept elsewhere, with which the export is to be compared
	Payloads bool     // payloads are left out unless this asks for them
}

// Export writes entries with their proof, for proof.Verify: up to the last
// checkpoint, which is made now.
func (s *Store) Export(ctx context.Context, w io.Writer, o ExportOptions) error {
	if err := s.sequencer.sequence(ctx, nil); err != nil {
		return err
	}
	return s.Reader.Export(ctx, w, o)
}

// Export writes entries with their proof, for proof.Verify: up to the last
// checkpoint that a gateway made. Ranges beyond it are cut.
func (r *Reader) Export(ctx context.Context, w io.Writer, o ExportOptions) error {
	checkpoint, signed, err := r.Checkpoint()
	if err != nil {
		return err
	}
	key, err := r.Key()
	if err != nil {
		return err
	}
	e := exporter{reader: r, w: bufio.NewWriterSize(w, 1<<16), checkpoint: checkpoint, options: o}
	e.text = proof.Header{Key: key, Checkpoint: string(signed)}.Append(nil)
	// Out at once, so that a verifier at the other end hears of a failure as one
	// of the log and not of the file.
	if _, err := e.w.Write(e.text); err != nil {
		return err
	}
	if err := e.w.Flush(); err != nil {
		return err
	}
	ranges := o.Ranges
	if ranges == nil {
		ranges = []Range{{0, checkpoint.Size}}
	}
	at := uint64(0)
	for _, this := range ranges {
		this.To = min(this.To, checkpoint.Size)
		if this.From >= this.To {
			continue
		}
		if this.From < at {
			return errors.New("exporting: the ranges are not in order")
		}
		if err := errors.Join(e.gap(at, this.From), e.entries(ctx, this)); err != nil {
			return err
		}
		at = this.To
	}
	if err := e.gap(at, checkpoint.Size); err != nil {
		return err
	}
	return e.w.Flush()
}

type exporter struct {
	reader     *Reader
	w          *bufio.Writer
	checkpoint proof.Checkpoint
	options    ExportOptions
	text       []byte
}

// gap stands for entries left out, cut where a checkpoint kept elsewhere ends.
func (e *exporter) gap(from, to uint64) error {
	cuts := slices.Clone(e.options.Against)
	slices.Sort(cuts)
	for _, cut := range append(cuts, to) {
		cut = min(cut, to)
		if cut <= from {
			continue
		}
		hashes, err := tlog.Hashes(e.checkpoint, proof.Subtrees(from, cut), e.reader.readTile)
		if err != nil {
			return fmt.Errorf("exporting: a tile is damaged, repair the log's tiles first: %w", err)
		}
		e.text = proof.Gap{From: from, To: cut, Hashes: hashes}.Append(e.text[:0])
		if _, err := e.w.Write(e.text); err != nil {
			return err
		}
		from = cut
	}
	return nil
}

func (e *exporter) entries(ctx context.Context, this Range) error {
	for row, err := range e.reader.rows(ctx, this.From, this.To) {
		if err != nil {
			return err
		}
		e.text = append(append(e.text[:0], row.text...), '\n')
		if e.options.Payloads {
			entry, err := parseRow(row)
			if err != nil {
				return err
			}
			o := e.reader.opened(ctx, entry, row.location)
			if opening := (proof.Opening{Index: entry.Index, Args: text(o.Args), Result: text(o.Result)}); opening.Args != nil || opening.Result != nil {
				e.text = opening.Append(e.text)
			}
		}
		if _, err := e.w.Write(e.text); err != nil {
			return err
		}
	}
	return nil
}

// text is a payload that an export can hold: it is JSON, so it is UTF-8.
func text(p *proof.Payload) *proof.Payload {
	if p != nil && !utf8.Valid(p.Text) {
		return nil
	}
	return p
}

// Verify exports everything and verifies that.
func (r *Reader) Verify(ctx context.Context, o proof.Options) (*proof.Report, error) {
	return verify(ctx, r.Export, o)
}

// Verify exports everything and verifies that.
func (s *Store) Verify(ctx context.Context, o proof.Options) (*proof.Report, error) {
	return verify(ctx, s.Export, o)
}

func verify(ctx context.Context, export func(context.Context, io.Writer, ExportOptions) error, o proof.Options) (*proof.Report, error) {
	in, out := io.Pipe()
	exported := make(chan error, 1)
	go func() {
		err := export(ctx, out, ExportOptions{})
		out.CloseWithError(err)
		exported <- err
	}()
	report, err := proof.Verify(in, o)
	in.Close()
	if errors.Is(err, proof.ErrNotExport) {
		// It never began: why not says more than that there is nothing.
		err = cmp.Or(<-exported, err)
	}
	return report, err
}
