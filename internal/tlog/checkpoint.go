package tlog

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"sallyport"
	"sallyport/proof"
)

// Signer signs checkpoints with the log's key.
type Signer struct {
	signer note.Signer
	key    string
}

// NewSecret makes the key of a new log: an Ed25519 key as a C2SP signed-note
// signer key. The log's name, its origin, is random, so that no two logs are
// ever taken for one.
func NewSecret() (string, error) {
	var name [8]byte
	rand.Read(name[:])
	secret, _, err := note.GenerateKey(rand.Reader, "sallyport/"+hex.EncodeToString(name[:]))
	return secret, err
}

// NewSigner takes a log's key into use.
func NewSigner(secret string) (*Signer, error) {
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, fmt.Errorf("the log's key is damaged: %w", err)
	}
	// "PRIVATE+KEY+name+hash+" and the algorithm and seed, as NewSigner has
	// checked; a plus may also be part of the base64.
	seed, err := base64.StdEncoding.DecodeString(strings.SplitN(secret, "+", 5)[4])
	if err != nil {
		return nil, fmt.Errorf("the log's key is damaged: %w", err)
	}
	public := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	key, err := note.NewEd25519VerifierKey(signer.Name(), public)
	return &Signer{signer, key}, err
}

// Name is the log's origin.
func (s *Signer) Name() string { return s.signer.Name() }

// Key is the verifier key, for everybody ("name+hash+key").
func (s *Signer) Key() string { return s.key }

// Sign is the signed note of a checkpoint of this log.
func (s *Signer) Sign(size uint64, root sallyport.Digest) ([]byte, error) {
	c := proof.Checkpoint{Origin: s.Name(), Size: size, Root: root}
	return note.Sign(&note.Note{Text: c.Text()}, s.signer)
}
