package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sallyport/test/rig"
)

// peers are the server, the baseline proxy and the gateway, each a process.
type peers struct {
	ways      []way
	processes []*exec.Cmd
	dir       string
}

// way is one way to the server.
type way struct {
	name   string
	url    string
	pid    int // of the process in the middle, 0 when there is none
	limits int
	grants *granter // nil where nobody is asked
}

func start(binary string, limits int) (_ *peers, err error) {
	r := &peers{}
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	if r.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	server, through := freeAddress(), freeAddress()
	if _, err = r.run(exec.Command(self, "-role", "server", "-address", server)); err != nil {
		return nil, err
	}
	proxyPID, err := r.run(exec.Command(self, "-role", "proxy", "-address", through, "-target", "http://"+server))
	if err != nil {
		return nil, err
	}
	r.ways = []way{
		{name: "direct", url: "http://" + server + "/mcp"},
		{name: "proxy", url: "http://" + through + "/mcp", pid: proxyPID},
		{name: "sallyport"},
	}
	if limits > 0 {
		r.ways = append(r.ways, way{name: "limited", limits: limits}, way{name: "granted", limits: limits, grants: &granter{binary: binary}})
	}
	for i := range r.ways {
		w := &r.ways[i]
		if w.url == "" {
			if err = r.gateway(binary, "http://"+server+"/mcp", w); err != nil {
				return nil, err
			}
		}
		if err = waitFor(w.url); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *peers) run(command *exec.Cmd) (pid int, err error) {
	if command.Stderr == nil {
		command.Stderr = os.Stderr
	}
	if err := command.Start(); err != nil {
		return 0, err
	}
	r.processes = append(r.processes, command)
	return command.Process.Pid, nil
}

// gateway starts Sallyport with everything on: 50 policies, strict parsing,
// pins, the durable log; and the limits of the way, which all calls are within,
// with ten rules that ask, and people to answer them.
func (r *peers) gateway(binary, server string, w *way) error {
	dir := filepath.Join(r.dir, w.name)
	policies := `@id("bench") permit(principal in Role::"tester", action in Action::"server:bench", resource);` + "\n"
	for i := range 49 {
		policies += fmt.Sprintf("@id(\"other-%d\") forbid(principal in Role::\"tester\", action == Action::\"bench/tool:other_%d\", resource) when { context.input has amount && context.input.amount > %d };\n", i, i, i*10)
	}
	config := fmt.Sprintf(`
listen: 127.0.0.1:0
policy: [policy]
pin: trust-first-use
servers:
  bench: {url: %q, effects: {"*": read}}
roles: [tester]
tenants: [acme]
users: {ana: {tenant: acme}, operator: {groups: [people]}}
agents: {tester: {role: tester, for: ana, tenant: acme}}
listeners: [{address: "127.0.0.1:0", agent: tester}]
`, server)
	if w.limits > 0 {
		policies += asking
		config += "limits:\n"
	}
	if w.grants != nil {
		policies += "@id(\"each\") @ask(\"people\") forbid(principal in Role::\"tester\", action in Action::\"server:bench\", resource);\n"
		w.grants.dir = dir
	}
	for i := range w.limits {
		config += fmt.Sprintf("  calls-%d: {unit: calls, cap: 1000000000, window: %s, per: [user, agent]}\n", i, []string{"day Europe/Berlin", "sliding 1m"}[i%2])
	}
	addresses := filepath.Join(dir, "addresses.json")
	for name, text := range map[string]string{"sallyport.yaml": config, "policy/bench.cedar": policies} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			return err
		}
	}
	command := exec.Command(binary, "up", "--config", filepath.Join(dir, "sallyport.yaml"),
		"--dir", filepath.Join(dir, "state"), "--addr-file", addresses)
	said, err := os.Create(filepath.Join(dir, "gateway.log"))
	if err != nil {
		return err
	}
	defer said.Close()
	command.Stdout, command.Stderr = said, said
	if w.pid, err = r.run(command); err != nil {
		return err
	}
	for range 200 {
		var at struct {
			Listeners map[string]string `json:"listeners"`
		}
		if text, err := os.ReadFile(addresses); err == nil && json.Unmarshal(text, &at) == nil && at.Listeners["tester"] != "" {
			w.url = "http://" + at.Listeners["tester"] + "/mcp/bench"
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("the gateway did not say where it listens within 10 s")
}

func (r *peers) stop() {
	for _, p := range r.processes {
		p.Process.Kill()
		p.Wait()
	}
	os.RemoveAll(r.dir)
}

func freeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// waitFor waits until the echo tool is listed: the gateway pins in the
// background.
func waitFor(url string) error {
	var last error
	for range 200 {
		s, err := rig.Open(url)
		if err == nil {
			var body []byte
			if body, err = s.Post(`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`); err == nil && bytes.Contains(body, []byte(`"echo"`)) {
				return nil
			}
			err = fmt.Errorf("tools/list answered %.200s", body)
		}
		last = err
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("%s is not ready after 10 s: %w", url, last)
}

// take runs one round of a load on one way.
func take(w way, l load) (figure, error) {
	sessions := make([]*rig.Session, l.Sessions)
	for i := range sessions {
		s, err := rig.Open(w.url)
		if err != nil {
			return figure{}, err
		}
		defer s.Close()
		sessions[i] = s
	}
	each := l.Calls / l.Sessions
	if w.grants != nil {
		if err := w.grants.make(sessions[0], l, each*l.Sessions); err != nil {
			return figure{}, err
		}
	}
	times := make([][]time.Duration, l.Sessions)
	errs := make([]error, l.Sessions)
	before := cpu(w.pid)
	started := time.Now()
	var wait sync.WaitGroup
	for i, s := range sessions {
		wait.Go(func() { times[i], errs[i] = calls(s, each, l) })
	}
	wait.Wait()
	took := time.Since(started)
	used := cpu(w.pid) - before
	if err := errors.Join(errs...); err != nil {
		return figure{}, err
	}
	all := slices.Concat(times...)
	slices.Sort(all)
	return figure{
		P50: all[len(all)/2], P99: all[len(all)*99/100],
		CallsPerS:   float64(len(all)) / took.Seconds(),
		CPUPerCall:  used / time.Duration(len(all)),
		ResidentKiB: resident(w.pid),
	}, nil
}

func call(id int, tool, args string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, id, tool, args)
}

func calls(s *rig.Session, n int, l load) ([]time.Duration, error) {
	times := make([]time.Duration, 0, n)
	for i := range n {
		body := call(i+10, l.Tool, l.Args)
		at := time.Now()
		answer, err := s.Post(body)
		times = append(times, time.Since(at))
		if err != nil {
			return nil, err
		}
		if !bytes.Contains(answer, []byte(`"content"`)) || bytes.Contains(answer, []byte(`"isError":true`)) {
			return nil, fmt.Errorf("call answered %.300s", answer)
		}
	}
	return times, nil
}

// cpu is the user and system time that a process has used (proc(5): fields 14
// and 15 of stat, in ticks of 10 ms).
func cpu(pid int) time.Duration {
	if pid == 0 {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// resident is the resident set of a process in KiB.
func resident(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kib
		}
	}
	return 0
}
