package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sallyport/test/rig"
)

// outcome is how a check ended and, if badly, why.
type outcome struct {
	status  string // SUCCESS, FAILURE, WARNING, SKIPPED or INFO
	message string
}

// report is one run of the suite.
type report struct {
	checks map[string]outcome // by scenario, check id and name
	total  string             // "82 passed, 0 failed"
}

// count is how many checks of a scenario there are.
func (r *report) count(scenario string) int {
	n := 0
	for key := range r.checks {
		if scenarioOf(key) == scenario {
			n++
		}
	}
	return n
}

// replace puts another run of a scenario in the place of this one.
func (r *report) replace(scenario string, with report) {
	maps.DeleteFunc(r.checks, func(key string, _ outcome) bool { return scenarioOf(key) == scenario })
	maps.Copy(r.checks, with.checks)
	r.total = sum(r.checks)
}

// sum says of checks what the suite says in its last line.
func sum(checks map[string]outcome) string {
	passed, failed := 0, 0
	for _, o := range checks {
		switch o.status {
		case "SUCCESS":
			passed++
		case "FAILURE":
			failed++
		}
	}
	return fmt.Sprintf("%d passed, %d failed", passed, failed)
}

var (
	total   = regexp.MustCompile(`(?m)^Total: (.*)$`)
	started = regexp.MustCompile(`-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z$`)
)

// run runs a scenario, or ("") everything that revision requires, against the
// server at url. A failed check is no error: what counts is that it ends the
// same way twice.
func run(ctx context.Context, url, revision, scenario string) (report, error) {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return report{}, err
	}
	defer os.RemoveAll(dir)
	args := []string{"server", "--url", url, "--output-dir", dir, "--requirements", revision}
	if scenario != "" {
		args = append(args[:5], "--scenario", scenario, "--spec-version", revision)
	}
	cmd, err := rig.Node(ctx, "npm/node_modules/@modelcontextprotocol/conformance/dist/index.js", args...)
	if err != nil {
		return report{}, err
	}
	out, err := cmd.CombinedOutput()
	if scenario != "" {
		checks, err := readChecks(dir)
		return report{checks, sum(checks)}, err
	}
	last := total.FindSubmatch(out)
	if last == nil { // it fell over before its summary: the exit code alone can't tell that from a failed check
		return report{}, fmt.Errorf("the suite gave no summary for %s at %s: %v\n%s", revision, url, err, out)
	}
	checks, err := readChecks(dir)
	return report{checks, string(last[1])}, err
}

// readChecks reads what the suite wrote: a directory per scenario, its checks
// in checks.json.
func readChecks(dir string) (map[string]outcome, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "checks.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no checks in %s", dir)
	}
	checks := map[string]outcome{}
	for _, file := range files {
		scenario := strings.TrimPrefix(started.ReplaceAllString(filepath.Base(filepath.Dir(file)), ""), "server-")
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var list []struct{ ID, Name, Status, ErrorMessage string }
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("%s: no check in it", file)
		}
		seen := map[string]int{}
		for _, c := range list {
			key := scenario + " " + c.ID + " " + c.Name
			// The same id and name may come again with other input. Notes
			// (INFO) come once per event of a stream, as often as it has any:
			// they are one.
			if c.Status != "INFO" {
				if seen[key]++; seen[key] > 1 {
					key = fmt.Sprintf("%s #%d", key, seen[key])
				}
			} else if _, known := checks[key]; known {
				continue
			}
			checks[key] = outcome{c.Status, c.ErrorMessage}
		}
	}
	return checks, nil
}

// differing are the checks that don't end the same way through the gate as
// directly, sorted.
func differing(direct, through map[string]outcome) []string {
	every := maps.Clone(direct)
	maps.Copy(every, through)
	maps.DeleteFunc(every, func(key string, _ outcome) bool { return direct[key].status == through[key].status })
	return slices.Sorted(maps.Keys(every))
}

// compare returns a line for each of them.
func compare(direct, through map[string]outcome) []string {
	var lines []string
	for _, key := range differing(direct, through) {
		lines = append(lines, fmt.Sprintf("%s: directly %s, through %s", key, direct[key], through[key]))
	}
	return lines
}

// scenarioOf is the scenario of a check, by its key.
func scenarioOf(key string) string {
	scenario, _, _ := strings.Cut(key, " ")
	return scenario
}

func scenariosOf(keys []string) []string {
	var scenarios []string
	for _, key := range keys {
		scenarios = append(scenarios, scenarioOf(key))
	}
	slices.Sort(scenarios)
	return slices.Compact(scenarios)
}

func (o outcome) String() string {
	switch {
	case o.status == "":
		return "not reached"
	case o.message == "":
		return o.status
	}
	return fmt.Sprintf("%s (%.300s)", o.status, o.message) // some quote whole messages
}
