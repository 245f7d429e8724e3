package sallyport

import (
	"iter"
	"strconv"
	"strings"
)

// Writer is who could have written a value. The zero Writer is the weakest:
// nobody is known to have written it.
type Writer uint8

// The writers, weakest first.
const (
	WriterUnknown   Writer = iota // seen nowhere: the model made it up
	WriterUntrusted               // whoever can put text before the agent
	WriterTrusted                 // the server itself, or somebody it vouches for
	WriterUser                    // the user for whom the agent acts
)

var writerNames = [...]string{"unknown", "untrusted", "trusted", "user"}

func (w Writer) String() string {
	if int(w) < len(writerNames) {
		return writerNames[w]
	}
	return writerNames[0]
}

// WriterOf is the inverse of Writer.String; anything unknown is WriterUnknown.
func WriterOf(name string) Writer {
	for i, n := range writerNames {
		if n == name {
			return Writer(i)
		}
	}
	return WriterUnknown
}

// Readers is who may read a value. The zero Readers are the fewest.
type Readers uint8

// The readers, fewest first.
const (
	ReadersPrivate  Readers = iota // the user, and whom the user tells
	ReadersInternal                // the organisation
	ReadersPublic                  // everybody
)

var readersNames = [...]string{"private", "internal", "public"}

func (r Readers) String() string {
	if int(r) < len(readersNames) {
		return readersNames[r]
	}
	return readersNames[0]
}

// ReadersOf is the inverse of Readers.String; anything unknown is
// ReadersPrivate.
func ReadersOf(name string) Readers {
	for i, n := range readersNames {
		if n == name {
			return Readers(i)
		}
	}
	return ReadersPrivate
}

// Origin is what is known of a value by where it came from. The zero Origin is
// the most suspect: written by nobody knows whom, to be read by the fewest.
type Origin struct {
	Writer  Writer
	Readers Readers
}

// Weaker is the origin of what was put together from both: the weaker writer,
// the fewer readers.
func (o Origin) Weaker(other Origin) Origin {
	return Origin{min(o.Writer, other.Writer), min(o.Readers, other.Readers)}
}

// Source is one place where a value was seen: in the words of the user or in
// the result of a call.
type Source struct {
	Call, Server, Tool string // "" for the user's words
	Record             int    // which record of the result, from 0; which message of the user's
	Field              string // of the record, as policies write paths; "" when it has no fields
	Start, End         int    // bytes of the field's text, after JSON's escapes are undone
	ArgStart, ArgEnd   int    // bytes of the argument's text that it explains
	Origin             Origin
	Strength           string // of the user's words: how they reached us (launcher, orchestrator, hook)
	Exact              bool   // the whole argument stands there, letter by letter
}

// Trace is what is known of where one leaf of a call's arguments came from:
// the weakest origin that explains it, where no stronger one explains the
// whole of it.
type Trace struct {
	Path     string // as policies write it: recipients[0].email
	Origin   Origin
	Sources  []Source
	Through  []string // what was looked through, such as base64, url, split
	Critical bool     // the call does harm when this leaf is the attacker's
}

// Finding is what a scanner saw: never a verdict.
type Finding struct {
	Scanner, Rule string
	Path          string  // of the text, as policies write it
	Start, End    int     // bytes of that text
	Score         float64 // from 0 to 1
}

// Name is what policies call the finding: "secret/aws-key".
func (f *Finding) Name() string { return f.Scanner + "/" + f.Rule }

// FindingOf is the finding with a name, wherever it is.
func FindingOf(name string) Finding {
	scanner, rule, _ := strings.Cut(name, "/")
	return Finding{Scanner: scanner, Rule: rule}
}

// Unseen is the rule of a finding that says that its scanner did not see the
// text, or not all of it: it failed, was too slow, or had too much before it.
// Nobody knows what it would have found, so it counts as all that it could.
const Unseen = "failed"

// Unasked is the rule of a finding that says that no scanner has looked, since
// no rule of the policy asked what they see. To rules of a later policy it is as
// if they had failed.
const Unasked = "unasked"

// AllScanners is the scanner of a finding that is about every scanner.
const AllScanners = "scanner"

// Leaves runs over all values below v (or v itself) that are no object and no
// array, in the order sent, with their paths as policies write them:
// recipients[0].email, labels["a b"]. The path of v itself is empty. A path's
// bytes are good until the next step only: thousands of leaves below one long
// name would cost gigabytes otherwise.
func (v Value) Leaves() iter.Seq2[[]byte, Value] {
	return func(yield func([]byte, Value) bool) { v.leaves(nil, yield) }
}

// leaves recurses no deeper than MaxDepth, which Parse bounds.
func (v Value) leaves(path []byte, yield func([]byte, Value) bool) bool {
	switch v.Type() {
	case Absent:
		return true
	case Object:
		for name, member := range v.Members() {
			if !member.leaves(AppendName(path, name), yield) {
				return false
			}
		}
		return true
	case Array:
		path = append(path, '[')
		for i, item := range v.Items() {
			if !item.leaves(append(strconv.AppendInt(path, int64(i), 10), ']'), yield) {
				return false
			}
		}
		return true
	default:
		return yield(path, v)
	}
}

// AppendName writes one more name behind a path. Names that are no identifiers
// are quoted, so that no name can be written as if it were two.
func AppendName(path []byte, name string) []byte {
	switch {
	case !isIdentifier(name):
		return append(AppendString(append(path, '['), name), ']')
	case len(path) > 0:
		path = append(path, '.')
	}
	return append(path, name...)
}

func isIdentifier(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}
