package asking

import (
	"testing"

	"sallyport"
)

// What is signed of several questions, or of other arguments, is theirs alone, in
// whatever order they are shown.
func TestSigned(t *testing.T) {
	a, b, c := sallyport.DigestOf([]byte("a")), sallyport.DigestOf([]byte("b")), sallyport.DigestOf([]byte("c"))
	together := func(all ...sallyport.Digest) sallyport.Digest {
		var texts []string
		for _, d := range all {
			texts = append(texts, d.String())
		}
		return Together(texts)
	}
	if together(a, b) != together(b, a) {
		t.Error("the order of rows changes what is signed")
	}
	args := sallyport.MustParse(`{"amount":5,"x":1}`)
	if Narrowed(a, args) != Narrowed(a, sallyport.MustParse(`{"x":1,"amount":5}`)) {
		t.Error("the order of arguments changes what is signed")
	}
	seen := map[sallyport.Digest]string{a: "a", b: "b", c: "c"}
	for name, d := range map[string]sallyport.Digest{
		"none": together(), "a alone": together(a), "a twice": together(a, a), "a and b": together(a, b), "a and c": together(a, c), "all": together(a, b, c),
		"a narrowed": Narrowed(a, args), "b narrowed": Narrowed(b, args), "a to other arguments": Narrowed(a, sallyport.MustParse(`{"amount":5,"x":2}`)),
	} {
		if seen[d] != "" {
			t.Errorf("%s and %s are signed alike", name, seen[d])
		}
		seen[d] = name
	}
}
