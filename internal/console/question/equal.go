package question

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/asking"
	"sallyport/internal/card"
	"sallyport/internal/console/form"
	"sallyport/internal/console/session"
	"sallyport/internal/inbox"
)

// equalData are equal questions as one card: what they have in common is that of
// the first, and of each nothing is left out.
type equalData struct {
	showData
	card.Together
	Of string `json:"of"` // the question that the page is named for
}

// Equal is a question with those that can be answered together with it.
func (p *Pages) Equal(r *http.Request) (string, any, error) {
	data := equalData{Of: r.PathValue("id"), Together: card.Join(nil)}
	group, err := p.group(r)
	if err != nil {
		return "", nil, form.Missing(err)
	}
	var cards []card.Card
	for _, q := range group {
		cards = append(cards, q.Card)
	}
	if len(group) > 0 {
		data.Question, data.Together = group[0], card.Join(cards)
	}
	if who := p.Who(r); who.Person() {
		data.Passkeys, err = p.Passkeys.Has(r.Context(), p.Origin(r), who.Who)
	}
	return "Approvals", data, err
}

// group gets equal questions. What each shows must be what its digest covers.
func (p *Pages) group(r *http.Request) ([]inbox.Question, error) {
	var group []inbox.Question
	err := p.Gate.Get(r.Context(), "/approvals/"+form.Escaped(r, "id")+"/equal"+p.to(r), &group)
	return slices.DeleteFunc(group, func(q inbox.Question) bool { return q.Problem != "" || !covered(&q) }), err
}

// covered reports whether what a question shows is what its digest covers.
func covered(q *inbox.Question) bool {
	return sallyport.DigestOf([]byte(q.Question)).String() == q.Digest
}

// The names of the form's fields about one row are these before its id.
const rowField, typedField = "row ", "typed "

// digestText is how a digest is written.
var digestText = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// together is an answer to equal questions as the page sends it: of each row that
// is not excluded the digest that was shown, and what was typed beside it.
type together struct {
	inbox.Together
	form.Ceremony
	shown sallyport.Digest // of all rows
}

func readTogether(w http.ResponseWriter, r *http.Request) (*together, error) {
	in := map[string]json.RawMessage{}
	if err := form.Read(w, r, &in); err != nil {
		return nil, err
	}
	text := func(name string) (s string) {
		_ = json.Unmarshal(in[name], &s) // what is no text says nothing
		return s
	}
	yes := text("yes")
	if yes != "yes" && yes != "no" {
		return nil, form.Refused(http.StatusBadRequest, "Say yes or no.")
	}
	t := &together{Together: inbox.Together{Approve: yes == "yes", Reason: text("reason")}, Ceremony: form.Ceremony{ID: text("id"), Answer: in["answer"]}}
	var digests []string
	for name := range in {
		id, about := strings.CutPrefix(name, rowField)
		if !about {
			continue
		}
		digest := text(name)
		if !digestText.MatchString(digest) {
			return nil, form.Refused(http.StatusBadRequest, "What was shown of %s is not said.", id)
		}
		digests = append(digests, digest)
		t.Rows = append(t.Rows, inbox.Row{ID: id, Digest: digest, Typed: text(typedField + id)})
	}
	if len(t.Rows) == 0 {
		return nil, form.Refused(http.StatusBadRequest, "No question is chosen.")
	}
	slices.SortFunc(t.Rows, func(a, b inbox.Row) int { return strings.Compare(a.ID, b.ID) })
	t.shown = asking.Together(digests)
	return t, nil
}

// AnswerEqual answers exactly the rows that were shown. Yeses that take a passkey
// come by EqualSigned.
func (p *Pages) AnswerEqual(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	in, err := readTogether(w, r)
	if err != nil {
		return nil, err
	}
	return p.sayTogether(r, in, who, p.Sessions.Vouch(who.Who))
}

// EqualSign has the person's device sign all rows as one: none can be added, left
// out or changed behind it.
func (p *Pages) EqualSign(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	in, err := readTogether(w, r)
	if err != nil {
		return nil, err
	}
	return p.sign(r, who, in.shown)
}

// EqualSigned is AnswerEqual with what the device signed.
func (p *Pages) EqualSigned(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	in, err := readTogether(w, r)
	if err != nil {
		return nil, err
	}
	voucher, err := p.signed(r, who, in.Ceremony, in.shown)
	if err != nil {
		return nil, err
	}
	return p.sayTogether(r, in, who, voucher)
}

// outcomes are what became of each row.
type outcomes struct {
	Rows []inbox.Outcome `json:"rows"`
}

func (p *Pages) sayTogether(r *http.Request, in *together, who *session.Session, voucher string) (any, error) {
	given, out := in.Together, outcomes{Rows: []inbox.Outcome{}}
	given.By, given.Proof = who.Who, asking.Proof{Session: voucher}
	err := p.Gate.Post(r.Context(), "/approvals/equal", given, &out.Rows)
	return out, err
}
