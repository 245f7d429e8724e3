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

// Index is the tables of index.db: projections of the entries, which
// Reindex builds anew.
const Index = `
CREATE TABLE IF NOT EXISTS position (
	one  INTEGER PRIMARY KEY CHECK (one = 1),
	next INTEGER NOT NULL,   -- first entry that is not projected
	leaf BLOB NOT NULL       -- leaf hash of the one before it
);
CREATE TABLE IF NOT EXISTS records (  -- every entry but outcomes, with its outcome
	idx      INTEGER PRIMARY KEY,
	type     TEXT NOT NULL,
	call     TEXT NOT NULL,
	agent    TEXT NOT NULL,
	person   TEXT NOT NULL,
	tenant   TEXT NOT NULL,
	run      TEXT NOT NULL,
	server   TEXT NOT NULL,
	name     TEXT NOT NULL,
	verdict  TEXT NOT NULL,
	observed INTEGER NOT NULL,
	subject  TEXT NOT NULL,
	outcome  TEXT NOT NULL,
	closed   INTEGER NOT NULL  -- index of the outcome, 0 for none
);
-- Every index costs each call as much as a tenth of its commit, so there are
-- few: what is asked for most is new, and found by going back from the newest.
CREATE INDEX IF NOT EXISTS records_call ON records (call);
CREATE INDEX IF NOT EXISTS records_open ON records (idx) WHERE type = 'intent' AND outcome = '';
-- Of what is rare the newest may be old. This one costs an allowed call nothing.
CREATE INDEX IF NOT EXISTS records_rare ON records (type, idx) WHERE type = 'refusal' OR type = 'hold' OR type = 'change';
CREATE TABLE IF NOT EXISTS runs (
	run    TEXT PRIMARY KEY,
	agent  TEXT NOT NULL,
	person TEXT NOT NULL,
	tenant TEXT NOT NULL,
	first  INTEGER NOT NULL,
	last   INTEGER NOT NULL,
	calls  INTEGER NOT NULL,
	denied INTEGER NOT NULL,  -- refused or held
	opened INTEGER NOT NULL   -- intents without outcome
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
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	file.Close()
	db, err := sql.Open("sqlite", DSN(path, "rw", "journal_mode(WAL)", "synchronous("+synchronous+")", "secure_delete(ON)"))
	if err != nil {
		return nil, err
	}
	if _, err := db.Exec(schema); err != nil {
		db.Close()
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return db, nil
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
