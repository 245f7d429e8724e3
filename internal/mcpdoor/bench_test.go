package mcpdoor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/gateway"
)

// fast is a gateway that decides and does nothing, so that what is measured is
// the door.
type fast struct {
	Gateway
	answer []byte // a whole message, parsed for each call as upstream does
}

func (f *fast) Call(context.Context, sallyport.Credential, *sallyport.Call, gateway.Client) (gateway.Answer, error) {
	v, err := sallyport.Parse(f.answer)
	return gateway.Answer{Result: v.Get("result")}, err
}

// spent is the processor time of this process.
func spent() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCall is a tools/call over HTTP, door and client in one process; the
// figure to compare is cpu-ns/op with "floor", which answers the same without
// a door.
func BenchmarkCall(b *testing.B) {
	w := newWorld(b, Options{})
	for _, size := range []int{16, 64 << 10} {
		text := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"%s"}]}}`, strings.Repeat("x", size))
		w.door.Gateway = &fast{w.gateway, []byte(text)}
		session := &session{owner: owner{"acme", "ana", "ana"}, server: "desk", revision: "2025-11-25"}
		if err := w.door.begin(session); err != nil {
			b.Fatal(err)
		}
		arguments := `"arguments":{"customer":"cus_000117","amount":125.50,"currency":"EUR","reason":"The parcel came late","notify":true,"lines":[1,2,3]}`
		common := "Host: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nAuthorization: Bearer " + anaToken + "\r\n"
		inSession := common + "Mcp-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: " + session.id + "\r\n"
		stateless := common + "Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\n"
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo",` + arguments + `}}`
		claimed := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo",` + arguments + `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
		floor := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, text)
		})
		for _, c := range []struct {
			name          string
			handler       http.Handler
			headers, body string
		}{{"floor", floor, inSession, body}, {"session", w.door, inSession, body}, {"stateless", w.door, stateless, claimed}} {
			b.Run(fmt.Sprintf("%s/%d", c.name, size), func(b *testing.B) {
				server := httptest.NewUnstartedServer(c.handler)
				server.Config = Server(c.handler)
				server.Start()
				defer server.Close()
				conn, err := net.Dial("tcp", server.Listener.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				defer conn.Close()
				request := []byte(fmt.Sprintf("POST /mcp/desk HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s", c.headers, len(c.body), c.body))
				in := bufio.NewReaderSize(conn, 128<<10)
				b.ReportAllocs()
				before := spent()
				for b.Loop() {
					if _, err := conn.Write(request); err != nil {
						b.Fatal(err)
					}
					response, err := http.ReadResponse(in, nil)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != 200 {
						b.Fatal(err, response.StatusCode)
					}
				}
				b.ReportMetric(float64((spent()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
			})
		}
	}
}
