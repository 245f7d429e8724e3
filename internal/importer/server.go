package importer

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/importer/clientfile"
)

// Transport is how a server is reached.
type Transport string

// The transports of MCP.
const (
	Stdio Transport = "stdio"
	HTTP  Transport = "http" // Streamable HTTP, MCP 2025-03-26 and later
	SSE   Transport = "sse"  // HTTP+SSE, MCP 2024-11-05
)

// Server is one MCP server that a client has configured.
type Server struct {
	Client    Client
	File      string    // the client's file
	Key       string    // its name in that file
	Name      string    // its name behind Sallyport, [a-z0-9][a-z0-9-]*; set by NewPlan
	Transport Transport // empty when Problem is set
	Command   string
	Args      []Text
	Env       map[string]Text
	Cwd       string
	URL       Text
	Headers   map[string]Text
	Disabled  bool   // the user has switched it off in the client
	Wrapped   bool   // the entry already points at Sallyport
	Problem   string // why it can't go behind Sallyport; empty when it can

	path      []string // the entry in the file
	project   string
	inherited []inherited
	declared  bool     // the file itself names the transport
	written   []string // its credentials as the file has them, to mask them in a diff
}

// inherited is a value that the client takes from its environment.
type inherited struct {
	variable string
	header   string // the header it becomes; empty for a variable of the server
	prefix   string // what the header has before it
}

// Secret is one credential on its way out of a client's file.
type Secret struct {
	Name  string // how the configuration refers to it, such as files-API_KEY
	Value Text
}

// markerHeader and markerValue tell our entries apart in clients that speak
// HTTP. A header is the one place where no client refuses an unknown name.
const (
	markerHeader = "X-Managed-By"
	markerValue  = "sallyport"
)

// handled lists settings by which the client signs in by itself. Behind
// Sallyport nobody would, so such a server stays where it is.
var handled = []string{"headersHelper", "oauth", "auth", "oauth_resource", "authProviderType", "targetAudience", "bearer_token"}

// settingName matches the names of variables and headers that are carried over.
var settingName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.()-]*$`)

// readServer reads what an entry of a client's file means.
func readServer(client Client, file, project string, e clientfile.Entry) Server {
	s := Server{
		Client: client, File: file, Key: e.Path[len(e.Path)-1], path: e.Path, project: project,
		Env: make(map[string]Text), Headers: make(map[string]Text),
	}
	if len(e.Path) == 4 && e.Path[0] == "projects" {
		s.project = e.Path[1] // Claude Code keeps a project's private servers in the user's file
	}
	r := &fieldReader{fields: e.Fields}
	s.Command, s.Cwd = r.text("command"), r.text("cwd")
	for _, arg := range r.list("args") {
		s.Args = append(s.Args, Text{value: arg})
	}
	for name, value := range r.table("env") {
		s.Env[name] = Text{value: value}
	}
	for _, key := range []string{"headers", "http_headers"} {
		for name, value := range r.table(key) {
			s.Headers[name] = Text{value: value}
		}
	}
	s.URL.value = r.text("url") + r.text("serverUrl") + r.text("httpUrl")
	s.inherited = r.inherited()
	s.Disabled = e.Fields["disabled"] == true || e.Fields["enabled"] == false
	s.Wrapped = isWrapped(s)
	s.Transport, s.declared = transport(client, e.Fields, s.URL.value)
	if s.Transport == Stdio && s.Cwd == "" {
		s.Cwd = s.project // a project's server starts in the project
	}
	s.Problem = cmp.Or(r.problem, e.Fixed, s.check(e.Fields))
	s.mark()
	for _, secret := range s.credentials() {
		s.written = append(s.written, secret.Value.value)
	}
	if s.Transport == Stdio {
		s.URL, s.Headers = Text{}, make(map[string]Text)
	} else {
		s.Command, s.Args, s.Env, s.Cwd = "", nil, make(map[string]Text), ""
	}
	return s
}

// transport reads the transport that an entry asks for, and whether it names it
// or leaves it to be guessed; empty when it is unclear or unknown.
func transport(client Client, fields map[string]any, address string) (t Transport, declared bool) {
	kind, _ := fields["type"].(string)
	if kind == "" {
		kind, _ = fields["transport"].(string)
	}
	switch strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(kind)) {
	case "stdio", "local":
		return Stdio, true
	case "http", "streamablehttp", "remote":
		return HTTP, true
	case "sse":
		return SSE, true
	case "":
	default:
		return "", true
	}
	_, hasCommand := fields["command"]
	switch {
	case hasCommand && address == "":
		return Stdio, true
	case address == "" || hasCommand:
		return "", false
	case fields["httpUrl"] != nil:
		return HTTP, true
	case client == GeminiCLI, strings.HasSuffix(strings.TrimRight(address, "/"), "/sse"):
		return SSE, false
	default:
		return HTTP, false
	}
}

// check says why a server can't go behind Sallyport, or nothing.
func (s Server) check(fields map[string]any) string {
	for _, key := range handled {
		if fields[key] != nil {
			return fmt.Sprintf("the client signs in by itself (%q), which Sallyport can't take over", key)
		}
	}
	if fields["envFile"] != nil {
		return "it reads an envFile: move those values into env first"
	}
	for _, settings := range []map[string]Text{s.Env, s.Headers} {
		for name := range settings {
			if !settingName.MatchString(name) {
				return "it has a variable or header whose name has unusual characters"
			}
		}
	}
	switch {
	case s.Transport == "":
		return "it is not clear how to reach it: give it either a command or a url, and a type of stdio, http or sse"
	case s.Transport == Stdio && strings.TrimSpace(s.Command) == "":
		return "it has no command"
	case s.Transport == Stdio && looksSecret("", s.Command), slices.ContainsFunc(strings.Fields(s.Command), func(word string) bool { return looksSecret("", word) }):
		return "its command holds what looks like a credential: move that into env first"
	case s.Transport != Stdio && s.URL.value == "":
		return "it has no url"
	}
	return ""
}

// checkURL says what is wrong with the address of a resolved server, or
// nothing. It doesn't quote the address, which may hold a credential.
func (s Server) checkURL() string {
	if s.Transport == Stdio {
		return ""
	}
	u, err := url.Parse(s.URL.value)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "its url is not an http or https address"
	}
	return ""
}

// isWrapped recognises an entry that we wrote: by the marker, or by the shim.
func isWrapped(s Server) bool {
	for name, value := range s.Headers {
		if strings.EqualFold(name, markerHeader) && value.value == markerValue {
			return true
		}
	}
	base := filepath.Base(strings.ReplaceAll(s.Command, `\`, "/"))
	return strings.TrimSuffix(strings.ToLower(base), ".exe") == "sallyport" &&
		slices.ContainsFunc(s.Args, func(t Text) bool { return t.value == "stdio" })
}

// pointsAt reports whether the server's address lies under one of our
// endpoints. Wrapping it would send Sallyport to itself.
func (s Server) pointsAt(endpoints map[Client]Endpoint) bool {
	for _, e := range endpoints {
		if base := strings.TrimRight(e.URL, "/") + "/mcp"; e.URL != "" &&
			(s.URL.value == base || strings.HasPrefix(s.URL.value, base+"/")) {
			return true
		}
	}
	return false
}

// digest identifies what a server is, whatever it is called and whoever uses
// it: two entries with one digest are one server.
func (s Server) digest() string {
	d := Definition{Transport: s.Transport, Command: s.Command, Cwd: s.Cwd, Env: reveal(s.Env), URL: s.URL.value, Headers: reveal(s.Headers)}
	for _, arg := range s.Args {
		d.Args = append(d.Args, arg.value)
	}
	return d.Digest()
}

// Definition is how a server is reached, credentials included.
type Definition struct {
	Transport    Transport
	Command, Cwd string
	Args         []string
	Env          map[string]string
	URL          string
	Headers      map[string]string
}

// Digest identifies the server that is reached so.
func (d Definition) Digest() string {
	encoded, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings, and maps of strings, always encode
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}

func reveal(table map[string]Text) map[string]string {
	revealed := make(map[string]string, len(table))
	for name, t := range table {
		revealed[name] = t.value
	}
	return revealed
}

// credentials returns the credentials of s, named by where they stand.
func (s Server) credentials() []Secret {
	var secrets []Secret
	add := func(where string, t Text) {
		if t.secret {
			secrets = append(secrets, Secret{Name: where, Value: t})
		}
	}
	add("url", s.URL)
	for i, arg := range s.Args {
		add(fmt.Sprintf("arg-%d", i+1), arg)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		add(name, s.Env[name])
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		add(name, s.Headers[name])
	}
	return secrets
}

// Secrets returns the credentials of a server that has a name.
func (s Server) Secrets() []Secret {
	secrets := s.credentials()
	for i := range secrets {
		secrets[i].Name = s.secretName(secrets[i].Name)
	}
	return secrets
}

func (s Server) secretName(where string) string { return s.Name + "-" + where }

// fieldReader reads fields of an entry and remembers the first that has the
// wrong type.
type fieldReader struct {
	fields  map[string]any
	problem string
}

func (r *fieldReader) wrong(key, want string) {
	if r.problem == "" {
		r.problem = fmt.Sprintf("its %q is not %s", key, want)
	}
}

func (r *fieldReader) text(key string) string {
	v, ok := r.fields[key]
	if !ok || v == nil {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		r.wrong(key, "a string")
	}
	return s
}

func (r *fieldReader) list(key string) []string {
	v, ok := r.fields[key]
	if !ok || v == nil {
		return nil
	}
	elements, ok := v.([]any)
	if !ok {
		r.wrong(key, "a list of strings")
		return nil
	}
	var list []string
	for _, e := range elements {
		s, ok := scalar(e)
		if !ok {
			r.wrong(key, "a list of strings")
			return nil
		}
		list = append(list, s)
	}
	return list
}

func (r *fieldReader) table(key string) map[string]string {
	v, ok := r.fields[key]
	if !ok || v == nil {
		return nil
	}
	members, ok := v.(map[string]any)
	if !ok {
		r.wrong(key, "a table of strings")
		return nil
	}
	table := make(map[string]string)
	for name, m := range members {
		if m == nil {
			continue // VS Code: null leaves a variable out
		}
		s, ok := scalar(m)
		if !ok {
			r.wrong(key, "a table of strings")
			return nil
		}
		table[name] = s
	}
	return table
}

// scalar returns what a client would pass on for a string, number or boolean.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool, int64, json.Number:
		return fmt.Sprint(v), true
	default:
		return "", false
	}
}

// inherited reads Codex's settings that name environment variables.
func (r *fieldReader) inherited() []inherited {
	var found []inherited
	for _, variable := range r.list("env_vars") {
		found = append(found, inherited{variable: variable})
	}
	if variable := r.text("bearer_token_env_var"); variable != "" {
		found = append(found, inherited{variable: variable, header: "Authorization", prefix: "Bearer "})
	}
	headers := r.table("env_http_headers")
	for _, header := range slices.Sorted(maps.Keys(headers)) {
		found = append(found, inherited{variable: headers[header], header: header})
	}
	return found
}
