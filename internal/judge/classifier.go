package judge

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"sallyport"
	"sallyport/internal/inspect"
)

// ScannerExternal is the external classifier, as findings name it. Its rule is
// "flagged".
const ScannerExternal = "external"

// Classifier is a model behind HTTP that gives labels to texts. It is asked as
// text-embeddings-inference asks and answers: POST {"inputs": [["…"], …]},
// answered by [[{"label": "…", "score": 0.97}, …], …].
type Classifier struct {
	Endpoint
	Labels []string // that flag a text
	Above  float64  // from which score
}

// Bounds of what the classifier is asked about one value: such models read some
// five hundred tokens at once.
const (
	maxPieces = 64
	pieceSize = 1500 // bytes
)

// classify has the classifier look at a value.
func (j *judges) classify(ctx context.Context, seen *inspect.Seen, v sallyport.Value) {
	c := j.classifier
	if c == nil {
		return
	}
	var inputs [][]string
	var where []inspect.Place
	var spans [][2]int
	for _, text := range inspect.Texts(v) {
		for start := 0; start < len(text.Text); {
			end := pieceEnd(text.Text, start)
			inputs, where, spans = append(inputs, []string{text.Text[start:end]}), append(where, text), append(spans, [2]int{start, end})
			start = end
		}
	}
	if len(inputs) == 0 {
		return
	}
	if len(inputs) > maxPieces {
		seen.Failed(ScannerExternal)
		return
	}
	body, err := json.Marshal(map[string]any{"inputs": inputs, "truncate": true})
	var answer []byte
	if err == nil {
		answer, err = c.post(ctx, c.URL, body)
	}
	var labels [][]struct {
		Label string   `json:"label"`
		Score *float64 `json:"score"`
	}
	if err != nil || json.Unmarshal(answer, &labels) != nil || len(labels) != len(inputs) {
		seen.Failed(ScannerExternal)
		return
	}
	for i, all := range labels {
		known := false
		for _, l := range all {
			if l.Score == nil || !(*l.Score >= 0 && *l.Score <= 1) {
				seen.Failed(ScannerExternal)
				return
			}
			if known = true; slices.Contains(c.Labels, l.Label) && *l.Score >= c.Above {
				seen.Add(where[i], sallyport.Finding{Scanner: ScannerExternal, Rule: "flagged", Start: spans[i][0], End: spans[i][1], Score: *l.Score})
			}
		}
		if !known { // no label at all is no answer
			seen.Failed(ScannerExternal)
			return
		}
	}
}

// pieceEnd is where a piece ends that begins at start: behind a line or a word
// where there is one.
func pieceEnd(text string, start int) int {
	if len(text)-start <= pieceSize {
		return len(text)
	}
	end := start + pieceSize
	if i := strings.LastIndexAny(text[start+pieceSize/2:end], "\n "); i >= 0 {
		return start + pieceSize/2 + i + 1
	}
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return end
}
