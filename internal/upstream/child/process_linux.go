package child

import (
	"errors"
	"math"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// processGroup makes a child the leader of a group that can be killed as a
// whole, and has the kernel kill it when the gateway dies without a word.
func processGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// keepFiles keeps every file of ours from children but those that they are
// given. Go opens its own so; what the gateway was started with it may have
// inherited from anybody. A kernel before 5.11 can't, and leaves it at that.
func keepFiles() { _ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) }

// awaitExit returns when the process has ended, without reaping it: until it
// is reaped its group's id can't pass to somebody else.
func awaitExit(cmd *exec.Cmd) {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}
