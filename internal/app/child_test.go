package app

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/control"
	"sallyport/internal/kill"
)

// A server in a shell, with a child that does not listen to it.
const shellServer = `(trap '' TERM HUP INT; while :; do sleep 1; done) &
echo $! > grandchild
while read -r line; do
	id=$(printf %s "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
	case "$line" in
	*'"initialize"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}}' ;;
	*'"tools/list"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"tools":[{"name":"act","inputSchema":{"type":"object"}}]}}' ;;
	*'"id"'*) echo '{"jsonrpc":"2.0","id":'$id',"error":{"code":-32601,"message":"no"}}' ;;
	esac
done
`

// A kill of a server that runs as a child ends the child and what it has started,
// and none is started while it lasts.
func TestKillEndsTheServersProcesses(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"server.sh": shellServer, "p.cedar": "permit (principal, action, resource);", "sallyport.yaml": `listen: 127.0.0.1:0
policy: [p.cedar]
pin: trust-first-use
servers: {sh: {command: /bin/sh, args: [server.sh], cwd: ., effects: {"*": write}}}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := started(t, dir, filepath.Join(dir, "sallyport.yaml"))
	if err := a.Enroll(t.Context(), control.Enrolment{Secret: approver}); err != nil {
		t.Fatal(err)
	}
	grandchild := func() int {
		text, _ := os.ReadFile(filepath.Join(dir, "grandchild"))
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return pid
	}
	alive := func(pid int) bool { return pid > 0 && syscall.Kill(pid, 0) == nil }
	wait := func(what string, true func() bool) {
		t.Helper()
		for range 2000 {
			if true() {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("it did not come to it that %s", what)
	}
	wait("the server has a child", func() bool { return alive(grandchild()) && len(a.pins.All()) > 0 })
	first := grandchild()
	done := killed(t, a, kill.Server, "sh")
	wait("it is gone", func() bool { return !alive(first) })
	a.watch.Follow(t.Context(), "sh") // which would start it
	time.Sleep(200 * time.Millisecond)
	if again := grandchild(); again != first {
		t.Errorf("it is started while it is killed: %d", again)
	}
	if err := a.Halt().Resume(t.Context(), done.ID, approver); err != nil {
		t.Fatal(err)
	}
	wait("it is started again", func() bool { return alive(grandchild()) && grandchild() != first })
}
