package bloom

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"sallyport/internal/provenance/plain"
)

func keys(text string) (q plain.Squeezed, all []uint64) {
	q.Squeeze(text)
	for i := 0; i+plain.Gram <= len(q.Bytes); i++ {
		all = append(all, q.Key(i, plain.Gram))
	}
	return q, all
}

// TestWhatIsThereIsFound adds keys to many shelves: one that a filter does not
// have would be a value that nobody wrote.
func TestWhatIsThereIsFound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var f Filter
	f.Renew(20 * 12 * 60)
	texts := make([]string, 20)
	for i := range texts {
		texts[i] = fmt.Sprintf("%x and %x were añadido by %x", r.Uint64(), r.Uint64(), r.Uint64())
	}
	at := func(i int) int { return i * 7 % 12 }
	for i, text := range texts {
		_, all := keys(text)
		for _, key := range all {
			f.Add(Hash(key), at(i))
		}
	}
	for i, text := range texts {
		q, all := keys(text)
		for n, k := range f.Grams(nil, q.Bytes) {
			next := byte(0)
			if end := n + plain.Gram; end < len(q.Bytes) {
				next = q.Bytes[end]
			}
			here := k.Next
			if next == 0 {
				here = k.Last
			}
			if hash := k.Before(next); !here.Has(at(i)) || !f.Has(hash, at(i)) || hash != Hash(all[n]) {
				t.Fatalf("gram %d of %q is not on shelf %d: %+v", n, text, at(i), k)
			}
			if one := f.Look(all[n]); one != k {
				t.Fatalf("gram %d of %q is %+v, alone %+v", n, text, k, one)
			}
			if next < 0x80 || next >= 0xC2 {
				var seen []uint32
				f.EachNext(k, at(i), func(hash uint32) bool { seen = append(seen, hash); return true })
				if !slices.Contains(seen, Hash(all[n])) {
					t.Fatalf("gram %d of %q is before nothing", n, text)
				}
			}
		}
	}
}

// TestMostIsNowhere holds the share of keys that are taken for seen down, and
// what is on one shelf apart from the others.
func TestMostIsNowhere(t *testing.T) {
	const n = 50_000
	r := rand.New(rand.NewPCG(3, 4))
	key := func() uint64 { return r.Uint64()&(1<<48-1) | plain.Gram<<48 }
	var f Filter
	if f.Has(1, 0) || f.Look(key()) != (Key{}) {
		t.Error("an empty filter has something")
	}
	f.Renew(n)
	for range n {
		f.Add(Hash(key()), 1)
	}
	if !f.Full(2*n) || f.Full(n) {
		t.Error("three times as many do fit, or twice as many do not")
	}
	known, other := 0, 0
	for range n {
		if k := f.Look(key()); k.Bytes != 0 {
			known++
			if k.Last.Has(0) {
				other++
			}
		}
	}
	if known > n/3 || other > n/50 {
		t.Errorf("of %d keys, %d are taken for known and %d for those of another shelf", n, known, other)
	}
}

func TestCloneIsApart(t *testing.T) {
	var f Filter
	f.Renew(10)
	hash := Hash(1 | 1<<48)
	if c := f.Clone(); c.Has(hash, 0) {
		t.Error("something is in an empty one")
	} else if f.Add(hash, 0); c.Has(hash, 0) || !f.Has(hash, 0) {
		t.Error("what is added to one is in the other")
	}
}
