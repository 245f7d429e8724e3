package asks

import (
	"net"
	"net/netip"
	"strconv"

	"sallyport/internal/config"
)

// Site is how people reach the main port, which may listen on every address.
func Site(c *config.Config, at net.Addr) string {
	scheme, host := "http", at.String()
	if c.TLS != nil {
		scheme = "https"
	}
	if bound, err := netip.ParseAddrPort(host); err == nil && bound.Addr().IsUnspecified() {
		name := "localhost"
		if len(c.Hosts) > 0 {
			name = c.Hosts[0]
		}
		host = net.JoinHostPort(name, strconv.Itoa(int(bound.Port())))
	}
	return scheme + "://" + host
}
