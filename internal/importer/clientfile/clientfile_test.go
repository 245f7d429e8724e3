package clientfile

import (
	"bytes"
	"strings"
	"testing"
)

func keepAll([]byte) bool { return true }

var (
	shim    = []Setting{{Key: "command", Text: "sallyport"}, {Key: "args", List: []string{"stdio", "x"}}}
	address = []Setting{{Key: "url", Text: "http://x/<&>"}, {Key: "headers", Table: [][2]string{{"A", "1"}, {"B b", "2"}}}}
)

// Each row: an entry "x" before and after pointing it elsewhere.
func TestPointJSON(t *testing.T) {
	for name, test := range map[string]struct {
		before   string
		settings []Setting
		after    string
	}{
		"one line": {
			`{"x": {"command": "a", "env": {}}}`, address,
			`{"x": {"url": "http://x/<&>", "headers": {"A": "1", "B b": "2"}}}`},
		"minified": {
			`{"x":{"command":"a"}}`, shim,
			`{"x":{"command":"sallyport","args":["stdio", "x"]}}`},
		"kept keys around": {
			`{"x": { "timeout": 5, "command": "a", "trust": true, "env": {"K": "V"} }}`, shim,
			`{"x": { "timeout": 5, "command": "sallyport", "args": ["stdio", "x"], "trust": true }}`},
		"comments between settings": {
			"{\"x\": {\n  // what\n  \"command\": \"a\", // why\n  /* list */\n  \"args\": [ // inner\n  ],\n  // kept\n  \"trust\": true\n}}", shim,
			"{\"x\": {\n  // what\n  \"command\": \"sallyport\",\n  \"args\": [\"stdio\", \"x\"], // why\n  /* list */\n  // kept\n  \"trust\": true\n}}"},
		"comment after the last": {
			"{\"x\": {\n\t\"command\": \"a\" // end\n}}", shim,
			"{\"x\": {\n\t\"command\": \"sallyport\",\n\t\"args\": [\"stdio\", \"x\"] // end\n}}"},
		"trailing comma stays": {
			"{\"x\": {\n  \"command\": \"a\",\n  \"env\": {},\n},}", shim,
			"{\"x\": {\n  \"command\": \"sallyport\",\n  \"args\": [\"stdio\", \"x\"],\n},}"},
		"none appears": {
			`{"x": {"trust": true , "command": "a"}}`, shim,
			`{"x": {"trust": true , "command": "sallyport", "args": ["stdio", "x"]}}`},
		"none appears when the last goes": {
			`{"x": {"command": "a", "trust": true , "env": {}}}`, shim,
			`{"x": {"command": "sallyport", "args": ["stdio", "x"], "trust": true }}`},
		"CRLF": {
			"{\"x\": {\r\n  \"command\": \"a\",\r\n  \"env\": {}\r\n}}\r\n", shim,
			"{\"x\": {\r\n  \"command\": \"sallyport\",\r\n  \"args\": [\"stdio\", \"x\"]\r\n}}\r\n"},
		"mark and open comment": {
			"\ufeff{\"x\": {\"command\": \"a\"}} // end", shim,
			"\ufeff{\"x\": {\"command\": \"sallyport\", \"args\": [\"stdio\", \"x\"]}} // end"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := JSON().Point([]byte(test.before), []Target{{[]string{"x"}, test.settings}}, keepAll)
			if err != nil || string(got) != test.after {
				t.Fatalf("%v\n%s\nwant\n%s", err, got, test.after)
			}
			if err := Check(JSON(), []byte(test.before), got, [][]string{{"x"}}); err != nil {
				t.Error(err)
			}
			back, err := JSON().Restore(got, []byte(test.before), []string{"x"})
			if err == nil {
				err = Check(JSON(), []byte(test.before), back, nil)
			}
			if err != nil {
				t.Errorf("%v\n%s", err, back)
			}
		})
	}
}

func TestPointTOML(t *testing.T) {
	for name, test := range map[string]struct {
		before   string
		settings []Setting
		after    string
	}{
		"table": {
			"[x]\ncommand = \"a\" # why\n# kept\nargs = [\n  1, # inner\n]\nlimit = 5\n[y]\n", shim,
			"[x]\ncommand = \"sallyport\"\nargs = [\"stdio\", \"x\"]\n# kept\nlimit = 5\n[y]\n"},
		"table of variables": {
			"[x.env]\nK = \"V\"\n\n[x]\n  command = \"a\"\n", address,
			"\n[x]\n  url = \"http://x/<&>\"\n  headers = { A = \"1\", \"B b\" = \"2\" }\n"},
		"dotted": {
			"x.command = \"a\"\nx.env.K = \"V\"\nx.limit = 5\n", shim,
			"x.command = \"sallyport\"\nx.args = [\"stdio\", \"x\"]\nx.limit = 5\n"},
		"inline": {
			"x = { limit = 5, command = \"a\", env.K = \"V\" } # why", shim,
			"x = { limit = 5, command = \"sallyport\", args = [\"stdio\", \"x\"] } # why"},
		"quoted": {
			"['x']\n\"command\" = 'a'\n'''env''' = 1", shim, ""},
		"CRLF without end": {
			"\ufeff[\"x\"]\r\n\"command\" = '''a\r\nb'''", shim,
			"\ufeff[\"x\"]\r\ncommand = \"sallyport\"\r\nargs = [\"stdio\", \"x\"]"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := TOML().Point([]byte(test.before), []Target{{[]string{"x"}, test.settings}}, keepAll)
			if test.after == "" {
				if err == nil {
					t.Errorf("edited what is no TOML: %s", got)
				}
				return
			}
			if err != nil || string(got) != test.after {
				t.Fatalf("%v\n%s\nwant\n%s", err, got, test.after)
			}
			if err := Check(TOML(), []byte(test.before), got, [][]string{{"x"}}); err != nil {
				t.Error(err)
			}
			back, err := TOML().Restore(got, []byte(test.before), []string{"x"})
			if err == nil {
				err = Check(TOML(), []byte(test.before), back, nil)
			}
			if err != nil {
				t.Errorf("%v\n%s", err, back)
			}
		})
	}
	split := "[x.command]\nodd = 1\n"
	if _, err := TOML().Point([]byte(split), []Target{{[]string{"x"}, shim}}, keepAll); err == nil {
		t.Error("edited what has no setting of its own")
	}
	if found, err := TOML().Entries([]byte("[t]\n[t.x.env]\nodd = 1\n[t.y]\nurl = \"\"\n"), [][]string{{"t"}}); err != nil || len(found) != 2 ||
		!strings.Contains(found[0].Fixed, "[t.x]") || found[1].Fixed != "" {
		t.Errorf("%+v %v", found, err)
	}
}

func TestRefusedComments(t *testing.T) {
	keep := func(c []byte) bool { return !bytes.Contains(c, []byte("secret")) }
	got, err := JSON().Point([]byte("{\"x\": {\n  // plain\n  // secret\n  \"command\": \"a\", /* secret */ \"trust\": true, // secret\n}}"), []Target{{[]string{"x"}, shim}}, keep)
	if want := "{\"x\": {\n  // plain\n  \"command\": \"sallyport\",\n  \"args\": [\"stdio\", \"x\"], \"trust\": true,\n}}"; err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
	got, err = TOML().Point([]byte("# secret of others\n[x]\n# plain\n# secret\ncommand = \"a\"\n[y]\n# secret of others\n"), []Target{{[]string{"x"}, shim}}, keep)
	if want := "# secret of others\n[x]\n# plain\ncommand = \"sallyport\"\nargs = [\"stdio\", \"x\"]\n[y]\n# secret of others\n"; err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
}

// Check is the last thing between a wrong edit and the user's file.
func TestCheck(t *testing.T) {
	for _, test := range []struct {
		f             Format
		before, after string
		ok            bool
	}{
		{JSON(), `{"x": {"command": "a", "trust": true}, "n": 1.0}`, `{"n": 1.0, "x": {"url": "b", "trust": true}}`, true},
		{JSON(), `{"x": {"command": "a", "trust": true}}`, `{"x": {"url": "b", "trust": false}}`, false},
		{JSON(), `{"x": {"command": "a"}, "n": 9007199254740993}`, `{"x": {"url": "b"}, "n": 9007199254740992}`, false},
		{JSON(), `{"x": {"command": "a"}, "y": 1}`, `{"x": {"url": "b"}}`, false},
		{JSON(), `{"x": {"command": "a"}}`, `{"y": {"url": "b"}}`, false},
		{JSON(), `{"x": {"command": "a"}}`, `{"x": {"url": "b"}`, false},
		{TOML(), "x.command = \"a\"\nn = 1", "n = 1\n[x]\nurl = \"b\"", true},
		{TOML(), "x.command = \"a\"\nn = 1", "n = 2\n[x]\nurl = \"b\"", false},
		{TOML(), "x.command = \"a\"", "x.url = b", false},
	} {
		if err := Check(test.f, []byte(test.before), []byte(test.after), [][]string{{"x"}}); (err == nil) != test.ok {
			t.Errorf("%s → %s: %v", test.before, test.after, err)
		}
	}
}

func TestMask(t *testing.T) {
	secret := func(s String) bool { return s.Name == "KEY" || s.Value == "hush" }
	got := JSON().Mask([]byte("\ufeff{\"KEY\": [\"a\", {\"b\": \"hush\", \"c\": \"d\"}], \"e\": \"\\u0068ush\"} // f"), secret)
	if want := "\ufeff{\"KEY\": [\"••••\", {\"b\": \"••••\", \"c\": \"d\"}], \"e\": \"••••\"} // f"; string(got) != want {
		t.Errorf("%s", got)
	}
	got = TOML().Mask([]byte("KEY = ['a', \"b\"] # c\nd = { KEY = \"e\", f = '''hush''' }\ng = \"h\"\n"), secret)
	if want := "KEY = [\"••••\", \"••••\"] # c\nd = { KEY = \"••••\", f = \"••••\" }\ng = \"h\"\n"; string(got) != want {
		t.Errorf("%s", got)
	}
	got = TOML().Mask([]byte("\ufeffKEY = \"\"\"\na\nb\"\"\"\nc = 1"), secret)
	if want := "\ufeffKEY = \"••••\"\n\n\nc = 1"; string(got) != want {
		t.Errorf("%q", got)
	}
	for _, f := range []Format{JSON(), TOML()} {
		if got := f.Mask([]byte("hush = {"), secret); strings.Contains(string(got), "hush") {
			t.Errorf("%s", got)
		}
	}
}
