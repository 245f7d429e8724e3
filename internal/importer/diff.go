package importer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"sallyport/internal/importer/clientfile"
)

// Diff returns the edit as a unified diff with every credential masked, those
// of the lines around it too. It is for humans: masked, it doesn't apply.
func (e Edit) Diff() string {
	raw := string(diff.Diff(e.Path, e.before, e.Path, e.after))
	oldShown, newShown := make(map[int]bool), make(map[int]bool)
	walkDiff(raw, func(line string, before, after int) {
		oldShown[before], newShown[after] = true, true
	})
	masked := map[byte][]string{'-': e.maskLines(e.before, oldShown), '+': e.maskLines(e.after, newShown)}
	var shown strings.Builder
	walkDiff(raw, func(line string, before, after int) {
		sign, number := line[0], after
		lines := masked['+']
		if sign == '-' {
			lines, number = masked['-'], before
		}
		if number == 0 {
			shown.WriteString(line)
			return
		}
		text := clientfile.Hidden // never the line itself
		if number <= len(lines) {
			text = lines[number-1]
		}
		fmt.Fprintf(&shown, "%c%s\n", sign, strings.TrimSuffix(text, "\r"))
	})
	return shown.String()
}

// walkDiff calls visit for each line of a unified diff with its number in the
// old and the new text, from 1; 0 where it stands in neither.
func walkDiff(raw string, visit func(line string, before, after int)) {
	var before, after int // the next lines; 0 before the first hunk
	for line := range strings.Lines(raw) {
		var ignored int
		switch {
		case strings.HasPrefix(line, "@@ "):
			if _, err := fmt.Sscanf(line, "@@ -%d,%d +%d,%d @@", &before, &ignored, &after, &ignored); err != nil {
				return
			}
			visit(line, 0, 0)
		case before == 0 && after == 0, strings.HasPrefix(line, `\`):
			visit(line, 0, 0)
		case line[0] == '-':
			visit(line, before, 0)
			before++
		case line[0] == '+':
			visit(line, 0, after)
			after++
		default:
			visit(line, before, after)
			before, after = before+1, after+1
		}
	}
}

// maskLines returns the lines of a text with the credentials masked in those
// that are shown. Looking at every string of a client's history takes seconds.
func (e Edit) maskLines(text []byte, shown map[int]bool) []string {
	starts := []int{0}
	for i, c := range text {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	lineOf := func(offset int) int {
		n, exact := slices.BinarySearch(starts, offset)
		if exact {
			n++
		}
		return n
	}
	secret := func(s clientfile.String) bool {
		visible := false
		for line := lineOf(s.Start); line <= lineOf(s.End) && !visible; line++ {
			visible = shown[line]
		}
		return visible && (slices.Contains(e.written, s.Value) || (s.Name != "bearer_token_env_var" && looksSecret(s.Name, s.Value)))
	}
	var lines []string
	for i, line := range bytes.Split(e.Client.dialect().format.Mask(text, secret), []byte("\n")) {
		if shown[i+1] {
			line = credentialText.ReplaceAll(line, []byte(clientfile.Hidden)) // in comments
		}
		lines = append(lines, string(line))
	}
	return lines
}
