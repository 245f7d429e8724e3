package main

import (
	"strings"

	"sallyport/internal/inspect/model"
)

// What users write to models is honest there and an order anywhere else, in
// more words than a grammar has: what a prompt asks for is put into texts as an
// order is, what it only tells is put there as honest.

// asked are the prompts' first sentences that ask for something.
func asked(rows []row) (all []string) {
	for i := range rows {
		if r := &rows[i]; prompt(r) {
			for _, s := range sentences(r.text) {
				if len(s) >= 20 && len(s) <= 160 && asks(s) {
					all = append(all, s)
					break
				}
			}
		}
	}
	return all
}

// told are the honest prompts' sentences that ask for nothing.
func told(rows []row) (all []row) {
	for i := range rows {
		r := &rows[i]
		if r.bad || !prompt(r) {
			continue
		}
		for i, s := range sentences(r.text) {
			if i > 0 && len(s) >= 60 && !asks(s) && !strings.Contains(s, "?") && !strings.Contains(strings.ToLower(s), "you") {
				all = append(all, row{text: s, source: r.source})
			}
		}
	}
	return all
}

// prompt reports texts that are one user's request to a model: those that
// break out of a role are pages long, and noisy sources hold other things too.
func prompt(r *row) bool {
	return r.direct() && r.source != "atr_cases" && r.source != "jailbreak_llms"
}

func sentences(text string) (all []string) {
	model.Segments(text, func(s *model.Segment) { all = append(all, text[s.Start:s.End]) })
	return all
}

var verbs = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`add analyse analyze answer apply arrange ask assume build calculate change check choose classify
		collect compare complete compose compute continue convert count create define delete demonstrate describe design detect
		determine develop discuss draft edit elaborate evaluate examine execute expand explain extract fetch fill find fix follow
		format generate give help identify implement improve include inform insert list make mention modify name offer order
		outline paraphrase perform pick plan please predict prepare present print produce propose provide rank read recommend
		remove rephrase replace reply report respond return review rewrite run say search select send share shorten show
		simplify solve sort state submit suggest summarise summarize support tell test think train transform translate update
		use verify visit write`) {
		m[w] = true
	}
	return m
}()

// asks reports sentences that begin by telling somebody to do something.
func asks(sentence string) bool {
	before := ""
	for i, w := range strings.Fields(strings.ToLower(sentence)) {
		if i == 4 {
			break
		}
		led := i == 0 || before == "please" || before == "to" || before == "you" || strings.HasSuffix(before, ",") || strings.HasSuffix(before, ":")
		if led && verbs[strings.Trim(w, ",.:;!?\"'")] {
			return true
		}
		before = w
	}
	return false
}
