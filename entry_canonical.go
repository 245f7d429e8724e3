package sallyport

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// EntryVersion is the newest version of an entry's canonical bytes, its member
// "v". A member that this version does not name makes a new version. An entry
// is written in the oldest version that names all of its members, so that what
// needs nothing new has the bytes that it always had.
//
//	1  all members but those below
//	2  origins, parent_run
//	3  findings, labels, modified
//	4  charges
//	5  class, read_us
const EntryVersion = 5

// version is the oldest one that names all members of the entry.
func (e *Entry) version() uint64 {
	switch {
	case e.Class != 0 || e.Read.Microseconds() > 0:
		return 5
	case len(e.Charges) > 0:
		return 4
	case len(e.Findings) > 0 || len(e.Labels) > 0 || len(e.Modified) > 0:
		return 3
	case e.ParentRun != "" || len(e.Origins) > 0:
		return 2
	default:
		return 1
	}
}

// MaxEntry is the longest that the canonical bytes of an entry may be: an
// entry bundle of tlog-tiles counts them in 16 bits.
const MaxEntry = 1<<16 - 1

// maxInteger is the largest integer that every JSON reader holds exactly
// (RFC 8259 §6, RFC 7493 §2.2).
const maxInteger = 1 << 53

// entryTime is RFC 3339 in UTC with exactly three decimals, so that the order
// of the texts is the order of the times.
const entryTime = "2006-01-02T15:04:05.000Z"

// AppendCanonical appends the canonical bytes of the entry, those that are
// hashed and kept: one JSON object, names sorted, no space, strings in their
// shortest form, empty members left out. The time is cut to milliseconds and
// in UTC, Took and Read to microseconds. A verdict is written for an intent, a refusal
// and a hold, and only there. The principal's roles, groups and attributes are
// left out.
func (e *Entry) AppendCanonical(dst []byte) []byte {
	w := entryWriter{append(dst, '{')}
	w.text("action", e.Action)
	w.digest("after", e.After)
	w.text("agent", e.Principal.Agent)
	w.text("approval", e.Approval)
	w.text("approver", e.Approver)
	w.digest("args", e.Args)
	writeList(&w, "asks", e.Asks)
	w.digest("before", e.Before)
	w.text("by", e.By)
	w.text("call", e.Call)
	w.text("cause", string(e.Cause))
	writeList(&w, "charges", e.Charges)
	if e.Class != 0 {
		w.integer("class", uint64(e.Class.Known())) // nothing is written that could not be read
	}
	w.text("door", e.Door)
	writeList(&w, "effects", e.Effects)
	writeList(&w, "findings", e.Findings)
	w.integer("index", e.Index)
	if e.Kind != KindUnknown {
		w.text("kind", e.Kind.String())
	}
	writeList(&w, "labels", e.Labels)
	writeList(&w, "modified", e.Modified)
	w.text("name", e.Name)
	if e.Observed {
		w.name("observed")
		w.dst = append(w.dst, "true"...)
	}
	writeList(&w, "origins", e.Origins)
	w.text("outcome", string(e.Outcome))
	w.text("parent", e.Parent)
	w.text("parent_run", e.ParentRun)
	w.digest("policy", e.Policy)
	w.digest("prev", e.Prev)
	w.microseconds("read_us", e.Read)
	w.text("reason", e.Reason)
	w.digest("result", e.Result)
	w.text("role", e.Principal.Role)
	writeList(&w, "rules", e.Rules)
	w.text("run", e.Run)
	w.text("server", e.Server)
	w.text("subject", e.Subject)
	w.text("task", e.Task)
	w.text("tenant", e.Principal.Tenant)
	w.name("time")
	w.dst = append(w.dst, '"')
	w.dst = e.Time.UTC().AppendFormat(w.dst, entryTime)
	w.dst = append(w.dst, '"')
	w.microseconds("took_us", e.Took)
	w.digest("tool", e.Tool)
	w.text("trace", e.Trace)
	w.text("type", string(e.Type))
	w.text("user", e.Principal.User)
	w.integer("v", e.version())
	if e.Type.decides() {
		w.text("verdict", e.Verdict.String())
	}
	return append(w.dst, '}')
}

// decides reports whether an entry of the type records a verdict.
func (t EntryType) decides() bool { return t == Intent || t == Refusal || t == Held }

// entryWriter appends members, leaving out the empty ones.
type entryWriter struct{ dst []byte }

func (w *entryWriter) name(name string) {
	if w.dst[len(w.dst)-1] != '{' {
		w.dst = append(w.dst, ',')
	}
	w.dst = append(w.dst, '"')
	w.dst = append(w.dst, name...)
	w.dst = append(w.dst, '"', ':')
}

func (w *entryWriter) text(name, text string) {
	if text != "" {
		w.name(name)
		w.dst = AppendString(w.dst, text)
	}
}

func (w *entryWriter) digest(name string, digest Digest) {
	if !digest.IsZero() {
		w.name(name)
		w.dst = append(w.dst, `"sha256:`...)
		w.dst = hex.AppendEncode(w.dst, digest[:])
		w.dst = append(w.dst, '"')
	}
}

func (w *entryWriter) integer(name string, n uint64) {
	w.name(name)
	w.dst = strconv.AppendUint(w.dst, n, 10)
}

func (w *entryWriter) microseconds(name string, d time.Duration) {
	if n := d.Microseconds(); n > 0 {
		w.integer(name, uint64(n))
	}
}

func writeList[T ~string](w *entryWriter, name string, texts []T) {
	if len(texts) == 0 {
		return
	}
	w.name(name)
	for i, text := range texts {
		w.dst = append(w.dst, "[,"[min(i, 1)])
		w.dst = AppendString(w.dst, string(text))
	}
	w.dst = append(w.dst, ']')
}

// ParseEntry reads the canonical bytes of an entry. Bytes that AppendCanonical
// would not write exactly so are refused: one entry has one form, so nothing
// can hide in a second one.
func ParseEntry(text []byte) (Entry, error) {
	if len(text) > MaxEntry {
		return Entry{}, fmt.Errorf("entry refused: %d bytes, at most %d are allowed", len(text), MaxEntry)
	}
	r := entryReader{rest: string(text)}
	entry := r.entry()
	if r.err != nil {
		return Entry{}, fmt.Errorf("entry refused at byte %d: %w", len(text)-len(r.rest), r.err)
	}
	// The reader is free to be lenient about how a value is written, because
	// whatever it lets through must come out again as it went in.
	again := entryBuffers.Get().(*[]byte)
	defer entryBuffers.Put(again)
	*again = entry.AppendCanonical((*again)[:0])
	if !bytes.Equal(*again, text) {
		return Entry{}, errors.New("entry refused: not in canonical form")
	}
	return entry, nil
}

var entryBuffers = sync.Pool{New: func() any { return new([]byte) }}

// entryReader takes the members of an entry from the front, in their order. A
// member that isn't next leaves the field empty. The first error stays.
type entryReader struct {
	rest string
	err  error
}

func (r *entryReader) entry() (e Entry) {
	if !r.skip("{") {
		r.fail("not an object")
	}
	r.text("action", &e.Action)
	r.digest("after", &e.After)
	r.text("agent", &e.Principal.Agent)
	r.text("approval", &e.Approval)
	r.text("approver", &e.Approver)
	r.digest("args", &e.Args)
	readList(r, "asks", &e.Asks)
	r.digest("before", &e.Before)
	r.text("by", &e.By)
	r.text("call", &e.Call)
	r.text("cause", (*string)(&e.Cause))
	readList(r, "charges", &e.Charges)
	var class, version uint64
	if r.integer("class", &class); class > uint64(ClassPair) {
		r.fail("unknown class %d", class)
	}
	e.Class = Class(class)
	r.text("door", &e.Door)
	readList(r, "effects", &e.Effects)
	readList(r, "findings", &e.Findings)
	r.integer("index", &e.Index)
	var kind, verdict, at string
	r.text("kind", &kind)
	e.Kind = KindOf(kind)
	readList(r, "labels", &e.Labels)
	readList(r, "modified", &e.Modified)
	r.text("name", &e.Name)
	e.Observed = r.name("observed") && r.skip("true")
	readList(r, "origins", &e.Origins)
	r.text("outcome", (*string)(&e.Outcome))
	r.text("parent", &e.Parent)
	r.text("parent_run", &e.ParentRun)
	r.digest("policy", &e.Policy)
	r.digest("prev", &e.Prev)
	e.Read = r.microseconds("read_us")
	r.text("reason", &e.Reason)
	r.digest("result", &e.Result)
	r.text("role", &e.Principal.Role)
	readList(r, "rules", &e.Rules)
	r.text("run", &e.Run)
	r.text("server", &e.Server)
	r.text("subject", &e.Subject)
	r.text("task", &e.Task)
	r.text("tenant", &e.Principal.Tenant)
	r.text("time", &at)
	e.Time = r.parseTime(at)
	e.Took = r.microseconds("took_us")
	r.digest("tool", &e.Tool)
	r.text("trace", &e.Trace)
	r.text("type", (*string)(&e.Type))
	r.text("user", &e.Principal.User)
	if r.integer("v", &version); version != e.version() {
		r.fail("version %d, or a member that this version does not have, or has elsewhere; version %d is the newest known", version, EntryVersion)
	}
	r.text("verdict", &verdict)
	e.Verdict = VerdictOf(verdict)
	if !e.Type.known() {
		r.fail("unknown type %q", e.Type)
	}
	if r.rest != "}" {
		r.fail("an unknown member, or one out of order")
	}
	return e
}

func (t EntryType) known() bool { return t.decides() || t == Closed || t == Change }

func (r *entryReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *entryReader) skip(token string) (found bool) {
	r.rest, found = strings.CutPrefix(r.rest, token)
	return found
}

// name takes a member's name where it comes next.
func (r *entryReader) name(name string) bool {
	rest := strings.TrimPrefix(r.rest, ",")
	end := len(name) + len(`"":`)
	if len(rest) < end || rest[0] != '"' || rest[1:end-2] != name || rest[end-2:end] != `":` {
		return false
	}
	r.rest = rest[end:]
	return true
}

func (r *entryReader) text(name string, into *string) {
	if r.name(name) {
		*into = r.string()
	}
}

func (r *entryReader) string() string {
	if !r.skip(`"`) {
		r.fail("not a string")
		return ""
	}
	end := strings.IndexByte(r.rest, '"')
	if end < 0 {
		r.fail("a string without an end")
		return ""
	}
	if text := r.rest[:end]; strings.IndexByte(text, '\\') < 0 {
		r.rest = r.rest[end+1:]
		return text
	}
	for end = 0; end < len(r.rest) && r.rest[end] != '"'; end++ {
		if r.rest[end] == '\\' {
			end++
		}
	}
	if end >= len(r.rest) {
		r.fail("a string without an end")
		return ""
	}
	text, err := jsontext.AppendUnquote(nil, `"`+r.rest[:end+1])
	if err != nil {
		r.fail("a string that is none: %w", err)
	}
	r.rest = r.rest[end+1:]
	return string(text)
}

func (r *entryReader) digest(name string, into *Digest) {
	if !r.name(name) {
		return
	}
	const lead = `"sha256:`
	if len(r.rest) < len(lead)+2*len(into)+1 {
		r.fail("not a digest")
		return
	}
	if _, err := hex.Decode(into[:], []byte(r.rest[len(lead):len(lead)+2*len(into)])); err != nil {
		r.fail("not a digest")
	}
	r.rest = r.rest[len(lead)+2*len(into)+1:]
}

func (r *entryReader) integer(name string, into *uint64) {
	if !r.name(name) {
		return
	}
	end := 0
	for end < len(r.rest) && '0' <= r.rest[end] && r.rest[end] <= '9' {
		end++
	}
	n, err := strconv.ParseUint(r.rest[:end], 10, 64)
	if err != nil || n > maxInteger {
		r.fail("not an integer from 0 to 2^53")
	}
	*into, r.rest = n, r.rest[end:]
}

func (r *entryReader) microseconds(name string) time.Duration {
	var n uint64
	r.integer(name, &n)
	return time.Duration(n) * time.Microsecond // 2^53 µs fit
}

func (r *entryReader) parseTime(text string) time.Time {
	at, err := time.Parse(entryTime, text)
	if err != nil {
		r.fail("not a time in UTC with milliseconds")
	}
	return at
}

func readList[T ~string](r *entryReader, name string, into *[]T) {
	if !r.name(name) {
		return
	}
	for lead := "["; r.skip(lead); lead = "," {
		*into = append(*into, T(r.string()))
	}
	if !r.skip("]") {
		r.fail("not a list of strings")
	}
}

// LeafHash is the hash of an entry's canonical bytes as a leaf of the log's
// Merkle tree (RFC 6962 §2.1), which is also what the next entry carries as
// Prev.
func LeafHash(text []byte) Digest {
	var room [2048]byte
	return sha256.Sum256(append(append(room[:0], 0), text...))
}
