package hostile

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// endless writes a start and then the same piece until nobody reads any more.
func endless(w http.ResponseWriter, r *http.Request, start, piece string) {
	_, _ = io.WriteString(w, start)
	for r.Context().Err() == nil {
		if _, err := io.WriteString(w, piece); err != nil {
			return
		}
	}
}

// TestServersThatMeanHarm: each answer is a clear error in bounded memory, and
// other servers and agents are served meanwhile and afterwards.
func TestServersThatMeanHarm(t *testing.T) {
	type answer = func(w http.ResponseWriter, r *http.Request, id string)
	json := func(format string) answer {
		return func(w http.ResponseWriter, _ *http.Request, id string) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, strings.ReplaceAll(format, "ID", id))
		}
	}
	stream := func(start, piece string) answer {
		return func(w http.ResponseWriter, r *http.Request, id string) {
			w.Header().Set("Content-Type", "text/event-stream")
			endless(w, r, start, piece)
		}
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	fmt.Fprint(z, `{"jsonrpc":"2.0","id":1,"result":{"x":"`)
	for range 64 {
		z.Write(bytes.Repeat([]byte("x"), 1<<20))
	}
	z.Close()
	// What is said of each is in the error that the agent hears.
	tricks := map[string]struct {
		answer
		heard string
	}{
		"truncated":        {json(`{"jsonrpc":"2.0","id":ID,"result":{"content":[`), "malformed"},
		"wrong_id":         {json(`{"jsonrpc":"2.0","id":99,"result":{"content":[]}}`), "another call"},
		"result_and_error": {json(`{"jsonrpc":"2.0","id":ID,"result":{"content":[]},"error":{"code":1,"message":"x"}}`), "malformed"},
		"neither":          {json(`{"jsonrpc":"2.0","id":ID}`), "malformed"},
		"duplicate_keys":   {json(`{"jsonrpc":"2.0","id":ID,"result":{"isError":true,"isError":false}}`), "malformed"},
		"million_values":   {json(`{"jsonrpc":"2.0","id":ID,"result":{"x":[` + strings.Repeat("0,", 1<<20) + `0]}}`), "malformed"},
		"empty":            {json(``), "malformed"},
		"html":             {func(w http.ResponseWriter, _ *http.Request, _ string) { fmt.Fprint(w, "<h1>hello</h1>") }, "JSON"},
		"status":           {func(w http.ResponseWriter, _ *http.Request, _ string) { http.Error(w, "hunter2", 500) }, "HTTP 500"},
		"hangs_up":         {func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) }, "EOF"},
		"endless_json": {func(w http.ResponseWriter, r *http.Request, id string) {
			w.Header().Set("Content-Type", "application/json")
			endless(w, r, `{"jsonrpc":"2.0","id":`+id+`,"result":{"x":"`, strings.Repeat("x", 1<<16))
		}, "size limit"},
		"endless_line":       {stream("data: ", strings.Repeat("x", 1<<16)), "size limit"},
		"endless_event":      {stream("", strings.Repeat("data: "+strings.Repeat("x", 1000)+"\n", 64)), "size limit"},
		"endless_empty_data": {stream("", strings.Repeat("data:\n", 1<<12)), "size limit"},
		"gzip_bomb": {func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb.Bytes())
		}, "malformed"},
		"header_flood": {func(w http.ResponseWriter, _ *http.Request, _ string) {
			for i := range 5000 {
				w.Header().Set("X-"+strconv.Itoa(i), strings.Repeat("x", 100))
			}
		}, "header"},
		"announces_too_much": {func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "10000000000")
		}, "size limit"},
	}
	up := newServer(t)
	for name, trick := range tricks {
		up.on(name, trick.answer)
	}
	hung := make(chan struct{})
	silent := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-hung:
		}
	})
	defer close(hung)
	g := start(t, up.as("foe")+", "+newServer(t).as("pay")+`, silent: {url: "`+serve(t, silent)+`", `+effects+`}`,
		policy+`permit(principal, action in Action::"server:foe", resource);`, "foe", "pay")
	bob := g.connect("bob", "/mcp/pay")
	go (&agent{g: g, token: g.tokens["ana"], path: "/mcp/silent"}).send(request{body: hello})
	for name, trick := range tricks {
		t.Run(name, func(t *testing.T) {
			ana := g.connect("ana", "/mcp/foe")
			g.bounded(name, 160, func() {
				heard := ana.tool(name, `{}`)
				if !strings.Contains(heard, `"error"`) || !strings.Contains(heard, trick.heard) || strings.Contains(heard, "hunter2") {
					t.Errorf("heard %.400s", heard)
				}
			})
			if got := ana.tool("get_balance", `{}`); !strings.Contains(got, "12.50") {
				t.Errorf("the next call: %.300s", got)
			}
			bob.served("meanwhile")
		})
	}
	g.bounded("8 endless answers at once", 400, func() {
		many(8, 8, func(i int) { g.connect("ana", "/mcp/foe").tool([]string{"endless_line", "endless_json"}[i%2], `{}`) })
	})
	bob.served("at the end")
}

// TestChildrenThatMeanHarm is the same of servers on standard input and output.
func TestChildrenThatMeanHarm(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := func(name string) string {
		return name + `: {command: "` + self + `", env: {` + childMode + `: "` + name + `", SECRET: "of-` + name + `-alone"}, ` + effects + `}`
	}
	tricks := map[string]string{ // what is heard of each
		"endless_line": "size limit", "endless_errors": "quiet", "closes_input": "closed", "dies": "exit status 7", "malformed": "malformed", "blank_lines": "patient",
	}
	servers, names := child("foe")+", "+child("friend")+", "+newServer(t).as("pay"), []string{"foe", "friend", "pay"}
	for tool := range tricks { // a server for each, since one that keeps dying is put off
		name := strings.ReplaceAll(tool, "_", "-")
		servers, names = servers+", "+child(name), append(names, name)
	}
	g := start(t, servers, policy+`permit(principal, action, resource) unless { resource == Server::"pay" };`, names...)
	bob := g.connect("bob", "/mcp/pay")
	for tool, heard := range tricks {
		t.Run(tool, func(t *testing.T) {
			ana := g.connect("ana", "/mcp/"+strings.ReplaceAll(tool, "_", "-"))
			said := len(g.output.String())
			g.bounded(tool, 160, func() {
				if got := ana.tool(tool, `{}`); !strings.Contains(got, heard) {
					t.Errorf("heard %.400s", got)
				}
			})
			if n := len(g.output.String()) - said; n > 256<<10 {
				t.Errorf("%d bytes of output", n)
			}
			if got := ana.tool("get_balance", `{}`); !strings.Contains(got, "12.50") {
				t.Errorf("the next call: %.300s", got)
			}
			bob.served("meanwhile")
		})
	}
	ana := g.connect("ana", "/mcp/foe")
	t.Run("environment", func(t *testing.T) {
		got := ana.tool("environment", `{}`)
		if !strings.Contains(got, "of-foe-alone") || strings.Contains(got, "of-friend-alone") || strings.Contains(got, "GATEWAY_SECRET") || strings.Contains(got, "sp_") {
			t.Errorf("the child knows %s", got)
		}
		if got := ana.tool("files", `{}`); !strings.Contains(got, "0=pipe") || strings.Contains(got, "inherited") || strings.Contains(got, "socket:") {
			t.Errorf("the child has open files of ours: %s", got)
		}
		if got := ana.tool("gateway", `{}`); strings.Contains(got, "sp_") || strings.Contains(got, "of-friend-alone") {
			t.Errorf("the gateway's arguments show %s", got)
		}
	})
	t.Run("leaves a child", func(t *testing.T) {
		got := ana.tool("forks", `{}`)
		_, text, _ := strings.Cut(got, `"text":"`)
		pid, err := strconv.Atoi(strings.Split(text, `"`)[0])
		if err != nil {
			t.Fatal(got)
		}
		ana.tool("dies", `{}`)
		g.until("the grandchild is gone", func() bool { return syscall.Kill(pid, 0) != nil || zombie(pid) })
	})
}

// zombie reports whether a process has ended and waits for somebody to notice.
func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(text), ") Z ")
}
