package sallyport

import (
	"bytes"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"
)

func fullEntry() Entry {
	return Entry{
		Index: 41, Prev: DigestOf([]byte("prev")), Time: time.Date(2026, 11, 22, 9, 8, 7, 654_000_000, time.UTC), Type: Intent,
		Call: "c_01", Parent: "c_00", Kind: KindTool, Server: "crm", Name: "refund", Action: "crm/tool:refund",
		Effects: []Effect{Pay, Send}, Door: "mcp/2026-07-28 http",
		Principal: Principal{Agent: "support-bot", Role: "support", User: "ada", Tenant: "north"},
		Run:       "r_1", ParentRun: "r_0", Trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		Tool: DigestOf([]byte("tool")), Args: DigestOf([]byte("args")), Result: DigestOf([]byte("result")),
		Policy: DigestOf([]byte("policy")), Verdict: Allow, Observed: true, Cause: CausePolicy,
		Reason: "because \"quoted\"\n\u2028 <é>", Rules: []string{"a", "b"}, Asks: []string{"finance"}, Origins: []string{"to: untrusted"},
		Labels:   []Label{LabelTask, LabelSawPrivate},
		Findings: []string{"order/override at note bytes 0-9"}, Modified: []string{"masked 1 secret/jwt"},
		Charges:  []string{"500 USD refunds until 2026-11-23T00:00:00.000Z of user=ada"},
		Approval: "ap_1", Approver: "grace", Class: ClassType, Read: 5 * time.Second, Outcome: OutcomeOK, Took: 1234 * time.Microsecond, Task: "t_1",
		Subject: "policy", By: "grace", Before: DigestOf([]byte("before")), After: DigestOf([]byte("after")),
	}
}

func TestEntryIdentity(t *testing.T) {
	for _, entry := range []Entry{
		fullEntry(),
		{Type: Change, Subject: "start"},
		{Type: Change, Subject: "run begun r_1", Run: "r_1", ParentRun: "r_0"},
		{Type: Refusal, Index: maxInteger, Verdict: Deny},
		{Type: Refusal, Verdict: Deny, Origins: []string{"iban: untrusted; mail/read_mail c_1"}},
		{Type: Closed, Outcome: OutcomeOK, Findings: []string{"secret/jwt"}},
		{Type: Intent, Verdict: Allow, Labels: []Label{LabelTaskless}},
		{Type: Closed, Outcome: OutcomeOK, Modified: []string{"neutralised"}},
		{Type: Closed, Outcome: OutcomeOK, Charges: []string{"0 calls burst until 2026-11-23T00:00:00.000Z"}},
		{Type: Held, Verdict: Hold, Approval: "a_1", Class: ClassPair},
		{Type: Change, Subject: "approval refused a_1", Read: time.Second, Took: time.Minute},
		{Type: Closed, Outcome: OutcomeUnknown, Took: time.Microsecond},
		{Type: Held, Verdict: Hold, Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		text := entry.AppendCanonical(nil)
		got, err := ParseEntry(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		entry.Time = entry.Time.UTC()
		if !reflect.DeepEqual(got, entry) {
			t.Errorf("%s parsed as %+v", text, got)
		}
	}
}

// Every field that the log must keep changes the bytes. A field added to
// Entry and forgotten in the canonical form fails here.
func TestEntryFieldsAreCommitted(t *testing.T) {
	omitted := map[string]bool{"Principal.Roles": true, "Principal.Groups": true, "Principal.Attributes": true}
	var check func(path string, of reflect.Value)
	full := fullEntry()
	whole := full.AppendCanonical(nil)
	check = func(path string, of reflect.Value) {
		for i := range of.NumField() {
			name := path + of.Type().Field(i).Name
			field := of.Field(i)
			if name == "Principal" {
				check("Principal.", field)
				continue
			}
			if omitted[name] {
				continue
			}
			if field.IsZero() {
				t.Errorf("%s is empty in the full entry", name)
			}
			kept := reflect.ValueOf(field.Interface())
			field.SetZero()
			if bytes.Equal(full.AppendCanonical(nil), whole) {
				t.Errorf("%s is not part of the canonical bytes", name)
			}
			field.Set(kept)
		}
	}
	check("", reflect.ValueOf(&full).Elem())
}

func TestEntryNamesAreSorted(t *testing.T) {
	entry := fullEntry()
	object, err := Parse(entry.AppendCanonical(nil))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range object.Members() {
		names = append(names, name)
	}
	if !sort.StringsAreSorted(names) {
		t.Errorf("not sorted: %v", names)
	}
}

func TestEntryCutsTime(t *testing.T) {
	entry := Entry{Type: Change, Time: time.Date(2026, 11, 22, 23, 30, 0, 1_999_999, time.FixedZone("", 3600)), Took: 1999}
	got, err := ParseEntry(entry.AppendCanonical(nil))
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 11, 22, 22, 30, 0, 1_000_000, time.UTC); got.Time != want || got.Took != time.Microsecond {
		t.Errorf("got %v, %v", got.Time, got.Took)
	}
}

// A class that nobody knows is the highest, and what is written can be read again.
func TestEntryOfAnUnknownClass(t *testing.T) {
	entry := Entry{Type: Held, Class: 9}
	if got, err := ParseEntry(entry.AppendCanonical(nil)); err != nil || got.Class != ClassPair {
		t.Errorf("%v, %v", got.Class, err)
	}
}

func TestParseEntryRefuses(t *testing.T) {
	entry := fullEntry()
	good := string(entry.AppendCanonical(nil))
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s has no %s", good, old)
		}
		return strings.Replace(good, old, new, 1)
	}
	older := entry
	older.Class, older.Read = 0, 0
	fourth := string(older.AppendCanonical(nil))
	older.Charges = nil
	third := string(older.AppendCanonical(nil))
	older.Findings, older.Labels, older.Modified = nil, nil, nil
	second := string(older.AppendCanonical(nil))
	for name, text := range map[string]string{
		"nothing":            "",
		"not an object":      "[]",
		"empty":              "{}",
		"space":              replace(`,"agent"`, `, "agent"`),
		"trailing newline":   good + "\n",
		"unknown name":       replace(`"index":41`, `"index":41,"indey":1`),
		"unsorted":           replace(`"index":41,"kind":"tool"`, `"kind":"tool","index":41`),
		"duplicate":          replace(`"index":41`, `"index":41,"index":41`),
		"later version":      replace(`"v":5`, `"v":6`),
		"member of v5 in v4": replace(`"v":5`, `"v":4`),
		"member of v4 in v3": strings.Replace(fourth, `"v":4`, `"v":3`, 1),
		"member of v3 in v2": strings.Replace(third, `"v":3`, `"v":2`, 1),
		"member of v2 in v1": strings.Replace(second, `"v":2`, `"v":1`, 1),
		"v5 without need":    strings.Replace(fourth, `"v":4`, `"v":5`, 1),
		"unknown class":      replace(`"class":2`, `"class":4`),
		"no class":           replace(`"class":2`, `"class":0`),
		"class beyond 8 bit": replace(`"class":2`, `"class":258`),
		"v4 without need":    strings.Replace(third, `"v":3`, `"v":4`, 1),
		"v3 without need":    strings.Replace(second, `"v":2`, `"v":3`, 1),
		"no version":         replace(`"v":5,`, ``),
		"no index":           replace(`"index":41,`, ``),
		"no time":            replace(`"time":"2026-11-22T09:08:07.654Z",`, ``),
		"float":              replace(`"index":41`, `"index":41.0`),
		"exponent":           replace(`"index":41`, `"index":4e1`),
		"negative":           replace(`"index":41`, `"index":-1`),
		"beyond 2^53":        replace(`"index":41`, `"index":9007199254740993`),
		"escaped letter":     replace(`"support-bot"`, `"support-\u0062ot"`),
		"escaped slash":      replace(`crm/tool`, `crm\/tool`),
		"empty member":       replace(`"task":"t_1"`, `"task":""`),
		"empty list":         replace(`["finance"]`, `[]`),
		"false":              replace(`"observed":true`, `"observed":false`),
		"unknown type":       replace(`"type":"intent"`, `"type":"intend"`),
		"unknown kind":       replace(`"kind":"tool"`, `"kind":"tooI"`),
		"unknown verdict":    replace(`"verdict":"allow"`, `"verdict":"Allow"`),
		"no verdict":         replace(`,"verdict":"allow"`, ``),
		"verdict of outcome": replace(`"type":"intent"`, `"type":"outcome"`),
		"capital digest":     strings.Replace(good, entry.Args.String(), strings.ToUpper(entry.Args.String()), 1),
		"zero digest":        strings.Replace(good, entry.Args.String(), "sha256:"+strings.Repeat("0", 64), 1),
		"short digest":       strings.Replace(good, entry.Args.String(), "sha256:00", 1),
		"time of offset":     replace(`.654Z`, `.654+00:00`),
		"time of micros":     replace(`.654Z`, `.654000Z`),
		"number for text":    replace(`"run":"r_1"`, `"run":1`),
		"text for list":      replace(`["finance"]`, `"finance"`),
		"too long":           replace(`"task":"t_1"`, `"task":"`+strings.Repeat("a", MaxEntry)+`"`),
	} {
		if got, err := ParseEntry([]byte(text)); err == nil {
			t.Errorf("%s: accepted %s as %+v", name, text, got)
		}
	}
}

func TestLeafHash(t *testing.T) {
	for _, size := range []int{0, 1, 2047, 2048, 70_000} {
		text := bytes.Repeat([]byte("x"), size)
		if got, want := LeafHash(text), DigestOf(append([]byte{0}, text...)); got != want {
			t.Errorf("%d bytes: %v", size, got)
		}
	}
}

func FuzzParseEntry(f *testing.F) {
	full := fullEntry()
	f.Add(full.AppendCanonical(nil))
	f.Add((&Entry{Type: Change}).AppendCanonical(nil))
	f.Add([]byte(`{"index":0,"time":"2026-11-22T09:08:07.654Z","type":"outcome","v":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		entry, err := ParseEntry(text)
		if err != nil {
			return
		}
		if got := entry.AppendCanonical(nil); !bytes.Equal(got, text) {
			t.Errorf("%s came back as %s", text, got)
		}
	})
}

func BenchmarkAppendCanonical(b *testing.B) {
	entry := fullEntry()
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = entry.AppendCanonical(dst[:0])
	}
	b.SetBytes(int64(len(dst)))
}

func BenchmarkParseEntry(b *testing.B) {
	entry := fullEntry()
	text := entry.AppendCanonical(nil)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := ParseEntry(text); err != nil {
			b.Fatal(err)
		}
	}
}
