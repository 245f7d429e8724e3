package aside

import (
	"slices"
	"strings"
	"testing"

	"sallyport/internal/policy"
)

func TestSet(t *testing.T) {
	for _, c := range []struct {
		name, rule string
		late       bool
	}{
		{"a permit for all", `permit (principal, action, resource);`, false},
		{"a forbid for all", `forbid (principal, action, resource);`, false},
		{"an effect", `forbid (principal, action in Action::"effect:pay", resource);`, false},
		{"another server", `permit (principal, action, resource == Server::"desk");`, false},
		{"an action of another server", `permit (principal, action == Action::"desk/tool:refund", resource);`, false},
		{"the server", `permit (principal, action, resource == Server::"late");`, true},
		{"a forbid about the server", `forbid (principal, action, resource in Server::"late");`, true},
		{"a question about it", `@id("x") @ask("finance") forbid (principal, action, resource == Server::"late") when { true };`, true},
		{"its action", `forbid (principal, action == Action::"late/tool:x", resource);`, true},
		{"its actions", `forbid (principal, action in Action::"server:late", resource);`, true},
		{"several of its actions", `forbid (principal, action in [Action::"late/tool:x", Action::"late/prompt:y", Action::"server:later"], resource);`, true},
		{"its action and another's, permitted", `permit (principal, action in [Action::"late/tool:x", Action::"desk/tool:refund"], resource);`, true},
		{"its action and another's, forbidden", `forbid (principal, action in [Action::"late/tool:x", Action::"desk/tool:refund"], resource);`, false},
		{"its action and an effect, forbidden", `forbid (principal, action in [Action::"late/tool:x", Action::"effect:pay"], resource);`, false},
		{"a server whose name begins alike", `permit (principal, action == Action::"latest/tool:x", resource);`, false},
		{"an effect of its name", `permit (principal, action in Action::"effect:late", resource);`, false},
		{"nothing at all", `permit (principal, action in [], resource);`, false},
		{"another kind of that name", `permit (principal, action == Server::"late", resource == Role::"late");`, false},
	} {
		const before, after = "// first\npermit (principal, action == Action::\"a/tool:b\", resource);\n\n", "\nforbid (principal, action, resource == Server::\"z\"); // last\n"
		kept, late := Set([]policy.File{{Name: "p.cedar", Text: []byte(before + c.rule + after)}}, []string{"late", "later"})
		text := string(kept[0].Text)
		if len(text) != len(before+c.rule+after) || strings.Count(text, "\n") != strings.Count(before+c.rule+after, "\n") {
			t.Errorf("%s: places have moved", c.name)
		}
		if !strings.HasPrefix(text, before) || !strings.HasSuffix(text, after[1:]) {
			t.Errorf("%s: other rules changed:\n%s", c.name, text)
		}
		if gone := !strings.Contains(text, c.rule); gone != c.late || gone != (len(late) == 1 && strings.TrimSpace(late[0]) == c.rule) {
			t.Errorf("%s: set aside: %v, %q", c.name, gone, late)
		}
	}
}

// A file that is broken stays whole, so that its problems are told.
func TestSetBroken(t *testing.T) {
	files := []policy.File{
		{Name: "a.cedar", Text: []byte("permit (principal, action, resource == Server::\"late\");\nnonsense;")},
		{Name: "b.cedar", Text: []byte("permit (principal, action, resource == Server::\"late\");")},
	}
	was := string(files[1].Text)
	kept, late := Set(files, []string{"late"})
	if string(kept[0].Text) != string(files[0].Text) || len(late) != 1 || strings.TrimSpace(string(kept[1].Text)) != "" {
		t.Errorf("%q %q", kept, late)
	}
	if string(files[1].Text) != was {
		t.Error("the files that were given changed")
	}
	if kept, late := Set(files, nil); late != nil || !slices.EqualFunc(kept, files, func(a, b policy.File) bool { return string(a.Text) == string(b.Text) }) {
		t.Error("nobody is late")
	}
}
