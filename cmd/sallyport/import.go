package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/control"
	"sallyport/internal/identity"
	"sallyport/internal/importer"
	"sallyport/internal/proposal"
	"sallyport/internal/terminal"
)

func (c *cli) importCommand() *cobra.Command {
	var i importing
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Find the MCP servers of your clients and, with --wrap, put them behind Sallyport",
		Long: `Find the MCP servers that Claude Code, Claude Desktop, Cursor, VS Code, Windsurf,
Gemini CLI and Codex have, show what would change, and propose effects and a
policy for them. The servers are started once, as their clients do, to see
their tools.

With --wrap the clients' files are edited (comments and formatting stay,
"sallyport unwrap" restores them byte for byte) and credentials move into the
state directory. See docs/import.md.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			i.cli = c
			return i.run(cmd.Context())
		},
	}
	cmd.Flags().StringSliceVar(&i.from, "from", nil, "only these clients, such as cursor,codex")
	cmd.Flags().BoolVar(&i.wrap, "wrap", false, "do it")
	cmd.Flags().BoolVar(&i.dry, "dry-run", false, "only show what would change in the clients' files; start nothing")
	cmd.Flags().BoolVar(&i.yes, "yes", false, "do not ask before writing")
	c.secretFlag(cmd)
	var names []string
	for _, client := range importer.Clients() {
		names = append(names, string(client))
	}
	cmd.RegisterFlagCompletionFunc("from", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// importing is one run of import.
type importing struct {
	cli            *cli
	from           []string
	wrap, dry, yes bool

	dir   string
	found *proposal.Found
}

// imported is what import says in JSON and YAML.
type imported struct {
	Servers []importedServer `json:"servers"`
	Files   []string         `json:"files"` // that change
	Skipped []string         `json:"skipped"`
	Notes   []string         `json:"notes"`
	Config  string           `json:"config,omitempty"`
	Policy  string           `json:"policy,omitempty"`
	Wrapped bool             `json:"wrapped"`
}

type importedServer struct {
	Name      string         `json:"name"`
	Client    string         `json:"client"`
	Transport string         `json:"transport"`
	Problem   string         `json:"problem,omitempty"` // why its tools are not known
	Tools     []importedTool `json:"tools"`
}

type importedTool struct {
	Name   string `json:"name"`
	Effect string `json:"effect"`
	Reason string `json:"reason"`
}

func (i *importing) run(ctx context.Context) (err error) {
	if i.wrap && i.dry {
		return usage("--wrap writes and --dry-run does not: choose one")
	}
	if i.dir, err = app.StateDir(i.cli.dir, ""); err != nil {
		return err
	}
	if err := i.find(ctx); err != nil {
		return err
	}
	plan, err := i.found.Plan(nil)
	if err != nil {
		return err
	}
	say := imported{Servers: []importedServer{}, Files: []string{}, Skipped: []string{}, Notes: []string{}}
	for _, note := range plan.Skipped {
		say.Skipped = append(say.Skipped, note.String())
	}
	for _, note := range plan.Notes {
		say.Notes = append(say.Notes, note.String())
	}
	for _, edit := range plan.Edits {
		say.Files = append(say.Files, edit.Path)
	}
	var files proposal.Files
	if !i.dry && len(plan.Edits) > 0 {
		if files, err = i.propose(ctx, plan, &say); err != nil {
			return err
		}
	}
	if !i.wrap || len(plan.Edits) == 0 {
		return i.cli.print(say, func(t *terminal.Table) { i.show(t, plan, say) })
	}
	if i.cli.output == "table" {
		i.cli.print(say, func(t *terminal.Table) { i.show(t, plan, say) })
	}
	if !i.yes && !terminal.Ask(ctx, "Write this?") {
		return usage("nothing was written: answer yes on a terminal, or give --yes")
	}
	if err := i.write(ctx, plan, files); err != nil {
		return err
	}
	say.Wrapped = true
	return i.cli.print(say, func(t *terminal.Table) {
		t.Line("\nDone. \"sallyport up\" starts the gateway and shows what each server offers before it can be used;\n\"sallyport unwrap\" puts everything back.")
	})
}

// find reads what there is. A file that can't be read is said and left out.
func (i *importing) find(ctx context.Context) (err error) {
	binary, err := executable()
	if err != nil {
		if i.wrap {
			return err
		}
		binary = "/usr/local/bin/sallyport" // to show what would be written
	}
	url := ""
	if control.Running(i.dir) {
		at, err := control.Get[control.Address](ctx, control.Dial(i.dir), "/door")
		if err != nil {
			return err
		}
		url = at.URL
	}
	var broken error
	i.found, broken, err = proposal.Find(i.dir, url, binary, i.from)
	switch {
	case errors.Is(err, importer.ErrUnknownClient):
		return usage("--from: %v", err)
	case err == nil && broken != nil:
		fmt.Fprintf(i.cli.errs, "sallyport: left out: %v\n", broken)
	}
	return err
}

// propose looks at the servers and proposes effects and a policy.
func (i *importing) propose(ctx context.Context, plan importer.Plan, say *imported) (proposal.Files, error) {
	stop := terminal.Progress(i.cli.errs, "looking at the servers")
	proposals, silent := proposal.Look(ctx, plan.Servers, version())
	stop()
	for _, p := range proposals {
		s := importedServer{Name: p.Server.Name, Client: string(p.Server.Client), Transport: string(p.Server.Transport), Tools: []importedTool{}}
		if err := silent[p.Server.Name]; err != nil {
			s.Problem = err.Error()
		}
		for _, tool := range p.Tools {
			s.Tools = append(s.Tools, importedTool{tool.Tool, string(tool.Effect), tool.Reason})
		}
		say.Servers = append(say.Servers, s)
	}
	files, err := proposal.New(i.dir, proposal.ClientsOf(plan), proposals)
	say.Config, say.Policy = string(files.Config), string(files.Policy)
	return files, err
}

func (i *importing) show(t *terminal.Table, plan importer.Plan, say imported) {
	if len(plan.Edits) == 0 {
		t.Line("There is nothing to put behind Sallyport.")
	}
	for _, edit := range plan.Edits {
		t.Line(terminal.VisibleLines(edit.Diff()))
	}
	for _, s := range say.Servers {
		t.Line(fmt.Sprintf("\n%s (%s, %s)", s.Name, s.Client, s.Transport))
		if s.Problem != "" {
			t.Line("  its tools are not known, so they count as exec: " + terminal.Visible(s.Problem))
		}
		for _, tool := range s.Tools {
			t.Row("  "+tool.Name, tool.Effect, tool.Reason)
		}
	}
	if say.Policy != "" {
		t.Line("\nsallyport.yaml:\n\n" + terminal.Indent(strings.TrimSpace(say.Config), "  ") + "\n" + "\npolicy/imported.cedar:\n\n" + terminal.Indent(strings.TrimSpace(say.Policy), "  "))
	}
	for _, text := range say.Notes {
		t.Line("note: " + terminal.Visible(text))
	}
	for _, text := range say.Skipped {
		t.Line("left as it is: " + terminal.Visible(text))
	}
	if !i.wrap && len(plan.Edits) > 0 {
		t.Line("\nNothing was written. \"sallyport import --wrap\" does it.")
	}
}

// write does it, in an order in which a failure leaves clients as they were:
// credentials, configuration, tokens, and the clients' files last.
func (i *importing) write(ctx context.Context, plan importer.Plan, files proposal.Files) error {
	_, err := os.Stat(filepath.Join(i.dir, "sallyport.db"))
	fresh := errors.Is(err, fs.ErrNotExist)
	secrets, err := importer.OpenSecrets(i.dir)
	if err != nil {
		return err
	}
	for _, s := range plan.Servers {
		if err := secrets.Put(s.Secrets()); err != nil {
			return err
		}
	}
	tokens := map[importer.Client]string{}
	if fresh {
		err = i.mintFirst(ctx, files, tokens)
	} else {
		err = i.mintMore(ctx, files, tokens)
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(i.dir, "tokens"), 0o700); err != nil {
		return err
	}
	for client, token := range tokens {
		if err := os.WriteFile(i.found.TokenFile(client), []byte(token+"\n"), 0o600); err != nil {
			return err
		}
	}
	if plan, err = i.found.Plan(tokens); err != nil {
		return err
	}
	return importer.Wrap(i.dir, plan)
}

// mintFirst makes a new state directory and the first tokens.
func (i *importing) mintFirst(ctx context.Context, files proposal.Files, tokens map[importer.Client]string) error {
	if err := files.Write(i.dir); err != nil {
		return err
	}
	a, err := app.Open(ctx, app.Options{
		Dir: i.dir, Config: filepath.Join(i.dir, "sallyport.yaml"), Version: version(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	minted, err := a.FirstTokens(ctx, files.Agents...)
	for _, token := range minted {
		tokens[importer.Client(token.Agent)] = token.Token
	}
	return errors.Join(err, a.Close(context.WithoutCancel(ctx)))
}

// mintMore adds to a state directory that is in use. That needs the human, who
// is shown what waits and accepts exactly that.
func (i *importing) mintMore(ctx context.Context, files proposal.Files, tokens map[importer.Client]string) error {
	return i.cli.withDir(ctx, i.dir, func(ctx context.Context, gate *control.Client) error {
		if err := enrolled(ctx, gate); err != nil {
			return err
		}
		status, err := control.Post[control.PolicyStatus](ctx, gate, "/policy/reload", struct{}{})
		if err != nil {
			return err
		}
		if status.Pending != nil || status.Broken != "" {
			// Somebody else's change must not be accepted along with this one.
			return errors.New("the configuration or a policy was changed and is not in force: look at it first with \"sallyport policy status\", and accept it or take it back; nothing was written")
		}
		if err := files.Write(i.dir); err != nil {
			return err
		}
		if status, err = control.Post[control.PolicyStatus](ctx, gate, "/policy/reload", struct{}{}); err != nil {
			return err
		}
		if status.Broken != "" {
			return errors.New("what import added can't be taken into force; the clients' files are as they were:\n" + status.Broken)
		}
		if i.cli.output == "table" && status.Pending != nil {
			i.cli.print(status, func(t *terminal.Table) { showStatus(t, status) })
		}
		secret, err := i.cli.secret("Secret: ")
		if err != nil {
			return err
		}
		if status.Pending != nil {
			if _, err := control.Post[struct{}](ctx, gate, "/policy/accept", control.Accept{Secret: secret, Digest: status.Pending.Digest}); err != nil {
				return fmt.Errorf("%w: what import added waits for \"sallyport policy accept\"; the clients' files are as they were", err)
			}
		}
		return i.keepOrRotate(ctx, gate, secret, files.Agents, tokens)
	})
}

// keepOrRotate gets a token for each client: the one that it has, as long as
// it is good, since entries that were wrapped earlier hold it.
func (i *importing) keepOrRotate(ctx context.Context, gate *control.Client, secret string, agents []string, tokens map[importer.Client]string) error {
	for _, name := range agents {
		client := importer.Client(name)
		agent := control.NewAgent{Secret: secret, Name: name, Lifetime: identity.DefaultLifetime}
		kept, err := terminal.SecretFile(i.found.TokenFile(client), nil)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		agent.Unless = kept
		token, err := control.Post[control.Token](ctx, gate, "/agents/"+url.PathEscape(name)+"/rotate", agent)
		if err != nil {
			return err
		}
		tokens[client] = token.Token
	}
	return nil
}

func (c *cli) unwrapCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "unwrap", Short: "Put the clients' files back as they were before import --wrap", Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			dir, err := app.StateDir(c.dir, "")
			if err != nil {
				return err
			}
			results, failed := importer.Unwrap(dir, force)
			if results == nil && failed == nil {
				results = []importer.Result{}
			}
			err = c.print(results, func(t *terminal.Table) {
				if len(results) == 0 {
					t.Line("Nothing was wrapped from " + dir + ".")
				}
				for _, r := range results {
					t.Row(string(r.Outcome), string(r.Client), r.Path)
					for _, note := range r.Notes {
						t.Line("  " + terminal.Visible(note))
					}
				}
			})
			return errors.Join(err, failed)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "bring the old text back whatever is there now; it is kept as a backup")
	return cmd
}
