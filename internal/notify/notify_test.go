package notify

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	webhook "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/wneessen/go-mail"
	"go.uber.org/goleak"
)

// certificate is one for 127.0.0.1, which this process trusts.
var certificate tls.Certificate

func TestMain(m *testing.M) {
	server := httptest.NewTLSServer(nil)
	certificate = server.TLS.Certificates[0]
	server.Close()
	file, err := os.CreateTemp("", "roots")
	if err == nil {
		err = pem.Encode(file, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	}
	if err != nil {
		panic(err)
	}
	defer os.Remove(file.Name())
	os.Setenv("SSL_CERT_FILE", file.Name()) // read once, at the first handshake
	goleak.VerifyTestMain(m)
}

const key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjU"

// hostile is an event whose values are an agent's.
var hostile = Event{ID: "n_1", Kind: Asked, At: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), Title: "Somebody is asked",
	Facts: []Fact{{"tool", "desk/pay"}, {"agent says", "<!channel> [Approve](https://evil.example)\r\nBcc: eve@evil.example\r\n\r\n**yes**\u202e \x1b[2J" + strings.Repeat("x", 1000)}},
	Link:  "https://gate.example/console/approvals/a_1", Groups: []string{"finance"}}

// receiver is an HTTP server that answers what it is told to.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	answers []int
	got     []*http.Request
	bodies  [][]byte
}

func receive(t *testing.T, answers ...int) *receiver {
	r := &receiver{answers: answers}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got, r.bodies = append(r.got, q), append(r.bodies, body)
		code := http.StatusOK
		if len(r.answers) > 0 {
			code, r.answers = r.answers[0], r.answers[1:]
		}
		if code == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

func notifier(t *testing.T, targets ...Target) (*Notifier, *bytes.Buffer) {
	var said bytes.Buffer
	n := New(slog.New(slog.NewTextHandler(&said, nil)))
	n.firstAgain, n.giveUp = 10*time.Millisecond, 3*time.Second
	for i := range targets {
		targets[i].Within = 5 * time.Second
		if targets[i].Name == "" {
			targets[i].Name = "t"
		}
	}
	n.Configure(targets)
	t.Cleanup(n.Close)
	return n, &said
}

func until(t *testing.T, what string, true func() bool) {
	t.Helper()
	for range 1000 {
		if true() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("it did not come to it that %s", what)
}

// A webhook is signed as the reference implementation verifies it, tried again
// under the same id where it may help, and never says what hides something.
func TestWebhook(t *testing.T) {
	r := receive(t, http.StatusServiceUnavailable, http.StatusTooManyRequests)
	n, _ := notifier(t, Target{Kind: Webhook, URL: r.URL + "/hook", Key: key})
	n.Tell(hostile)
	until(t, "it is told", func() bool { return n.All()[0].Told == 1 })
	if r.count() != 3 {
		t.Fatalf("%d attempts", r.count())
	}
	verifier, err := webhook.NewWebhook(key)
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range r.got {
		if err := verifier.Verify(r.bodies[i], q.Header); err != nil || q.Header.Get("webhook-id") != "n_1" {
			t.Errorf("attempt %d: %v, %v", i, err, q.Header)
		}
	}
	if verifier.Verify(append(bytes.Clone(r.bodies[0]), ' '), r.got[0].Header) == nil {
		t.Error("anything verifies")
	}
	var got struct {
		Type      string
		Timestamp time.Time
		Data      struct {
			Title, Link string
			Facts       []Fact
			Groups      []string
		}
	}
	if err := json.Unmarshal(r.bodies[0], &got); err != nil || got.Type != Asked || !got.Timestamp.Equal(hostile.At) || got.Data.Link != hostile.Link || got.Data.Groups[0] != "finance" {
		t.Fatalf("%+v, %v", got, err)
	}
	says := got.Data.Facts[1].Value
	if strings.ContainsAny(says, "\r\n\x1b\u202e") || !strings.Contains(says, `\u{202e}`) || !strings.HasSuffix(says, "characters in all)") || len(says) > 600 {
		t.Errorf("%q", says)
	}
	if s := n.All()[0]; s.Error != "" || s.Lost != 0 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

// What will not help is not tried again, and nobody is followed anywhere.
func TestRefused(t *testing.T) {
	for _, code := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusGone, http.StatusFound} {
		r := receive(t, code)
		n, said := notifier(t, Target{Kind: Webhook, URL: r.URL + "/secret-path", Key: key})
		n.Tell(hostile)
		until(t, "it is lost", func() bool { return n.All()[0].Lost == 1 })
		n.Close()
		if r.count() != 1 || !strings.Contains(said.String(), "a notification is lost") {
			t.Errorf("%d: %d attempts, %s", code, r.count(), said)
		}
	}
}

// A target that is not there is given up after its time, and the log and doctor
// don't say what is secret of it.
func TestGivenUp(t *testing.T) {
	r := receive(t)
	url := r.URL + "/services/T0/B0/secret"
	r.Close()
	n, said := notifier(t, Target{Kind: Slack, URL: url})
	n.Tell(hostile)
	until(t, "it is lost", func() bool { return n.All()[0].Lost == 1 })
	s := n.All()[0]
	n.Close()
	if s.Error == "" || s.Since.IsZero() || strings.Contains(s.Error+said.String(), "secret\"") || strings.Contains(s.Error+said.String(), "/B0/") {
		t.Errorf("%+v, %s", s, said)
	}
}

// Only addresses that the operator meant are reached: not this machine under
// another name, nor the metadata service.
func TestAddresses(t *testing.T) {
	r := receive(t)
	_, port, _ := net.SplitHostPort(r.Listener.Addr().String())
	for _, c := range []struct {
		target Target
		told   int
	}{
		{Target{Kind: Webhook, URL: "http://[::ffff:127.0.0.1]:" + port, Key: key}, 1}, // it is written there
		{Target{Kind: Webhook, URL: "http://localhost:" + port, Key: key}, 1},
		{Target{Kind: Webhook, URL: "http://user:pass@127.0.0.1:" + port, Key: key}, 0},
		{Target{Kind: Webhook, URL: r.URL, Key: "whsec_c2hvcnQ="}, 0},
		{Target{Kind: Webhook, URL: r.URL, Err: errors.New("no secret")}, 0},
	} {
		n, _ := notifier(t, c.target)
		n.Tell(hostile)
		until(t, "it is told or lost", func() bool { s := n.All()[0]; return s.Told+s.Lost == 1 })
		if s := n.All()[0]; s.Told != c.told {
			t.Errorf("%s %v: %+v", c.target.URL, c.target.Allow, s)
		}
		n.Close()
	}
	name, _ := os.Hostname()
	addresses, err := net.LookupHost(name)
	if err != nil || len(addresses) == 0 || !netip.MustParseAddr(addresses[0]).IsPrivate() && !netip.MustParseAddr(addresses[0]).IsLoopback() {
		t.Skipf("this machine's own name leads to no private address: %v, %v", addresses, err)
	}
	for _, target := range []Target{{Kind: Webhook, URL: "http://" + name, Key: key}, {Kind: Email, Server: name + ":25", From: "a@example.com", To: []string{"b@example.com"}}} {
		n, _ := notifier(t, target)
		n.Tell(hostile)
		until(t, "it is lost", func() bool { return n.All()[0].Lost == 1 })
		if s := n.All()[0]; !strings.Contains(s.Error, "address refused") {
			t.Errorf("%+v", s)
		}
		n.Close()
	}
}

// Words of agents can't call people, nor look like our links.
func TestChats(t *testing.T) {
	r := receive(t)
	n, _ := notifier(t, Target{Kind: Slack, Name: "s", URL: r.URL}, Target{Kind: Teams, Name: "t", URL: r.URL + "/t"})
	n.Tell(hostile)
	until(t, "both are told", func() bool { return r.count() == 2 })
	for i, q := range r.got {
		if q.URL.Path == "/t" {
			var got struct {
				Type        string
				Attachments []struct {
					ContentType string
					Content     struct {
						Body    []struct{ Type string }
						Actions []struct{ Type, URL string }
					}
				}
			}
			if err := json.Unmarshal(r.bodies[i], &got); err != nil || got.Type != "message" || len(got.Attachments) != 1 {
				t.Fatalf("%s, %v", r.bodies[i], err)
			}
			card := got.Attachments[0].Content
			for _, b := range card.Body {
				if b.Type != "RichTextBlock" {
					t.Errorf("%s reads Markdown", b.Type)
				}
			}
			if len(card.Actions) != 1 || card.Actions[0].Type != "Action.OpenUrl" || card.Actions[0].URL != hostile.Link || len(card.Body) != 3 {
				t.Errorf("%+v", card)
			}
			continue
		}
		if text := string(r.bodies[i]); strings.Contains(text, "mrkdwn") || strings.Contains(text, `"text":"\u003c!channel`) || strings.Count(text, `"plain_text"`) != 4 {
			t.Errorf("%s", text)
		}
	}
	if got := slack(Event{Title: "<!channel> & more"}).(object)["text"]; got != "&lt;!channel&gt; &amp; more" {
		t.Error(got)
	}
}

// Who is told what.
func TestWants(t *testing.T) {
	asked := Event{Kind: Asked, Groups: []string{"finance", "security"}}
	for _, c := range []struct {
		target Target
		event  Event
		want   bool
	}{
		{Target{}, asked, true},
		{Target{Events: []string{Kill}}, asked, false},
		{Target{Events: []string{Kill, Asked}, Groups: []string{"security"}}, asked, true},
		{Target{Groups: []string{"ops"}}, asked, false},
		{Target{Groups: []string{"ops"}}, Event{Kind: Kill}, true},
	} {
		if c.target.wants(&c.event) != c.want {
			t.Errorf("%+v, %+v", c.target, c.event)
		}
	}
}

// A target that hangs costs nobody else anything, and what is too much is lost
// and counted.
func TestNobodyWaits(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer server.Close()
	defer close(hang)
	r := receive(t)
	n, _ := notifier(t, Target{Kind: Webhook, Name: "hangs", URL: server.URL, Key: key}, Target{Kind: Webhook, Name: "well", URL: r.URL, Key: key})
	began := time.Now()
	for range maxWaiting + 50 {
		n.Tell(hostile)
		if len(n.targets[1].queue) > maxWaiting/4 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	until(t, "the other is told", func() bool { return n.All()[1].Told == maxWaiting+50 })
	if s := n.All()[0]; s.Lost < 45 || s.Waiting > maxWaiting {
		t.Errorf("%+v", s)
	}
}

// Whatever agents bring about, there is room for what people do to stop them.
func TestRoomForKills(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer server.Close()
	defer close(hang)
	n, _ := notifier(t, Target{Kind: Webhook, Name: "hangs", URL: server.URL, Key: key})
	for _, kind := range []string{Asked, Expired, Escalated, Limit, Breaker, Quarantine} {
		for range maxWaiting {
			e := hostile
			e.Kind = kind
			n.Tell(e)
		}
	}
	if s := n.All()[0]; s.Waiting > maxWaiting/2 {
		t.Errorf("%+v", s)
	}
	lost := n.All()[0].Lost
	for range maxWaiting / 4 {
		n.Tell(Event{Kind: Kill, Title: "Killed"})
		n.Tell(Event{Kind: Log, Title: "The log"})
	}
	if s := n.All()[0]; s.Lost != lost || s.Waiting < maxWaiting/2 {
		t.Errorf("%d were lost before: %+v", lost, s)
	}
}

// inbox is an SMTP server.
type inbox struct {
	mu      sync.Mutex
	letters []string
	to      []string
	user    string
	later   int // refuse so many for now
}

type smtpSession struct{ *inbox }

func (i *inbox) NewSession(*smtp.Conn) (smtp.Session, error) { return smtpSession{i}, nil }

func (s smtpSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s smtpSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != "hunter22" {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

func (s smtpSession) Mail(string, *smtp.MailOptions) error { return nil }

func (s smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = append(s.to, to)
	return nil
}

func (s smtpSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.later > 0 {
		s.later--
		return &smtp.SMTPError{Code: 451, Message: "later"}
	}
	s.letters = append(s.letters, string(text))
	return err
}

func (smtpSession) Reset()        {}
func (smtpSession) Logout() error { return nil }

// An e-mail goes to those who are configured and nobody else, whatever an agent
// writes, and is the same one when it is sent again.
func TestEmail(t *testing.T) {
	box := &inbox{later: 1}
	server := smtp.NewServer(box)
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	n, _ := notifier(t, Target{Kind: Email, Server: listener.Addr().String(), From: "gate@example.com", To: []string{"ops@example.com"}, User: "gate", Key: "hunter22"})
	e := hostile
	e.Title = "Asked\r\nBcc: eve@evil.example"
	n.Tell(e)
	until(t, "it is told", func() bool { return n.All()[0].Told == 1 || n.All()[0].Lost == 1 })
	if s := n.All()[0]; s.Told != 1 {
		t.Fatalf("%+v", s)
	}
	box.mu.Lock()
	defer box.mu.Unlock()
	if len(box.letters) != 1 || strings.Join(box.to, " ") != "ops@example.com ops@example.com" || box.user != "gate" {
		t.Fatalf("%d letters by %s to %v", len(box.letters), box.user, box.to)
	}
	got, err := netmail.ReadMessage(strings.NewReader(box.letters[0]))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"To": "<ops@example.com>", "From": "<gate@example.com>", "Bcc": "", "Message-Id": "<n_1@sallyport>",
		"Subject": `Sallyport: Asked\u{d}\u{a}Bcc: eve@evil.example`} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: %q", name, got.Header.Get(name))
		}
	}
	text, err := io.ReadAll(quotedprintable.NewReader(got.Body))
	if err != nil || !strings.Contains(string(text), "\r\nhttps://gate.example/console/approvals/a_1\r\n") || strings.Count(string(text), "\n") > 12 {
		t.Errorf("%v\n%s", err, text)
	}
}

// Passwords and what is told are not readable on the way.
func TestEmailNeedsTLS(t *testing.T) {
	for host, want := range map[string]mail.TLSPolicy{"smtp.example.com": mail.TLSMandatory, "10.0.0.1": mail.TLSMandatory, "localhost.evil.example": mail.TLSMandatory, "localhost": mail.TLSOpportunistic, "127.0.0.1": mail.TLSOpportunistic, "::1": mail.TLSOpportunistic} {
		if got := policyOf(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}

// What stays in the configuration goes on; what is gone stops.
func TestConfigure(t *testing.T) {
	r, other := receive(t), receive(t)
	stays, goes := Target{Name: "stays", Kind: Webhook, URL: r.URL, Key: key, Within: 5 * time.Second}, Target{Name: "goes", Kind: Webhook, URL: other.URL, Key: key, Within: 5 * time.Second}
	n, _ := notifier(t, stays, goes)
	n.Tell(hostile)
	until(t, "both are told", func() bool { return r.count() == 1 && other.count() == 1 })
	until(t, "it is counted", func() bool { return n.All()[0].Told == 1 })
	n.Configure([]Target{stays})
	n.Tell(hostile)
	until(t, "the one is told", func() bool { return n.All()[0].Told == 2 })
	if other.count() != 1 || len(n.All()) != 1 {
		t.Errorf("%d, %+v", other.count(), n.All())
	}
}
