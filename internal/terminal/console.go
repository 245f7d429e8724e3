package terminal

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"sallyport"
)

// Console shows a person what happens, a line at a time. It never holds a
// call up: when the terminal is slow, lines are left out and counted.
type Console struct {
	out    io.Writer
	color  bool
	lines  chan string
	done   chan struct{} // closed by Close
	ended  chan struct{} // closed by Show
	mu     sync.Mutex
	missed int
}

// NewConsole makes a console that prints to out once Show runs.
func NewConsole(out io.Writer) *Console {
	return &Console{out: out, color: Colored(out), lines: make(chan string, 1024), done: make(chan struct{}), ended: make(chan struct{})}
}

// Show prints lines until Close. Lines said before are kept for it.
func (c *Console) Show() {
	defer close(c.ended)
	for {
		select {
		case line := <-c.lines:
			c.print(line)
			continue
		case <-c.done:
		}
		select {
		case line := <-c.lines:
			c.print(line)
		default:
			return
		}
	}
}

func (c *Console) print(line string) {
	fmt.Fprintln(c.out, line)
	c.mu.Lock()
	missed := c.missed
	c.missed = 0
	c.mu.Unlock()
	if missed > 0 {
		fmt.Fprintf(c.out, "(%d lines left out; the log has them: sallyport log query)\n", missed)
	}
}

// Close ends Show, once it has printed what there is. What is said later is
// not shown.
func (c *Console) Close() {
	close(c.done)
	<-c.ended
}

func (c *Console) say(line string) {
	select {
	case c.lines <- line:
	default:
		c.mu.Lock()
		c.missed++
		c.mu.Unlock()
	}
}

// Tell says something that a person should know.
func (c *Console) Tell(text string) {
	for i, line := range strings.Split(text, "\n") {
		if i == 0 {
			line = Paint(c.color, Yellow, "! ") + Visible(line)
		} else {
			line = "  " + Visible(line)
		}
		c.say(line)
	}
}

// Decided says how a call was decided.
func (c *Console) Decided(e *sallyport.Entry) { c.say(c.line(e)) }

func (c *Console) line(e *sallyport.Entry) string {
	word, color := "allow", Green
	switch {
	case e.Observed:
		word, color = "allow, but would "+e.Verdict.String(), Yellow
	case e.Type == sallyport.Held:
		word, color = "hold ", Yellow
	case e.Type == sallyport.Refusal:
		word, color = "deny ", Red
	}
	what := e.Action
	if e.Kind == sallyport.KindResource || e.Kind == sallyport.KindSubscribe {
		what += " " + e.Name
	}
	line := c.time(e) + Paint(c.color, color, word) + "  " + Visible(what) + "  " + Paint(c.color, Dim, c.who(e))
	if e.Type != sallyport.Intent || e.Observed {
		line += "  " + Visible(e.Reason)
	}
	switch {
	case e.Approval == "":
	case e.Type == sallyport.Held:
		line += "  (sallyport approvals show " + Visible(e.Approval) + ")"
	case e.Approver != "":
		line += "  (approval " + Visible(e.Approval) + " by " + Visible(e.Approver) + ")"
	}
	return line
}

// Entry is a line for any entry of the log, whenever that was.
func (c *Console) Entry(e *sallyport.Entry) string {
	day := Paint(c.color, Dim, e.Time.Local().Format(time.DateOnly)) + " "
	switch e.Type {
	case sallyport.Change:
		line := day + c.time(e) + Paint(c.color, Bold, "change") + " " + Visible(e.Subject)
		if e.By != "" {
			line += Paint(c.color, Dim, "  by "+Visible(e.By))
		}
		if e.Reason != "" {
			line += "  " + Visible(e.Reason)
		}
		return line
	case sallyport.Closed:
		color := Dim
		if e.Outcome != sallyport.OutcomeOK {
			color = Yellow
		}
		line := day + c.time(e) + Paint(c.color, color, string(e.Outcome)) + "  " + Paint(c.color, Dim, fmt.Sprintf("%s %v", e.Call, e.Took))
		if e.Reason != "" {
			line += "  " + Visible(e.Reason)
		}
		return line
	default:
		return day + c.line(e) + Paint(c.color, Dim, "  "+e.Call)
	}
}

func (c *Console) time(e *sallyport.Entry) string {
	return Paint(c.color, Dim, e.Time.Local().Format("15:04:05")) + "  "
}

func (c *Console) who(e *sallyport.Entry) string {
	who := e.Principal.Agent
	if e.Principal.User != "" {
		who += " for " + e.Principal.User
	}
	return Visible(who)
}
