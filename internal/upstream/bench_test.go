package upstream

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"sallyport"
	"sallyport/internal/wire"
)

// BenchmarkCall compares Execute with a bare net/http round trip to the same server in the same process, from 16
// goroutines; the difference of cpu-µs/op is what carrying a call costs beyond HTTP.
func BenchmarkCall(b *testing.B) {
	for _, size := range []int{200, 64 << 10} {
		for _, stream := range []bool{false, true} {
			text := strings.Repeat("x", size)
			url := serve(b, plainServer(text, stream))
			h := newHall(b, Server{URL: url})
			name := fmt.Sprintf("%dB json", size)
			if stream {
				name = fmt.Sprintf("%dB sse", size)
			}
			params := []byte(`{"name":"echo","arguments":{"text":"hello"}}`)
			b.Run(name+" bare", func(b *testing.B) {
				client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
				defer client.CloseIdleConnections()
				measure(b, func() {
					q, _ := http.NewRequest(http.MethodPost, url, bytes.NewReader(wire.AppendRequest(nil, []byte("1"), "tools/call", params)))
					q.Header.Set("Content-Type", "application/json")
					q.Header.Set("Accept", "application/json, text/event-stream")
					response, err := client.Do(q)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.ReadAll(response.Body)
					response.Body.Close()
				})
			})
			b.Run(name+" Execute", func(b *testing.B) {
				var next atomic.Int64
				call := sallyport.Call{Server: "peer", Method: "tools/call", Revision: wire.Revision20251125}
				var err error
				if call.Params, err = sallyport.Parse(params); err != nil {
					b.Fatal(err)
				}
				measure(b, func() {
					c := call
					c.Session = fmt.Sprintf("s%d", next.Add(1)%16)
					if _, err := h.Execute(b.Context(), ticketFor(&c, nil), &clientEnd{}); err != nil {
						b.Error(err)
					}
				})
			})
		}
	}
}

// measure runs work from 16 goroutines and reports the processor time of the whole process.
func measure(b *testing.B, work func()) {
	b.ReportAllocs()
	b.SetParallelism(8)
	for range 64 {
		work()
	}
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			work()
		}
	})
	b.StopTimer()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(spent)/1000/float64(b.N), "cpu-µs/op")
}

// plainServer answers every call at once and costs as little as it can.
func plainServer(text string, stream bool) http.Handler {
	var sessions atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		idAt := bytes.Index(body, []byte(`"id":`))
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if idAt < 0 {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		id, _, _ := bytes.Cut(body[idAt+5:], []byte(","))
		result := `{"content":[{"type":"text","text":"` + text + `"}]}`
		switch {
		case bytes.Contains(body, []byte(`"initialize"`)):
			w.Header().Set("Mcp-Session-Id", fmt.Sprint(sessions.Add(1)))
			result = `{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"plain","version":"0"}}`
		case bytes.Contains(body, []byte(`"server/discover"`)):
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		frame, end := `{"jsonrpc":"2.0","id":%s,"result":%s}`, ""
		w.Header().Set("Content-Type", "application/json")
		if stream {
			w.Header().Set("Content-Type", "text/event-stream")
			frame, end = "event: message\ndata: "+frame, "\n\n"
		}
		fmt.Fprintf(w, frame+end, id, result)
	})
}
