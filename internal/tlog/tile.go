// Package tlog encodes the log as a transparency log: tiles and entry bundles
// (C2SP tlog-tiles), signed checkpoints (C2SP tlog-checkpoint), sealed
// payloads. It is pure: it touches no file and no clock.
package tlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport"
	"sallyport/proof"
)

// TileHeight is the height of a tile, TileWidth the number of its hashes.
const (
	TileHeight = 8
	TileWidth  = 1 << TileHeight
)

// Bundles is the level that stands for the tiles of entries themselves.
const Bundles = -1

// Tile names one tile. Width is below TileWidth for a partial tile.
type Tile struct {
	Level  int // Bundles, or 0 and up
	Number uint64
	Width  int
}

// Path is where tlog-tiles has the tile, relative to the log's prefix.
func (t Tile) Path() string {
	level := "entries"
	if t.Level != Bundles {
		level = strconv.Itoa(t.Level)
	}
	number := fmt.Sprintf("%03d", t.Number%1000)
	for n := t.Number / 1000; n > 0; n /= 1000 {
		number = fmt.Sprintf("x%03d/%s", n%1000, number)
	}
	path := "tile/" + level + "/" + number
	if t.Width < TileWidth {
		path += ".p/" + strconv.Itoa(t.Width)
	}
	return path
}

// Tree grows a Merkle tree leaf by leaf and keeps the hashes of the tiles
// that are not full yet: that is everything a longer tree still needs. The
// zero Tree is empty.
type Tree struct {
	frontier proof.Frontier
	open     [][]sallyport.Digest // by level, the hashes of the unfinished tile
}

// Size is the number of leaves.
func (t *Tree) Size() uint64 { return t.frontier.Size() }

// Root is the hash of the tree.
func (t *Tree) Root() sallyport.Digest { return t.frontier.Root() }

// Append adds a leaf and returns the tiles that are full with it, with their
// hashes, which the caller must not keep.
func (t *Tree) Append(leaf sallyport.Digest) []HashTile {
	var full []HashTile
	t.frontier.Append(leaf)
	for level := 0; ; level++ {
		if level == len(t.open) {
			t.open = append(t.open, make([]sallyport.Digest, 0, TileWidth))
		}
		t.open[level] = append(t.open[level], leaf)
		if len(t.open[level]) < TileWidth {
			return full
		}
		full = append(full, HashTile{Tile{level, t.Size()>>(TileHeight*(level+1)) - 1, TileWidth}, t.open[level]})
		leaf = tileRoot(t.open[level])
		t.open[level] = t.open[level][:0]
	}
}

// HashTile is a tile with its hashes.
type HashTile struct {
	Tile
	Hashes []sallyport.Digest
}

// Partial is the unfinished tiles, which the caller must not keep.
func (t *Tree) Partial() []HashTile {
	var all []HashTile
	for level, hashes := range t.open {
		if len(hashes) > 0 {
			all = append(all, HashTile{Tile{level, t.Size() >> (TileHeight * (level + 1)), len(hashes)}, hashes})
		}
	}
	return all
}

func tileRoot(hashes []sallyport.Digest) sallyport.Digest {
	var f proof.Frontier
	for _, hash := range hashes {
		f.Append(hash)
	}
	return f.Root()
}

// AppendTile appends the bytes of a tile: its hashes.
func AppendTile(dst []byte, hashes []sallyport.Digest) []byte {
	for _, hash := range hashes {
		dst = append(dst, hash[:]...)
	}
	return dst
}

// AppendBundled appends one entry as an entry bundle has it: its length in 16
// bits, its bytes.
func AppendBundled(dst, entry []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(entry))) // at most sallyport.MaxEntry
	return append(dst, entry...)
}

// Prefix is the bytes of a partial tile, out of those of the full one.
func Prefix(partial Tile, full []byte) ([]byte, error) {
	end := partial.Width * len(sallyport.Digest{})
	if partial.Level == Bundles {
		end = 0
		for range partial.Width {
			if len(full) < end+2 {
				return nil, fmt.Errorf("the full tile of %s is damaged: %d bytes", partial.Path(), len(full))
			}
			end += 2 + int(binary.BigEndian.Uint16(full[end:]))
		}
	}
	if len(full) < end {
		return nil, fmt.Errorf("the full tile of %s is damaged: %d bytes", partial.Path(), len(full))
	}
	return full[:end], nil
}

// Resume rebuilds the tree that a checkpoint speaks of from its tiles. read
// returns the bytes of a tile. Tiles that do not have the checkpoint's root
// are refused.
func Resume(checkpoint proof.Checkpoint, read func(Tile) ([]byte, error)) (*Tree, error) {
	t := new(Tree)
	size := checkpoint.Size
	for level := 0; size>>(TileHeight*level) > 0; level++ {
		n := size >> (TileHeight * level)
		t.open = append(t.open, make([]sallyport.Digest, 0, TileWidth))
		if n%TileWidth == 0 {
			continue
		}
		tile := Tile{level, n / TileWidth, int(n % TileWidth)}
		text, err := read(tile)
		if err != nil {
			return nil, err
		}
		if len(text) != tile.Width*len(sallyport.Digest{}) {
			return nil, fmt.Errorf("%s is damaged: %d bytes", tile.Path(), len(text))
		}
		for len(text) > 0 {
			t.open[level] = append(t.open[level], sallyport.Digest(text))
			text = text[len(sallyport.Digest{}):]
		}
	}
	for level := len(t.open) - 1; level >= 0; level-- {
		for _, s := range proof.Subtrees(0, uint64(len(t.open[level]))) {
			hash := tileRoot(t.open[level][s.Number<<s.Level : (s.Number+1)<<s.Level])
			if err := t.frontier.AppendSubtree(s.Level+TileHeight*level, hash); err != nil {
				return nil, err
			}
		}
	}
	if t.Root() != checkpoint.Root {
		return nil, errors.New("the tiles at the end of the log do not have the root of the checkpoint")
	}
	return t, nil
}

// Hashes are the hashes of complete subtrees of the tree that a checkpoint
// speaks of. They come from its tiles and are proved to be in the tree.
func Hashes(checkpoint proof.Checkpoint, subtrees []proof.Subtree, read func(Tile) ([]byte, error)) ([]sallyport.Digest, error) {
	indexes := make([]int64, len(subtrees))
	for i, s := range subtrees {
		indexes[i] = tlog.StoredHashIndex(s.Level, int64(s.Number))
	}
	tree := tlog.Tree{N: int64(checkpoint.Size), Hash: tlog.Hash(checkpoint.Root)}
	found, err := tlog.TileHashReader(tree, tileReader(read)).ReadHashes(indexes)
	if err != nil {
		return nil, err
	}
	hashes := make([]sallyport.Digest, len(found))
	for i, hash := range found {
		hashes[i] = sallyport.Digest(hash)
	}
	return hashes, nil
}

type tileReader func(Tile) ([]byte, error)

func (tileReader) Height() int { return TileHeight }

func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, t := range tiles {
		text, err := r(Tile{t.L, uint64(t.N), t.W})
		if err != nil {
			return nil, err
		}
		all[i] = text
	}
	return all, nil
}

func (tileReader) SaveTiles([]tlog.Tile, [][]byte) {}
