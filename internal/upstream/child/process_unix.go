//go:build unix && !linux

package child

import (
	"os/exec"
	"syscall"
)

// processGroup makes a child the leader of a group that can be killed as a whole.
func processGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit returns when the process has ended. It reaps it: only Linux lets
// us wait without.
func awaitExit(cmd *exec.Cmd) { _ = cmd.Wait() }

// keepFiles does nothing: there is no call for it here.
func keepFiles() {}
