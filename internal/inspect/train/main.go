// Command train makes internal/inspect/model.bin from labelled texts, the same
// bytes each time, and the tables of docs/inspection.md.
//
//	go run ./internal/inspect/train -data ../shared/data/corpora -o internal/inspect/model.bin
//	go run ./internal/inspect/train -data ../shared/data/corpora -table
package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"sallyport/internal/inspect/model"
)

func main() {
	data := flag.String("data", "../shared/data/corpora", "folder of the corpora")
	out := flag.String("o", "", "file to write the model to")
	tables := flag.Bool("table", false, "print what it is worth, beside a plain model and regexes")
	flag.Parse()
	if err := run(*data, *out, *tables); err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}

func run(data, out string, tables bool) error {
	rows, err := load(data)
	if err != nil {
		return err
	}
	texts, tools := split(rows)
	textResults := []result{{"classifier", cross(texts, textFolds, trainText, os.Stderr)}}
	toolResults := []result{{"classifier", crossTools(tools, os.Stderr)}}
	if tables {
		textResults = append(textResults, result{"n-grams", crossPlain(texts, textFolds, nil)})
		toolResults = append(toolResults, result{"n-grams", crossPlain(tools, toolFolds, filter(toolResults[0].all, func(r *row) bool { return strings.HasPrefix(r.source, "ours") }))})
		write(os.Stdout, textResults, toolResults)
	}
	if out == "" {
		return nil
	}
	text, tool := trainText(texts, ""), trainTool(tools, "")
	text.Cut = cuts(textResults[0].all, found)
	tool.Cut = cuts(toolResults[0].all, realTool)
	return os.WriteFile(out, model.Append(nil, text, tool), 0o644)
}

// split parts the rows of the two heads.
func split(rows []row) (texts, tools []row) {
	return keep(rows, func(r *row) bool { return !r.described() }), keep(rows, (*row).described)
}

// realTool reports descriptions of tools as servers publish them.
func realTool(r *row) bool { return strings.HasPrefix(r.source, "mcp_tools") }

// cuts are the scores that one in a hundred, and one in a thousand, honest
// texts of unseen sources lie above.
func cuts(all []scored, honest func(*row) bool) [2]float32 {
	return [2]float32{up(above(all, 0.01, honest)), up(above(all, 0.001, honest))}
}

func up(cut float64) float32 { return math.Nextafter32(float32(cut), math.MaxFloat32) }

func write(w io.Writer, texts, tools []result) {
	fmt.Fprint(w, "### Results of tools and other text\n\n")
	table(w, texts, found)
	fmt.Fprintln(w)
	alarms(w, texts, found)
	fmt.Fprint(w, "\n### Descriptions of tools\n\n")
	table(w, tools, func(r *row) bool { return realTool(r) || r.bad })
	fmt.Fprintln(w)
	alarms(w, tools, realTool)
}
