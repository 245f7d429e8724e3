package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/identity"
	"sallyport/internal/store"
	"sallyport/proof"
)

// serve answers on a socket in a directory until the test ends.
func serve(t *testing.T, dir string, handler http.Handler) {
	t.Helper()
	listener, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- Serve(listener, handler) }()
	t.Cleanup(func() {
		listener.Close()
		if err := <-ended; err != nil {
			t.Errorf("serving ended with %v", err)
		}
	})
}

func TestSocketIsPrivate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	serve(t, dir, http.NotFoundHandler())
	for path, want := range map[string]os.FileMode{dir: 0o700, SocketPath(dir): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v (%v), want %v", path, info.Mode().Perm(), err, want)
		}
	}
}

// The modes of socket and directory can be loosened by mistake; who connects is
// then still known from the kernel.
func TestOtherUsersAreRefused(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := make(chan net.Conn, 1)
	go func() {
		conn, err := (&ownListener{listener, os.Getuid() + 1}).Accept()
		if err == nil {
			taken <- conn
		}
	}()
	conn, err := net.Dial("unix", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a connection of another user ended with %v", err)
	}
	select {
	case <-taken:
		t.Error("a connection of another user was taken")
	default:
	}
}

func TestLeftOverSocketIsReplaced(t *testing.T) {
	dir := t.TempDir()
	left, err := net.Listen("unix", SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	left.Close() // as a killed process leaves it
	if Running(dir) {
		t.Error("a socket without a gateway counts as running")
	}
	serve(t, dir, http.NotFoundHandler())
	if !Running(dir) {
		t.Error("the gateway does not count as running")
	}
}

func TestLongPathIsSaid(t *testing.T) {
	if _, err := Listen(filepath.Join(t.TempDir(), strings.Repeat("x", 100))); !errors.Is(err, ErrTooLong) {
		t.Errorf("%v", err)
	}
}

// gate is a gateway of which some verbs are used.
type gate struct {
	Door
	Doctor
	Servers
	Pins
	Human
	Policy
	PolicyFiles
	History
	added NewAgent
	err   error
}

func (g *gate) Agents() []Agent { return []Agent{{Name: "bot", State: "active"}} }
func (g *gate) AddAgent(_ context.Context, agent NewAgent) (Token, error) {
	g.added = agent
	return Token{Agent: agent.Name, Token: "sp_x"}, g.err
}
func (g *gate) RotateAgent(ctx context.Context, agent NewAgent) (Token, error) {
	return g.AddAgent(ctx, agent)
}
func (g *gate) RevokeAgent(context.Context, string) error { return g.err }

// clients reach a handler over the socket and in this process: both must
// behave alike.
func clients(t *testing.T, handler http.Handler) map[string]*Client {
	dir := t.TempDir()
	serve(t, dir, handler)
	return map[string]*Client{"socket": Dial(dir), "in process": Local(handler)}
}

func TestVerbs(t *testing.T) {
	g := &gate{}
	handler := Handler(Parts{Agents: g, Log: LogHandler(entries(0), nil, nil, nil)})
	for name, c := range clients(t, handler) {
		t.Run(name, func(t *testing.T) {
			g.err = nil
			agents, err := Get[[]Agent](t.Context(), c, "/agents")
			if err != nil || len(agents) != 1 || agents[0].Name != "bot" {
				t.Errorf("%v %v", agents, err)
			}
			token, err := Post[Token](t.Context(), c, "/agents/b%2Fot/rotate", NewAgent{Secret: "s", Lifetime: time.Hour})
			if err != nil || token.Token != "sp_x" || g.added.Name != "b/ot" || g.added.Lifetime != time.Hour {
				t.Errorf("%v %+v %v", token, g.added, err)
			}
			for _, test := range []struct {
				err  error
				code Code
			}{
				{errors.New("plain"), ""},
				{fmt.Errorf("wrapped: %w", identity.ErrWrongSecret), Denied},
				{identity.ErrNotEnrolled, Denied},
				{identity.ErrEnrolled, Denied},
				{fmt.Errorf("%w: try again in 2s", identity.ErrTooSoon), Denied},
				{&CodedError{Failed, "failed"}, Failed},
			} {
				g.err = test.err
				_, err := Post[Token](t.Context(), c, "/agents", NewAgent{})
				coded, ok := errors.AsType[*CodedError](err)
				if !ok || coded.Code != test.code || coded.Text != test.err.Error() {
					t.Errorf("%v arrived as %v", test.err, err)
				}
			}
			if _, err := Get[[]Agent](t.Context(), c, "/nothing"); err == nil {
				t.Error("an unknown verb was answered")
			}
			if _, err := Post[Token](t.Context(), c, "/agents", map[string]string{"nmae": "bot"}); err == nil {
				t.Error("a request with an unknown field was taken")
			}
		})
	}
}

// entries is a log of so many entries.
type entries int

func (n entries) Size(context.Context) (uint64, error) { return uint64(n), nil }
func (n entries) Entries(_ context.Context, from, to uint64) iter.Seq2[sallyport.Entry, error] {
	return func(yield func(sallyport.Entry, error) bool) {
		for i := from; i < min(to, uint64(n)); i++ {
			if !yield(entry(i), nil) {
				return
			}
		}
		if n == 7 {
			yield(sallyport.Entry{}, errors.New("damaged"))
		}
	}
}

func entry(i uint64) sallyport.Entry {
	e := sallyport.Entry{Index: i, Type: sallyport.Change, Time: time.UnixMilli(1000 * int64(i)).UTC(), Subject: fmt.Sprint("change ", i)}
	if i > 0 {
		e.Prev = sallyport.DigestOf([]byte{byte(i)})
	}
	return e
}

func (n entries) Query(_ context.Context, f store.Filter) ([]store.Found, error) {
	if f.Agent != "bot" {
		return nil, fmt.Errorf("asked for %+v", f)
	}
	intent, outcome := entry(3), entry(5)
	return []store.Found{{Entry: entry(4)}, {Entry: intent, Outcome: &outcome}}, nil
}

func (n entries) Show(context.Context, string) ([]store.Opened, error) {
	return []store.Opened{{Entry: entry(1), Args: &proof.Payload{Text: []byte(`{"a":1}`)}, ResultErr: errors.New("erased")}}, nil
}

// Tail gives what there is and then one entry for each tick.
func (n entries) Tail(ctx context.Context, from uint64) iter.Seq2[sallyport.Entry, error] {
	return func(yield func(sallyport.Entry, error) bool) {
		for i := from; ; i++ {
			if i >= uint64(n) {
				select {
				case <-ctx.Done():
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
			if !yield(entry(i), nil) {
				return
			}
		}
	}
}

func lines(t *testing.T, c *Client, path string) []string {
	t.Helper()
	answer, err := c.Stream(t.Context(), http.MethodGet, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	text, err := io.ReadAll(answer)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func TestLogQuery(t *testing.T) {
	for name, c := range clients(t, LogHandler(entries(10), nil, nil, nil)) {
		t.Run(name, func(t *testing.T) {
			if got := lines(t, c, "/log?limit=3"); len(got) != 3 || !strings.Contains(got[0], "change 7") || !strings.Contains(got[2], "change 9") {
				t.Errorf("the last three: %q", got)
			}
			if got := lines(t, c, "/log?limit=0"); len(got) != 10 {
				t.Errorf("all: %d", len(got))
			}
			got := lines(t, c, "/log?limit=5&agent=bot")
			if len(got) != 3 || !strings.Contains(got[0], "change 3") || !strings.Contains(got[1], "change 4") || !strings.Contains(got[2], "change 5") {
				t.Errorf("found, in the order of the log: %q", got)
			}
			for _, wrong := range []string{"/log", "/log?limit=-1", "/log?limit=x", "/log?limit=1&since=yesterday"} {
				if answer, err := c.Stream(t.Context(), http.MethodGet, wrong, nil); err == nil {
					answer.Close()
					t.Errorf("%s was answered", wrong)
				}
			}
			shown, err := Get[[]Shown](t.Context(), c, "/log/show/1")
			if err != nil || string(shown[0].Args) != `{"a":1}` || shown[0].ResultError != "erased" {
				t.Errorf("%+v %v", shown, err)
			}
			if _, err := c.Stream(t.Context(), http.MethodGet, "/log/tail?lines=1", nil); err == nil {
				t.Error("a log that nobody writes was followed")
			}
		})
	}
}

// planted is a log in which every seventh call was asked for by nobody.
type planted struct{ entries }

func (n planted) Query(_ context.Context, f store.Filter) (found []store.Found, err error) {
	before := uint64(n.entries)
	if f.Before > 0 {
		before = f.Before
	}
	for i := before; i > 0 && len(found) < f.Limit; i-- {
		e := sallyport.Entry{Index: i - 1, Type: sallyport.Intent, Kind: sallyport.KindTool, Labels: []sallyport.Label{sallyport.LabelTask}}
		if e.Index%7 == 0 {
			e.Labels = append(e.Labels, sallyport.LabelOutside)
		}
		found = append(found, store.Found{Entry: e})
	}
	return found, nil
}

// What nobody asked for is found, however far back, and nothing else is.
func TestUnsupportedQuery(t *testing.T) {
	c := Local(LogHandler(planted{entries(3000)}, nil, nil, nil))
	if got := lines(t, c, "/log?limit=0&unsupported=true"); len(got) != 429 || strings.Contains(strings.Join(got, ""), `"index":1,`) {
		t.Errorf("%d of 429: %q", len(got), got[:min(3, len(got))])
	}
	if got := lines(t, c, "/log?limit=2&unsupported=true"); len(got) != 2 || !strings.Contains(got[1], `"index":2996`) {
		t.Errorf("the last two: %q", got)
	}
}

// A stream that breaks off must say so: half a log is not a log.
func TestBrokenStreamIsSaid(t *testing.T) {
	for name, c := range clients(t, LogHandler(entries(7), nil, nil, nil)) {
		got := lines(t, c, "/log?limit=0")
		if last := got[len(got)-1]; !strings.Contains(last, `"error":"damaged"`) {
			t.Errorf("%s: it ended with %q", name, last)
		}
	}
}

func TestTailComesAtOnce(t *testing.T) {
	log := entries(5)
	for name, c := range clients(t, LogHandler(log, nil, nil, log)) {
		ctx, cancel := context.WithCancel(t.Context())
		answer, err := c.Stream(ctx, http.MethodGet, "/log/tail?lines=2", nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []byte
		for bytes.Count(got, []byte("\n")) < 4 {
			chunk := make([]byte, 1024)
			n, err := answer.Read(chunk)
			if err != nil {
				t.Fatalf("%s: %v after %q", name, err, got)
			}
			got = append(got, chunk[:n]...)
		}
		if !bytes.Contains(got, []byte("change 3")) || !bytes.Contains(got, []byte("change 6")) || bytes.Contains(got, []byte("change 2")) {
			t.Errorf("%s: %q", name, got)
		}
		cancel()
		answer.Close()
	}
}

// failing is a proof that breaks off in the middle.
type failing struct{ Proof }

func (failing) Export(_ context.Context, w io.Writer, _ store.ExportOptions) error {
	w.Write(bytes.Repeat([]byte("x"), 100_000))
	return errors.New("a tile is damaged")
}

func TestHalfAnExportIsNone(t *testing.T) {
	for name, c := range clients(t, LogHandler(entries(0), failing{}, nil, nil)) {
		answer, err := c.Stream(t.Context(), http.MethodPost, "/log/export", Export{})
		if err != nil {
			continue // said at once
		}
		if _, err := io.ReadAll(answer); err == nil {
			t.Errorf("%s: half an export ended like a whole one", name)
		}
		answer.Close()
	}
}

func TestBugsEndAsASentence(t *testing.T) {
	for name, c := range clients(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug") })) {
		_, err := Get[Report](t.Context(), c, "/doctor")
		if err == nil || !strings.Contains(err.Error(), "a bug") || strings.Contains(err.Error(), "goroutine") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	if _, err := Get[Report](t.Context(), Dial(t.TempDir()), "/doctor"); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("%v", err)
	}
}
