package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrChanged says that a file was written by someone else between reading and
// replacing it. Nothing is lost: run the command again.
var ErrChanged = errors.New("the file changed in the meantime: run the command again")

// replaceFile replaces the text of path, which must still be before, and keeps
// its mode and owner. A crash leaves either the old text or the new.
func replaceFile(path string, before, after []byte) error {
	current, err := readText(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(current, before) {
		return fmt.Errorf("%s: %w", path, ErrChanged)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if readOnly(info) {
		return fmt.Errorf("%s: %s", path, whyFixed)
	}
	return writeFile(path, after, info)
}

// whyFixed says why a read-only file is left alone.
const whyFixed = "the file is read-only: something else manages it, so point it at Sallyport there"

func readOnly(info fs.FileInfo) bool { return info.Mode().Perm()&0o200 == 0 }

// writeFile writes a file so that a crash leaves either the old one or the new
// one, and returns once it is durable. With like, mode and owner are taken from
// there; otherwise the file is the user's alone (0600).
func writeFile(path string, data []byte, like fs.FileInfo) (err error) {
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".sallyport")
	// A crashed run may have left one. Opening it anew and exclusively keeps a
	// link that someone planted under this name from being followed.
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(temporary))
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if like != nil {
		if err := keepOwner(f, like); err != nil {
			return fmt.Errorf("keep the owner of %s: %w", path, err)
		}
		if err := f.Chmod(like.Mode().Perm()); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
