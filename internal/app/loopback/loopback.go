// Package loopback listens on this machine.
package loopback

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// tries is how many ports are tried where any will do.
const tries = 20

// Listen listens on a TCP address. Where that is 127.0.0.1 or localhost, it listens on [::1], too,
// at the same port: browsers go there first when they are told "localhost", and
// whoever else listened there would be taken for the gateway, with its cookies and
// what it keeps in browsers. So there is an error when somebody does.
func Listen(address string) (net.Listener, error) {
	if port, named := strings.CutPrefix(address, "localhost:"); named {
		address = "127.0.0.1:" + port
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil || at.Addr() != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return net.Listen("tcp", address)
	}
	for n := 1; ; n++ {
		listener, err := both(at)
		if at.Port() != 0 || n == tries || !errors.Is(err, syscall.EADDRINUSE) {
			return listener, err
		}
	}
}

func both(at netip.AddrPort) (net.Listener, error) {
	first, err := net.Listen("tcp", at.String())
	if err != nil {
		return nil, err
	}
	second, err := net.Listen("tcp", net.JoinHostPort(netip.IPv6Loopback().String(), strconv.Itoa(first.Addr().(*net.TCPAddr).Port)))
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT): // there is none, for nobody
		return first, nil
	case err != nil:
		return nil, errors.Join(err, first.Close())
	}
	p := &pair{Listener: first, second: second, came: make(chan arrival), closed: make(chan struct{})}
	go p.take(first)
	go p.take(second)

	return p, nil
}

// pair is two listeners as one, at the address of the first.
type pair struct {
	net.Listener
	second net.Listener
	came   chan arrival
	closed chan struct{}
	once   sync.Once
}

type arrival struct {
	conn net.Conn
	err  error
}

func (p *pair) take(from net.Listener) {
	for {
		conn, err := from.Accept()
		select {
		case p.came <- arrival{conn, err}:
		case <-p.closed:
			if err == nil {
				conn.Close()
			}
			return
		}
	}
}

func (p *pair) Accept() (net.Conn, error) {
	select {
	case a := <-p.came:
		return a.conn, a.err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pair) Close() (err error) {
	p.once.Do(func() {
		close(p.closed)
		err = errors.Join(p.Listener.Close(), p.second.Close())
	})
	return err
}
