package verbs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport"
	"sallyport/internal/control"
	"sallyport/internal/terminal"
)

// Approvals is "sallyport approvals".
func (k Kit) Approvals() *cobra.Command {
	return k.Group("approvals", "Calls that wait for a human", k.approvalsList(), k.approvalsShow(), k.approvalsApprove(), k.approvalsDeny())
}

func (k Kit) approvalsList() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the calls that wait for a human", Args: k.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				kept, err := control.Get[[]control.Approval](ctx, gate, "/approvals")
				if err != nil {
					return err
				}
				listed := []control.Approval{}
				for _, a := range kept {
					if all || a.State == sallyport.Pending.String() || a.Problem != "" {
						listed = append(listed, a)
					}
				}
				return k.Print(listed, func(t *terminal.Table) {
					if len(listed) == 0 {
						t.Line("Nothing waits for a human.")
						return
					}
					t.Row("APPROVAL", "STATE", "AGENT", "FOR", "CALL", "ASKS", "UNTIL", "WORDS")
					for _, a := range listed {
						call := a.Server + "/" + a.Name
						if a.Problem != "" {
							call = ""
						}
						t.Row(a.ID, a.State, a.Agent, a.User, call, strings.Join(a.Groups, ","), k.Minute(a.Expires), a.Words)
					}
					for _, a := range listed {
						if a.Problem != "" {
							t.Line(terminal.Visible(a.ID + ": " + a.Problem))
						}
					}
				})
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "those too that were answered, used or not answered in time")
	return cmd
}

func (k Kit) approvalsShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show exactly what a call that waits would do", Args: k.Exactly("ID"), ValidArgsFunction: k.completeApprovals,
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				a, err := approval(ctx, gate, args[0])
				if err != nil {
					return err
				}
				return k.Print(a, func(t *terminal.Table) { showApproval(t, a) })
			})
		},
	}
}

func (k Kit) approvalsApprove() *cobra.Command {
	cmd := &cobra.Command{
		Use: "approve ID", Short: "Let exactly this call through, once", Args: k.Exactly("ID"), ValidArgsFunction: k.completeApprovals,
		Long: `Let exactly this call through, once, when the agent makes it again.
What would be done is shown first; the human's secret then answers exactly that.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.answerApproval(cmd, args[0], control.ApprovalAnswer{Approve: true})
		},
	}
	k.SecretFlag(cmd)
	return cmd
}

func (k Kit) approvalsDeny() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "deny ID", Short: "Refuse a call that waits, with a reason that the agent hears", Args: k.Exactly("ID"),
		ValidArgsFunction: k.completeApprovals,
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return k.Usage("say why with --reason: the agent hears it")
			}
			return k.answerApproval(cmd, args[0], control.ApprovalAnswer{Reason: reason})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; the agent hears it")
	k.SecretFlag(cmd)
	return cmd
}

func (k Kit) answerApproval(cmd *cobra.Command, id string, given control.ApprovalAnswer) error {
	return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
		a, err := approval(ctx, gate, id)
		if err != nil {
			return err
		}
		card := terminal.NewTable(k.Errs) // whatever is printed for machines
		showApproval(card, a)
		if err := card.Flush(); err != nil {
			return err
		}
		if a.State != sallyport.Pending.String() {
			return fmt.Errorf("%s is %s: there is nothing to answer", id, a.State)
		}
		if given.Secret, err = k.Secret(ctx, gate); err != nil {
			return err
		}
		given.Digest = a.Digest // of what was shown
		answered, err := control.Post[control.Approval](ctx, gate, "/approvals/"+url.PathEscape(id), given)
		if err != nil {
			return err
		}
		return k.Print(answered, func(t *terminal.Table) {
			if given.Approve {
				t.Line("Approved: the identical call goes through once, until " + clock(answered.Expires) + ".")
			} else {
				t.Line("Refused: the agent hears why.")
			}
		})
	})
}

// approval fetches an approval. What it shows must be what its digest covers,
// whoever is at the other end of the socket.
func approval(ctx context.Context, gate *control.Client, id string) (control.Approval, error) {
	a, err := control.Get[control.Approval](ctx, gate, "/approvals/"+url.PathEscape(id))
	if err == nil && a.Problem == "" && sallyport.DigestOf([]byte(a.Question)).String() != a.Digest {
		err = fmt.Errorf("what %s asks is not what its digest covers: don't answer it", id)
	}
	return a, err
}

// asked is what a person is asked, from the bytes that the digest covers.
type asked struct {
	Agent   string          `json:"agent"`
	Args    json.RawMessage `json:"args"`
	Effects []string        `json:"effects"`
	Kind    string          `json:"kind"`
	Method  string          `json:"method"`
	Name    string          `json:"name"`
	Origins []struct {
		Path    string `json:"path"`
		Readers string `json:"readers"`
		Writer  string `json:"writer"`
	} `json:"origins"`
	Params json.RawMessage `json:"params"`
	Role   string          `json:"role"`
	Run    string          `json:"run"`
	Server string          `json:"server"`
	Tenant string          `json:"tenant"`
	Tool   string          `json:"tool"`
	User   string          `json:"user"`
}

func showApproval(t *terminal.Table, a control.Approval) {
	t.Line("Approval " + terminal.Exact(a.ID) + ", " + a.State + ": " + a.Words)
	var q asked
	if a.Problem != "" || json.Unmarshal([]byte(a.Question), &q) != nil {
		t.Line("What it asks can't be shown, so it can't be agreed to: " + terminal.Exact(a.Problem))
		return
	}
	t.Line("")
	t.Line(verb(q.Kind, q.Effects) + " " + terminal.Exact(q.Server) + " / " + terminal.Exact(q.Name))
	t.Line("")
	row := func(name, value string) {
		if value != "" {
			t.Line(fmt.Sprintf("  %-9s %s", name, value))
		}
	}
	row("agent", terminal.Exact(q.Agent)+inBrackets(terminal.Exact(q.Role)))
	row("for", terminal.Exact(q.User)+inBrackets(terminal.Exact(q.Tenant)))
	row("run", terminal.Exact(q.Run))
	row("effects", strings.Join(q.Effects, ", "))
	for _, rule := range a.Rules {
		row("rule", terminal.Exact(rule.ID)+" ("+terminal.Exact(rule.Place)+") asks "+terminal.Exact(strings.Join(rule.Groups, " and ")))
		row("", terminal.Exact(rule.Because))
	}
	row("until", clock(a.Expires))
	row("digest", a.Digest)
	showJSON(t, "arguments", q.Args)
	for _, origin := range q.Origins {
		row("from", terminal.Exact(origin.Path)+" was written by "+writers[sallyport.WriterOf(origin.Writer)]+"; readers: "+terminal.Exact(origin.Readers))
	}
	if rest := besides(q.Params, q.Name); rest != nil {
		showJSON(t, "and with it goes", rest)
	}
	if names := terminal.Alphabets(a.Question); len(names) > 0 {
		t.Line("  Careful: there are " + strings.Join(names, " and ") + " letters in it, which can look like Latin ones.")
	}
	for _, line := range []struct{ name, value string }{
		{"approved by", a.Approver}, {"refused by", a.Refuser}, {"because", a.Reason}, {"used by", a.Spent},
	} {
		if line.value != "" {
			t.Line("  " + line.name + " " + terminal.Exact(line.value))
		}
	}
}

// writers are who could have written an argument.
var writers = map[sallyport.Writer]string{
	sallyport.WriterUser: "the user", sallyport.WriterTrusted: "a trusted server",
	sallyport.WriterUntrusted: "ANYBODY, it came from what others could have written", sallyport.WriterUnknown: "NOBODY KNOWN, the model made it up",
}

// besides are the params beyond the name and the arguments: nil when there are
// no others.
func besides(params json.RawMessage, name string) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(params, &members) != nil {
		return params
	}
	for member, raw := range members {
		var text string
		if (member == "name" || member == "uri") && json.Unmarshal(raw, &text) == nil && text == name {
			delete(members, member)
		}
	}
	if len(members) == 0 {
		return nil
	}
	return params
}

func showJSON(t *terminal.Table, name string, raw json.RawMessage) {
	if raw == nil {
		return
	}
	var indented bytes.Buffer
	if json.Indent(&indented, raw, "    ", "  ") != nil {
		indented.Reset()
		indented.Write(raw)
	}
	t.Line("")
	t.Line("  " + name)
	for line := range strings.Lines("    " + indented.String()) {
		t.Line(terminal.Exact(strings.TrimSuffix(line, "\n")))
	}
	t.Line("")
}

// verb says what a call does, by its strictest effect.
func verb(kind string, effects []string) string {
	switch kind {
	case "resource":
		return "READ a resource:"
	case "subscribe":
		return "FOLLOW a resource:"
	case "prompt":
		return "GET a prompt:"
	}
	verbs := map[sallyport.Effect]string{
		sallyport.Read: "READ with", sallyport.Write: "CHANGE DATA with", sallyport.Send: "SEND with", sallyport.Pay: "PAY with",
		sallyport.Delete: "DELETE with", sallyport.Access: "CHANGE WHO MAY DO WHAT with", sallyport.Exec: "RUN ANYTHING with",
	}
	strictest := -1
	for _, effect := range effects {
		for i, known := range sallyport.Effects {
			if string(known) == effect {
				strictest = max(strictest, i)
			}
		}
	}
	if strictest < 0 {
		strictest = len(sallyport.Effects) - 1
	}
	return verbs[sallyport.Effects[strictest]]
}

func inBrackets(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// clock is a time to the second, as people read it here.
func clock(t time.Time) string { return t.Local().Format(time.DateTime) }

func (k Kit) completeApprovals(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	if len(args) == 0 {
		k.With(cmd, func(ctx context.Context, gate *control.Client) error {
			kept, err := control.Get[[]control.Approval](ctx, gate, "/approvals")
			for _, a := range kept {
				if a.State == sallyport.Pending.String() {
					ids = append(ids, a.ID)
				}
			}
			return err
		})
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
