package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Here is the state directory of the gateway that is installed on this machine,
// "" where none is.
func Here() string {
	if (machine{}).has(unitFile) {
		return StateDir
	}
	return ""
}

// BecomeOwner has root go on as the owner of a state directory: files of root's
// in there would be in the gateway's way. Anybody else stays who he is.
func BecomeOwner(dir string) error {
	info, err := os.Stat(dir)
	if os.Geteuid() != 0 || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	uid, gid := int(owner.Uid), int(owner.Gid)
	if err := errors.Join(syscall.Setgroups([]int{gid}), syscall.Setgid(gid), syscall.Setuid(uid)); err != nil {
		return fmt.Errorf("working as the owner of %s: %w", dir, err)
	}
	return nil
}

// rootless are groups whose members can be root without a password.
var rootless = []string{"docker", "lxd", "incus-admin", "disk"}

// Examine says whether a gateway runs where agents can't reach it, and what
// stays open. files are what it goes by besides its program.
func Examine(dir string, files []string, add func(bad bool, do, what string, args ...any)) {
	if program, err := os.Executable(); err == nil {
		files = append(files, program)
	}
	machine{}.examine(dir, files, add)
}

func (m machine) examine(dir string, files []string, add func(bad bool, do, what string, args ...any)) {
	owner, err := ownerOf(dir)
	if err != nil {
		add(true, "look at "+dir, "whose the state is can't be seen: %v", err)
		return
	}
	name, shell := m.known(owner)
	if owner == 0 || !strings.HasSuffix(shell, "/nologin") && !strings.HasSuffix(shell, "/false") {
		add(true, "sudo sallyport install --from "+dir, "the gateway runs as %s, not as a user of its own: an agent with a shell under that user can read its state and keys, change its policy and answer in your place", name)
		return
	}
	add(false, "", "the gateway runs as a user of its own, %s: agents of other users can't read its state", name)
	for _, file := range files {
		if by := m.changeable(file, owner); by != "" {
			add(true, "give it to root, and take the others' permission to write", "%s can be changed by %s, and the gateway goes by it", file, by)
		}
	}
	if group, err := m.entry("/etc/group", account); err == nil && len(group) == 4 && group[3] != "" {
		add(true, "see that no agent has a shell there, or gpasswd --delete NAME "+account, "%s may look at everything and kill, and so may agents with a shell under these names", strings.ReplaceAll(group[3], ",", ", "))
	}
	for _, group := range rootless {
		if members, err := m.entry("/etc/group", group); err == nil && len(members) == 4 && members[3] != "" {
			add(true, "gpasswd --delete NAME "+group, "%s can be root without a password, and so can agents with a shell under these names (group %s)", strings.ReplaceAll(members[3], ",", ", "), group)
		}
	}
}

// known is the name and the shell of a user.
func (m machine) known(uid int) (name, shell string) {
	text, err := os.ReadFile(m.at("/etc/passwd"))
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if fields := strings.Split(strings.TrimSpace(line), ":"); len(fields) == 7 && fields[2] == strconv.Itoa(uid) {
				return fields[0], fields[6]
			}
		}
	}
	return "user " + strconv.Itoa(uid), "" // of a directory service, or nobody's: taken for a person
}

func ownerOf(path string) (int, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, errors.New("this system does not say")
	}
	return int(owner.Uid), nil
}

// changeable says by whom a file, or the way to it, can be changed besides root
// and the gateway's user; "" by nobody.
func (m machine) changeable(path string, gateway int) string {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil {
			return "nobody knows whom: " + err.Error()
		}
		owner, ok := info.Sys().(*syscall.Stat_t)
		sticky := info.Mode()&fs.ModeSticky != 0
		switch {
		case !ok || !slices.Contains([]int{0, gateway}, int(owner.Uid)):
			return "whoever owns " + path
		case info.Mode().Perm()&0o002 != 0 && !sticky:
			return "everybody"
		case info.Mode().Perm()&0o020 != 0 && owner.Gid != 0 && !sticky && m.peopled(int(owner.Gid)):
			return "the group of " + path
		case path == "/":
			return ""
		}
	}
}

// peopled reports whether anybody is in a group.
func (m machine) peopled(gid int) bool {
	id := strconv.Itoa(gid)
	for path, is := range map[string]func(f []string) bool{
		"/etc/group":  func(f []string) bool { return len(f) == 4 && f[2] == id && f[3] != "" },
		"/etc/passwd": func(f []string) bool { return len(f) == 7 && f[3] == id },
	} {
		text, err := os.ReadFile(m.at(path))
		if err != nil {
			return true // nobody knows
		}
		for line := range strings.Lines(string(text)) {
			if is(strings.Split(strings.TrimSpace(line), ":")) {
				return true
			}
		}
	}
	return false
}
