package store

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"sallyport"
)

// writes are the system calls that change files. Of those on a descriptor only
// the ones on a file of the directory count.
var writes = map[int]bool{ // by descriptor
	unix.SYS_WRITE: true, unix.SYS_PWRITE64: true, unix.SYS_WRITEV: true, unix.SYS_PWRITEV: true,
	unix.SYS_FTRUNCATE: true, unix.SYS_FALLOCATE: true, unix.SYS_FSYNC: true, unix.SYS_FDATASYNC: true,
	unix.SYS_RENAME: false, unix.SYS_RENAMEAT: false, unix.SYS_RENAMEAT2: false,
	unix.SYS_UNLINK: false, unix.SYS_UNLINKAT: false, unix.SYS_MKDIR: false, unix.SYS_MKDIRAT: false,
}

// supervised runs in the child: it hands every call in writes to whoever is at
// the other end of descriptor 3, and then lives a short life of a gateway.
func supervised(dir string) {
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
	}
	for number := range maps.Keys(writes) {
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(number), Jt: 0, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	program = append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	runtime.LockOSThread() // the filter spreads from this thread to all
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	listener, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
		uintptr(unsafe.Pointer(&filter)))
	if errno != 0 {
		panic(errno)
	}
	if err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(int(listener)), nil, 0); err != nil {
		panic(err)
	}
	runtime.UnlockOSThread()
	if os.Getenv("SALLYPORT_TEST_LIFE") == "questions" {
		questions(dir)
		return
	}
	life(dir)
}

// life is a short life of a gateway: calls, some under way at a time, with two
// checkpoints and a change beside the log. It says on standard output what was
// durable and what was refused.
func life(dir string) {
	s, err := Open(dir, time.Now)
	if err != nil {
		fmt.Println("refused", err)
		return
	}
	for i := range 8 {
		asked := intent(fmt.Sprintf("c_%d_%d", os.Getpid(), i))
		if err := s.Commit(context.Background(), asked); err != nil {
			fmt.Println("refused", err)
			continue
		}
		fmt.Println("durable", asked.Entry.Call)
		if err := s.Append(context.Background(), outcome(asked)); err != nil {
			fmt.Println("refused", err)
		}
		switch i {
		case 2, 5:
			s.sequencer.advance(context.Background())
		case 3:
			if err := s.SaveCredential(context.Background(), "bot", []byte("hash")); err == nil {
				fmt.Println("saved")
			}
		}
	}
	s.Close()
}

// fault is what happens to the calls from the first on, counted from 1.
type fault struct {
	first int
	last  int           // 0 for never ending
	errno syscall.Errno // 0 for death
	only  string        // none but those on this file, or in this directory/; "" for all
}

func (f *fault) on(dir, name string) bool {
	inside := strings.HasSuffix(f.only, "/") && strings.Contains(name, f.only)
	return strings.HasPrefix(name, dir) && (inside || strings.HasSuffix(name, f.only))
}

// faulty runs a life under a fault and returns what it said, and how many calls
// there were.
func faulty(t *testing.T, dir string, f fault) (said []string, calls int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "theirs")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "SALLYPORT_TEST_FAULT="+dir)
	child.ExtraFiles = []*os.File{theirs}
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(pair[0], make([]byte, 1), rights, 0)
	unix.Close(pair[0])
	messages, errParse := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || errParse != nil || len(messages) != 1 {
		t.Fatalf("the child sent no listener: %v, %v", err, errParse)
	}
	listener, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	var count atomic.Int64
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		supervise(listener[0], child.Process, dir, f, &count)
	}()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said = append(said, lines.Text())
	}
	child.Wait()
	<-watched
	unix.Close(listener[0])
	return said, int(count.Load())
}

// supervise answers the child's calls until it is gone.
func supervise(listener int, child *os.Process, dir string, f fault, count *atomic.Int64) {
	for {
		// A child that is gone leaves a listener that hangs up.
		poll := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil || poll[0].Revents&unix.POLLIN == 0 {
			return
		}
		var asked [80]byte // struct seccomp_notif
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&asked))); errno != 0 {
			continue // the thread was killed meanwhile
		}
		thread := binary.NativeEndian.Uint32(asked[8:])
		number := int(int32(binary.NativeEndian.Uint32(asked[16:])))
		argument := binary.NativeEndian.Uint64(asked[32:])
		var answer [24]byte // struct seccomp_notif_resp
		copy(answer[:8], asked[:8])
		binary.NativeEndian.PutUint32(answer[20:], 1) // SECCOMP_USER_NOTIF_FLAG_CONTINUE
		name := dir
		if writes[number] {
			name, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", thread, argument))
		}
		if f.on(dir, name) {
			if at := int(count.Add(1)); at >= f.first && f.first > 0 && (f.last == 0 || at <= f.last) {
				if f.errno == 0 {
					child.Kill()
					continue
				}
				binary.NativeEndian.PutUint32(answer[16:], uint32(-int32(f.errno)))
				binary.NativeEndian.PutUint32(answer[20:], 0)
			}
		}
		unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&answer)))
	}
}

// judgeFaulty opens what a life left and holds it against what it said.
func judgeFaulty(t *testing.T, dir string, f fault, said []string) {
	t.Helper()
	s, err := Open(dir, time.Now)
	if err != nil {
		t.Fatalf("%+v: it does not open again: %v\n%s", f, err, strings.Join(said, "\n"))
	}
	defer s.Close()
	outcomes := map[string]int{}
	for e, err := range s.Entries(t.Context(), 0, 1<<53) {
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		if e.Type == sallyport.Closed {
			outcomes[e.Call]++
		}
	}
	for _, line := range said {
		switch word, call, _ := strings.Cut(line, " "); {
		case word == "durable" && outcomes[call] != 1:
			t.Errorf("%+v: %s was durable and has %d outcomes", f, call, outcomes[call])
		case word == "saved":
			if credentials, err := s.Credentials(t.Context()); err != nil || credentials["bot"] == nil {
				t.Errorf("%+v: the credential is gone (%v)", f, err)
			}
		}
	}
	if r := verified(t, s); !r.OK() || len(r.Open) != 0 {
		t.Errorf("%+v: %s", f, r)
	}
	if damaged, err := s.CheckTiles(t.Context()); err != nil || len(damaged) > 0 {
		t.Errorf("%+v: %v, %v", f, damaged, err)
	}
}

// lived is a directory that a killed gateway left behind: a call under way,
// and some that no checkpoint covers.
func lived(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	calls(t, s, 300) // more than a tile
	if err := s.sequencer.advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.sequencer.pass.Lock()
	defer s.sequencer.pass.Unlock()
	commit(t, s, intent("c_under_way"))
	call(t, s, "c_unsigned")
	commit(t, s, intent("c_unsigned_2"))
	killed := t.TempDir()
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return killed
}

func copied(t *testing.T, of string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.CopyFS(dir, os.DirFS(of))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// step is by how many writes the points of TestFaultAtEveryWrite lie apart.
// SALLYPORT_FAULT_STEP=1 looks at each.
func step(t *testing.T) int {
	if n, err := strconv.Atoi(os.Getenv("SALLYPORT_FAULT_STEP")); err == nil {
		return n
	}
	if testing.Short() {
		return 29
	}
	return 7
}

// TestFaultAtEveryWrite kills a gateway before a write, a sync or a rename, or
// lets it fail once, for points all over its start, its life and its end: in a
// new directory and in one with a past. Whatever it said was durable is there,
// every intent has one outcome, and the log verifies.
func TestFaultAtEveryWrite(t *testing.T) {
	for name, past := range map[string]string{"new": t.TempDir(), "lived": lived(t)} {
		_, all := faulty(t, copied(t, past), fault{})
		if all < 40 {
			t.Fatalf("%d writes in a life: they are not seen", all)
		}
		t.Logf("%s: %d writes", name, all)
		for how, errno := range map[string]syscall.Errno{"dies": 0, "EIO": unix.EIO, "ENOSPC": unix.ENOSPC} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				for at := 1 + int(time.Now().UnixNano())%step(t); at <= all; at += step(t) {
					dir, f := copied(t, past), fault{first: at, last: at, errno: errno}
					said, _ := faulty(t, dir, f)
					judgeFaulty(t, dir, f, said)
				}
			})
		}
	}
}

// A log whose syncs fail takes nothing more: what is not on the disk is not
// called durable.
func TestFailedSyncRefuses(t *testing.T) {
	past := lived(t)
	for _, only := range []string{"sallyport.db-wal", "sallyport.db"} {
		dir := copied(t, past)
		_, all := faulty(t, copied(t, past), fault{only: only})
		for _, first := range []int{all / 3, all / 2} {
			f := fault{first: max(1, first), errno: unix.EIO, only: only}
			said, _ := faulty(t, dir, f)
			refused := false
			for _, line := range said {
				switch {
				case strings.HasPrefix(line, "refused"):
					refused = true
				case refused:
					t.Errorf("%+v: after a refusal: %s", f, line)
				}
			}
			if !refused && only == "sallyport.db-wal" {
				t.Errorf("%+v: nothing was refused:\n%s", f, strings.Join(said, "\n"))
			}
			judgeFaulty(t, dir, f, said)
		}
	}
}

// Whichever part of the directory has no space for a while: calls are refused
// where they could not be recorded, and go on when it is back. Tiles and
// checkpoints can wait.
func TestNoSpaceForAPart(t *testing.T) {
	past := lived(t)
	for only, refuses := range map[string]bool{"sallyport.db-wal": true, "payloads/": true, "log/tile/": false, "log/": false} {
		_, all := faulty(t, copied(t, past), fault{only: only})
		dir, f := copied(t, past), fault{first: all / 2, last: all/2 + 3, errno: unix.ENOSPC, only: only}
		said, _ := faulty(t, dir, f)
		refused := slices.IndexFunc(said, func(line string) bool { return strings.HasPrefix(line, "refused") })
		switch {
		case refuses && refused < 0:
			t.Errorf("%+v: nothing was refused", f)
		case refuses && !slices.ContainsFunc(said[refused:], func(line string) bool { return strings.HasPrefix(line, "durable") }):
			t.Errorf("%+v: it does not go on: %q", f, said)
		case !refuses && refused >= 0:
			t.Errorf("%+v: %s", f, said[refused])
		}
		judgeFaulty(t, dir, f, said)
	}
}

// A new name is on the disk when its directory is: a log whose key had been
// lost with the power could never go on.
func TestNamesAreDurable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, syncs := faulty(t, dir, fault{only: "/state/log"}); syncs < 3 {
		t.Errorf("%d syncs of the directory log in a life with three checkpoints", syncs)
	}
}
