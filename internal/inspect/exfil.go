package inspect

import "strings"

// maxLink bounds what is looked at of one link or tag.
const maxLink = 2048

// markdownLink looks at the target behind "](" and returns where to go on.
func (s *scan) markdownLink(at int) int {
	if at < s.unclosed {
		return at + 1
	}
	target := s.text[at+1 : min(len(s.text), at+1+maxLink)]
	end := strings.IndexAny(target, ")\n")
	if end < 0 {
		s.unclosed = at + 1 + len(target) // nothing closes up to there: look once
		return at + 1
	}
	image := imageBefore(s.text[:at-1])
	s.reference(target[:end], at+1, image)
	return at + 1 + end
}

// imageBefore reports whether the text before "](" begins with "![".
func imageBefore(text string) bool {
	low := max(0, len(text)-256)
	i := strings.LastIndexByte(text[low:], '[')
	return i > 0 && text[low+i-1] == '!' || i == 0 && low > 0 && text[low-1] == '!'
}

// loading are attributes that fetch by themselves, sending those that wait for
// a click or a submit.
var (
	loading = [...]string{"src=", "srcset=", "background=", "poster=", "data=", "xlink:href="}
	sending = [...]string{"href=", "action=", "formaction=", "ping="}
)

// tag looks at the attributes of one HTML tag and returns where to go on.
func (s *scan) tag(at int) int {
	body := s.text[at+1 : min(len(s.text), at+1+maxLink)]
	if len(body) == 0 || body[0]|0x20 < 'a' || body[0]|0x20 > 'z' {
		return at + 1
	}
	end := strings.IndexAny(body, "<>")
	if end < 0 || body[end] == '<' {
		return at + 1 + max(0, end)
	}
	body = body[:end]
	name := body
	if i := strings.IndexAny(body, " \t\n\r/"); i >= 0 {
		name = body[:i]
	}
	link := isLink(body)
	for _, a := range loading {
		s.attribute(body, a, at+1, !link || strings.EqualFold(name, "link"))
	}
	for _, a := range sending {
		s.attribute(body, a, at+1, strings.EqualFold(name, "link") || strings.EqualFold(name, "form"))
	}
	if strings.EqualFold(name, "iframe") || strings.EqualFold(name, "script") || strings.EqualFold(name, "object") || strings.EqualFold(name, "embed") {
		if external(body) {
			s.add(ScannerExfil, "embedded", at, at+end+2, 0.8)
		}
	}
	if strings.EqualFold(name, "form") && external(body) {
		s.add(ScannerExfil, "form", at, at+end+2, 0.8)
	}
	if strings.EqualFold(name, "meta") && external(body) && strings.Contains(body, "efresh") {
		s.add(ScannerExfil, "refresh", at, at+end+2, 0.9)
	}
	if i := strings.Index(body, "url("); i >= 0 {
		target := body[i+4:]
		if j := strings.IndexByte(target, ')'); j >= 0 {
			s.reference(strings.Trim(target[:j], "\"' "), at+1+i+4, true)
		}
	}
	return at + 1 + end
}

func isLink(body string) bool {
	return body[0]|0x20 == 'a' && (len(body) == 1 || body[1] == ' ' || body[1] == '\n' || body[1] == '\t')
}

func external(body string) bool {
	return strings.Contains(body, "://") || strings.Contains(body, "=\"//") || strings.Contains(body, "='//")
}

// attribute looks at the value of one attribute.
func (s *scan) attribute(body, name string, base int, fetches bool) {
	i := strings.Index(body, name)
	if i <= 0 || body[i-1] != ' ' && body[i-1] != '\n' && body[i-1] != '\t' && body[i-1] != '"' && body[i-1] != '\'' {
		return
	}
	value, from := body[i+len(name):], base+i+len(name)
	if len(value) > 0 && (value[0] == '"' || value[0] == '\'') {
		end := strings.IndexByte(value[1:], value[0])
		if end < 0 {
			return
		}
		s.reference(value[1:1+end], from+1, fetches)
		return
	}
	if end := strings.IndexAny(value, " \t\n"); end >= 0 {
		value = value[:end]
	}
	s.reference(value, from, fetches)
}

// reference judges where a link or image points: not the host, which any
// attacker can choose, but whether the address has room for data, or data in
// it. fetches says that nobody has to click.
func (s *scan) reference(target string, at int, fetches bool) {
	i := strings.Index(target, "//")
	if i < 0 || i > 8 {
		return
	}
	rest := target[i+2:]
	path := strings.IndexAny(rest, "/?#")
	host := rest
	if path >= 0 {
		host, rest = rest[:path], rest[path:]
	} else {
		rest = ""
	}
	switch {
	case gap(rest) || gap(host):
		s.add(ScannerExfil, "data-gap", at, at+len(target), 1)
	case fetches && carries(rest, 24):
		s.add(ScannerExfil, "image-data", at, at+len(target), 0.9)
	case fetches && strings.IndexByte(rest, '?') >= 0:
		s.add(ScannerExfil, "image-query", at, at+len(target), 0.4)
	case carries(rest, 64) || longLabel(host):
		s.add(ScannerExfil, "link-data", at, at+len(target), 0.6)
	}
}

// gap reports a place that is left for the reader to fill in: {{data}}, <data>,
// [DATA], $(…), %s, a value in capitals.
func gap(s string) bool {
	if strings.ContainsAny(s, "{}<>[]") || strings.Contains(s, "$(") || strings.Contains(s, "…") || strings.Contains(s, "...") {
		return true
	}
	i := strings.LastIndexByte(s, '=')
	if i < 0 || len(s)-i < 5 {
		return false
	}
	value := s[i+1:]
	for j := 0; j < len(value); j++ {
		if !upperCase(value[j]) && value[j] != '_' && value[j] != '-' {
			return false
		}
	}
	return strings.IndexByte(value, '_') > 0 || strings.IndexByte(value, '-') > 0 || len(value) <= 8
}

// carries reports a stretch of at least so many bytes without a name's shape.
func carries(s string, least int) bool {
	q := strings.IndexByte(s, '?')
	if q < 0 {
		q = 0
	}
	from := q
	for i := q; i <= len(s); i++ {
		if i == len(s) || strings.IndexByte("?&=/#;.-_", s[i]) >= 0 {
			if i-from >= least && entropy(s[from:i]) > 3.2 {
				return true
			}
			from = i + 1
		}
	}
	return false
}

// longLabel reports a host whose first label is long and random enough to
// carry data by itself.
func longLabel(host string) bool {
	label, _, _ := strings.Cut(host, ".")
	return len(label) >= 32 && entropy(label) > 3.2 && strings.Count(label, "-") < 4
}
