package main

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"sallyport"
)

// console shows a person what happens, a line at a time. It never holds a
// call up: when the terminal is slow, lines are left out and counted.
type console struct {
	out    io.Writer
	color  bool
	lines  chan string
	ended  chan struct{}
	mu     sync.Mutex
	missed int
}

func newConsole(out io.Writer) *console {
	return &console{out: out, color: colored(out), lines: make(chan string, 1024), ended: make(chan struct{})}
}

// show prints lines until close. Until then they are kept.
func (c *console) show() {
	defer close(c.ended)
	for line := range c.lines {
		fmt.Fprintln(c.out, line)
		c.mu.Lock()
		missed := c.missed
		c.missed = 0
		c.mu.Unlock()
		if missed > 0 {
			fmt.Fprintf(c.out, "(%d lines left out; the log has them: sallyport log query)\n", missed)
		}
	}
}

func (c *console) say(line string) {
	select {
	case c.lines <- line:
	default:
		c.mu.Lock()
		c.missed++
		c.mu.Unlock()
	}
}

// tell says something that a person should know.
func (c *console) tell(text string) {
	for i, line := range strings.Split(text, "\n") {
		if i == 0 {
			line = paint(c.color, yellow, "! ") + visible(line)
		} else {
			line = "  " + visible(line)
		}
		c.say(line)
	}
}

// decided says how a call was decided.
func (c *console) decided(e *sallyport.Entry) { c.say(c.line(e)) }

func (c *console) line(e *sallyport.Entry) string {
	word, color := "allow", green
	switch {
	case e.Observed:
		word, color = "allow, but would "+e.Verdict.String(), yellow
	case e.Type == sallyport.Held:
		word, color = "hold ", yellow
	case e.Type == sallyport.Refusal:
		word, color = "deny ", red
	}
	what := e.Action
	if e.Kind == sallyport.KindResource || e.Kind == sallyport.KindSubscribe {
		what += " " + e.Name
	}
	line := c.time(e) + paint(c.color, color, word) + "  " + visible(what) + "  " + paint(c.color, dim, c.who(e))
	if e.Type != sallyport.Intent || e.Observed {
		line += "  " + visible(e.Reason)
	}
	return line
}

// entry is a line for any entry of the log.
func (c *console) entry(e *sallyport.Entry) string {
	switch e.Type {
	case sallyport.Change:
		line := c.time(e) + paint(c.color, bold, "change") + " " + visible(e.Subject)
		if e.By != "" {
			line += paint(c.color, dim, "  by "+visible(e.By))
		}
		if e.Reason != "" {
			line += "  " + visible(e.Reason)
		}
		return line
	case sallyport.Closed:
		color := dim
		if e.Outcome != sallyport.OutcomeOK {
			color = yellow
		}
		line := c.time(e) + paint(c.color, color, string(e.Outcome)) + "  " + paint(c.color, dim, fmt.Sprintf("%s %v", e.Call, e.Took))
		if e.Reason != "" {
			line += "  " + visible(e.Reason)
		}
		return line
	default:
		return c.line(e) + paint(c.color, dim, "  "+e.Call)
	}
}

func (c *console) time(e *sallyport.Entry) string {
	return paint(c.color, dim, e.Time.Local().Format("15:04:05")) + "  "
}

func (c *console) who(e *sallyport.Entry) string {
	who := e.Principal.Agent
	if e.Principal.User != "" {
		who += " for " + e.Principal.User
	}
	return visible(who)
}
