package plain

import "strings"

// markup notes text that a browser or mail program would not show, but a model
// reads: comments, hidden elements, words in attributes. It looks at the
// source, since that is what is marked up.
func (t *Text) markup() {
	text := t.source
	for at := 0; at < len(text); {
		i := strings.IndexByte(text[at:], '<')
		if i < 0 {
			return
		}
		at = t.tag(at + i)
	}
}

// limits of what is looked at behind one '<', so that a text of nothing but
// '<' stays linear.
const (
	maxTag     = 1024
	maxComment = 4096
)

// tag notes what is odd of the tag at the given '<' and returns where to go on.
func (t *Text) tag(at int) int {
	rest := t.source[at:]
	if strings.HasPrefix(rest, "<!--") {
		return t.comment(at)
	}
	if len(rest) < 3 || !isASCIILetter(rest[1]) {
		return at + 1
	}
	within := rest[1:min(len(rest), maxTag)]
	end := strings.IndexAny(within, "<>")
	if end < 0 || within[end] == '<' {
		return at + 1 + max(end, 0)
	}
	tag := within[:end]
	after := at + 1 + end + 1
	if strings.IndexByte(tag, '=') < 0 && !strings.Contains(tag, " hidden") {
		return after
	}
	if hides(tag) {
		body := t.source[after:min(len(t.source), after+maxComment)]
		if end := strings.Index(body, "</"); end >= 0 {
			body = body[:end]
		}
		if words(untagged(body)) >= 3 {
			t.note("hidden-html", at, after+len(body), 1)
		}
	}
	for _, name := range [...]string{"alt=", "title=", "aria-label=", "data-"} {
		if i := strings.Index(tag, name); i >= 0 && words(tag[i:]) >= 8 {
			t.note("attribute", at+1+i, after-1, 0.5)
			break
		}
	}
	return after
}

// comment notes a comment of some words. Markers of tools are shorter.
func (t *Text) comment(at int) int {
	body := t.source[at+4 : min(len(t.source), at+4+maxComment)]
	end := strings.Index(body, "-->")
	if end < 0 {
		end = len(body)
	}
	if words(body[:end]) >= 5 {
		t.note("comment", at, at+4+end, 0.3)
	}
	return at + 4 + end
}

// hides reports whether a tag's attributes keep its content from sight.
func hides(tag string) bool {
	var small [maxTag]byte
	n := 0
	for i := 0; i < len(tag); i++ {
		c := tag[i]
		if c == ' ' || c == '\t' || c == '\n' || c == '\r' {
			if n > 0 && small[n-1] != ' ' && i+1 < len(tag) && isASCIILetter(tag[i+1]) && c != ':' && small[n-1] != ':' && small[n-1] != ';' {
				small[n] = ' '
				n++
			}
			continue
		}
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		small[n] = c
		n++
	}
	s := string(small[:n])
	for _, sign := range [...]string{"display:none", "visibility:hidden", "font-size:0", "font-size:1px", "opacity:0;", "opacity:0\"", "opacity:0'",
		"opacity:0.0", "aria-hidden=\"true\"", "aria-hidden='true'", "aria-hidden=true", "text-indent:-", "left:-9", "top:-9", "color:transparent", "height:0;", "height:0p", "width:0;", "width:0p", "clip:rect(0"} {
		if strings.Contains(s, sign) {
			return true
		}
	}
	return strings.HasPrefix(s, "input") && strings.Contains(s, "type=\"hidden\"") && words(s) > 8 ||
		strings.HasSuffix(s, " hidden") || strings.Contains(s, " hidden ") || strings.Contains(s, " hidden=") || sameColour(s)
}

// sameColour reports text in the colour of its ground.
func sameColour(s string) bool {
	front := colour(s, ";color:", "\"color:", "'color:", " color=\"")
	if front == "" {
		return false
	}
	ground := colour(s, "background:", "background-color:", "bgcolor=\"")
	if ground == "" {
		return front == "#ffffff" // white on what is nearly always white
	}
	return front == ground
}

// colour is the value behind one of the names, white in one spelling.
func colour(s string, names ...string) string {
	for _, name := range names {
		_, value, found := strings.Cut(s, name)
		if !found {
			continue
		}
		if end := strings.IndexAny(value, ";\"' !"); end >= 0 {
			value = value[:end]
		}
		switch value {
		case "white", "#fff", "#fefefe", "#fffffe", "rgb(255,255,255)":
			value = "#ffffff"
		}
		return value
	}
	return ""
}

// untagged is text without the tags in it.
func untagged(text string) string {
	if strings.IndexByte(text, '<') < 0 {
		return text
	}
	var b strings.Builder
	within := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '<':
			within = true
		case text[i] == '>':
			within = false
			b.WriteByte(' ')
		case !within:
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

// words counts runs of at least two letters, up to eight.
func words(s string) (n int) {
	run := 0
	for i := 0; i < len(s) && n < 8; i++ {
		if isASCIILetter(s[i]) || s[i] >= 0x80 {
			if run++; run == 2 {
				n++
			}
		} else {
			run = 0
		}
	}
	return n
}
