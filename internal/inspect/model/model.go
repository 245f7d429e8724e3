package model

import (
	"encoding/binary"
	"errors"
	"math"
)

// Head is one trained model.
type Head struct {
	Bits    uint8      // 1<<Bits weights
	Weights []int8     // of features, by the highest bits of their hash
	Scale   float32    // of a weight
	Bias    float32    // of a text
	About   [2]float32 // of what Walk.About says of the whole text
	Cut     [2]float32 // what one in a hundred, and one in a thousand, honest texts lie above
}

// Score is what a head makes of a text: the logit of its most suspect window
// and where that is. The zero Score is of no text at all.
type Score struct {
	Logit      float32
	Start, End int
}

// Walk is the state of scoring one text: windows of one and two segments.
type Walk struct {
	sum          float32 // of the segment before
	count, begin int
	n            int
	mentions     int

	best       float32
	start, end int
	last       int // segment of the best window
	width      int
}

// Smoothing keeps windows of few words from shouting.
const Smoothing = 100

// Window is the value of a window with this sum and number of features.
func Window(sum float32, count int) float32 {
	return sum / float32(math.Sqrt(float64(count+Smoothing)))
}

// Add takes one more segment with the sum of its weights.
func (w *Walk) Add(s *Segment, sum float32) {
	count := len(s.Features)
	w.mentions += s.Mentions
	if z := Window(sum, count); w.n == 0 || z > w.best {
		w.best, w.start, w.end, w.last, w.width = z, s.Start, s.End, w.n, 1
	}
	if w.n > 0 {
		if z := Window(sum+w.sum, count+w.count); z > w.best {
			w.best, w.start, w.end, w.last, w.width = z, w.begin, s.End, w.n, 2
		}
	}
	w.sum, w.count, w.begin = sum, count, s.Start
	w.n++
}

// About is what a text as a whole says about its windows. The first number is
// about the binary logarithm of its segments, by steps that every machine takes
// alike: more of them are more chances to look odd, and very short texts are all
// of one length. The second grows from 0 to 1 with the words of talking about
// attacks: such texts quote them.
func (w *Walk) About() [2]float32 {
	n, whole := max(w.n, 3), 0
	for m := n; m > 1; m >>= 1 {
		whole++
	}
	length := float32(whole) + float32(n)/float32(int(1)<<whole) - 1
	return [2]float32{length, float32(w.mentions) / float32(w.mentions+3)}
}

// Best is the window that Add found: the index of its last segment, and how
// many it has.
func (w *Walk) Best() (value float32, last, width int) { return w.best, w.last, w.width }

// Scorer scores one text, segment by segment.
type Scorer struct {
	head *Head
	walk Walk
}

// Scorer begins a text.
func (h *Head) Scorer() *Scorer { return &Scorer{head: h} }

// Add takes the next segment.
func (s *Scorer) Add(g *Segment) {
	shift, sum := 32-s.head.Bits, int32(0)
	for _, f := range g.Features {
		sum += int32(s.head.Weights[f>>shift])
	}
	s.walk.Add(g, float32(sum)*s.head.Scale)
}

// Score is what the segments add up to.
func (s *Scorer) Score() Score {
	w, h := &s.walk, s.head
	if w.n == 0 {
		return Score{}
	}
	logit := w.best + h.Bias
	for i, v := range w.About() {
		logit += float32(h.About[i] * v)
	}
	return Score{logit, w.start, w.end}
}

// Of scores a text.
func (h *Head) Of(text string) Score {
	s := h.Scorer()
	Segments(text, s.Add)
	return s.Score()
}

var errFormat = errors.New("not a model of this version: run go run ./internal/inspect/train again")

const magic = "sallyport model 2\n"

// Append encodes heads.
func Append(dst []byte, heads ...*Head) []byte {
	dst = append(dst, magic...)
	for _, h := range heads {
		dst = append(dst, h.Bits)
		for _, f := range h.floats() {
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(*f))
		}
		for _, w := range h.Weights {
			dst = append(dst, byte(w))
		}
	}
	return dst
}

func (h *Head) floats() []*float32 {
	return []*float32{&h.Scale, &h.Bias, &h.About[0], &h.About[1], &h.Cut[0], &h.Cut[1]}
}

// Parse is the inverse of Append.
func Parse(data []byte) ([]*Head, error) {
	if len(data) < len(magic) || string(data[:len(magic)]) != magic {
		return nil, errFormat
	}
	data = data[len(magic):]
	var heads []*Head
	for len(data) > 0 {
		h := &Head{Bits: data[0]}
		data = data[1:]
		fields := h.floats()
		if h.Bits < 8 || h.Bits > 24 || len(data) < 4*len(fields)+1<<h.Bits {
			return nil, errFormat
		}
		for _, f := range fields {
			*f = math.Float32frombits(binary.LittleEndian.Uint32(data))
			data = data[4:]
		}
		h.Weights = make([]int8, 1<<h.Bits)
		for i := range h.Weights {
			h.Weights[i] = int8(data[i])
		}
		data = data[len(h.Weights):]
		heads = append(heads, h)
	}
	return heads, nil
}
