package judge

import (
	"context"
	"sync/atomic"
	"time"

	"sallyport"
	"sallyport/internal/inspect"
)

// Config says which judges there are. Each is an endpoint of its own, so that
// the reader of strangers' texts need not be the model that knows the task; nil
// is none.
type Config struct {
	Scope      *Endpoint
	Checker    *Endpoint
	Reader     *Endpoint
	ReaderOf   []string // servers whose results the reader reads
	Classifier *Classifier
}

// Judges are the scanners and models that look at what passes. It satisfies
// gateway.Inspector.
type Judges struct {
	Scanners
	// Words are what the user told a run, and Tools all tools there are. An error
	// means that nobody knows: then judges that need them fail.
	Words func(ctx context.Context, run sallyport.Run) ([]string, error)
	Tools func() []sallyport.Definition
	Now   func() time.Time

	now atomic.Pointer[judges]
}

// judges are those of one configuration.
type judges struct {
	scope, checker, reader *model
	readerOf               []string
	classifier             *Classifier
	scopes                 scopes
	words                  func(ctx context.Context, run sallyport.Run) ([]string, error)
	tools                  func() []sallyport.Definition
}

// Configure puts other judges in force.
func (j *Judges) Configure(c Config) {
	of := func(e *Endpoint) *model {
		if e == nil {
			return nil
		}
		return &model{Endpoint: *e, now: j.Now}
	}
	j.now.Store(&judges{scope: of(c.Scope), checker: of(c.Checker), reader: of(c.Reader), readerOf: c.ReaderOf, classifier: c.Classifier, words: j.Words, tools: j.Tools})
}

// Arguments implements gateway.Inspector.
func (j *Judges) Arguments(ctx context.Context, call *sallyport.Call, tool *sallyport.Definition) []sallyport.Finding {
	seen := j.look(ctx, call.Args)
	if now := j.now.Load(); now != nil && !j.Off() {
		now.classify(ctx, seen, call.Args)
		seen.Findings = append(seen.Findings, now.check(ctx, call, tool)...)
	}
	return seen.Findings
}

// Result implements gateway.Inspector.
func (j *Judges) Result(ctx context.Context, call *sallyport.Call, result sallyport.Value) *inspect.Seen {
	seen := j.look(ctx, result)
	if now := j.now.Load(); now != nil && !j.Off() {
		now.classify(ctx, seen, result)
		now.read(ctx, call.Server, seen, result)
	}
	return seen
}

// Names are the names of the findings that the judges of a configuration can
// have.
func (c *Config) Names() []string {
	var names []string
	if c.Checker != nil {
		names = append(names, ScannerChecker+"/unneeded", ScannerChecker+"/"+sallyport.Unseen)
	}
	if c.Reader != nil {
		names = append(names, ScannerReader+"/order", ScannerReader+"/"+sallyport.Unseen)
	}
	if c.Classifier != nil {
		names = append(names, ScannerExternal+"/flagged", ScannerExternal+"/"+sallyport.Unseen)
	}
	return names
}
