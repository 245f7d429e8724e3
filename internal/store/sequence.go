package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/store/file"
	"sallyport/internal/store/held"
	"sallyport/internal/tlog"
	"sallyport/proof"
)

// sequenceDelay is how long new entries wait for their checkpoint, so that
// one signature serves many. With the work itself it stays below a second.
const sequenceDelay = 500 * time.Millisecond

// sequencer grows the Merkle tree behind the commits: tiles, entry bundles and
// signed checkpoints, from the rows. All but the checkpoint and the key can be
// made again from the rows.
type sequencer struct {
	reader *Reader
	signer *tlog.Signer
	held   held.Files       // so that nothing of another database is signed
	recent func() []written // the newest rows, once; may be none

	pass sync.Mutex // one pass at a time
	grower

	mu  sync.Mutex
	err error // of the last pass
}

// grower turns entries into tiles.
type grower struct {
	tree      *tlog.Tree // nil when it must be resumed
	published uint64     // size of which all tiles are written
	bundle    []byte     // entries of the unfinished bundle
	write     func(tlog.Tile, []byte) error
	text      []byte
}

func (g *grower) add(entry []byte, leaf sallyport.Digest) error {
	g.bundle = tlog.AppendBundled(g.bundle, entry)
	full := g.tree.Append(leaf)
	if len(full) > 0 {
		number := g.tree.Size()/tlog.TileWidth - 1
		if err := g.write(tlog.Tile{Level: tlog.Bundles, Number: number, Width: tlog.TileWidth}, g.bundle); err != nil {
			return err
		}
		g.bundle = g.bundle[:0]
	}
	return g.tiles(full)
}

// end writes what is unfinished. It leaves alone a tile that has not grown
// since the last checkpoint, which speaks of it: a death in the middle of
// writing would damage what was signed.
func (g *grower) end() error {
	if len(g.bundle) > 0 {
		size := g.tree.Size()
		partial := tlog.Tile{Level: tlog.Bundles, Number: size / tlog.TileWidth, Width: int(size % tlog.TileWidth)}
		if err := g.write(partial, g.bundle); err != nil {
			return err
		}
	}
	grown := g.tree.Partial()
	for level := len(grown) - 1; level >= 0; level-- {
		below := tlog.TileHeight * grown[level].Level
		if g.published>>below == g.tree.Size()>>below {
			grown = slices.Delete(grown, level, level+1)
		}
	}
	return g.tiles(grown)
}

func (g *grower) tiles(tiles []tlog.HashTile) error {
	for _, tile := range tiles {
		g.text = tlog.AppendTile(g.text[:0], tile.Hashes)
		if err := g.write(tile.Tile, g.text); err != nil {
			return err
		}
	}
	return nil
}

// newSequencer takes up where the last checkpoint ended. A new log gets a
// checkpoint over nothing before its first entry, so that a log without a
// checkpoint is one from which it was taken away.
func newSequencer(ctx context.Context, r *Reader, signer *tlog.Signer, empty bool, recent func() []written) (*sequencer, error) {
	s := &sequencer{reader: r, signer: signer, recent: recent}
	s.grower.write = r.writeTile
	if err := os.MkdirAll(r.logPath(""), 0o700); err != nil {
		return nil, err
	}
	if key, err := r.Key(); err == nil && !empty && key != signer.Key() {
		return nil, fmt.Errorf("%w: log.key is not the key of log/key; restore the whole directory from one copy", ErrReplaced)
	}
	if err := file.Replace(r.logPath("key"), []byte(signer.Key()+"\n"), true); err != nil {
		return nil, err
	}
	_, err := os.Stat(r.logPath("checkpoint"))
	if errors.Is(err, os.ErrNotExist) {
		if !empty {
			return nil, fmt.Errorf("%w: log/checkpoint is missing but there are entries; restore it from a copy of the directory", ErrReplaced)
		}
		if err := s.publish(new(tlog.Tree)); err != nil {
			return nil, err
		}
	}
	return s, s.resume(ctx)
}

// resume rebuilds the tree of the last checkpoint, and makes sure that the
// rows are still those that it covers as far as can be seen at a glance: their
// number and the last one. Tiles that are damaged are made again from the
// rows, provided that these have the signed root.
func (s *sequencer) resume(ctx context.Context) error {
	checkpoint, _, err := s.reader.Checkpoint()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReplaced, err)
	}
	size, err := s.reader.Size(ctx)
	if err != nil {
		return err
	}
	if size < checkpoint.Size {
		return fmt.Errorf("%w: it has %d entries, the checkpoint covers %d; restore the whole directory from one copy", ErrReplaced, size, checkpoint.Size)
	}
	tree, err := tlog.Resume(checkpoint, s.reader.readTile)
	if err != nil {
		if _, err := s.reader.RepairTiles(ctx); err != nil {
			return err
		}
		if tree, err = tlog.Resume(checkpoint, s.reader.readTile); err != nil {
			return err
		}
	}
	var leaf sallyport.Digest
	if checkpoint.Size > 0 {
		last, err := s.reader.row(ctx, checkpoint.Size-1)
		if err != nil {
			return err
		}
		signed, err := tlog.Hashes(checkpoint, []proof.Subtree{{Level: 0, Number: checkpoint.Size - 1}}, s.reader.readTile)
		if err != nil {
			return err
		}
		if leaf = sallyport.LeafHash(last.text); leaf != signed[0] {
			return fmt.Errorf("%w: entry %d is not the one that the checkpoint covers; restore the whole directory from one copy", ErrReplaced, checkpoint.Size-1)
		}
	}
	// What is not signed yet is signed next, so it must be what was written.
	for row, err := range s.reader.rows(ctx, checkpoint.Size, size) {
		if err != nil {
			return err
		}
		entry, err := parseRow(row)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrReplaced, err)
		}
		if entry.Prev != leaf {
			return fmt.Errorf("%w: entry %d does not follow from the one before it; restore the whole directory from one copy", ErrReplaced, entry.Index)
		}
		leaf = sallyport.LeafHash(row.text)
	}
	bundle := s.bundle[:0]
	for row, err := range s.reader.rows(ctx, checkpoint.Size/tlog.TileWidth*tlog.TileWidth, checkpoint.Size) {
		if err != nil {
			return err
		}
		bundle = tlog.AppendBundled(bundle, row.text)
	}
	s.tree, s.published, s.bundle = tree, checkpoint.Size, bundle
	return nil
}

// run makes a pass after commits, until the committer has finished.
func (s *sequencer) run(finished <-chan struct{}, grown func() <-chan struct{}) {
	ctx := context.Background()
	for {
		signal := grown()
		var again <-chan time.Time
		if s.advance(ctx) != nil {
			again = time.After(time.Second)
		}
		select {
		case <-signal:
		case <-again:
		case <-finished:
			s.advance(ctx)
			return
		}
		select {
		case <-time.After(sequenceDelay):
		case <-finished:
		}
	}
}

// advance brings tiles, checkpoint and projections up to the entries that are
// durable.
func (s *sequencer) advance(ctx context.Context) error {
	recent := s.recent()
	err := errors.Join(s.sequence(ctx, recent), s.reader.payloads.Sync(), s.reader.project(ctx, recent))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	return err
}

func (s *sequencer) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *sequencer) sequence(ctx context.Context, recent []written) (err error) {
	s.pass.Lock()
	defer s.pass.Unlock()
	defer func() {
		if err != nil {
			s.tree = nil // it may be ahead of the files
			err = fmt.Errorf("publishing the log's tree: %w", err)
		}
	}()
	if err := s.held.Check(); err != nil {
		return err
	}
	if s.tree == nil {
		if err := s.resume(ctx); err != nil {
			return err
		}
	}
	size, err := s.reader.Size(ctx)
	if err != nil || size == s.tree.Size() {
		return err
	}
	for w, err := range s.reader.written(ctx, s.tree.Size(), size, recent) {
		if err != nil {
			return err
		}
		if err := s.add(w.text, w.leaf); err != nil {
			return err
		}
	}
	if err := s.end(); err != nil {
		return err
	}
	if err := s.publish(s.tree); err != nil {
		return err
	}
	s.published = s.tree.Size()
	return nil
}

// publish signs what the tree is.
func (s *sequencer) publish(tree *tlog.Tree) error {
	text, err := s.signer.Sign(tree.Size(), tree.Root())
	if err != nil {
		return err
	}
	return file.Replace(s.reader.logPath("checkpoint"), text, true)
}

// RepairTiles is Reader.RepairTiles, between two passes.
func (s *Store) RepairTiles(ctx context.Context) (repaired []string, err error) {
	s.sequencer.pass.Lock()
	defer s.sequencer.pass.Unlock()
	return s.Reader.RepairTiles(ctx)
}

// RepairTiles makes tiles again that are missing or differ from the entries,
// and names them. It changes nothing, and fails with ErrReplaced, when the
// entries do not have the root that the checkpoint signs.
func (r *Reader) RepairTiles(ctx context.Context) (repaired []string, err error) {
	damaged, err := r.CheckTiles(ctx)
	if err != nil || len(damaged) == 0 {
		return nil, err
	}
	checkpoint, _, err := r.Checkpoint()
	if err != nil {
		return nil, err
	}
	_, err = r.walkTiles(ctx, checkpoint.Size, func(tile tlog.Tile, text []byte) error {
		if len(damaged) == 0 || tile.Path() != damaged[0] { // in the order of the walk before
			return nil
		}
		repaired, damaged = append(repaired, damaged[0]), damaged[1:]
		return r.writeTile(tile, text)
	})
	return repaired, err
}

// CheckTiles names the tiles that are missing or differ from the entries. It
// fails with ErrReplaced when the entries do not have the root that the
// checkpoint signs.
func (r *Reader) CheckTiles(ctx context.Context) (damaged []string, err error) {
	checkpoint, _, err := r.Checkpoint()
	if err != nil {
		return nil, err
	}
	root, err := r.walkTiles(ctx, checkpoint.Size, func(tile tlog.Tile, text []byte) error {
		if have, err := r.readTile(tile); err != nil || !bytes.Equal(have, text) {
			damaged = append(damaged, tile.Path())
		}
		return nil
	})
	if err == nil && root != checkpoint.Root {
		return nil, fmt.Errorf("%w: its entries do not have the root that the checkpoint signs", ErrReplaced)
	}
	return damaged, err
}

// walkTiles makes all tiles of the first size entries and returns their root.
func (r *Reader) walkTiles(ctx context.Context, size uint64, each func(tlog.Tile, []byte) error) (sallyport.Digest, error) {
	g := grower{tree: new(tlog.Tree), write: each}
	for row, err := range r.rows(ctx, 0, size) {
		if err != nil {
			return sallyport.Digest{}, err
		}
		if err := g.add(row.text, sallyport.LeafHash(row.text)); err != nil {
			return sallyport.Digest{}, err
		}
	}
	return g.tree.Root(), g.end()
}

func (r *Reader) logPath(name string) string {
	return filepath.Join(r.dir, "log", filepath.FromSlash(name))
}

// readTile reads a tile. A partial one that has gone is the beginning of the
// full one, which is there then (tlog-tiles, "Partial Tiles").
func (r *Reader) readTile(tile tlog.Tile) ([]byte, error) {
	text, err := os.ReadFile(r.logPath(tile.Path()))
	if !errors.Is(err, os.ErrNotExist) || tile.Width == tlog.TileWidth {
		return text, err
	}
	full, fullErr := os.ReadFile(r.logPath(tlog.Tile{Level: tile.Level, Number: tile.Number, Width: tlog.TileWidth}.Path()))
	if fullErr != nil {
		return nil, err // the partial one is what is missing
	}
	return tlog.Prefix(tile, full)
}

// writeTile writes a tile in place: no checkpoint speaks of it yet, so nobody
// reads it, and a torn one is written again.
func (r *Reader) writeTile(tile tlog.Tile, text []byte) error {
	path := r.logPath(tile.Path())
	err := os.WriteFile(path, text, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		err = os.WriteFile(path, text, 0o600)
	}
	if err == nil && tile.Width == tlog.TileWidth {
		// tlog-tiles lets the partial tiles go once the full one is there.
		err = os.RemoveAll(path + ".p")
	}
	return err
}

// Key is the log's verifier key, for everybody.
func (r *Reader) Key() (string, error) {
	text, err := os.ReadFile(r.logPath("key"))
	return strings.TrimSpace(string(text)), err
}

// Checkpoint is the last signed checkpoint, and its text to be kept elsewhere.
func (r *Reader) Checkpoint() (proof.Checkpoint, []byte, error) {
	key, err := r.Key()
	if err != nil {
		return proof.Checkpoint{}, nil, err
	}
	text, err := os.ReadFile(r.logPath("checkpoint"))
	if err != nil {
		return proof.Checkpoint{}, nil, fmt.Errorf("log/checkpoint: %w", err)
	}
	checkpoint, _, err := proof.OpenCheckpoint(text, key)
	if err != nil {
		err = fmt.Errorf("log/checkpoint: %w", err)
	}
	return checkpoint, text, err
}
