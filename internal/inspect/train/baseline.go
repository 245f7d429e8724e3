package main

import (
	"math"
	"regexp"

	"sallyport/internal/inspect/model"
)

// regexes is what most gateways ship: a list of phrases that everybody knows.
// It is here to be compared with.
var regexes = []*regexp.Regexp{
	regexp.MustCompile(`(?i)ignore (all |any |the )?(previous|prior|above) (instructions|prompts|rules)`),
	regexp.MustCompile(`(?i)disregard (all |any |the |your )?(previous|prior|above|earlier)`),
	regexp.MustCompile(`(?i)forget (everything|all|your) (above|previous|instructions|before)`),
	regexp.MustCompile(`(?i)you are now (a|an|in|the) `),
	regexp.MustCompile(`(?i)new instructions?:`),
	regexp.MustCompile(`(?i)system prompt`),
	regexp.MustCompile(`(?i)(reveal|show|print|repeat) (me )?(your|the) (instructions|prompt|rules)`),
	regexp.MustCompile(`(?i)do anything now|\bDAN\b`),
	regexp.MustCompile(`(?i)developer mode|jailbreak`),
	regexp.MustCompile(`(?i)pretend (to be|you are)|act as (a|an|if)`),
	regexp.MustCompile(`(?i)from now on,? you`),
	regexp.MustCompile(`(?i)override (your|all|the|any) (instructions|safety|rules|settings)`),
	regexp.MustCompile(`(?i)do not (tell|inform|mention|reveal)( this)?( to)? the user`),
	regexp.MustCompile(`(?i)without (telling|informing|asking) the user`),
	regexp.MustCompile(`(?i)<\|?(im_start|system|endoftext)\|?>|\[/?INST\]`),
	regexp.MustCompile(`(?i)\b(important|system)( message| note| instruction)?:? .{0,40}(assistant|ai model|llm)`),
	regexp.MustCompile(`(?i)(send|forward|upload|post) .{0,40} to https?://`),
	regexp.MustCompile(`(?i)(curl|wget) [^\n]*https?://[^\n]*\|\s*(ba)?sh`),
	regexp.MustCompile(`(?i)(read|cat|open) .{0,20}(\.ssh|id_rsa|\.env|/etc/passwd)`),
	regexp.MustCompile(`(?i)before (using|calling) this tool`),
}

func matched(text string) bool {
	for _, r := range regexes {
		if r.MatchString(text) {
			return true
		}
	}
	return false
}

// ngrams is the plain model to be compared with: hashed words, pairs of words
// and runs of four characters of the whole text, each counted once, logistic
// regression, no composed rows.
type ngrams struct {
	weights []float32
	bias    float32
	seen    []uint32 // the row in which a feature was met last
	row     uint32
	found   []uint32
}

const ngramBits = 18

func (n *ngrams) features(text string) []uint32 {
	n.row++
	n.found = n.found[:0]
	put := func(h uint32) {
		h = h * 0x9e3779b1 >> (32 - ngramBits)
		if n.seen[h] != n.row {
			n.seen[h] = n.row
			n.found = append(n.found, h)
		}
	}
	word, before, grams := uint32(hashStart), uint32(0), uint32(0)
	for i := range len(text) {
		c := text[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		grams = grams<<8 | uint32(c)
		if i >= 3 {
			put(grams ^ 0x5bd1e995)
		}
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c >= 0x80 {
			word = (word ^ uint32(c)) * 16777619
		} else if word != hashStart {
			put(word)
			put(before*31 ^ word)
			before, word = word, hashStart
		}
	}
	return n.found
}

const hashStart = 2166136261

func (n *ngrams) score(features []uint32) float64 {
	sum := float32(0)
	for _, f := range features {
		sum += n.weights[f]
	}
	return float64(n.bias) + float64(sum)/math.Sqrt(float64(len(features)+1))
}

func fitNgrams(rows []row) *ngrams {
	n := &ngrams{weights: make([]float32, 1<<ngramBits), seen: make([]uint32, 1<<ngramBits)}
	r := random(seed)
	groups := grouped(rows)
	for range 6 {
		for range len(groups) * quota {
			g := groups[r.below(len(groups))]
			one := &g[r.below(len(g))]
			f := n.features(short(one.text, longest))
			y := -1.0
			if one.bad {
				y = 1
			}
			slope := float32(0.5 * y * float64(one.weight) / (1 + math.Exp(y*n.score(f))))
			step := slope / float32(math.Sqrt(float64(len(f)+1)))
			for _, x := range f {
				n.weights[x] += step
			}
			n.bias += 0.02 * slope
		}
	}
	return n
}

// signed reports whether the rules about orders find anything.
func signed(text string) (found bool) {
	model.Segments(text, func(s *model.Segment) { found = found || s.Signs != 0 })
	return found
}
