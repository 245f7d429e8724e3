package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport"
)

// Tools that know nothing of Sallyport read the log as any tlog-tiles log:
// here those of Tessera check all of it and make proofs from it.
func TestTesseraReadsTheLog(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	calls(t, s, 150)
	closed(t, s)
	_, earlier, err := s.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	calls(t, s, 400)
	closed(t, s)
	key, err := s.Key()
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	files := &client.FileFetcher{Root: filepath.Join(dir, "log")}
	if err := fsck.New(verifier.Name(), verifier, files, leafHashes, fsck.Opts{N: 1}).Check(t.Context()); err != nil {
		t.Error(err)
	}

	now, _, _, err := client.FetchCheckpoint(t.Context(), files.ReadCheckpoint, verifier, verifier.Name())
	if err != nil {
		t.Fatal(err)
	}
	if now.Size != 1100 {
		t.Fatalf("%d entries", now.Size)
	}
	r, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	builder, err := client.NewProofBuilder(t.Context(), now.Size, files.ReadTile)
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range []uint64{0, 255, 256, 777, 1099} {
		this, err := r.row(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		leaf := sallyport.LeafHash(this.text)
		path, err := builder.InclusionProof(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, now.Size, leaf[:], path, now.Hash); err != nil {
			t.Errorf("entry %d: %v", index, err)
		}
	}
	before, _, _, err := client.FetchCheckpoint(t.Context(), func(context.Context) ([]byte, error) { return earlier, nil }, verifier, verifier.Name())
	if err != nil {
		t.Fatal(err)
	}
	path, err := builder.ConsistencyProof(t.Context(), before.Size, now.Size)
	if err != nil {
		t.Fatal(err)
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, before.Size, now.Size, path, before.Hash, now.Hash); err != nil {
		t.Error(err)
	}
}

// The same at the sizes where tiles become full and levels begin, of one log
// that grows through all of them, read by Tessera's tools and by the reference
// implementation in golang.org/x/mod.
func TestOthersReadTheLogAtTheEdgesOfTiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	key, err := s.Key()
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	files := &client.FileFetcher{Root: filepath.Join(dir, "log")}
	var before *log.Checkpoint
	for _, size := range []uint64{1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537} {
		grow(t, s, size)
		if err := s.sequencer.advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := fsck.New(verifier.Name(), verifier, files, leafHashes, fsck.Opts{N: 1}).Check(t.Context()); err != nil {
			t.Fatalf("%d entries: %v", size, err)
		}
		now, _, _, err := client.FetchCheckpoint(t.Context(), files.ReadCheckpoint, verifier, verifier.Name())
		if err != nil || now.Size != size {
			t.Fatalf("%+v, %v", now, err)
		}
		tree := tlog.Tree{N: int64(size), Hash: tlog.Hash(now.Hash)}
		hashes := tlog.TileHashReader(tree, fileTiles(files.Root))
		for _, index := range []int64{0, int64(size) / 2, int64(size) - 1} {
			this, err := s.row(t.Context(), uint64(index))
			if err != nil {
				t.Fatal(err)
			}
			path, err := tlog.ProveRecord(tree.N, index, hashes)
			if err == nil {
				err = tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(this.text))
			}
			if err != nil {
				t.Errorf("entry %d of %d: %v", index, size, err)
			}
		}
		if before != nil {
			path, err := tlog.ProveTree(tree.N, int64(before.Size), hashes)
			if err == nil {
				err = tlog.CheckTree(path, tree.N, tree.Hash, int64(before.Size), tlog.Hash(before.Hash))
			}
			if err != nil {
				t.Errorf("from %d to %d: %v", before.Size, size, err)
			}
		}
		before = now
	}
}

// grow writes entries without payloads until there are size.
func grow(t *testing.T, s *Store, size uint64) {
	t.Helper()
	have, err := s.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for have < size {
		var group []*waiting
		for ; have < size && len(group) < 4096; have++ {
			group = append(group, &waiting{entry: sallyport.Entry{Type: sallyport.Change, Time: time.Now(), Subject: fmt.Sprint("n ", have)}})
		}
		if err := s.committer.write(t.Context(), group); err != nil {
			t.Fatal(err)
		}
	}
}

// leafHashes are what a bundle has in the tree.
func leafHashes(bundle []byte) ([][]byte, error) {
	var b api.EntryBundle
	if err := b.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	var all [][]byte
	for _, entry := range b.Entries {
		hash := sallyport.LeafHash(entry)
		all = append(all, hash[:])
	}
	return all, nil
}

// fileTiles reads tiles where tlog-tiles has them.
type fileTiles string

func (fileTiles) Height() int { return 8 }

func (root fileTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		text, err := os.ReadFile(filepath.Join(string(root), strings.Replace(tile.Path(), "tile/8/", "tile/", 1)))
		if err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, nil
}

func (fileTiles) SaveTiles([]tlog.Tile, [][]byte) {}
