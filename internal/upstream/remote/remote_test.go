package remote

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
)

func TestIsPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"93.184.216.34": true, "1.1.1.1": true, "2606:4700:4700::1111": true,
		"127.0.0.1": false, "127.8.8.8": false, "::1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false,
		"fd00:ec2::254": false, "169.254.169.254": false, "fe80::1": false, "0.0.0.0": false, "::": false,
		"100.100.100.200": false, "168.63.129.16": false, "192.0.0.192": false, "224.0.0.1": false, "ff02::1": false,
		"255.255.255.255": false, "240.0.0.1": false, "198.18.0.1": false, "203.0.113.5": false,
		"64:ff9b::a9fe:a9fe": false, "2002:a9fe:a9fe::": false, "2001:0:4136:e378:8000:63bf:3fff:fdd2": false, "2001:db8::1": false,
	} {
		if got := isPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestGuard(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		host, to string
		allow    []netip.Prefix
		ok       bool
	}{
		{"example.com", "93.184.216.34:443", nil, true},
		{"example.com", "10.0.0.1:443", nil, false},
		{"example.com", "10.0.0.1:443", allow, true},
		{"example.com", "[::ffff:10.0.0.1]:443", nil, false},
		{"example.com", "[::ffff:10.0.0.1]:443", allow, true},
		{"example.com", "169.254.169.254:80", allow, false},
		{"169.254.169.254", "169.254.169.254:80", nil, true}, // named by the operator
		{"127.0.0.1", "127.0.0.1:80", nil, true},
		{"127.0.0.1", "127.0.0.2:80", nil, false},
		{"localhost", "127.0.0.1:80", nil, true},
		{"LOCALHOST", "[::1]:80", nil, true},
		{"localhost", "10.0.0.1:80", nil, false},
		{"localhost.example.com", "127.0.0.1:80", nil, false},
		{"fe80::1", "[fe80::1%eth0]:80", nil, true},
		{"example.com", "/run/socket", nil, false},
	} {
		g := &guard{c.host, c.allow}
		if err := g.Control("tcp", c.to, nil); (err == nil) != c.ok {
			t.Errorf("%s to %s: %v", c.host, c.to, err)
		}
	}
}

func TestLines(t *testing.T) {
	const text = "one\r\n\ntwo\nnever ended"
	for name, from := range map[string]io.Reader{
		"whole": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)), "with its end": iotest.DataErrReader(strings.NewReader(text)),
	} {
		l := NewLines(from, 100)
		var got []string
		for {
			line, err := l.Next()
			if err != nil {
				if err != io.EOF {
					t.Error(err)
				}
				break
			}
			got = append(got, string(line))
		}
		if want := []string{"one", "", "two"}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	long := strings.Repeat("x", 300<<10)
	l := NewLines(strings.NewReader(long+"\nshort\n"+long+"x"), len(long))
	for _, want := range []string{long, "short"} {
		if line, err := l.Next(); err != nil || string(line) != want {
			t.Fatalf("%d bytes, %v", len(line), err)
		}
	}
	if _, err := l.Next(); !errors.Is(err, ErrTooLong) && err != io.EOF {
		t.Error(err)
	}
	if len(l.buf) > 1<<20 {
		t.Errorf("%d bytes kept", len(l.buf))
	}
	l = NewLines(endless{}, 1<<20)
	if _, err := l.Next(); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestEvents(t *testing.T) {
	alive := 0
	e := NewEvents(64, func() { alive++ })
	e.From(strings.NewReader(": comment\n\ndata: {\"a\":\ndata: 1}\nid: 7\nretry: 20\n\nevent: endpoint\ndata:/x\n\nid: bad\x01id\nid\ndata\n\nretry: 999999999\ndata: 2\n\ndata: cut off"))
	want := []Event{{"", []byte("{\"a\":\n1}")}, {"endpoint", []byte("/x")}, {"", []byte("")}, {"", []byte("2")}}
	for _, w := range want {
		ev, err := e.Next()
		if err != nil || ev.Name != w.Name || !bytes.Equal(ev.Data, w.Data) {
			t.Errorf("%q %q %v", ev.Name, ev.Data, err)
		}
	}
	if _, err := e.Next(); err != io.EOF {
		t.Error(err)
	}
	if e.Last != "" || e.Retry != maxRetry || alive != 5 {
		t.Errorf("last %q, retry %s, %d signs of life", e.Last, e.Retry, alive)
	}
	e.From(strings.NewReader(strings.Repeat("data: 0123456789\n", 8) + "\n"))
	if _, err := e.Next(); !errors.Is(err, ErrTooLong) {
		t.Errorf("an event of many lines: %v", err)
	}
}

// FuzzEvents: no stream of bytes makes it fail otherwise than by an error, nor keep more than the limit.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("data: x\n\n"), uint16(10))
	f.Add([]byte("event: message\r\nid: 1\r\ndata: {}\r\n\r\n: c\n\n"), uint16(100))
	f.Fuzz(func(t *testing.T, text []byte, limit uint16) {
		e := NewEvents(int(limit), func() {})
		e.From(iotest.HalfReader(bytes.NewReader(text)))
		for {
			ev, err := e.Next()
			if err != nil {
				break
			}
			if len(ev.Data) > 2*int(limit)+len(text) || !isHeaderSafe([]byte(e.Last)) {
				t.Fatalf("%d bytes, last %q", len(ev.Data), e.Last)
			}
		}
		e.Free()
	})
}
