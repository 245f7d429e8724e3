package tlog

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"sallyport"
	"sallyport/proof"
)

// Key seals the payloads of one run. Dropping it erases them.
type Key struct{ aead cipher.AEAD }

// KeySize is the length of a key in bytes (AES-256).
const KeySize = 32

// NewKey takes a key into use.
func NewKey(secret [KeySize]byte) Key {
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		panic(err) // can't be: the size is right
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return Key{aead}
}

// Overhead is by how many bytes a payload grows when sealed: nonce, salt, tag.
const Overhead = nonceSize + proof.SaltSize + 16

const nonceSize = 12

// Seal commits to a payload with a fresh salt and appends salt and payload,
// encrypted (AES-256-GCM, random nonce in front), to dst. The place, for
// example the call and "args", is authenticated: a payload put in another's
// place does not open.
func (k Key) Seal(dst, payload []byte, place string) ([]byte, sallyport.Digest) {
	var random [nonceSize + proof.SaltSize]byte
	rand.Read(random[:])
	nonce, salt := random[:nonceSize], [proof.SaltSize]byte(random[nonceSize:])
	dst = slices.Grow(dst, len(payload)+Overhead)
	dst = append(append(dst, random[:]...), payload...)
	plain := dst[len(dst)-proof.SaltSize-len(payload):]
	return k.aead.Seal(dst[:len(dst)-len(plain)], nonce, plain, []byte(place)), proof.Commitment(salt, payload)
}

// ErrSealed says that a payload does not open: its bytes are damaged, or it
// is not that of the entry.
var ErrSealed = errors.New("the payload does not open")

// Open decrypts what Seal wrote and checks that it is what the entry commits
// to.
func (k Key) Open(sealed []byte, place string, commitment sallyport.Digest) (*proof.Payload, error) {
	if len(sealed) < Overhead {
		return nil, fmt.Errorf("%w: too short", ErrSealed)
	}
	plain, err := k.aead.Open(nil, sealed[:nonceSize], sealed[nonceSize:], []byte(place))
	if err != nil {
		return nil, fmt.Errorf("%w: damaged, or from another place", ErrSealed)
	}
	p := &proof.Payload{Salt: [proof.SaltSize]byte(plain), Text: plain[proof.SaltSize:]}
	if proof.Commitment(p.Salt, p.Text) != commitment {
		return nil, fmt.Errorf("%w: it is not what the entry commits to", ErrSealed)
	}
	return p, nil
}
