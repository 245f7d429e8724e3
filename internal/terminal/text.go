// Package terminal shows things to a person and asks a person: columns,
// colours, live lines, questions and secrets. Whatever agents and servers
// wrote is shown with its invisible characters made visible.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"sallyport/internal/card"
)

// Table prints aligned columns.
type Table struct{ w *tabwriter.Writer }

// NewTable makes a table on out. Flush must follow.
func NewTable(out io.Writer) *Table { return &Table{tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)} }

// Flush prints what is still waiting to be aligned.
func (t *Table) Flush() error { return t.w.Flush() }

// Row prints one row. Cells are shown by Visible.
func (t *Table) Row(cells ...string) {
	for i := range cells {
		cells[i] = Visible(cells[i])
		if cells[i] == "" {
			cells[i] = "-"
		}
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

// Line prints text that is not part of the columns, as it is.
func (t *Table) Line(text string) {
	t.w.Flush()
	fmt.Fprintln(t.w, text)
	t.w.Flush()
}

// Visible is card.Visible.
func Visible(text string) string { return card.Visible(text) }

// VisibleLines is Visible for text of several lines: line ends and tabs stay.
func VisibleLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.ReplaceAll(Visible(strings.TrimSuffix(line, "\n")), `\u{9}`, "\t") + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Indent is VisibleLines, each line moved to the right.
func Indent(text, by string) string {
	return by + strings.ReplaceAll(VisibleLines(text), "\n", "\n"+by)
}

// Colored reports whether colours suit an output (https://no-color.org).
func Colored(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && Is(w)
}

// Is reports whether a stream is a terminal.
func Is(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Color is an SGR parameter of ECMA-48.
type Color string

// The colours.
const (
	Red    Color = "31"
	Green  Color = "32"
	Yellow Color = "33"
	Dim    Color = "2"
	Bold   Color = "1"
)

// Paint colours a word of ours where on says that colours suit.
func Paint(on bool, color Color, text string) string {
	if !on {
		return text
	}
	return "\x1b[" + string(color) + "m" + text + "\x1b[0m"
}

// Progress shows a person at a terminal that something long is under way,
// until stop is called.
func Progress(out io.Writer, what string) (stop func()) {
	if !Is(out) {
		return func() {}
	}
	began, done, ended := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(out, "\r%s… %d s", what, int(time.Since(began).Seconds()))
			case <-done:
				fmt.Fprint(out, "\r\x1b[K")
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}
