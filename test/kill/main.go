// Command kill measures how long a kill takes with 64 sessions calling: from
// its acknowledgement to the last effect that a server sees, and what the other
// agents notice of it.
//
//	go run ./test/kill -binary bin/sallyport
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"sallyport/internal/control"
	"sallyport/internal/kill"
)

func main() {
	binary := flag.String("binary", "bin/sallyport", "the gateway to measure")
	kills := flag.Int("kills", 200, "how often one agent is killed and resumed")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	m, err := measure(context.Background(), *binary, *kills)
	if err == nil && *asJSON {
		err = json.NewEncoder(os.Stdout).Encode(m)
	} else if err == nil {
		m.show()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kill:", err)
		os.Exit(1)
	}
}

// window is how long effects and the others are watched, before a kill and
// after its acknowledgement.
const window = 250 * time.Millisecond

// figures are what was measured.
type figures struct {
	Kills  int           `json:"kills"`
	After  spread        `json:"after"`  // from the acknowledgement to the last effect, 0 where none came
	Last   spread        `json:"last"`   // from the order to the last effect
	Answer spread        `json:"answer"` // from the order to its acknowledgement
	Before spread        `json:"before"` // calls of the other agents right before
	During spread        `json:"during"` // and from the order on
	Others int           `json:"others"` // how many those were
	Late   int           `json:"late"`   // effects after an acknowledgement
	Took   time.Duration `json:"took"`
}

// spread is how a duration is spread.
type spread struct{ P50, P99, Worst time.Duration }

func spreadOf(all []time.Duration) spread {
	if len(all) == 0 {
		return spread{}
	}
	slices.Sort(all)
	at := func(percent int) time.Duration {
		return all[min(len(all)-1, len(all)*percent/100)].Round(time.Microsecond)
	}
	return spread{at(50), at(99), at(100)}
}

func measure(ctx context.Context, binary string, kills int) (m figures, err error) {
	dir, err := os.MkdirTemp("", "kill")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	w, err := begin(ctx, binary, dir)
	if err != nil {
		return m, err
	}
	defer w.end()
	c, err := w.gather(ctx)
	if err != nil {
		return m, err
	}
	defer c.leave()
	time.Sleep(time.Second) // until everybody is at work
	gate := control.Dial(w.state())
	began := time.Now()
	var after, last, answer, before, during []time.Duration
	for i := range kills {
		victim := name(i % agents)
		time.Sleep(window)
		ordered := time.Now()
		done, err := control.Post[kill.Done](ctx, gate, "/kills", kill.Wanted{Scope: kill.Scope{Kind: kill.Agent, Name: victim}, Reason: "measured"})
		acknowledged := time.Now()
		if err != nil || !done.Recorded || done.Left > 0 {
			return m, fmt.Errorf("the kill of %s: %+v, %w\n%s", victim, done, err, w.Output())
		}
		time.Sleep(window)
		seen := w.effects.of(victim)
		latest := seen[len(seen)-1]
		last, answer = append(last, max(0, latest.Sub(ordered))), append(answer, acknowledged.Sub(ordered))
		after = append(after, max(0, latest.Sub(acknowledged)))
		for _, at := range seen {
			if at.After(acknowledged) {
				m.Late++
			}
		}
		before = append(before, c.between(ordered.Add(-window), ordered, victim)...)
		during = append(during, c.between(ordered, ordered.Add(window), victim)...)
		if _, err := w.sallyport(ctx, "resume", done.ID, "--secret-file", w.secret); err != nil {
			return m, err
		}
		m.Kills++
	}
	m.After, m.Last, m.Answer, m.Before, m.During = spreadOf(after), spreadOf(last), spreadOf(answer), spreadOf(before), spreadOf(during)
	m.Others, m.Took = len(during), time.Since(began)
	return m, nil
}

func (m figures) show() {
	fmt.Printf("%d kills of an agent with %d sessions, while %d sessions of %d agents called without a pause:\n\n", m.Kills, each, agents*each, agents)
	fmt.Printf("%-50s %12s %12s %12s\n", "", "p50", "p99", "worst")
	for _, row := range []struct {
		name string
		spread
	}{
		{"from the acknowledgement to the last effect", m.After},
		{"from the order to the last effect", m.Last},
		{"from the order to its acknowledgement", m.Answer},
		{"calls of the other agents, right before", m.Before},
		{"calls of the other agents, from the order on", m.During},
	} {
		fmt.Printf("%-50s %12s %12s %12s\n", row.name, row.P50, row.P99, row.Worst)
	}
	fmt.Printf("\n%d effects came after an acknowledgement; the other agents had %d calls meanwhile.\n", m.Late, m.Others)
}
