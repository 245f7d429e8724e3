package sallyport_test

import (
	"slices"
	"strings"
	"testing"

	"sallyport"
	"sallyport/internal/policy/source"
)

func TestWeakerOriginTakesTheWeakerOfEach(t *testing.T) {
	user := sallyport.Origin{Writer: sallyport.WriterUser, Readers: sallyport.ReadersPrivate}
	page := sallyport.Origin{Writer: sallyport.WriterUntrusted, Readers: sallyport.ReadersPublic}
	want := sallyport.Origin{Writer: sallyport.WriterUntrusted, Readers: sallyport.ReadersPrivate}
	if got := user.Weaker(page); got != want {
		t.Errorf("Weaker = %v, want %v", got, want)
	}
	if got := page.Weaker(user); got != want {
		t.Errorf("Weaker the other way = %v, want %v", got, want)
	}
}

func TestNamesOfOriginsAreReadBack(t *testing.T) {
	for w := sallyport.WriterUnknown; w <= sallyport.WriterUser; w++ {
		if got := sallyport.WriterOf(w.String()); got != w {
			t.Errorf("WriterOf(%q) = %v", w, got)
		}
	}
	for r := sallyport.ReadersPrivate; r <= sallyport.ReadersPublic; r++ {
		if got := sallyport.ReadersOf(r.String()); got != r {
			t.Errorf("ReadersOf(%q) = %v", r, got)
		}
	}
	if w, r := sallyport.WriterOf("User"), sallyport.ReadersOf("everybody"); w != sallyport.WriterUnknown || r != sallyport.ReadersPrivate {
		t.Errorf("unknown names give %v and %v, want the weakest", w, r)
	}
	if w, r := sallyport.Writer(9).String(), sallyport.Readers(9).String(); w != "unknown" || r != "private" {
		t.Errorf("unknown values are called %q and %q, want the weakest", w, r)
	}
}

func TestLeavesAreFoundWithTheirPaths(t *testing.T) {
	v := sallyport.MustParse(`{"to":[{"email":"a"},"b"],"a b":{"c":1,"":[true,[null]]},"none":{},"x":[]}`)
	var got []string
	for path, leaf := range v.Leaves() {
		got = append(got, string(path)+"="+string(leaf.Raw()))
	}
	want := []string{`to[0].email="a"`, `to[1]="b"`, `["a b"].c=1`, `["a b"][""][0]=true`, `["a b"][""][1][0]=null`}
	if !slices.Equal(got, want) {
		t.Errorf("leaves\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for path, leaf := range sallyport.MustParse(`"alone"`).Leaves() {
		if len(path) != 0 || !leaf.IsText("alone") {
			t.Errorf("a leaf alone is %q = %s", path, leaf.Raw())
		}
	}
	for range (sallyport.Value{}).Leaves() {
		t.Error("an absent value has a leaf")
	}
	for range v.Leaves() {
		break // and nothing is yielded behind it
	}
}

func TestPathsOfLeavesAreWrittenAsPoliciesWriteThem(t *testing.T) {
	for _, name := range []string{"to", "_x9", "9x", "a b", "a.b", "a[0]", "é", "say \"hi\"", `back\slash`, "two\nlines", ""} {
		v := sallyport.MustParse(`{` + string(sallyport.AppendString(nil, name)) + `:{"y":1}}`)
		for path := range v.Leaves() {
			if want := source.PathText([]string{name, "y"}); string(path) != want {
				t.Errorf("path of %q is %s, want %s", name, path, want)
			}
		}
	}
}
