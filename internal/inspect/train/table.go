package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// result is one way to tell bad rows from honest ones, with the scores it gave
// to rows of sources that it had not seen.
type result struct {
	name string
	all  []scored
}

// found reports texts that tools give back: what stands between the agent and
// a user's own words.
func found(r *row) bool { return !r.direct() && !r.described() }

// triggerFree reports orders without any word that speaks of orders: a plain
// request at the wrong place.
func triggerFree(r *row) bool {
	return r.source == "bipia" || r.source == "asb" && r.attack == "naive" || r.source == "piarena" && r.attack == "direct"
}

// table writes one table for the sources of bad rows and one for the honest.
func table(w io.Writer, results []result, honest func(*row) bool) {
	fmt.Fprint(w, "| source | rows |")
	for _, r := range results {
		fmt.Fprintf(w, " %s AUC | TPR at 1 %% | at 0.1 %% |", r.name)
	}
	fmt.Fprint(w, " regexes |\n|---|--:|")
	fmt.Fprintln(w, strings.Repeat("--:|--:|--:|", len(results))+"--:|")

	sums, n := make([][3]float64, len(results)), 0
	regex := 0.0
	line := func(name string, use func(*row) bool, count bool) (rows int) {
		cells := ""
		for i, r := range results {
			bad := filter(r.all, func(r *row) bool { return r.bad && use(r) })
			good := filter(r.all, func(r *row) bool { return !r.bad && honest(r) })
			values := [3]float64{auc(bad, good), caught(bad, above(r.all, 0.01, honest)), caught(bad, above(r.all, 0.001, honest))}
			rows = len(bad)
			cells += fmt.Sprintf(" %.3f | %.2f | %.2f |", values[0], values[1], values[2])
			if count {
				for k, v := range values {
					sums[i][k] += v
				}
			}
		}
		if rows == 0 {
			return 0
		}
		hits := share(results[0].all, func(r *row) bool { return r.bad && use(r) }, matched)
		fmt.Fprintf(w, "| %s | %d |%s %.2f |\n", name, rows, cells, hits)
		if count {
			n++
			regex += hits
		}
		return rows
	}
	for _, source := range sources(results[0].all, func(r *row) bool { return r.bad && honest(r) }) {
		line(source, func(r *row) bool { return r.source == source && honest(r) }, true)
	}
	fmt.Fprint(w, "| **macro average** | |")
	for _, s := range sums {
		fmt.Fprintf(w, " **%.3f** | **%.2f** | **%.2f** |", s[0]/float64(n), s[1]/float64(n), s[2]/float64(n))
	}
	fmt.Fprintf(w, " **%.2f** |\n", regex/float64(n))
	if line("trigger-free of these", func(r *row) bool { return honest(r) && triggerFree(r) }, false) > 0 {
		line("with triggers", func(r *row) bool { return honest(r) && !triggerFree(r) }, false)
	}
	for _, source := range sources(results[0].all, func(r *row) bool { return r.bad && !honest(r) }) {
		line(source+", written to the model", func(r *row) bool { return r.source == source && !honest(r) }, false)
	}
}

// alarms writes what honest rows of each source are taken for.
func alarms(w io.Writer, results []result, honest func(*row) bool) {
	fmt.Fprint(w, "| honest source | rows |")
	for _, r := range results {
		fmt.Fprintf(w, " %s at 1 %% | at 0.1 %% |", r.name)
	}
	fmt.Fprint(w, " order rules | regexes |\n|---|--:|")
	fmt.Fprintln(w, strings.Repeat("--:|--:|", len(results))+"--:|--:|")
	for _, source := range sources(results[0].all, func(r *row) bool { return !r.bad }) {
		use := func(r *row) bool { return !r.bad && r.source == source }
		fmt.Fprintf(w, "| %s | %d |", source, len(filter(results[0].all, use)))
		for _, r := range results {
			rows := filter(r.all, use)
			fmt.Fprintf(w, " %.2f %% | %.2f %% |", 100*caught(rows, above(r.all, 0.01, honest)), 100*caught(rows, above(r.all, 0.001, honest)))
		}
		fmt.Fprintf(w, " %.2f %% | %.2f %% |\n", 100*share(results[0].all, use, signed), 100*share(results[0].all, use, matched))
	}
}

func filter(all []scored, use func(*row) bool) (kept []scored) {
	for _, s := range all {
		if use(s.row) {
			kept = append(kept, s)
		}
	}
	return kept
}

func share(all []scored, use func(*row) bool, hit func(string) bool) float64 {
	n, hits := 0, 0
	for _, s := range all {
		if use(s.row) {
			n++
			if hit(s.text) {
				hits++
			}
		}
	}
	return float64(hits) / float64(max(1, n))
}

func sources(all []scored, use func(*row) bool) (names []string) {
	for _, s := range all {
		if use(s.row) && !slices.Contains(names, s.source) {
			names = append(names, s.source)
		}
	}
	slices.Sort(names)
	return names
}
