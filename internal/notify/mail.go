package notify

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"

	"github.com/cenkalti/backoff/v5"
	"github.com/wneessen/go-mail"

	"sallyport/internal/upstream/remote"
)

// port465 is the port on which TLS is spoken from the first byte (RFC 8314).
const port465 = 465

// letters hands e-mail over to a server.
type letters struct{ target Target }

func newMail(t Target) letters { return letters{t} }

func (l letters) send(ctx context.Context, e Event) error {
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := m.From(l.target.From); err != nil {
		return backoff.Permanent(err)
	}
	if err := m.To(l.target.To...); err != nil {
		return backoff.Permanent(err)
	}
	m.Subject("Sallyport: " + e.Title)
	m.SetDateWithValue(e.At)
	m.SetMessageIDWithValue(e.ID + "@sallyport") // the same again is the same message
	m.SetBodyString(mail.TypeTextPlain, letter(e))
	client, err := l.client()
	if err != nil {
		return backoff.Permanent(err)
	}
	return client.DialAndSendWithContext(ctx, m)
}

// policyOf: TLS is needed but on this machine, where nobody is on the way.
func policyOf(host string) mail.TLSPolicy {
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return mail.TLSOpportunistic
	}
	return mail.TLSMandatory
}

// client is a connection to come.
func (l letters) client() (*mail.Client, error) {
	host, port, err := net.SplitHostPort(l.target.Server)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	policy := policyOf(host)
	plain := remote.Dialer(host, l.target.Allow)
	dial := plain.DialContext
	if number == port465 {
		policy, dial = mail.NoTLS, (&tls.Dialer{NetDialer: plain, Config: &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}}).DialContext
	}
	options := []mail.Option{mail.WithPort(int(number)), mail.WithTLSPolicy(policy), mail.WithTimeout(l.target.Within), mail.WithDialContextFunc(dial)}
	if l.target.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(l.target.User), mail.WithPassword(l.target.Key))
	}
	return mail.NewClient(host, options...)
}
