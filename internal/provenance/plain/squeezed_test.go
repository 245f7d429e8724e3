package plain

import (
	"math/rand/v2"
	"testing"
)

// TestFollowingGoesOn compares what follows byte by byte: a place that is taken
// for another one is never compared.
func TestFollowingGoesOn(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func() Squeezed {
		letters := make([]byte, r.IntN(8))
		for i := range letters {
			letters[i] = "ab\xC3"[r.IntN(3)]
		}
		return Squeezed{Bytes: letters}
	}
	for range 20_000 {
		a, b := text(), text()
		i, j := r.IntN(len(a.Bytes)+1), r.IntN(len(b.Bytes)+1)
		until := i + r.IntN(len(a.Bytes)-i+1)
		want := true
		for k := 0; k < 4 && i+k < until && j+k < len(b.Bytes) && want; k++ {
			want = a.Bytes[i+k] == b.Bytes[j+k]
		}
		if got := GoesOn(a.Following(i, until), b.Following(j, len(b.Bytes))); got != want {
			t.Fatalf("%q goes on as %q: %v", a.Bytes[i:until], b.Bytes[j:], got)
		}
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
