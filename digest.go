package sallyport

import (
	"crypto/sha256"
	"encoding/hex"
)

// Digest is a SHA-256, the only hash in Sallyport. The zero Digest means none.
type Digest [sha256.Size]byte

// DigestOf hashes bytes.
func DigestOf(text []byte) Digest { return sha256.Sum256(text) }

// IsZero reports whether there is no digest.
func (d Digest) IsZero() bool { return d == Digest{} }

// String is "sha256:" and lower-case hexadecimal, "" for the zero Digest.
func (d Digest) String() string {
	if d.IsZero() {
		return ""
	}
	return "sha256:" + hex.EncodeToString(d[:])
}

// Short is the first twelve hexadecimal digits, for people.
func (d Digest) Short() string {
	if d.IsZero() {
		return ""
	}
	return hex.EncodeToString(d[:6])
}
