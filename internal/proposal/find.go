package proposal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"sallyport/internal/config"
	"sallyport/internal/identity"
	"sallyport/internal/importer"
)

// Found is what the clients have, and what the state directory knows of it.
type Found struct {
	dir    string
	base   string // of the gateway's address, without a path
	binary string // of the shim
	files  []importer.File
	known  map[string]string // names that are taken
}

// Find reads the files of the clients, all or those named. url is where the
// gateway serves /mcp; empty for where its configuration says. broken says
// which files could not be read; the others are there all the same.
func Find(dir, url, binary string, from []string) (found *Found, broken, err error) {
	f := &Found{dir: dir, base: strings.TrimSuffix(url, "/mcp"), binary: binary}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, nil, err
	}
	project, err := os.Getwd()
	if err != nil {
		return nil, nil, err
	}
	if project == home {
		project = ""
	}
	if f.files, broken = importer.Find(home, project, runtime.GOOS, from); broken != nil && f.files == nil {
		return nil, nil, broken
	}
	if f.known, err = importer.Known(dir); err != nil {
		return nil, nil, err
	}
	return f, broken, f.consult()
}

// consult takes names and address from the configuration that is there.
func (f *Found) consult() error {
	c, _, err := config.Read(filepath.Join(f.dir, "sallyport.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		c, err = config.Parse("sallyport.yaml", nil)
	}
	if err != nil {
		return fmt.Errorf("the configuration can't be read, so nothing can be added to it:\n%w", err)
	}
	secrets, err := importer.OpenSecrets(f.dir)
	if err != nil {
		return err
	}
	for name, server := range c.Servers {
		if _, known := f.known[name]; !known {
			f.known[name] = digestOf(server, secrets.Get)
		}
	}
	if f.base == "" {
		f.base = "http://" + c.Listen
	}
	return nil
}

// digestOf identifies a server that is configured already, so that an entry of
// a client that means the same one gets its name.
func digestOf(s config.Server, secret func(name string) (string, bool)) string {
	reveal := func(t config.Text) string {
		if value, ok := secret(t.Secret); ok {
			return value
		}
		return t.Value
	}
	table := func(texts map[string]config.Text) map[string]string {
		plain := make(map[string]string, len(texts))
		for name, text := range texts {
			plain[name] = reveal(text)
		}
		return plain
	}
	d := importer.Definition{
		Transport: importer.Transport(s.Transport), Command: s.Command, Cwd: s.Cwd, Env: table(s.Env), URL: reveal(s.URL), Headers: table(s.Headers),
	}
	for _, arg := range s.Args {
		d.Args = append(d.Args, reveal(arg))
	}
	switch {
	case s.Command != "":
		d.Transport = importer.Stdio
	case s.Transport == "":
		d.Transport = importer.HTTP
	}
	return d.Digest()
}

// Plan works out the edits of the clients' files. A client without a token
// gets a stand-in, to be shown only.
func (f *Found) Plan(tokens map[importer.Client]string) (importer.Plan, error) {
	endpoints := map[importer.Client]importer.Endpoint{}
	for _, client := range importer.Clients() {
		token := tokens[client]
		if token == "" {
			token = identity.TokenPrefix + "the-token-of-" + string(client)
		}
		endpoints[client] = importer.Endpoint{
			URL: f.base, Token: token, Shim: []string{f.binary, "stdio", "--dir", f.dir, "--token-file", f.TokenFile(client)},
		}
	}
	return importer.NewPlan(f.files, importer.Options{Endpoints: endpoints, Known: f.known, Lookup: environment})
}

// TokenFile is where the token of a client's shim is.
func (f *Found) TokenFile(client importer.Client) string {
	return filepath.Join(f.dir, "tokens", string(client))
}

func environment(kind, name string) (string, bool) {
	if kind != "env" {
		return "", false
	}
	return os.LookupEnv(name)
}

// ClientsOf are the clients whose files a plan changes.
func ClientsOf(plan importer.Plan) []importer.Client {
	var clients []importer.Client
	for _, edit := range plan.Edits {
		if !slices.Contains(clients, edit.Client) {
			clients = append(clients, edit.Client)
		}
	}
	return clients
}

var plainUser = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// userName is for whom the clients' agents act.
func userName() string {
	if me, err := user.Current(); err == nil && plainUser.MatchString(me.Username) {
		return me.Username
	}
	return "me"
}
