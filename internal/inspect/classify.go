package inspect

import (
	_ "embed"
	"sync"

	"sallyport"

	"sallyport/internal/inspect/model"
	"sallyport/internal/inspect/plain"
)

//go:embed model.bin
var trained []byte

// heads are the trained models. A file that is not one of ours stops the
// first inspection, which every test does.
var heads = sync.OnceValue(func() [2]*model.Head {
	h, err := model.Parse(trained)
	if err != nil || len(h) != 2 {
		panic("inspect: model.bin is not a model of this version; run go generate ./internal/inspect")
	}
	return [2]*model.Head{h[0], h[1]}
})

//go:generate go run ./train -data ../../../shared/data/corpora -o model.bin

// Suspicion is what the trained model alone makes of a text, as a logit: for
// measuring. Text reports it as a finding when it lies above what one in a
// hundred honest texts reaches.
func Suspicion(kind Kind, text string) float64 {
	best := float32(-1e9)
	for i, h := range heads() {
		if kind == Unknown || kind == Kind(i+1) {
			best = max(best, h.Of(text).Logit)
		}
	}
	return float64(best)
}

// classify walks over the segments once: for the signs of orders and for the
// models of the kind.
func (s *scan) classify(kind Kind) {
	var scorers [2]*model.Scorer
	for i, h := range heads() {
		if kind == Unknown || kind == Kind(i+1) {
			scorers[i] = h.Scorer()
		}
	}
	model.Segments(s.text, func(g *model.Segment) {
		s.order(g)
		for _, scorer := range scorers {
			if scorer != nil {
				scorer.Add(g)
			}
		}
	})
	for i, scorer := range scorers {
		if scorer == nil {
			continue
		}
		s.judge(heads()[i], scorer.Score())
	}
}

// judge notes a score that few honest texts reach.
func (s *scan) judge(h *model.Head, score model.Score) {
	switch {
	case score.Start == score.End:
	case score.Logit > h.Cut[1]:
		s.add(ScannerModel, "strong", score.Start, score.End, 0.9)
	case score.Logit > h.Cut[0]:
		s.add(ScannerModel, "suspect", score.Start, score.End, 0.6)
	}
}

// textWithout is Text without the trained model.
func textWithout(text string) []sallyport.Finding {
	s := start(text)
	model.Segments(s.text, s.order)
	return s.done()
}

// classified is what the trained model makes of a definition.
func classified(text string) []sallyport.Finding {
	made := plain.Of(text)
	s := scan{made: &made, text: made.Plain}
	s.judge(heads()[Description-1], heads()[Description-1].Of(s.text))
	return s.findings
}
