package tlog

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport"
	"sallyport/proof"
)

func leaf(i int) sallyport.Digest { return sallyport.LeafHash(fmt.Append(nil, i)) }

func TestTilePath(t *testing.T) {
	for tile, want := range map[Tile]string{
		{0, 0, 256}:          "tile/0/000",
		{0, 273, 256}:        "tile/0/273",
		{1, 999, 255}:        "tile/1/999.p/255",
		{0, 1000, 256}:       "tile/0/x001/000",
		{5, 1234067, 8}:      "tile/5/x001/x234/067.p/8",
		{Bundles, 1234, 256}: "tile/entries/x001/234",
	} {
		if got := tile.Path(); got != want {
			t.Errorf("%+v: %s, not %s", tile, got, want)
		}
	}
}

// A tree of any size, grown in any steps, has the tiles and roots that the
// reference implementation finds.
func TestTreeIsReference(t *testing.T) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			out[i] = stored[index]
		}
		return out, nil
	})
	files := map[string][]byte{}
	write := func(tile HashTile) {
		path := tile.Path()
		text := AppendTile(nil, tile.Hashes)
		want, err := tlog.ReadTileData(tlog.Tile{H: TileHeight, L: tile.Level, N: int64(tile.Number), W: tile.Width}, reader)
		if err != nil || !bytes.Equal(text, want) {
			t.Fatalf("%s differs from the reference (%v)", path, err)
		}
		files[path] = text
	}
	tree := new(Tree)
	const size = 70_000 // three levels
	steps := map[int]bool{1: true, 255: true, 256: true, 257: true, 512: true, 65_535: true, 65_536: true, 65_537: true, 65_792: true, size: true}
	old := uint64(0)
	for i := range size {
		more, err := tlog.StoredHashesForRecordHash(int64(i), tlog.Hash(leaf(i)), reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
		for _, tile := range tree.Append(leaf(i)) {
			write(tile)
		}
		if !steps[i+1] {
			continue
		}
		for _, tile := range tree.Partial() {
			write(tile)
		}
		for _, tile := range tlog.NewTiles(TileHeight, int64(old), int64(tree.Size())) {
			if path := (Tile{tile.L, uint64(tile.N), tile.W}).Path(); files[path] == nil {
				t.Errorf("size %d lacks %s", tree.Size(), path)
			}
		}
		old = tree.Size()
		root, err := tlog.TreeHash(int64(tree.Size()), reader)
		if err != nil || sallyport.Digest(root) != tree.Root() {
			t.Fatalf("root of %d differs (%v)", tree.Size(), err)
		}
		read := func(tile Tile) ([]byte, error) {
			if text := files[tile.Path()]; text != nil {
				return text, nil
			}
			return nil, errors.New("no tile " + tile.Path())
		}
		checkpoint := proof.Checkpoint{Size: tree.Size(), Root: tree.Root()}
		if tree, err = Resume(checkpoint, read); err != nil {
			t.Fatalf("resuming at %d: %v", checkpoint.Size, err)
		}
		subtrees := append(proof.Subtrees(0, checkpoint.Size/2), proof.Subtrees(checkpoint.Size/2, checkpoint.Size)...)
		hashes, err := Hashes(checkpoint, subtrees, read)
		if err != nil {
			t.Fatal(err)
		}
		var f proof.Frontier
		for j, s := range subtrees {
			if err := f.AppendSubtree(s.Level, hashes[j]); err != nil {
				t.Fatal(err)
			}
		}
		if f.Root() != checkpoint.Root {
			t.Errorf("the subtrees of %d do not make its root", checkpoint.Size)
		}
	}
	// A damaged tile is refused, wherever it is.
	checkpoint := proof.Checkpoint{Size: tree.Size(), Root: tree.Root()}
	for _, path := range []string{(Tile{0, 273, 112}).Path(), (Tile{1, 1, 17}).Path(), (Tile{2, 0, 1}).Path()} {
		_, err := Resume(checkpoint, func(tile Tile) ([]byte, error) {
			text := bytes.Clone(files[tile.Path()])
			if tile.Path() == path {
				text[5]++
			}
			return text, nil
		})
		if err == nil {
			t.Errorf("resumed with %s damaged", path)
		}
		_, err = Resume(checkpoint, func(tile Tile) ([]byte, error) { return files[tile.Path()][32:], nil })
		if err == nil {
			t.Error("resumed with short tiles")
		}
	}
	if _, err := Hashes(checkpoint, []proof.Subtree{{Level: 0, Number: 7}}, func(tile Tile) ([]byte, error) {
		text := bytes.Clone(files[tile.Path()])
		if tile.Level == 0 && tile.Number == 0 {
			text[300]++
		}
		return text, nil
	}); err == nil {
		t.Error("took a hash from a damaged tile")
	}
}

func TestSeal(t *testing.T) {
	key, other := newKey(), newKey()
	for _, payload := range [][]byte{{}, []byte(`{"a":1}`), bytes.Repeat([]byte("x"), 1<<16)} {
		sealed, commitment := key.Seal([]byte("before"), payload, "c_1 args")
		if !bytes.HasPrefix(sealed, []byte("before")) || len(sealed) != 6+len(payload)+Overhead {
			t.Fatalf("sealed to %d bytes", len(sealed))
		}
		sealed = sealed[6:]
		opened, err := key.Open(sealed, "c_1 args", commitment)
		if err != nil || !bytes.Equal(opened.Text, payload) || proof.Commitment(opened.Salt, opened.Text) != commitment {
			t.Fatalf("%v", err)
		}
		if len(payload) > 100 && bytes.Contains(sealed, payload[:100]) {
			t.Error("not encrypted")
		}
		again, second := key.Seal(nil, payload, "c_1 args")
		if second == commitment || bytes.Equal(again, sealed) {
			t.Error("the same payload twice can be told")
		}
		bad := bytes.Clone(sealed)
		bad[len(bad)-1]++
		for name, err := range map[string]error{
			"other key":        second3(other.Open(sealed, "c_1 args", commitment)),
			"other place":      second3(key.Open(sealed, "c_2 args", commitment)),
			"other commitment": second3(key.Open(sealed, "c_1 args", second)),
			"damaged":          second3(key.Open(bad, "c_1 args", commitment)),
			"short":            second3(key.Open(sealed[:Overhead-1], "c_1 args", commitment)),
		} {
			if !errors.Is(err, ErrSealed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func second3(_ *proof.Payload, err error) error { return err }

func newKey() Key {
	var secret [KeySize]byte
	rand.Read(secret[:])
	return NewKey(secret)
}

func TestSigner(t *testing.T) {
	for range 20 { // some keys have a plus in their base64
		secret, err := NewSecret()
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewSigner(secret)
		if err != nil {
			t.Fatal(err)
		}
		text, err := s.Sign(7, leaf(7))
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := proof.OpenCheckpoint(text, s.Key())
		if err != nil || c != (proof.Checkpoint{Origin: s.Name(), Size: 7, Root: leaf(7)}) {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	if _, err := NewSigner("PRIVATE+KEY+nonsense"); err == nil || strings.Contains(err.Error(), "nonsense") {
		t.Errorf("%v", err)
	}
}

func TestBundle(t *testing.T) {
	got := AppendBundled(AppendBundled(nil, []byte("ab")), bytes.Repeat([]byte("x"), 300))
	if want := "\x00\x02ab\x01\x2c" + strings.Repeat("x", 300); string(got) != want {
		t.Errorf("%q", got)
	}
}

func BenchmarkSeal(b *testing.B) {
	key := newKey()
	for _, size := range []int{200, 1 << 16} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			payload := make([]byte, size)
			var dst []byte
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = key.Seal(dst[:0], payload, "c_01JD3Q6Z8Y args")
			}
		})
	}
}

func BenchmarkTreeAppend(b *testing.B) {
	tree := new(Tree)
	for b.Loop() {
		tree.Append(leaf0)
	}
}

var leaf0 = leaf(0)
