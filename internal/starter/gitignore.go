package starter

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

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

// KeepOutOfGit stops "git add ." from publishing keys and credentials: by
// default the state directory is in the project's. A file that is there
// already is somebody's own.
func KeepOutOfGit(dir string) error {
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
