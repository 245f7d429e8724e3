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
	"os"
	"path/filepath"
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
	flag.Parse()
	if err := run(os.Stdout, *dir, *names, *level, *asText, *out, *list, shiftOf(*shifted, *seed)); err != nil {
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

func run(w io.Writer, dir, names, levelName string, asText bool, out string, list bool, sh *shift) error {
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
		m, err := measure(s, guard)
		if err != nil {
			return err
		}
		if out == "jsonl" {
			e := json.NewEncoder(w)
			for _, l := range m.Lines {
				if err := e.Encode(l); err != nil {
					return err
				}
			}
			continue
		}
		table.add(name, levelName, m.figures)
		for _, rule := range []string{"B0", "B1", "oracle"} {
			b, err := measure(s, baselineOpener(s, rule))
			if err != nil {
				return err
			}
			table.add(name, rule, b.figures)
		}
		if list {
			for _, e := range append(m.Escapes, m.Needless...) {
				fmt.Fprintln(w, e)
			}
		}
	}
	if out != "jsonl" {
		table.print(w)
	}
	return nil
}
