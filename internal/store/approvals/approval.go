// Package approvals keeps questions to people, and what they granted, one row
// each. A row changes within the transaction that appends the entry about it.
package approvals

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport"
)

// Schema is the table. That one question is open at a time for one digest is
// kept by the index, whatever else goes wrong.
const Schema = `
CREATE TABLE IF NOT EXISTS approvals (
	id         TEXT PRIMARY KEY,
	digest     TEXT NOT NULL,     -- of the question
	agent      TEXT NOT NULL,
	state      TEXT NOT NULL,
	open       INTEGER NOT NULL,  -- 1 while it is pending or approved
	asked      INTEGER NOT NULL,  -- Unix milliseconds
	expires    INTEGER NOT NULL,
	record     BLOB NOT NULL,     -- everything but the question itself
	key        INTEGER NOT NULL,  -- that seals the question
	question   BLOB NOT NULL,     -- sealed
	commitment BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS approvals_open ON approvals (digest) WHERE open = 1;
CREATE INDEX IF NOT EXISTS approvals_digest ON approvals (digest);` + grantSchema

// MaxOpen is how many questions of one agent may be open. Whoever could ask
// without end would have people answer without looking.
const MaxOpen = 100

// ErrUnusable says that a row, or a question, is not one that people could
// answer. It is the matter of one record alone.
var ErrUnusable = errors.New("unusable")

// Sealed is a question as it is kept: only the key of its run opens it.
type Sealed struct {
	Key        int64
	Text       []byte
	Commitment sallyport.Digest
}

// Place is where a question belongs, for its seal.
func Place(id string) string { return id + " question" }

// Conn runs statements, of a transaction or by itself.
type Conn interface {
	ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, statement string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, statement string, args ...any) *sql.Row
}

// Change is what becomes of questions by one entry.
type Change struct {
	Approval *sallyport.Approval
	Narrower *sallyport.Approval // is put in its place; nil for none
	Sealed   Sealed              // what the one asks that is put
	Grant    *sallyport.Grant    // is made, used or revoked; nil for none
}

// ChangeOf is a copy of what a record changes; nil for nothing.
func ChangeOf(record *sallyport.Record) *Change {
	if record.Approval == nil && record.Grant == nil {
		return nil
	}
	c := &Change{}
	if record.Approval != nil {
		approval := *record.Approval
		c.Approval = &approval
	}
	if record.Grant != nil {
		grant := *record.Grant
		c.Grant = &grant
	}
	if record.Narrower != nil {
		narrower := *record.Narrower
		c.Narrower = &narrower
	}
	return c
}

// Puts is the question that is put; nil for none.
func (c *Change) Puts() *sallyport.Approval {
	switch {
	case c == nil || c.Approval == nil:
		return nil
	case c.Narrower != nil:
		return c.Narrower
	case c.Approval.State == sallyport.Pending && len(c.Approval.Answers) == 0:
		return c.Approval
	}
	return nil
}

// ID is of what changes, as the entry names it.
func (c *Change) ID() string {
	if c.Approval == nil {
		return c.Grant.ID
	}
	return c.Approval.ID
}

// Apply writes the change by the entry of that time, all of it or nothing. A
// question that is put while it is open becomes the open one. Nothing is written
// and the error is sallyport.ErrOvertaken while a no to the same question holds,
// and when any other is not, or not in time, where its state starts from. Nor is
// anything written after sallyport.ErrCrowded and ErrUnusable; any other error is
// the database's.
func (c *Change) Apply(ctx context.Context, conn Conn, at time.Time) error {
	switch {
	case c.Narrower != nil:
		return c.narrow(ctx, conn, at)
	case c.Puts() != nil:
		return put(ctx, conn, c.Approval, at, c.Sealed)
	case c.Approval != nil:
		if err := change(ctx, conn, c.Approval, at); err != nil || c.Grant == nil {
			return err
		}
	case c.Grant.Used > 0 && c.Grant.Revoked == "":
		return use(ctx, conn, c.Grant, at)
	}
	return grant(ctx, conn, c.Grant, at)
}

// narrow is Apply for a question that is refused and another that is put in its
// place. Within the transaction of others it must undo its first half alone.
func (c *Change) narrow(ctx context.Context, conn Conn, at time.Time) error {
	if _, err := conn.ExecContext(ctx, "SAVEPOINT narrow"); err != nil {
		return err
	}
	id := c.Narrower.ID
	err := change(ctx, conn, c.Approval, at)
	if err == nil {
		err = put(ctx, conn, c.Narrower, at, c.Sealed)
	}
	if err == nil && c.Narrower.ID != id { // people are asked that already, and answer it there
		err = sallyport.ErrOvertaken
	}
	if err != nil {
		if _, undone := conn.ExecContext(ctx, "ROLLBACK TO narrow"); undone != nil {
			return undone
		}
	}
	_, released := conn.ExecContext(ctx, "RELEASE narrow")
	return cmp.Or(err, released)
}

func change(ctx context.Context, conn Conn, a *sallyport.Approval, at time.Time) error {
	if a.State == sallyport.Pending || a.State == sallyport.Approved {
		// Two people may answer at once: the second must not undo the first's.
		now, err := list(ctx, conn, "id = $1", a.ID)
		if err != nil {
			return err
		}
		if len(now) != 1 || len(now[0].Answers) != a.Seen {
			return sallyport.ErrOvertaken
		}
	}
	record, err := json.Marshal(rowOf(a))
	if err != nil {
		return err
	}
	// No yes that comes too late, and no use of one: the clock may have moved
	// since somebody looked.
	earliest := at.UnixMilli() + 1
	if a.State == sallyport.Expired {
		earliest = 0
	}
	open := 0
	if a.State == sallyport.Pending || a.State == sallyport.Approved {
		open = 1
	}
	for _, from := range a.State.From() {
		done, err := conn.ExecContext(ctx,
			"UPDATE approvals SET state = $1, open = $2, record = $3 WHERE id = $4 AND digest = $5 AND state = $6 AND expires >= $7",
			a.State.String(), open, record, a.ID, a.Digest.String(), from.String(), earliest)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 1 {
			return err
		}
	}
	return sallyport.ErrOvertaken
}

func put(ctx context.Context, conn Conn, a *sallyport.Approval, at time.Time, sealed Sealed) error {
	if a.Digest.IsZero() || sealed.Text == nil || slices.ContainsFunc(a.Rules, func(r sallyport.Rule) bool { return r.Digest.IsZero() }) {
		return fmt.Errorf("%w: a question that nobody can be shown, or that no rule asks", ErrUnusable)
	}
	if !at.Before(a.Expires) { // else each attempt would leave one that nobody counts
		return fmt.Errorf("%w: the log is at %s already, and the clock behind it: nobody could answer in time", ErrUnusable, at.Format(time.RFC3339))
	}
	_, err := conn.ExecContext(ctx, "UPDATE approvals SET state = $1, open = 0 WHERE digest = $2 AND open = 1 AND expires <= $3",
		sallyport.Expired.String(), a.Digest.String(), at.UnixMilli())
	if err != nil {
		return err
	}
	open, err := list(ctx, conn, "digest = $1 AND open = 1", a.Digest.String())
	if err != nil {
		return err
	}
	if len(open) > 0 {
		*a = open[0]
		return nil
	}
	// A no may have come since somebody looked, and holds.
	refused, err := list(ctx, conn, "digest = $1 AND state = $2 AND expires > $3", a.Digest.String(), sallyport.Refused.String(), at.UnixMilli())
	if err != nil {
		return err
	}
	if len(refused) > 0 {
		return sallyport.ErrOvertaken
	}
	var waiting int // damaged ones count, too: what they ask is not looked at
	err = conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM approvals WHERE agent = $1 AND state = $2 AND expires > $3",
		a.Principal.Agent, sallyport.Pending.String(), at.UnixMilli()).Scan(&waiting)
	if err != nil {
		return err
	}
	if waiting >= MaxOpen {
		return sallyport.ErrCrowded
	}
	record, err := json.Marshal(rowOf(a))
	if err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, `INSERT INTO approvals (id, digest, agent, state, open, asked, expires, record, key, question, commitment)
		VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8, $9, $10)`,
		a.ID, a.Digest.String(), a.Principal.Agent, a.State.String(), a.Asked.UnixMilli(), a.Expires.UnixMilli(), record,
		sealed.Key, sealed.Text, sealed.Commitment[:])
	return err
}

// Rows reads what is kept.
type Rows struct{ DB Conn }

// Approval is the question with a digest that was put last, whatever the clock
// said then, without its words; a zero one when there never was any.
func (r Rows) Approval(ctx context.Context, digest sallyport.Digest) (sallyport.Approval, error) {
	return first(list(ctx, r.DB, "digest = $1 ORDER BY open DESC, rowid DESC LIMIT 1", digest.String()))
}

// Get is the question with an id, as it is kept; a zero one when there is none.
func Get(ctx context.Context, conn Conn, id string) (sallyport.Approval, Sealed, error) {
	a, err := first(list(ctx, conn, "id = $1", id))
	if err != nil || a.ID == "" {
		return a, Sealed{}, err
	}
	rows, err := conn.QueryContext(ctx, "SELECT key, question, commitment FROM approvals WHERE id = $1", id)
	if err != nil {
		return a, Sealed{}, err
	}
	defer rows.Close()
	var sealed Sealed
	var commitment []byte
	if rows.Next() {
		err = rows.Scan(&sealed.Key, &sealed.Text, &commitment)
	}
	copy(sealed.Commitment[:], commitment)
	return a, sealed, errors.Join(err, rows.Err())
}

func first(found []sallyport.Approval, err error) (sallyport.Approval, error) {
	if err != nil || len(found) == 0 {
		return sallyport.Approval{}, err
	}
	return found[0], nil
}

// Approvals is every question that is kept, the oldest first, without its words,
// and beside them the ids of those that are damaged: one must not hide the others.
func (r Rows) Approvals(ctx context.Context) (all []sallyport.Approval, damaged []string, err error) {
	return read(ctx, r.DB, "1 = 1 ORDER BY asked, id")
}

// Drop forgets the questions that could be answered until before a time.
func Drop(ctx context.Context, conn Conn, before time.Time) error {
	_, err := conn.ExecContext(ctx, "DELETE FROM approvals WHERE expires < $1", before.UnixMilli())
	if err == nil {
		_, err = conn.ExecContext(ctx, "DELETE FROM grants WHERE until < $1", before.UnixMilli())
	}
	return err
}

// list is for those who decide by what they find: no damaged one may be among it.
func list(ctx context.Context, conn Conn, where string, args ...any) ([]sallyport.Approval, error) {
	all, damaged, err := read(ctx, conn, where, args...)
	if err == nil && len(damaged) > 0 {
		return nil, fmt.Errorf("%w: approval %s is damaged", ErrUnusable, strings.Join(damaged, ", "))
	}
	return all, err
}

func read(ctx context.Context, conn Conn, where string, args ...any) (all []sallyport.Approval, damaged []string, err error) {
	rows, err := conn.QueryContext(ctx, "SELECT id, digest, agent, state, expires, record FROM approvals WHERE "+where, args...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id, digest, agent, state string
		var expires any // SQLite keeps whatever it is given
		var record []byte
		if err := rows.Scan(&id, &digest, &agent, &state, &expires, &record); err != nil {
			return nil, nil, err
		}
		var r row
		unread := json.Unmarshal(record, &r)
		a := r.approval()
		// The columns are what the transaction looks at: a row whose record says
		// otherwise is nobody's answer.
		if unread != nil || a.ID != id || a.Digest.String() != digest || a.Principal.Agent != agent || expires != any(a.Expires.UnixMilli()) ||
			a.State.String() != state && state != sallyport.Expired.String() {
			damaged = append(damaged, id)
			continue
		}
		a.State = sallyport.ApprovalStateOf(state)
		all = append(all, a)
	}
	return all, damaged, rows.Err()
}

// row is an approval as JSON.
type row struct {
	ID        string              `json:"id"`
	State     string              `json:"state"`
	Digest    hash                `json:"digest"`
	Call      string              `json:"call"`
	Principal sallyport.Principal `json:"principal"`
	Run       string              `json:"run"`
	Kind      string              `json:"kind"`
	Server    string              `json:"server"`
	Name      string              `json:"name"`
	Effects   []sallyport.Effect  `json:"effects,omitempty"`
	Rules     []rule              `json:"rules"`
	Asked     time.Time           `json:"asked"`
	Expires   time.Time           `json:"expires"`
	Answers   []sallyport.Answer  `json:"answers,omitempty"`
	By        string              `json:"by,omitempty"`
	Reason    string              `json:"reason,omitempty"`
	Spent     string              `json:"spent,omitempty"`
	Class     sallyport.Class     `json:"class,omitempty"`
	Amount    string              `json:"amount,omitempty"`
	Findings  []sallyport.Finding `json:"findings,omitempty"`
	Origins   []string            `json:"origins,omitempty"`
	Narrows   string              `json:"narrows,omitempty"`
	Narrower  string              `json:"narrower,omitempty"`
}

type rule struct {
	ID        string          `json:"id"`
	File      string          `json:"file"`
	Line      int             `json:"line"`
	Because   string          `json:"because,omitempty"`
	Otherwise string          `json:"otherwise,omitempty"`
	Ask       []string        `json:"ask"`
	Class     sallyport.Class `json:"class,omitempty"`
	Digest    hash            `json:"digest"`
}

// hash is a digest as people write it.
type hash sallyport.Digest

func (h hash) MarshalText() ([]byte, error) { return []byte(sallyport.Digest(h).String()), nil }

func (h *hash) UnmarshalText(text []byte) error {
	digits, ok := strings.CutPrefix(string(text), "sha256:")
	raw, err := hex.DecodeString(digits)
	if !ok || err != nil || len(raw) != len(h) {
		return errors.New("not a digest")
	}
	*h = hash(raw)
	return nil
}

func rowOf(a *sallyport.Approval) row {
	r := row{
		ID: a.ID, State: a.State.String(), Digest: hash(a.Digest), Call: a.Call, Principal: a.Principal, Run: a.Run,
		Kind: a.Kind.String(), Server: a.Server, Name: a.Name, Effects: a.Effects,
		Asked: a.Asked.UTC().Truncate(time.Millisecond), Expires: a.Expires.UTC().Truncate(time.Millisecond),
		Answers: a.Answers, By: a.By, Reason: a.Reason, Spent: a.Spent,
		Class: a.Class, Amount: a.Amount, Findings: a.Findings, Origins: a.Origins, Narrows: a.Narrows, Narrower: a.Narrower,
	}
	for _, q := range a.Rules {
		r.Rules = append(r.Rules, rule{q.ID, q.File, q.Line, q.Because, q.Otherwise, q.Ask, q.Class, hash(q.Digest)})
	}
	return r
}

func (r *row) approval() sallyport.Approval {
	a := sallyport.Approval{
		ID: r.ID, State: sallyport.ApprovalStateOf(r.State), Digest: sallyport.Digest(r.Digest), Call: r.Call, Principal: r.Principal,
		Run: r.Run, Kind: sallyport.KindOf(r.Kind), Server: r.Server, Name: r.Name, Effects: r.Effects,
		Asked: r.Asked, Expires: r.Expires, Answers: r.Answers, By: r.By, Reason: r.Reason, Spent: r.Spent,
		Class: r.Class, Amount: r.Amount, Findings: r.Findings, Origins: r.Origins, Narrows: r.Narrows, Narrower: r.Narrower, Seen: len(r.Answers),
	}
	for _, q := range r.Rules {
		a.Rules = append(a.Rules, sallyport.Rule{ID: q.ID, File: q.File, Line: q.Line, Because: q.Because, Otherwise: q.Otherwise,
			Ask: q.Ask, Class: q.Class, Digest: sallyport.Digest(q.Digest)})
	}
	return a
}
