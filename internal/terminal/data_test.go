package terminal

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"sallyport/internal/card"
)

func TestDataIsTheSameAndDoesNothing(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, `"x"`, `null`, `{"a":{},"b":[],"c":[[],[1,[2,3]],{"d":{"e":null}}],"f":[{"g":1,"h":[true]},{"i":-1.5e3}]}`,
		`{"true":"true","no":"no","1":"1","":"","a b":"a: b","- x":"# y","~":"~","*a":"&b","date":"2026-01-01","n":"0x1f","k":"a\"b\\c"}`,
		`{"evil":"\u001b[2J\u009b31m\u202e\u2066\r\n\t\u0000\u007f\u0085\u2028\ufeff\u200b","\u001b]0;x\u0007":["\r","\n\n","line\nline"]}`,
		`{"large":9007199254740993,"emoji":"\ud83d\ude00","tag":"\udb40\udc41","ü":"é"}`,
	} {
		var want any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		// As Go's encoder writes it: some of it raw.
		raw, _ := json.MarshalIndent(want, "", "  ")
		for _, in := range [][]byte{[]byte(text), raw} {
			for format, read := range map[string]func([]byte, any) error{
				"json": json.Unmarshal, "yaml": func(b []byte, v any) error { return yaml.Unmarshal(b, v) },
			} {
				out, err := Data(format, in)
				if err != nil {
					t.Fatal(err)
				}
				if bytes.ContainsFunc(out, func(r rune) bool { return card.Hidden(r) && r != '\n' }) {
					t.Errorf("%s %s: %q would act on a terminal", format, in, out)
				}
				var got any
				if err := read(out, &got); err != nil {
					t.Errorf("%s can't be read: %v\n%s", format, err, out)
					continue
				}
				again, _ := json.Marshal(got)
				var back any
				_ = json.Unmarshal(again, &back)
				if !reflect.DeepEqual(back, want) && !strings.Contains(text, "large") {
					t.Errorf("%s of %s reads as %s:\n%s", format, in, again, out)
				}
			}
		}
	}
	out, _ := Data("yaml", []byte(`{"name":"pay","tools":[{"name":"a b","count":1},{"name":"c"}],"none":[]}`))
	if string(out) != "name: pay\ntools:\n  - name: \"a b\"\n    count: 1\n  - name: c\nnone: []\n" {
		t.Errorf("it reads badly:\n%s", out)
	}
}
