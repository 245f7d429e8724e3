package console

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"sallyport"
	"sallyport/internal/console/form"
	"sallyport/internal/console/session"
)

// Link is a link that shows the console once, below the address of the gateway.
func (c *Console) Link() string { return Path + "open?link=" + c.sessions.Link() }

// Site is the console's origin, where it listens: by a name where there is one,
// since passkeys belong to names.
func (c *Console) Site(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if address, failed := netip.ParseAddr(host); err == nil && failed == nil && address.IsLoopback() {
		host = "localhost"
	}
	if len(c.hosts) > 0 {
		host = c.hosts[0]
	}
	if c.secure {
		return "https://" + net.JoinHostPort(host, port)
	}
	return "http://" + net.JoinHostPort(host, port)
}

// open takes a link: whoever has it sees the console, and can't answer. Who has
// shown more already keeps that.
func (c *Console) open(w http.ResponseWriter, r *http.Request) {
	taken := c.sessions.Take(r.URL.Query().Get("link"))
	if c.session(r) == nil {
		if !taken {
			c.fail(w, r, form.Refused(http.StatusForbidden, "This link was opened already, or is older than 10 minutes. \"sallyport console\" prints another one."))
			return
		}
		if err := c.Record.Record(r.Context(), "console opened with a link", "link", sallyport.Digest{}, sallyport.Digest{}); err != nil {
			c.fail(w, r, err)
			return
		}
		cookie, _ := c.sessions.Begin("")
		c.setCookie(w, cookie)
	}
	http.Redirect(w, r, Path, http.StatusSeeOther)
}

type loginData struct {
	Enrolled bool   `json:"enrolled"`
	Next     string `json:"next"`
}

func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) {
	data := loginData{Next: next(r.URL.Query().Get("next"))}
	var state struct {
		Enrolled bool `json:"enrolled"`
	}
	if err := c.Gate.Get(r.Context(), "/human", &state); err != nil {
		c.fail(w, r, err)
		return
	}
	data.Enrolled = state.Enrolled
	c.write(w, r, http.StatusOK, "login", view{Title: "Log in", Data: data})
}

// next is where to go after a login: a page of ours, whatever the address says.
func next(wanted string) string {
	u, err := url.Parse(wanted)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, Path) || strings.Contains(u.Path, "..") || strings.Contains(u.Path, `\`) {
		return Path
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// loggedIn is what a browser keeps of a login: the key, which no cookie holds.
type loggedIn struct {
	Key string `json:"key"`
	Go  string `json:"go"`
}

// logIn takes a person's secret.
func (c *Console) logIn(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Name   string `json:"name"`
		Secret string `json:"secret"`
		Next   string `json:"next"`
	}
	if err := form.Read(w, r, &in); err != nil {
		c.fail(w, r, err)
		return
	}
	if err := c.prove(r, in.Name, in.Secret); err != nil {
		c.turnAway(w, r, in.Name, err)
		return
	}
	c.welcome(w, r, in.Name, "secret", in.Next)
}

// prove takes a person's secret. One is looked at at a time, so that nobody can
// pile up work that costs 64 MiB each; after a wrong one the next has to wait.
func (c *Console) prove(r *http.Request, who, secret string) error {
	if !c.sessions.Proving.TryLock() {
		return form.Refused(http.StatusTooManyRequests, "Somebody else is logging in: try again in a second.")
	}
	defer c.sessions.Proving.Unlock()
	if err := c.People.Login(c.session(r) != nil, who, secret); err != nil {
		return &form.Problem{Status: http.StatusForbidden, Text: err.Error()}
	}
	return nil
}

// turnAway refuses a login. Of many one in a second is put on the record: anybody
// can try, and nobody may fill the log by it, nor write into it what they like.
func (c *Console) turnAway(w http.ResponseWriter, r *http.Request, who string, err error) {
	subject := "console login refused"
	if c.People.Here(who) {
		subject += " as " + who
	}
	c.fail(w, r, c.refusedOnRecord(r, subject, "console", err))
}

// refusedOnRecord puts on the record what was refused to somebody, one in a second.
func (c *Console) refusedOnRecord(r *http.Request, subject, by string, err error) error {
	if !c.sessions.Notable() {
		return err
	}
	recorded := c.Record.Record(r.Context(), subject, by, sallyport.Digest{}, sallyport.Digest{})
	if recorded == nil {
		return err
	}
	return &form.Problem{Status: http.StatusForbidden, Text: joined(err, recorded).Error()}
}

// welcome begins a person's session, once that is on the record.
func (c *Console) welcome(w http.ResponseWriter, r *http.Request, who, how, then string) {
	if !c.People.Here(who) {
		c.turnAway(w, r, who, form.Refused(http.StatusForbidden, "%s is no person here any more: the configuration does not name them.", who))
		return
	}
	if err := c.Record.Record(r.Context(), "console login with a "+how, who, sallyport.Digest{}, sallyport.Digest{}); err != nil {
		c.fail(w, r, err)
		return
	}
	if before := c.session(r); before != nil {
		c.sessions.End(before)
	}
	cookie, key := c.sessions.Begin(who)
	c.setCookie(w, cookie)
	c.writeJSON(w, http.StatusOK, loggedIn{key, next(then)})
}

func (c *Console) logOut(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	c.sessions.End(who)
	c.setCookie(w, "")
	return form.Done{Go: Path + "login"}, c.Record.Record(r.Context(), "console logout", who.Who, sallyport.Digest{}, sallyport.Digest{})
}

// joined is what went wrong, in one sentence.
func joined(err, then error) error {
	if then == nil {
		return err
	}
	return fmt.Errorf("%w; and it is not on the record: %w", err, then)
}
