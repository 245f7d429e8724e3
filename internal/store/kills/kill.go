// Package kills keeps what was stopped in a file beside the database, so that a
// kill is kept while the database is slow or broken. Both are read at the
// start, and the stricter wins.
package kills

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sallyport/internal/kill"
	"sallyport/internal/store/file"
)

// Setting is the name of the orders in the database, and File that beside it.
const (
	Setting = "kills"
	File    = "kills.json"
)

// Unreadable is the id of the order that is in force while what was stopped
// can't be read. A human resumes it, which writes it anew.
const Unreadable = "k_unreadable"

type document struct {
	Version int          `json:"v"`
	Orders  []kill.Order `json:"orders"`
}

// Text is the orders as they are kept.
func Text(orders []kill.Order) []byte {
	text, err := json.Marshal(document{1, orders})
	if err != nil {
		panic(err) // a document has texts and times alone
	}
	return append(text, '\n')
}

func parse(text []byte) ([]kill.Order, error) {
	var d document
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields() // which a later version may stop more by
	if err := decoder.Decode(&d); err != nil {
		return nil, err
	}
	if d.Version != 1 {
		return nil, fmt.Errorf("version %d is not known", d.Version)
	}
	for _, o := range d.Orders {
		if o.ID == "" {
			return nil, errors.New("an order without an id")
		}
	}
	return d.Orders, nil
}

// Load puts in force what either of both says. Where one can't be read
// everything is stopped: nobody knows what it said.
func Load(dir string, recorded []byte, now time.Time) *kill.Switch {
	s := &kill.Switch{}
	take := func(name string, text []byte, err error) {
		var orders []kill.Order
		if err == nil {
			orders, err = parse(text)
		}
		if err != nil {
			s.Stop(kill.Order{ID: Unreadable, Scope: kill.Scope{Kind: kill.All}, By: "gateway", At: now.UTC().Truncate(time.Millisecond),
				Reason: "what was killed before can't be read in " + name + ": " + err.Error()})
		}
		for _, o := range orders {
			s.Stop(o)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, File)); !errors.Is(err, fs.ErrNotExist) {
		take(File, text, err)
	}
	if recorded != nil {
		take("the database", recorded, nil)
	}
	return s
}

// Write replaces the file, durably.
func Write(dir string, orders []kill.Order) error {
	return file.Replace(filepath.Join(dir, File), Text(orders), true)
}
