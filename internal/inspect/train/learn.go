package main

import (
	"math"

	"sallyport/internal/inspect/model"
)

// settings of learning. They are part of what makes a model the same. Found by
// cross-validation over sources.
const (
	size    = 20 // bits of a feature's hash
	seed    = 20261129
	rate    = 0.015
	caution = 2     // how much more an honest text that looks bad weighs than a bad one that looks honest
	shrink  = 0.95  // of all weights, each epoch
	quota   = 200   // bad rows of one source that one epoch looks at
	calm    = 1200  // honest ones
	made    = 16000 // composed rows of one epoch, half of them honest
	longest = 3000  // bytes of a text that is learned from
)

// pace is what the two heads want differently.
type pace struct {
	epochs int
	warm   int     // epochs before the mean of the weights is taken
	doubt  float32 // squares that a weight begins with: what was seen once teaches little
}

var (
	ofTexts = pace{epochs: 10, warm: 3, doubt: 1} // written by everybody about everything
	ofTools = pace{epochs: 6, warm: 3}
)

// learner fits one head: the best window of a bad text is to lie above, that
// of an honest one below. All arithmetic is rounded step by step, without
// functions that machines compute differently.
type learner struct {
	weights, squares []float32
	bias             slope
	about            [2]slope

	features []uint32 // of the text at hand
	segments []model.Segment
	ends     []int // of each segment's features
}

// slope is one number that is learned, with the squares of its steps.
type slope struct{ value, squares float32 }

func (s *slope) nudge(g float32) {
	s.squares += float32(g * g)
	s.value -= float32(0.05*g) / root(s.squares)
}

func root(square float32) float32 { return float32(math.Sqrt(float64(square))) + 1e-4 }

func newLearner(doubt float32) *learner {
	l := &learner{weights: make([]float32, 1<<size), squares: make([]float32, 1<<size)}
	for i := range l.squares {
		l.squares[i] = doubt
	}
	return l
}

// parse remembers a text's segments and their features.
func (l *learner) parse(text string) {
	l.features, l.segments, l.ends = l.features[:0], l.segments[:0], l.ends[:0]
	model.Segments(text, func(s *model.Segment) {
		for _, f := range s.Features {
			l.features = append(l.features, f>>(32-size))
		}
		l.segments = append(l.segments, model.Segment{Start: s.Start, End: s.End, Mentions: s.Mentions})
		l.ends = append(l.ends, len(l.features))
	})
}

// of are the features of some segments.
func (l *learner) of(first, last int) []uint32 {
	from := 0
	if first > 0 {
		from = l.ends[first-1]
	}
	return l.features[from:l.ends[last]]
}

func (l *learner) sum(features []uint32) (sum float32) {
	for _, f := range features {
		sum += l.weights[f]
	}
	return sum
}

// value is that of the window of some segments.
func (l *learner) value(first, last int) float32 {
	f := l.of(first, last)
	return model.Window(l.sum(f), len(f))
}

// look scores the parsed text; with a span, only windows that touch it count.
func (l *learner) look(from, to int) (logit float32, about [2]float32, first, last int) {
	var w model.Walk
	for i := range l.segments {
		s := l.segments[i]
		s.Features = l.of(i, i)
		w.Add(&s, l.sum(s.Features))
	}
	best, last, width := w.Best()
	first = last - width + 1
	if to > from {
		best, first, last = l.within(from, to)
	}
	logit, about = best+l.bias.value, w.About()
	for i, v := range about {
		logit += float32(l.about[i].value * v)
	}
	return logit, about, first, last
}

// within is the best window that touches a span.
func (l *learner) within(from, to int) (best float32, first, last int) {
	found := false
	for i := range l.segments {
		for a := max(0, i-1); a <= i; a++ {
			if l.segments[i].End <= from || l.segments[a].Start >= to {
				continue
			}
			if z := l.value(a, i); !found || z > best {
				best, first, last, found = z, a, i, true
			}
		}
	}
	return best, first, last
}

// learn takes one step towards what a row says: by its best window how much a
// text must stand out, and by any window of an order, where that is known to lie,
// what orders look like, so that the one word that gives it away is not all that
// is learned.
func (l *learner) learn(r *row, chance *random) {
	text := r.text
	if r.to <= longest {
		text = short(text, longest)
	}
	if l.parse(text); len(l.segments) == 0 {
		return
	}
	y := float32(-1)
	if r.bad {
		y = 1
	}
	logit, about, first, last := l.look(r.from, r.to)
	if g := step(y, logit, r.weight); g != 0 {
		l.bias.nudge(g)
		for i, v := range about {
			l.about[i].nudge(float32(g * v))
		}
	}
	if r.bad && r.to > r.from && chance.below(4) > 0 {
		best := l.value(first, last)
		first, last = l.any(r.from, r.to, chance)
		logit += l.value(first, last) - best
	}
	g := step(y, logit, r.weight)
	if g == 0 {
		return
	}
	features := l.of(first, last)
	g *= float32(1 / math.Sqrt(float64(len(features)+model.Smoothing)))
	for _, f := range features {
		l.squares[f] += float32(g * g)
		l.weights[f] -= float32(rate*g) / root(l.squares[f])
	}
}

// any is a window that lies within a span.
func (l *learner) any(from, to int, chance *random) (first, last int) {
	low, high := 0, len(l.segments)-1
	for low < high && l.segments[low].End <= from {
		low++
	}
	for high > low && l.segments[high].Start >= to {
		high--
	}
	first = low + chance.below(high-low+1)
	return first, min(high, first+chance.below(2))
}

// step is the slope of the loss: none beyond the margin, bounded for texts
// that are hopelessly wrong, whose labels may be.
func step(y, logit, weight float32) float32 {
	gap := 1 - float32(y*logit)
	if gap <= 0 {
		return 0
	}
	if y < 0 {
		gap *= caution
	}
	return -y * weight * min(gap, 2)
}

// finish rounds the weights to bytes.
func (l *learner) finish() *model.Head {
	most := float32(0)
	for _, w := range l.weights {
		most = max(most, w, -w)
	}
	h := &model.Head{Bits: size, Weights: make([]int8, len(l.weights)), Scale: most / 127, Bias: l.bias.value, About: [2]float32{l.about[0].value, l.about[1].value}}
	if most == 0 {
		return h
	}
	for i, w := range l.weights {
		h.Weights[i] = int8(math.RoundToEven(float64(w / h.Scale)))
	}
	return h
}

// fit learns from rows and from what compose makes, anew each epoch. The head is
// the mean of what the later epochs left: one alone remembers its last rows.
func fit(rows []row, p pace, compose func(*random) row) *model.Head {
	l, mean, r := newLearner(p.doubt), newLearner(0), random(seed)
	groups := grouped(rows)
	for epoch := range p.epochs {
		var picked []row
		for _, g := range groups {
			n := quota
			if !g[0].bad {
				n = calm
			}
			for range min(len(g), n) {
				picked = append(picked, g[r.below(len(g))])
			}
		}
		for range made {
			picked = append(picked, compose(&r))
		}
		for i := len(picked) - 1; i > 0; i-- {
			j := r.below(i + 1)
			picked[i], picked[j] = picked[j], picked[i]
		}
		for i := range picked {
			l.learn(&picked[i], &r)
		}
		for i, w := range l.weights {
			l.weights[i] = float32(w * shrink)
		}
		if epoch >= p.warm {
			mean.add(l, float32(p.epochs-p.warm))
		}
	}
	return mean.finish()
}

// add adds one of n parts of a mean.
func (l *learner) add(part *learner, n float32) {
	for i, w := range part.weights {
		l.weights[i] += float32(w / n)
	}
	l.bias.value += float32(part.bias.value / n)
	for i := range l.about {
		l.about[i].value += float32(part.about[i].value / n)
	}
}

// grouped sorts rows by source and label, in the order of their appearance.
func grouped(rows []row) [][]row {
	type key struct {
		source string
		bad    bool
	}
	index := map[key]int{}
	var groups [][]row
	for _, r := range rows {
		k := key{r.source, r.bad}
		i, known := index[k]
		if !known {
			i = len(groups)
			index[k] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}
