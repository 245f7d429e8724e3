package importer

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/importer/clientfile"
)

// Client names an agent client. The name doubles as the name of its agent.
type Client string

// The clients whose files are understood.
const (
	ClaudeCode    Client = "claude-code"
	ClaudeDesktop Client = "claude-desktop"
	Cursor        Client = "cursor"
	VSCode        Client = "vscode"
	Windsurf      Client = "windsurf"
	GeminiCLI     Client = "gemini-cli"
	Codex         Client = "codex"
)

// Clients returns all clients in the order in which name collisions are
// settled: the earlier one keeps the plain name.
func Clients() []Client {
	return []Client{ClaudeCode, ClaudeDesktop, Cursor, VSCode, Windsurf, GeminiCLI, Codex}
}

// ErrUnknownClient says that there is no client of a name.
var ErrUnknownClient = errors.New("unknown client")

// selectClients returns the clients named, or all when none is.
func selectClients(names []string) ([]Client, error) {
	if len(names) == 0 {
		return Clients(), nil
	}
	var selected []Client
	for _, name := range names {
		c := Client(strings.TrimSpace(name))
		if !slices.Contains(Clients(), c) {
			return nil, fmt.Errorf("%w %q: choose from %s", ErrUnknownClient, name, strings.Trim(fmt.Sprint(Clients()), "[]"))
		}
		selected = append(selected, c)
	}
	return selected, nil
}

// dialect is how one client writes a server down. The entry it gets from us
// holds these keys and no others: some Gemini CLI versions refuse to start on
// an unknown key, even on "type".
type dialect struct {
	format     clientfile.Format
	url        string // the key of a Streamable HTTP address; empty when the client speaks only stdio
	headers    string
	httpType   string // the value of "type" that an HTTP entry needs, if any
	stdioType  string
	references references
}

func (c Client) dialect() dialect {
	switch c {
	case ClaudeCode:
		// Without a type, one HTTP entry makes it drop the whole file.
		return dialect{format: clientfile.JSON(), url: "url", headers: "headers", httpType: "http", references: shellReferences}
	case Cursor:
		return dialect{format: clientfile.JSON(), url: "url", headers: "headers", references: editorReferences}
	case VSCode:
		return dialect{format: clientfile.JSON(), url: "url", headers: "headers", httpType: "http", stdioType: "stdio", references: editorReferences}
	case Windsurf:
		return dialect{format: clientfile.JSON(), url: "serverUrl", headers: "headers", references: editorReferences}
	case GeminiCLI:
		return dialect{format: clientfile.JSON(), url: "httpUrl", headers: "headers", references: dollarReferences}
	case Codex:
		return dialect{format: clientfile.TOML(), url: "url", headers: "http_headers"}
	default: // Claude Desktop refuses a file whose entries lack a command.
		return dialect{format: clientfile.JSON()}
	}
}

// place is a file in which a client keeps servers.
type place struct {
	client  Client
	path    string
	project string     // the project it belongs to; empty for the user's own file
	tables  [][]string // paths of the tables of servers; "*" is any key
}

// places lists where the clients keep their servers, on darwin, windows or
// linux (and anything like it). Without a project only the user's files count.
func places(home, project, goos string) []place {
	appData := filepath.Join(home, ".config")
	switch goos {
	case "darwin":
		appData = filepath.Join(home, "Library", "Application Support")
	case "windows":
		appData = filepath.Join(home, "AppData", "Roaming")
	}
	mcpServers := [][]string{{"mcpServers"}}
	servers, settings := [][]string{{"servers"}}, [][]string{{"mcp", "servers"}}
	toml := [][]string{{"mcp_servers"}}
	all := []place{
		{client: ClaudeCode, path: filepath.Join(home, ".claude.json"), tables: [][]string{{"mcpServers"}, {"projects", "*", "mcpServers"}}},
		{client: ClaudeDesktop, path: filepath.Join(appData, "Claude", "claude_desktop_config.json"), tables: mcpServers},
		{client: Cursor, path: filepath.Join(home, ".cursor", "mcp.json"), tables: mcpServers},
		{client: VSCode, path: filepath.Join(appData, "Code", "User", "mcp.json"), tables: servers},
		{client: VSCode, path: filepath.Join(appData, "Code", "User", "settings.json"), tables: settings},
		{client: Windsurf, path: filepath.Join(home, ".codeium", "windsurf", "mcp_config.json"), tables: mcpServers},
		{client: Windsurf, path: filepath.Join(home, ".codeium", "mcp_config.json"), tables: mcpServers},
		{client: GeminiCLI, path: filepath.Join(home, ".gemini", "settings.json"), tables: mcpServers},
		{client: Codex, path: filepath.Join(home, ".codex", "config.toml"), tables: toml},
	}
	if project == "" {
		return all
	}
	for _, p := range []place{
		{client: ClaudeCode, path: ".mcp.json", tables: mcpServers},
		{client: Cursor, path: ".cursor/mcp.json", tables: mcpServers},
		{client: VSCode, path: ".vscode/mcp.json", tables: servers},
		{client: VSCode, path: ".vscode/settings.json", tables: settings},
		{client: GeminiCLI, path: ".gemini/settings.json", tables: mcpServers},
		{client: Codex, path: ".codex/config.toml", tables: toml},
	} {
		p.path, p.project = filepath.Join(project, filepath.FromSlash(p.path)), project
		all = append(all, p)
	}
	return all
}
