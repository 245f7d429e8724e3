package clientfile

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

var ours = []Hook{
	{"UserPromptSubmit", "", "'/bin/sallyport' hook # sallyport hook", 15},
	{"PreToolUse", "*", "'/bin/sallyport' hook || exit 2 # sallyport hook", 15},
}

const mark = "# sallyport hook"

// Whatever settings hold, they hold it afterwards, and taking our hooks out
// gives them back.
func TestHooks(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":         "",
		"an empty object": "{}",
		"other settings":  "{\n    // mine\n    \"model\": \"opus\", // best\n    \"permissions\": {\"deny\": [\"Read(./.env)\"]},\n}\n",
		"one line":        `{"a": 1}`,
		"tabs":            "{\n\t\"a\": 1\n}\n",
		"other hooks":     "{\n  \"hooks\": {\n    \"PreToolUse\": [\n      {\"matcher\": \"Bash\", \"hooks\": [{\"type\": \"command\", \"command\": \"./mine.sh\"}]} /* keep */\n    ],\n    \"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"say done\"}]}]\n  },\n  \"a\": [1, 2,]\n}\n",
		"a BOM":           "\ufeff{\n  \"a\": 1\n}\n",
		"CRLF":            "{\r\n  \"a\": 1\r\n}\r\n",
	} {
		with, err := AddHooks([]byte(text), ours, mark)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if found, err := Hooks(with, mark); err != nil || len(found) != 2 {
			t.Errorf("%s: %v %v in\n%s", name, found, err, with)
		}
		for _, comment := range []string{"// mine", "// best", "/* keep */"} {
			if strings.Contains(text, comment) && !bytes.Contains(with, []byte(comment)) {
				t.Errorf("%s: the comment %s is gone:\n%s", name, comment, with)
			}
		}
		again, err := AddHooks(with, ours, mark)
		if err != nil || !bytes.Equal(again, with) {
			t.Errorf("%s, twice: %v\n%s", name, err, again)
		}
		changed, err := AddHooks(with, []Hook{{"PreToolUse", "*", "'/opt/sallyport' hook " + mark, 15}}, mark)
		if found, _ := Hooks(changed, mark); err != nil || len(found) != 1 || !strings.HasPrefix(found[0].Command, "'/opt") {
			t.Errorf("%s, another one: %v %v", name, found, err)
		}
		without, err := RemoveHooks(with, mark)
		if err != nil || bytes.Contains(without, []byte("sallyport")) {
			t.Errorf("%s, taken out: %v\n%s", name, err, without)
		}
		if text == "" {
			text = "{}"
		}
		before, err1 := decodeJSON([]byte(text))
		after, err2 := decodeJSON(without)
		if err1 != nil || err2 != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("%s: more is gone than was put in: %v %v\n%s", name, err1, err2, without)
		}
	}
	for _, text := range []string{"[]", "{", `{"hooks": []}`, `{"hooks": {}, "hooks": {}}`, `{"hooks": {"PreToolUse": {}}}`, `{"hooks": {"PreToolUse": [], "PreToolUse": []}}`} {
		if with, err := AddHooks([]byte(text), ours, mark); err == nil {
			t.Errorf("%s was made %s", text, with)
		}
	}
}

func TestHooksAreReadable(t *testing.T) {
	with, err := AddHooks([]byte("{\n  \"model\": \"opus\"\n}\n"), ours[1:], mark)
	want := `{
  "model": "opus",
  "hooks": {
    "PreToolUse": [
      {
        "matcher": "*",
        "hooks": [
          {
            "type": "command",
            "command": "'/bin/sallyport' hook || exit 2 # sallyport hook",
            "timeout": 15
          }
        ]
      }
    ]
  }
}
`
	if err != nil || string(with) != want {
		t.Errorf("%v\n%s", err, with)
	}
}
