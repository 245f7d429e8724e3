package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/goccy/go-yaml"
	"golang.org/x/term"
)

// print shows a value as the user asked: as JSON, as YAML, or as a table.
func (c *cli) print(value any, show func(*table)) error {
	if c.output == "table" {
		t := &table{w: tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)}
		show(t)
		return t.w.Flush()
	}
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	if c.output == "yaml" {
		if text, err = yaml.JSONToYAML(text); err != nil {
			return err
		}
		_, err = c.out.Write(text)
		return err
	}
	_, err = fmt.Fprintln(c.out, string(text))
	return err
}

// table prints aligned columns for a person.
type table struct{ w *tabwriter.Writer }

func (t *table) row(cells ...string) {
	for i := range cells {
		cells[i] = visible(cells[i])
		if cells[i] == "" {
			cells[i] = "-"
		}
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

// line prints text that is not part of the columns.
func (t *table) line(text string) {
	t.w.Flush()
	fmt.Fprintln(t.w, text)
	t.w.Flush()
}

// visible shows control, bidi and other invisible characters as what they
// are: names and words of servers and agents must not paint over our own
// (CVE-2021-42574 and terminal escapes).
func visible(text string) string {
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if hidden(r) {
			fmt.Fprintf(&b, "\\u{%x}", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hidden(r rune) bool {
	return unicode.Is(unicode.C, r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar
}

// colored reports whether colours suit an output (https://no-color.org).
func colored(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(w)
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// paint colours a word of ours.
func paint(on bool, color, text string) string {
	if !on {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

const (
	red    = "31"
	green  = "32"
	yellow = "33"
	dim    = "2"
	bold   = "1"
)
