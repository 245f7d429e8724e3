package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"sallyport/internal/config"
	"sallyport/internal/demo/cloud"
	"sallyport/internal/demo/desk"
	"sallyport/internal/hookdoor"
	"sallyport/internal/hookdoor/table"
	"sallyport/internal/upstream"
)

// reachable cuts the configuration up for upstream. A server whose secret is
// missing is left out and reported; the others must not suffer from it.
func reachable(c *config.Config, secret func(name string) (string, bool), demos *demos) (servers []upstream.Server, missing map[string]error) {
	missing = map[string]error{}
	for _, name := range slices.Sorted(maps.Keys(c.Servers)) {
		s := c.Servers[name]
		r := resolver{secret: secret}
		next := upstream.Server{
			Name: name, Command: s.Command, Args: r.list(s.Args), Env: r.table(s.Env), Dir: s.Cwd,
			URL: r.text(s.URL), Transport: upstream.Transport(s.Transport), Headers: r.table(s.Headers),
			Limits: upstream.Limits{Result: int(c.Sizes.Result)},
		}
		for _, text := range s.AllowAddresses {
			next.AllowAddresses = append(next.AllowAddresses, prefixOf(text))
		}
		if s.Builtin != "" {
			next.Serve = demos.serve(s.Builtin)
		}
		if len(r.missing) > 0 {
			missing[name] = fmt.Errorf("the state directory keeps no secret %s: put it into secrets.json", strings.Join(r.missing, ", "))
			continue
		}
		servers = append(servers, next)
	}
	return servers, missing
}

// prefixOf reads an address or a prefix; check has seen that it is one.
func prefixOf(text string) netip.Prefix {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{} // contains nothing
	}
	return netip.PrefixFrom(address, address.BitLen())
}

// resolver fills secrets in.
type resolver struct {
	secret  func(name string) (string, bool)
	missing []string
}

func (r *resolver) text(t config.Text) string {
	if t.Secret == "" {
		return t.Value
	}
	value, ok := r.secret(t.Secret)
	if !ok {
		r.missing = append(r.missing, t.Secret)
	}
	return value
}

func (r *resolver) list(texts []config.Text) []string {
	var list []string
	for _, t := range texts {
		list = append(list, r.text(t))
	}
	return list
}

func (r *resolver) table(texts map[string]config.Text) map[string]string {
	if texts == nil {
		return nil
	}
	table := make(map[string]string, len(texts))
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		table[name] = r.text(texts[name])
	}
	return table
}

// demos are the built-in servers. Each has one state that all sessions share
// for as long as the gateway runs.
type demos struct {
	mu    sync.Mutex
	desk  *desk.Desk
	cloud *cloud.Cloud
}

func (d *demos) serve(name string) func(context.Context, io.Reader, io.Writer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch name {
	case "desk":
		if d.desk == nil {
			d.desk = desk.New()
		}
		return d.desk.Serve
	case table.ClaudeCode:
		return hookdoor.Serve
	case "cloud":
		if d.cloud == nil {
			d.cloud = cloud.New()
		}
		return d.cloud.Serve
	default:
		return func(context.Context, io.Reader, io.Writer) error {
			return errors.New("there is no such built-in server")
		}
	}
}
