package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/inspect/plain"
)

// row is one text and whether it carries an order that is not its reader's.
type row struct {
	text   string // made plain
	source string
	kind   string
	attack string
	bad    bool
	weight float32
	pos    string
	from   int // where the order was put, when we put it; else both are 0
	to     int
}

// noisy sources say something else with their labels than what we ask: they
// teach little.
var noisy = map[string]float32{"atr_cases": 0.3, "jackhhao_jailbreak": 0.3}

// load reads all corpora of a folder, in the order of their names.
func load(dir string) ([]row, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl.gz"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no corpora in %s: say where they are with -data", dir)
	}
	slices.Sort(files)
	var rows []row
	for _, file := range files {
		if rows, err = read(file, rows); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	locate(rows)
	return rows, nil
}

func read(file string, rows []row) ([]row, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(z); d.More(); {
		var line struct {
			Text, Kind, Source string
			Label              int
			Meta               struct{ Attack, Pos string }
		}
		if err := d.Decode(&line); err != nil {
			return nil, err
		}
		weight := noisy[line.Source]
		if weight == 0 {
			weight = 1
		}
		made := plain.Of(line.Text)
		rows = append(rows, row{text: made.Plain, source: line.Source, kind: line.Kind, attack: line.Meta.Attack, bad: line.Label == 1, weight: weight, pos: line.Meta.Pos})
	}
	return rows, nil
}

// described reports texts that say what a tool does.
func (r *row) described() bool { return r.kind == "tool_desc" }

// direct reports texts that a user would write: no carrier to stand out from.
func (r *row) direct() bool {
	return r.kind == "direct_prompt" || r.kind == "jailbreak" || r.kind == "mixed"
}

// short is a text of at most a few KiB, cut at a line where there is one.
func short(text string, most int) string {
	if len(text) <= most {
		return text
	}
	if i := strings.LastIndexByte(text[:most], '\n'); i > most/2 {
		return text[:i]
	}
	return strings.ToValidUTF8(text[:most], "")
}

// locate finds where an order was put into a text, for sources that have the
// text without it too.
func locate(rows []row) {
	type key struct{ source, edge string }
	const edge = 48
	honest := map[key]string{}
	for _, r := range rows {
		if !r.bad && len(r.text) > 2*edge {
			honest[key{r.source, "^" + r.text[:edge]}] = r.text
			honest[key{r.source, "$" + r.text[len(r.text)-edge:]}] = r.text
		}
	}
	for i := range rows {
		r := &rows[i]
		if !r.bad || len(r.text) <= 2*edge {
			continue
		}
		for _, k := range []key{{r.source, "^" + r.text[:edge]}, {r.source, "$" + r.text[len(r.text)-edge:]}} {
			without, known := honest[k]
			if !known {
				continue
			}
			head := 0
			for head < min(len(r.text), len(without)) && r.text[head] == without[head] {
				head++
			}
			tail := 0
			for tail < min(len(r.text), len(without))-head && r.text[len(r.text)-1-tail] == without[len(without)-1-tail] {
				tail++
			}
			if len(r.text)-tail-head < 900 && len(r.text)-tail > head {
				r.from, r.to = head, len(r.text)-tail
				break
			}
		}
		if r.to == 0 && r.pos == "start" {
			r.to = min(len(r.text), 250)
		}
		if r.to == 0 && r.pos == "end" {
			r.from, r.to = max(0, len(r.text)-250), len(r.text)
		}
	}
}
