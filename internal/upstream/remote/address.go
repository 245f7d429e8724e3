package remote

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
)

// special are the ranges that look like public unicast and are not, or that
// wrap another address (NAT64, 6to4, Teredo) and would carry a private one
// past the check. 168.63.129.16 is Azure's metadata service.
var special = func() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range strings.Fields(`0.0.0.0/8 100.64.0.0/10 168.63.129.16/32 192.0.0.0/24 192.0.2.0/24
		192.88.99.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4
		64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 5f00::/16 fec0::/10`) {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}()

// isPublic reports whether an address lies in the public internet: not
// loopback, private, link-local (cloud metadata), multicast or special.
func isPublic(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// guard says to which addresses connections to one configured host may go.
type guard struct {
	host  string
	allow []netip.Prefix
}

// Control is a net.Dialer's hook: it sees the address that is really
// connected to, after name resolution, so a name that resolves to something
// else the second time (DNS rebinding) gains nothing.
func (g *guard) Control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address refused: %q is not an IP address", address)
	}
	addr := to.Addr().Unmap().WithZone("")
	if isPublic(addr) || g.names(addr) {
		return nil
	}
	return fmt.Errorf("address refused: %s leads to %s, which is not a public address; if that is meant, allow the address in the server's configuration", g.host, addr)
}

// names reports whether the operator named the address: as the URL's host, as
// localhost, or among the allowed ones.
func (g *guard) names(addr netip.Addr) bool {
	if literal, err := netip.ParseAddr(g.host); err == nil && literal.Unmap().WithZone("") == addr {
		return true
	}
	if strings.EqualFold(g.host, "localhost") && addr.IsLoopback() {
		return true
	}
	for _, p := range g.allow {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
