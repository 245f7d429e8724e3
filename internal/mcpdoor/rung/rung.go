// Package rung decides how an agent is told that people are asked about its
// call: as well as its client can hear it.
package rung

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sallyport"
)

// Rung is a way to say "held". A higher one keeps the agent better informed; the
// lowest needs nothing of a client.
type Rung uint8

// The rungs, the lowest first.
const (
	Park Rung = iota // an answer that says to make the identical call again
	Wait             // the request stays open, with progress
	Form             // the client shows its user a form, and the request waits
	URL              // the client shows its user the console's page, and the request waits
	Task             // a task stands for the call, and the agent asks how it is
)

var names = [...]string{"park", "wait", "form", "url", "task"}

func (r Rung) String() string { return names[r] }

// Client is what is known of whoever waits, of one request.
type Client struct {
	Name, Version string
	Elicits       sallyport.Value // its capability elicitation
	Stateless     bool
	Streams       bool // it takes event streams
	Token         bool // it wants progress
	Task          bool // it takes a task for an answer
	Form          bool // a form counts for this question
}

// Way is a rung, and how long the client's request can stay open.
type Way struct {
	Rung Rung
	Hold time.Duration
}

// quirk is one line of the table.
type quirk struct {
	client      string
	since       []int         // version
	hold, quiet time.Duration // that a request can stay open with progress, and without
	url         bool          // usable where it is declared
}

// Table says what clients do in fact. What they declare is not enough: none says
// for how long it waits.
type Table []quirk

//go:embed clients.txt
var clients string

// Clients is the table that the gateway comes with.
func Clients() Table {
	t, err := Parse(clients)
	if err != nil {
		panic(err) // a test reads it
	}
	return t
}

// Parse reads a table. Each line is a client, the version from which on it
// holds, hold, quiet, url, and where it is known from.
func Parse(text string) (Table, error) {
	var t Table
	for i, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		q, err := parse(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		t = append(t, q)
	}
	if len(t) == 0 || t[len(t)-1].client != "*" {
		return nil, fmt.Errorf("the last line must be for all other clients, *")
	}
	return t, nil
}

func parse(fields []string) (q quirk, err error) {
	if len(fields) < 6 {
		return q, fmt.Errorf("want client, since, hold, quiet, url and a source, got %q", fields)
	}
	q.client, q.since = fields[0], version(fields[1])
	if q.hold, err = time.ParseDuration(fields[2]); err != nil {
		return q, err
	}
	if q.quiet, err = time.ParseDuration(fields[3]); err != nil {
		return q, err
	}
	if fields[4] != "yes" && fields[4] != "no" {
		return q, fmt.Errorf("url is yes or no, not %q", fields[4])
	}
	q.url = fields[4] == "yes"
	return q, nil
}

// Choose gives the highest rung that a client can hear. Who can do nothing is
// parked.
func (t Table) Choose(c Client) Way {
	q := t.find(c.Name, c.Version)
	hold := q.quiet
	if c.Token && c.Streams {
		hold = q.hold
	}
	switch {
	case c.Task:
		return Way{Task, 0}
	case hold <= 0:
		return Way{Park, 0}
	case q.url && c.opens() && (c.Stateless || c.Streams):
		return Way{URL, hold}
	case c.Form && c.fills() && (c.Stateless || c.Streams):
		return Way{Form, hold}
	case c.Token && c.Streams:
		return Way{Wait, hold}
	default:
		return Way{Park, 0}
	}
}

// opens reports whether a client says that it can have its user open a page: a
// capability that names no mode means forms alone.
func (c *Client) opens() bool { return c.Elicits.Get("url").Type() == sallyport.Object }

// fills reports whether a client says that its user can fill in a form.
func (c *Client) fills() bool {
	return c.Elicits.Type() == sallyport.Object && (c.Elicits.Len() == 0 || c.Elicits.Get("form").Type() == sallyport.Object)
}

// find is the first line for a client, which the last one always is.
func (t Table) find(client, release string) quirk {
	is := version(release)
	for _, q := range t {
		if q.client == client && !older(is, q.since) || q.client == "*" {
			return q
		}
	}
	return quirk{}
}

// version are the numbers of a version, as far as there are any.
func version(text string) (numbers []int) {
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// older reports whether a version comes before another. What is missing of one
// is 0, so one that nobody can read is the oldest.
func older(a, b []int) bool {
	for i, n := range b {
		m := 0
		if i < len(a) {
			m = a[i]
		}
		if m != n {
			return m < n
		}
	}
	return false
}
