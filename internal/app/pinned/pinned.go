// Package pinned says what scanners see in what servers say of themselves, for
// people who are to accept it, and records what they accept.
package pinned

import (
	"fmt"
	"math"
	"time"

	"sallyport"
	"sallyport/internal/inspect"
	"sallyport/internal/manifest"
	"sallyport/internal/pin"
)

// Suspect is one thing that was seen in an item of a manifest.
type Suspect struct {
	sallyport.Finding
	Other string // whose tool or server is meddled with, "" for nobody's
}

func (s Suspect) String() string {
	text := s.Name()
	if s.Path != "" {
		text += " at " + s.Path
	}
	if s.End > s.Start {
		text += fmt.Sprintf(" bytes %d-%d", s.Start, s.End)
	}
	if s.Other != "" {
		text += ", of " + s.Other
	}
	return text
}

// Grave reports what hardly any honest server has: nobody accepts it unseen.
// Addresses and numbers of people are none of it, and neither are credentials,
// which harm nobody but the server.
func (s Suspect) Grave() bool {
	return s.Score >= 0.8 && s.Scanner != inspect.ScannerPII && s.Scanner != inspect.ScannerSecret
}

// Graves are those of suspects that nobody accepts unseen.
func Graves(suspects []Suspect) (all []string) {
	for _, s := range suspects {
		if s.Grave() {
			all = append(all, s.String())
		}
	}
	return all
}

// New is what is seen in the items of a server that nobody has accepted as they
// are now, beside all that was accepted of the other servers.
func New(pins []pin.Pin, server string) map[manifest.Key][]Suspect {
	return look(pins, server, inspect.Definition, inspect.Shadowing)
}

func look(pins []pin.Pin, server string, definition func(sallyport.Value) []sallyport.Finding, shadowing func([]*sallyport.Definition) []inspect.Shadow) map[manifest.Key][]Suspect {
	all := map[manifest.Key][]Suspect{}
	var definitions []*sallyport.Definition
	for _, pin := range pins {
		text, since := pin.Raw, pin.Since
		if pin.Server == server && pin.Seen != nil {
			// Of two tools of one name the younger is the shadow.
			text, since = pin.Seen, time.Unix(math.MaxInt32, 0)
		}
		raw, err := sallyport.Parse(text)
		if err != nil {
			continue // nothing was accepted of it
		}
		kind, name := pin.Key.Split()
		definitions = append(definitions, &sallyport.Definition{Server: pin.Server, Kind: kind, Name: name, Raw: raw, Since: since})
		if pin.Server == server && pin.Seen != nil {
			all[pin.Key] = item(raw, definition)
		}
	}
	found, ok := shadows(definitions, shadowing)
	for key := range all {
		if _, name := key.Split(); ok {
			all[key] = append(all[key], of(found, server, name)...)
		} else {
			all[key] = append(all[key], failed)
		}
	}
	return all
}

// of is what was found of what a server calls by a name.
func of(found []inspect.Shadow, server, name string) (all []Suspect) {
	for _, shadow := range found {
		if shadow.Server != server || shadow.Tool != name {
			continue
		}
		other := shadow.OtherServer
		if shadow.OtherTool != "" {
			other += "/" + shadow.OtherTool
		}
		all = append(all, Suspect{shadow.Finding, other})
	}
	return all
}

// item is what is seen in one item. A scanner that crashes has failed, and
// nobody accepts unseen what brought it down.
func item(raw sallyport.Value, definition func(sallyport.Value) []sallyport.Finding) (all []Suspect) {
	defer func() {
		if recover() != nil {
			all = []Suspect{failed}
		}
	}()
	for _, f := range definition(raw) {
		all = append(all, Suspect{Finding: f})
	}
	return all
}

func shadows(definitions []*sallyport.Definition, shadowing func([]*sallyport.Definition) []inspect.Shadow) (all []inspect.Shadow, ok bool) {
	defer func() { recover() }() // not ok
	return shadowing(definitions), true
}

var failed = Suspect{Finding: sallyport.Finding{Scanner: sallyport.AllScanners, Rule: sallyport.Unseen, Score: 1}}
