package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"sallyport"
	"sallyport/internal/kill"
	"sallyport/internal/store/approvals"
	"sallyport/internal/store/database"
	"sallyport/internal/store/held"
	"sallyport/internal/store/ledger"
	"sallyport/internal/store/segment"
)

const (
	// maxGroup is the most records of one transaction.
	maxGroup = 256
	// maxWaiting is how many bytes of records may wait for their transaction.
	// Beyond it Commit and Append wait themselves.
	maxWaiting = 64 << 20
	// appendDelay is how long an accepted record may wait for company.
	appendDelay = 5 * time.Millisecond
	// pace is, for each call under way, the least time between the starts of
	// two transactions, up to slowest, once there are crowd of them. A
	// transaction costs as much processor time as 60 records, so the busier it
	// is the more of them share one; a lone agent never waits.
	pace    = 200 * time.Microsecond
	slowest = 4 * time.Millisecond
	crowd   = 4
	// retryDelay is how often accepted records are tried again after a failure.
	retryDelay = 500 * time.Millisecond
)

// waiting is one record on its way into the log. It may carry no payloads.
type waiting struct {
	entry  sallyport.Entry // a copy, so that the caller's is never changed behind its back
	key    *runKey
	sealed *[]byte // arguments, then result
	args   int     // sealed bytes of them in front
	at     int64   // where sealed was written

	charges    []sallyport.Charge // of limits, in the same transaction
	regardless bool               // of what is killed

	asked *approvals.Change // in the same transaction; a copy, too
	err   error             // why the current transaction left it out

	// done hears the end; nil for an accepted record, for which nobody waits.
	done chan error
	// taken is set once by the committer, when it is too late to withdraw, or
	// by the caller, who withdraws.
	taken atomic.Bool
	size  int64 // of the share of maxWaiting that it holds
}

// job is a change of state beside the log, in a transaction of its own.
type job struct {
	change func(context.Context, *sql.Conn) error
	done   chan error
}

// head is where the log ends.
type head struct {
	next uint64           // index of the next entry
	leaf sallyport.Digest // leaf hash of the last entry
	time time.Time        // of the last entry
}

// committer is the one writer of sallyport.db. It gathers the records that
// wait and writes them in one transaction: that transaction is the commit.
type committer struct {
	conn     *sql.Conn
	often    *database.Prepared // conn, for what changes with an entry
	payloads *segment.Segments
	kills    *kill.Switch
	ledger   *ledger.Ledger
	held     held.Files // without which nothing that is written can be found again
	begin, insert, insertKey,
	commit, rollback *sql.Stmt

	queue    chan *waiting
	jobs     chan *job
	room     *semaphore.Weighted
	closing  sync.RWMutex // held for reading while something is put into queue
	closed   bool
	stopping chan struct{} // closed once nothing more comes into queue
	finished chan struct{} // closed when the goroutine has ended

	// Only the committer's goroutine uses these.
	head     head
	lost     bool       // head must be read again, since that failed too when a transaction did
	kept     []*waiting // accepted and not yet durable
	newKeys  []*runKey  // inserted by the current transaction
	rows     []written  // of the current transaction
	blobs    [][]byte   // payloads of the current group
	started  time.Time  // the last transaction
	underway int        // calls between intent and outcome, about
	busy     int        // the most calls at once lately, about

	mu     sync.Mutex
	err    error         // why the last transaction failed, nil when it didn't
	signal chan struct{} // closed at the next commit; nil when nobody waits for it
	recent []written     // the newest rows that the sequencer has not taken
}

// written is an entry in the log.
type written struct {
	index uint64
	text  []byte
	leaf  sallyport.Digest // of text
	entry *sallyport.Entry // nil when it must be parsed
}

// maxRecent is how many rows are kept for the sequencer. When it falls further
// behind it reads them back.
const maxRecent = 8192

func newCommitter(ctx context.Context, db *sql.DB, payloads *segment.Segments) (*committer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c := &committer{
		conn: conn, often: &database.Prepared{Conn: conn}, payloads: payloads,
		queue: make(chan *waiting, maxGroup), jobs: make(chan *job), room: semaphore.NewWeighted(maxWaiting),
		finished: make(chan struct{}), stopping: make(chan struct{}),
	}
	for text, statement := range map[string]**sql.Stmt{
		"BEGIN IMMEDIATE": &c.begin, "COMMIT": &c.commit, "ROLLBACK": &c.rollback,
		"INSERT INTO entries (idx, entry, key, at, args, result) VALUES ($1, $2, $3, $4, $5, $6)":      &c.insert,
		"INSERT INTO keys (id, run, made, secret) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING": &c.insertKey,
	} {
		if *statement, err = conn.PrepareContext(ctx, database.Positional(text)); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	if c.head, err = readHead(ctx, conn); err == nil {
		c.ledger, err = ledger.Open(ctx, conn)
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func readHead(ctx context.Context, conn *sql.Conn) (head, error) {
	var text []byte
	err := conn.QueryRowContext(ctx, "SELECT entry FROM entries ORDER BY idx DESC LIMIT 1").Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return head{}, nil
	}
	if err != nil {
		return head{}, err
	}
	entry, err := sallyport.ParseEntry(text)
	if err != nil {
		return head{}, fmt.Errorf("%w: the last entry: %w", ErrReplaced, err)
	}
	return head{entry.Index + 1, sallyport.LeafHash(text), entry.Time}, nil
}

func (c *committer) start() { go c.run() }

// stop commits what was accepted and ends the goroutine.
func (c *committer) stop() error {
	c.closing.Lock()
	if c.closed {
		c.closing.Unlock()
		return ErrClosed
	}
	c.closed = true
	c.closing.Unlock()
	close(c.stopping)
	<-c.finished
	err := c.failure()
	if len(c.kept) > 0 {
		err = fmt.Errorf("%d accepted records are lost: %w", len(c.kept), err)
	}
	return errors.Join(err, c.close())
}

// close lets go of the connection. While a statement of it is open SQLite
// would not fold its write-ahead log into the database.
func (c *committer) close() error {
	var errs []error
	for _, statement := range []*sql.Stmt{c.begin, c.insert, c.insertKey, c.commit, c.rollback} {
		if statement != nil {
			errs = append(errs, statement.Close())
		}
	}
	return errors.Join(append(errs, c.often.Close(), c.ledger.Close(), c.conn.Close())...)
}

// Commit returns once the record is durable, and fills Index, Prev, Time, Args
// and Result of its entry. After an error nothing is recorded for certain. A
// record whose approval has moved on meanwhile is left out of the transaction:
// see sallyport.Record.
func (s *Store) Commit(ctx context.Context, record *sallyport.Record) error {
	w, err := s.prepare(record)
	if err != nil {
		return err
	}
	w.done = make(chan error, 1)
	if err := s.committer.wait(ctx, w); err != nil {
		return err
	}
	record.Charges, record.Entry.Charges = w.charges, w.entry.Charges
	e := &record.Entry
	e.Index, e.Prev, e.Time, e.Args, e.Result = w.entry.Index, w.entry.Prev, w.entry.Time, w.entry.Args, w.entry.Result
	if e.Approval = w.entry.Approval; w.asked != nil {
		record.Approval = w.asked.Approval
	}
	return nil
}

// Append hands over a record that becomes durable with the next transaction,
// in at most 10 ms, and fills Args and Result of its entry. After an error it
// is not recorded. A record that was accepted is kept until it can be written,
// also while the disk is full.
func (s *Store) Append(ctx context.Context, record *sallyport.Record) error {
	w, err := s.prepare(record)
	if err != nil {
		return err
	}
	record.Entry.Args, record.Entry.Result = w.entry.Args, w.entry.Result
	if s.committer.failure() != nil {
		// Nothing more is accepted on trust until the log can be written again.
		w.done = make(chan error, 1)
		return s.committer.wait(ctx, w)
	}
	return s.committer.enqueue(ctx, w)
}

// prepare seals the payloads, on the caller's time and processor.
func (s *Store) prepare(record *sallyport.Record) (*waiting, error) {
	w := &waiting{entry: record.Entry, regardless: record.Regardless, size: int64(len(record.Args) + len(record.Result) + 1024)}
	if w.size > maxWaiting {
		return nil, fmt.Errorf("%w: payloads of %d bytes", ErrTooLarge, w.size)
	}
	w.charges, w.entry.Charges = ledger.Take(record), nil
	if err := fits(&w.entry, w.charges); err != nil {
		return nil, err
	}
	w.asked = approvals.ChangeOf(record)
	put := w.asked.Puts()
	if record.Args == nil && record.Result == nil && put == nil {
		return w, nil
	}
	run := w.entry.Run
	if put != nil {
		run = put.Run // a question may be put by an entry of no run
	}
	key := s.keys.of(run, w.entry.Time)
	w.key, w.sealed = key, buffers.Get().(*[]byte)
	if put != nil {
		w.seal(put)
	}
	sealed := (*w.sealed)[:0]
	if record.Args != nil {
		sealed, w.entry.Args = key.Seal(sealed, record.Args, argsPlace(&w.entry))
		w.args = len(sealed)
	}
	if record.Result != nil {
		sealed, w.entry.Result = key.Seal(sealed, record.Result, resultPlace(&w.entry))
	}
	*w.sealed = sealed
	return w, nil
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// fits reports whether the entry can be written, with the lines that charges add
// to it, before anything is accepted.
func fits(e *sallyport.Entry, charges []sallyport.Charge) error {
	p := &e.Principal
	length := len(e.Call) + len(e.Parent) + len(e.Server) + len(e.Name) + len(e.Action) + len(e.Door) +
		len(p.Agent) + len(p.Role) + len(p.User) + len(p.Tenant) + len(e.Run) + len(e.ParentRun) + len(e.Trace) + len(e.Cause) +
		len(e.Reason) + len(e.Approval) + len(e.Approver) + len(e.Outcome) + len(e.Task) + len(e.Subject) + len(e.By) +
		10*(len(e.Rules)+len(e.Asks)+len(e.Origins)+len(e.Findings)+len(e.Modified)+len(e.Charges)+len(e.Effects)+2*len(e.Labels))
	for _, list := range [][]string{e.Rules, e.Asks, e.Origins, e.Findings, e.Modified, e.Charges} {
		for _, text := range list {
			length += len(text)
		}
	}
	const escaped, fixed, line = 6, 2048, 80 // bytes for one at worst; for names and digests; for an amount and its time
	for i := range charges {
		length += len(charges[i].Unit) + len(charges[i].Limit) + len(charges[i].Account) + line
	}
	if escaped*length+fixed <= sallyport.MaxEntry {
		return nil
	}
	worst := *e
	worst.Index, worst.Prev = 1<<53, sallyport.DigestOf(nil)
	worst.Args, worst.Result = worst.Prev, worst.Prev
	worst.Charges = append(worst.Charges, ledger.Lines(e.Type, charges)...)
	if n := len(worst.AppendCanonical(nil)); n > sallyport.MaxEntry {
		return fmt.Errorf("%w: an entry of %d bytes; at most %d are allowed", ErrTooLarge, n, sallyport.MaxEntry)
	}
	return nil
}

// enqueue hands w to the committer.
func (c *committer) enqueue(ctx context.Context, w *waiting) error {
	if err := c.room.Acquire(ctx, w.size); err != nil {
		return err
	}
	c.closing.RLock()
	defer c.closing.RUnlock()
	err := ErrClosed
	if !c.closed {
		select {
		case c.queue <- w:
			return nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	c.room.Release(w.size)
	return err
}

// wait is enqueue and waits for the end. A caller that gives up either
// withdraws the record for certain, or hears how it ended.
func (c *committer) wait(ctx context.Context, w *waiting) error {
	if err := c.enqueue(ctx, w); err != nil {
		return err
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
	}
	if w.taken.CompareAndSwap(false, true) {
		return ctx.Err()
	}
	return <-w.done
}

// change runs a change of state beside the log, durably.
func (c *committer) change(ctx context.Context, change func(context.Context, *sql.Conn) error) error {
	j := &job{change, make(chan error, 1)}
	select {
	case c.jobs <- j:
		return <-j.done
	case <-ctx.Done():
		return ctx.Err()
	case <-c.finished:
		return ErrClosed
	}
}

func (c *committer) run() {
	defer close(c.finished)
	ctx := context.Background()
	for stopping := false; ; {
		var group []*waiting
		group, stopping = c.gather(ctx)
		if len(group) > 0 {
			c.settle(group, c.write(ctx, group))
		}
		if stopping && len(c.queue) == 0 {
			return
		}
	}
}

// gather waits for records and takes all there are. stopping means that no
// more come than are in the queue.
func (c *committer) gather(ctx context.Context) (group []*waiting, stopping bool) {
	group, c.kept = c.kept, nil
	urgent := false
	var due <-chan time.Time // when what was accepted must be written
	if len(group) > 0 {
		due = time.After(retryDelay)
	}
	for !urgent {
		select {
		case w := <-c.queue:
			group, urgent = c.take(group, w)
		case <-due:
			urgent = true
		case j := <-c.jobs:
			j.done <- c.runJob(ctx, j)
		case <-c.stopping:
			urgent, stopping = true, true
		}
		group, urgent = c.drain(group, urgent)
		if len(group) > 0 && due == nil {
			due = time.After(appendDelay) // also for what came behind a job
		}
	}
	// Those that wait for this transaction count as well as those that it let go.
	c.busy = max(c.underway+len(group), c.busy-1-c.busy/16)
	apart := min(time.Duration(c.busy)*pace, slowest)
	if rest := apart - time.Since(c.started); rest > 0 && c.busy >= crowd && !stopping {
		for end := time.After(rest); end != nil && len(group) < maxGroup; {
			select {
			case w := <-c.queue:
				group, _ = c.take(group, w)
			case <-end:
				end = nil
			}
		}
		group, _ = c.drain(group, true)
	}
	return group, stopping
}

// take adds w to the group, unless its caller has withdrawn it.
func (c *committer) take(group []*waiting, w *waiting) (_ []*waiting, urgent bool) {
	if !w.taken.CompareAndSwap(false, true) {
		c.room.Release(w.size)
		return group, false
	}
	return append(group, w), w.done != nil
}

// drain takes what is waiting already.
func (c *committer) drain(group []*waiting, urgent bool) ([]*waiting, bool) {
	for len(group) < maxGroup {
		select {
		case w := <-c.queue:
			var more bool
			group, more = c.take(group, w)
			urgent = urgent || more
		default:
			return group, urgent
		}
	}
	return group, true
}

// write is the commit: payloads to their segment, then one transaction.
func (c *committer) write(ctx context.Context, group []*waiting) error {
	if len(group) == 0 {
		return nil
	}
	c.started = time.Now()
	if err := c.held.Check(); err != nil {
		return err
	}
	if c.lost {
		end, err := readHead(ctx, c.conn)
		if err != nil {
			return err
		}
		c.head, c.lost = end, false
	}
	if err := c.writePayloads(group); err != nil {
		return err
	}
	_, err := c.begin.ExecContext(ctx)
	end := c.head
	if err == nil {
		end, err = c.writeRows(ctx, group)
	}
	if err == nil {
		_, err = c.commit.ExecContext(ctx)
	}
	if err != nil {
		// SQLite may have rolled back by itself, then this has nothing to do.
		c.rollback.ExecContext(ctx)
		// And it may have committed before it failed: then the rows are there.
		there, errHead := readHead(ctx, c.conn)
		if c.lost = errHead != nil; c.lost || there != end {
			for _, key := range c.newKeys {
				key.saved = false
			}
			c.ledger.Forget()
			return fmt.Errorf("writing the log: %w", err)
		}
	}
	c.head = end
	return nil
}

func (c *committer) writeRows(ctx context.Context, group []*waiting) (head, error) {
	end := c.head
	c.newKeys, c.rows = c.newKeys[:0], c.rows[:0]
	for _, w := range group {
		e := &w.entry
		e.Index, e.Prev = end.next, end.leaf
		// As it is written, and without Go's monotonic reading, by which times
		// would be compared otherwise.
		e.Time = e.Time.Round(0).UTC().Truncate(time.Millisecond)
		if e.Time.Before(end.time) {
			e.Time = end.time // the log's time never goes back, whatever the clock does
		}
		// Here, so that no intent in a kill's scope comes behind the kill's entry, and no
		// question behind those that the kill ends.
		if (e.Type == sallyport.Intent || e.Type == sallyport.Held) && !w.regardless && c.kills.Stops(kill.TargetOf(e)) != nil {
			w.err = sallyport.ErrOvertaken
			continue
		}
		if w.err = c.ledger.Enter(ctx, e, w.charges); errors.Is(w.err, sallyport.ErrFull) {
			continue
		} else if w.err != nil {
			return end, w.err
		}
		if w.asked != nil {
			w.err = w.asked.Apply(ctx, c.often, e.Time)
			if errors.Is(w.err, sallyport.ErrOvertaken) || errors.Is(w.err, sallyport.ErrCrowded) || errors.Is(w.err, approvals.ErrUnusable) {
				if err := c.ledger.Leave(ctx, e, w.charges); err != nil {
					return end, err
				}
				continue // its caller has to look again; the others are not held up
			}
			if w.err != nil {
				return end, w.err
			}
			e.Approval = w.asked.ID()
		}
		text := e.AppendCanonical(make([]byte, 0, 1024))
		leaf := sallyport.LeafHash(text)
		c.rows = append(c.rows, written{e.Index, text, leaf, e})
		var key, at, args, result int64
		if w.key != nil {
			key, at, args, result = w.key.id, w.at, int64(w.args), int64(len(*w.sealed)-w.args)
			if !w.key.saved {
				if _, err := c.insertKey.ExecContext(ctx, key, w.key.run, w.key.made.UnixMilli(), w.key.secret[:]); err != nil {
					return end, err
				}
				w.key.saved = true
				c.newKeys = append(c.newKeys, w.key)
			}
		}
		if _, err := c.insert.ExecContext(ctx, int64(e.Index), text, key, at, args, result); err != nil {
			return end, err
		}
		end = head{end.next + 1, leaf, e.Time}
	}
	return end, c.ledger.Flush(ctx)
}

// settle tells everyone how the transaction ended. What was accepted before a
// failure is kept for the next one.
func (c *committer) settle(group []*waiting, err error) {
	// Before anybody is told: who hears of a failure is trusted no more at once.
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	for _, w := range group {
		if err != nil && w.done == nil {
			c.kept = append(c.kept, w)
			continue
		}
		if err == nil && w.err == nil {
			switch w.entry.Type {
			case sallyport.Intent:
				c.underway++
			case sallyport.Closed:
				c.underway = max(0, c.underway-1)
			}
		}
		if w.sealed != nil {
			buffers.Put(w.sealed)
			w.sealed = nil
		}
		c.room.Release(w.size)
		if w.done != nil {
			w.done <- cmp.Or(err, w.err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		return
	}
	if c.recent = append(c.recent, c.rows...); len(c.recent) > maxRecent {
		c.recent = nil
	}
	if c.signal != nil {
		close(c.signal)
		c.signal = nil
	}
}

// takeRecent is the newest rows, in order and without gaps, once.
func (c *committer) takeRecent() []written {
	c.mu.Lock()
	defer c.mu.Unlock()
	recent := c.recent
	c.recent = nil
	return recent
}

func (c *committer) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// grown is closed at the next commit.
func (c *committer) grown() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.signal == nil {
		c.signal = make(chan struct{})
	}
	return c.signal
}

func (c *committer) runJob(ctx context.Context, j *job) error {
	err := c.held.Check()
	if err == nil {
		_, err = c.begin.ExecContext(ctx)
	}
	if err == nil {
		err = j.change(ctx, c.conn)
	}
	if err == nil {
		_, err = c.commit.ExecContext(ctx)
	}
	if err != nil {
		c.rollback.ExecContext(ctx)
	}
	return err
}
