package granting

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport"
)

var made = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

const asked = `{"agent":"bot","args":{"amount":80.5,"note":"thanks","to":["a@corp.example"],"who":{"id":"c_1"}},"effects":["pay"],"kind":"tool","method":"tools/call","name":"refund","origins":[{"path":"amount","readers":"public","writer":"user"},{"path":"note","readers":"internal","writer":"trusted"},{"path":"to[0]","readers":"public","writer":"user"},{"path":"who.id","readers":"public","writer":"user"}],"params":{"name":"refund"},"role":"support","rules":[],"run":"r_1","server":"desk","tool":"sha256:aa","user":"ana","v":1}`

func grant(free ...sallyport.Free) *sallyport.Grant {
	return &sallyport.Grant{ID: "g_1", Approval: "a_1", Agent: "bot", Server: "desk", Name: "refund", Free: free,
		Made: made, Until: made.Add(8 * time.Hour), Count: 5}
}

// But for what was set free a call is what people agreed to, to the last byte, or
// the grant is not for it.
func TestFits(t *testing.T) {
	g := grant(sallyport.Free{Path: "amount", Most: "100"}, sallyport.Free{Path: "to[0]", Like: "*@corp.example"}, sallyport.Free{Path: "note"})
	for _, c := range []struct {
		was, is string
		fits    bool
	}{
		{"", "", true},
		{`80.5`, `100`, true},
		{`80.5`, `0`, true},
		{`80.5`, `100.01`, false},
		{`80.5`, `-1`, false},
		{`80.5`, `"99"`, false}, // another kind of value
		{`80.5`, `1e99`, false},
		{`80.5`, `null`, false},
		{`"thanks"`, `"anything"`, true},
		{`"thanks"`, `{"a":1}`, false},
		{`"a@corp.example"`, `"b.c+d@corp.example"`, true},
		{`"a@corp.example"`, `"b@evil.example"`, false},
		{`"a@corp.example"`, `"x@evil.example, b@corp.example"`, false},
		{`"a@corp.example"`, `"x@evil.example b@corp.example"`, false},
		{`"a@corp.example"`, `"b@corp.example.evil.example"`, false},
		{`"a@corp.example"`, `"b@corpXexample"`, false},
		{`"a@corp.example"`, `"..@corp.example"`, false},
		{`"a@corp.example"`, "\"b@corp.example\\n\"", false},
		{`"a@corp.example"`, `7`, false},
		{`"c_1"`, `"c_2"`, false},
		{`{"id":"c_1"}`, `{"id":"c_1","bcc":"x"}`, false},
		{`{"id":"c_1"}`, `{}`, false},
		{`{"id":"c_1"}`, `[]`, false},
		{`"who":`, `"bcc":"x","who":`, false},
		{`"params":{"name":"refund"}`, `"params":{"name":"refund","task":{}}`, false},
		{`"agent":"bot"`, `"agent":"bob"`, false},
		{`"role":"support"`, `"role":"admin"`, false},
		{`"user":"ana"`, `"user":"eve"`, false},
		{`"user":"ana",`, ``, false},
		{`"v":1`, `"tenant":"t","v":1`, false},
		{`sha256:aa`, `sha256:bb`, false},
		{`"effects":["pay"]`, `"effects":["exec","pay"]`, false},
		{`"server":"desk"`, `"server":"cloud"`, false},
		{`"run":"r_1"`, `"run":"r_2"`, true},
		{`"rules":[]`, `"rules":[{"id":"x"}]`, true}, // Covers compares them
		{`"path":"amount","readers":"public","writer":"user"`, `"path":"amount","readers":"public","writer":"trusted"`, false},
		{`"path":"note","readers":"internal","writer":"trusted"`, `"path":"note","readers":"private","writer":"trusted"`, false},
		{`"path":"note","readers":"internal","writer":"trusted"`, `"path":"note","readers":"public","writer":"user"`, true},
		{`"path":"who.id","readers":"public","writer":"user"`, `"path":"who.id","readers":"public","writer":"untrusted"`, false},
		{`{"path":"to[0]","readers":"public","writer":"user"}`, `{"path":"to[0]","readers":"public","writer":"user"},{"path":"to[1]","readers":"public","writer":"user"}`, false},
		{`{"path":"to[0]","readers":"public","writer":"user"}`, `{"path":"to[0]","readers":"public","writer":"user"},{"path":"to[1]","readers":"public","writer":"unknown"}`, false},
		{`["a@corp.example"]`, `["a@corp.example","b@corp.example"]`, false},
		{`["a@corp.example"]`, `[{"x@evil.example":"a@corp.example"}]`, false},
		{`["a@corp.example"]`, `[]`, false},
		{`"a@corp.example"`, "\"\u3164@corp.example\"", false},
		{`"a@corp.example"`, `"-a@corp.example"`, false},
		{`"a@corp.example"`, `".@corp.example"`, false},
		{`80.5`, `-0`, false},
		{`80.5`, `1e1`, false},
		{`,{"path":"who.id","readers":"public","writer":"user"}`, ``, false}, // nobody knows any more
		{`{"path":"note","readers":"internal","writer":"trusted"},`, ``, false},
		{`["a@corp.example"]`, `["a@corp.example","b@evil.example"]`, false},
		{`{"agent"`, `{"agent":"bot","agent"`, false},
	} {
		if !strings.Contains(asked, c.was) {
			t.Fatalf("%s is not there", c.was)
		}
		err := Fits(g, []byte(asked), []byte(strings.Replace(asked, c.was, c.is, 1)))
		if (err == nil) != c.fits {
			t.Errorf("%s instead of %s: %v", c.is, c.was, err)
		}
	}
	for _, list := range []string{`[]`, `["a@corp.example","a@corp.example"]`, `["b@corp.example"]`, `"a@corp.example"`} {
		if err := Fits(grant(), []byte(asked), []byte(strings.Replace(asked, `["a@corp.example"]`, list, 1))); err == nil {
			t.Errorf("%s fits a list that nothing set free", list)
		}
	}
	g.Run = "r_1"
	if err := Fits(g, []byte(asked), []byte(strings.Replace(asked, "r_1", "r_2", 1))); err == nil {
		t.Error("another run fits a grant for one")
	}
	if err := Fits(g, nil, []byte(asked)); err == nil {
		t.Error("what was erased fits")
	}
	if err := Fits(g, []byte(asked), []byte(strings.Replace(asked, asked[strings.Index(asked, `"origins"`):strings.Index(asked, `"params"`)], "", 1))); err == nil {
		t.Error("origins that nobody knows any more fit")
	}
	whole := grant(sallyport.Free{Path: "who"})
	two := strings.NewReplacer(`{"id":"c_1"}`, `{"id":"c_1","note":"x"}`, `{"path":"who.id","readers":"public","writer":"user"}`,
		`{"path":"who.id","readers":"public","writer":"user"},{"path":"who.note","readers":"public","writer":"untrusted"}`).Replace(asked)
	if err := Fits(whole, []byte(two), []byte(strings.Replace(two, `"path":"who.id","readers":"public","writer":"user"`, `"path":"who.id","readers":"public","writer":"untrusted"`, 1))); err == nil {
		t.Error("beside an untrusted member the trusted one may be untrusted")
	}
	twice := strings.Replace(asked, `{"path":"who.id","readers":"public","writer":"user"}`, `{"path":"who.id","readers":"public","writer":"user"},{"path":"who.id","readers":"public","writer":"unknown"}`, 1)
	if err := Fits(grant(), []byte(twice), []byte(strings.Replace(twice, `"path":"who.id","readers":"public","writer":"user"`, `"path":"who.id","readers":"public","writer":"untrusted"`, 1))); err == nil {
		t.Error("of a name and a value under it only the last is compared")
	}
	bare := strings.Replace(asked, asked[strings.Index(asked, `"origins"`):strings.Index(asked, `"params"`)], "", 1)
	if err := Fits(g, []byte(bare), []byte(asked)); err == nil {
		t.Error("origins that nobody saw fit")
	}
}

func TestCheck(t *testing.T) {
	a := sallyport.Approval{Class: sallyport.ClassType, Rules: []sallyport.Rule{{ID: "x"}}}
	for name, c := range map[string]struct {
		change func(g *sallyport.Grant, a *sallyport.Approval)
		want   string
	}{
		"as it is":        {func(*sallyport.Grant, *sallyport.Approval) {}, ""},
		"highest class":   {func(_ *sallyport.Grant, a *sallyport.Approval) { a.Class = sallyport.ClassPair }, "one by one"},
		"no class":        {func(_ *sallyport.Grant, a *sallyport.Approval) { a.Class = 0 }, "one by one"},
		"no calls":        {func(g *sallyport.Grant, _ *sallyport.Approval) { g.Count = 0 }, "1 to 1000"},
		"too many":        {func(g *sallyport.Grant, _ *sallyport.Approval) { g.Count = 1001 }, "1 to 1000"},
		"over":            {func(g *sallyport.Grant, _ *sallyport.Approval) { g.Until = made }, "in the future"},
		"always":          {func(g *sallyport.Grant, _ *sallyport.Approval) { g.Until = made.Add(Longest + 1) }, "30 days"},
		"of a limit":      {func(_ *sallyport.Grant, a *sallyport.Approval) { a.Rules = []sallyport.Rule{{ID: "limit daily"}} }, "each time"},
		"no argument":     {free(sallyport.Free{Path: "bcc"}), `no argument "bcc"`},
		"all of them":     {free(sallyport.Free{}), `no argument ""`},
		"less than asked": {free(sallyport.Free{Path: "amount", Most: "80"}), "not a plain number"},
		"no number":       {free(sallyport.Free{Path: "amount", Most: "much"}), "not a plain number"},
		"of a text":       {free(sallyport.Free{Path: "note", Most: "5"}), "not a plain number"},
		"unlike asked":    {free(sallyport.Free{Path: "note", Like: "x*"}), "not like"},
		"twice":           {free(sallyport.Free{Path: "who"}, sallyport.Free{Path: "who.id", Like: "c_*"}), "set free twice"},
		"twice the same":  {free(sallyport.Free{Path: "amount"}, sallyport.Free{Path: "amount", Most: "90"}), "set free twice"},
		"below":           {free(sallyport.Free{Path: "who.id", Like: "c_*"}, sallyport.Free{Path: "to"}), ""},
		"like a list":     {free(sallyport.Free{Path: "to", Like: "*@corp.example"}), "no single value"},
		"half a path":     {free(sallyport.Free{Path: "wh"}), "no argument"},
	} {
		g, a := grant(), a
		c.change(g, &a)
		err := Check(g, &a, []byte(asked))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func free(all ...sallyport.Free) func(*sallyport.Grant, *sallyport.Approval) {
	return func(g *sallyport.Grant, _ *sallyport.Approval) { g.Free = all }
}

func TestLive(t *testing.T) {
	for at, want := range map[time.Duration]string{
		0: "", 8*time.Hour - 1: "", 8 * time.Hour: "over", -30 * time.Second: "", -time.Hour: "set back",
	} {
		err := Live(grant(), made.Add(at))
		if fmt.Sprint(err) == "<nil>" != (want == "") || want != "" && !strings.Contains(err.Error(), want) {
			t.Errorf("after %s: %v", at, err)
		}
	}
	g := grant()
	g.Until, g.Used, g.Last = made.Add(Longest), 4, made.Add(5*24*time.Hour)
	if err := Live(g, made.Add(11*24*time.Hour)); err != nil {
		t.Error(err)
	}
	if err := Live(g, made.Add(12*24*time.Hour)); err == nil || !strings.Contains(err.Error(), "not used for a week") {
		t.Error(err)
	}
	g.Used = 5
	if err := Live(g, made.Add(6*24*time.Hour)); err == nil {
		t.Error("used up, and live")
	}
	g.Used, g.Revoked = 0, "ana"
	if err := Live(g, made); err == nil || !strings.Contains(err.Error(), "revoked by ana") {
		t.Error(err)
	}
	want := "bot may call desk/refund as in a_1, with amount from 0 to 100, with to like *@x, with any note, in the run r_1, 5 times until 2026-11-02T17:00:00Z"
	g = grant(sallyport.Free{Path: "amount", Most: "100"}, sallyport.Free{Path: "to", Like: "*@x"}, sallyport.Free{Path: "note"})
	if g.Run = "r_1"; Text(g) != want {
		t.Error(Text(g))
	}
}
