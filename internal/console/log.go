package console

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sallyport"
	"sallyport/internal/console/form"
	"sallyport/internal/console/session"
	"sallyport/internal/store"
	"sallyport/proof"
)

type urlValues = url.Values

// onPage is how many records a page of the log shows.
const onPage = 50

type logData struct {
	Filter map[string]string `json:"filter"`
	Calls  []call            `json:"entries"`
	Older  string            `json:"older,omitempty"` // the next page's address
	Log    logHealth         `json:"log"`
	Last   string            `json:"-"` // what was verified
}

// filters are what the log can be asked for, in the order of the form.
var filters = []string{"agent", "user", "run", "server", "name", "type", "verdict", "outcome", "since", "until"}

// logPage shows what fits the filter in its address, so that it can be shared.
func (c *Console) logPage(r *http.Request) (string, any, error) {
	q := r.URL.Query()
	data := logData{Filter: map[string]string{}, Calls: []call{}, Log: c.health(r)}
	for _, name := range filters {
		if value := q.Get(name); value != "" {
			data.Filter[name] = value
		}
	}
	filter, err := filterOf(q)
	if err != nil {
		return "", nil, err
	}
	filter.Limit = onPage
	found, err := c.Log.Query(r.Context(), filter)
	if err != nil {
		return "", nil, err
	}
	for _, one := range found {
		data.Calls = append(data.Calls, callOf(one))
	}
	if len(found) == onPage && found[onPage-1].Entry.Index > 0 {
		q.Set("before", strconv.FormatUint(found[onPage-1].Entry.Index, 10))
		data.Older = Path + "log?" + q.Encode()
	}
	return "Log", data, nil
}

func filterOf(q url.Values) (store.Filter, error) {
	f := store.Filter{
		Agent: q.Get("agent"), User: q.Get("user"), Run: q.Get("run"), Server: q.Get("server"), Name: q.Get("name"),
		Type: sallyport.EntryType(q.Get("type")), Verdict: q.Get("verdict"), Outcome: sallyport.Outcome(q.Get("outcome")),
	}
	for name, at := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if text := q.Get(name); text != "" {
			var err error
			if *at, err = timeOf(text); err != nil {
				return f, form.Refused(http.StatusBadRequest, "%s is no time: write 2026-11-29T14:00, or with a zone 2026-11-29T14:00:00Z", name)
			}
		}
	}
	if text := q.Get("before"); text != "" {
		before, err := strconv.ParseUint(text, 10, 53)
		if err != nil {
			return f, form.Refused(http.StatusBadRequest, "before is the number of an entry")
		}
		f.Before = before
	}
	return f, nil
}

// timeOf reads a time as browsers' forms send it, in this machine's zone, or with
// a zone.
func timeOf(text string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Parse(time.RFC3339, text)
}

type proofData struct {
	Index   uint64   `json:"index"`
	Size    uint64   `json:"checkpoint"` // that covers it
	Root    string   `json:"root"`
	OK      bool     `json:"ok"`
	Pending bool     `json:"pending"` // no checkpoint covers it yet
	Report  []string `json:"checked"`
	Not     []string `json:"not_covered"`
	Problem string   `json:"problem,omitempty"`
}

// proof proves that an entry is in the log, by the same code that proves it on
// another machine.
func (c *Console) proof(r *http.Request) (string, any, error) {
	index, err := indexOf(r)
	if err != nil {
		return "", nil, err
	}
	data := proofData{Index: index}
	var b bytes.Buffer
	if err := c.Proof.Export(r.Context(), &b, rangeOf(index)); err != nil {
		return "", nil, err
	}
	signed, _, err := c.Proof.Checkpoint()
	if err != nil {
		return "", nil, err
	}
	data.Size, data.Root = signed.Size, signed.Root.String()
	if data.Pending = index >= signed.Size; data.Pending {
		return "Proof", data, nil
	}
	report, err := proof.Verify(&b, proof.Options{})
	if err != nil {
		data.Problem = err.Error()
		return "Proof", data, nil
	}
	data.OK, data.Report, data.Not = report.OK(), report.Checked(), report.NotCovered()
	return "Proof", data, nil
}

func indexOf(r *http.Request) (uint64, error) {
	index, err := strconv.ParseUint(r.PathValue("id"), 10, 53)
	if err != nil {
		return 0, form.Refused(http.StatusBadRequest, "An entry is proved by its number.")
	}
	return index, nil
}

func rangeOf(index uint64) store.ExportOptions {
	return store.ExportOptions{Ranges: []store.Range{{From: index, To: index + 1}}}
}

// export is a file that proves one entry on any machine.
func (c *Console) export(w http.ResponseWriter, r *http.Request) {
	index, err := indexOf(r)
	if err == nil && c.session(r) == nil {
		err = form.Refused(http.StatusUnauthorized, "Your session is over: log in again.")
	}
	var b bytes.Buffer
	if err == nil {
		err = c.Proof.Export(r.Context(), &b, rangeOf(index))
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="entry-%d.jsonl"`, index))
	w.Write(b.Bytes())
}

// verify checks the whole log.
func (c *Console) verify(_ http.ResponseWriter, r *http.Request, _ *session.Session) (any, error) {
	var out struct {
		OK         bool     `json:"ok"`
		Checked    []string `json:"checked"`
		NotCovered []string `json:"not_covered"`
		Damaged    []string `json:"damaged_tiles"`
		Report     struct {
			Problems []string
		} `json:"report"`
	}
	if err := c.Gate.Post(r.Context(), "/log/verify", struct{}{}, &out); err != nil {
		return nil, err
	}
	verdict := "NOT verified."
	if out.OK {
		verdict = "Verified."
	}
	lines := append(append([]string{verdict}, out.Report.Problems...), out.Checked...)
	for _, tile := range out.Damaged {
		lines = append(lines, "Damaged: "+tile)
	}
	for _, not := range out.NotCovered {
		lines = append(lines, "Not covered: "+not)
	}
	return form.Said{OK: out.OK, Lines: lines}, nil
}
