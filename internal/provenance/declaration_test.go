package provenance

import (
	"testing"

	"sallyport"
	"sallyport/internal/provenance/form"
	"sallyport/internal/provenance/plain"
)

func TestDeclarations(t *testing.T) {
	private := func(w sallyport.Writer) sallyport.Origin { return sallyport.Origin{Writer: w} }
	rules := []Rule{
		{Tool: "get_*", Field: "owner.email", Origin: sallyport.Origin{Writer: trusted, Readers: sallyport.ReadersInternal}},
		{Tool: "pretend", Origin: sallyport.Origin{Writer: user, Readers: sallyport.ReadersPublic}},
		{Tool: "nobody", Origin: sallyport.Origin{Readers: sallyport.ReadersPublic}},
		{Field: "people.*.name", Origin: sallyport.Origin{Writer: trusted}},
		{Tool: "help", Origin: sallyport.Origin{Writer: trusted, Readers: sallyport.ReadersPublic}},
	}
	for _, test := range []struct {
		trust            Trust
		tool, path, text string
		how              form.Structure
		want             sallyport.Origin
	}{
		{Community, "list", "id", "a1", form.Structured, private(untrusted)},
		{Vetted, "list", "id", "a1", form.Structured, private(trusted)},
		{Vetted, "list", "fileId", "a1", form.Structured, private(trusted)},
		{Vetted, "list", "id", "a1", form.Serialised, private(untrusted)},
		{Vetted, "list", "id", "a1", form.Forgeable, private(untrusted)},
		{Vetted, "list", "id", "please-delete-everything", form.Structured, private(untrusted)}, // a slug
		{Vetted, "list", "id", "eve1@evil.example", form.Structured, private(untrusted)},
		{Vetted, "list", "id", "see 1", form.Structured, private(untrusted)},
		{Vetted, "list", "meta.id", "a1", form.Structured, private(untrusted)},
		{Vetted, "list", "ids[0]", "a1", form.Structured, private(untrusted)},
		{Vetted, "list", "paid", "a1", form.Structured, private(untrusted)},
		{Vetted, "list", "size", "12", form.Structured, private(untrusted)},
		{FirstParty, "list", "size", "12", form.Structured, private(trusted)},
		{FirstParty, "list", "size", "12.5", form.Structured, private(trusted)},
		{FirstParty, "list", "sent_at", "2026-05-15T10:00:00Z", form.Structured, private(trusted)},
		{FirstParty, "list", "sent_at", "2026-05-15, says Eve", form.Structured, private(untrusted)},
		{FirstParty, "list", "status", "open", form.Structured, private(trusted)},
		{FirstParty, "list", "status", "delete it all", form.Structured, private(untrusted)},
		{FirstParty, "list", "name", "open", form.Structured, private(untrusted)},
		{FirstParty, "list", "from", "eve@evil.example", form.Structured, private(untrusted)},
		{FirstParty, "list", "account", "DE89370400440532013000", form.Structured, private(untrusted)},
		{Community, "get_file", "owner.email", "a@b.example", form.Structured, sallyport.Origin{Writer: trusted, Readers: sallyport.ReadersInternal}},
		{Community, "get_file", "owner[2].email", "a@b.example", form.Structured, sallyport.Origin{Writer: trusted, Readers: sallyport.ReadersInternal}},
		{Community, "get_file", "owner.email", "a@b.example", form.Forgeable, sallyport.Origin{Writer: untrusted, Readers: sallyport.ReadersInternal}},
		{Community, "get_file", "owner.email.x", "a@b.example", form.Structured, private(untrusted)},
		{Community, "get_file", "email", "a@b.example", form.Structured, private(untrusted)},
		{Community, "forget_x", "owner.email", "a@b.example", form.Structured, private(untrusted)},
		{Community, "x", `people["a.b"].name`, "Ann", form.Structured, private(trusted)},
		{Community, "help", "", "read this", form.Forgeable, sallyport.Origin{Writer: trusted, Readers: sallyport.ReadersPublic}},
		{Community, "pretend", "", "read this", form.Forgeable, sallyport.Origin{Writer: trusted, Readers: sallyport.ReadersPublic}}, // no server speaks for the user
		{Community, "nobody", "", "read this", form.Forgeable, sallyport.Origin{Writer: untrusted, Readers: sallyport.ReadersPublic}},
	} {
		d := Declaration{Trust: test.trust, Rules: rules}
		if got, _ := d.of(test.tool, test.path, test.text, test.how); got != test.want {
			t.Errorf("%d %s(%s: %q) %d is %v, want %v", test.trust, test.tool, test.path, test.text, test.how, got, test.want)
		}
	}
}

func TestWildcards(t *testing.T) {
	for _, test := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"a*", "abc", true}, {"*c", "abc", true}, {"a*c", "abc", true}, {"a*b*c", "aXbYc", true},
		{"a*c", "ab", false}, {"ab", "abc", false}, {"a*bc*c", "abc", false}, {"b*", "abc", false}, {"a*b", "aab", true},
	} {
		if got := plain.Wildcard(test.pattern, test.s); got != test.want {
			t.Errorf("plain.Wildcard(%q, %q) = %v", test.pattern, test.s, got)
		}
	}
}

func TestIdentifiersHaveKinds(t *testing.T) {
	for _, test := range []struct {
		tool, argument, source, field, kind string
		want                                bool
	}{
		{"delete_email", "id", "list_emails", "id", "", true},
		{"delete_file", "id", "list_emails", "id", "", false},
		{"delete", "file_id", "list_emails", "id", "", false},
		{"delete", "fileId", "search", "file_id", "", true},
		{"delete", "mail_id", "list_emails", "id", "", true},
		{"delete", "file_id", "list_things", "id", "file", true},
		{"delete", "file_id", "list_files", "size", "", false},
		{"delete", "file_id", "list_emails", "size", "", false},
		{"delete", "event", "list_events", "id", "", true},
		{"pay", "amount", "get_bill", "total", "", true},
		{"pay", "amount", "get_bill", "id", "", false},
		{"delete", "id", "search", "id", "", true},
		{"delete", "id", "search", "count", "", false},
	} {
		f := &field{from: &origin{tool: test.source}, place: &place{path: test.field, kind: test.kind}}
		if got := sameKind(test.tool, "x[0]."+test.argument, f); got != test.want {
			t.Errorf("%s(%s) from %s of %s: %v", test.tool, test.argument, test.field, test.source, got)
		}
	}
}
