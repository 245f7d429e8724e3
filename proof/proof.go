// Package proof verifies what a Sallyport log says, offline and without
// trusting the gateway that wrote it: the entries of an export, that they are
// in the log a signed checkpoint speaks of, and that this log has grown out of
// the one an earlier checkpoint spoke of. A [Report] also says what was not
// checked.
//
// The formats are described in docs/formats.md.
package proof

import (
	"crypto/sha256"

	"sallyport"
)

// SaltSize is the length of a commitment's salt in bytes.
const SaltSize = 32

// Commitment is what an entry says of a payload: SHA-256 over a random salt
// and the payload. Without the salt nobody can find out a short payload by
// trying, so entries can be shown to people who may not see payloads.
func Commitment(salt [SaltSize]byte, payload []byte) sallyport.Digest {
	h := sha256.New()
	h.Write(salt[:])
	h.Write(payload)
	return sallyport.Digest(h.Sum(nil))
}
