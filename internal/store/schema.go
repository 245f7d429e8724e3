package store

import "regexp"

// stateSchema is the tables of sallyport.db. Only the types are SQLite's own:
// every other statement of this package is the same text for PostgreSQL.
const stateSchema = `
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

// indexSchema is the tables of index.db: projections of the entries, which
// Reindex builds anew.
const indexSchema = `
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

// positional is a statement with SQLite's own placeholders: the driver looks
// a numbered one up by trying, which costs more than the statement itself.
// The placeholders must be in order, each once.
func positional(statement string) string { return numbered.ReplaceAllString(statement, "?") }

var numbered = regexp.MustCompile(`\$[0-9]+`)
