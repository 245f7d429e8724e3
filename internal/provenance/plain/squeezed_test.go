package plain

import (
	"math/rand/v2"
	"testing"
)

// TestAroundDiffers compares what is around byte by byte: a place that is taken
// for another one is never compared.
func TestAroundDiffers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func() Squeezed {
		letters := make([]byte, r.IntN(20))
		for i := range letters {
			letters[i] = "ab01\xC3"[r.IntN(5)]
		}
		return Squeezed{Bytes: letters}
	}
	for range 50_000 {
		a, b := text(), text()
		i, j := r.IntN(len(a.Bytes)+1), r.IntN(len(b.Bytes)+1)
		want := Around(0)
		differ := func(x, y []byte, bits Around) {
			if len(x) > 0 && len(y) > 0 && x[0] != y[0] {
				want |= bits
			}
		}
		x, y := a.Bytes[i:], b.Bytes[j:]
		for k := 1; k <= 7 && k <= len(x) && k <= len(y); k++ {
			differ(x[k-1:], y[k-1:], Behind(k)&^Behind(k-1))
		}
		differ(a.Bytes[max(0, i-1):i], b.Bytes[max(0, j-1):j], OneBefore)
		x1, y1 := a.Around(i, i), b.Around(j, j)
		got := (x1 ^ y1) & x1.Known() & y1.Known()
		for k := Around(15); k != 0; k <<= 4 {
			if (got&k != 0) != (want&k != 0) {
				t.Fatalf("%q and %q differ in %x, not %x", x, y, got, want)
			}
		}
	}
	if Behind(-1) != 0 || Behind(8)|OneBefore != ^Around(0) || Behind(7)&OneBefore != 0 {
		t.Error("seven bytes are behind, and one before")
	}
}

func TestKeysTellTextsApart(t *testing.T) {
	var q, padded Squeezed
	q.Squeeze("abcdefgh")
	padded.Squeeze("abcdefgh and what makes it longer")
	seen := map[uint64]bool{}
	for i := range 3 {
		for n := 1; n <= min(Gram, len(q.Bytes)-i-1); n++ {
			key := q.Key(i, n)
			if seen[key] {
				t.Errorf("the %d bytes at %d have the key of others", n, i)
			}
			if seen[key] = true; key != padded.Key(i, n) {
				t.Errorf("the %d bytes at %d have another key within a longer text", n, i)
			}
		}
	}
}
