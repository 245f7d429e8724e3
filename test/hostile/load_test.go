package hostile

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// many does something n times, so many at once.
func many(n, atOnce int, do func(i int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	group.Wait()
}

const hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"hostile","version":"1"}}}`

// begin opens n sessions over a few connections and gives their ids.
func (g *gate) begin(name string, n int, body string) (ids []string) {
	g.t.Helper()
	var mu sync.Mutex
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	many(n, 16, func(int) {
		r, _ := http.NewRequest(http.MethodPost, "http://"+g.address+"/mcp/pay", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+g.tokens[name])
		r.Header.Set("Content-Type", "application/json")
		response, err := client.Do(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if id := response.Header.Get("Mcp-Session-Id"); id != "" {
			mu.Lock()
			ids = append(ids, id)
			mu.Unlock()
		}
	})
	return ids
}

// bounded fails when something costs more memory than it may.
func (g *gate) bounded(what string, mebibytes int, do func()) {
	g.t.Helper()
	if grown := g.peak(do) >> 20; grown > mebibytes {
		g.t.Errorf("%s: %d MiB, and at most %d were meant to be", what, grown, mebibytes)
	}
}

// One agent floods; the other is served as ever, and memory is bounded.
func TestAgentFloods(t *testing.T) {
	up := newServer(t)
	g := start(t, up.as("pay"), policy, "pay")
	bob := g.connect("bob", "/mcp/pay")

	g.bounded("10,000 idle sessions", 40, func() {
		if n := len(g.begin("ana", 10_000, hello)); n != 10_000 {
			t.Errorf("%d of 10,000 sessions", n)
		}
		bob.served("beside 10,000 sessions")
	})
	g.bounded("10,000 more", 40, func() {
		if n := len(g.begin("ana", 10_000, hello)); n != 10_000 {
			t.Errorf("%d of 10,000 sessions, though the idle ones should give way", n)
		}
	})
	bob.served("whose session is older than all of them")
	large := strings.Replace(hello, `"version":"1"`, `"version":"`+strings.Repeat("x", 7<<20)+`"`, 1)
	g.bounded("introductions of 7 MiB", 200, func() {
		if n := len(g.begin("ana", 16, large)); n != 0 {
			t.Errorf("%d of them are kept", n)
		}
	})

	zeros := call(`{"name":"transfer","arguments":{"to":[` + strings.Repeat("0,", 1<<19) + `0]}}`)
	padded := strings.Replace(zeros, `,"params"`, strings.Repeat(" ", 6<<20)+`,"params"`, 1)
	g.bounded("16 bodies of 7 MiB and half a million values at once", 400, func() {
		flooding := make(chan struct{})
		sessions := g.begin("ana", 16, hello)
		go func() {
			defer close(flooding)
			many(16, 16, func(i int) {
				(&agent{g: g, token: g.tokens["ana"], session: sessions[i], path: "/mcp/pay"}).send(request{body: padded})
			})
		}()
		bob.served("beside them")
		<-flooding
	})
	g.bounded("48 bodies of 7 MiB that never end", 128, func() {
		var halves sync.WaitGroup
		for range 48 {
			c := g.dial()
			halves.Go(func() {
				// It returns when the gateway has read it, or will not.
				c.SetWriteDeadline(time.Now().Add(time.Second))
				_, _ = c.Write(request{headers: []string{"Content-Length: 8000000"}, body: strings.Repeat("x", 7<<20)}.bytes(g, g.tokens["ana"], ""))
			})
		}
		halves.Wait()
		bob.served("beside bodies that never end")
	})

	g.bounded("notifications without end", 40, func() {
		ana := g.connect("ana", "/mcp/pay")
		c := g.dial()
		var all strings.Builder
		for i, method := range []string{"notifications/cancelled", "notifications/roots/list_changed", "notifications/unheard_of", "notifications/progress"} {
			all.Write(request{body: fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":{"requestId":%d}}`, method, i)}.bytes(g, ana.token, ana.session))
		}
		go io.WriteString(c, strings.Repeat(all.String(), 500))
		for i := range 2000 {
			if status, body, _, err := c.answer(); err != nil || status != http.StatusAccepted {
				t.Fatalf("notification %d: %v %d %s", i, err, status, body)
			}
		}
		bob.served("beside notifications")
	})
}

// Streams that are held open, and clients that are slow or do not read.
func TestHeldStreamsAndSlowClients(t *testing.T) {
	up := newServer(t)
	var flooded atomic.Int64
	up.on("get_flood", func(w http.ResponseWriter, r *http.Request, id string) {
		w.Header().Set("Content-Type", "text/event-stream")
		event := `data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"` + strings.Repeat("x", 16<<10) + "\"}}\n\n"
		for r.Context().Err() == nil {
			n, err := io.WriteString(w, event)
			if flooded.Add(int64(n)); err != nil {
				return
			}
		}
	})
	g := start(t, up.as("pay"), policy, "pay")
	bob := g.connect("bob", "/mcp/pay")

	g.bounded("1,000 held streams", 120, func() {
		ids := g.begin("ana", 1000, hello)
		many(len(ids), 8, func(i int) {
			c := g.dial()
			c.Write(request{line: "GET /mcp/pay HTTP/1.1", headers: []string{"Accept: text/event-stream", "Content-Length:"}}.bytes(g, g.tokens["ana"], ids[i]))
			if response, err := http.ReadResponse(c.in, nil); err != nil || response.StatusCode != 200 {
				t.Errorf("stream %d: %v", i, err)
			}
		})
		bob.served("beside 1,000 streams")
	})
	var slow *conn
	g.bounded("400 slow clients", 40, func() {
		for range 200 {
			slow = g.dial()
			slow.Write([]byte("POST /mcp/pay HTTP/1.1\r\nHost: localhost\r\nX-Slow: "))
			c := g.dial()
			good := request{body: read}.bytes(g, g.tokens["ana"], "")
			c.Write(good[:len(good)-1])
		}
		bob.served("beside slow clients")
	})
	g.bounded("16 streams that nobody reads", 120, func() {
		for _, id := range g.begin("ana", 16, hello) {
			c := g.dial()
			c.Write(request{body: strings.Replace(read, "get_balance", "get_flood", 1)}.bytes(g, g.tokens["ana"], id))
		}
		// The gateway stops reading when its own buffers and the kernel's are full.
		g.until("the flood stands still", func() bool {
			before := flooded.Load()
			time.Sleep(200 * time.Millisecond)
			return before > 0 && flooded.Load() == before
		})
		bob.served("beside streams that nobody reads")
	})
	// A header has ten seconds, most of which have passed by now.
	if _, err := slow.in.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a client that never ends its header keeps its connection: %v", err)
	}
}

// Who has no token leaves nothing behind: no entry, no line, no memory.
func TestUnauthenticatedFlood(t *testing.T) {
	up := newServer(t)
	g := start(t, up.as("pay"), policy, "pay")
	bob := g.connect("bob", "/mcp/pay")
	bob.served("before")
	g.until("the outcome is durable", func() bool {
		return strings.Contains(g.must("log", "query", "--limit", "0", "-o", "json"), `"outcome"`)
	})
	entries, said := g.must("log", "query", "--limit", "0", "-o", "json"), len(g.output.String())
	g.bounded("without a token", 24, func() {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
		defer client.CloseIdleConnections()
		many(3000, 16, func(i int) {
			r, _ := http.NewRequest(http.MethodPost, "http://"+g.address+"/mcp/pay", strings.NewReader(steal))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", fmt.Sprintf("Bearer sp_%d\t\x7f", i)[:12])
			if i%3 == 0 {
				r.Header.Set("Origin", "https://evil.example/\u202e")
			}
			response, err := client.Do(r)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if response.StatusCode != http.StatusUnauthorized && response.StatusCode != http.StatusForbidden {
				t.Errorf("HTTP %d", response.StatusCode)
			}
		})
		for range 200 { // and what is not even HTTP
			c := g.dial()
			io.WriteString(c, "\x16\x03\x01\x1b[2J\n\n")
			c.Close()
		}
	})
	if now := g.must("log", "query", "--limit", "0", "-o", "json"); now != entries {
		t.Errorf("entries appeared: %d bytes of them", len(now)-len(entries))
	}
	if n := len(g.output.String()) - said; n > 4<<10 {
		t.Errorf("%d bytes of output", n)
	}
	bob.served("afterwards")
	if saw := up.saw(); strings.Contains(saw, "transfer") {
		t.Errorf("the server saw %s", saw)
	}
}
