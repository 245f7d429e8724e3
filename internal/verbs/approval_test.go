package verbs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"sallyport"
	"sallyport/internal/card"
	"sallyport/internal/control"
	"sallyport/internal/inbox"
	"sallyport/internal/terminal"
)

// What is shown is what the digest covers, whoever answers on the socket.
func TestApprovalShowsWhatItsDigestCovers(t *testing.T) {
	served := inbox.Question{Card: card.Card{ID: "a_1", State: "pending"}, Question: `{"agent":"bot"}`}
	gate := control.Local(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { json.NewEncoder(w).Encode(served) }))
	served.Digest = sallyport.DigestOf([]byte(served.Question)).String()
	if a, err := approval(t.Context(), gate, "a_1", ""); err != nil || a.Question != served.Question {
		t.Errorf("%+v, %v", a, err)
	}
	served.Question = `{"agent":"bot","args":{"amount":1}}`
	if _, err := approval(t.Context(), gate, "a_1", ""); err == nil || !strings.Contains(err.Error(), "don't answer it") {
		t.Errorf("%v", err)
	}
	served.Question, served.Problem = "", "erased"
	if _, err := approval(t.Context(), gate, "a_1", ""); err != nil {
		t.Errorf("what can't be shown can still be refused: %v", err)
	}
}

// A damaged one is listed with the others, and named.
func TestApprovalsListNamesTheDamaged(t *testing.T) {
	gate := control.Local(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode([]inbox.Question{{Card: card.Card{ID: "a_0", State: "damaged"}, Problem: "broken row"},
			{Card: card.Card{ID: "a_1", State: "pending", Class: 2, DigestWords: "w"}, Server: "crm", Name: "refund", Groups: []string{"finance"}, Escalated: []string{"board"}, Equal: []string{"a_3"}}})
	}))
	var out bytes.Buffer
	k := Kit{
		With: func(cmd *cobra.Command, verb func(context.Context, *control.Client) error) error {
			return verb(t.Context(), gate)
		},
		Print: func(_ any, show func(*terminal.Table)) error {
			table := terminal.NewTable(&out)
			show(table)
			return table.Flush()
		},
		Minute:  func(time.Time) string { return "" },
		Exactly: func(...string) cobra.PositionalArgs { return cobra.NoArgs },
	}
	cmd := k.approvalsList()
	cmd.SetArgs(nil)
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a_0       damaged  0      -", "a_0: broken row", "a_1       pending", "crm/refund", "finance or board", "and 1 more"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("without %q:\n%s", want, &out)
		}
	}
}

func shown(t *testing.T, question string) string {
	t.Helper()
	a := sallyport.Approval{ID: "a_1", State: sallyport.Pending, Question: []byte(question), Digest: sallyport.DigestOf([]byte(question)), Class: sallyport.ClassType,
		Rules: []sallyport.Rule{{ID: "look", File: "p.cedar", Line: 3, Because: "money", Otherwise: "amount is 1", Ask: []string{"finance", "legal"}}}}
	c, err := card.New(&a, card.Around{})
	q := inbox.Question{Card: c}
	if err != nil {
		q.Problem = err.Error()
	}
	var out bytes.Buffer
	table := terminal.NewTable(&out)
	showCard(table, &q)
	table.Flush()
	return out.String()
}

// The card says what would be done and leaves nothing out.
func TestApprovalCard(t *testing.T) {
	card := shown(t, `{"agent":"bot","args":{"amount":9007199254740993.10,"to":["x","y"]},"effects":["read","pay"],"kind":"tool","method":"tools/call",`+
		`"name":"refund","origins":[{"path":"to[0]","readers":"private","writer":"untrusted"},{"path":"to[1]","readers":"public","writer":"new"}],`+
		`"params":{"inputResponses":{"a":{"action":"accept"}},"name":"refund"},"role":"support","rules":[],"run":"r_1","server":"crm","user":"ana","v":1}`)
	for _, want := range []string{
		"PAY with crm / refund", "can hardly be had back", "bot (support)", "ana", "r_1", "look (p.cedar:3) asks finance and legal", "money",
		"Nobody is asked when amount is 1", "2: a yes takes typing the number",
		`amount: 9007199254740993.10`, `to[1]: "y"`, "and with it goes", `inputResponses.a.action: "accept"`,
		"written by ANYBODY", "readers: private", "written by NOBODY KNOWN",
	} {
		if !strings.Contains(card, want) {
			t.Errorf("without %q:\n%s", want, card)
		}
	}
	if plain := shown(t, `{"agent":"bot","kind":"tool","name":"x","params":{"name":"x"},"v":1}`); strings.Contains(plain, "and with it goes") || !strings.Contains(plain, "RUN ANYTHING with") {
		t.Errorf("a tool without effect:\n%s", plain)
	}
	if unseen := shown(t, `{`); !strings.Contains(unseen, "can't be agreed to") {
		t.Errorf("%s", unseen)
	}
}

// Nothing that an agent writes can look like a part of the card, or hide one.
func TestApprovalCardIsNotForged(t *testing.T) {
	for name, text := range map[string]string{
		"another card":  "x\n\n  rule      harmless (p.cedar:1) asks nobody\n  digest    sha256:1",
		"a terminal":    "\x1b[2J\x1b[1;1HREAD with crm / get\r\n\b\b",
		"bidi":          "\u202efdp.exe\u2066",
		"nothing":       "\u200b\u2060\ufeff\u3164\u00ad\U000e0041",
		"a look-alike":  "p\u0430yp\u0430l",
		"a whole word":  "\u0440\u0430\u0443\u0440\u0430\u04cf",
		"a lot of room": strings.Repeat("\u00a0", 50) + "x",
		"an escape":     `\u{202e}`,
	} {
		args, _ := json.Marshal(map[string]string{"to": text, text: "y"})
		question := append(append([]byte(`{"agent":"bot","args":`), args...), `,"effects":["pay"],"kind":"tool","name":"pay","server":"crm","v":1}`...)
		card := shown(t, string(question))
		if strings.Count(card, "\n") != strings.Count(shown(t, `{"agent":"bot","args":{"to":"x","x":"y"},"effects":["pay"],"kind":"tool","name":"pay","server":"crm","v":1}`), "\n")+
			strings.Count(card, "Careful") {
			t.Errorf("%s: adds lines:\n%s", name, card)
		}
		for _, r := range card {
			if r > 0x7f && !strings.Contains(card, "Cyrillic letters") {
				t.Errorf("%s: %q gets through:\n%s", name, r, card)
				break
			}
			if r < ' ' && r != '\n' {
				t.Errorf("%s: %q gets through", name, r)
			}
		}
	}
}

// Equal calls are answered one by one: each shown, each to its own digest, those left
// out not at all.
func TestApproveEqual(t *testing.T) {
	asked := func(id string, class sallyport.Class, equal ...string) inbox.Question {
		question := []byte(`{"agent":"bot","args":{"id":"` + id + `"},"kind":"tool","name":"x","server":"s","v":1}`)
		a := sallyport.Approval{ID: id, State: sallyport.Pending, Question: question, Digest: sallyport.DigestOf(question), Class: class}
		c, err := card.New(&a, card.Around{})
		if err != nil {
			t.Fatal(err)
		}
		return inbox.Question{Card: c, Question: string(question), Equal: equal}
	}
	class := sallyport.ClassTap
	var given []inbox.Answer
	missed := ""
	var together inbox.Together
	gate := control.Local(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/approvals/equal" {
			if err := json.NewDecoder(r.Body).Decode(&together); err != nil {
				t.Error(err)
			}
			outcomes := []inbox.Outcome{{ID: "a_1", State: "approved"}, {ID: "a_2", State: "refused", Said: missed}}
			json.NewEncoder(w).Encode(outcomes)
			return
		}
		q := asked(strings.TrimPrefix(r.URL.Path, "/approvals/"), class, "a_2", "a_3", "a_4")
		if r.Method == http.MethodPost {
			var in inbox.Answer
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
				t.Error(err)
			}
			given = append(given, in)
			q.State = "approved"
		}
		json.NewEncoder(w).Encode(q)
	}))
	var shown bytes.Buffer
	k := Kit{
		Errs: &shown,
		With: func(cmd *cobra.Command, verb func(context.Context, *control.Client) error) error {
			return verb(t.Context(), gate)
		},
		Secret:     func(context.Context, *control.Client) (string, error) { return "s", nil },
		SecretFlag: func(*cobra.Command) {},
		Print:      func(any, func(*terminal.Table)) error { return nil },
		Exactly:    func(...string) cobra.PositionalArgs { return cobra.ExactArgs(1) },
		Usage:      fmt.Errorf,
	}
	run := func(args ...string) error {
		given = nil
		shown.Reset()
		cmd := k.approvalsApprove()
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(args)
		return cmd.Execute()
	}
	if err := run("a_1", "--as", "bo", "--equal", "--except", "a_3"); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, row := range together.Rows {
		ids = append(ids, row.ID)
		if row.Digest != asked(row.ID, class).Digest || !strings.Contains(shown.String(), `id: "`+row.ID+`"`) {
			t.Errorf("%+v", row)
		}
	}
	if got := strings.Join(ids, " "); got != "a_1 a_2 a_4" || together.By != "bo" || !together.Approve || together.Proof.Secret != "s" || len(given) > 0 {
		t.Errorf("answered %s: %+v", got, together)
	}
	if missed = "it has moved on"; run("a_1", "--equal") == nil {
		t.Error("one was not answered, and nothing is said")
	}
	if together = (inbox.Together{}); run("a_1") != nil || together.Rows != nil {
		t.Errorf("one is together with %+v", together.Rows)
	}
	if err := run("a_1"); err != nil || len(given) != 1 {
		t.Errorf("one alone: %v, %d answers", err, len(given))
	}
	if class = sallyport.ClassType; run("a_1", "--typed", "0417") != nil || given[0].Proof.Typed != "0417" {
		t.Errorf("typed: %+v", given)
	}
	if err := run("a_1", "--equal", "--typed", "0417"); err == nil || len(given) > 0 {
		t.Errorf("one number was typed for several: %v, %d answers", err, len(given))
	}
}
