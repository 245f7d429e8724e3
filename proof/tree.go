package proof

import (
	"crypto/sha256"
	"fmt"
	"math/bits"

	"sallyport"
)

// NodeHash is the hash of a node of the Merkle tree (RFC 6962 §2.1).
func NodeHash(left, right sallyport.Digest) sallyport.Digest {
	var node [1 + 2*sha256.Size]byte
	node[0] = 1
	copy(node[1:], left[:])
	copy(node[1+sha256.Size:], right[:])
	return sha256.Sum256(node[:])
}

// Frontier is the right edge of a Merkle tree: the hashes of the complete
// subtrees that make it up, widest first. It is all that is needed to grow the
// tree and to know its root. The zero Frontier is the empty tree.
type Frontier struct {
	size  uint64
	edges []sallyport.Digest // one for each bit set in size
}

// Size is the number of leaves.
func (f *Frontier) Size() uint64 { return f.size }

// Append adds one leaf.
func (f *Frontier) Append(leaf sallyport.Digest) {
	// Every complete subtree of the same width on the left is joined.
	for n := f.size; n&1 == 1; n >>= 1 {
		last := len(f.edges) - 1
		leaf = NodeHash(f.edges[last], leaf)
		f.edges = f.edges[:last]
	}
	f.edges = append(f.edges, leaf)
	f.size++
}

// AppendSubtree adds a complete subtree of 2^level leaves. It fails where the
// tree has no place for one that wide.
func (f *Frontier) AppendSubtree(level int, hash sallyport.Digest) error {
	if level < 0 || level > 62 || f.size&(1<<level-1) != 0 || f.size > 1<<62 {
		return fmt.Errorf("no subtree of 2^%d leaves can follow %d leaves", level, f.size)
	}
	for n := f.size >> level; n&1 == 1; n >>= 1 {
		last := len(f.edges) - 1
		hash = NodeHash(f.edges[last], hash)
		f.edges = f.edges[:last]
	}
	f.edges = append(f.edges, hash)
	f.size += 1 << level
	return nil
}

// Root is the hash of the tree.
func (f *Frontier) Root() sallyport.Digest {
	if f.size == 0 {
		return sha256.Sum256(nil)
	}
	last := len(f.edges) - 1
	root := f.edges[last]
	for i := last - 1; i >= 0; i-- {
		root = NodeHash(f.edges[i], root)
	}
	return root
}

// Subtree is a complete subtree of a Merkle tree: the leaves from
// Number<<Level to (Number+1)<<Level.
type Subtree struct {
	Level  int
	Number uint64
}

// Subtrees are the widest complete subtrees that make up the leaves from from
// to to, in order: what a gap of an export consists of.
func Subtrees(from, to uint64) []Subtree {
	var all []Subtree
	for from < to {
		level := bits.Len64(to-from) - 1
		if from > 0 {
			level = min(level, bits.TrailingZeros64(from))
		}
		all = append(all, Subtree{level, from >> level})
		from += 1 << level
	}
	return all
}
