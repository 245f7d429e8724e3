// Command pages measures how long the gateway takes over each page of its console
// when the log is long, on the clock and of its processors.
//
//	go run ./test/pages -binary bin/sallyport -entries 1000000
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	binary := flag.String("binary", "bin/sallyport", "the gateway to measure")
	entries := flag.Int("entries", 1_000_000, "how long the log is")
	dir := flag.String("dir", "", "where the state is made, and kept for the next time; a temporary directory when empty")
	times := flag.Int("times", 15, "how often each page is fetched")
	flag.Parse()
	if err := run(context.Background(), *binary, *dir, *entries, *times); err != nil {
		fmt.Fprintln(os.Stderr, "pages:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary, dir string, entries, times int) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "pages"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	state := filepath.Join(dir, "state")
	if _, err := os.Stat(state); errors.Is(err, os.ErrNotExist) {
		standing, err := standing(ctx, binary, filepath.Join(dir, "names"))
		if err != nil {
			return err
		}
		began := time.Now()
		if err := fill(state, entries, standing); err != nil {
			return err
		}
		fmt.Printf("%d entries written in %v\n", entries, time.Since(began).Round(time.Second))
	}
	g, err := up(ctx, binary, dir)
	if err != nil {
		return err
	}
	defer g.stop()
	fmt.Printf("\n%-44s %6s %10s %10s %10s %9s\n", "page", "status", "p50", "worst", "processor", "KiB")
	for _, path := range pages(entries, g.runs["bot-7"]) {
		if err := g.measure(path, times); err != nil {
			return err
		}
	}
	return nil
}

// pages are those that look at the log, with the filters that find the least.
func pages(entries int, standing string) []string {
	call := fmt.Sprintf("c_%026d", entries/4+1)
	return []string{
		"", "approvals", "grants", "runs", "runs/" + standing, "map", "map?agent=bot-7", "map?agent=nobody",
		"servers", "policies", "limits", "limits/refunds", "limits/refunds-per-user", "limits/refunds-per-customer",
		"log", "log?type=refusal", "log?type=intent", "log?type=change", "log?verdict=hold", "log?outcome=tool-error", "log?outcome=unknown", "log?outcome=ok", "log?agent=bot-7", "log?agent=nobody",
		"log?agent=bot-7&name=tool_3", "log?agent=bot-6&server=s1", "log?user=user-1&server=s3&type=refusal", "log?name=tool_3", "log?name=nothing",
		"log?run=" + standing, "log?run=" + standing + "&name=nothing", "log?run=" + standing + "&type=hold", "log?run=r_nothing",
		"log?since=2001-01-01&until=2001-01-02", "log?agent=bot-7&before=1000", "log?type=intent&before=1000", "log?before=" + strconv.Itoa(entries/2),
		"log/" + strconv.Itoa(entries/2), "log/" + call, "log/" + strconv.Itoa(entries/2) + "/proof", "why/" + call, "account",
	}
}

// gate is a gateway that runs, and a session of its console.
type gate struct {
	command *exec.Cmd
	origin  string
	cookie  *http.Cookie
	runs    map[string]string // standing ones, by agent
}

// config is what the log tells of.
func config() string {
	text := "listen: 127.0.0.1:0\npolicy: [test.cedar]\ntenants: [acme]\nroles: [support]\nusers:\n"
	for i := range 5 {
		text += fmt.Sprintf("  user-%d: {tenant: acme, groups: [finance]}\n", i)
	}
	text += "agents:\n"
	for i := range agents {
		text += fmt.Sprintf("  bot-%d: {role: support, for: user-%d, tenant: acme}\n", i, i%5)
	}
	text += "servers:\n"
	for i := range servers {
		text += fmt.Sprintf("  s%d: {builtin: desk, effects: {\"*\": read, issue_refund: pay}}\n", i)
	}
	return text + `limits:
  refunds-per-customer: {unit: EUR, cap: 150, window: day UTC, per: [user, input.customer_id], applies: {tools: ["*/issue_refund"]}, estimate: input.amount, within: refunds-per-user}
  refunds-per-user: {unit: EUR, cap: 2000000, window: day UTC, per: [user], beyond: ask finance, within: refunds}
  refunds: {unit: EUR, cap: 5000000, window: day UTC}
`
}

const policy = `@id("all-read") permit (principal, action in Action::"effect:read", resource);
@id("all-pay") permit (principal, action in Action::"effect:pay", resource);
@id("asks") @ask("finance") forbid (principal, action in Action::"effect:send", resource);
`

func up(ctx context.Context, binary, dir string) (*gate, error) {
	in := func(name string) string { return filepath.Join(dir, name) }
	err := errors.Join(os.WriteFile(in("sallyport.yaml"), []byte(config()), 0o600), os.WriteFile(in("test.cedar"), []byte(policy), 0o600), os.RemoveAll(in("addresses.json")))
	if err != nil {
		return nil, err
	}
	g := &gate{command: exec.CommandContext(ctx, binary, "up", "--quiet", "--config", in("sallyport.yaml"), "--dir", in("state"), "--addr-file", in("addresses.json"))}
	g.command.Stderr, g.command.SysProcAttr = os.Stderr, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	if err := g.command.Start(); err != nil {
		return nil, err
	}
	var at struct{ Listen string }
	for g.origin == "" {
		if time.Since(began) > 10*time.Minute {
			g.stop()
			return nil, errors.New("the gateway does not listen")
		}
		time.Sleep(50 * time.Millisecond)
		if text, err := os.ReadFile(in("addresses.json")); err == nil && json.Unmarshal(text, &at) == nil {
			g.origin = "http://" + strings.Replace(at.Listen, "127.0.0.1", "localhost", 1)
		}
	}
	fmt.Printf("it listens after %v\n", time.Since(began).Round(100*time.Millisecond))
	link, err := exec.CommandContext(ctx, binary, "console", "--dir", in("state")).Output()
	if err != nil {
		g.stop()
		return nil, fmt.Errorf("asking for a link: %w", err)
	}
	answer, _, err := g.get(strings.TrimSpace(string(link)))
	if err != nil || len(answer.Cookies()) != 1 {
		g.stop()
		return nil, fmt.Errorf("the link opens nothing: %v %w", answer, err)
	}
	g.cookie, g.runs = answer.Cookies()[0], map[string]string{}
	var known struct {
		Runs []struct{ Agent, Run string }
	}
	if err := g.read("runs.json", &known); err != nil {
		g.stop()
		return nil, err
	}
	for _, r := range known.Runs {
		g.runs[r.Agent] = r.Run
	}
	return g, nil
}

// standing are the names of the agents' runs, which a gateway without a log has
// as well.
func standing(ctx context.Context, binary, dir string) (map[string]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	g, err := up(ctx, binary, dir)
	if err != nil {
		return nil, err
	}
	g.stop()
	return g.runs, os.RemoveAll(dir)
}

func (g *gate) read(path string, into any) error {
	answer, body, err := g.get(g.origin + "/console/" + path)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: HTTP %d", path, answer.StatusCode)
	}
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	return err
}

func (g *gate) stop() {
	g.command.Process.Signal(syscall.SIGTERM)
	g.command.Wait()
}

// get fetches what a browser would, and goes nowhere else.
func (g *gate) get(url string) (*http.Response, []byte, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	if g.cookie != nil {
		request.AddCookie(g.cookie)
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer, body, err
}

// measure prints a line about a page.
func (g *gate) measure(path string, times int) error {
	var took []time.Duration
	var status string
	var size int
	if _, _, err := g.get(g.origin + "/console/" + path); err != nil { // once for what is kept in memory
		return err
	}
	before, err := g.processor()
	if err != nil {
		return err
	}
	for range times {
		began := time.Now()
		answer, body, err := g.get(g.origin + "/console/" + path)
		if err != nil {
			return err
		}
		took, status, size = append(took, time.Since(began)), strconv.Itoa(answer.StatusCode), len(body)
	}
	after, err := g.processor()
	if err != nil {
		return err
	}
	slices.Sort(took)
	milliseconds := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1e3) }
	fmt.Printf("%-44s %6s %10s %10s %10s %9.0f\n", "/"+path, status, milliseconds(took[len(took)/2]), milliseconds(took[len(took)-1]),
		milliseconds((after-before)/time.Duration(times)), float64(size)/1024)
	return nil
}

// processor is what the gateway has used of all processors: the machine may have
// something else to do.
func (g *gate) processor() (used time.Duration, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", g.command.Process.Pid))
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, err
		}
		used += time.Duration(n)
	}
	return used, err
}
