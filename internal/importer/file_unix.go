//go:build unix

package importer

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives f the owner and group of like.
func keepOwner(f *os.File, like fs.FileInfo) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	have, haveOK := info.Sys().(*syscall.Stat_t)
	want, wantOK := like.Sys().(*syscall.Stat_t)
	if !haveOK || !wantOK || (have.Uid == want.Uid && have.Gid == want.Gid) {
		return nil
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// private reports whether only the owner can read a file of this mode.
func private(mode fs.FileMode) bool { return mode.Perm()&0o077 == 0 }
