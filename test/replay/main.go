// Command replay replays recorded agent runs through provenance and scope and
// prints what would have been held: how many attacks, and how much of what the
// user asked for.
//
//	go run ./test/replay -data ../shared/data/agentdojo -suite all
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/scope"
)

func main() {
	dir := flag.String("data", defaultData(), "directory of the recorded suites")
	names := flag.String("suite", "all", "suites, comma separated")
	level := flag.String("level", "default", "strict, default or lenient")
	asText := flag.Bool("text", false, "results as the model sees them, instead of JSON")
	out := flag.String("o", "table", "table, or jsonl: one line per judged call")
	list := flag.Bool("list", false, "list every escape and every needless hold")
	shifted := flag.String("shift", "", "rewrite the suite first: tools, constants, words or all of these")
	seed := flag.Uint64("seed", 1, "of -shift")
	real := flag.Bool("transcripts", false, "what real models did, instead of the worst case")
	flag.Parse()
	if err := run(os.Stdout, *dir, *names, *level, *asText, *out, *list, *real, shiftOf(*shifted, *seed)); err != nil {
		fmt.Fprintln(os.Stderr, "replay:", err)
		os.Exit(1)
	}
}

func defaultData() string {
	root := os.Getenv("SALLYPORT_DATA")
	if root == "" {
		root = "../shared/data"
	}
	return filepath.Join(root, "agentdojo")
}

var levels = map[string]scope.Level{"strict": scope.Strict, "default": scope.Default, "lenient": scope.Lenient}

func run(w io.Writer, dir, names, levelName string, asText bool, out string, list, real bool, sh *shift) error {
	level, ok := levels[levelName]
	if !ok {
		return fmt.Errorf("no level %q: strict, default or lenient", levelName)
	}
	if names == "all" {
		files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
		for i, f := range files {
			files[i] = strings.TrimSuffix(filepath.Base(f), ".json")
		}
		names = strings.Join(files, ",")
	}
	runs := map[string][]transcript{}
	if real {
		var err error
		if runs, err = transcripts(dir); err != nil {
			return err
		}
	}
	table := newTable()
	for name := range strings.SplitSeq(names, ",") {
		s, err := sh.load(dir, name)
		if err != nil {
			return err
		}
		guard, err := guardOpener(s, level, asText)
		if err != nil {
			return err
		}
		rules := []rule{{levelName, guard}}
		for _, name := range []string{"B0", "B1", "oracle"} {
			rules = append(rules, rule{name, baselineOpener(s, name)})
		}
		for i, r := range rules {
			measured := map[string]*measurement{}
			if real {
				for model, runs := range runs {
					if measured[model], err = measureTranscripts(s, runs, r.open); err != nil {
						return err
					}
				}
			} else if measured[""], err = measure(s, r.open); err != nil {
				return err
			}
			for _, model := range slices.Sorted(maps.Keys(measured)) {
				m := measured[model]
				if out != "jsonl" {
					table.add(strings.TrimSpace(name+" "+model), r.name, m.figures)
				}
				if i == 0 {
					if err := m.print(w, out, list); err != nil {
						return err
					}
				}
			}
		}
	}
	if out != "jsonl" {
		table.print(w)
	}
	return nil
}

type rule struct {
	name string
	open opener
}

// print writes the calls one by one, or those that went wrong.
func (m *measurement) print(w io.Writer, out string, list bool) error {
	if out == "jsonl" {
		e := json.NewEncoder(w)
		for _, l := range m.Lines {
			if err := e.Encode(l); err != nil {
				return err
			}
		}
		return nil
	}
	if list {
		for _, e := range append(m.Escapes, m.Needless...) {
			fmt.Fprintln(w, e)
		}
	}
	return nil
}
