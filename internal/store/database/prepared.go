package database

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// Conn is a database, or one connection to it.
type Conn interface {
	PrepareContext(ctx context.Context, text string) (*sql.Stmt, error)
	ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row
}

// Prepared prepares each statement once and keeps it, since to take one apart
// costs more than to run it. It is for texts that are all in the program.
type Prepared struct {
	Conn Conn

	mu   sync.Mutex
	kept map[string]*sql.Stmt
}

// Close lets go of the statements, but not of the connection.
func (p *Prepared) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, statement := range p.kept {
		errs = append(errs, statement.Close())
	}
	p.kept = nil
	return errors.Join(errs...)
}

func (p *Prepared) of(ctx context.Context, text string) (*sql.Stmt, error) {
	p.mu.Lock()
	statement := p.kept[text]
	p.mu.Unlock()
	if statement != nil {
		return statement, nil
	}
	// Not under the lock: it may wait for a connection that another has, who waits
	// for the lock.
	statement, err := p.Conn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if other := p.kept[text]; other != nil {
		return other, statement.Close()
	}
	if p.kept == nil {
		p.kept = map[string]*sql.Stmt{}
	}
	p.kept[text] = statement
	return statement, nil
}

// ExecContext is Conn's.
func (p *Prepared) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	statement, err := p.of(ctx, text)
	if err != nil {
		return nil, err
	}
	return statement.ExecContext(ctx, args...)
}

// QueryContext is Conn's.
func (p *Prepared) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	statement, err := p.of(ctx, text)
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(ctx, args...)
}

// QueryRowContext is Conn's.
func (p *Prepared) QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row {
	statement, err := p.of(ctx, text)
	if err != nil {
		return p.Conn.QueryRowContext(ctx, text, args...) // which says why not
	}
	return statement.QueryRowContext(ctx, args...)
}
