package database

import (
	"context"
	"database/sql"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// counted counts what is prepared.
type counted struct {
	*sql.DB
	prepared atomic.Int32
}

func (c *counted) PrepareContext(ctx context.Context, text string) (*sql.Stmt, error) {
	c.prepared.Add(1)
	return c.DB.PrepareContext(ctx, text)
}

func TestPreparedOnce(t *testing.T) {
	db, err := Open(filepath.Join(t.TempDir(), "x.db"), "CREATE TABLE x (n INTEGER)", "OFF")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn := &counted{DB: db}
	p := &Prepared{Conn: conn}
	for n := range 10 {
		if _, err := p.ExecContext(t.Context(), "INSERT INTO x VALUES ($1)", n); err != nil {
			t.Fatal(err)
		}
	}
	sum := func() (sum int, err error) {
		err = p.QueryRowContext(t.Context(), "SELECT sum(n) FROM x WHERE n < $1", 9).Scan(&sum)
		return sum, err
	}
	for range 10 {
		if got, err := sum(); err != nil || got != 36 {
			t.Fatal(got, err)
		}
	}
	if n := conn.prepared.Load(); n != 2 {
		t.Errorf("two texts were prepared %d times", n)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if got, err := sum(); err != nil || got != 36 { // it begins anew
		t.Error(got, err)
	}
	// A text that can't be prepared is the error of whoever wanted it.
	if err := p.QueryRowContext(t.Context(), "SELECT nothing FROM nowhere").Scan(new(int)); err == nil {
		t.Error("a table that is not there was read")
	}
	if _, err := p.QueryContext(t.Context(), "SELECT nothing FROM nowhere"); err == nil {
		t.Error("a table that is not there was read")
	}
}

// While every connection is taken by those who read on, nobody waits for the
// statement that another waits to prepare.
func TestPreparedWhileConnectionsAreTaken(t *testing.T) {
	db, err := Open(filepath.Join(t.TempDir(), "x.db"), "CREATE TABLE x (n INTEGER); INSERT INTO x VALUES (1), (2)", "OFF")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	p := &Prepared{Conn: db}
	first := func() (n int, err error) {
		err = p.QueryRowContext(t.Context(), "SELECT min(n) FROM x").Scan(&n)
		return n, err
	}
	if _, err := first(); err != nil {
		t.Fatal(err)
	}
	taken, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() { p.QueryRowContext(t.Context(), "SELECT max(n) FROM x").Scan(new(int)) }) // waits for the connection
	for db.Stats().WaitCount == 0 {
		continue
	}
	if _, err := p.of(t.Context(), "SELECT min(n) FROM x"); err != nil { // is kept: waits for nothing
		t.Error(err)
	}
	taken.Close()
	group.Wait()
}
