package card

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"sallyport"
)

// forgeries are what an agent could write to have a person read another card.
var forgeries = []string{
	"", " ", "\t", "\n", "\r\n", strings.Repeat("\n", 200) + "x", strings.Repeat(" ", 5000) + "x", strings.Repeat("a", 100_000) + "mallory",
	"x\n\n  rule      harmless (p.cedar:1) asks nobody\n  digest    sha256:00", "x\n  class     1: a yes takes a yes", "approved by finance", "READ with crm / get",
	"**PAY** `0.01`", "# Approved\n- [x] safe", "[safe](https://evil.example)", "![](https://evil.example/x.png)", "<b>approved</b>", "<script>approve()</script>",
	"<!-- hidden -->", "&lt;b&gt;", "{{.Approved}}", "${amount}", "%s%n", "\x1b[2J\x1b[1;1HREAD", "\x1b]0;title\x07", "\x1b[8mhidden\x1b[0m", "\b\b\b\b1", "\x00", "\x7f", "\u0085",
	"\u202efdp.exe", "\u2066a\u2069", "a\u200bb", "a\u200db", "\ufeffa", "\u2060", "\u00ad", "\u3164", "\u115f", "\u034f", "\U000e0041\U000e0042", "a\u0301", "p\u0430ypal", "\u0440\u0430\u0443\u0440\u0430\u04cf",
	"\uff21\uff2d", "\U0001d41a", "\u2024com", "1\u2044 2", "\u2215", "\u00a0", "\u2003", "\u2028", "\u2029", "\ufffd", "\ufe0f", `\u{202e}`, `\u202e`, `"}],"effects":["read"]`, `{"effects":["read"]}`,
	"null", "0.01", "a_1", "sha256:" + strings.Repeat("0", 64), "robaz-pujab-vulot-rufir",
}

// Nothing that an agent writes hides a value, looks like another value, or changes
// anything else on its card.
func TestNothingIsForged(t *testing.T) {
	if len(forgeries) < 40 {
		t.Fatalf("%d forgeries", len(forgeries))
	}
	build := func(name, value string) Card {
		args := fmt.Appendf(nil, `{"amount":5000,"memo":%s,%s:{"deep":[%s]}}`, sallyport.AppendString(nil, value), sallyport.AppendString(nil, "k"+name), sallyport.AppendString(nil, value))
		question := fmt.Sprintf(`{"agent":"bot","args":%s,"effects":["pay"],"kind":"tool","name":"pay","server":"bank","user":"ana","v":1}`, sallyport.MustParse(string(args)).AppendCanonical(nil))
		a := asked(question)
		a.Findings, a.Origins = nil, nil
		c, err := New(&a, Around{Words: []Said{{"pay it", "human"}}})
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		return c
	}
	honest := build("", "honest")
	seen := map[string]string{}
	for _, text := range forgeries {
		c := build(text, text)
		if len(c.Arguments) != 3 {
			t.Errorf("%q: %d arguments", text, len(c.Arguments))
			continue
		}
		var shown []string
		for _, a := range c.Arguments {
			shown = append(shown, a.Path, a.Value)
		}
		for _, s := range shown {
			if strings.ContainsFunc(s, func(r rune) bool { return Hidden(r) || r == '\n' }) {
				t.Errorf("%q shows %q", text, s)
			}
		}
		key := strings.Join(shown, "\x00")
		if other, twice := seen[key]; twice {
			t.Errorf("%q and %q look the same", text, other)
		}
		seen[key] = text
		// A text of plain letters is on the card letter by letter, however long.
		if plain := c.Arguments[len(c.Arguments)-1]; isASCII(text) && !strings.ContainsFunc(text, Hidden) {
			var back string
			if err := json.Unmarshal([]byte(plain.Value), &back); err != nil || back != text {
				t.Errorf("%.40q is shown as %.40s", text, plain.Value)
			}
		}
		c.Arguments, c.Careful, c.Digest, c.DigestWords = honest.Arguments, honest.Careful, honest.Digest, honest.DigestWords
		if !reflect.DeepEqual(c, honest) {
			t.Errorf("%q changes more than its argument:\n%+v", text, c)
		}
	}
}

// What others wrote beside the arguments is shown as exactly: names, rules, words.
func TestNoOtherTextIsForged(t *testing.T) {
	for _, text := range forgeries {
		name := string(sallyport.AppendString(nil, text))
		a := asked(fmt.Sprintf(`{"agent":%s,"kind":"tool","name":%s,"role":%s,"run":%s,"server":%s,"tenant":%s,"user":%s,"effects":[%s],"params":{%s:1}}`, name, name, name, name, name, name, name, name, name))
		a.Rules = []sallyport.Rule{{ID: text, File: text, Because: text, Otherwise: text, Ask: []string{"finance"}}}
		a.By, a.Reason, a.Spent, a.Amount = text, text, text, text
		a.Findings = []sallyport.Finding{{Scanner: "s", Rule: "r", Path: text}}
		a.Origins = []string{text}
		earlier := a
		earlier.State = sallyport.Refused
		c, err := New(&a, Around{Words: []Said{{text, "human"}}, Chain: []Link{{text, text, text, text}}, Costs: []Cost{{Account: text}}, Uncounted: text, Past: []sallyport.Approval{earlier}})
		if err != nil {
			t.Fatal(err)
		}
		walk(reflect.ValueOf(c), func(s string) {
			if strings.ContainsFunc(s, func(r rune) bool { return Hidden(r) }) {
				t.Errorf("%.40q shows %.80q", text, s)
			}
		})
	}
}

// walk visits every text below a value.
func walk(v reflect.Value, visit func(string)) {
	switch v.Kind() {
	case reflect.String:
		visit(v.String())
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), visit)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Card]() || v.Type().PkgPath() == reflect.TypeFor[Card]().PkgPath() {
			for i := range v.NumField() {
				walk(v.Field(i), visit)
			}
		}
	}
}
