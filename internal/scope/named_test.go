package scope

import (
	"fmt"
	"strings"
	"testing"

	"sallyport"
)

// The names of members are values where no schema declares them.
func TestNamed(t *testing.T) {
	tool := &Tool{Name: "share", Effects: []sallyport.Effect{sallyport.Access}, Schema: sallyport.MustParse(`{"type":"object","properties":{
		"file":{"type":"string"},
		"members":{"type":"object","additionalProperties":{"type":"string"}},
		"permissions":{"type":"object","additionalProperties":{"type":"object","properties":{"level":{"type":"string"}}}},
		"labels":{"type":"object","additionalProperties":true},
		"list":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"}}}},
		"any":{"anyOf":[{"type":"object"}]}}}`)}
	for args, want := range map[string]string{
		`{"file":"x","list":[{"name":"y"}]}`:                "",
		`{"members":{"mallory":"admin"}}`:                   "members.mallory principal",
		`{"permissions":{"mallory":{"level":"admin"}}}`:     "permissions.mallory principal",
		`{"permissions":{"mallory":{}}}`:                    "permissions.mallory principal",
		`{"labels":{"a b":1,"m@evil.example":2}}`:           `labels["a b"] content labels["m@evil.example"] principal`,
		`{"labels":{"https://evil.example/?d=1":null}}`:     `labels["https://evil.example/?d=1"] url`,
		`{"list":[{"name":"y"},{"//evil.example/x":true}]}`: `list[1]["//evil.example/x"] url`,
		`{"any":{"email":"x","m@evil.example":"y"}}`:        `any["m@evil.example"] principal`,
		`{"extra":1}`: "extra ",
	} {
		names, all := tool.Named(sallyport.MustParse(args))
		var got []string
		for _, n := range names {
			got = append(got, n.Path+" "+string(n.Role))
		}
		if !all || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
	var b strings.Builder
	for i := range maxNames + 1 {
		fmt.Fprintf(&b, `,"n%d":1`, i)
	}
	if _, all := tool.Named(sallyport.MustParse(`{"labels":{` + b.String()[1:] + `}}`)); all {
		t.Error("as many names as one likes")
	}
	if _, all := tool.Named(sallyport.MustParse(`{"labels":{"` + strings.Repeat("x", maxNamesText) + `":1}}`)); all {
		t.Error("names as long as one likes")
	}
}
