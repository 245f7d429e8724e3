// Package database is what of the store is SQLite's own: the types of the
// tables, and how a file is opened. Every other statement of the store is the
// same text for PostgreSQL.
package database

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// State is the tables of sallyport.db.
const State = `
CREATE TABLE IF NOT EXISTS entries (
	idx    INTEGER PRIMARY KEY,
	entry  BLOB NOT NULL,     -- canonical bytes
	key    INTEGER NOT NULL,  -- that seals its payloads
	at     INTEGER NOT NULL,  -- where they lie in their segment
	args   INTEGER NOT NULL,  -- sealed bytes there, 0 for none
	result INTEGER NOT NULL   -- the same, behind the arguments
);
CREATE TABLE IF NOT EXISTS keys (
	id     INTEGER PRIMARY KEY,
	run    TEXT NOT NULL,
	made   INTEGER NOT NULL,  -- Unix milliseconds
	secret BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS keys_run ON keys (run);
CREATE TABLE IF NOT EXISTS pins (
	server TEXT NOT NULL,
	item   TEXT NOT NULL,
	raw    BLOB,
	since  INTEGER NOT NULL,  -- Unix milliseconds
	by     TEXT NOT NULL,
	seen   BLOB,
	PRIMARY KEY (server, item)
);
CREATE TABLE IF NOT EXISTS credentials (
	name   TEXT PRIMARY KEY,
	record BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS settings (
	name  TEXT PRIMARY KEY,
	value BLOB NOT NULL
);`

// Positional is a statement with SQLite's own placeholders: the driver looks
// a numbered one up by trying, which costs more than the statement itself.
// The placeholders must be in order, each once.
func Positional(statement string) string { return numbered.ReplaceAllString(statement, "?") }

var numbered = regexp.MustCompile(`\$[0-9]+`)

// Open opens a database for writing, and makes its tables. The file is made
// first, since SQLite would make it readable for others; its WAL gets the
// same mode.
func Open(path, schema, synchronous string) (*sql.DB, error) {
	return open(path, synchronous, func(db *sql.DB) error {
		_, err := db.Exec(schema)
		return err
	})
}

// OpenVersion opens a database whose tables can be made again: those of another
// version are dropped.
func OpenVersion(path, schema, synchronous string, version int) (*sql.DB, error) {
	return open(path, synchronous, func(db *sql.DB) error { return renew(db, schema, version) })
}

func open(path, synchronous string, tables func(*sql.DB) error) (*sql.DB, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	file.Close()
	db, err := sql.Open("sqlite", DSN(path, "rw", "journal_mode(WAL)", "synchronous("+synchronous+")", "secure_delete(ON)"))
	if err != nil {
		return nil, err
	}
	if err := tables(db); err != nil {
		db.Close()
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return db, nil
}

// renew is one transaction: two programs may open the file at once.
func renew(db *sql.DB, schema string, version int) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var has int
	if err := tx.QueryRow("PRAGMA user_version").Scan(&has); err != nil || has == version {
		return err
	}
	var drop string
	err = tx.QueryRow("SELECT coalesce(group_concat('DROP TABLE ' || name, ';'), '') FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'").Scan(&drop)
	if err == nil {
		_, err = tx.Exec(fmt.Sprintf("%s; %s; PRAGMA user_version = %d", drop, schema, version))
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}

// DSN names a file for the driver; mode is "rw" or "ro".
func DSN(path, mode string, pragmas ...string) string {
	path = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	dsn := "file:" + path + "?mode=" + mode + "&_txlock=immediate&_pragma=busy_timeout(10000)"
	for _, pragma := range pragmas {
		dsn += "&_pragma=" + pragma
	}
	return dsn
}
