//go:build unix

// Package child runs a server's process and the process group that it leads,
// and leaves nothing of it behind.
package child

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"
)

// Command is what to run.
type Command struct {
	Path string
	Args []string
	Env  map[string]string // besides a few basic variables of ours
	Dir  string
	// Grace is how long the process has to end before each harder way of
	// telling it.
	Grace time.Duration
	Log   *slog.Logger // gets what it writes on standard error
}

// Child is a running process.
type Child struct {
	In  *os.File // its standard input
	Out *os.File // its standard output

	grace   time.Duration
	cmd     *exec.Cmd
	log     *os.File
	gone    chan struct{} // closed when the process has been reaped
	working sync.WaitGroup

	mu     sync.Mutex
	reaped bool // from then on the group's id may belong to somebody else
}

// basics are the only variables of the gateway's environment that a child
// gets: the rest holds secrets that are none of its business.
var basics = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"}

func environment(own map[string]string) []string {
	var env []string
	for _, name := range basics {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range own {
		env = append(env, name+"="+value) // of two with one name the last counts
	}
	return env
}

// Start starts a process. Stop must follow.
func Start(command Command) (*Child, error) {
	var files []*os.File
	opened := func() (r, w *os.File, err error) {
		if r, w, err = os.Pipe(); err == nil {
			files = append(files, r, w)
		}
		return r, w, err
	}
	theirIn, in, err1 := opened()
	out, theirOut, err2 := opened()
	log, theirLog, err3 := opened()
	if err := errors.Join(err1, err2, err3); err != nil {
		closeAll(files...)
		return nil, err
	}
	cmd := exec.Command(command.Path, command.Args...)
	cmd.Dir, cmd.Env = command.Dir, environment(command.Env)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirIn, theirOut, theirLog
	cmd.SysProcAttr = processGroup()
	c := &Child{In: in, Out: out, log: log, grace: command.Grace, cmd: cmd, gone: make(chan struct{})}
	started := make(chan error, 1)
	c.working.Go(func() { c.run(started) })
	err := <-started
	closeAll(theirIn, theirOut, theirLog)
	if err != nil {
		closeAll(in, out, log)
		return nil, err
	}
	c.working.Go(func() { c.logLines(&command) })
	return c, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// run starts the process and waits for its end, on one thread: Linux sends a
// child its death signal when the thread that started it ends, not only when
// the process does.
func (c *Child) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	keepFiles()
	err := c.cmd.Start()
	if errors.Is(err, exec.ErrNotFound) {
		err = fmt.Errorf("there is no program %s", c.cmd.Path)
	}
	started <- err
	if err != nil {
		return
	}
	awaitExit(c.cmd)
	c.mu.Lock()
	c.signal(syscall.SIGKILL) // whatever it started and left behind
	_ = c.cmd.Wait()          // how it ended is in its ProcessState
	c.reaped = true
	c.mu.Unlock()
	// Something that left the process group may hold the pipes open for ever.
	late := time.Now().Add(5 * time.Second)
	_ = c.Out.SetReadDeadline(late)
	_ = c.log.SetReadDeadline(late)
	close(c.gone)
}

// signal reaches the whole process group; c.mu is held.
func (c *Child) signal(s syscall.Signal) {
	if !c.reaped {
		_ = syscall.Kill(-c.cmd.Process.Pid, s)
	}
}

// Kill ends the process and its group at once. Stop must follow.
func (c *Child) Kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signal(syscall.SIGKILL)
}

// Stop asks the process to end by closing its input, as MCP wants it, and
// insists step by step. It returns when the process and all that it left
// behind in its group are gone.
func (c *Child) Stop() {
	_ = c.In.Close()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-c.gone:
		case <-time.After(c.grace):
			c.mu.Lock()
			c.signal(s)
			c.mu.Unlock()
		}
	}
	c.working.Wait()
}

// Ended says what it means that reading Out ended with err.
func (c *Child) Ended(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	select {
	case <-c.gone:
		return fmt.Errorf("its process ended (%s)", c.cmd.ProcessState)
	case <-time.After(100 * time.Millisecond):
		return errors.New("its process closed its output")
	}
}

const (
	logLinesPerSecond = 20
	logBurst          = 100
	logLineLength     = 4 << 10
)

// logLines passes standard error on to the log, without the secrets that the
// process was configured with and no faster than a log can bear.
func (c *Child) logLines(command *Command) {
	defer c.log.Close()
	var secrets []string
	for _, value := range command.Env {
		if len(value) >= 6 {
			secrets = append(secrets, value, "[redacted]")
		}
	}
	redact := strings.NewReplacer(secrets...)
	limit := rate.NewLimiter(logLinesPerSecond, logBurst)
	suppressed := 0
	in := bufio.NewReaderSize(c.log, logLineLength)
	for {
		line, err := in.ReadSlice('\n') // a longer line comes in parts
		text := strings.TrimRight(string(line), "\r\n")
		switch {
		case text == "":
		case !limit.Allow():
			suppressed++
		default:
			command.Log.Info("server said on standard error", "text", redact.Replace(text), "left_out_before", suppressed)
			suppressed = 0
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}
