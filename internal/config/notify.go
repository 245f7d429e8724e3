package config

import (
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"sallyport/internal/notify"
	"sallyport/internal/policy/source"
)

// Notify is one way to tell people what has happened. It tells and links, and
// authorises nothing.
type Notify struct {
	// Name is what the log and doctor call it.
	Name string `yaml:"name"`
	// Kind is webhook (signed, as Standard Webhooks has it), slack, teams, email or
	// desktop (of the user under whom the gateway runs).
	Kind string `yaml:"kind"`
	// URL is where a webhook, Slack or Teams takes messages. It needs https unless
	// it is this machine. One that is secret itself is {secret: NAME}.
	URL Text `yaml:"url"`
	// Key signs webhooks (whsec_ and base64), or is the password for Server.
	Key Text `yaml:"key"`
	// AllowAddresses admits addresses that are not on the public internet, to which
	// URL or Server may lead: addresses or CIDR prefixes.
	AllowAddresses []string `yaml:"allow_addresses"`

	// Server is where e-mail is handed over, HOST:PORT; with STARTTLS, or TLS on
	// port 465. User goes with Key.
	Server string   `yaml:"server"`
	User   string   `yaml:"user"`
	From   string   `yaml:"from"`
	To     []string `yaml:"to"`

	// Events are what is told; default all of them.
	Events []string `yaml:"events"`
	// Groups narrows what is told of questions to those that ask one of them.
	Groups []string `yaml:"groups"`
}

func (r *reader) checkNotify() {
	names := map[string]bool{}
	for i, n := range r.config.Notify {
		at := func(path ...any) []any { return append([]any{"notify", i}, path...) }
		if !plainName.MatchString(n.Name) || names[n.Name] {
			r.problem(at("name"), "each way to notify needs a name of its own, of letters, digits and ._@-")
		}
		names[n.Name] = true
		email, desktop := n.Kind == notify.Email, n.Kind == notify.Desktop
		switch {
		case !slices.Contains(notify.Kinds[:], n.Kind):
			r.problem(at("kind"), "there is no kind %q%s", n.Kind, source.Meant(n.Kind, notify.Kinds[:]))
		case email && (n.URL != Text{} || n.From == "" || len(n.To) == 0):
			r.problem(at(), "e-mail needs server, from and to, and has no url")
		case !email && (n.Server != "" || n.User != "" || n.From != "" || n.To != nil):
			r.problem(at(), "server, user, from and to belong to e-mail")
		case desktop && (n.URL != Text{} || n.AllowAddresses != nil):
			r.problem(at(), "a desktop is this machine's: it has no url and no addresses")
		case !email && !desktop && n.URL.Secret == "":
			r.checkNotifyURL(at("url"), n.URL.Value)
		}
		if (n.Kind == notify.Webhook) != (n.Key != Text{}) && !email {
			r.problem(at("key"), "a webhook is signed with a key: {secret: NAME}; Slack, Teams and a desktop have none")
		}
		if n.Key.Value != "" {
			r.problem(at("key"), "a key does not belong into this file: put it into secrets.json, and {secret: NAME} here")
		}
		if email {
			r.checkMail(at, n)
		}
		for j, text := range n.AllowAddresses {
			if _, err := netip.ParsePrefix(text); err != nil {
				if _, err := netip.ParseAddr(text); err != nil {
					r.problem(at("allow_addresses", j), "%q is not an address or a prefix", text)
				}
			}
		}
		for j, event := range n.Events {
			if !slices.Contains(notify.Events[:], event) {
				r.problem(at("events", j), "there is no event %q%s", event, source.Meant(event, notify.Events[:]))
			}
		}
		for j, group := range n.Groups {
			if !slices.Contains(r.config.groups(), group) {
				r.problem(at("groups", j), "no user is in a group %q", group)
			}
		}
	}
}

func (r *reader) checkNotifyURL(at []any, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "":
		r.problem(at, "an http or https URL is needed")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		r.problem(at, "what is told would be readable on the way to %s: use https", u.Hostname())
	}
}

func (r *reader) checkMail(at func(path ...any) []any, n Notify) {
	if _, _, err := net.SplitHostPort(n.Server); err != nil {
		r.problem(at("server"), "%q is not a mail server: write it like smtp.example.com:587", n.Server)
	}
	for _, address := range append([]string{n.From}, n.To...) {
		if _, err := mail.ParseAddress(address); err != nil {
			r.problem(at("to"), "%q is not an e-mail address", address)
		}
	}
	if (n.User == "") != (n.Key == Text{}) {
		r.problem(at("user"), "user and key go together")
	}
}

// Notifies are the ways to notify for the package that does. What lacks its
// secret says so at each attempt.
func (c *Config) Notifies(secret func(name string) (string, bool)) []notify.Target {
	var all []notify.Target
	for _, n := range c.Notify {
		t := notify.Target{Name: n.Name, Kind: n.Kind, Events: n.Events, Groups: n.Groups, Server: n.Server, User: n.User, From: n.From, To: n.To, Within: 30 * time.Second}
		for _, one := range []struct {
			text Text
			to   *string
		}{{n.URL, &t.URL}, {n.Key, &t.Key}} {
			*one.to = one.text.Value
			if one.text.Secret != "" {
				var known bool
				if *one.to, known = secret(one.text.Secret); !known {
					t.Err = fmt.Errorf("the state directory keeps no secret %s: put it into secrets.json", one.text.Secret)
				}
			}
		}
		for _, text := range n.AllowAddresses {
			prefix, err := netip.ParsePrefix(text)
			if err != nil {
				address, _ := netip.ParseAddr(text)
				prefix = netip.PrefixFrom(address, address.BitLen())
			}
			t.Allow = append(t.Allow, prefix)
		}
		all = append(all, t)
	}
	return all
}
