package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
)

var starter = fstest.MapFS{
	"sallyport.yaml":      {Data: []byte("listen: 127.0.0.1:0\n")},
	"policy/first.cedar":  {Data: []byte("// none\n")},
	"policy/x.test.yaml":  {Data: []byte("suite: x\n")},
	"policy/deep/d.cedar": {Data: []byte("// none\n")},
}

// image is a directory to install in.
func image(t *testing.T) Options {
	t.Helper()
	if _, err := exec.LookPath("systemd-sysusers"); err != nil || os.Getuid() != 0 {
		t.Skip("SKIPPED: it takes root and systemd-sysusers to make users in an image")
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Options{Root: root, Program: program0(t), Starter: starter, Named: func(config string) (policies, others []string, err error) {
		return []string{filepath.Join(filepath.Dir(config), "policy")}, nil, nil
	}}
}

func program0(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "sallyport")
	if err := os.WriteFile(path, []byte("#!/bin/true\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func carried(t *testing.T, o Options) *Plan {
	t.Helper()
	p, err := New(o)
	if err == nil {
		err = p.Carry()
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// looks is what is below a root, with owners and modes.
func looks(t *testing.T, root string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := os.Lstat(path)
		if err == nil {
			owner := info.Sys().(*syscall.Stat_t)
			all = append(all, fmt.Sprintf("%s %v %v %d", strings.TrimPrefix(path, root), info.Mode(), owner.Uid != 0, owner.Size))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// An installation has every file as it should be, and the second changes nothing;
// what somebody has loosened since is put right again.
func TestInstall(t *testing.T) {
	o := image(t)
	carried(t, o)
	before := looks(t, o.Root)
	for _, wanted := range []string{
		"/var/lib/sallyport drwx------ true", "/etc/sallyport drwxr-x--- false", "/etc/sallyport/sallyport.yaml -rw-r----- false",
		"/etc/sallyport/policy/deep drwxr-x--- false", "/usr/local/bin/sallyport -rwxr-xr-x false", "/etc/systemd/system/sallyport.service -rw-r--r-- false", enabled + " L",
	} {
		if !slices.ContainsFunc(before, func(line string) bool { return strings.HasPrefix(line, wanted) }) {
			t.Errorf("not so: %s\n%s", wanted, strings.Join(before, "\n"))
		}
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Steps {
		if !s.Done {
			t.Errorf("again: %s", s.What)
		}
	}
	for path, mode := range map[string]os.FileMode{"/etc/sallyport/policy/first.cedar": 0o666, StateDir: 0o755, program: 0o777, unitFile: 0o666} {
		if err := os.Chmod(o.Root+path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(o.Root+"/etc/sallyport/policy", 12345, -1); err != nil {
		t.Fatal(err)
	}
	carried(t, o)
	if after := looks(t, o.Root); !slices.Equal(before, after) {
		t.Errorf("%s\nand then\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if err := os.Symlink(o.Program, o.Root+"/etc/sallyport/policy/more.cedar"); err != nil {
		t.Fatal(err)
	}
	if p, err = New(o); err != nil || p.Carry() == nil {
		t.Errorf("a policy that somebody else owns is let be: %v", err)
	}
}

// A plan alone changes nothing.
func TestDryRun(t *testing.T) {
	o := image(t)
	before := looks(t, o.Root)
	if _, err := New(o); err != nil {
		t.Fatal(err)
	}
	if after := looks(t, o.Root); !slices.Equal(before, after) {
		t.Errorf("%v", after)
	}
}

// A person's account, or one that others are in with a group of theirs, is not
// taken for the gateway's.
func TestForeignAccount(t *testing.T) {
	for name, files := range map[string][2]string{
		"a person":         {"sallyport:x:1001:1001::/home/sallyport:/usr/sbin/nologin", "sallyport:x:1001:"},
		"one with a shell": {"sallyport:x:900:900::/home/sallyport:/bin/bash", "sallyport:x:900:"},
		"root":             {"sallyport:x:0:0::/:/usr/sbin/nologin", "sallyport:x:0:"},
		"another group":    {"sallyport:x:900:100::/:/usr/sbin/nologin", "sallyport:x:900:"},
		"damaged":          {"sallyport:x", "sallyport:x:900:"},
	} {
		o := image(t)
		if err := errors.Join(os.WriteFile(o.Root+"/etc/passwd", []byte(files[0]+"\n"), 0o644), os.WriteFile(o.Root+"/etc/group", []byte(files[1]+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
		if _, err := New(o); err == nil {
			t.Errorf("%s is taken for the gateway's user", name)
		}
	}
}

// old is a state directory of a user, 4711.
func old(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "gate")
	for name, text := range map[string]string{
		"sallyport.yaml": "listen: 127.0.0.1:0\n", "policy/p.cedar": "// p\n", "sallyport.db": "db", "log.key": "key", "payloads/a/1": "x", "tokens/t": "sp_", "import/i": "i",
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, 4711, 4711))
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A state is moved: written anew for its new owner, and gone where it was.
func TestMove(t *testing.T) {
	o := image(t)
	o.From = old(t)
	kept, err := os.Open(filepath.Join(o.From, "log.key")) // by the user who had it
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	carried(t, o)
	for path, owned := range map[string]bool{StateDir + "/log.key": true, StateDir + "/payloads/a/1": true, StateDir + "/payloads/a": true, configDir + "/sallyport.yaml": false, configDir + "/policy/p.cedar": false} {
		info, err := os.Lstat(o.Root + path)
		if err != nil {
			t.Error(err)
			continue
		}
		if stat := info.Sys().(*syscall.Stat_t); (stat.Uid != 0) != owned || stat.Uid == 4711 || info.Mode().Perm()&0o007 != 0 {
			t.Errorf("%s: %v of %d", path, info.Mode(), stat.Uid)
		}
	}
	before, _ := kept.Stat()
	if after, err := os.Stat(o.Root + StateDir + "/log.key"); err != nil || os.SameFile(before, after) {
		t.Errorf("what was open before is the new key, %v", err)
	}
	if got := strings.Join(looks(t, o.From), "\n"); strings.Contains(got, "log.key") || strings.Contains(got, "sallyport.db") || !strings.Contains(got, "tokens/t") || !strings.Contains(got, "import/i") {
		t.Errorf("left:\n%s", got)
	}
	carried(t, o) // it is moved
	if o.From = old(t); true {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), "two can't become one") {
			t.Errorf("a second state: %v", err)
		}
	}
}

// Root carries nothing away that the state's owner could not have read, and
// nothing from under a gateway; then everything stays as it was.
func TestMoveIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"a link": {func(dir string) error { return os.Symlink("/etc/shadow", dir+"/payloads/s") }, "payloads/s"},
		"a link for a directory": {func(dir string) error {
			return errors.Join(os.RemoveAll(dir+"/payloads"), os.Symlink("/etc", dir+"/payloads"))
		}, "payloads"},
		"a link within":  {func(dir string) error { return os.Symlink("../log.key", dir+"/payloads/s") }, "payloads/s"},
		"a lock within":  {func(dir string) error { return os.Symlink("log.key", dir+"/lock") }, "lock"},
		"another's file": {func(dir string) error { return os.WriteFile(dir+"/payloads/s", nil, 0o600) }, "no file of the directory's owner"},
		"a pipe": {func(dir string) error {
			return errors.Join(syscall.Mkfifo(dir+"/p", 0o600), os.Chown(dir+"/p", 4711, 4711))
		}, "neither a file nor a directory"},
		"a link for the lock": {func(dir string) error { return os.Symlink("/etc/passwd", dir+"/lock") }, "lock"},
	} {
		o := image(t)
		o.From = old(t)
		if err := c.spoil(o.From); err != nil {
			t.Fatal(err)
		}
		before := looks(t, o.From)
		p, err := New(o)
		if err == nil {
			err = p.Carry()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		after := slices.DeleteFunc(looks(t, o.From), func(line string) bool { return strings.HasPrefix(line, "/lock -") })
		if !slices.Equal(before, after) {
			t.Errorf("%s: something is gone:\n%s", name, strings.Join(after, "\n"))
		}
		if _, err := os.Stat(o.Root + StateDir); err == nil {
			t.Errorf("%s: half a state is there", name)
		}
	}
	o := image(t)
	o.From = old(t)
	lock, err := os.Create(o.From + "/lock")
	if err != nil || syscall.Flock(int(lock.Fd()), syscall.LOCK_EX) != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if p, err := New(o); err != nil || !strings.Contains(fmt.Sprint(p.Carry()), "a gateway runs in") {
		t.Errorf("moved from under a gateway: %v", err)
	}
}

// What a configuration names elsewhere is a person's to move.
func TestWhatIsNamed(t *testing.T) {
	for _, c := range []struct {
		policies, others []string
		want, note       string
	}{
		{[]string{"/s/policy"}, []string{"/usr/bin/npx"}, "", ""},
		{[]string{"/home/dana/git/policy"}, nil, "not in a place of its own", ""},
		{[]string{"/s"}, nil, "not in a place of its own", ""},
		{[]string{"/s/policy"}, []string{"/s/tls.key"}, "would be in another place", ""},
		{[]string{"/s/policy"}, []string{"/home/dana/project"}, "", "BindPaths=/home/dana/project"},
	} {
		p := &Plan{}
		_, err := p.belongs("/s", func(string) ([]string, []string, error) { return c.policies, c.others, nil })
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || !strings.Contains(strings.Join(p.Notes, "\n"), c.note) {
			t.Errorf("%+v: %v, %q", c, err, p.Notes)
		}
	}
}

// Doctor says who can change what the gateway goes by, and who may be root.
func TestExamine(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: it takes root to give files to others")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	m := machine{root}
	dir, file := filepath.Join(root, "state"), filepath.Join(root, "policy")
	err := errors.Join(os.Mkdir(filepath.Join(root, "etc"), 0o755), os.Mkdir(dir, 0o700), os.WriteFile(file, nil, 0o644),
		os.WriteFile(m.at("/etc/passwd"), []byte("sallyport:x:900:900::/:/usr/sbin/nologin\ndana:x:1000:1000::/:/bin/sh\n"), 0o644),
		os.WriteFile(m.at("/etc/group"), []byte("sallyport:x:900:dana\ndocker:x:901:dana,eve\nempty:x:902:\nfull:x:903:eve\n"), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	said := func(what string, owner int, change func() error, want, not string) {
		t.Helper()
		if err := errors.Join(os.Chown(dir, owner, -1), change()); err != nil {
			t.Fatal(err)
		}
		var all []string
		m.examine(dir, []string{file}, func(bad bool, _, what string, args ...any) {
			all = append(all, fmt.Sprint(bad, " ")+fmt.Sprintf(what, args...))
		})
		text := strings.Join(all, "\n")
		if !strings.Contains(text, want) || not != "" && strings.Contains(text, not) {
			t.Errorf("%s: want %q\n%s", what, want, text)
		}
	}
	as := func(uid, gid int, mode os.FileMode) func() error {
		return func() error { return errors.Join(os.Chown(file, uid, gid), os.Chmod(file, mode)) }
	}
	said("a person's", 1000, as(0, 0, 0o644), "true the gateway runs as dana", "of its own, sallyport")
	said("nobody's", 5000, as(0, 0, 0o644), "true the gateway runs as user 5000", "")
	said("root's", 0, as(0, 0, 0o644), "true the gateway runs as ", "")
	said("its own", 900, as(0, 0, 0o644), "false the gateway runs as a user of its own, sallyport", "can be changed")
	said("a group", 900, as(0, 0, 0o644), "dana may look at everything", "")
	said("docker", 900, as(0, 0, 0o644), "dana, eve can be root without a password", "")
	said("another's file", 900, as(1000, 0, 0o644), "can be changed by whoever owns", "")
	said("everybody's file", 900, as(0, 0, 0o646), "can be changed by everybody", "")
	said("a group's file", 900, as(0, 903, 0o664), "can be changed by the group", "")
	said("an empty group's file", 900, as(0, 902, 0o664), "of its own", "can be changed")
	said("a file on the way of others", 900, func() error { return errors.Join(as(0, 0, 0o644)(), os.Chmod(root, 0o777)) }, "can be changed by everybody", "")
}
