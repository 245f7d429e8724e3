// Package console shows a gateway to people in a browser and takes their
// answers. It is made on the server, from the same answers that the command line
// gets; the browser is given text, one style sheet and one small script. Whatever
// agents and servers wrote is text here, never markup, and what is invisible in
// it is made visible.
package console

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sallyport"
	"sallyport/internal/console/form"
	"sallyport/internal/console/question"
	"sallyport/internal/console/session"
	"sallyport/internal/guard"
	"sallyport/internal/store"
	"sallyport/proof"
)

// Path is where the console is, on the port that agents connect to.
const Path = "/console/"

// Gate answers what the command line can ask, by the same paths. An error of
// Post means what the verb says that it means.
type Gate interface {
	Get(ctx context.Context, path string, out any) error
	Post(ctx context.Context, path string, in, out any) error
}

// Log finds entries, counts them, and hears new ones.
type Log interface {
	Query(ctx context.Context, filter store.Filter) ([]store.Found, error)
	Count(ctx context.Context, filter store.Filter) (int, error)
	Show(ctx context.Context, callOrIndex string) ([]store.Opened, error)
	Tail(ctx context.Context, from uint64) iter.Seq2[sallyport.Entry, error]
}

// Proof proves what the log says.
type Proof interface {
	Size(ctx context.Context) (uint64, error)
	Checkpoint() (proof.Checkpoint, []byte, error)
	Export(ctx context.Context, w io.Writer, options store.ExportOptions) error
}

// People know a person by a secret. An error of Login means that it is not the
// person's; known says that a link was shown before. Here reports whether somebody
// is a person here, still.
type People interface {
	Login(known bool, who, secret string) error
	Here(who string) bool
}

// Enrolment keeps passkeys. What BeginEnrol returns is for the browser, as JSON;
// an error of FinishEnrol means that nothing was kept, and of Forget that all may
// be kept still.
type Enrolment interface {
	Forget(ctx context.Context, person string) error
	Has(ctx context.Context, site, person string) (int, error)
	BeginEnrol(ctx context.Context, site, person string) (ceremony string, ask []byte, err error)
	FinishEnrol(ctx context.Context, ceremony string, answer []byte) error
}

// Passkeys know a person by what only a device of theirs can sign. What is signed
// holds bound, and FinishShow takes no signature over anything else: an error of
// it means that nobody has shown anything.
type Passkeys interface {
	Enrolment
	BeginShow(ctx context.Context, site, person string, bound sallyport.Digest) (ceremony string, ask []byte, err error)
	FinishShow(ctx context.Context, ceremony string, answer []byte, bound sallyport.Digest) (person string, err error)
}

// Recorder puts on the record what people do here. After an error it must not be
// done.
type Recorder interface {
	Record(ctx context.Context, subject, by string, before, after sallyport.Digest) error
}

// Parts are what a console is wired to. Every field must be set.
type Parts struct {
	Gate     Gate
	Log      Log
	Proof    Proof
	People   People
	Passkeys Passkeys
	Record   Recorder
	Now      func() time.Time
	Version  string
}

// Console is an http.Handler for Path and below.
type Console struct {
	Parts
	hosts    []string
	secure   bool // it is reached by https
	mux      *http.ServeMux
	pages    map[string]*template.Template
	sessions session.Sessions
	asked    *question.Pages
	live     hub
	testing  sync.Mutex // while the policies' tests run
	tested   atomic.Pointer[tested]
}

//go:embed asset page
var files embed.FS

// New makes a console. Hosts are admitted in the header of that name besides
// loopback and the address that a connection came to.
func New(parts Parts, hosts []string, secure bool) (*Console, error) {
	c := &Console{Parts: parts, hosts: hosts, secure: secure, mux: http.NewServeMux()}
	// By the clock on the wall: a session ends also while the machine sleeps.
	c.sessions.Now, c.live.log = func() time.Time { return parts.Now().Round(0) }, parts.Log
	c.asked = &question.Pages{Gate: parts.Gate, Passkeys: parts.Passkeys, Record: parts.Record, Sessions: &c.sessions, Who: c.session, Origin: c.origin, Base: Path}
	var err error
	if c.pages, err = parsePages(); err != nil {
		return nil, err
	}
	assets, err := fs.Sub(files, "asset")
	if err != nil {
		return nil, err
	}
	c.mux.Handle("GET "+Path+"asset/", http.StripPrefix(Path+"asset/", http.FileServerFS(assets)))
	c.routes()
	return c, nil
}

func (c *Console) routes() {
	c.mux.HandleFunc("GET "+Path+"open", c.open)
	c.mux.HandleFunc("GET "+Path+"login", c.loginPage)
	c.mux.HandleFunc("POST "+Path+"login", c.logIn)
	c.mux.HandleFunc("POST "+Path+"login/passkey", c.logInBegin)
	c.mux.HandleFunc("POST "+Path+"login/passkey/shown", c.logInShown)
	c.mux.HandleFunc("GET "+Path+"events", c.events)

	c.mux.HandleFunc("GET "+Path, func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, form.Refused(http.StatusNotFound, "There is no such page."))
	})
	c.page("home", "{$}", c.home)
	c.page("approvals", "approvals", c.asked.List)
	c.page("approval", "approvals/{id}", c.asked.Show)
	c.page("equal", "approvals/{id}/equal", c.asked.Equal)
	c.page("grants", "grants", c.asked.Grants)
	c.page("attention", "attention", c.asked.Attention)
	c.page("runs", "runs", c.runs)
	c.page("run", "runs/{id}", c.run)
	c.page("map", "map", c.flowMap)
	c.page("log", "log", c.logPage)
	c.page("entry", "log/{id}", c.entry)
	c.page("proof", "log/{id}/proof", c.proof)
	c.mux.HandleFunc("GET "+Path+"log/{id}/export", c.export)
	c.page("servers", "servers", c.servers)
	c.page("server", "servers/{name}", c.server)
	c.page("policies", "policies", c.policies)
	c.page("tests", "policies/tests", c.tests)
	c.page("limits", "limits", c.limits)
	c.page("limit", "limits/{name}", c.limit)
	c.page("why", "why/{id}", c.why)
	c.page("account", "account", c.account)

	c.act("logout", c.logOut)
	c.act("account/passkey", c.enrolBegin)
	c.act("account/passkey/shown", c.enrolShown)
	c.act("approvals/{id}", c.asked.Answer)
	c.act("approvals/{id}/narrow", c.asked.Narrow)
	c.act("approvals/{id}/end", c.asked.End)
	c.act("approvals/{id}/equal", c.asked.AnswerEqual)
	c.act("approvals/{id}/equal/passkey", c.asked.EqualSign)
	c.act("approvals/{id}/equal/passkey/shown", c.asked.EqualSigned)
	c.act("approvals/{id}/grant", c.asked.Grant)
	c.act("grants/{id}/revoke", c.asked.Revoke)
	c.act("approvals/{id}/passkey", c.asked.AnswerSign)
	c.act("approvals/{id}/passkey/shown", c.asked.AnswerSigned)
	c.act("approvals/{id}/narrow/passkey", c.asked.NarrowSign)
	c.act("approvals/{id}/narrow/passkey/shown", c.asked.NarrowSigned)
	c.act("kills", c.kill)
	c.act("kills/{id}/resume", c.resume)
	c.act("servers/{name}/accept", c.acceptServer)
	c.act("policies/accept", c.acceptPolicy)
	c.act("log/verify", c.verify)
}

// ServeHTTP lets in who comes from no other page and is no agent.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	if err := c.admit(r); err != nil {
		c.fail(w, r, err)
		return
	}
	if name, named := strings.CutSuffix(r.URL.Path, ".json"); named { // what the header Accept says, in the address
		r = r.Clone(r.Context())
		r.URL.Path = name
		r.Header.Set("Accept", "application/json")
	}
	c.mux.ServeHTTP(w, r)
}

// policy is what a page may load and do: our own files, and nothing inline, so
// that even text that got through as markup could not act.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// admit says why a request may not come in, whoever sends it.
func (c *Console) admit(r *http.Request) error {
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case !guard.Host(r, c.hosts):
		return form.Refused(http.StatusForbidden, "The Host of this request is not one that this gateway serves: add it to hosts: in the configuration.")
	case r.Header.Get("Authorization") != "": // an agent that was talked into looking at what watches it
		return form.Refused(http.StatusForbidden, "The console is for people: it takes no agent's credential. Ask \"sallyport console\" for a link.")
	case r.Method != http.MethodGet && r.Method != http.MethodHead && !c.ours(r):
		return form.Refused(http.StatusForbidden, "This request does not come from a page of the console.")
	case site != "" && site != "none" && site != "same-origin" && r.Header.Get("Sec-Fetch-Mode") != "navigate":
		// Another port of this machine is "same-site" and gets our cookie sent.
		return form.Refused(http.StatusForbidden, "Another page may link to the console, and not load it.")
	}
	return nil
}

// ours reports whether a request was sent by a page of this very origin.
func (c *Console) ours(r *http.Request) bool {
	origins := r.Header["Origin"]
	site := r.Header.Get("Sec-Fetch-Site")
	return len(origins) == 1 && origins[0] == c.origin(r) && (site == "" || site == "same-origin")
}

// origin is that of the console's own pages, as this request reaches it.
func (c *Console) origin(r *http.Request) string {
	if c.secure {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// fail answers with an error.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusUnprocessableEntity
	if p, ok := errors.AsType[*form.Problem](err); ok {
		status = p.Status
	}
	if errors.Is(err, store.ErrNotFound) {
		status = http.StatusNotFound
	}
	said := struct {
		Error string `json:"error"`
	}{err.Error()}
	if r.Method != http.MethodGet || wantsJSON(r) {
		c.writeJSON(w, status, said)
		return
	}
	c.write(w, r, status, "problem", view{Title: "That did not work", Data: said})
}

func wantsJSON(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Accept"), "application/json")
}
