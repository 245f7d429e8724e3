// Command bench measures what Sallyport adds to a call, beside a plain
// reverse proxy, in one run: direct, proxy and Sallyport take turns, and each
// figure is the median of the rounds. Ratios are what counts; microseconds
// belong to the machine they were taken on.
//
//	go run ./test/bench -binary bin/sallyport
//	go run ./test/bench -binary bin/sallyport -limits 2
//
// With limits two more gateways take their turns: "limited", where each call takes
// of so many limits and rules that ask people look at it, and "granted", where one
// of these rules asks about every call and a grant answers.
//
// The proxy and the server are processes of their own (this program again,
// with another role), so that CPU time per call is that of the process in the
// middle alone.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	role := flag.String("role", "measure", "measure, server or proxy")
	address := flag.String("address", "", "of the role")
	target := flag.String("target", "", "what a proxy stands before")
	binary := flag.String("binary", "bin/sallyport", "the gateway to measure")
	rounds := flag.Int("rounds", 5, "of each measurement")
	calls := flag.Int("calls", 4000, "per round at 16 and 64 sessions")
	only := flag.String("load", "", "measure only loads whose name contains this")
	limits := flag.Int("limits", 0, "measure gateways with so many limits on each call and rules that ask, too")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	var err error
	switch *role {
	case "server":
		err = http.ListenAndServe(*address, http.HandlerFunc(serve))
	case "proxy":
		err = proxy(*address, *target)
	default:
		err = measure(*binary, *only, *rounds, *calls, *limits, *asJSON)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func proxy(address, target string) error {
	to, err := url.Parse(target)
	if err != nil {
		return err
	}
	// As many idle connections as the gateway keeps: else the baseline would
	// pay for dialling and look worse than it is.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 512, 256
	forward := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = to.Host },
	}
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Whole, before it is sent on: an answer that starts while the body is
		// still being copied makes net/http break the connection.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		forward.ServeHTTP(w, r)
	}))
}

// load is one kind of traffic.
type load struct {
	Name     string
	Sessions int
	Calls    int
	Tool     string
	Args     string
}

// figure is one measurement of one way to the server.
type figure struct {
	P50, P99    time.Duration
	CallsPerS   float64
	CPUPerCall  time.Duration // user and system time of the process in the middle
	ResidentKiB int
}

func measure(binary, only string, rounds, calls, limits int, asJSON bool) error {
	peers, err := start(binary, limits)
	if err != nil {
		return err
	}
	defer peers.stop()
	loads := []load{
		{"echo, 1 session", 1, calls / 4, "echo", `{"text":"hello"}`},
		{"echo, 16 sessions", 16, calls, "echo", `{"text":"hello"}`},
		{"echo, 64 sessions", 64, calls, "echo", `{"text":"hello"}`},
		{"64 KiB result, 16 sessions", 16, calls / 2, "blob", `{"kib":64}`},
	}
	loads = slices.DeleteFunc(loads, func(l load) bool { return !strings.Contains(l.Name, only) })
	results, growth := map[string]map[string]figure{}, map[string]string{}
	for _, l := range loads {
		taken := map[string][]figure{}
		for round := range rounds {
			for _, way := range peers.ways {
				fmt.Fprintf(os.Stderr, "\r%-30s round %d of %d  %-10s", l.Name, round+1, rounds, way.name)
				f, err := take(way, l)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", l.Name, way.name, err)
				}
				taken[way.name] = append(taken[way.name], f)
			}
		}
		results[l.Name] = map[string]figure{}
		for name, figures := range taken {
			results[l.Name][name] = median(figures)
			growth[l.Name+name] = grown(figures, taken["sallyport"])
		}
	}
	fmt.Fprint(os.Stderr, "\r\033[K")
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(results)
	}
	show(loads, peers.ways, results, growth, only)
	return nil
}

func median(figures []figure) figure {
	pick := func(of func(figure) float64) float64 {
		values := make([]float64, len(figures))
		for i, f := range figures {
			values[i] = of(f)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return figure{
		P50:         time.Duration(pick(func(f figure) float64 { return float64(f.P50) })),
		P99:         time.Duration(pick(func(f figure) float64 { return float64(f.P99) })),
		CallsPerS:   pick(func(f figure) float64 { return f.CallsPerS }),
		CPUPerCall:  time.Duration(pick(func(f figure) float64 { return float64(f.CPUPerCall) })),
		ResidentKiB: int(pick(func(f figure) float64 { return float64(f.ResidentKiB) })),
	}
}

// grown is by how much CPU per call is more than that of the plain gateway in
// the same round: the median of the rounds, and from where to where they go.
func grown(figures, plain []figure) string {
	percent := make([]float64, len(figures))
	for i := range figures {
		percent[i] = 100 * (float64(figures[i].CPUPerCall)/float64(plain[i].CPUPerCall) - 1)
	}
	slices.Sort(percent)
	return fmt.Sprintf("%+.0f (%+.0f..%+.0f)", percent[len(percent)/2], percent[0], percent[len(percent)-1])
}

func show(loads []load, ways []way, results map[string]map[string]figure, growth map[string]string, only string) {
	us := func(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d)/1e3) }
	fmt.Printf("%-28s %-10s %9s %9s %9s %9s %11s %7s %9s  %s\n", "load", "way", "p50 µs", "p99 µs", "+p50 µs", "+p99 µs", "CPU/call µs", "×proxy", "calls/s", "CPU grows by %")
	for _, l := range loads {
		r := results[l.Name]
		for _, way := range ways {
			name := way.name
			f := r[name]
			ratio, cpu, grows := "", "", ""
			if name != "direct" {
				ratio = fmt.Sprintf("%.2f", float64(f.CPUPerCall)/float64(r["proxy"].CPUPerCall))
				cpu = us(f.CPUPerCall)
			}
			if way.limits > 0 {
				grows = growth[l.Name+name]
			}
			fmt.Printf("%-28s %-10s %9s %9s %9s %9s %11s %7s %9.0f  %s\n", l.Name, name, us(f.P50), us(f.P99),
				us(f.P50-r["direct"].P50), us(f.P99-r["direct"].P99), cpu, ratio, f.CallsPerS, grows)
		}
	}
	if only != "" {
		return
	}
	fmt.Printf("\nresident at 64 sessions: proxy %.1f MiB, sallyport %.1f MiB\n",
		float64(results["echo, 64 sessions"]["proxy"].ResidentKiB)/1024,
		float64(results["echo, 64 sessions"]["sallyport"].ResidentKiB)/1024)
}
