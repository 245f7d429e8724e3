package provenance

import (
	"strings"

	"sallyport"
	"sallyport/internal/provenance/form"
	"sallyport/internal/provenance/plain"
)

// Trust is how far a server is trusted not to lie about what it assigned
// itself. The zero Trust trusts nothing.
type Trust uint8

// The classes of servers.
const (
	Community  Trust = iota // anybody's code: nothing of it is trusted
	Vetted                  // looked at: identifiers that it assigns are trusted
	FirstParty              // our own: also the dates, numbers and states that it keeps
)

// Declaration says who could have written what the results of one server hold,
// and who may read it. The zero Declaration trusts nothing and keeps all
// private.
type Declaration struct {
	Trust   Trust
	Readers sallyport.Readers // of what no rule is about
	// Serialised promises that the server makes its text results by a
	// serialiser (YAML, CSV) and never by pasting texts together, so that
	// nobody can forge a field from within another. JSON always counts as such.
	Serialised bool
	// Verbatim says that a text is handed out as somebody wrote it, such as a page
	// or a file: the form that it has is his, unless Serialised promises otherwise.
	Verbatim bool
	Rules    []Rule // the first that fits decides
}

// Rule says where the values of certain fields come from.
type Rule struct {
	Tool   string // name, with * for any characters; "" is every tool
	Field  string // path within a record without indexes: "id", "sender.email", with * for one name; "" is every field
	Kind   string // what the identifiers name, such as "file"; "" leaves it to the names
	Origin sallyport.Origin
}

// of gives the origin of one field. Free text that others can write is never
// trusted without a rule, on whichever server.
func (d *Declaration) of(tool, path, text string, how form.Structure) (o sallyport.Origin, kind string) {
	weak := sallyport.Origin{Writer: sallyport.WriterUntrusted, Readers: d.Readers}
	sure := d.sure(how)
	for i := range d.Rules {
		r := &d.Rules[i]
		if !r.fits(tool, path) {
			continue
		}
		o := r.Origin
		if o.Writer == sallyport.WriterUser {
			o.Writer = sallyport.WriterTrusted // no server speaks for the user
		}
		if r.Field != "" && !sure || o.Writer == sallyport.WriterUnknown {
			// Whoever can break out of a field could name this one.
			o.Writer = sallyport.WriterUntrusted
		}
		return o, r.Kind
	}
	if sure && d.assigned(path, text) {
		return sallyport.Origin{Writer: sallyport.WriterTrusted, Readers: d.Readers}, ""
	}
	return weak, ""
}

// sure reports whether fields are fields for sure, and no text that somebody
// wrote to look like them.
func (d *Declaration) sure(how form.Structure) bool {
	return how == form.Structured || how == form.Written && !d.Verbatim || how >= form.Serialised && d.Serialised
}

func (r *Rule) fits(tool, path string) bool {
	return (r.Tool == "" || plain.Wildcard(r.Tool, tool)) && (r.Field == "" || fitsPath(r.Field, path))
}

// fitsPath compares a path with a pattern, leaving out the path's indexes.
func fitsPath(pattern, path string) bool {
	for {
		var name, want string
		name, path = cutName(path)
		want, pattern = cutName(pattern)
		if want != "*" && want != name {
			return false
		}
		if path == "" || pattern == "" {
			return path == "" && pattern == ""
		}
	}
}

// cutName takes the first name off a path, with the indexes behind it.
func cutName(path string) (name, rest string) {
	if strings.HasPrefix(path, `["`) {
		for i := 2; i < len(path); i++ {
			if path[i] == '\\' {
				i++
			} else if path[i] == '"' {
				return path[:min(len(path), i+2)], afterIndexes(path[min(len(path), i+2):])
			}
		}
		return path, ""
	}
	i := strings.IndexAny(path, ".[")
	if i < 0 {
		return path, ""
	}
	return path[:i], afterIndexes(path[i:])
}

func afterIndexes(path string) string {
	for strings.HasPrefix(path, "[") && !strings.HasPrefix(path, `["`) {
		i := strings.IndexByte(path, ']')
		if i < 0 {
			return ""
		}
		path = path[i+1:]
	}
	return strings.TrimPrefix(path, ".")
}

// names reports whether a server gives a field its name: of a record itself it
// does, unless it is anybody's; what lies deeper others may have named.
func (d *Declaration) names(path string) bool {
	_, deeper := cutName(path)
	return d.Trust != Community && deeper == "" && strings.IndexByte(path, '[') < 0
}

// assigned reports whether a value has the name and the shape of one that the
// server itself assigns. Only fields of the record itself count: what lies
// deeper may be an object that somebody else wrote.
func (d *Declaration) assigned(path, text string) bool {
	name, _ := cutName(path)
	if !d.names(path) {
		return false
	}
	switch plain.ShapeOf(name, text) {
	case plain.ShapeID:
		return true
	case plain.ShapeDate, plain.ShapeNumber, plain.ShapeState:
		return d.Trust == FirstParty
	default:
		return false
	}
}

// sameKind reports whether an argument can mean what a trusted field holds,
// as far as names tell: mail 13 is not file 13.
func sameKind(tool, path string, f *field) bool {
	name, source := lastName(path), lastName(f.place.path)
	mine, theirs := plain.IsIDName(name), plain.IsIDName(source) || f.place.kind != ""
	if !mine && !theirs {
		return true
	}
	wants := plain.Things(name)
	if len(wants) == 0 {
		wants = plain.Things(tool)
	}
	has := plain.Things(source)
	switch {
	case f.place.kind != "":
		has = plain.Things(f.place.kind)
	case len(has) == 0:
		has = plain.Things(f.from.tool)
	}
	if len(wants) == 0 || len(has) == 0 {
		return mine == theirs
	}
	return plain.SameThing(wants, has)
}

// lastName is the last name of a path that is no index.
func lastName(path string) string {
	name := ""
	for path != "" {
		name, path = cutName(path)
	}
	return name
}
