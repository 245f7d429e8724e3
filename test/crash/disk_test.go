package crash

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/test/rig"
)

// TestDiskFull fills the disk under the state directory: calls are refused
// and never reach the server, the process stays up, and goes on when space
// returns.
func TestDiskFull(t *testing.T) {
	binary := build(t)
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	os.MkdirAll(state, 0o700)
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", state).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: a full disk needs a small tmpfs, and mounting one needs root: %v %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", state).Run() })
	effects := newEffects()
	url, stop := rig.Serve(effects)
	t.Cleanup(stop)
	configure(t, dir, url)
	g := launch(t, binary, dir)
	c := &caller{t: t, address: g.address(t)}
	c.waitForTool()

	if answer := c.call(); strings.Contains(answer, `"isError":true`) {
		t.Fatalf("with space a call is refused: %s", answer)
	}
	before := effects.count()

	// What is left of the 8 MiB fills up; the last pages go byte by byte.
	filler, err := os.Create(filepath.Join(state, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for size := 1 << 20; size > 0; size /= 2 {
		for _, err = filler.Write(make([]byte, size)); err == nil; _, err = filler.Write(make([]byte, size)) {
		}
	}
	filler.Close()

	// The log may still have room within pages it holds already, so the first
	// calls may pass; soon none does.
	refused := ""
	for range 2000 {
		if answer := c.call(); strings.Contains(answer, `"isError":true`) {
			refused = answer
			break
		}
	}
	if refused == "" {
		t.Fatal("2,000 calls passed on a full disk: nothing is shown")
	}
	if !strings.Contains(refused, "log") {
		t.Errorf("the refusal does not say that the log is why: %s", refused)
	}
	atRefusal := effects.count()
	if atRefusal < before {
		t.Fatal("effects are miscounted")
	}
	for range 20 {
		if answer := c.call(); !strings.Contains(answer, `"isError":true`) {
			t.Errorf("on a full disk a call passed: %s", answer)
		}
	}
	if effects.count() != atRefusal {
		t.Error("a refused call reached the server")
	}

	os.Remove(filepath.Join(state, "filler"))
	passed := false
	for range 50 {
		if passed = !strings.Contains(c.call(), `"isError":true`); passed {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if !passed {
		t.Error("space is back for 5 s, and calls are still refused")
	}
	if out := run(t, binary, dir, "log", "verify"); out == "" {
		t.Error("log verify says nothing")
	}
	recorded := map[string]bool{}
	for _, e := range query(t, binary, dir) {
		if e.Type == "intent" {
			recorded[e.Trace] = true
		}
	}
	for trace := range effects.all() {
		if !recorded[trace] {
			t.Errorf("the effect %s has no intent", trace)
		}
	}
}

// caller makes one call after the other.
type caller struct {
	t       *testing.T
	address string
	session string
	n       int
}

func (c *caller) post(body string) string {
	c.t.Helper()
	request, _ := http.NewRequest(http.MethodPost, "http://"+c.address+"/mcp/act", strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	if c.session != "" {
		request.Header.Set("Mcp-Session-Id", c.session)
		request.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	}
	response, err := (&http.Client{Timeout: 15 * time.Second}).Do(request)
	if err != nil {
		c.t.Fatalf("the gateway does not answer any more: %v", err)
	}
	defer response.Body.Close()
	if id := response.Header.Get("Mcp-Session-Id"); id != "" {
		c.session = id
	}
	answer, _ := io.ReadAll(response.Body)
	return string(answer)
}

func (c *caller) call() string {
	c.n++
	return c.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"_meta":{"traceparent":"00-%032x-00000000000000ff-01"},"name":"act","arguments":{"n":%d}}}`, c.n+10, c.n, c.n))
}

func (c *caller) waitForTool() {
	c.t.Helper()
	c.post(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"caller","version":"1"}}}`)
	c.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	for range 200 {
		answer := c.post(`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`)
		var list struct{ Result struct{ Tools []any } }
		if json.Unmarshal([]byte(answer), &list) == nil && len(list.Result.Tools) > 0 {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	c.t.Fatal("the tool was not listed within 5 s")
}
