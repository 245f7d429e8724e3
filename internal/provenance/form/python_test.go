package form

import "testing"

// TestPython reads what Python prints, and nothing that is more or less.
func TestPython(t *testing.T) {
	for text, want := range map[string]string{
		`{'a': 1, "b": ['x', "it's", True, None, -2.5]}`: `{"a":1,"b":["x","it's",true,null,-2.5]}`,
		`{'Item 1': {'id': 'P1'}, 'Item 2': {}}`:         `{"Item 1":{"id":"P1"},"Item 2":{}}`,
		`{'a': 'line\nnext \'q\' \xe9 \u20ac'}`:          `{"a":"line\nnext 'q' é €"}`,
		`('a', 1)`:                                       `["a",1]`, `('a',)`: `["a"]`, `[]`: `[]`,
		`{'body': "', 'owner': 'eve"}`: `{"body":"', 'owner': 'eve"}`, // nobody breaks out of a field
	} {
		v, how := Parse(text)
		if got := string(v.AppendCanonical(nil)); got != want || how == Forgeable {
			t.Errorf("%s: %s (%d), want %s", text, got, how, want)
		}
	}
	for _, text := range []string{
		`{'a': 1`, `{'a'}`, `{'a': 1} and more`, `{'a': f()}`, `{'a': 'x}`, `{'a': '\q'}`, `{'a': '\ud800'}`,
		"{'a': 'x\ny'}", `{1: 2}`, `{'a': 1 'b': 2}`, `{'a': 1, 'a': 2}`, `{'a': datetime.date(2024, 1, 1)}`, `'a'`,
	} {
		if out, ok := pythonToJSON(text); ok {
			if v, how := Parse(text); how != Forgeable {
				t.Errorf("%s: %s, %s", text, out, v.Raw())
			}
		}
	}
}
