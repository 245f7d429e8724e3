package console

import (
	"bufio"
	"context"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport"
	"sallyport/internal/console/session"
	"sallyport/internal/limits"
)

// A page hears that something was asked as soon as it is in the log, and of
// anything else at most once a second; nothing is left behind when it goes.
func TestLive(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	w := newWorld()
	c := open(t, w, false)
	cookie, _ := person(t, c)
	server := httptest.NewServer(c)
	defer server.Close()
	request, err := http.NewRequest("GET", server.URL+Path+"events?from=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	cookie(request)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer response.Body.Close()
	heard := make(chan string)
	go func() {
		defer close(heard)
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if text, data := strings.CutPrefix(lines.Text(), "data: "); data {
				heard <- text
			}
		}
	}()
	next := func() string {
		select {
		case text := <-heard:
			return text
		case <-time.After(5 * time.Second):
			t.Fatal("nothing is heard")
			return ""
		}
	}
	began := time.Now()
	w.grown <- sallyport.Entry{Type: sallyport.Intent}
	if text := next(); text != grown {
		t.Errorf("heard %q", text)
	}
	w.grown <- sallyport.Entry{Type: sallyport.Intent}
	w.grown <- sallyport.Entry{Type: sallyport.Held}
	if text := next(); text != asked || time.Since(began) > 500*time.Millisecond {
		t.Errorf("heard %q after %v", text, time.Since(began))
	}
	if text := next(); text != grown || time.Since(began) < grownEvery {
		t.Errorf("heard %q after %v", text, time.Since(began))
	}
	response.Body.Close()
	for range heard {
	}
	for until := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		c.live.mu.Lock()
		left := len(c.live.viewers)
		c.live.mu.Unlock()
		if left == 0 {
			break
		}
		if time.Now().After(until) {
			t.Fatal("who has gone is still told")
		}
	}
}

// What happened between a page and its stream is heard at once.
func TestLiveFromThePageOn(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	cookie, _ := person(t, c)
	server := httptest.NewServer(c)
	defer server.Close()
	w.found = append(w.found, w.found...)
	for from, hears := range map[string]bool{"0": false, "": true} {
		request, _ := http.NewRequest("GET", server.URL+Path+"events?from="+from, nil)
		cookie(request)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan bool, 1)
		go func() {
			lines := bufio.NewScanner(response.Body)
			for lines.Scan() && !strings.HasPrefix(lines.Text(), "data: ") {
			}
			got <- lines.Text() != ""
		}()
		select {
		case <-got:
			if !hears {
				t.Errorf("from %q: heard something", from)
			}
		case <-time.After(300 * time.Millisecond):
			if hears {
				t.Errorf("from %q: heard nothing", from)
			}
		}
		response.Body.Close()
	}
	if answer := ask(c, "GET", Path+"events?from=0", ""); answer.Code != http.StatusUnauthorized {
		t.Errorf("anybody hears: HTTP %d", answer.Code)
	}
}

// Whoever has links, or one session, takes no stream from people.
func TestViewersAreBounded(t *testing.T) {
	h := hub{log: newWorld()}
	var all []*viewer
	sessions := &session.Sessions{Now: time.Now}
	of := func(who string) *session.Session {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		cookie, _ := sessions.Begin(who)
		r.AddCookie(&http.Cookie{Name: "c", Value: cookie})
		return sessions.Of(r, "c")
	}
	for _, who := range []string{"", "maren"} {
		for range maxViewers / perSession {
			one := of(who)
			for range perSession {
				v, room := h.join(0, one)
				if !room {
					t.Fatalf("no room for %q", who)
				}
				all = append(all, v)
			}
			if _, room := h.join(0, one); room {
				t.Errorf("streams of one session of %q without end", who)
			}
		}
		if _, room := h.join(0, of(who)); room {
			t.Errorf("viewers like %q without end", who)
		}
	}
	for _, v := range all {
		h.leave(v)
	}
}

// deaf is a log that breaks off.
type deaf struct{ *world }

func (deaf) Tail(context.Context, uint64) iter.Seq2[sallyport.Entry, error] {
	return func(yield func(sallyport.Entry, error) bool) { yield(sallyport.Entry{}, errors.New("damaged")) }
}

// A page that can't hear any more is told so.
func TestStreamsBreakOff(t *testing.T) {
	w := newWorld()
	c := open(t, w, false)
	c.live.log = deaf{w}
	cookie, _ := person(t, c)
	ended := make(chan struct{})
	go func() {
		ask(c, "GET", Path+"events", "", cookie)
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("a page hears nothing, and looks as if nothing happened")
	}
	if len(c.live.viewers) != 0 {
		t.Errorf("%d are left", len(c.live.viewers))
	}
}

// Each limit stands before its parts, whatever order they come in; one that is
// part of itself stands by itself.
func TestLimitTree(t *testing.T) {
	var got []string
	for _, l := range tree([]limits.Shown{{Name: "part", Within: "whole"}, {Name: "alone", Within: "gone"}, {Name: "whole"}, {Name: "piece", Within: "part"}, {Name: "own", Within: "own"}}) {
		got = append(got, strings.Repeat("-", l.Depth)+l.Name)
	}
	if text := strings.Join(got, " "); text != "alone whole -part --piece own" {
		t.Error(text)
	}
}
