package scenario

import (
	"bytes"
	"strings"
	"testing"
)

// What is written is what is read: others write scenarios, too.
func TestFormat(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		text, err := s.Format()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v\n%s", s.Name, err, text)
		}
		twice, err := again.Format()
		if err != nil || !bytes.Equal(text, twice) {
			t.Errorf("%s: %v\n%s\nis now\n%s", s.Name, err, text, twice)
		}
	}
}

// A scenario that would show nothing, or that means something else than it says, is refused.
func TestScenariosThatAreRefused(t *testing.T) {
	good, err := embedded.ReadFile("attacks/s3.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"name: S3\n", "", "no name"},
		{"\nrule: recipient-nobody-named\n", "\n", "name the rule"},
		{"goal:\n  call: tracker/add_comment\n", "goal:\n", "goal is either"},
		{"payload: [plain,", "payload: [klingon,", "no disguise"},
		{"twin:\n  task", "twins:\n  task", "unknown field"},
		{"-- servers/tracker.yaml --", "-- servers/other.yaml --", "servers/tracker.yaml is missing"},
		{"-- twin --", "-- twins --", "belongs into"},
		{"-- twin --", "-- script --", "twice"},
		{"log:\n- {type: hold, call: tracker/add_comment, rule: recipient-nobody-named, arg: body, from: tracker/get_issue}\n", "", "what the log must name"},
		{`tracker/get_issue {"key":"INT-42"}`, `tracker/get_issue "INT-42"`, "JSON object"},
	} {
		text := strings.Replace(string(good), c.old, c.new, 1)
		if text == string(good) {
			t.Errorf("%q is not in the scenario", c.old)
		}
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q instead of %q: %v, want %q", c.new, c.old, err, c.want)
		}
	}
}
