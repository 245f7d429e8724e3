package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"sallyport"
	"sallyport/internal/store"
	"sallyport/proof"
)

// Log finds entries.
type Log interface {
	Size(ctx context.Context) (uint64, error)
	Entries(ctx context.Context, from, to uint64) iter.Seq2[sallyport.Entry, error]
	Query(ctx context.Context, filter store.Filter) ([]store.Found, error)
	Show(ctx context.Context, callOrIndex string) ([]store.Opened, error)
}

// Proof proves what the log says.
type Proof interface {
	Export(ctx context.Context, w io.Writer, options store.ExportOptions) error
	Verify(ctx context.Context, options proof.Options) (*proof.Report, error)
	CheckTiles(ctx context.Context) (damaged []string, err error)
	Checkpoint() (proof.Checkpoint, []byte, error)
}

// Tail hears entries as they come.
type Tail interface {
	Tail(ctx context.Context, from uint64) iter.Seq2[sallyport.Entry, error]
}

// Index makes anew what follows from the entries: the projections that queries
// look into, and tiles that are damaged.
type Index interface {
	Reindex(ctx context.Context) error
	RepairTiles(ctx context.Context) (repaired []string, err error)
}

// Reindexed is what was made anew, beside the projections.
type Reindexed struct {
	Tiles []string `json:"repaired_tiles"`
}

// Verification asks for the whole log to be verified.
type Verification struct {
	Key         string   `json:"key,omitempty"`
	Checkpoints [][]byte `json:"checkpoints,omitempty"` // kept elsewhere
	Witnesses   []string `json:"witnesses,omitempty"`
}

// Verified is how that went.
type Verified struct {
	OK         bool          `json:"ok"`
	Report     *proof.Report `json:"report"`
	Damaged    []string      `json:"damaged_tiles"` // which differ from the entries
	Checked    []string      `json:"checked"`
	NotCovered []string      `json:"not_covered"`
}

// NewVerified sums a report up.
func NewVerified(report *proof.Report, damaged []string) Verified {
	return Verified{
		OK: report.OK() && len(damaged) == 0, Report: report, Damaged: damaged,
		Checked: report.Checked(), NotCovered: report.NotCovered(),
	}
}

// Shown is one entry with its payloads.
type Shown struct {
	Entry       json.RawMessage `json:"entry"`
	Args        json.RawMessage `json:"args,omitempty"`
	ArgsError   string          `json:"args_error,omitempty"` // why they are not there
	Result      json.RawMessage `json:"result,omitempty"`
	ResultError string          `json:"result_error,omitempty"`
}

// Checkpoint is a signed checkpoint, to be kept elsewhere.
type Checkpoint struct {
	Size uint64 `json:"size"`
	Root string `json:"root"`
	Text string `json:"text"`
}

// LogHandler answers the verbs about the log. tail may be nil where nothing
// is being written.
func LogHandler(log Log, proofs Proof, index Index, tail Tail) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /log", func(w http.ResponseWriter, r *http.Request) { query(w, r, log) })
	mux.HandleFunc("GET /log/tail", func(w http.ResponseWriter, r *http.Request) { follow(w, r, log, tail) })
	mux.Handle("GET /log/show/{id}", answer(func(r *http.Request, _ struct{}) ([]Shown, error) {
		return show(r.Context(), log, r.PathValue("id"))
	}))
	mux.Handle("POST /log/verify", answer(func(r *http.Request, v Verification) (Verified, error) {
		return verify(r.Context(), proofs, v)
	}))
	mux.HandleFunc("POST /log/export", func(w http.ResponseWriter, r *http.Request) { export(w, r, proofs) })
	mux.Handle("GET /log/checkpoint", answer(func(*http.Request, struct{}) (Checkpoint, error) {
		checkpoint, text, err := proofs.Checkpoint()
		return Checkpoint{checkpoint.Size, checkpoint.Root.String(), string(text)}, err
	}))
	mux.Handle("POST /log/reindex", answer(func(r *http.Request, _ struct{}) (Reindexed, error) {
		if err := index.Reindex(r.Context()); err != nil {
			return Reindexed{}, err
		}
		tiles, err := index.RepairTiles(r.Context())
		return Reindexed{tiles}, err
	}))
	return mux
}

// stream writes entries, one canonical line each, and flushes where somebody
// waits. The line {"error":…} says that it broke off.
func stream(w http.ResponseWriter, entries iter.Seq2[sallyport.Entry, error], flush bool) {
	w.Header().Set("Content-Type", "application/jsonl")
	control := http.NewResponseController(w)
	if flush {
		w.WriteHeader(http.StatusOK)
		control.Flush()
	}
	var line []byte
	for entry, err := range entries {
		if err != nil {
			text, _ := json.Marshal(problem{Error: err.Error()})
			w.Write(append(text, '\n'))
			return
		}
		line = append(entry.AppendCanonical(line[:0]), '\n')
		if _, err := w.Write(line); err != nil {
			return
		}
		if flush {
			control.Flush()
		}
	}
}

// query answers with the last entries that fit, oldest first.
func query(w http.ResponseWriter, r *http.Request, log Log) {
	filter, plain, err := filterOf(r)
	if err != nil {
		refuse(w, err)
		return
	}
	find := log.Query
	if r.URL.Query().Get("unsupported") == "true" {
		plain, find = false, unsupported(log)
	}
	if !plain {
		found, err := find(r.Context(), filter)
		if err != nil {
			refuse(w, err)
			return
		}
		stream(w, flat(found), false)
		return
	}
	size, err := log.Size(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	from := uint64(0)
	if size > uint64(filter.Limit) {
		from = size - uint64(filter.Limit)
	}
	stream(w, log.Entries(r.Context(), from, size), false)
}

// unsupported finds what no task or message of the user supports.
func unsupported(log Log) func(context.Context, store.Filter) ([]store.Found, error) {
	return func(ctx context.Context, filter store.Filter) (all []store.Found, err error) {
		limit := filter.Limit
		for filter.Limit = 1000; ; {
			page, err := log.Query(ctx, filter)
			if err != nil || len(page) == 0 {
				return all, err
			}
			for _, f := range page {
				if filter.Before = f.Entry.Index; unasked(&f.Entry) {
					all = append(all, f)
				}
				if len(all) == limit || filter.Before == 0 {
					return all, nil
				}
			}
		}
	}
}

// flat lists what was found with its outcomes, in the order of the log.
func flat(found []store.Found) iter.Seq2[sallyport.Entry, error] {
	var entries []sallyport.Entry
	for _, f := range found {
		entries = append(entries, f.Entry)
		if f.Outcome != nil {
			entries = append(entries, *f.Outcome)
		}
	}
	slices.SortFunc(entries, func(a, b sallyport.Entry) int { return int(int64(a.Index) - int64(b.Index)) })
	return func(yield func(sallyport.Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// filterOf reads a query. plain reports that every entry fits.
func filterOf(r *http.Request) (filter store.Filter, plain bool, err error) {
	q := r.URL.Query()
	filter = store.Filter{
		Agent: q.Get("agent"), User: q.Get("user"), Tenant: q.Get("tenant"), Run: q.Get("run"),
		Server: q.Get("server"), Name: q.Get("name"), Type: sallyport.EntryType(q.Get("type")),
		Verdict: q.Get("verdict"), Outcome: sallyport.Outcome(q.Get("outcome")), Observed: q.Get("observed") == "true",
	}
	for name, at := range map[string]*time.Time{"since": &filter.Since, "until": &filter.Until} {
		if text := q.Get(name); text != "" {
			if *at, err = time.Parse(time.RFC3339, text); err != nil {
				return filter, false, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	plain = filter == store.Filter{}
	limit, err := strconv.ParseUint(q.Get("limit"), 10, 31)
	if err != nil {
		return filter, false, fmt.Errorf("limit: %w", err)
	}
	filter.Limit = int(limit)
	if limit == 0 {
		filter.Limit = math.MaxInt32
	}
	return filter, plain, nil
}

// follow answers with the last entries and then with each new one.
func follow(w http.ResponseWriter, r *http.Request, log Log, tail Tail) {
	if tail == nil {
		refuse(w, errors.New("no gateway runs here, so nothing is being written: \"sallyport log query\" shows what was"))
		return
	}
	lines, err := strconv.ParseUint(r.URL.Query().Get("lines"), 10, 31)
	if err != nil {
		refuse(w, fmt.Errorf("lines: %w", err))
		return
	}
	size, err := log.Size(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	from := uint64(0)
	if size > lines {
		from = size - lines
	}
	stream(w, tail.Tail(r.Context(), from), true)
}

func show(ctx context.Context, log Log, id string) ([]Shown, error) {
	opened, err := log.Show(ctx, id)
	if err != nil {
		return nil, err
	}
	all := []Shown{}
	for _, o := range opened {
		s := Shown{Entry: o.Entry.AppendCanonical(nil)}
		s.Args, s.ArgsError = payload(o.Args, o.ArgsErr)
		s.Result, s.ResultError = payload(o.Result, o.ResultErr)
		all = append(all, s)
	}
	return all, nil
}

func payload(p *proof.Payload, err error) (json.RawMessage, string) {
	switch {
	case err != nil:
		return nil, err.Error()
	case p == nil:
		return nil, ""
	default:
		return p.Text, ""
	}
}

func verify(ctx context.Context, proofs Proof, v Verification) (Verified, error) {
	report, err := proofs.Verify(ctx, proof.Options{Key: v.Key, Checkpoints: v.Checkpoints, Witnesses: v.Witnesses})
	if err != nil {
		return Verified{}, &CodedError{Failed, err.Error()}
	}
	damaged, err := proofs.CheckTiles(ctx)
	if err != nil && report.OK() {
		return Verified{}, &CodedError{Failed, err.Error()}
	}
	verified := NewVerified(report, damaged)
	verified.NotCovered = append(verified.NotCovered,
		"Queries look into projections, which this does not check: what they show is verified, what they leave out is not. \"sallyport log reindex\" builds them anew from the entries.")
	return verified, nil
}

// Export asks for an export.
type Export struct {
	From     uint64   `json:"from"`
	To       uint64   `json:"to,omitempty"` // not included; 0 for the end
	Against  []uint64 `json:"against,omitempty"`
	Payloads bool     `json:"payloads,omitempty"`
}

func export(w http.ResponseWriter, r *http.Request, proofs Proof) {
	var wanted Export
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&wanted); err != nil {
		refuse(w, err)
		return
	}
	if wanted.To == 0 {
		wanted.To = math.MaxInt64
	}
	options := store.ExportOptions{Ranges: []store.Range{{From: wanted.From, To: wanted.To}}, Against: wanted.Against, Payloads: wanted.Payloads}
	started := &startedResponse{ResponseWriter: w}
	if err := proofs.Export(r.Context(), started, options); err != nil {
		if started.begun {
			// The status is gone: break the connection off, so that nobody
			// takes half an export for a whole one.
			panic(http.ErrAbortHandler)
		}
		refuse(w, err)
	}
}
