package inspect

import (
	"strings"

	"sallyport/internal/inspect/model"
)

// signs are what an order to an assistant is recognised by, with what each of
// them weighs. None of them is a phrase: they are parts of a sentence in an
// order that few honest sentences have (see package model for the parts).
var signs = [...]struct {
	sign  model.Sign
	rule  string
	score float64
}{
	{model.SignOverride, "override", 0.9},
	{model.SignSecrecy, "secrecy", 0.7},
	{model.SignAddressed, "addressed", 0.6},
	{model.SignSteer, "steering", 0.4},
}

// order notes the signs of one segment.
func (s *scan) order(g *model.Segment) {
	if g.Signs == 0 {
		return
	}
	for _, sign := range signs {
		if g.Signs&sign.sign == 0 {
			continue
		}
		score := sign.score
		if g.Signs&^sign.sign != 0 {
			score = min(1, score+0.1) // one sign explains another badly
		}
		s.add(ScannerOrder, sign.rule, g.Start, g.End, score)
		return
	}
}

// marker notes what separates the turns of a chat, in text that has none. It
// returns where to go on, at when there is no marker.
func (s *scan) marker(at int) int {
	rest := s.text[at:min(len(s.text), at+32)]
	end := 0
	switch {
	case strings.HasPrefix(rest, "<|"):
		if i := strings.Index(rest, "|>"); i > 2 && !strings.ContainsAny(rest[2:i], " \n<") {
			end = i + 2
		}
	case strings.HasPrefix(rest, "[INST]"), strings.HasPrefix(rest, "[/INST]"), strings.HasPrefix(rest, "<<SYS>>"):
		end = strings.IndexAny(rest, "]>") + 1
	case strings.HasPrefix(rest, "</") || strings.HasPrefix(rest, "<"):
		name, _, closed := strings.Cut(strings.TrimPrefix(rest[1:], "/"), ">")
		switch name {
		case "system", "user", "assistant", "tool_result", "tool_response", "function_results", "untrusted", "instructions", "system_prompt", "IMPORTANT", "SYSTEM":
			if closed {
				end = strings.IndexByte(rest, '>') + 1
			}
		}
	}
	if end > 0 {
		s.add(ScannerOrder, "role-marker", at, at+end, 0.8)
	}
	return at + end
}
