package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/kill"
	"sallyport/internal/wire"
)

// childLog names the file to which a child writes what it was asked.
const childLog = "UPSTREAM_TEST_LOG"

// beChild is the test binary as a server on its standard input and output.
func beChild(mode string) {
	log := &seen{file: os.Getenv(childLog)}
	switch mode {
	case "old", "new":
		revisions := newRevisions
		if mode == "old" {
			revisions = oldRevisions
		}
		_ = newPeer(revisions, log).Run(context.Background(), &mcp.StdioTransport{})
	case "sleeper": // a grandchild
		time.Sleep(time.Minute)
	default:
		beRough(mode, log)
	}
}

// beRough is a server of the session era, written by hand to misbehave.
func beRough(mode string, log *seen) {
	if mode == "dies at start" {
		fmt.Fprintln(os.Stderr, "cannot find the sprocket")
		os.Exit(3)
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		m, err := wire.Parse([]byte(in.Text()))
		if err != nil {
			continue
		}
		log.note(m.Method, strconv.Itoa(os.Getpid()), string(m.Params.Raw()), nil)
		if m.ID.Type() == sallyport.Absent {
			continue
		}
		id := string(m.ID.Raw())
		say := func(result string) { fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", id, result) }
		switch m.Method {
		case "initialize":
			say(`{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"rough","version":"0"}}`)
		case "tools/call":
			roughCall(mode, m, say)
		default:
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}`+"\n", id)
		}
	}
	if mode == "ignores everything" {
		signal.Ignore(syscall.SIGTERM)
		time.Sleep(time.Minute)
	}
}

func roughCall(mode string, m wire.Message, say func(string)) {
	name, _ := m.Params.Get("name").Text()
	switch name {
	case "environment":
		say(`{"content":[{"type":"text","text":` + strconv.Quote(strings.Join(os.Environ(), "|")) + `}]}`)
	case "where":
		dir, _ := os.Getwd()
		say(`{"content":[{"type":"text","text":` + strconv.Quote(dir) + `}]}`)
	case "die":
		os.Exit(7)
	case "answer and die":
		say(`{"content":[{"type":"text","text":"last words"}]}`)
		os.Exit(0)
	case "have a child":
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{childMode + "=sleeper"}
		cmd.Stdout = os.Stdout // which keeps the pipe open
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		say(fmt.Sprintf(`{"content":[{"type":"text","text":"%d"}]}`, cmd.Process.Pid))
	case "chatter":
		fmt.Println("Server is listening, hooray")
		fmt.Println()
		for i := range 300 {
			fmt.Fprintf(os.Stderr, "line %d with s3cret-value\n", i)
		}
		say(`{"content":[{"type":"text","text":"chattered"}]}`)
	case "malformed":
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[],"content":[]}}`+"\n", m.ID.Raw())
	case "unsolicited":
		fmt.Println(`{"jsonrpc":"2.0","id":424242,"result":{}}`)
		fmt.Println(`{"jsonrpc":"2.0","id":"x","result":{}}`)
		say(`{"content":[{"type":"text","text":"right"}]}`)
		say(`{"content":[{"type":"text","text":"twice"}]}`)
	case "endless":
		fmt.Print(`{"jsonrpc":"2.0","method":"`)
		for {
			if _, err := fmt.Print(strings.Repeat("x", 1<<16)); err != nil {
				os.Exit(1)
			}
		}
	default:
		say(`{"content":[{"type":"text","text":"` + name + `"}]}`)
	}
}

var rough = agent{revision: wire.Revision20251125, session: "s1", user: "ann"}

func newRough(t *testing.T, mode string) (*hall, *seen) {
	log := &seen{file: filepath.Join(t.TempDir(), "seen")}
	server := childServer(mode)
	server.Env[childLog] = log.file
	server.Env["PASSWORD"] = "s3cret-value"
	server.Dir = t.TempDir()
	server.Limits = Limits{Result: 1 << 20, Start: 20 * time.Second}
	return newHall(t, server), log
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestChildDiesUnderACall(t *testing.T) {
	t.Parallel()
	h, log := newRough(t, "rough")
	if got := rough.tool(t, h, "hello", `{}`, nil); got != "hello" {
		t.Fatalf("got %q", got)
	}
	_, err := rough.execute(t.Context(), h, "tools/call", `{"name":"die"}`, nil)
	if !errors.Is(err, gateway.ErrUnanswered) || !strings.Contains(err.Error(), "exit status 7") {
		t.Fatalf("error: %v", err)
	}
	if n := log.count("tools/call"); n != 2 {
		t.Errorf("the call was sent %d times", n-1)
	}
	if got := rough.tool(t, h, "again", `{}`, nil); got != "again" {
		t.Errorf("after the crash: %q", got)
	}
	if got := rough.tool(t, h, "answer and die", `{}`, nil); got != "last words" {
		t.Errorf("an answer before the end: %q", got)
	}
}

func TestChildThatKeepsDyingIsPutOff(t *testing.T) {
	t.Parallel()
	h, _ := newRough(t, "dies at start")
	var err error
	for range 8 {
		if _, err = rough.execute(t.Context(), h, "tools/call", `{"name":"x"}`, nil); err == nil {
			t.Fatal("it answered")
		}
		if strings.Contains(err.Error(), "keeps failing") {
			break
		}
	}
	if !strings.Contains(err.Error(), "keeps failing") {
		t.Errorf("never put off: %v", err)
	}
	if strings.Contains(err.Error(), "sprocket") {
		t.Error("what a server writes on standard error reached the agent")
	}
	if !strings.Contains(h.logs.String(), "sprocket") {
		t.Error("what it wrote on standard error is not in the log")
	}
}

func TestCommandThatIsNotThere(t *testing.T) {
	h := newHall(t, Server{Command: "/nonexistent/server"})
	if _, err := rough.execute(t.Context(), h, "tools/call", `{"name":"x"}`, nil); err == nil || errors.Is(err, gateway.ErrUnanswered) {
		t.Errorf("error: %v", err)
	}
}

func TestNoOrphans(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"rough", "ignores everything"} {
		h, log := newRough(t, mode)
		grandchild, err := strconv.Atoi(rough.tool(t, h, "have a child", `{}`, nil))
		if err != nil {
			t.Fatal(err)
		}
		child, _ := strconv.Atoi(log.last("tools/call").Session)
		if !alive(child) || !alive(grandchild) {
			t.Fatal("not even there")
		}
		h.Close()
		if alive(child) {
			t.Errorf("%q: the child was left behind", mode)
		}
		// It is killed by now, but somebody else has to reap it.
		eventually(t, "the grandchild was left behind", func() bool { return !alive(grandchild) })
	}
}

// A kill of the server leaves nothing of it, at once and however it takes
// signals, and lets it begin again only when it is lifted. Kills of others, and a
// pause, leave it alone.
func TestKillEndsTheProcessGroup(t *testing.T) {
	t.Parallel()
	h, log := newRough(t, "ignores everything")
	h.grace = time.Minute
	began := func() (child, grandchild int) {
		grandchild, _ = strconv.Atoi(rough.tool(t, h, "have a child", `{}`, nil))
		child, _ = strconv.Atoi(log.last("tools/call").Session)
		return child, grandchild
	}
	child, grandchild := began()
	if !alive(child) || !alive(grandchild) {
		t.Fatal("not even there")
	}
	h.kills.Stop(kill.Order{ID: "k_0", Pause: true, Scope: kill.Scope{Kind: kill.All}})
	h.kills.Stop(kill.Order{ID: "k_1", Scope: kill.Scope{Kind: kill.Server, Name: "other"}})
	if again, _ := began(); again != child {
		t.Errorf("after a pause and the kill of another it is %d, not %d", again, child)
	}
	h.kills.Stop(kill.Order{ID: "k_2", Scope: kill.Scope{Kind: kill.Server, Name: "peer"}, Reason: "it phones home"})
	eventually(t, "the child lives on", func() bool { return !alive(child) })
	eventually(t, "the grandchild lives on", func() bool { return !alive(grandchild) })
	starts := log.count("initialize")
	_, err := rough.execute(t.Context(), h, "tools/call", `{"name":"x"}`, nil)
	if err == nil || !strings.Contains(err.Error(), "killed by the operator: it phones home") || log.count("initialize") != starts {
		t.Errorf("while it is killed: %v, and it was started %d times more", err, log.count("initialize")-starts)
	}
	h.kills.Resume("k_2")
	if again, _ := began(); again == child || !alive(again) {
		t.Errorf("after it was resumed it is %d", again)
	}
	h.kills.Stop(kill.Order{ID: "k_3", Scope: kill.Scope{Kind: kill.All}})
}

func TestCrashLeavesNoGrandchild(t *testing.T) {
	t.Parallel()
	h, _ := newRough(t, "rough")
	grandchild, _ := strconv.Atoi(rough.tool(t, h, "have a child", `{}`, nil))
	_, _ = rough.execute(t.Context(), h, "tools/call", `{"name":"die"}`, nil)
	eventually(t, "the grandchild lives on", func() bool { return !alive(grandchild) })
}

func TestChildEnvironmentIsClean(t *testing.T) {
	t.Setenv("GATEWAY_SECRET", "never")
	h, log := newRough(t, "rough")
	got := rough.tool(t, h, "environment", `{}`, nil)
	if strings.Contains(got, "GATEWAY_SECRET") || !strings.Contains(got, "PASSWORD=s3cret-value") || !strings.Contains(got, "PATH=") {
		t.Errorf("environment: %s", got)
	}
	if got := rough.tool(t, h, "where", `{}`, nil); got != h.servers["peer"].config.Dir {
		t.Errorf("runs in %s", got)
	}
	if log.count("server/discover") != 1 {
		t.Errorf("asked: %s", log.methods())
	}
}

func TestChildStandardErrorIsLogged(t *testing.T) {
	t.Parallel()
	h, _ := newRough(t, "rough")
	if got := rough.tool(t, h, "chatter", `{}`, nil); got != "chattered" {
		t.Fatalf("noise on standard output: %q", got)
	}
	h.Close()
	logs := h.logs.String()
	if strings.Contains(logs, "s3cret-value") {
		t.Error("a configured secret is in the log")
	}
	if n := strings.Count(logs, "[redacted]"); n < 50 || n > 200 {
		t.Errorf("%d of 300 lines logged", n)
	}
}

func TestChildThatSpeaksBadly(t *testing.T) {
	t.Parallel()
	h, log := newRough(t, "rough")
	for _, c := range []struct{ name, want string }{
		{"malformed", "malformed"}, {"endless", "over the size limit"},
	} {
		_, err := rough.execute(t.Context(), h, "tools/call", `{"name":"`+c.name+`"}`, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, gateway.ErrUnanswered) {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := rough.tool(t, h, "well", `{}`, nil); got != "well" {
			t.Errorf("after %s: %q", c.name, got)
		}
	}
	before := h.Dropped()
	if got := rough.tool(t, h, "unsolicited", `{}`, nil); got != "right" {
		t.Errorf("got %q", got)
	}
	eventually(t, "what nobody asked for was not counted", func() bool { return h.Dropped() == before+3 })
	if n := log.count("initialize"); n != 2 {
		t.Errorf("%d children: a malformed message must not cost the child, an endless one must", n)
	}
}
