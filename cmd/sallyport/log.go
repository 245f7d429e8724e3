package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport"
	"sallyport/internal/config"
	"sallyport/internal/control"
	"sallyport/internal/store"
	"sallyport/internal/terminal"
	"sallyport/proof"
)

func (c *cli) logCommand() *cobra.Command {
	return group("log", "What happened, and the proof of it",
		c.logTail(), c.logQuery(), c.logShow(), c.logVerify(), c.logExport(), c.logCheckpoint(), c.logReindex(), c.logErase())
}

// withLog runs a verb about the log: through the gateway that runs or, when
// none does, on the files alone, which takes no lock and changes nothing that
// is proved.
func (c *cli) withLog(cmd *cobra.Command, verb func(ctx context.Context, gate *control.Client) error) error {
	dir, err := c.stateDir()
	if err != nil {
		return err
	}
	if control.Running(dir) {
		return verb(cmd.Context(), control.Dial(dir))
	}
	if _, err := os.Stat(filepath.Join(dir, "sallyport.db")); errors.Is(err, fs.ErrNotExist) {
		return noState(dir)
	}
	reader, err := store.OpenReader(dir)
	if err != nil {
		return err
	}
	err = verb(cmd.Context(), control.Local(control.LogHandler(reader, reader, reader, nil)))
	return errors.Join(err, reader.Close())
}

func (c *cli) logTail() *cobra.Command {
	var lines uint
	cmd := &cobra.Command{
		Use: "tail", Short: "Show the last entries and then each new one", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withLog(cmd, func(ctx context.Context, gate *control.Client) error {
				answer, err := gate.Stream(ctx, http.MethodGet, "/log/tail?lines="+strconv.FormatUint(uint64(lines), 10), nil)
				if err != nil {
					return err
				}
				defer answer.Close()
				err = c.printLines(answer)
				if ctx.Err() != nil {
					return nil // interrupted, as it is meant to be
				}
				return err
			})
		},
	}
	cmd.Flags().UintVarP(&lines, "lines", "n", 10, "how many of the last entries")
	return cmd
}

// printLines prints entries as they come: JSON a line each, YAML documents,
// or lines for people.
func (c *cli) printLines(answer io.Reader) error {
	show := terminal.NewConsole(c.out)
	return eachEntry(answer, func(raw []byte, entry *sallyport.Entry) error {
		switch c.output {
		case "json":
			_, err := fmt.Fprintf(c.out, "%s\n", terminal.VisibleJSON(raw))
			return err
		case "yaml":
			text, err := terminal.Data("yaml", raw)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.out, "---\n%s", text)
			return err
		default:
			_, err := fmt.Fprintln(c.out, show.Entry(entry))
			return err
		}
	})
}

// eachEntry reads a stream of canonical entries.
func eachEntry(answer io.Reader, each func(raw []byte, entry *sallyport.Entry) error) error {
	lines := bufio.NewScanner(answer)
	lines.Buffer(make([]byte, 0, 1<<16), 2*sallyport.MaxEntry)
	for lines.Scan() {
		entry, err := sallyport.ParseEntry(lines.Bytes())
		if err != nil {
			var broken struct {
				Error string `json:"error"`
			}
			if json.Unmarshal(lines.Bytes(), &broken) == nil && broken.Error != "" {
				return errors.New(broken.Error)
			}
			return err
		}
		if err := each(lines.Bytes(), &entry); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (c *cli) logQuery() *cobra.Command {
	var observed, unsupported bool
	var limit uint
	var since, until string
	texts := map[string]*string{}
	cmd := &cobra.Command{
		Use: "query", Short: "Find entries", Args: exactly(),
		Long: `Find entries, the last ones that fit, oldest first. An outcome is shown with
the call that it ended.`,
		Example: `  sallyport log query --agent support-bot --verdict deny
  sallyport log query --unsupported --verdict allow
  sallyport log query --since 2h --limit 0 -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"limit": {strconv.FormatUint(uint64(limit), 10)}}
			for name, value := range texts {
				if *value == "" {
					continue
				}
				// Nothing found must not look like nothing happened.
				if words := queryWords[name]; words != nil && !slices.Contains(words, *value) {
					return usage("--%s is %s, not %q", name, strings.Join(words, ", "), *value)
				}
				q.Set(name, *value)
			}
			if observed {
				q.Set("observed", "true")
			}
			if unsupported {
				q.Set("unsupported", "true")
			}
			for name, text := range map[string]string{"since": since, "until": until} {
				at, err := moment(text)
				if err != nil {
					return usage("--%s: %v", name, err)
				}
				if !at.IsZero() {
					q.Set(name, at.Format(time.RFC3339))
				}
			}
			return c.withLog(cmd, func(ctx context.Context, gate *control.Client) error {
				answer, err := gate.Stream(ctx, http.MethodGet, "/log?"+q.Encode(), nil)
				if err != nil {
					return err
				}
				defer answer.Close()
				return c.printEntries(answer)
			})
		},
	}
	for name, words := range queryWords {
		texts[name] = cmd.Flags().String(name, "", "one of "+strings.Join(words, ", "))
		cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
	for name, help := range map[string]string{
		"agent": "calls of this agent", "user": "calls for this user", "tenant": "calls of this tenant", "run": "calls of this run",
		"server": "calls of this server", "name": "calls of this tool, prompt or resource",
	} {
		texts[name] = cmd.Flags().String(name, "", help)
	}
	cmd.Flags().BoolVar(&observed, "observed", false, "only what observe mode let through against the policy")
	cmd.Flags().BoolVar(&unsupported, "unsupported", false, "only calls that no task or message of the user supports")
	cmd.Flags().StringVar(&since, "since", "", "not older than this: 2h, 30d, or a time like 2026-11-22T09:00:00Z")
	cmd.Flags().StringVar(&until, "until", "", "older than this")
	cmd.Flags().UintVar(&limit, "limit", 50, "at most so many calls; 0 for all")
	cmd.RegisterFlagCompletionFunc("agent", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return c.completeAgents(cmd, nil, "")
	})
	cmd.RegisterFlagCompletionFunc("server", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return c.completeServers(cmd, nil, "")
	})
	return cmd
}

// queryWords are what flags of "log query" may say.
var queryWords = map[string][]string{
	"type": {"intent", "refusal", "hold", "change"}, "verdict": {"allow", "hold", "deny"},
	"outcome": {"ok", "tool-error", "error", "withheld", "unknown"},
}

// moment reads a time, or how long ago it was.
func moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := config.ParseDuration(text); err == nil {
		return time.Now().Add(-ago).UTC(), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a span like 2h or 30d nor a time like 2026-11-22T09:00:00Z", text)
}

// printEntries prints entries as one value.
func (c *cli) printEntries(answer io.Reader) error {
	if c.output == "json" {
		return c.printArray(answer)
	}
	if c.output == "yaml" {
		return c.printLines(answer)
	}
	show := terminal.NewConsole(c.out)
	return eachEntry(answer, func(_ []byte, entry *sallyport.Entry) error {
		_, err := fmt.Fprintln(c.out, show.Entry(entry))
		return err
	})
}

func (c *cli) printArray(answer io.Reader) error {
	out := bufio.NewWriter(c.out)
	before := "[\n  "
	err := eachEntry(answer, func(raw []byte, _ *sallyport.Entry) error {
		_, err := fmt.Fprintf(out, "%s%s", before, terminal.VisibleJSON(raw))
		before = ",\n  "
		return err
	})
	if err != nil {
		return err
	}
	if before == "[\n  " {
		fmt.Fprint(out, "[")
	}
	fmt.Fprintln(out, "\n]")
	return out.Flush()
}

func (c *cli) logShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show a call, or the entry with an index, with what was sent and what came back",
		Args: exactly("ID"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withLog(cmd, func(ctx context.Context, gate *control.Client) error {
				shown, err := control.Get[[]control.Shown](ctx, gate, "/log/show/"+url.PathEscape(args[0]))
				if err != nil {
					return err
				}
				return c.print(shown, func(t *terminal.Table) {
					for _, s := range shown {
						t.Line(shownJSON(s.Entry))
						showPayload(t, "arguments", s.Args, s.ArgsError)
						showPayload(t, "result", s.Result, s.ResultError)
					}
				})
			})
		},
	}
}

func shownJSON(raw json.RawMessage) string { return strings.TrimSuffix(shown(raw), "\n") }

func showPayload(t *terminal.Table, what string, raw json.RawMessage, problem string) {
	switch {
	case problem != "":
		t.Line(what + ": " + problem)
	case raw != nil:
		t.Line(what + ":\n" + shownJSON(raw))
	}
}

func (c *cli) logVerify() *cobra.Command {
	var key string
	var checkpoints, witnesses []string
	cmd := &cobra.Command{
		Use:   "verify [EXPORT]",
		Short: "Verify the log, or an export of one, and say what that does not cover",
		Long: `Verify the log of the state directory, or an export on a machine that has never
seen the log. The exit code is 4 when something is wrong.

Without a checkpoint that was kept elsewhere (sallyport log checkpoint) a
rewrite of the whole log by the owner of the host can't be seen.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("%s takes one export, or none", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			v := control.Verification{Key: key, Witnesses: witnesses}
			for _, name := range checkpoints {
				text, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				v.Checkpoints = append(v.Checkpoints, text)
			}
			if len(args) == 1 {
				return c.verifyExport(args[0], v)
			}
			return c.withLog(cmd, func(ctx context.Context, gate *control.Client) error {
				stop := terminal.Progress(c.errs, "verifying")
				verified, err := control.Post[control.Verified](ctx, gate, "/log/verify", v)
				stop()
				if err != nil {
					return err
				}
				return c.showVerified(verified)
			})
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "the log's verifier key, from elsewhere")
	cmd.Flags().StringArrayVar(&checkpoints, "checkpoint", nil, "a checkpoint that was kept elsewhere (a file; may be repeated)")
	cmd.Flags().StringArrayVar(&witnesses, "witness", nil, "verifier key of a witness that must have cosigned (may be repeated)")
	return cmd
}

func (c *cli) verifyExport(name string, v control.Verification) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	stop := terminal.Progress(c.errs, "verifying")
	report, err := proof.Verify(file, proof.Options{Key: v.Key, Checkpoints: v.Checkpoints, Witnesses: v.Witnesses})
	stop()
	if err != nil {
		return &codeError{exitFailed, err.Error()}
	}
	return c.showVerified(control.NewVerified(report, nil))
}

func (c *cli) showVerified(v control.Verified) error {
	err := c.print(v, func(t *terminal.Table) {
		t.Line(strings.TrimSuffix(v.Report.String(), "\n"))
		for _, more := range v.NotCovered[len(v.Report.NotCovered()):] {
			t.Line("  - " + more)
		}
		for _, tile := range v.Damaged {
			t.Line("WRONG: " + tile + " differs from the entries; \"sallyport log reindex\" makes it again")
		}
	})
	if err == nil && !v.OK {
		err = &codeError{exitFailed, "the log does not verify"}
	}
	return err
}

func (c *cli) logExport() *cobra.Command {
	var wanted control.Export
	var against []uint
	var file string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write entries with their proof, for \"log verify\" on any machine",
		Long: `Write entries with their proof. Arguments and results are left out unless
--payloads asks for them; then they are in the file in the clear.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if wanted.To != 0 && wanted.From >= wanted.To {
				return usage("there are no entries from %d to %d: --to is the index behind the last", wanted.From, wanted.To)
			}
			for _, size := range against {
				wanted.Against = append(wanted.Against, uint64(size))
			}
			return c.withLog(cmd, func(ctx context.Context, gate *control.Client) error {
				answer, err := gate.Stream(ctx, http.MethodPost, "/log/export", wanted)
				if err != nil {
					return err
				}
				defer answer.Close()
				return c.writeExport(file, answer)
			})
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "write to this file (mode 0600) instead of standard output")
	cmd.Flags().Uint64Var(&wanted.From, "from", 0, "index of the first entry")
	cmd.Flags().Uint64Var(&wanted.To, "to", 0, "index behind the last entry; 0 for the end")
	cmd.Flags().UintSliceVar(&against, "against", nil, "sizes of checkpoints kept elsewhere, with which a part is to be compared")
	cmd.Flags().BoolVar(&wanted.Payloads, "payloads", false, "with arguments and results, in the clear")
	return cmd
}

func (c *cli) writeExport(name string, answer io.Reader) error {
	if name == "" {
		_, err := io.Copy(c.out, answer)
		return err
	}
	stop := terminal.Progress(c.errs, "exporting")
	defer stop()
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() { // a pipe or a device
		file, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, answer)
		return errors.Join(err, file.Close())
	}
	// A file of its own: one that is there may be readable for others, and half
	// an export must not take the place of a whole one.
	file, err := os.CreateTemp(filepath.Dir(name), ".sallyport-export-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // nothing once it is renamed
	_, err = io.Copy(file, answer)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}

func (c *cli) logCheckpoint() *cobra.Command {
	return &cobra.Command{
		Use: "checkpoint", Short: "Print the last signed checkpoint, to be kept elsewhere", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withLog(cmd, func(ctx context.Context, gate *control.Client) error {
				checkpoint, err := control.Get[control.Checkpoint](ctx, gate, "/log/checkpoint")
				if err != nil {
					return err
				}
				return c.print(checkpoint, func(t *terminal.Table) { t.Line(strings.TrimSuffix(checkpoint.Text, "\n")) })
			})
		},
	}
}

func (c *cli) logReindex() *cobra.Command {
	return &cobra.Command{
		Use: "reindex", Short: "Build the projections for queries, and damaged tiles, anew from the entries", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withLog(cmd, func(ctx context.Context, gate *control.Client) error {
				stop := terminal.Progress(c.errs, "reindexing")
				made, err := control.Post[control.Reindexed](ctx, gate, "/log/reindex", struct{}{})
				stop()
				if err != nil {
					return err
				}
				return c.print(made, func(t *terminal.Table) {
					t.Line("The projections were built anew.")
					for _, tile := range made.Tiles {
						t.Line("Made again: " + tile)
					}
				})
			})
		},
	}
}

func (c *cli) logErase() *cobra.Command {
	cmd := &cobra.Command{
		Use: "erase RUN", Short: "Erase the arguments and results of a run for good; its entries stay",
		Long: `Erase the arguments and results of a run for good, by dropping the keys that
they are sealed with. Entries and commitments stay, and the log still verifies.
"sallyport log show CALL" names the run of a call.`,
		Args: exactly("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
				secret, err := c.humanSecret(ctx, gate)
				if err != nil {
					return err
				}
				if _, err := control.Post[struct{}](ctx, gate, "/log/erase", control.Erasure{Secret: secret, Run: args[0]}); err != nil {
					return err
				}
				return c.print(map[string]string{"erased": args[0]}, func(t *terminal.Table) { t.Line("What run " + args[0] + " sent and received is erased.") })
			})
		},
	}
	c.secretFlag(cmd)
	return cmd
}
