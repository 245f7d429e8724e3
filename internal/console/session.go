package console

import (
	"context"
	"errors"
	"net/http"

	"sallyport"
	"sallyport/internal/console/session"
)

// Vouched says what a person has shown here whose voucher it is, which is used
// up.
func (c *Console) Vouched(who, secret string) (how string, ok bool) {
	how, _, ok = c.sessions.Vouched(who, secret)
	return how, ok
}

// Whose is whose voucher a secret is; "" when it is none.
func (c *Console) Whose(secret string) string { return c.sessions.Whose(secret) }

// Leave ends what a person has here whose secret is another one now: sessions and
// passkeys can be of whoever knew the old one. After an error passkeys may be
// left.
func (c *Console) Leave(ctx context.Context, who string) error {
	c.sessions.EndAll(who)
	return c.Passkeys.Forget(ctx, who)
}

// session is that of a request, nil when it has none that is good, or of somebody
// who is no person here any more.
func (c *Console) session(r *http.Request) *session.Session {
	one := c.sessions.Of(r, c.cookieName())
	if one != nil && one.Person() && !c.People.Here(one.Who) {
		return nil
	}
	return one
}

// Proven says what a person has shown who does something of a class here. What
// takes two people takes the passkey of each, which has signed the very thing.
func (c *Console) Proven(by string, class sallyport.Class, signed sallyport.Digest, voucher string) (strength string, err error) {
	how, has, ok := c.sessions.Vouched(by, voucher)
	switch {
	case !ok:
		return "", errors.New("your session is over: log in again")
	case class.Known() == sallyport.ClassPair && (how != session.ByPasskey || has != signed):
		return "", errors.New("this takes your passkey, for exactly what was shown")
	}
	return how, nil
}

// cookieName carries the prefix that has a browser refuse it from any other host,
// where there is https.
func (c *Console) cookieName() string {
	if c.secure {
		return "__Host-sallyport"
	}
	return "sallyport"
}

func (c *Console) setCookie(w http.ResponseWriter, value string) {
	cookie := &http.Cookie{Name: c.cookieName(), Value: value, Path: Path, HttpOnly: true, Secure: c.secure, SameSite: http.SameSiteStrictMode}
	if c.secure {
		cookie.Path = "/" // __Host- demands it
	}
	if value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}
