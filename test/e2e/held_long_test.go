package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// retryAfter is what a parked agent is told to wait for.
const retryAfter = 30 * time.Second

// How calls of each client end when people take their time: `make held`, which
// sets SALLYPORT_HELD to the times, separated by commas. Whatever the client can
// hear, the call runs once when they have agreed.
func TestHeldForLong(t *testing.T) {
	times := os.Getenv("SALLYPORT_HELD")
	if times == "" {
		t.Skip("a measurement of minutes: make held")
	}
	_, to, operator, heard := startAsking(t)
	var mu sync.Mutex
	fmt.Println("CLIENT             RUNG      ANSWERED AFTER  CALLS  HEARD WITHIN  RAN")
	for text := range strings.SplitSeq(times, ",") {
		after, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range heldClients {
			t.Run(fmt.Sprintf("%s/%s", c.name, after), func(t *testing.T) {
				t.Parallel()
				message := fmt.Sprintf("held-%s-%s", c.name, after)
				echo := call{"everything__echo", map[string]any{"message": message}}
				var agreed time.Time
				answered := make(chan struct{})
				defer func() { <-answered }()
				go func() {
					defer close(answered)
					agreed = operator.agreesTo(t, message, after)
				}()
				calls, last := 0, answer{}
				for {
					_, all := c.run(t, to, echo)
					calls++
					if last = all[0]; !strings.Contains(last.Text, "Waiting for approval") {
						break
					}
					time.Sleep(retryAfter)
				}
				<-answered
				within := time.Since(agreed)
				text, err := os.ReadFile(heard)
				if err != nil {
					t.Fatal(err)
				}
				ran := strings.Count(string(text), `"`+message+`"`)
				mu.Lock()
				defer mu.Unlock()
				fmt.Printf("%-18s %-9s %-15s %-6d %-13s %d\n", c.name, c.rung, after, calls, within.Round(time.Second), ran)
				if !last.OK || ran != 1 {
					t.Errorf("%+v, and the server heard it %d times", last, ran)
				}
			})
		}
	}
}

// agreesTo waits for the question about a message, takes so long over it, and
// agrees. It says when that was.
func (p person) agreesTo(t *testing.T, message string, after time.Duration) time.Time {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Second) {
		var all []struct{ ID, State, Question string }
		if err := json.Unmarshal(p.verb(t, "approvals", "list", "-o", "json"), &all); err != nil {
			t.Error(err)
			break
		}
		for _, a := range all {
			if a.State == "pending" && strings.Contains(string(p.verb(t, "approvals", "show", a.ID, "-o", "json")), message+`\"`) {
				time.Sleep(after)
				p.verb(t, "approvals", "approve", a.ID, "--secret-file", p.secret)
				return time.Now()
			}
		}
	}
	t.Error("nobody was asked about " + message)
	return time.Now()
}
