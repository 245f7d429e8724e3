// Package signing keeps the key that signs the log.
package signing

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"sallyport/internal/store/file"
	"sallyport/internal/tlog"
)

// Load reads the key of a log. A new one is made for a new log only: a log that
// goes on under another key would look like a replaced one, and so the error is
// fs.ErrNotExist.
func Load(path string, fresh bool) (*tlog.Signer, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && fresh {
		secret, err := tlog.NewSecret()
		if err != nil {
			return nil, err
		}
		text = []byte(secret + "\n")
		if err := file.Replace(path, text, true); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	return tlog.NewSigner(strings.TrimSpace(string(text)))
}
