package loopback

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// six skips where this machine has no [::1].
func six(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("there is no IPv6 here: ", err)
	}
	l.Close()
}

// Both addresses that a browser may go to are ours, and nobody else can have the
// other one.
func TestBoth(t *testing.T) {
	six(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if l.Addr().String() != fmt.Sprintf("127.0.0.1:%d", port) {
		t.Errorf("it is at %v", l.Addr())
	}
	for _, host := range []string{"127.0.0.1", "::1"} {
		conn, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		ours, err := l.Accept()
		if err != nil || ours.RemoteAddr().String() != conn.LocalAddr().String() {
			t.Errorf("%s: %v", host, err)
		}
		ours.Close()
		conn.Close()
		if other, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(port))); err == nil {
			other.Close()
			t.Errorf("somebody else listens on %s", host)
		}
	}
	waits := make(chan error)
	go func() {
		_, err := l.Accept()
		waits <- err
	}()
	time.Sleep(10 * time.Millisecond)
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if err := <-waits; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	for _, host := range []string{"127.0.0.1", "::1"} {
		if conn, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(port))); err == nil {
			conn.Close()
			t.Errorf("%s is open still", host)
		}
	}
}

// Where somebody listens on the other address already, we don't on the first.
func TestTheOtherIsTaken(t *testing.T) {
	six(t)
	other, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	address := fmt.Sprintf("127.0.0.1:%d", other.Addr().(*net.TCPAddr).Port)
	if l, err := Listen(address); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v, %v", l, err)
	}
	free, err := net.Listen("tcp", address) // and it is given back
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
}

// The name is of both.
func TestName(t *testing.T) {
	six(t)
	l, err := Listen("localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, two := l.(*pair); !two {
		t.Error("localhost is one")
	}
}

// Any other address is listened on as it is.
func TestOthers(t *testing.T) {
	for _, address := range []string{"[::1]:0", "0.0.0.0:0", "127.0.0.2:0"} {
		l, err := Listen(address)
		if err != nil {
			continue // this machine has none
		}
		if _, two := l.(*pair); two {
			t.Errorf("%s is two", address)
		}
		l.Close()
	}
	if _, err := Listen("nonsense"); err == nil {
		t.Error("nonsense is an address")
	}
}
