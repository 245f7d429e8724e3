//go:build unix

package upstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"
)

// basics are the only variables of the gateway's environment that a child
// gets: the rest holds secrets that are none of its business.
var basics = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"}

func childEnv(own map[string]string) []string {
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

// child is a server process and the process group that it leads.
type child struct {
	pipe
	v    *conversation
	cmd  *exec.Cmd
	out  *os.File
	log  *os.File
	gone chan struct{} // closed when the leader has been reaped

	reading sync.WaitGroup // of out and log

	mu     sync.Mutex
	reaped bool // from then on the group's id may belong to somebody else
}

// startChild starts the configured command.
func (v *conversation) startChild() error {
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
		closeFiles(files)
		return err
	}
	config := &v.server.config
	cmd := exec.Command(config.Command, config.Args...)
	cmd.Dir, cmd.Env = config.Dir, childEnv(config.Env)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirIn, theirOut, theirLog
	cmd.SysProcAttr = processGroup()
	c := &child{pipe: newPipe(in), v: v, cmd: cmd, out: out, log: log, gone: make(chan struct{})}
	v.peer, v.shared = &stream{c, v}, true

	c.reading.Add(2)
	started := make(chan error, 1)
	if !v.background(func() { c.live(started) }) {
		closeFiles(files)
		return errClosed
	}
	err := <-started
	closeFiles([]*os.File{theirIn, theirOut, theirLog})
	if err != nil {
		closeFiles([]*os.File{in, out, log})
		return fmt.Errorf("can't be started: %w", err)
	}
	v.background(c.listen)
	v.background(c.logLines)
	return nil
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// live starts the child, waits for its end and clears up behind it.
func (c *child) live(started chan<- error) {
	if err := c.run(started); err != nil {
		return
	}
	close(c.gone)
	read := make(chan struct{})
	go func() { c.reading.Wait(); close(read) }()
	select {
	case <-read:
	case <-time.After(time.Second):
		// Something that left the process group still holds the pipes.
		_ = c.out.SetReadDeadline(time.Now())
		_ = c.log.SetReadDeadline(time.Now())
		<-read
	}
}

// run stays on one thread: Linux sends a child its death signal when the
// thread that started it ends, not only when the process does.
func (c *child) run(started chan<- error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	started <- err
	if err != nil {
		return err
	}
	awaitExit(c.cmd)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signal(syscall.SIGKILL) // whatever it started and left behind
	_ = c.cmd.Wait()          // how it ended is in its ProcessState
	c.reaped = true
	return nil
}

// listen reads what the child says until its output ends.
func (c *child) listen() {
	err := c.v.takeLines(c.out)
	_ = c.out.Close()
	c.reading.Done()
	select {
	case <-c.gone:
		c.v.broke(fmt.Errorf("its process ended (%s)", c.cmd.ProcessState))
	case <-time.After(100 * time.Millisecond):
		if errors.Is(err, io.EOF) {
			err = errors.New("its process closed its output")
		}
		c.v.broke(err)
	}
}

// signal reaches the whole process group; c.mu is held.
func (c *child) signal(s syscall.Signal) {
	if !c.reaped {
		_ = syscall.Kill(-c.cmd.Process.Pid, s)
	}
}

// close asks the child to end by closing its input, as MCP wants it, and
// insists step by step.
func (c *child) close() {
	_ = c.to.Close()
	grace := c.v.server.owner.grace
	insist := func() {
		for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			select {
			case <-c.gone:
				return
			case <-time.After(grace):
			}
			c.mu.Lock()
			c.signal(s)
			c.mu.Unlock()
		}
		<-c.gone
	}
	if !c.v.background(insist) {
		c.mu.Lock()
		c.signal(syscall.SIGKILL)
		c.mu.Unlock()
	}
}

const (
	logLinesPerSecond = 20
	logBurst          = 100
	logLineLength     = 4 << 10
)

// logLines passes a child's standard error on to the log, without the secrets
// that it was configured with and no faster than a log can bear.
func (c *child) logLines() {
	defer c.reading.Done()
	defer c.log.Close()
	server := c.v.server
	var secrets []string
	for _, value := range server.config.Env {
		if len(value) >= 6 {
			secrets = append(secrets, value, "[redacted]")
		}
	}
	redact := strings.NewReplacer(secrets...)
	limit := rate.NewLimiter(logLinesPerSecond, logBurst)
	log := server.owner.options.Log.With("server", server.config.Name)
	suppressed := 0
	in := bufio.NewReaderSize(c.log, logLineLength)
	for {
		line, err := in.ReadSlice('\n') // a longer line comes in parts
		if text := strings.TrimRight(string(line), "\r\n"); text != "" {
			if limit.Allow() {
				log.Info("server said on standard error", "text", redact.Replace(text))
			} else {
				suppressed++
			}
		}
		if suppressed > 0 && limit.Tokens() > logBurst/2 {
			log.Warn("left out lines that a server wrote on standard error", "lines", suppressed)
			suppressed = 0
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}
