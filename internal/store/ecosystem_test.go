package store

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"

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
	hashes := func(bundle []byte) ([][]byte, error) {
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
	if err := fsck.New(verifier.Name(), verifier, files, hashes, fsck.Opts{N: 1}).Check(t.Context()); err != nil {
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
