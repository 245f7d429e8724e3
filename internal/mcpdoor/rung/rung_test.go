package rung

import (
	"strings"
	"testing"
	"time"

	"sallyport"
)

const table = `
# client since hold quiet url source
code  2.1.187 240s 45s no  https://example.com/1
code  0       50s  0s  no  https://example.com/2
page  0       60s  30s yes https://example.com/3
never 0       0s   0s  yes https://example.com/4
*     0       45s  20s yes https://example.com/5
`

func TestChoose(t *testing.T) {
	rows, err := Parse(table)
	if err != nil {
		t.Fatal(err)
	}
	both, forms, none := `{"form":{},"url":{}}`, `{}`, ``
	for _, c := range []struct {
		what                      string
		client, version           string
		elicits                   string
		stateless, streams, token bool
		rung                      Rung
		hold                      time.Duration
	}{
		{"unknown, hears nothing", "x", "1", none, false, false, false, Park, 0},
		{"unknown, no token", "x", "1", none, false, true, false, Park, 0},
		{"unknown, a token and no stream", "x", "1", none, false, false, true, Park, 0},
		{"unknown, progress", "x", "1", none, false, true, true, Wait, 45 * time.Second},
		{"forms alone are no pages", "x", "1", forms, false, true, true, Wait, 45 * time.Second},
		{"pages, without progress", "x", "1", both, false, true, false, URL, 20 * time.Second},
		{"pages, with progress", "x", "1", both, false, true, true, URL, 45 * time.Second},
		{"pages, and no stream to ask on", "x", "1", both, false, false, true, Park, 0},
		{"stateless is asked by the answer", "x", "1", both, true, false, false, URL, 20 * time.Second},
		{"a client that says url and can't", "code", "2.1.187", both, true, true, true, Wait, 240 * time.Second},
		{"a newer one", "code", "2.2", none, true, true, true, Wait, 240 * time.Second},
		{"an older one", "code", "2.1.99", none, true, true, true, Wait, 50 * time.Second},
		{"with letters behind", "code", "2.1.190-beta", none, true, true, true, Wait, 50 * time.Second},
		{"without a version", "code", "", none, true, true, true, Wait, 50 * time.Second},
		{"another client's name is no prefix", "coder", "3", none, true, true, true, Wait, 45 * time.Second},
		{"who can't wait is not asked to", "never", "1", both, true, true, true, Park, 0},
		{"nobody", "", "", none, true, true, true, Wait, 45 * time.Second},
	} {
		elicits := sallyport.Value{}
		if c.elicits != "" {
			elicits = sallyport.MustParse(c.elicits)
		}
		got := rows.Choose(Client{Name: c.client, Version: c.version, Elicits: elicits, Stateless: c.stateless, Streams: c.streams, Token: c.token})
		if got != (Way{c.rung, c.hold}) {
			t.Errorf("%s: %v for %v, want %v for %v", c.what, got.Rung, got.Hold, c.rung, c.hold)
		}
	}
	for elicits, rung := range map[string]Rung{forms: Form, `{"form":{}}`: Form, `{"other":{}}`: Wait, both: URL} {
		c := Client{Name: "x", Form: true, Token: true, Streams: true, Elicits: sallyport.MustParse(elicits)}
		if got := rows.Choose(c); got.Rung != rung {
			t.Errorf("a form for %s: %v, want %v", elicits, got.Rung, rung)
		}
		if c.Form = false; rows.Choose(c).Rung == Form {
			t.Error("a form that does not count")
		}
	}
	if got := rows.Choose(Client{Name: "never", Task: true, Token: true, Streams: true, Stateless: true, Elicits: sallyport.MustParse(both)}); got != (Way{Task, 0}) {
		t.Errorf("a task is above all: %v", got)
	}
	if got := (Table{}).Choose(Client{Token: true, Streams: true}); got.Rung != Park {
		t.Errorf("without a table: %v", got)
	}
}

// The table that comes with the gateway can be read, has a line for everybody,
// says where each line is from, and never has a call wait for longer than the
// longest that is known to work.
func TestClients(t *testing.T) {
	for _, q := range Clients() {
		if q.hold > 240*time.Second || q.quiet > q.hold {
			t.Errorf("%s is held for %v, %v without progress", q.client, q.hold, q.quiet)
		}
	}
	for line := range strings.SplitSeq(clients, "\n") {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] != "#" && fields[0] != "*" && !strings.HasPrefix(fields[5], "https://") {
			t.Errorf("no source: %s", line)
		}
	}
	for _, broken := range []string{"", "x 0 1s 1s yes s", "* 0 1 1s yes s", "* 0 1s 1 yes s", "* 0 1s 1s maybe s", "* 0 1s 1s yes"} {
		if _, err := Parse(broken); err == nil {
			t.Errorf("taken: %q", broken)
		}
	}
}

func TestRoom(t *testing.T) {
	var r Room[string]
	var leave func()
	for range maxOpenOfOne {
		l, ok := r.Enter("ana")
		if !ok {
			t.Fatal("no room")
		}
		leave = l
	}
	if _, ok := r.Enter("ana"); ok {
		t.Error("one agent takes more than its share")
	}
	if _, ok := r.Enter("bob"); !ok {
		t.Error("another agent has no room")
	}
	leave()
	if _, ok := r.Enter("ana"); !ok {
		t.Error("what is left is not free again")
	}
	for i := range maxOpen {
		r.Enter(strings.Repeat("x", i))
	}
	if _, ok := r.Enter("eve"); ok {
		t.Error("more than all may be")
	}
}
