package card

import (
	"strings"
	"testing"
)

// What looks like something else is shown as what it is; what people write is
// left alone.
func TestExact(t *testing.T) {
	for text, want := range map[string]string{
		"plain text, 1.50 €":           "plain text, 1.50 €",
		"Straße, café, Łódź":           "Straße, café, Łódź",
		"Москва and Αθήνα":             "Москва and Αθήνα",
		"東京 हिन्दी":                    "東京 हिन्दी",
		"p\u0430ypal":                  `p\u{430}ypal`,
		"\u0440\u0430y":                `\u{440}\u{430}y`,
		"\u03bfracle1":                 `\u{3bf}racle1`,
		"a\u202eb\u2066c\u200d\ufeff":  `a\u{202e}b\u{2066}c\u{200d}\u{feff}`,
		"a\u00a0b\u2003c\u3000":        `a\u{a0}b\u{2003}c\u{3000}`,
		"\u3164x\u115f\u034f":          `\u{3164}x\u{115f}\u{34f}`,
		"e\u0301 x\ufe0f":              `e\u{301} x\u{fe0f}`,
		"\uff41\uff0e\U0001d41a\u2024": `\u{ff41}\u{ff0e}\u{1d41a}\u{2024}`,
		"https:\u2215\u2215a":          `https:\u{2215}\u{2215}a`,
		"x\x1b[2K\t\u0085":             `x\u{1b}[2K\u{9}\u{85}`,
		"\U000e0041tag":                `\u{e0041}tag`,
		"\xff":                         `\u{fffd}`,
		"":                             "",
	} {
		if got := Exact(text); got != want {
			t.Errorf("%q is shown as %s, want %s", text, got, want)
		}
	}
}

func TestAlphabets(t *testing.T) {
	for text, want := range map[string]string{
		"Straße": "", "\u0440\u0430\u0443": "Cyrillic", "αβ \u0430 γ": "Cyrillic Greek", "9 — …": "", "東京": "Han",
	} {
		if got := strings.Join(Alphabets(text), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
