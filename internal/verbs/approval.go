package verbs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport"
	"sallyport/internal/card"
	"sallyport/internal/control"
	"sallyport/internal/identity"
	"sallyport/internal/inbox"
	"sallyport/internal/kill"
	"sallyport/internal/terminal"
)

// Approvals is "sallyport approvals".
func (k Kit) Approvals() *cobra.Command {
	return k.Group("approvals", "Calls that wait for a human", k.approvalsList(), k.approvalsShow(), k.approvalsApprove(), k.approvalsDeny(), k.approvalsNarrow(), k.approvalsStats())
}

func (k Kit) approvalsList() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the calls that wait for a human, equal ones together", Args: k.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				path := "/approvals"
				if all {
					path += "?all"
				}
				listed, err := control.Get[[]inbox.Question](ctx, gate, path)
				if err != nil {
					return err
				}
				return k.Print(listed, func(t *terminal.Table) { k.listApprovals(t, listed) })
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "those too that were answered, used or not answered in time")
	return cmd
}

func (k Kit) listApprovals(t *terminal.Table, listed []inbox.Question) {
	if len(listed) == 0 {
		t.Line("Nothing waits for a human.")
		return
	}
	t.Row("APPROVAL", "STATE", "CLASS", "AGENT", "FOR", "CALL", "ASKS", "UNTIL", "WORDS", "EQUAL")
	for _, q := range listed {
		call, equal := q.Server+"/"+q.Name, ""
		if q.Server == "" {
			call = ""
		}
		if len(q.Equal) > 0 {
			equal = fmt.Sprintf("and %d more", len(q.Equal))
		}
		asks := strings.Join(q.Groups, ",")
		if len(q.Escalated) > 0 {
			asks += " or " + strings.Join(q.Escalated, ",")
		}
		state := q.State
		if q.Grant != "" {
			state = "granted"
		}
		t.Row(q.ID, state, fmt.Sprint(q.Class), q.Agent, q.User, call, asks, k.Minute(q.Expires), q.DigestWords, equal)
	}
	for _, q := range listed {
		if q.Problem != "" {
			t.Line(terminal.Visible(q.ID + ": " + q.Problem))
		}
		if q.Short {
			t.Line(q.ID + ": " + short)
		}
	}
}

func (k Kit) approvalsShow() *cobra.Command {
	var as string
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show exactly what a call that waits would do", Args: k.Exactly("ID"), ValidArgsFunction: k.completeApprovals,
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
				q, err := approval(ctx, gate, args[0], as)
				if err != nil {
					return err
				}
				return k.Print(q, func(t *terminal.Table) { showCard(t, &q) })
			})
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "who looks, of those who have enrolled (default: the operator)")
	return cmd
}

// answering is what all answers have in common.
type answering struct {
	as, typed, reason string
	equal, end        bool
	except            []string
}

func (k Kit) approvalsApprove() *cobra.Command {
	var a answering
	cmd := &cobra.Command{
		Use: "approve ID", Short: "Let exactly this call through, once", Args: k.Exactly("ID"), ValidArgsFunction: k.completeApprovals,
		Long: `Let exactly this call through, once, when the agent makes it again.
What would be done is shown first; the person's secret then answers exactly that.
Where the call can do more, the amount or the number that the agent was told is
asked for, too; in the highest class a second person has to agree as well.`,
		RunE: func(cmd *cobra.Command, args []string) error { return k.answerApproval(cmd, args[0], true, a) },
	}
	k.answerFlags(cmd, &a, true)
	return cmd
}

func (k Kit) approvalsDeny() *cobra.Command {
	var a answering
	cmd := &cobra.Command{
		Use: "deny ID", Short: "Refuse a call that waits, with a reason that the agent hears", Args: k.Exactly("ID"),
		ValidArgsFunction: k.completeApprovals,
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(a.reason) == "" {
				return k.Usage("say why with --reason: the agent hears it")
			}
			return k.answerApproval(cmd, args[0], false, a)
		},
	}
	k.answerFlags(cmd, &a, false)
	cmd.Flags().StringVar(&a.reason, "reason", "", "why; the agent hears it")
	cmd.Flags().BoolVar(&a.end, "end-run", false, "end the run that asks, too: it can do nothing more")
	return cmd
}

func (k Kit) approvalsNarrow() *cobra.Command {
	var a answering
	var given string
	cmd := &cobra.Command{
		Use: "narrow ID", Short: "Refuse a call that waits, and agree to less in its place", Args: k.Exactly("ID"),
		Long: `Refuse a call that waits, and agree to the same call with other arguments in its
place. The agent hears both when it comes again, and exactly that call goes through,
once. Policy decides about the new arguments first.`,
		ValidArgsFunction: k.completeApprovals,
		RunE: func(cmd *cobra.Command, args []string) error {
			if name, ok := strings.CutPrefix(given, "@"); ok {
				text, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				given = string(text)
			}
			if given == "" {
				return k.Usage("say which arguments with --args: all of them, as JSON, or @FILE")
			}
			return k.narrowApproval(cmd, args[0], given, a)
		},
	}
	k.answerFlags(cmd, &a, false)
	cmd.Flags().StringVar(&given, "args", "", "all arguments of the call that you agree to, as JSON, or @FILE")
	cmd.Flags().StringVar(&a.typed, "typed", "", "the amount that you agree to, or the number that the agent was told")
	cmd.Flags().StringVar(&a.reason, "reason", "", "why; the agent hears it")
	return cmd
}

func (k Kit) answerFlags(cmd *cobra.Command, a *answering, yes bool) {
	cmd.Flags().StringVar(&a.as, "as", "", "who you are, of those who have enrolled (default: the operator)")
	if yes {
		cmd.Flags().StringVar(&a.typed, "typed", "", "the amount, or the number that the agent was told")
		cmd.Flags().BoolVar(&a.equal, "equal", false, "the equal calls, too")
		cmd.Flags().StringSliceVar(&a.except, "except", nil, "of the equal calls, not these")
	}
	k.SecretFlag(cmd)
}

// answerApproval shows each question, asks for what its class takes, and answers it.
func (k Kit) answerApproval(cmd *cobra.Command, id string, yes bool, a answering) error {
	return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
		asked, err := k.look(ctx, gate, id, a.as)
		if err != nil {
			return err
		}
		questions := []inbox.Question{asked}
		if a.equal {
			for _, other := range asked.Equal {
				if slices.Contains(a.except, other) {
					continue
				}
				q, err := k.look(ctx, gate, other, a.as)
				if err != nil {
					return err
				}
				questions = append(questions, q)
			}
		}
		if len(questions) > 1 {
			return k.answerTogether(ctx, gate, questions, yes, a)
		}
		given := inbox.Answer{ID: id, By: a.as, Digest: asked.Digest, Approve: yes, Reason: a.reason} // of what was shown
		if given.Proof.Secret, err = k.Secret(ctx, gate); err != nil {
			return err
		}
		if yes {
			if given.Proof.Typed, err = k.typed(&asked, a.typed); err != nil {
				return err
			}
		}
		answered, err := control.Post[inbox.Question](ctx, gate, "/approvals/"+url.PathEscape(id), given)
		if err == nil {
			err = k.printAnswered(answered, yes)
		}
		if a.end { // whatever became of the question
			err = errors.Join(err, k.endRun(ctx, gate, &asked, a.reason))
		}
		return err
	})
}

// answerTogether answers what was shown of equal questions, and says of each what
// became of it.
func (k Kit) answerTogether(ctx context.Context, gate *control.Client, questions []inbox.Question, yes bool, a answering) error {
	if a.typed != "" && questions[0].Class > int(sallyport.ClassTap) {
		return k.Usage("each of these has a number of its own: leave --typed out, and type them")
	}
	given := inbox.Together{By: a.as, Approve: yes, Reason: a.reason}
	var err error
	if given.Proof.Secret, err = k.Secret(ctx, gate); err != nil {
		return err
	}
	for _, q := range questions {
		row := inbox.Row{ID: q.ID, Digest: q.Digest}
		if yes {
			if row.Typed, err = k.typed(&q, ""); err != nil {
				return err
			}
		}
		given.Rows = append(given.Rows, row)
	}
	outcomes, err := control.Post[[]inbox.Outcome](ctx, gate, "/approvals/equal", given)
	if err != nil {
		return err
	}
	if err := k.Print(outcomes, func(t *terminal.Table) {
		t.Row("APPROVAL", "STATE", "")
		for _, o := range outcomes {
			t.Row(o.ID, o.State, terminal.Visible(o.Said))
		}
	}); err != nil {
		return err
	}
	if slices.ContainsFunc(outcomes, func(o inbox.Outcome) bool { return o.Said != "" }) {
		return errors.New("not all of them were answered")
	}
	return nil
}

// endRun ends the run that asks.
func (k Kit) endRun(ctx context.Context, gate *control.Client, asked *inbox.Question, reason string) error {
	done, err := control.Post[kill.Done](ctx, gate, "/kills", kill.Wanted{Scope: kill.Scope{Kind: kill.Run, Name: asked.Run}, Reason: reason})
	if err == nil {
		fmt.Fprintf(k.Errs, "The run %s can do nothing more, until: sallyport resume %s\n", asked.Run, done.ID)
	}
	return err
}

func (k Kit) narrowApproval(cmd *cobra.Command, id, args string, a answering) error {
	return k.With(cmd, func(ctx context.Context, gate *control.Client) error {
		asked, err := k.look(ctx, gate, id, a.as)
		if err != nil {
			return err
		}
		given := inbox.Narrowing{ID: id, By: a.as, Digest: asked.Digest, Args: args, Reason: a.reason}
		if given.Proof.Secret, err = k.Secret(ctx, gate); err != nil {
			return err
		}
		if given.Proof.Typed, err = k.typed(&asked, a.typed); err != nil {
			return err
		}
		narrower, err := control.Post[inbox.Question](ctx, gate, "/approvals/"+url.PathEscape(id)+"/narrow", given)
		if err != nil {
			return err
		}
		return k.printAnswered(narrower, true)
	})
}

// look shows a question that waits, whatever is printed for machines.
func (k Kit) look(ctx context.Context, gate *control.Client, id, as string) (inbox.Question, error) {
	q, err := approval(ctx, gate, id, as)
	if err != nil {
		return q, err
	}
	shown := terminal.NewTable(k.Errs)
	showCard(shown, &q)
	if err := shown.Flush(); err != nil {
		return q, err
	}
	if q.State != sallyport.Pending.String() {
		return q, fmt.Errorf("%s is %s: there is nothing to answer", id, q.State)
	}
	return q, nil
}

// typed asks for what the class of a question takes.
func (k Kit) typed(q *inbox.Question, given string) (string, error) {
	if given != "" || q.Class == int(sallyport.ClassTap) {
		return given, nil
	}
	typed, err := terminal.Answer(q.ID + " takes " + q.Takes + ": ")
	if err != nil {
		return "", fmt.Errorf("%w: give it with --typed", err)
	}
	return typed, nil
}

func (k Kit) printAnswered(q inbox.Question, yes bool) error {
	return k.Print(q, func(t *terminal.Table) {
		switch {
		case !yes:
			t.Line("Refused: the agent hears why.")
		case q.State == sallyport.Pending.String():
			t.Line(q.ID + " waits for somebody else, too: " + cmp.Or(strings.Join(q.Open, " and "), "another person") + ".")
		default:
			t.Line("Approved: the identical call goes through once, until " + clock(q.Expires) + ".")
		}
	})
}

// approval fetches an approval. What it shows must be what its digest covers,
// whoever is at the other end of the socket.
func approval(ctx context.Context, gate *control.Client, id, as string) (inbox.Question, error) {
	to := url.Values{"to": {cmp.Or(as, identity.OperatorName)}} // from now on the time counts that they take to answer
	q, err := control.Get[inbox.Question](ctx, gate, "/approvals/"+url.PathEscape(id)+"?"+to.Encode())
	if err == nil && q.Problem == "" && sallyport.DigestOf([]byte(q.Question)).String() != q.Digest {
		err = fmt.Errorf("what %s asks is not what its digest covers: don't answer it", id)
	}
	return q, err
}

// showCard prints a card. All of its texts are safe to show.
func showCard(t *terminal.Table, q *inbox.Question) {
	t.Line("Approval " + q.ID + ", " + q.State + ": " + q.DigestWords)
	if q.Problem != "" {
		t.Line("What it asks can't be shown, so it can't be agreed to: " + card.Exact(q.Problem))
		return
	}
	t.Line("")
	t.Line(q.Verb)
	t.Line(q.Undo)
	t.Line("")
	row := func(name, value string) {
		if value != "" {
			t.Line(fmt.Sprintf("  %-9s %s", name, value))
		}
	}
	for _, line := range q.First {
		row("", line)
	}
	row("class", fmt.Sprintf("%d: a yes takes %s", q.Class, q.Takes))
	if q.Short {
		row("", short)
	}
	row("agent", q.Agent+inBrackets(q.Role))
	row("for", q.User+inBrackets(q.Tenant))
	row("run", q.Run)
	for i := range q.Chain {
		link := &q.Chain[len(q.Chain)-1-i]
		row("begun by", link.Run+" of "+link.Agent+inBrackets(link.User))
		row("", link.Task)
	}
	for i, said := range q.Words {
		row(map[bool]string{true: "task", false: "said"}[i == 0], said.Text+inBrackets(said.Strength))
	}
	row("effects", strings.Join(q.Effects, ", "))
	for _, rule := range q.Rules {
		row("rule", rule.ID+" ("+rule.Place+") asks "+strings.Join(rule.Groups, " and "))
		row("", rule.Because)
		if rule.Otherwise != "" {
			row("", "Nobody is asked when "+rule.Otherwise)
		}
	}
	for _, cost := range q.Costs {
		row("limit", cost.Limit+inBrackets(cost.Account)+": takes "+cost.Takes+" of "+cost.Left+" "+cost.Unit+" left, of "+cost.Cap)
		if cost.Beyond {
			row("", "MORE than is left")
		}
	}
	row("asks", names(q.People))
	if len(q.Later) > 0 {
		row("", "and "+strings.Join(q.Later, " and ")+" from "+clock(q.Escalates)+" on")
	}
	if q.Grant != "" {
		row("granted", q.Grant+": the identical call goes through without an answer")
	}
	for _, yes := range q.Given {
		row("yes", yes.By+" for "+yes.Group+inBrackets(strings.TrimSpace(yes.As+" "+yes.Proof)))
	}
	row("until", clock(q.Expires))
	row("digest", q.Digest)
	showArguments(t, "arguments", q.Arguments)
	showArguments(t, "and with it goes", q.Beside)
	if q.Unscanned {
		row("found", "no scanner has looked: no rule asks what they see")
	}
	for _, finding := range q.Findings {
		row("found", finding)
	}
	for _, line := range q.Careful {
		t.Line("  Careful: " + line)
	}
	row("past", q.Past.Text())
	for _, line := range []struct{ name, value string }{
		{"refused by", q.Refuser}, {"because", q.Reason}, {"used by", q.Spent}, {"in the place of", q.Narrows}, {"in its place", q.Narrower},
		{"equal", strings.Join(q.Equal, " ")},
	} {
		if line.value != "" {
			t.Line("  " + line.name + " " + line.value)
		}
	}
}

// names are those of people, as a question that waits asks them.
func names(people []inbox.Person) string {
	var all []string
	for _, p := range people {
		all = append(all, p.Name+" for "+strings.Join(p.Groups, " and "))
	}
	return strings.Join(all, ", ")
}

// short is said of a question that nobody could agree to.
const short = "too few people can agree to this: somebody else of its groups has to enroll (sallyport enroll --as NAME)"

// writers are who could have written an argument.
var writers = map[string]string{
	"user": "the user", "trusted": "a trusted server",
	"untrusted": "ANYBODY, it came from what others could have written", "unknown": "NOBODY KNOWN, the model made it up",
}

func showArguments(t *terminal.Table, name string, all []card.Argument) {
	if len(all) == 0 {
		return
	}
	t.Line("")
	t.Line("  " + name)
	for _, a := range all {
		t.Line("    " + cmp.Or(a.Path, "all") + ": " + a.Value)
		if a.Writer != "" {
			t.Line("      written by " + writers[a.Writer] + "; readers: " + a.Readers)
		}
		if a.From != "" {
			t.Line("      " + a.From)
		}
		if a.New {
			t.Line("      NEW: never agreed to before" + before(a.Before))
		}
	}
	t.Line("")
}

func before(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return "; earlier: " + strings.Join(values, ", ")
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
			kept, err := control.Get[[]inbox.Question](ctx, gate, "/approvals")
			for _, q := range kept {
				if q.State == sallyport.Pending.String() {
					ids = append(ids, q.ID)
				}
			}
			return err
		})
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
