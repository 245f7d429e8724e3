package importer

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"sallyport/internal/importer/clientfile"
)

// beforeHooks ends the name of the copy of settings as they were before hooks
// were put into them.
const beforeHooks = ".before-sallyport"

// InstallHooks puts hooks into Claude Code's settings, and keeps a copy of what
// was there before. It reports whether anything changed.
func InstallHooks(path string, hooks []clientfile.Hook, mark string) (changed bool, err error) {
	if path, err = followed(path); err != nil {
		return false, err
	}
	before, err := readText(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return false, err
	}
	after, err := clientfile.AddHooks(before, hooks, mark)
	switch {
	case err != nil || bytes.Equal(before, after):
		return false, err
	case missing:
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return false, err
		}
		return true, writeFile(path, after, nil)
	}
	original, err := clientfile.RemoveHooks(before, mark)
	if err != nil {
		return false, err
	}
	if bytes.Equal(original, before) { // else the copy is from before the hooks that are there now
		if err := writeFile(path+beforeHooks, before, nil); err != nil {
			return false, err
		}
	}
	return true, replaceFile(path, before, after)
}

// UninstallHooks takes the hooks out again: where nothing else has changed the
// settings are those of before, byte for byte.
func UninstallHooks(path, mark string) (changed bool, err error) {
	if path, err = followed(path); err != nil {
		return false, err
	}
	before, err := readText(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	after, err := clientfile.RemoveHooks(before, mark)
	if err != nil || bytes.Equal(before, after) {
		return false, err
	}
	kept, err := readText(path + beforeHooks)
	switch {
	case err == nil && gives(kept, before, mark):
		after = kept
	case errors.Is(err, fs.ErrNotExist) && sameJSON(after, []byte("{}")):
		return true, os.Remove(path) // it was not there before
	}
	if err := replaceFile(path, before, after); err != nil {
		return false, err
	}
	if err := os.Remove(path + beforeHooks); !errors.Is(err, fs.ErrNotExist) {
		return true, err
	}
	return true, nil
}

// followed is where a path leads, also when nothing is there yet.
func followed(path string) (string, error) {
	to, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return filepath.Abs(path)
	}
	return to, err
}

// gives reports whether text is what putting its hooks into kept gives.
func gives(kept, text []byte, mark string) bool {
	hooks, err := clientfile.Hooks(text, mark)
	if err != nil {
		return false
	}
	with, err := clientfile.AddHooks(kept, hooks, mark)
	return err == nil && sameJSON(with, text)
}

func sameJSON(a, b []byte) bool {
	x, err := clientfile.Decode(a)
	if err != nil {
		return false
	}
	y, err := clientfile.Decode(b)
	return err == nil && reflect.DeepEqual(x, y)
}
