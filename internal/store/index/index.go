// Package index keeps the projections of the entries, by which they are found and
// counted: rows of tables that can be made again from the entries at any time.
package index

import (
	"database/sql"

	"sallyport/internal/store/database"
)

// version is that of the tables: those of another are made anew.
const version = 2

// schema is the tables of index.db. Every index costs each call, so there are
// few: what can be asked for is said once for all records that have it in common,
// and a record names that by a small number.
const schema = `
CREATE TABLE IF NOT EXISTS position (
	one  INTEGER PRIMARY KEY CHECK (one = 1),
	next INTEGER NOT NULL,   -- first entry that is not projected
	leaf BLOB NOT NULL       -- leaf hash of the one before it
);
CREATE TABLE IF NOT EXISTS facets (  -- what records have in common
	id       INTEGER PRIMARY KEY,
	type     TEXT NOT NULL,
	agent    TEXT NOT NULL,
	person   TEXT NOT NULL,
	tenant   TEXT NOT NULL,
	server   TEXT NOT NULL,
	bucket   INTEGER NOT NULL,  -- of the name
	verdict  TEXT NOT NULL,
	observed INTEGER NOT NULL,
	outcome  TEXT NOT NULL,     -- "" while there is none
	UNIQUE (agent, server, bucket, type, person, tenant, verdict, observed, outcome)
);
CREATE TABLE IF NOT EXISTS records (  -- every entry but outcomes, with its outcome
	idx     INTEGER PRIMARY KEY,
	facet   INTEGER NOT NULL,
	call    TEXT NOT NULL,
	run     INTEGER NOT NULL,  -- 0 for none
	name    TEXT NOT NULL,
	subject TEXT NOT NULL,
	closed  INTEGER NOT NULL   -- index of the outcome, 0 for none
);
CREATE INDEX IF NOT EXISTS records_call ON records (call);
CREATE INDEX IF NOT EXISTS records_facet ON records (facet);
CREATE INDEX IF NOT EXISTS records_run ON records (run, facet);
CREATE TABLE IF NOT EXISTS runs (
	id     INTEGER PRIMARY KEY,
	run    TEXT NOT NULL UNIQUE,
	agent  TEXT NOT NULL,
	person TEXT NOT NULL,
	tenant TEXT NOT NULL,
	first  INTEGER NOT NULL,
	last   INTEGER NOT NULL,
	calls  INTEGER NOT NULL,
	denied INTEGER NOT NULL,  -- refused or held
	opened INTEGER NOT NULL   -- intents without outcome
);
CREATE TABLE IF NOT EXISTS course (  -- how accounts of limits were taken from, until that stops to count
	name     TEXT NOT NULL,      -- of the limit
	account  TEXT NOT NULL,
	until    INTEGER NOT NULL,   -- Unix milliseconds
	slot     INTEGER NOT NULL,   -- when it began
	calls    INTEGER NOT NULL,
	estimate INTEGER NOT NULL,   -- millionths
	settled  INTEGER NOT NULL,   -- what it came to besides: less than nothing where that was less
	PRIMARY KEY (name, account, until, slot)
);
CREATE INDEX IF NOT EXISTS course_until ON course (until);
CREATE TABLE IF NOT EXISTS spent (  -- of each unit, once for a call whatever limits count it
	unit     TEXT NOT NULL,
	slot     INTEGER NOT NULL,
	calls    INTEGER NOT NULL,
	estimate INTEGER NOT NULL,
	settled  INTEGER NOT NULL,
	PRIMARY KEY (unit, slot)
);
CREATE TABLE IF NOT EXISTS fired (  -- rules that decided
	rule  TEXT PRIMARY KEY,
	calls INTEGER NOT NULL,
	last  INTEGER NOT NULL   -- entry
);`

// Open opens index.db. Tables of another version are dropped, and so are empty.
func Open(path string) (*sql.DB, error) {
	return database.OpenVersion(path, schema, "NORMAL", version)
}

// Forget empties all tables.
func Forget(tx *sql.Tx) error {
	for _, table := range []string{"position", "facets", "records", "runs", "course", "spent", "fired"} {
		if _, err := tx.Exec("DELETE FROM " + table); err != nil {
			return err
		}
	}
	return nil
}
