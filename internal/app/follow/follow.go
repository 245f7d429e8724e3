// Package follow notices when files change.
package follow

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// calm is how long the files must have been left alone before they are
	// read: editors and git write in several steps.
	calm = 150 * time.Millisecond
	// lookAnyway is how often the files are read without a sign of change:
	// some file systems give none.
	lookAnyway = time.Minute
)

// Files has look called when one of the files may have changed, until ctx is
// done: paths at first, and from then on those that look returns.
// failed hears of what went wrong. The error is that nothing can be followed.
func Files(ctx context.Context, paths []string, look func() []string, failed func(error)) (run func(), err error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	next := add(notify, paths)
	return func() {
		defer notify.Close()
		timer := time.NewTimer(next)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-notify.Events:
				timer.Reset(calm)
			case err := <-notify.Errors:
				failed(err)
				timer.Reset(calm)
			case <-timer.C:
				timer.Reset(add(notify, look()))
			}
		}
	}, nil
}

// add follows files, and says after how long to look anyway. A file that was
// replaced is followed anew; adding one twice changes nothing.
func add(notify *fsnotify.Watcher, paths []string) time.Duration {
	next := lookAnyway
	for _, path := range paths {
		if err := notify.Add(path); err != nil {
			next = time.Second // being replaced just now, or gone
		}
	}
	return next
}
