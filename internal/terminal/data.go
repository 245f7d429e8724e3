package terminal

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"sallyport"
	"sallyport/internal/card"
)

// Data shows JSON as the user asked, "json" or "yaml". It is the same data for
// machines, and does nothing to the terminal of a person who looks at it:
// Visible's characters are written as escapes.
func Data(format string, json []byte) ([]byte, error) {
	if format != "yaml" {
		return VisibleJSON(json), nil
	}
	value, err := sallyport.Parse(json)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	appendYAML(&b, value, "", "")
	return b.Bytes(), nil
}

// VisibleJSON writes what a terminal could act on as the escapes that JSON has
// for it. In JSON such characters can stand in strings only, where the two
// mean the same.
func VisibleJSON(json []byte) []byte {
	if !bytes.ContainsFunc(json, hiddenInside) {
		return json
	}
	var b bytes.Buffer
	for _, r := range string(json) {
		switch {
		case !hiddenInside(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}

// hiddenInside leaves the white space between JSON's tokens alone.
func hiddenInside(r rune) bool { return card.Hidden(r) && r != '\n' && r != '\t' && r != '\r' }

// JSONLines is a writer of lines that hold JSON, shown by VisibleJSON. Each Write
// must be whole lines.
func JSONLines(to io.Writer) io.Writer { return jsonLines{to} }

type jsonLines struct{ to io.Writer }

func (l jsonLines) Write(text []byte) (int, error) {
	if _, err := l.to.Write(VisibleJSON(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// appendYAML writes a value in YAML's block style behind a "key:" or a "-",
// which is what lead stands for. Texts that could be read as anything else,
// or do anything, are in double quotes.
func appendYAML(b *bytes.Buffer, v sallyport.Value, lead, indent string) {
	first := true
	begin := func() {
		switch {
		case !first:
			b.WriteString(indent)
		case lead == ":":
			b.WriteString("\n" + indent)
		case lead == "-":
			b.WriteByte(' ')
		}
		first = false
	}
	switch {
	case v.Len() > 0 && v.Type() == sallyport.Object:
		for name, member := range v.Members() {
			begin()
			b.WriteString(yamlText(name) + ":")
			appendYAML(b, member, ":", indent+"  ")
		}
	case v.Len() > 0 && v.Type() == sallyport.Array:
		for _, item := range v.Items() {
			begin()
			b.WriteByte('-')
			appendYAML(b, item, "-", indent+"  ")
		}
	default:
		if lead != "" {
			b.WriteByte(' ')
		}
		if text, ok := v.Text(); ok {
			b.WriteString(yamlText(text) + "\n")
		} else {
			b.WriteString(string(v.Raw()) + "\n")
		}
	}
}

// words are those that some readers of YAML take for something else than text.
const words = " y n yes no on off true false null nan inf "

func yamlText(text string) string {
	plain := text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./@", r))
	}) && (text[0]|0x20 >= 'a' && text[0]|0x20 <= 'z') && !strings.Contains(words, " "+strings.ToLower(text)+" ")
	if plain {
		return text
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case card.Hidden(r) && r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		case card.Hidden(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}
