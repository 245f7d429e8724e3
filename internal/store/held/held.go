// Package held notices when files that are open lose their names.
package held

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrTaken says that a file of the log is not where it was when the gateway
// opened it.
var ErrTaken = errors.New("the database was taken away or replaced under the running gateway")

// Files must stay in their places. What is written through a file that is open
// reaches no directory any more once another one has its name: it would be
// called durable and be gone at the next start.
type Files []file

type file struct {
	path          string
	device, inode uint64
}

// Hold remembers which files have these names now. An error means that one has
// no file.
func Hold(paths ...string) (Files, error) {
	var h Files
	for _, path := range paths {
		var at unix.Stat_t
		if err := unix.Stat(path, &at); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
		h = append(h, file{path, uint64(at.Dev), at.Ino})
	}
	return h, nil
}

// Check fails with ErrTaken when a file is not in its place.
func (h Files) Check() error {
	for i := range h {
		f := &h[i]
		var at unix.Stat_t
		if err := unix.Stat(f.path, &at); err != nil || uint64(at.Dev) != f.device || at.Ino != f.inode {
			return fmt.Errorf("%w: %s; put it back, or stop the gateway and restore the whole directory from one copy", ErrTaken, filepath.Base(f.path))
		}
	}
	return nil
}
