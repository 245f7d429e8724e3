package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/control"
	"sallyport/internal/terminal"
)

func (c *cli) policyCommand() *cobra.Command {
	return group("policy", "What is allowed, and why",
		c.policyStatus(), c.policyCheck(), c.policyTest(), c.policyWhy(), c.policySuggest(), c.policyReplay(), c.policyAccept())
}

func (c *cli) policyStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show which policy is in force and what waits for a human", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
				status, err := control.Get[control.PolicyStatus](ctx, gate, "/policy")
				if err != nil {
					return err
				}
				return c.print(status, func(t *terminal.Table) { showStatus(t, status) })
			})
		},
	}
}

func showStatus(t *terminal.Table, status control.PolicyStatus) {
	if status.Digest == "" {
		t.Line("No policy is in force: every call is refused.")
	} else {
		t.Line(fmt.Sprintf("In force: %d rules, mode %s, %s", status.Rules, status.Mode, status.Digest))
	}
	if status.Broken != "" {
		t.Line("\nThe files on disk are refused:\n" + terminal.VisibleLines(status.Broken))
	}
	if status.Pending == nil {
		return
	}
	t.Line("\nChanged files wait for a human, since they are not provably tighter:")
	for _, reason := range status.Pending.Reasons {
		t.Line("  - " + terminal.Visible(reason))
	}
	t.Line("\n" + terminal.VisibleLines(status.Pending.Diff) + "\nsallyport policy accept puts them in force.")
}

func (c *cli) policyAccept() *cobra.Command {
	cmd := &cobra.Command{
		Use: "accept", Short: "Put the changed configuration and policy in force", Args: exactly(),
		Long: `Put the changed configuration and policy in force. What changes is shown first;
only exactly that is accepted, with the human's secret.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd, c.acceptPolicy)
		},
	}
	c.secretFlag(cmd)
	return cmd
}

func (c *cli) acceptPolicy(ctx context.Context, gate *control.Client) error {
	status, err := control.Get[control.PolicyStatus](ctx, gate, "/policy")
	if err != nil {
		return err
	}
	if status.Pending == nil {
		return c.print(status, func(t *terminal.Table) { t.Line("Nothing waits."); showStatus(t, status) })
	}
	if c.output == "table" {
		if err := c.print(status, func(t *terminal.Table) { showStatus(t, status) }); err != nil {
			return err
		}
	}
	secret, err := c.humanSecret(ctx, gate)
	if err != nil {
		return err
	}
	if _, err := control.Post[struct{}](ctx, gate, "/policy/accept", control.Accept{Secret: secret, Digest: status.Pending.Digest}); err != nil {
		return err
	}
	if status, err = control.Get[control.PolicyStatus](ctx, gate, "/policy"); err != nil {
		return err
	}
	return c.print(status, func(t *terminal.Table) { t.Line("Accepted."); showStatus(t, status) })
}

func (c *cli) policyCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check [PATH…]",
		Short: "Check policies against what is pinned, and say what they would loosen",
		Long: `Check policies against what is pinned and declared, and say what they would
loosen. Without a path the files of the configuration are checked. The exit
code is 4 when something is wrong.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := app.ReadFiles(args)
			if err != nil {
				return err
			}
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
				checked, err := control.Post[control.Checked](ctx, gate, "/policy/check", files)
				if err != nil {
					return err
				}
				if err := c.print(checked, func(t *terminal.Table) { showChecked(t, checked) }); err != nil || checked.OK {
					return err
				}
				return &codeError{exitFailed, "the policy can't be used"}
			})
		},
	}
}

func showChecked(t *terminal.Table, checked control.Checked) {
	for _, problem := range checked.Problems {
		t.Line(terminal.Visible(problem))
	}
	if !checked.OK {
		return
	}
	t.Line(fmt.Sprintf("%d rules, nothing wrong.", checked.Rules))
	if len(checked.Looser) > 0 {
		t.Line("Not provably tighter than what is in force:")
	}
	for _, reason := range checked.Looser {
		t.Line("  - " + terminal.Visible(reason))
	}
}

func (c *cli) policyTest() *cobra.Command {
	return &cobra.Command{
		Use:   "test [PATH…]",
		Short: "Run the tests beside the policies",
		Long: `Run the tests (*.test.yaml) beside the policies and say which rules they never
made apply. Without a path the files of the configuration are tested. The exit
code is 4 when a test fails.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := app.ReadFiles(args)
			if err != nil {
				return err
			}
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
				stop := terminal.Progress(c.errs, "testing")
				tested, err := control.Post[control.Tested](ctx, gate, "/policy/test", files)
				stop()
				if err != nil {
					return err
				}
				if err := c.print(tested, func(t *terminal.Table) { c.showTested(t, tested) }); err != nil || tested.OK {
					return err
				}
				return &codeError{exitFailed, "the tests did not pass"}
			})
		},
	}
}

func (c *cli) showTested(t *terminal.Table, tested control.Tested) {
	for _, problem := range tested.Problems {
		t.Line(terminal.Visible(problem))
	}
	failed := 0
	for _, r := range tested.Results {
		if r.Passed {
			continue
		}
		failed++
		t.Line(fmt.Sprintf("%s  %s:%d  %s: %s", c.paint(terminal.Red, "FAIL"), r.File, r.Line, terminal.Visible(r.Suite), terminal.Visible(r.Name)))
		t.Line("      " + strings.TrimLeft(terminal.Indent(r.Detail, "      "), " "))
	}
	if len(tested.Problems) > 0 {
		return
	}
	never := 0
	for _, rule := range tested.Coverage {
		if rule.Fired == 0 {
			never++
			t.Line(fmt.Sprintf("%s  no test makes rule %s apply (%s)", c.paint(terminal.Yellow, "note"), terminal.Visible(rule.Rule), rule.Place))
		}
	}
	t.Line(fmt.Sprintf("%d passed, %d failed; %d of %d rules were made to apply.",
		len(tested.Results)-failed, failed, len(tested.Coverage)-never, len(tested.Coverage)))
}

func (c *cli) policyWhy() *cobra.Command {
	return &cobra.Command{
		Use: "why ID", Short: "Say why a recorded call was decided as it was", Args: exactly("ID"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
				why, err := control.Get[control.Why](ctx, gate, "/policy/why/"+url.PathEscape(args[0]))
				if err != nil {
					return err
				}
				return c.print(why, func(t *terminal.Table) { showWhy(t, why) })
			})
		},
	}
}

func showWhy(t *terminal.Table, why control.Why) {
	t.Line(fmt.Sprintf("%s  %s by %s: %s", why.Call, terminal.Visible(why.Action), terminal.Visible(why.Agent), why.Verdict))
	if why.Reason != "" {
		t.Line("  " + terminal.Visible(why.Reason))
	}
	for _, origin := range why.Origins {
		t.Line("  " + terminal.Visible(origin))
	}
	for _, part := range []struct {
		what  string
		lines []string
	}{{"found in the arguments: ", why.Findings}, {"found in what came back: ", why.Found}, {"what came back was changed: ", why.Modified}} {
		for _, line := range part.lines {
			t.Line("  " + part.what + terminal.Visible(line))
		}
	}
	switch {
	case why.Approval != "" && why.Verdict == "allow":
		t.Line("  agreed to: " + terminal.Visible(why.Approval) + " by " + terminal.Visible(why.Approver))
	case why.Approval != "":
		t.Line("  asked: " + terminal.Visible(why.Approval) + " (sallyport approvals show " + terminal.Visible(why.Approval) + ")")
	}
	if why.Note != "" {
		t.Line("  " + terminal.Visible(why.Note))
	}
	if why.Now.Verdict != "" && why.Now.Policy != why.Policy {
		t.Line("Now: " + why.Now.Verdict + "  " + terminal.Visible(why.Now.Reason))
	}
	for _, j := range why.Rules {
		kind := "forbid"
		if j.Permit {
			kind = "permit"
		}
		t.Line(fmt.Sprintf("\n%s %s (%s) %s", kind, terminal.Visible(j.Rule), j.Place, j.Outcome))
		if j.Because != "" {
			t.Line("  because: " + terminal.Visible(j.Because))
		}
		for _, r := range j.Reads {
			value := r.Value
			if value == "" {
				value = "(not there)"
			}
			t.Line("  " + terminal.Visible(r.Path) + " = " + terminal.Visible(value))
		}
		if j.Change != "" {
			t.Line("  otherwise if: " + terminal.Visible(j.Change))
		}
	}
}

// pastFlags choose recorded calls.
func (c *cli) pastFlags(cmd *cobra.Command, agent, since *string) {
	cmd.Flags().StringVar(agent, "agent", "", "only calls of this agent")
	cmd.Flags().StringVar(since, "since", "", "only calls not older than this: 2h, 30d, or a time like 2026-11-22T09:00:00Z")
	cmd.RegisterFlagCompletionFunc("agent", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return c.completeAgents(cmd, nil, "")
	})
}

func past(agent, since string) (control.Past, error) {
	at, err := moment(since)
	if err != nil {
		return control.Past{}, usage("--since: %v", err)
	}
	return control.Past{Agent: agent, Since: at}, nil
}

func (c *cli) policySuggest() *cobra.Command {
	var agent, since string
	cmd := &cobra.Command{
		Use: "suggest", Short: "Write a least-privilege policy from what was recorded", Args: exactly(),
		Long: `Write a least-privilege policy from the calls that went through. It says what
was done, not that it should be: read it, test it, then put it beside the other
policies.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted, err := past(agent, since)
			if err != nil {
				return err
			}
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
				stop := terminal.Progress(c.errs, "reading the log")
				suggestion, err := control.Post[control.Suggestion](ctx, gate, "/policy/suggest", wanted)
				stop()
				if err != nil {
					return err
				}
				if suggestion.Skipped > 0 {
					fmt.Fprintf(c.errs, "sallyport: %d calls were left out: their arguments or tools are not there any more\n", suggestion.Skipped)
				}
				return c.print(suggestion, func(t *terminal.Table) { t.Line(strings.TrimSuffix(suggestion.Policy, "\n")) })
			})
		},
	}
	c.pastFlags(cmd, &agent, &since)
	return cmd
}

func (c *cli) policyReplay() *cobra.Command {
	var agent, since string
	cmd := &cobra.Command{
		Use: "replay PATH…", Short: "Say what a policy would have changed over the recorded calls",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("%s needs policy files or directories", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := app.ReadFiles(args)
			if err != nil {
				return err
			}
			if len(files.Policies) == 0 {
				return usage("there are no *.cedar files in %s", strings.Join(args, ", "))
			}
			wanted := control.Replay{Policies: files.Policies}
			if wanted.Past, err = past(agent, since); err != nil {
				return err
			}
			return c.with(cmd, func(ctx context.Context, gate *control.Client) error {
				stop := terminal.Progress(c.errs, "replaying")
				replayed, err := control.Post[control.Replayed](ctx, gate, "/policy/replay", wanted)
				stop()
				if err != nil {
					return err
				}
				return c.print(replayed, func(t *terminal.Table) { c.showReplayed(t, replayed) })
			})
		},
	}
	c.pastFlags(cmd, &agent, &since)
	return cmd
}

func (c *cli) showReplayed(t *terminal.Table, replayed control.Replayed) {
	counts := map[string]int{}
	for _, call := range replayed.Changed {
		change := call.Then + " → " + call.Now
		counts[change]++
		color := terminal.Red
		if call.Now == "allow" || call.Then == "deny" {
			color = terminal.Green
		}
		t.Line(fmt.Sprintf("%s  %s  %s  %s  %s", c.paint(color, change), call.Time.Local().Format(time.DateTime),
			terminal.Visible(call.Action), terminal.Visible(call.Agent), call.Call))
		if call.Reason != "" {
			t.Line("    " + terminal.Visible(call.Reason))
		}
	}
	summary := fmt.Sprintf("%d calls, %d decided as before", replayed.Calls, replayed.Calls-len(replayed.Changed))
	for _, change := range []string{"allow → hold", "allow → deny", "hold → deny", "hold → allow", "deny → hold", "deny → allow"} {
		if counts[change] > 0 {
			summary += fmt.Sprintf(", %d %s", counts[change], change)
		}
	}
	if replayed.Skipped > 0 {
		summary += fmt.Sprintf("; %d left out, whose arguments or tools are not there any more", replayed.Skipped)
	}
	if replayed.Unlabelled > 0 {
		summary += fmt.Sprintf("; where the arguments of %d came from was not kept, they count as the user's own", replayed.Unlabelled)
	}
	t.Line(summary + ".")
}
