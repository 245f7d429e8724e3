package pinned

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"sallyport"
	"sallyport/internal/manifest"
	"sallyport/internal/pin"
)

// Log records what is accepted.
type Log interface {
	// Commit makes a record durable. An error means that nothing of it is known
	// to be.
	Commit(ctx context.Context, record *sallyport.Record) error
}

// Acceptance is what somebody takes into use of a server.
type Acceptance struct {
	Server   string
	Shown    map[manifest.Key]sallyport.Digest // as it was shown, and not otherwise
	Suspects map[manifest.Key][]Suspect        // what scanners saw in it
	By       string
	At       time.Time
}

// Accept pins what was shown, on the record before it is in use: one entry
// with the keys, and with a digest over all of them before and after.
func Accept(ctx context.Context, log Log, pins *pin.Pins, a Acceptance) ([]pin.Pin, error) {
	before, after := sha256.New(), sha256.New()
	var keys, findings []string
	for _, pin := range pins.All() {
		digest, wanted := a.Shown[pin.Key]
		if pin.Server != a.Server || pin.Seen == nil || !wanted {
			continue
		}
		keys = append(keys, string(pin.Key))
		for _, s := range a.Suspects[pin.Key] {
			findings = append(findings, fmt.Sprintf("%s in %s", s, pin.Key))
		}
		fmt.Fprintf(before, "%s %s\n", pin.Key, pin.Accepted())
		fmt.Fprintf(after, "%s %s\n", pin.Key, digest)
	}
	if len(keys) == 0 {
		return nil, nil
	}
	err := log.Commit(ctx, &sallyport.Record{Entry: sallyport.Entry{
		Time: a.At, Type: sallyport.Change, Subject: "accept " + a.Server, By: a.By, Reason: listed(keys), Findings: most(findings),
		Before: sallyport.Digest(before.Sum(nil)), After: sallyport.Digest(after.Sum(nil)),
	}})
	if err != nil {
		return nil, err
	}
	return pins.Accept(ctx, a.Server, a.Shown, a.By, a.At)
}

// most are as many findings as an entry has room for.
func most(findings []string) []string {
	const room = 64
	for i, line := range findings {
		if len(line) > 256 {
			findings[i] = strings.ToValidUTF8(line[:256], "") + "…"
		}
	}
	if more := len(findings) - room; more > 0 {
		return append(findings[:room], fmt.Sprintf("and %d more", more))
	}
	return findings
}

// listed names keys within the room that an entry has.
func listed(keys []string) string {
	text := ""
	for i, key := range keys {
		if len(text)+len(key) > 8<<10 {
			return fmt.Sprintf("%s and %d more", text, len(keys)-i)
		}
		if i > 0 {
			text += ", "
		}
		text += key
	}
	return text
}
