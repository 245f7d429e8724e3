package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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

// watchFiles reloads when the configuration or a policy file changes, until
// ctx is done. The caller holds changing.
func (a *App) watchFiles(ctx context.Context) error {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	next := a.watchPaths(notify)
	a.working.Go(func() {
		defer notify.Close()
		look := time.NewTimer(next)
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-notify.Events:
				look.Reset(calm)
			case err := <-notify.Errors:
				a.log.Warn("watching the configuration", "error", err)
				look.Reset(calm)
			case <-look.C:
				a.changing.Lock()
				a.reload(ctx)
				look.Reset(a.watchPaths(notify))
				a.changing.Unlock()
			}
		}
	})
	return nil
}

// watchPaths watches the configuration file and the policies' directories,
// and says after how long to look anyway. The configuration's directory itself
// is not watched: by default the database is in it, and every call would wake
// us. A file that was replaced is watched anew; adding one twice changes
// nothing.
func (a *App) watchPaths(notify *fsnotify.Watcher) time.Duration {
	paths := []string{a.configPath}
	if secrets := filepath.Join(a.options.Dir, "secrets.json"); exists(secrets) {
		paths = append(paths, secrets)
	}
	for _, path := range a.law.inForce.config.Policy {
		paths = append(paths, path)
		filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				paths = append(paths, name)
			}
			return nil
		})
	}
	next := lookAnyway
	for _, path := range paths {
		if err := notify.Add(path); err != nil {
			next = time.Second // being replaced just now, or gone
		}
	}
	return next
}

// notForGit is what of a state directory must not be shared: keys, credentials
// and what was recorded. The configuration and the policies may be.
const notForGit = `# Keys, credentials and the log stay on this machine.
/sallyport.db*
/index.db*
/payloads/
/log/
/log.key
/secrets.json
/tokens/
/import/
/control.sock
/lock
`

// keepOutOfGit stops "git add ." from publishing keys and credentials: by
// default the state directory is in the project's. A file that is there
// already is somebody's own.
func keepOutOfGit(dir string) error {
	file, err := os.OpenFile(filepath.Join(dir, ".gitignore"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(notForGit)
	return errors.Join(err, file.Close())
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
