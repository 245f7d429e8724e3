package install

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// staysBehind is what a state directory holds for the programs of the user who
// had it: tokens of shims that agents run, and what unwrap needs.
var staysBehind = map[string]bool{"tokens": true, "import": true}

// state makes the state directory and the configuration, or moves what is in
// another state directory.
func (p *Plan) state(m machine, o Options) error {
	if o.From != "" {
		return p.move(m, o)
	}
	p.add(m.has(StateDir), func() error {
		return errors.Join(os.MkdirAll(filepath.Dir(m.at(StateDir)), 0o755), os.Mkdir(m.at(StateDir), 0o700))
	}, "make the state directory %s", StateDir)
	p.add(m.has(configFile), func() error {
		if err := os.MkdirAll(filepath.Dir(m.at(configDir)), 0o755); err != nil {
			return err
		}
		return fs.WalkDir(o.Starter, ".", func(name string, entry fs.DirEntry, err error) error {
			path := filepath.Join(m.at(configDir), name)
			if err != nil || entry.IsDir() {
				return errors.Join(err, os.MkdirAll(path, 0o750))
			}
			text, err := fs.ReadFile(o.Starter, name)
			if err != nil {
				return err
			}
			return os.WriteFile(path, text, 0o640)
		})
	}, "write the configuration of a first start, with its policies, to %s", configDir)
	return nil
}

// move plans to move a state directory. What the user who had it keeps open, or
// has other names for, must not be the new state: everything is written anew,
// and the old is removed when that is durable.
func (p *Plan) move(m machine, o Options) error {
	from, err := filepath.Abs(o.From)
	if err != nil {
		return err
	}
	_, err = os.Stat(filepath.Join(from, "sallyport.db"))
	switch gone := errors.Is(err, fs.ErrNotExist); {
	case err != nil && !gone:
		return err
	case gone && m.has(StateDir+"/sallyport.db"):
		p.add(true, nil, "move the state from %s to %s", from, StateDir)
		return nil
	case gone:
		return fmt.Errorf("there is no state in %s: name the directory in which \"sallyport up\" ran", from)
	case m.has(StateDir + "/sallyport.db"):
		return fmt.Errorf("there is a state in %s and one in %s, and two can't become one: see which is right, and move the other away", StateDir, from)
	case m.has(configFile):
		return fmt.Errorf("there is a configuration in %s already: move it away, and that of %s takes its place", configDir, from)
	}
	policies, err := p.belongs(from, o.Named)
	if err != nil {
		return err
	}
	p.Notes = append(p.Notes, fmt.Sprintf("Whoever could read %s may have kept log.key, secrets.json and tokens: give servers new secrets, and agents new tokens (sallyport agents rotate). tokens/ and import/ stay there for the clients that use them.", from))
	p.add(false, func() error { return m.carry(from, policies) },
		"move the state from %s to %s, and its configuration and policies to %s", from, StateDir, configDir)
	return nil
}

// belongs are the paths of the policies below a state directory. What the
// configuration names elsewhere, or besides, is a person's to move.
func (p *Plan) belongs(from string, named func(string) (policies, others []string, err error)) ([]string, error) {
	policies, others, err := named(filepath.Join(from, "sallyport.yaml"))
	if err != nil {
		return nil, fmt.Errorf("the configuration of %s can't be read: %w", from, err)
	}
	for i, path := range policies {
		below, err := filepath.Rel(from, path)
		if err != nil || !filepath.IsLocal(below) || below == "." {
			return nil, fmt.Errorf("the policy %s is not in a place of its own below %s: move it to %s yourself, and have the configuration name it there", path, from, configDir)
		}
		policies[i] = below
	}
	for _, path := range others {
		if below, err := filepath.Rel(from, path); err == nil && filepath.IsLocal(below) {
			return nil, fmt.Errorf("the configuration names %s, which would be in another place then: put it elsewhere, and name it by its absolute path", path)
		}
		if home(path) {
			p.Notes = append(p.Notes, fmt.Sprintf("The configuration names %s, and the service sees no homes: \"systemctl edit sallyport\" with [Service] BindPaths=%[1]s shows it this one, once the user %s may enter it.", path, account))
		}
	}
	return policies, nil
}

// home reports whether a path is where the service sees nothing: systemd.exec(5),
// ProtectHome.
func home(path string) bool {
	return slices.ContainsFunc([]string{"/home", "/root", "/run/user"}, func(dir string) bool {
		below, err := filepath.Rel(dir, path)
		return err == nil && filepath.IsLocal(below)
	})
}

// carry moves a state directory, with its configuration.
func (m machine) carry(from string, policies []string) error {
	found, err := m.account()
	if err != nil || found == nil {
		return errors.Join(errors.New("the user is gone"), err)
	}
	old, err := os.OpenRoot(from) // whose owner may put links where directories were
	if err != nil {
		return err
	}
	defer old.Close()
	if info, err := old.Lstat("lock"); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("the lock in %s is no file: see what it is, and remove it", from)
	}
	lock, err := old.OpenFile("lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("a gateway runs in %s: stop it first", from) // two would fork the log
	}
	state, config := m.at(StateDir)+".moving", m.at(configDir)+".moving"
	for _, half := range []string{state, config} {
		if err := errors.Join(os.RemoveAll(half), os.MkdirAll(filepath.Dir(half), 0o755), os.Mkdir(half, 0o700)); err != nil {
			return err
		}
	}
	belongsToConfig := func(name string) bool {
		for _, policy := range policies {
			if name == policy || strings.HasPrefix(name, policy+"/") {
				return true
			}
		}
		return name == "sallyport.yaml"
	}
	moved, err := copyAll(old, func(name string) string {
		if belongsToConfig(name) {
			return filepath.Join(config, name)
		}
		return filepath.Join(state, name)
	}, found)
	if err != nil {
		return errors.Join(err, os.RemoveAll(state), os.RemoveAll(config))
	}
	for half, whole := range map[string]string{state: m.at(StateDir), config: m.at(configDir)} {
		if err := os.Remove(whole); err != nil && !errors.Is(err, fs.ErrNotExist) { // it may be there, and empty
			return err
		}
		if err := os.Rename(half, whole); err != nil {
			return err
		}
	}
	for _, name := range moved {
		if err := old.RemoveAll(name); err != nil {
			return fmt.Errorf("everything is in %s, but %s could not be removed from %s, and may hold keys: remove it", StateDir, name, from)
		}
	}
	os.Remove(from) // unless something stays there
	return nil
}

// copyAll writes anew what is in a state directory, for another owner. It returns
// the names at the top.
func copyAll(old *os.Root, to func(name string) string, owner *ids) (top []string, err error) {
	info, err := old.Stat(".")
	if err != nil {
		return nil, err
	}
	before, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, errors.New("this system does not say whose a file is")
	}
	err = fs.WalkDir(old.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if !strings.Contains(name, "/") {
			if staysBehind[name] {
				if entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			top = append(top, name)
		}
		switch {
		case entry.IsDir():
			return errors.Join(os.MkdirAll(to(name), 0o700), os.Chown(to(name), owner.uid, owner.gid))
		case entry.Type() == fs.ModeSocket || name == "lock":
			return nil // nobody answers at the one, and nobody needs the other
		case entry.Type() != 0:
			return fmt.Errorf("%s is neither a file nor a directory: remove it if it does not belong there", name)
		}
		return copyFile(old, name, to(name), before.Uid, owner)
	})
	return top, err
}

// copyFile copies a file that is its directory's owner's, so that root copies for
// nobody what he could not read himself. What has become another kind of file since
// it was looked at is not waited for.
func copyFile(old *os.Root, name, to string, whose uint32, owner *ids) error {
	from, err := old.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.Mode().IsRegular() || stat.Uid != whose {
		return fmt.Errorf("%s is no file of the directory's owner: remove it if it does not belong there", name)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Chown(owner.uid, owner.gid), file.Sync(), file.Close())
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}
