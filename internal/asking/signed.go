package asking

import (
	"slices"

	"sallyport"
)

// What a person's device signs of one question, where a yes takes that, is its
// digest. These are what it signs of more than that. Neither can be the digest of a
// question, whose bytes begin with a brace.

// Narrowed is what is signed of a question that is narrowed: it, and the arguments
// that are agreed to in its place.
func Narrowed(asked sallyport.Digest, args sallyport.Value) sallyport.Digest {
	return sallyport.DigestOf(args.AppendCanonical([]byte("sallyport narrow " + asked.String() + "\n")))
}

// Together is what is signed of several questions at once, by their digests as they
// are written: none can be added, left out or changed behind it.
func Together(questions []string) sallyport.Digest {
	lines := slices.Sorted(slices.Values(questions))
	text := []byte("sallyport together")
	for _, line := range lines {
		text = append(append(text, '\n'), line...)
	}
	return sallyport.DigestOf(text)
}
