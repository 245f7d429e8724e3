// Package store keeps the state of a gateway in one directory: the log, the
// payloads beside it, pins, credentials, questions to people and settings.
//
//	lock            held while a gateway runs
//	log.key         the key that signs checkpoints
//	sallyport.db    entries, keys of payloads, pins, credentials, approvals, settings
//	kills.json      what was stopped, beside what the database says
//	index.db        projections for queries; built again when missing
//	payloads/       sealed payloads, in segments
//	log/            checkpoint and tiles, for the ecosystem's tools
//
// A [Store] is the one writer. A [Reader] reads beside it or alone.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sallyport"
	"sallyport/internal/kill"
	"sallyport/internal/store/approvals"
	"sallyport/internal/store/database"
	"sallyport/internal/store/file"
	"sallyport/internal/store/held"
	"sallyport/internal/store/kills"
	"sallyport/internal/store/ledger"
	"sallyport/internal/store/runs"
	"sallyport/internal/store/signing"
	"sallyport/internal/tlog"
)

// Errors of this package.
var (
	ErrInUse    = file.ErrInUse
	ErrClosed   = errors.New("the store is closed")
	ErrTooLarge = errors.New("the record is too large for the log")
	// ErrReplaced says that the database is not the one whose checkpoint was
	// signed: rows are missing or are others.
	ErrReplaced = errors.New("the database does not hold the log that was signed")
)

// Store is the state of a running gateway.
type Store struct {
	*Reader
	Kills  *kill.Switch // what was stopped, also before a restart
	lock   *os.File
	state  *sql.DB
	signer *tlog.Signer
	now    func() time.Time

	committer *committer
	sequencer *sequencer
	behind    sync.WaitGroup // the sequencer's goroutine
}

// Open takes the directory into use, and makes it when it isn't there. It
// fails with ErrInUse while another gateway has it, and with ErrReplaced when
// the log there is not the one that was signed. Intents that a crash left
// without an outcome get the outcome "unknown".
func Open(dir string, now func() time.Time) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := file.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	s := &Store{lock: lock, now: now}
	if err := s.open(dir); err != nil {
		if s.committer != nil {
			s.committer.close()
		}
		s.release()
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	return s, nil
}

func (s *Store) open(dir string) (err error) {
	ctx := context.Background()
	path := filepath.Join(dir, "sallyport.db")
	if s.state, err = database.Open(path, database.State+approvals.Schema+runs.Schema+ledger.Schema, "FULL"); err != nil {
		return err
	}
	if s.Reader, err = OpenReader(dir); err != nil {
		return err
	}
	if s.committer, err = newCommitter(ctx, s.state, s.payloads); err != nil {
		return err
	}
	recorded, err := s.Setting(ctx, kills.Setting)
	if err != nil {
		return err
	}
	s.Kills = kills.Load(dir, recorded, s.now())
	s.committer.kills = s.Kills
	if s.committer.held, err = held.Hold(filepath.Join(dir, "lock"), path, path+"-wal", path+"-shm"); err != nil {
		return err
	}
	empty := s.committer.head.next == 0
	if s.signer, err = signing.Load(filepath.Join(dir, "log.key"), empty); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: log.key is missing but there are entries; restore it from a copy of the directory", ErrReplaced)
	} else if err != nil {
		return err
	}
	if s.sequencer, err = newSequencer(ctx, s.Reader, s.signer, empty, s.committer.takeRecent); err != nil {
		return err
	}
	s.sequencer.held = s.committer.held
	if err := s.closeOpenIntents(ctx); err != nil {
		return err
	}
	s.committer.start()
	s.behind.Go(func() { s.sequencer.run(s.committer.finished, s.committer.grown) })
	return nil
}

// closeOpenIntents appends the outcome "unknown" to every intent that has
// none: the gateway stopped before it knew.
func (s *Store) closeOpenIntents(ctx context.Context) error {
	intents, err := s.openIntents(ctx)
	if err != nil {
		return err
	}
	var group []*waiting
	for _, intent := range intents {
		charges, err := ledger.Unsettled(intent.Charges)
		if err != nil {
			return err
		}
		group = append(group, &waiting{charges: charges, entry: sallyport.Entry{
			Type: sallyport.Closed, Time: s.now(), Outcome: sallyport.OutcomeUnknown,
			Reason: "the gateway stopped before the outcome was known",
			Call:   intent.Call, Parent: intent.Parent, Kind: intent.Kind, Server: intent.Server, Name: intent.Name,
			Principal: intent.Principal, Run: intent.Run,
		}})
	}
	return s.committer.write(ctx, group)
}

// Close makes durable what was accepted, publishes a last checkpoint and lets
// go of the directory.
func (s *Store) Close() error {
	err := s.committer.stop()
	s.behind.Wait()
	return errors.Join(err, s.sequencer.failure(), s.release())
}

func (s *Store) release() error {
	var errs []error
	if s.Reader != nil {
		errs = append(errs, s.Reader.Close())
	}
	if s.state != nil {
		errs = append(errs, s.state.Close())
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// Health is nil while all is well, else why records are not taken or
// checkpoints not published.
func (s *Store) Health() error { return errors.Join(s.committer.failure(), s.sequencer.failure()) }
