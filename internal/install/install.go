// Package install makes the gateway a service that runs as a user of its own, so
// that agents with a shell can't read its state, change its policy or answer in
// a person's place.
package install

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Where a gateway is that runs as a user of its own.
const (
	StateDir = "/var/lib/sallyport" // which that user alone may enter
	// ViewSocket is for people of its group, who may enter no more than this
	// socket's directory.
	ViewSocket = "/run/sallyport/control.sock"
)

// What else is where, below the root.
const (
	account    = "sallyport" // the user, and its group
	program    = "/usr/local/bin/sallyport"
	unitFile   = "/etc/systemd/system/sallyport.service"
	enabled    = "/etc/systemd/system/multi-user.target.wants/sallyport.service"
	cacheDir   = "/var/cache/sallyport"
	configDir  = "/etc/sallyport"
	configFile = configDir + "/sallyport.yaml"
)

//go:embed sallyport.service
var unit []byte

// declaration is of the user and its group (sysusers.d(5)).
const declaration = `u sallyport - "Sallyport gateway" /var/lib/sallyport /usr/sbin/nologin`

// comesUp is how long a started service may take until it answers.
const comesUp = 20 * time.Second

// Options say what is installed where.
type Options struct {
	Root    string // a directory that holds a system which does not run, such as an image; "" for this one
	From    string // the state directory of a gateway that ran as a user; "" for a new one
	Program string // the file that this process runs from
	Starter fs.FS  // the configuration of a new gateway
	// Named are the files and directories that a configuration names besides
	// the state: policies, and others.
	Named func(config string) (policies, others []string, err error)
	Up    func() bool // whether the installed gateway answers
}

// Step is one thing to be done.
type Step struct {
	What string `json:"what"`
	Text string `json:"text,omitempty"` // of a file that is written
	Done bool   `json:"done"`           // before, or by now

	do func() error
}

// Plan is how to get from what is there to what is wanted.
type Plan struct {
	Steps []*Step  `json:"steps"`
	Notes []string `json:"notes"` // what a person should know
}

// Carry carries out what is not done yet, and stops at the first failure.
func (p *Plan) Carry() error {
	for _, s := range p.Steps {
		if s.Done {
			continue
		}
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.What, err)
		}
		s.Done = true
	}
	return nil
}

func (p *Plan) add(done bool, do func() error, what string, args ...any) *Step {
	s := &Step{What: fmt.Sprintf(what, args...), Done: done, do: do}
	p.Steps = append(p.Steps, s)
	return s
}

// machine is the system that is changed.
type machine struct{ root string }

func (m machine) at(path string) string { return filepath.Join("/", m.root, path) }

func (m machine) has(path string) bool {
	_, err := os.Lstat(m.at(path))
	return err == nil
}

// on is the system below a root, or an error where nothing can be installed.
func on(root string) (machine, error) {
	m := machine{}
	if root != "" {
		absolute, err := filepath.Abs(root)
		if err != nil {
			return m, err
		}
		m.root = strings.TrimSuffix(absolute, "/")
	}
	return m, m.suits()
}

func (m machine) suits() error {
	if runtime.GOOS != "linux" {
		return errors.New("this sets up a systemd service, on Linux; elsewhere make a user for the gateway yourself, and have your system start \"sallyport up --dir DIR\" as that user (on macOS a LaunchDaemon with UserName)")
	}
	if m.root == "" && !m.has("/run/systemd/system") {
		return errors.New("this machine is not run by systemd, so there is no service to set up: make a user for the gateway, have whatever runs this machine start \"sallyport up --dir DIR\" as that user, or prepare an image of another machine with --root")
	}
	if _, err := exec.LookPath("systemd-sysusers"); err != nil {
		return errors.New("systemd-sysusers is missing, which makes the user: it is part of systemd")
	}
	return nil
}

// ErrNotRoot says that only a dry run is possible.
var ErrNotRoot = errors.New("this changes the system, and takes root: the same again with sudo, or with --dry-run to see what would be done")

// New plans an installation. Nothing is changed before Carry.
func New(o Options) (*Plan, error) {
	m, err := on(o.Root)
	if err != nil {
		return nil, err
	}
	p := &Plan{Notes: []string{}}
	fresh := p.program(m, o.Program)
	if err := p.user(m); err != nil {
		return nil, err
	}
	if err := p.state(m, o); err != nil {
		return nil, err
	}
	p.settle(m)
	changed := p.file(m, unitFile, unit)
	p.start(m, fresh || changed, o.Up)
	return p, nil
}

// program puts the program where only root can change it. It reports whether
// that is to be done.
func (p *Plan) program(m machine, from string) bool {
	same := sameText(from, m.at(program)) && rootOnly(m.at(program))
	p.add(same, func() error {
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return m.write(program, text, 0o755)
	}, "copy this program to %s", program)
	return !same
}

func sameText(a, b string) bool {
	x, err := os.ReadFile(a)
	if err != nil {
		return false
	}
	y, err := os.ReadFile(b)
	return err == nil && bytes.Equal(x, y)
}

// rootOnly reports whether nobody but root can change a file.
func rootOnly(path string) bool {
	info, err := os.Lstat(path)
	if err != nil {
		return false
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && owner.Uid == 0 && info.Mode().IsRegular() && info.Mode().Perm()&0o022 == 0
}

// file writes a file of ours. It reports whether that is to be done.
func (p *Plan) file(m machine, path string, text []byte) bool {
	old, err := os.ReadFile(m.at(path))
	same := err == nil && bytes.Equal(old, text) && rootOnly(m.at(path))
	s := p.add(same, func() error { return m.write(path, text, 0o644) }, "write %s", path)
	s.Text = string(text)
	return !same
}

// write replaces a file by one of root's.
func (m machine) write(path string, text []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(m.at(path)), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(m.at(path)), ".sallyport-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // unless it has its name
	_, err = file.Write(text)
	if err := errors.Join(err, file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), m.at(path))
}

// user makes the system user and its group. One that is there already must be
// no person's.
func (p *Plan) user(m machine) error {
	found, err := m.account()
	if err != nil {
		return err
	}
	p.add(found != nil, func() error {
		if err := m.run("systemd-sysusers", "--root="+m.at("/"), "--inline", declaration); err != nil {
			return err
		}
		found, err := m.account()
		if err == nil && found == nil {
			err = errors.New("systemd-sysusers has made no user")
		}
		return err
	}, "make the system user and group %s, without a shell (systemd-sysusers)", account)
	return nil
}

// ids are a user's, and its group's.
type ids struct{ uid, gid int }

// account is the gateway's user, nil while there is none.
func (m machine) account() (*ids, error) {
	fields, err := m.entry("/etc/passwd", account)
	if fields == nil || err != nil {
		return nil, err
	}
	group, err := m.entry("/etc/group", account)
	if err != nil {
		return nil, err
	}
	var found ids
	var shell string
	if len(fields) == 7 && len(group) >= 3 {
		found.uid, found.gid, shell = number(fields[2]), number(fields[3]), fields[6]
	}
	switch {
	case found.uid <= 0 || found.uid >= 1000 || !strings.HasSuffix(shell, "/nologin") && !strings.HasSuffix(shell, "/false"):
		return nil, fmt.Errorf("there is a user %s already, and it is no system user without a shell: rename or remove it first", account)
	case number(group[2]) != found.gid || found.gid <= 0:
		return nil, fmt.Errorf("the user %s is there already, in a group that is not its own: remove it first", account)
	}
	return &found, nil
}

// entry is the line of a name in a file such as passwd, nil where there is none.
func (m machine) entry(path, name string) ([]string, error) {
	text, err := os.ReadFile(m.at(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); fields[0] == name {
			return fields, nil
		}
	}
	return nil, err
}

// settle gives everything its owner and mode, whatever it had.
func (p *Plan) settle(m machine) {
	right := func() bool {
		found, err := m.account()
		return err == nil && found != nil && m.settled(found)
	}
	p.add(right(), func() error {
		found, err := m.account()
		if err != nil || found == nil {
			return errors.Join(errors.New("the user is gone"), err)
		}
		return m.each(found, func(path string, mode fs.FileMode, uid, gid int) error {
			return errors.Join(os.Lchown(path, uid, gid), os.Chmod(path, mode))
		})
	}, "let %s alone enter %s (0700), and read but not change %s (0750, root's)", account, StateDir, configDir)
}

func (m machine) settled(found *ids) bool {
	return m.each(found, func(path string, mode fs.FileMode, uid, gid int) error {
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); !ok || info.Mode().Perm() != mode || int(owner.Uid) != uid || int(owner.Gid) != gid {
			return errors.New("otherwise")
		}
		return nil
	}) == nil
}

// each visits what has an owner and a mode of its own.
func (m machine) each(found *ids, visit func(path string, mode fs.FileMode, uid, gid int) error) error {
	if err := visit(m.at(StateDir), 0o700, found.uid, found.gid); err != nil {
		return err
	}
	return filepath.WalkDir(m.at(configDir), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return visit(path, 0o750, 0, found.gid)
		case entry.Type().IsRegular():
			return visit(path, 0o640, 0, found.gid)
		}
		return fmt.Errorf("%s is neither a file nor a directory: whoever owns what it leads to could change the policy", path)
	})
}

// start has the service run now and from each start of the machine on. again
// means that what it runs has changed.
func (p *Plan) start(m machine, again bool, up func() bool) {
	if m.root != "" {
		p.add(m.has(enabled), func() error { return m.run("systemctl", "--root="+m.at("/"), "enable", account) },
			"have it start with the machine (systemctl enable)")
		return
	}
	runs := !again && m.run("systemctl", "is-enabled", "--quiet", account) == nil && m.run("systemctl", "is-active", "--quiet", account) == nil
	p.add(runs, func() error {
		for _, words := range [][]string{{"daemon-reload"}, {"enable", account}, {"restart", account}} {
			if err := m.run("systemctl", words...); err != nil {
				return err
			}
		}
		return await(up)
	}, "have it start now, and with the machine (systemctl enable, restart)")
}

// await waits until the gateway answers.
func await(up func() bool) error {
	for began := time.Now(); time.Since(began) < comesUp; time.Sleep(50 * time.Millisecond) {
		if up() {
			return nil
		}
	}
	return errors.New("it does not come up; it says why: journalctl --unit sallyport --lines 20")
}

// run runs a tool of the system. What it says is told when it fails.
func (m machine) run(name string, args ...string) error {
	said, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(said))
	}
	return nil
}
