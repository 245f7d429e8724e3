package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"

	"sallyport/internal/card"
	"sallyport/internal/console/form"
	"sallyport/internal/console/session"
)

// view is what a page is made of. Its Data alone is the answer as JSON.
type view struct {
	Page    string
	Title   string
	Version string
	Session *session.Session
	Frame   frame
	From    uint64 // the first entry that may not be in it
	Data    any
}

// Hears is what wakes the page: changes to what people are asked, or anything.
func (v view) Hears() string {
	switch v.Page {
	case "home", "map", "log", "run", "runs", "limits", "limit":
		return grown
	case "approvals", "approval", "equal", "grants", "servers", "server":
		return asked
	default:
		return ""
	}
}

// frame is what every page shows.
type frame struct {
	Held    int
	Stopped []order
	Path    string // with the query, for the way back after a login
}

// page serves what a function finds, as a page or as JSON, to whoever has a
// session. One handler makes both, so that they can't differ.
func (c *Console) page(name, pattern string, find func(*http.Request) (title string, data any, err error)) {
	serve := func(w http.ResponseWriter, r *http.Request) {
		who := c.session(r)
		if who == nil && wantsJSON(r) {
			c.fail(w, r, form.Refused(http.StatusUnauthorized, "There is no session: log in first, or open a link of \"sallyport console\"."))
			return
		}
		if who == nil {
			http.Redirect(w, r, loginFor(r), http.StatusSeeOther)
			return
		}
		from, err := c.Proof.Size(r.Context()) // before anything is looked at: the page hears of all that comes after
		if err != nil {
			c.fail(w, r, err)
			return
		}
		title, data, err := find(r)
		switch {
		case err != nil:
			c.fail(w, r, err)
		case wantsJSON(r):
			c.writeJSON(w, http.StatusOK, data)
		default:
			c.write(w, r, http.StatusOK, name, view{Title: title, Data: data, From: from})
		}
	}
	c.mux.HandleFunc("GET "+Path+pattern, serve)
}

func loginFor(r *http.Request) string {
	return Path + "login?" + (urlValues{"next": {r.URL.RequestURI()}}).Encode()
}

// act serves what a person does. It takes the session's key besides its cookie,
// and a session that can answer. What is refused as somebody's is on the record.
func (c *Console) act(pattern string, do func(http.ResponseWriter, *http.Request, *session.Session) (any, error)) {
	c.mux.HandleFunc("POST "+Path+pattern, func(w http.ResponseWriter, r *http.Request) {
		who, by := c.session(r), "link"
		var out any
		var err error
		switch {
		case who == nil:
			c.fail(w, r, form.Refused(http.StatusUnauthorized, "Your session is over: log in again."))
			return
		case !who.Person():
			err = form.Refused(http.StatusForbidden, "This session began with a link: it shows, and can't answer. Log in with your secret or passkey.")
		case !who.Acts(r):
			by = "cookie of " + who.Who
			err = form.Refused(http.StatusForbidden, "This browser tab does not hold the key of its session: log in again.")
		default:
			by = who.Who
			out, err = do(w, r, who)
		}
		if refused, ok := errors.AsType[*form.Problem](err); ok && refused.Status == http.StatusForbidden {
			err = c.refusedOnRecord(r, "console refused "+pattern, by, err)
		}
		if err != nil {
			c.fail(w, r, err)
			return
		}
		c.writeJSON(w, http.StatusOK, out)
	})
}

func (c *Console) writeJSON(w http.ResponseWriter, status int, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"this can't be shown"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(text, '\n'))
}

// write makes a page. It is made whole before anything is sent, and what is
// invisible in it is made visible: nothing that we wrote ourselves is.
func (c *Console) write(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	v.Page, v.Version = name, c.Version
	if name != "login" {
		v.Session = c.session(r)
	}
	v.Frame.Path = r.URL.RequestURI()
	if v.Session != nil {
		c.frame(r.Context(), &v.Frame)
	}
	var b bytes.Buffer
	if err := c.pages[name].ExecuteTemplate(&b, "layout", v); err != nil {
		http.Error(w, "this page can't be shown: "+card.Visible(err.Error()), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte(visible(b.String())))
}

// visible makes visible what is invisible in a page, but for line ends and tabs.
func visible(page string) string {
	hidden := func(r rune) bool { return card.Hidden(r) && r != '\n' && r != '\t' }
	if !strings.ContainsFunc(page, hidden) {
		return page
	}
	var b strings.Builder
	for _, r := range page {
		if hidden(r) {
			b.WriteString(card.Visible(string(r)))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// frame fills in what every page shows. A page is better without it than not
// there.
func (c *Console) frame(ctx context.Context, f *frame) {
	if held, err := c.asked.Pending(ctx); err == nil {
		f.Held = len(held)
	}
	_ = c.Gate.Get(ctx, "/kills", &f.Stopped)
}

// parsePages reads each page together with the layout and the parts that pages
// share.
func parsePages() (map[string]*template.Template, error) {
	shared, err := template.New("").Funcs(functions).ParseFS(files, "page/layout.html", "page/parts.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "page/*.html")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, name := range names {
		page, err := shared.Clone()
		if err == nil {
			page, err = page.ParseFS(files, name)
		}
		if err != nil {
			return nil, err
		}
		pages[strings.TrimSuffix(path.Base(name), ".html")] = page
	}
	return pages, nil
}

var functions = template.FuncMap{
	"exact":   card.Exact, // of what a person decides on
	"clock":   func(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") },
	"ago":     ago,
	"stamp":   func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
	"comma":   func(n any) string { return commas(n) },
	"amount":  amount,
	"short":   short,
	"join":    strings.Join,
	"period":  func(text string) string { return strings.TrimSuffix(text, ".") + "." },
	"args":    func(pairs ...any) map[string]any { return pairsOf(pairs) },
	"first":   func(n int, text string) string { return cut(text, n) },
	"plural":  plural,
	"number":  func(i int) int { return i + 1 },
	"anchor":  func(name string, i int) string { return anchor(name, i+1) },
	"place":   placeLink,
	"pieces":  pieces,
	"turns":   turns,
	"base":    path.Base,
	"writer":  func(name string) string { return writers[name] },
	"verdict": func(verdict string) string { return verdictClass[verdict] },
}

// writers are who could have written a value.
var writers = map[string]string{
	"user": "the user said it", "trusted": "from a server that is trusted", "untrusted": "anybody could have written it",
	"unknown": "seen nowhere: the model made it up",
}

// verdictClass is how a verdict is coloured.
var verdictClass = map[string]string{"allow": "allowed", "hold": "held", "deny": "refused"}

// piece is a part of a text: the id of a call, or what stands between.
type piece struct{ Text, Call string }

var callID = regexp.MustCompile(`\bc_[0-9A-Za-z]{26}\b`)

// pieces finds the calls that a text names, so that what a value came from is one
// click away.
func pieces(text string) (all []piece) {
	at := 0
	for _, found := range callID.FindAllStringIndex(text, -1) {
		all = append(all, piece{Text: text[at:found[0]]}, piece{Call: text[found[0]:found[1]]})
		at = found[1]
	}
	return append(all, piece{Text: text[at:]})
}

// turn is a part of a text that is read in one direction.
type turn struct {
	Text string
	Back bool // from right to left
}

// turns are the parts of a text, each of which a browser then turns round by itself,
// and none beside it: the digits of an account stay in their order.
func turns(text string) (all []turn) {
	for _, r := range text {
		back := card.RightToLeft(r)
		last := len(all) - 1
		if last >= 0 && (all[last].Back == back || all[last].Back && unicode.IsMark(r)) {
			all[last].Text += string(r)
		} else {
			all = append(all, turn{string(r), back})
		}
	}
	return all
}

func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return humanize.Time(t)
}

func commas(n any) string {
	switch n := n.(type) {
	case uint64:
		return humanize.Comma(int64(n))
	case int:
		return humanize.Comma(int64(n))
	default:
		return ""
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(int64(n)) + " " + many
}

func pairsOf(pairs []any) map[string]any {
	all := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		all[pairs[i].(string)] = pairs[i+1]
	}
	return all
}

// cut shortens what nobody decides on.
func cut(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n]) + "…"
}
