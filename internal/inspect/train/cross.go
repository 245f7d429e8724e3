package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"

	"sallyport/internal/inspect/model"
)

// scored is a row with the score of a model that has not seen its source.
type scored struct {
	*row
	score float64
}

// folds of texts: what is of one hand stays together, and each fold has
// honest sources too, so that these are unseen as well.
var textFolds = [][]string{
	{"asb", "tau_results"},
	{"bipia", "code_dev"},
	{"piarena", "mitre_frr_benign"},
	{"email_agent_catarina", "docs_dev"},
	{"egress_bench_text", "agentinstr_dev"},
	{"purplellama_pi", "purplellama_pi_multilingual", "spamassassin_a"},
	{"deepset_pi", "docs_about_pi_dev"},
	{"jailbreak_llms", "giskard_pi", "jackhhao_jailbreak"},
	{"atr_cases"},
}

var toolFolds = [][]string{
	{"egress_bench_text", "mcp_tools_docker"},
	{"atr_cases", "mcp_tools_livemcp"},
	{"mcp_tools_github", "mcp_tools_snapshots", "mcp_tools_toolemu"},
}

// trainText fits the head for results and other text.
func trainText(rows []row, without string) *model.Head {
	var carriers, lines []row
	for _, r := range rows {
		if !r.bad && !r.direct() && r.source != "docs_about_pi_dev" && r.source != "agentinstr_dev" {
			carriers = append(carriers, r)
		}
		if !r.bad && !r.direct() {
			lines = append(lines, r)
		}
	}
	lines = append(lines, told(rows)...)
	prompts := asked(rows)
	c := newComposer(0, carriers, letters, without, words, parts, proseWords)
	rows = keep(rows, func(r *row) bool { return r.bad || !r.direct() || r.source == "atr_cases" })
	return fit(rows, ofTexts, func(r *random) row {
		c.random = *r
		defer func() { *r = c.random }()
		switch c.below(16) {
		case 0, 1, 2:
			return c.quiet(lines)
		case 3, 4, 5:
			return c.mention()
		case 6, 7:
			return c.plain()
		case 8, 9:
			return c.put(pick(&c.random, prompts), "made_prompt", c.carrier(200+c.below(1800)))
		}
		return c.letter()
	})
}

// trainTool fits the head for definitions of tools.
func trainTool(rows []row, without string) *model.Head {
	var carriers []row
	for _, r := range rows {
		if !r.bad && r.described() && strings.HasPrefix(r.source, "mcp_tools") {
			carriers = append(carriers, r)
		}
	}
	c := newComposer(0, carriers, poison, without, words, askings, plainThings)
	l := newComposer(0, carriers, letters, "", words, parts) // orders of any kind do not belong there
	return fit(rows, ofTools, func(r *random) row {
		c.random = *r
		defer func() { *r = c.random }()
		switch c.below(8) {
		case 0, 1, 2, 3:
			return c.mannered()
		case 4:
			l.random = c.random
			defer func() { c.random = l.random }()
			return l.letter()
		}
		return c.poisoned()
	})
}

func keep(rows []row, f func(*row) bool) (kept []row) {
	for i := range rows {
		if f(&rows[i]) {
			kept = append(kept, rows[i])
		}
	}
	return kept
}

// cross scores every row by a model that was trained without its fold.
func cross(rows []row, folds [][]string, train func([]row, string) *model.Head, progress io.Writer) (all []scored) {
	for _, fold := range folds {
		in := func(r *row) bool { return slices.Contains(fold, r.source) }
		h := train(keep(rows, func(r *row) bool { return !in(r) }), "")
		for i := range rows {
			if r := &rows[i]; in(r) {
				all = append(all, scored{r, float64(h.Of(r.text).Logit)})
			}
		}
		fmt.Fprintf(progress, "without %s\n", strings.Join(fold, ", "))
	}
	return all
}

// above is the score that a share of the honest rows lies above.
func above(all []scored, share float64, use func(*row) bool) float64 {
	var scores []float64
	for _, s := range all {
		if !s.bad && use(s.row) {
			scores = append(scores, s.score)
		}
	}
	if len(scores) == 0 {
		return math.Inf(1)
	}
	sort.Float64s(scores)
	return scores[max(0, len(scores)-1-int(share*float64(len(scores))))]
}

// caught is the share of rows above a score.
func caught(rows []scored, cut float64) float64 {
	n := 0
	for _, s := range rows {
		if s.score > cut {
			n++
		}
	}
	return float64(n) / float64(max(1, len(rows)))
}

// auc is the chance that a bad row lies above an honest one.
func auc(bad, good []scored) float64 {
	scores := make([]float64, len(good))
	for i, s := range good {
		scores[i] = s.score
	}
	sort.Float64s(scores)
	sum := 0.0
	for _, s := range bad {
		low := sort.SearchFloat64s(scores, s.score)
		high := sort.Search(len(scores), func(i int) bool { return scores[i] > s.score })
		sum += float64(low) + float64(high-low)/2
	}
	return sum / float64(max(1, len(bad)*len(good)))
}

// crossTools is cross for definitions, of which there are hardly any poisoned
// ones: so each family of our own, too, put into tools of unseen sources, by a
// model that has seen neither the family nor the sources.
func crossTools(rows []row, progress io.Writer) []scored {
	all := cross(rows, toolFolds, trainTool, progress)
	for i, family := range slices.Sorted(maps.Keys(poison)) {
		fold := toolFolds[i%len(toolFolds)]
		in := func(r *row) bool { return slices.Contains(fold, r.source) }
		h := trainTool(keep(rows, func(r *row) bool { return !in(r) }), family)
		carriers := keep(rows, func(r *row) bool { return in(r) && !r.bad && realTool(r) })
		c := newComposer(seed+uint64(i), carriers, map[string][]string{family: poison[family]}, "", words, askings, plainThings)
		for range 300 {
			r := c.poisoned()
			r.source, r.kind = "ours: "+family, "tool_desc"
			all = append(all, scored{&r, float64(h.Of(r.text).Logit)})
		}
		fmt.Fprintf(progress, "without our %s and %s\n", family, strings.Join(fold, ", "))
	}
	return all
}

// crossPlain is cross for the n-grams that we compare with. Rows of our own
// families they have never seen, with any fold.
func crossPlain(rows []row, folds [][]string, ours []scored) (all []scored) {
	for i, fold := range folds {
		n := fitNgrams(keep(rows, func(r *row) bool { return !slices.Contains(fold, r.source) }))
		for i := range rows {
			if r := &rows[i]; slices.Contains(fold, r.source) {
				all = append(all, scored{r, n.score(n.features(r.text))})
			}
		}
		for j, s := range ours {
			if j%len(folds) == i {
				all = append(all, scored{s.row, n.score(n.features(s.text))})
			}
		}
	}
	return all
}
