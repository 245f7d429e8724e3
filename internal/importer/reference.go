package importer

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Lookup returns the value behind a reference in a client's file: kind is
// "env" for an environment variable and "input" for a value that the client
// asks its user for, by its id.
type Lookup func(kind, name string) (string, bool)

// references is how a client writes references in its settings. The zero value
// knows none.
type references int

const (
	noReferences     references = iota
	shellReferences             // ${NAME} and ${NAME:-default}
	dollarReferences            // $NAME too; one that is not set stays as it is
	editorReferences            // ${env:NAME}, ${input:ID}, ${workspaceFolder}, ${userHome}
)

var (
	bracedReference = regexp.MustCompile(`\$\{([^{}]*)\}`)
	dollarReference = regexp.MustCompile(`\$\{([^{}]*)\}|\$([A-Za-z_][A-Za-z0-9_]*)`)
)

// resolver fills references in for one server.
type resolver struct {
	style   references
	home    string
	project string
	lookup  Lookup
	missing []string // references without a value, as written
}

func (r *resolver) expand(s string) string {
	pattern := bracedReference
	switch r.style {
	case noReferences:
		return s
	case dollarReferences:
		pattern = dollarReference
	}
	return pattern.ReplaceAllStringFunc(s, func(ref string) string {
		value, ok := r.value(strings.Trim(ref, "${}"))
		switch {
		case ok:
			return value
		case r.style == dollarReferences:
			return ref
		}
		if !slices.Contains(r.missing, ref) {
			r.missing = append(r.missing, ref)
		}
		return ref
	})
}

func (r *resolver) value(ref string) (string, bool) {
	if r.style != editorReferences {
		name, fallback, hasFallback := strings.Cut(ref, ":-")
		if v, ok := r.lookup("env", name); ok && (v != "" || !hasFallback) {
			return v, true
		}
		return fallback, hasFallback
	}
	kind, name, named := strings.Cut(ref, ":")
	switch {
	case named && (kind == "env" || kind == "input"):
		return r.lookup(kind, name)
	case ref == "userHome":
		return r.home, true
	case ref == "pathSeparator" || ref == "/":
		return string(filepath.Separator), true
	case ref == "workspaceFolder" || ref == "cwd":
		return r.project, r.project != ""
	case ref == "workspaceFolderBasename":
		return filepath.Base(r.project), r.project != ""
	default:
		return "", false
	}
}

// resolve returns s with its references filled in, and those without a value.
func (s Server) resolve(home string, lookup Lookup) (Server, []string) {
	r := &resolver{style: s.Client.dialect().references, home: home, project: s.project, lookup: lookup}
	s.Command = r.expand(s.Command)
	s.Cwd = r.expand(s.Cwd)
	s.URL.value = r.expand(s.URL.value)
	s.Args = slices.Clone(s.Args)
	for i := range s.Args {
		s.Args[i].value = r.expand(s.Args[i].value)
	}
	s.Env = r.expandTable(s.Env)
	s.Headers = r.expandTable(s.Headers)
	for _, inherited := range s.inherited {
		v, ok := lookup("env", inherited.variable)
		if !ok {
			r.missing = append(r.missing, "environment variable "+inherited.variable)
			continue
		}
		if inherited.header == "" {
			s.Env[inherited.variable] = Text{value: v}
		} else {
			s.Headers[inherited.header] = Text{value: inherited.prefix + v}
		}
	}
	s.mark()
	return s, r.missing
}

func (r *resolver) expandTable(table map[string]Text) map[string]Text {
	expanded := make(map[string]Text, len(table))
	for name, t := range table {
		t.value = r.expand(t.value)
		expanded[name] = t
	}
	return expanded
}
