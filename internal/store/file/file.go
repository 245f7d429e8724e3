// Package file replaces files.
package file

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace replaces a file at once, mode 0600; durably when asked.
func Replace(path string, text []byte, durably bool) error {
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil && durably {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		os.Remove(temporary)
		return err
	}
	if err := os.Rename(temporary, path); err != nil || !durably {
		return err
	}
	// The new name is in the directory, which is another file.
	directory, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
