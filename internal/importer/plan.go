package importer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/importer/clientfile"
)

// Endpoint is where the servers of one client are found from now on.
type Endpoint struct {
	URL   string   // such as http://127.0.0.1:7717; /mcp/NAME is added
	Token string   // the bearer token of the client's agent
	Shim  []string // the command of the stdio shim: an absolute path and arguments up to and including "stdio"
}

// Options is what a plan depends on besides the files.
type Options struct {
	// Endpoints says for each client where its servers are found.
	Endpoints map[Client]Endpoint
	// Known maps the names that are taken to the digests of their servers, as
	// [Known] returns them; an unknown digest is empty.
	Known map[string]string
	// Lookup returns the values behind references. Without it none has a value.
	Lookup Lookup
}

// Plan is what import would do. It changes nothing.
type Plan struct {
	Servers []Server // what goes behind Sallyport, each once, by name
	Edits   []Edit
	Skipped []Note // entries that stay as they are, and why
	Notes   []Note // what a human should know before going on
}

// Note is a remark on one entry of a client's file, or on the file.
type Note struct {
	Client Client
	File   string
	Key    string // the entry; empty for the file
	Text   string
}

func (n Note) String() string {
	if n.Key == "" {
		return fmt.Sprintf("%s: %s", n.File, n.Text)
	}
	return fmt.Sprintf("%s: %s: %s", n.File, n.Key, n.Text)
}

// Edit is the change of one client file.
type Edit struct {
	Client  Client
	Path    string
	Entries []Entry

	target        string
	before, after []byte
	written       []string // credentials as the file has them
}

// Entry is an entry of a client's file and the server that it becomes.
type Entry struct {
	Path   []string `json:"path"`   // keys from the root of the file
	Server string   `json:"server"` // the name behind Sallyport
	Digest string   `json:"digest"` // of the server's definition
}

// NewPlan works out names, secrets and edits. Equal files give an equal plan,
// and a plan of files that are wrapped already has no edits.
func NewPlan(files []File, opt Options) (Plan, error) {
	if opt.Lookup == nil {
		opt.Lookup = func(string, string) (string, bool) { return "", false }
	}
	var plan Plan
	var candidates []Server
	for _, file := range files {
		for _, s := range file.Servers {
			if s.Wrapped || s.pointsAt(opt.Endpoints) {
				continue
			}
			resolved, reason := s.ready(file, opt.Lookup)
			if reason != "" {
				if len(s.written) > 0 {
					reason += " (its credentials stay in the file)"
				}
				plan.Skipped = append(plan.Skipped, Note{s.Client, s.File, s.Key, reason})
				continue
			}
			candidates = append(candidates, resolved)
		}
	}
	name(candidates, opt.Known)
	for _, file := range files {
		edit, err := newEdit(file, candidates, opt.Endpoints[file.Client])
		if err != nil {
			return Plan{}, fmt.Errorf("%s: %w", file.Path, err)
		}
		if len(edit.Entries) > 0 {
			plan.Edits = append(plan.Edits, edit)
			plan.Notes = append(plan.Notes, edit.notes(file, opt.Endpoints[file.Client].Token)...)
		}
	}
	plan.Notes = append(plan.Notes, serverNotes(candidates)...)
	plan.Servers = distinct(candidates)
	return plan, nil
}

// ready returns the server with its references filled in, or why it can't go
// behind Sallyport.
func (s Server) ready(file File, lookup Lookup) (Server, string) {
	if s.Problem != "" {
		return s, s.Problem
	}
	if file.fixed {
		return s, whyFixed
	}
	resolved, missing := s.resolve(file.home, lookup)
	if len(missing) > 0 {
		return s, fmt.Sprintf("it needs a value that only the client has: %s", strings.Join(missing, ", "))
	}
	if reason := resolved.checkURL(); reason != "" {
		return s, reason
	}
	return resolved, ""
}

var notNameRune = regexp.MustCompile(`[^a-z0-9]+`)

// serverName turns a client's name for a server into ours. The result never
// holds "__", which parts server and tool in /mcp.
func serverName(key string) string {
	name := strings.Trim(notNameRune.ReplaceAllString(strings.ToLower(key), "-"), "-")
	if name == "" {
		return "server"
	}
	return name
}

// name gives every candidate its name: equal definitions share one, that of
// the first client; different ones never do. The order of the files doesn't
// matter.
func name(candidates []Server, known map[string]string) {
	order := make([]*Server, len(candidates))
	for i := range candidates {
		order[i] = &candidates[i]
	}
	rank := func(c Client) int { return slices.Index(Clients(), c) }
	slices.SortStableFunc(order, func(a, b *Server) int {
		return cmp.Or(
			rank(a.Client)-rank(b.Client),
			strings.Compare(serverName(a.Key), serverName(b.Key)),
			strings.Compare(a.File, b.File),
			slices.Compare(a.path, b.path),
		)
	})
	taken := maps.Clone(known)
	if taken == nil {
		taken = make(map[string]string)
	}
	named := make(map[string]string) // digest → name
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if digest := known[name]; digest != "" && named[digest] == "" {
			named[digest] = name
		}
	}
	secrets := make(map[string]bool)
	for _, s := range order {
		digest := s.digest()
		if named[digest] == "" {
			named[digest] = s.freeName(taken, secrets)
			taken[named[digest]] = digest
		}
		s.Name = named[digest]
		for _, secret := range s.Secrets() {
			secrets[secret.Name] = true
		}
	}
}

// freeName returns the first name for s that nothing else has: the plain one,
// then one with the client's name, then with a number.
func (s Server) freeName(taken map[string]string, secrets map[string]bool) string {
	plain := serverName(s.Key)
	for i := 0; ; i++ {
		switch i {
		case 0:
			s.Name = plain
		case 1:
			s.Name = plain + "-" + string(s.Client)
		default:
			s.Name = fmt.Sprintf("%s-%d", plain, i)
		}
		_, used := taken[s.Name]
		clash := slices.ContainsFunc(s.Secrets(), func(c Secret) bool { return secrets[c.Name] })
		if !used && !clash {
			return s.Name
		}
	}
}

// distinct returns one server for each name. One that any client has switched
// on is on.
func distinct(candidates []Server) []Server {
	byName := make(map[string]Server)
	for _, s := range candidates {
		if seen, ok := byName[s.Name]; ok {
			seen.Disabled = seen.Disabled && s.Disabled
			byName[s.Name] = seen
			continue
		}
		byName[s.Name] = s
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b Server) int { return strings.Compare(a.Name, b.Name) })
}

func paths(entries []Entry) [][]string {
	var paths [][]string
	for _, e := range entries {
		paths = append(paths, e.Path)
	}
	return paths
}

// newEdit points the candidates of one file at Sallyport.
func newEdit(file File, candidates []Server, to Endpoint) (Edit, error) {
	e := Edit{Client: file.Client, Path: file.Path, target: file.target, before: file.text, after: file.text}
	d := file.Client.dialect()
	for _, s := range file.Servers {
		e.written = append(e.written, s.written...)
	}
	keep := func(comment []byte) bool {
		return !credentialText.Match(comment) && !slices.ContainsFunc(e.written, func(secret string) bool {
			return bytes.Contains(comment, []byte(secret))
		})
	}
	var targets []clientfile.Target
	for _, s := range candidates {
		if s.File != file.Path {
			continue
		}
		settings, err := pointer(d, file.Project != "", to, s.Name)
		if err != nil {
			return Edit{}, fmt.Errorf("%s: %w", s.Key, err)
		}
		targets = append(targets, clientfile.Target{Path: s.path, Settings: settings})
		e.Entries = append(e.Entries, Entry{Path: s.path, Server: s.Name, Digest: s.digest()})
	}
	if len(targets) == 0 {
		return e, nil
	}
	var err error
	if e.after, err = d.format.Point(e.before, targets, keep); err != nil {
		return Edit{}, err
	}
	return e, clientfile.Check(d.format, e.before, e.after, paths(e.Entries))
}

// pointer returns the settings of an entry that points at Sallyport.
//
// A project's file goes into version control, so it never gets a token: its
// clients start the shim, which has a credential of its own.
func pointer(d dialect, shared bool, to Endpoint, name string) ([]clientfile.Setting, error) {
	if d.url == "" || shared {
		if len(to.Shim) == 0 {
			return nil, errors.New("no command of the stdio shim is given")
		}
		settings := []clientfile.Setting{
			{Key: "command", Text: to.Shim[0]},
			{Key: "args", List: slices.Concat(to.Shim[1:], []string{"--server", name})},
		}
		if d.stdioType != "" {
			settings = slices.Insert(settings, 0, clientfile.Setting{Key: "type", Text: d.stdioType})
		}
		return settings, nil
	}
	if to.URL == "" || to.Token == "" {
		return nil, errors.New("no endpoint or token is given for this client")
	}
	settings := []clientfile.Setting{
		{Key: d.url, Text: strings.TrimRight(to.URL, "/") + "/mcp/" + name},
		{Key: d.headers, Table: [][2]string{{"Authorization", "Bearer " + to.Token}, {markerHeader, markerValue}}},
	}
	if d.httpType != "" {
		settings = slices.Insert(settings, 0, clientfile.Setting{Key: "type", Text: d.httpType})
	}
	return settings, nil
}

// notes remarks on a file that is to be edited.
func (e Edit) notes(file File, token string) []Note {
	var notes []Note
	note := func(format string, args ...any) {
		notes = append(notes, Note{Client: e.Client, File: e.Path, Text: fmt.Sprintf(format, args...)})
	}
	if file.Project != "" {
		note("this file belongs to the project, whoever wrote it: look at its commands before Sallyport starts them, and keep the edit out of commits")
	}
	theirs := bytes.ReplaceAll(e.after, []byte("Bearer "+token), nil)
	if lines := e.leftovers(theirs); lines != nil {
		note("the new text still holds what looks like a credential, outside the entries that import edits: line %s", strings.Join(lines, ", "))
	}
	return notes
}

// leftovers returns the numbers of the first lines that look like holding a
// credential.
func (e Edit) leftovers(text []byte) []string {
	var lines []string
	for i, line := range bytes.Split(text, []byte("\n")) {
		moved := slices.ContainsFunc(e.written, func(secret string) bool {
			return len(secret) >= 8 && bytes.Contains(line, []byte(secret))
		})
		if !moved && !credentialText.Match(line) {
			continue
		}
		if len(lines) == 10 {
			return append(lines, "and more")
		}
		lines = append(lines, strconv.Itoa(i+1))
	}
	return lines
}

// serverNotes remarks on servers that may not work as before.
func serverNotes(candidates []Server) []Note {
	var notes []Note
	for _, s := range candidates {
		if s.Transport != Stdio && len(s.credentials()) == 0 {
			notes = append(notes, Note{s.Client, s.File, s.Key,
				"no credential is in the file: if the client signed in to this server in a browser, Sallyport can't do that yet"})
		}
	}
	return notes
}
