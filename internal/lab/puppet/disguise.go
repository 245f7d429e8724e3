package puppet

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"maps"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Disguise is a way to write text so that a reader who does not know it sees something else. The empty one is plain.
type Disguise string

// disguise is how a text puts it on, and how a puppet sees through it.
type disguise struct {
	wear func(string) string
	see  func(string) string // the same text when there is nothing to see
}

var disguises = map[Disguise]disguise{
	"plain": {same, same},
	"base64": {func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		each(base64Pattern, decodeBase64(base64.RawStdEncoding))},
	"base64url": {func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
		each(base64Pattern, decodeBase64(base64.RawURLEncoding))},
	"hex": {func(s string) string { return hex.EncodeToString([]byte(s)) },
		each(hexPattern, func(token string) (string, bool) { return decoded(hex.DecodeString(token)) })},
	"url": {func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
		return b.String()
	}, each(urlPattern, func(token string) (string, bool) { return decoded(url.PathUnescape(token)) })},
	"html": {func(s string) string {
		var b strings.Builder
		for _, r := range s {
			fmt.Fprintf(&b, "&#%d;", r)
		}
		return b.String()
	}, html.UnescapeString},
	"json": {func(s string) string {
		var b strings.Builder
		for _, r := range s {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		return b.String()
	}, each(jsonPattern, func(token string) (string, bool) {
		n, err := strconv.ParseUint(token[2:], 16, 32)
		return string(rune(n)), err == nil
	})},
	"homoglyph":  {substitute(lookAlikes), substitute(inverse(lookAlikes))},
	"fullwidth":  {shift('!', '~', 0xff01-'!'), shift(0xff01, 0xff5e, '!'-0xff01)},
	"tags":       {shift(' ', '~', 0xe0000), shift(0xe0020, 0xe007e, -0xe0000)},
	"zero-width": {between("\u200b"), strings.NewReplacer("\u200b", "").Replace},
	"spaced":     {between(" "), each(spacedPattern, func(token string) (string, bool) { return unspaced(token), true })},
	"reversed":   {reverse, reverse},
	"rot13":      {rot13, rot13},
	"gibberish":  {substitute(gibberish), substitute(inverse(gibberish))},
}

// Disguises are the names of all disguises.
func Disguises() []Disguise { return slices.Sorted(maps.Keys(disguises)) }

// Known reports whether there is such a disguise.
func (d Disguise) Known() bool { _, known := disguises[d]; return known || d == "" }

func (d Disguise) wear(text string) string {
	if d == "" {
		return text
	}
	return disguises[d].wear(text)
}

// Payload is a script as instructions for a puppet, in disguise.
func Payload(script string, d Disguise) string {
	var lines []string
	for line := range strings.Lines(script) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, Order+line)
		}
	}
	return d.wear(strings.Join(lines, "\n"))
}

// maxReadings bounds the work on a text that can be read in ever more ways.
const maxReadings = 64

// Readings are all ways to read a text, the text itself first: through each disguise, and through two of them.
func Readings(text string) []string {
	all := []string{text}
	for from, layer := 0, 0; layer < 2; layer++ {
		until := len(all)
		for _, reading := range all[from:until] {
			for _, name := range Disguises() {
				if seen := disguises[name].see(reading); !slices.Contains(all, seen) && len(all) < maxReadings {
					all = append(all, seen)
				}
			}
		}
		from = until
	}
	return all
}

// Carries reports whether a text holds another one, in any disguise.
func Carries(text, what string) bool {
	return slices.ContainsFunc(Readings(text), func(reading string) bool { return strings.Contains(reading, what) })
}

func same(s string) string { return s }

var (
	base64Pattern = regexp.MustCompile(`[A-Za-z0-9+/_-]{12,}={0,2}`)
	hexPattern    = regexp.MustCompile(`(?:[0-9a-fA-F]{2}){6,}`)
	urlPattern    = regexp.MustCompile(`(?:%[0-9a-fA-F]{2})+`)
	jsonPattern   = regexp.MustCompile(`\\u[0-9a-fA-F]{4}`)
	spacedPattern = regexp.MustCompile(`\S(?: (?:\S|  ?))+`)
)

// each decodes the parts of a text that have a pattern, and leaves the rest as it is.
func each(pattern *regexp.Regexp, decode func(token string) (string, bool)) func(string) string {
	return func(text string) string {
		return pattern.ReplaceAllStringFunc(text, func(token string) string {
			if plain, ok := decode(token); ok {
				return plain
			}
			return token
		})
	}
}

// decoded keeps what came out when it is text: most words are base64 of something, too.
func decoded[T string | []byte](text T, err error) (string, bool) {
	odd := func(r rune) bool { return r == utf8.RuneError || r < ' ' && r != '\n' && r != '\t' }
	return string(text), err == nil && !strings.ContainsFunc(string(text), odd)
}

// decodeBase64 decodes a token or, where it is the end of an address, what stands behind the last slash.
func decodeBase64(by *base64.Encoding) func(string) (string, bool) {
	return func(token string) (string, bool) {
		token = strings.TrimRight(token, "=")
		if plain, ok := decoded(by.DecodeString(token)); ok {
			return plain, true
		}
		slash := strings.LastIndexByte(token, '/') + 1
		plain, ok := decoded(by.DecodeString(token[slash:]))
		return token[:slash] + plain, ok
	}
}

func substitute(table map[rune]rune) func(string) string {
	return func(s string) string {
		return strings.Map(func(r rune) rune {
			if other, ok := table[r]; ok {
				return other
			}
			return r
		}, s)
	}
}

func inverse(table map[rune]rune) map[rune]rune {
	back := map[rune]rune{}
	for from, to := range table {
		back[to] = from
	}
	return back
}

// lookAlikes are Cyrillic letters for Latin ones.
var lookAlikes = map[rune]rune{'A': 'А', 'B': 'В', 'E': 'Е', 'O': 'О', 'T': 'Т', 'a': 'а', 'c': 'с', 'e': 'е', 'i': 'і', 'o': 'о', 'p': 'р', 's': 'ѕ', 'x': 'х', 'y': 'у'}

// gibberish is a table that both sides know, as a model learns one that was optimised for it: nothing in the text
// says what it means.
var gibberish = func() map[rune]rune {
	from := []rune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _-/{}\"':,.@")
	to := slices.Clone(from)
	rand.New(rand.NewChaCha8(sha256.Sum256([]byte("imprompter")))).Shuffle(len(to), func(i, j int) { to[i], to[j] = to[j], to[i] })
	table := map[rune]rune{}
	for i := range from {
		table[from[i]] = to[i]
	}
	return table
}()

func shift(from, to, by rune) func(string) string {
	return func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= from && r <= to {
				return r + by
			}
			return r
		}, s)
	}
}

func between(mark string) func(string) string {
	return func(s string) string { return strings.Join(strings.Split(s, ""), mark) }
}

// unspaced takes every second character out.
func unspaced(s string) string {
	var b strings.Builder
	for i, r := range []rune(s) {
		if i%2 == 0 {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func reverse(s string) string {
	runes := []rune(s)
	slices.Reverse(runes)
	return string(runes)
}

func rot13(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return 'a' + (r-'a'+13)%26
		case r >= 'A' && r <= 'Z':
			return 'A' + (r-'A'+13)%26
		}
		return r
	}, s)
}
