package redteam

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
)

var update = flag.Bool("update", false, "write testdata/starter.txt anew")

// known are the variations that are tried at the starter's policies.
func known() []plan {
	all := []plan{{}}
	for d, choices := range map[dimension][]string{
		disguised: {"base64", "reversed", "homoglyph", "zero-width"},
		placed:    {"field of its own", "record that the task names"},
		ordered:   {"in a child run", "in a new session", "as the user", "laundered"},
		mimicked:  {"longer domain"},
		written:   {"upper case"},
	} {
		for _, choice := range choices {
			var p plan
			p[d] = choice
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b plan) int { return strings.Compare(fmt.Sprint(a.moves()), fmt.Sprint(b.moves())) })
	return all
}

// What gets through the starter's policies by way of a ticket or a customer is what
// testdata/starter.txt says and docs/redteam.md explains: anything more is a new
// hole, and what is closed must leave the list.
func TestStarter(t *testing.T) {
	w, err := Demo(t.Context(), open)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := openGate(t.Context(), open, w, []string{"support-bot"})
	if err != nil {
		t.Fatal(err)
	}
	defer gate.close()
	o, err := survey(t.Context(), gate, w, "support-bot")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, g := range o.goals("support-bot") {
		sink := g.sink.Name + " " + g.at.String()
		from := slices.Contains([]string{"get_ticket", "find_customers"}, g.source.tool.Name) && slices.Contains([]string{"send_email to[0].email", "issue_refund customer_id"}, sink)
		if leak := g.leaks != nil && sink == "send_email body"; !from && !leak {
			continue
		}
		var through []string
		for _, p := range known() {
			a := g.attack(p, o)
			if a == nil {
				continue
			}
			r, err := g.play(t.Context(), gate, a)
			if err != nil {
				t.Fatal(err)
			}
			if r.landed != nil {
				through = append(through, strings.Join(p.moves(), "+"))
			}
		}
		if through == nil {
			through = []string{"nothing"}
		}
		lines = append(lines, fmt.Sprintf("%s\n  %s", g, strings.Join(through, "\n  ")))
	}
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile("testdata/starter.txt", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/starter.txt")
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("other things get through than are known:\n%s", diff.Diff("known", want, "now", []byte(got)))
	}
}
