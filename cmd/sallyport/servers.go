package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"sallyport/internal/control"
	"sallyport/internal/terminal"
)

func (c *cli) serversCommand() *cobra.Command {
	list := c.serversList()
	servers := group("servers", "The MCP servers behind the gateway, and what was accepted of them",
		list, c.serversShow(), c.serversDiff(), c.serversAccept("pin", "Look at a server for the first time and accept what it offers"),
		c.serversAccept("accept", "Accept what a server has changed"))
	inner := servers.RunE
	servers.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return inner(cmd, args)
		}
		return list.RunE(cmd, args)
	}
	return servers
}

func (c *cli) serversList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the servers", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
				servers, err := control.Get[[]control.Server](ctx, gate, "/servers")
				if err != nil {
					return err
				}
				return c.print(servers, func(t *terminal.Table) {
					t.Row("SERVER", "KIND", "STATE", "PINNED", "QUARANTINED", "NEW", "ADDRESS")
					for _, s := range servers {
						t.Row(s.Name, s.Kind, s.State, fmt.Sprint(s.Pinned), fmt.Sprint(s.Quarantined), fmt.Sprint(s.New), s.Address)
					}
					for _, s := range servers {
						if s.Error != "" {
							t.Line(fmt.Sprintf("\n%s: %s", s.Name, terminal.Visible(s.Error)))
						}
					}
				})
			})
		},
	}
}

func (c *cli) serversShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a server, and what is declared of where its values come from",
		Args: exactly("NAME"), ValidArgsFunction: c.completeServers,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
				servers, err := control.Get[[]control.Server](ctx, gate, "/servers")
				if err != nil {
					return err
				}
				i := slices.IndexFunc(servers, func(s control.Server) bool { return s.Name == args[0] })
				if i < 0 {
					return fmt.Errorf("no server %s is configured; \"sallyport servers list\" shows all", args[0])
				}
				return c.print(servers[i], func(t *terminal.Table) { showServer(t, &servers[i]) })
			})
		},
	}
}

func showServer(t *terminal.Table, s *control.Server) {
	t.Row("SERVER", s.Name)
	t.Row("KIND", s.Kind)
	t.Row("ADDRESS", s.Address)
	t.Row("STATE", s.State)
	t.Row("ITEMS", fmt.Sprintf("%d pinned, %d quarantined, %d new", s.Pinned, s.Quarantined, s.New))
	t.Row("TRUST", s.Trust)
	t.Row("READERS", s.Readers)
	if s.Memory {
		t.Row("MEMORY", "what one run writes, others read")
	}
	for _, r := range s.Results {
		t.Row("RESULT", fmt.Sprintf("%s of %s: written by %s, read by %s", cmp.Or(r.Field, "every field"), cmp.Or(r.Tool, "every tool"), r.Writer, r.Readers))
	}
	for _, unfit := range s.Unfit {
		t.Row("UNFIT", unfit)
	}
}

func (c *cli) serversDiff() *cobra.Command {
	return &cobra.Command{
		Use: "diff NAME", Short: "Show what a server says now and nobody has accepted",
		Args: exactly("NAME"), ValidArgsFunction: c.completeServers,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
				changes, err := changesOf(ctx, gate, args[0])
				if err != nil {
					return err
				}
				return c.print(changes, func(t *terminal.Table) { showChanges(t, changes) })
			})
		},
	}
}

func changesOf(ctx context.Context, gate *control.Client, server string) (control.Changes, error) {
	return control.Get[control.Changes](ctx, gate, "/servers/"+url.PathEscape(server)+"/changes")
}

// showChanges shows every byte that would be accepted, control and bidi
// characters made visible.
func showChanges(t *terminal.Table, changes control.Changes) {
	if len(changes.Changes) == 0 {
		t.Line(changes.Server + " says what was accepted.")
		return
	}
	for _, change := range changes.Changes {
		effects := ""
		if len(change.Effects) > 0 {
			effects = "  counts as " + strings.Join(change.Effects, ", ")
		}
		if len(change.Before) == 0 {
			t.Line("new " + terminal.Visible(change.Key) + effects)
			t.Line(shown(change.After))
			showFindings(t, change)
			continue
		}
		t.Line("changed " + terminal.Visible(change.Key) + effects)
		t.Line(string(diff.Diff("accepted", []byte(shown(change.Before)), "now", []byte(shown(change.After)))))
		showFindings(t, change)
	}
}

// showFindings shows what scanners see in an item: what hardly any honest server
// has is said to be so.
func showFindings(t *terminal.Table, change control.Change) {
	for _, finding := range change.Findings {
		what := "  found: "
		if slices.Contains(change.Grave, finding) {
			what = "  LOOK CLOSELY: "
		}
		t.Line(what + terminal.Visible(finding))
	}
	if len(change.Findings) > 0 {
		t.Line("")
	}
}

// shown is JSON over lines with everything invisible made visible.
func shown(raw json.RawMessage) string {
	var indented bytes.Buffer
	if err := json.Indent(&indented, raw, "", "  "); err != nil {
		return terminal.Visible(string(raw)) + "\n"
	}
	var b strings.Builder
	for line := range strings.Lines(indented.String()) {
		b.WriteString(terminal.Visible(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}

func (c *cli) serversAccept(use, short string) *cobra.Command {
	var item string
	cmd := &cobra.Command{
		Use: use + " NAME", Short: short, Args: exactly("NAME"), ValidArgsFunction: c.completeServers,
		Long: short + `.
What is accepted is shown first; only exactly that is accepted, with the human's
secret.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error { return c.acceptServer(ctx, gate, args[0], item) })
		},
	}
	cmd.Flags().StringVar(&item, "item", "", "accept one item only, such as tool:refund")
	c.secretFlag(cmd)
	return cmd
}

func (c *cli) acceptServer(ctx context.Context, gate *control.Client, server, item string) error {
	changes, err := changesOf(ctx, gate, server)
	if err != nil {
		return err
	}
	if len(changes.Changes) == 0 {
		return c.print(control.Accepted{Items: []string{}}, func(t *terminal.Table) { showChanges(t, changes) })
	}
	if c.output == "table" {
		if err := c.print(changes, func(t *terminal.Table) { showChanges(t, changes) }); err != nil {
			return err
		}
	}
	secret, err := c.humanSecret(ctx, gate)
	if err != nil {
		return err
	}
	accepted, err := control.Post[control.Accepted](ctx, gate, "/servers/"+url.PathEscape(server)+"/accept",
		control.Accept{Secret: secret, Digest: changes.Digest, Item: item})
	if err != nil {
		return err
	}
	return c.print(accepted, func(t *terminal.Table) { t.Line(fmt.Sprintf("Accepted %d items of %s.", len(accepted.Items), server)) })
}

func (c *cli) toolsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "tools", Short: "List the tools: effects, pins, and for whom policy allows them", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
				tools, err := control.Get[[]control.Tool](ctx, gate, "/tools")
				if err != nil {
					return err
				}
				return c.print(tools, func(t *terminal.Table) {
					t.Row("TOOL", "EFFECTS", "STATE", "DIGEST", "ALLOWED FOR", "ASKED FOR", "AUDIENCE")
					for _, tool := range tools {
						t.Row(tool.Server+"/"+tool.Name, strings.Join(tool.Effects, ","), tool.State, tool.Digest,
							strings.Join(tool.Allowed, ","), strings.Join(tool.Asked, ","), tool.Audience)
					}
				})
			})
		},
	}
}

func (c *cli) completeServers(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		c.with(cmd, func(ctx context.Context, gate *control.Client) error {
			servers, err := control.Get[[]control.Server](ctx, gate, "/servers")
			for _, s := range servers {
				names = append(names, s.Name)
			}
			return err
		})
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
