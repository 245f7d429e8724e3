// Package install installs the built gateway as a service, under a systemd of its
// own, and attacks it as other users of that machine.
package install

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// computer is a booted system.
type computer struct {
	init int // its first process, as this machine knows it
}

// file is where one of its files is to be found from outside.
func (c *computer) file(path string) string {
	return filepath.Join("/proc", strconv.Itoa(c.init), "root", path)
}

// boot starts one, which ends with the test.
func boot(t *testing.T) *computer {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: it takes root to boot a systemd in namespaces")
	}
	for _, tool := range []string{"/lib/systemd/systemd", "unshare", "nsenter", "pivot_root", "setpriv", "useradd", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: %s is not here, so nothing is shown of an installed gateway", tool)
		}
	}
	gate := filepath.Join(t.TempDir(), "sallyport")
	if said, err := exec.Command("go", "build", "-o", gate, "sallyport/cmd/sallyport").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	before := groups()
	var said bytes.Buffer
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--cgroup", "--uts", "--ipc", "sh", "boot.sh", t.TempDir())
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Skipf("SKIPPED: no namespaces here: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		sweep(before)
	})
	for began := time.Now(); time.Since(began) < 60*time.Second; time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			t.Skipf("SKIPPED: no systemd can be booted here: %v\n%s", err, &said)
		default:
		}
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
		c := &computer{}
		if c.init, _ = strconv.Atoi(strings.TrimSpace(string(children))); c.init == 0 {
			continue
		}
		if _, err := c.as("root", "systemctl", "is-active", "test.target"); err == nil {
			text, err := os.ReadFile(gate)
			if err == nil {
				err = os.WriteFile(c.file("opt/sallyport"), text, 0o755)
			}
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
	}
	t.Fatalf("systemd has not come up:\n%s", &said)
	return nil
}

// groups are the control groups below this process's own.
func groups() (all []string) {
	own, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(own)) {
		path, unified := strings.CutPrefix(strings.TrimSpace(line), "0::")
		for _, at := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
			if _, err := os.Stat(at + "/cgroup.procs"); err != nil || !unified {
				continue
			}
			filepath.WalkDir(at+path, func(path string, entry os.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					all = append(all, path)
				}
				return nil
			})
		}
	}
	return all
}

// sweep removes the empty control groups that a killed systemd leaves.
func sweep(before []string) {
	for range 20 {
		left := slices.DeleteFunc(groups(), func(path string) bool { return slices.Contains(before, path) })
		if len(left) == 0 {
			return
		}
		for _, path := range slices.Backward(left) {
			syscall.Rmdir(path) // what is still in use, a moment later
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// as runs a command as a user of the computer, in the groups that it has now.
func (c *computer) as(user string, words ...string) (string, error) {
	if user != "root" {
		words = append([]string{"setpriv", "--reuid", user, "--regid", user, "--init-groups", "--"}, words...)
	}
	at := append([]string{"--target", strconv.Itoa(c.init), "--mount", "--pid", "--net", "--uts", "--ipc", "--root", "--wd", "env", "-i",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/home/" + user}, words...)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	said, err := exec.CommandContext(ctx, "nsenter", at...).CombinedOutput()
	return string(said), err
}

func (c *computer) must(t *testing.T, user string, words ...string) string {
	t.Helper()
	said, err := c.as(user, words...)
	if err != nil {
		t.Fatalf("%s: %q: %v\n%s", user, words, err, said)
	}
	return said
}

// cant has a user fail, for a reason.
func (c *computer) cant(t *testing.T, why, user string, words ...string) {
	t.Helper()
	if said, err := c.as(user, words...); err == nil || !strings.Contains(said, why) {
		t.Errorf("%s: %q: %v, want %q\n%s", user, words, err, why, said)
	}
}

const secret = "correct horse battery"

// enrolled installs a gateway, with dana who may look, and eve.
func enrolled(t *testing.T, install ...string) *computer {
	t.Helper()
	c := boot(t)
	for _, user := range []string{"dana", "eve"} {
		c.must(t, "root", "useradd", "--create-home", user)
	}
	if len(install) == 0 {
		install = []string{"/opt/sallyport", "install"}
	}
	t.Log(c.must(t, "root", install...))
	c.must(t, "root", "usermod", "--append", "--groups", "sallyport", "dana")
	return c
}

// An installed gateway serves agents of every user, and its state, policy,
// secrets and memory are out of their reach.
func TestOtherUsers(t *testing.T) {
	c := enrolled(t)
	c.cant(t, "the first is the human", "dana", "sh", "-c", "echo '"+secret+"' | sallyport enroll --secret-file -")
	c.must(t, "root", "sh", "-c", "echo '"+secret+"' | sallyport enroll --secret-file -")
	token := c.token(t)

	// The agent calls through the port, whoever it runs as.
	for _, user := range []string{"dana", "eve"} {
		if said := c.call(t, user, token, "desk__list_tickets", `{"tenant":"acme"}`); !strings.Contains(said, "ticket") {
			t.Errorf("%s: %s", user, said)
		}
	}
	held := c.call(t, "eve", token, "desk__issue_refund", `{"customer_id":"cus_1013","order_id":"ord_4037","amount":150,"currency":"EUR","reason":"goodwill"}`)
	if !strings.Contains(held, "Waiting for approval") {
		t.Fatalf("not held: %s", held)
	}

	pid := strings.TrimSpace(c.must(t, "root", "systemctl", "show", "--value", "--property", "MainPID", "sallyport"))
	for _, user := range []string{"dana", "eve"} {
		for _, words := range [][]string{
			{"ls", "/var/lib/sallyport"}, {"cat", "/var/lib/sallyport/sallyport.db"}, {"cat", "/var/lib/sallyport/log.key"},
			{"cat", "/proc/" + pid + "/environ"}, {"cat", "/proc/" + pid + "/maps"}, {"ls", "/proc/" + pid + "/fd/"}, {"head", "-c1", "/proc/" + pid + "/mem"},
			{"touch", "/etc/sallyport/policy/mine.cedar"}, {"touch", "/etc/sallyport/sallyport.yaml"}, {"touch", "/usr/local/bin/sallyport"},
			{"ls", "/var/cache/sallyport"},
		} {
			c.cant(t, "ermission denied", user, words...)
		}
		c.cant(t, "not permitted", user, "sh", "-c", "kill -9 "+pid)
		if _, err := exec.LookPath("strace"); err == nil {
			c.cant(t, "ptrace", user, "strace", "-p", pid)
		} else {
			t.Log("SKIPPED: strace is not here, so nobody has tried to trace the gateway")
		}
		c.cant(t, map[string]string{"dana": "secret", "eve": "none of your group's"}[user], user, "sh", "-c", "echo 'wrong secret, wrong secret' | sallyport --dir /var/lib/sallyport approvals approve "+c.waiting(t)+" --secret-file - --typed 150")
	}
	c.cant(t, "none of your group's", "eve", "sallyport", "doctor")
	c.cant(t, "none of your group's", "eve", "sallyport", "kill", "--all")
	c.cant(t, "sudo", "dana", "sallyport", "drain")
	c.cant(t, "sudo", "dana", "sallyport", "agents", "revoke", "support-bot")
	if said := c.must(t, "dana", "sallyport", "log", "query"); !strings.Contains(said, "issue_refund") {
		t.Errorf("dana can't look: %s", said)
	}
	doctor := c.must(t, "dana", "sallyport", "doctor")
	for _, wanted := range []string{"runs as a user of its own, sallyport", "dana may look at everything"} {
		if !strings.Contains(doctor, wanted) {
			t.Errorf("doctor does not say %q:\n%s", wanted, doctor)
		}
	}

	// A human answers, with the secret, as dana; and the call runs.
	id := c.waiting(t)
	time.Sleep(5 * time.Second) // after wrong secrets the next is looked at later
	c.must(t, "dana", "sh", "-c", "echo '"+secret+"' | sallyport approvals approve "+id+" --secret-file - --typed 150")
	if said := c.call(t, "eve", token, "desk__issue_refund", `{"customer_id":"cus_1013","order_id":"ord_4037","amount":150,"currency":"EUR","reason":"goodwill"}`); !strings.Contains(said, "150") || strings.Contains(said, "Waiting") {
		t.Errorf("not paid: %s", said)
	}
	if said := c.must(t, "root", "find", "/var/lib/sallyport", "-not", "-user", "sallyport", "-or", "-perm", "/077"); said != "" {
		t.Errorf("others own, or can use:\n%s", said)
	}

	// What the unit says is so, and leaves room for namespaces of servers.
	c.must(t, "root", "systemd-analyze", "verify", "--man=no", "/etc/systemd/system/sallyport.service")
	status := c.must(t, "root", "cat", "/proc/"+pid+"/status")
	for _, wanted := range []string{"NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "Seccomp:\t2"} {
		if !strings.Contains(status, wanted) {
			t.Errorf("%s is not so:\n%s", wanted, status)
		}
	}
	c.inside(t, "unshare --user --map-root-user --mount --pid --net --ipc --uts --fork --mount-proc "+
		"sh -c \"mount -t tmpfs tmpfs /mnt && ip link set lo up && test $$$$ = 1 && hostname sandbox\"")
	c.inside(t, "sh -c \"! touch /etc/sallyport/sallyport.yaml && ! touch /usr/local/bin/sallyport && touch /var/lib/sallyport/x && rm /var/lib/sallyport/x && test -z $(ls /home)\"")

	// Again it changes nothing, and away with it: the state stays.
	if said := c.must(t, "root", "sallyport", "install"); strings.Contains(said, "done") {
		t.Errorf("the second time something was to be done:\n%s", said)
	}
	if now := strings.TrimSpace(c.must(t, "root", "systemctl", "show", "--value", "--property", "MainPID", "sallyport")); now != pid {
		t.Errorf("the gateway was started anew: %s, before %s", now, pid)
	}
	c.must(t, "root", "sallyport", "uninstall")
	if said, err := c.as("root", "systemctl", "is-active", "sallyport"); err == nil {
		t.Errorf("still %s", said)
	}
	c.must(t, "root", "sallyport", "install")
	if said := c.must(t, "dana", "sallyport", "log", "query"); !strings.Contains(said, "issue_refund") {
		t.Errorf("the log is gone: %s", said)
	}
	c.must(t, "root", "sallyport", "uninstall", "--erase")
	for _, words := range [][]string{{"ls", "/var/lib/sallyport"}, {"ls", "/etc/sallyport"}, {"id", "sallyport"}, {"ls", "/etc/systemd/system/sallyport.service"}} {
		c.cant(t, "o such", "root", words...)
	}
}

// A gateway that ran as dana becomes one that runs by itself: what it knows comes
// along, and what dana had in hand is of no use any more.
func TestMove(t *testing.T) {
	c := boot(t)
	c.must(t, "root", "useradd", "--create-home", "dana")
	c.must(t, "root", "cp", "/opt/sallyport", "/usr/local/bin/sallyport")
	const old = "/home/dana/gate/.sallyport"
	c.must(t, "dana", "mkdir", "-p", filepath.Dir(old))
	c.must(t, "dana", "sh", "-c", "sallyport up --dir "+old+" --addr-file /home/dana/addr >/home/dana/said 2>&1 & for i in $(seq 100); do test -e /home/dana/addr && exit; sleep .1; done; exit 1")
	c.must(t, "dana", "sh", "-c", "echo '"+secret+"' | sallyport enroll --dir "+old+" --secret-file -")
	if said, err := c.as("root", "sallyport", "install", "--from", old); err == nil || !strings.Contains(said, "a gateway runs in "+old) {
		t.Fatalf("moved from under a gateway: %v\n%s", err, said)
	}
	c.must(t, "dana", "sallyport", "drain", "--dir", old)
	for range 100 {
		if _, err := c.as("dana", "flock", "--nonblock", old+"/lock", "true"); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.must(t, "dana", "mkdir", "-p", old+"/tokens")
	c.must(t, "dana", "sh", "-c", "echo sp_x > "+old+"/tokens/cursor")

	// What dana, or an agent of hers, has prepared for root to carry away.
	c.must(t, "dana", "ln", "-s", "/etc/shadow", old+"/shadow")
	if said, err := c.as("root", "sallyport", "install", "--from", old); err == nil {
		t.Fatalf("a link was followed:\n%s", said)
	}
	c.cant(t, "o such", "root", "ls", "/var/lib/sallyport/shadow")
	c.must(t, "dana", "rm", old+"/shadow")
	c.must(t, "dana", "ln", old+"/log.key", "/home/dana/key")
	c.must(t, "dana", "ln", old+"/sallyport.db", "/home/dana/db")

	t.Log(c.must(t, "root", "sallyport", "install", "--from", old))
	if said := c.must(t, "root", "find", old, "-type", "f"); said != old+"/tokens/cursor\n" {
		t.Errorf("left behind:\n%s", said)
	}
	c.must(t, "root", "usermod", "--append", "--groups", "sallyport", "dana")
	if said := c.must(t, "dana", "sallyport", "agents", "list", "-o", "json"); !strings.Contains(said, `"active"`) {
		t.Errorf("the agents are gone: %s", said)
	}
	c.must(t, "dana", "sh", "-c", "echo nonsense > /home/dana/db")
	c.must(t, "root", "sallyport", "log", "verify")
	if said := c.must(t, "dana", "sallyport", "policy", "status"); strings.Contains(said, "waits") {
		t.Errorf("the same files wait: %s", said)
	}
	c.must(t, "root", "systemctl", "stop", "sallyport")
	c.must(t, "root", "sallyport", "policy", "status") // of the files where they are now
	if said := c.must(t, "root", "find", "/var/lib/sallyport", "-not", "-user", "sallyport", "-or", "-perm", "/077"); said != "" {
		t.Errorf("others own, or can use:\n%s", said)
	}
	c.must(t, "root", "sallyport", "install", "--from", old) // again: it is moved
	if token := c.token(t); c.call(t, "dana", token, "desk__list_tickets", `{"tenant":"acme"}`) == "" {
		t.Error("no answer")
	}
}

// inside runs a command as the unit runs the gateway.
func (c *computer) inside(t *testing.T, command string) {
	t.Helper()
	unit := c.must(t, "root", "cat", "/etc/systemd/system/sallyport.service")
	for line := range strings.Lines(unit) {
		if strings.HasPrefix(line, "ExecStart=") {
			unit = strings.Replace(unit, line, "ExecStart="+command+"\n", 1)
		}
	}
	unit = strings.NewReplacer("Type=exec", "Type=oneshot", "Restart=on-failure", "Restart=no", "StandardOutput=null", "StandardOutput=file:/opt/said\nStandardError=file:/opt/said",
		"RuntimeDirectory=", "#", "CacheDirectory=", "#", "WorkingDirectory=", "#").Replace(unit)
	if err := os.WriteFile(c.file("etc/systemd/system/inside.service"), []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	c.must(t, "root", "systemctl", "daemon-reload")
	if _, err := c.as("root", "systemctl", "start", "inside"); err != nil {
		said, _ := c.as("root", "cat", "/opt/said")
		t.Errorf("as the unit says, %q fails: %s", command, said)
	}
}

// token is a new one of the starter's agent.
func (c *computer) token(t *testing.T) string {
	t.Helper()
	var token struct{ Token string }
	said := c.must(t, "root", "sh", "-c", "echo '"+secret+"' | sallyport agents rotate support-bot --secret-file - -o json")
	if err := json.Unmarshal([]byte(said), &token); err != nil || token.Token == "" {
		t.Fatalf("%v\n%s", err, said)
	}
	return token.Token
}

// waiting is the id of the question that waits.
func (c *computer) waiting(t *testing.T) string {
	t.Helper()
	var asked []struct{ ID string }
	said := c.must(t, "dana", "sallyport", "approvals", "list", "-o", "json")
	if err := json.Unmarshal([]byte(said), &asked); err != nil || len(asked) != 1 {
		t.Fatalf("%v\n%s", err, said)
	}
	return asked[0].ID
}

// call calls a tool as a user, through the stdio shim.
func (c *computer) call(t *testing.T, user, token, tool, args string) string {
	t.Helper()
	lines := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + args + `}}`
	script := "(printf '%s\n' '" + lines + "'; sleep 2) | SALLYPORT_TOKEN=" + token + " sallyport stdio --url http://127.0.0.1:7717/mcp"
	return c.must(t, user, "sh", "-c", script)
}
