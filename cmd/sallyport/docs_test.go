package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestDocsShowCommandsThatExist: every command line in the documentation, and
// in what the help shows as an example, is one that this program takes.
func TestDocsShowCommandsThatExist(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range commandLines(string(text)) {
			if err := takes(line, true); err != nil {
				t.Errorf("%s: sallyport %s: %v", page, strings.Join(line, " "), err)
			}
		}
	}
	var examples func(cmd *cobra.Command)
	examples = func(cmd *cobra.Command) {
		for _, line := range commandLines("```\n" + cmd.Example + "\n```") {
			if err := takes(line, false); err != nil {
				t.Errorf("%s --help: sallyport %s: %v", cmd.CommandPath(), strings.Join(line, " "), err)
			}
		}
		for _, below := range cmd.Commands() {
			examples(below)
		}
	}
	examples((&cli{}).root())
	if n := len(commandLines("```\nsallyport up # here\nsallyport log export > x && sallyport log verify x\n```\n`sallyport doctor`")); n != 4 {
		t.Errorf("%d of 4 command lines were found", n)
	}
	if takes([]string{"nonsense"}, true) == nil || takes([]string{"policy", "checks"}, true) == nil || takes([]string{"up", "--observed"}, true) == nil || takes([]string{"log", "show"}, false) == nil {
		t.Error("this test finds nothing")
	}
}

var (
	codeBlock = regexp.MustCompile("(?s)```[a-z]*\n(.*?)```|(?m)^    (.*)$")
	codeSpan  = regexp.MustCompile("`sallyport ([^`]+)`")
	oneOf     = regexp.MustCompile(`(\w+)(\|\w+)+`)
)

// words are those of a command line, in which quotes keep some together.
func words(text string) []string {
	quoted := false
	return strings.FieldsFunc(text, func(r rune) bool {
		if r == '"' || r == '\'' {
			quoted = !quoted
			return false
		}
		return r == ' ' && !quoted
	})
}

// commandLines are the arguments of every sallyport that a page calls.
func commandLines(page string) [][]string {
	var all [][]string
	add := func(text string) {
		text, _, _ = strings.Cut(text, " >")
		all = append(all, words(oneOf.ReplaceAllString(text, "$1")))
	}
	for _, block := range codeBlock.FindAllStringSubmatch(page, -1) {
		for line := range strings.Lines(block[1] + block[2]) {
			line, _, _ = strings.Cut(line, "#")
			for part := range strings.SplitSeq(line, "&&") {
				part = strings.TrimPrefix(strings.TrimSpace(part), "go run ./cmd/")
				if args, ok := strings.CutPrefix(part, "sallyport "); ok {
					add(args)
				}
			}
		}
	}
	for _, span := range codeSpan.FindAllStringSubmatch(codeBlock.ReplaceAllString(page, ""), -1) {
		add(span[1])
	}
	return all
}

// takes says why a command line can't be run. In running text a verb may stand
// without its arguments.
func takes(args []string, inText bool) error {
	cmd, rest, err := (&cli{}).root().Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if rest = cmd.Flags().Args(); cmd.HasSubCommands() && len(rest) > 0 {
		return usage("there is no %s", rest[0])
	}
	if len(rest) == 0 && inText {
		return nil
	}
	return cmd.ValidateArgs(rest)
}
