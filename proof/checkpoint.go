package proof

import (
	"errors"
	"fmt"
	"slices"

	formats "github.com/transparency-dev/formats/log"
	keys "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"sallyport"
)

// Checkpoint is what a log says of itself at one moment: so many entries, of
// this root (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin string // name of the log, and of its key
	Size   uint64 // entries
	Root   sallyport.Digest
}

// Text is the body of the checkpoint, that which is signed.
func (c Checkpoint) Text() string {
	return string(formats.Checkpoint{Origin: c.Origin, Size: c.Size, Hash: c.Root[:]}.Marshal())
}

// Errors of OpenCheckpoint.
var (
	ErrKey       = errors.New("malformed verifier key")
	ErrSignature = errors.New("the checkpoint is not signed by the log's key")
)

// OpenCheckpoint reads a signed note that holds a checkpoint and verifies the
// signature of the log's key, which is a C2SP signed-note verifier key
// ("name+hash+key"). Of the witnesses' keys it returns those names whose
// cosignature is there and good; unknown signatures are passed over.
func OpenCheckpoint(text []byte, key string, witnesses ...string) (Checkpoint, []string, error) {
	log, err := keys.NewVerifier(key)
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("%w of the log: %w", ErrKey, err)
	}
	known := []note.Verifier{log}
	for _, witness := range witnesses {
		v, err := keys.NewVerifier(witness)
		if err != nil {
			return Checkpoint{}, nil, fmt.Errorf("%w of a witness: %w", ErrKey, err)
		}
		known = append(known, v)
	}
	opened, err := note.Open(text, note.VerifierList(known...))
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	var cosigned []string
	signed := false
	for _, s := range opened.Sigs {
		if s.Name == log.Name() && s.Hash == log.KeyHash() {
			signed = true
		} else if !slices.Contains(cosigned, s.Name) {
			cosigned = append(cosigned, s.Name)
		}
	}
	if !signed {
		return Checkpoint{}, nil, ErrSignature
	}
	var body formats.Checkpoint
	if _, err := body.Unmarshal([]byte(opened.Text)); err != nil {
		return Checkpoint{}, nil, err
	}
	c := Checkpoint{Origin: body.Origin, Size: body.Size}
	if copy(c.Root[:], body.Hash) != len(c.Root) || len(body.Hash) != len(c.Root) {
		return Checkpoint{}, nil, errors.New("the checkpoint's root is not a SHA-256")
	}
	if c.Origin != log.Name() {
		return Checkpoint{}, nil, fmt.Errorf("the checkpoint is of log %q, the key of %q", c.Origin, log.Name())
	}
	return c, cosigned, nil
}
