package approvals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport"
)

const grantSchema = `
CREATE TABLE IF NOT EXISTS grants (
	id      TEXT PRIMARY KEY,
	agent   TEXT NOT NULL,
	server  TEXT NOT NULL,
	name    TEXT NOT NULL,
	until   INTEGER NOT NULL,  -- Unix milliseconds
	count   INTEGER NOT NULL,
	used    INTEGER NOT NULL,
	last    INTEGER NOT NULL,  -- use, Unix milliseconds; 0 for none
	revoked TEXT NOT NULL,     -- by whom; empty for nobody
	record  BLOB NOT NULL      -- as it was made
);
CREATE INDEX IF NOT EXISTS grants_call ON grants (agent, server, name);`

// use uses a grant for a call, and closes what people are being asked about it. A no
// that has come meanwhile is stronger.
func use(ctx context.Context, conn Conn, g *sallyport.Grant, at time.Time) error {
	asked, err := list(ctx, conn, "digest = $1 AND state IN ($2, $3) AND expires > $4",
		g.Question, sallyport.Pending.String(), sallyport.Refused.String(), at.UnixMilli())
	if err != nil {
		return err
	}
	if slices.ContainsFunc(asked, func(a sallyport.Approval) bool { return a.State == sallyport.Refused }) {
		return sallyport.ErrOvertaken
	}
	if err := grant(ctx, conn, g, at); err != nil {
		return err
	}
	for _, a := range asked {
		a.State, a.By, a.Reason = sallyport.Expired, g.ID, "a grant has let the same call through"
		if err := change(ctx, conn, &a, at); err != nil {
			return err
		}
	}
	return nil
}

// grant makes, uses or revokes a grant. A use for which there is no room any more
// is sallyport.ErrOvertaken, and so is making or revoking what is there or not.
func grant(ctx context.Context, conn Conn, g *sallyport.Grant, at time.Time) error {
	statement := "UPDATE grants SET used = used + 1, last = $2 WHERE id = $1 AND revoked = '' AND used < count AND until > $2"
	args := []any{g.ID, at.UnixMilli()}
	switch {
	case g.Revoked != "":
		statement, args = "UPDATE grants SET revoked = $2 WHERE id = $1 AND revoked = ''", []any{g.ID, g.Revoked}
	case g.Used == 0:
		record, err := json.Marshal(g)
		if err != nil {
			return err
		}
		statement = "INSERT INTO grants (id, agent, server, name, until, count, used, last, revoked, record) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, '', $7)"
		args = []any{g.ID, g.Agent, g.Server, g.Name, g.Until.UnixMilli(), g.Count, record}
	}
	done, err := conn.ExecContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return sallyport.ErrOvertaken
}

// Grants are those that are left of what was granted for calls of an agent of one
// thing of a server, or with agent "" all there ever were, the oldest first. A damaged
// one is an error, and answers nothing; those beside it come with the error.
func (r Rows) Grants(ctx context.Context, agent, server, name string) (all []sallyport.Grant, err error) {
	where, args := "agent = $1 AND server = $2 AND name = $3 AND revoked = '' AND used < count", []any{agent, server, name}
	if agent == "" {
		where, args = "1 = 1", nil
	}
	rows, err := r.DB.QueryContext(ctx, "SELECT id, agent, server, name, until, count, used, last, revoked, record FROM grants WHERE "+where+" ORDER BY id", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var damaged error
	for rows.Next() {
		var row, g sallyport.Grant
		var until, last int64
		var record []byte
		if err := rows.Scan(&row.ID, &row.Agent, &row.Server, &row.Name, &until, &row.Count, &row.Used, &last, &row.Revoked, &record); err != nil {
			return nil, err
		}
		// The columns are what the transaction looks at.
		if err := json.Unmarshal(record, &g); err != nil || g.ID != row.ID || g.Agent != row.Agent || g.Server != row.Server || g.Name != row.Name ||
			g.Count != row.Count || g.Until.UnixMilli() != until {
			damaged = errors.Join(damaged, fmt.Errorf("%w: grant %s is damaged", ErrUnusable, row.ID))
			continue
		}
		if g.Used, g.Revoked = row.Used, row.Revoked; last != 0 {
			g.Last = time.UnixMilli(last)
		}
		all = append(all, g)
	}
	return all, errors.Join(damaged, rows.Err())
}
