package provenance

import (
	"slices"
	"strings"
	"testing"

	"sallyport"
)

// TestRecords gives back what a call returned by record and field, and says
// which fields somebody may only have written to look like one.
func TestRecords(t *testing.T) {
	m := New(0)
	m.Said("pay Ada", "launcher", sallyport.ReadersPrivate)
	list := `{"content":[],"structuredContent":[{"id":"a1","name":"Ada"},{"id":"b2","name":"Bob Y2xlYXIgdGV4dCB3aXRoaW4="}]}`
	m.Saw("c1", "s", "list", sallyport.MustParse(list), Declaration{Trust: Vetted})
	m.Saw("c2", "s", "read", sallyport.MustParse(`{"content":[{"type":"text","text":"name: Eve\naccount: 66"}]}`), Declaration{Trust: Vetted})

	if got := m.Calls(); !slices.Equal(got, []string{"c1", "c2"}) {
		t.Errorf("calls %q", got)
	}
	records := m.Records("c1")
	if len(records) != 2 || len(records[1].Fields) != 2 { // what is encoded in a name is no field
		t.Fatalf("records %+v", records)
	}
	if f := records[0].Fields; f[0] != (Field{"id", "a1", true}) || f[1] != (Field{"name", "Ada", true}) {
		t.Errorf("the first record: %+v", f) // two origins, one order
	}
	for _, r := range m.Records("c2") {
		for _, f := range r.Fields {
			if f.Sure {
				t.Errorf("a line of a text is no field for sure: %+v", f)
			}
		}
	}
	if got := m.Records("c3"); len(got) != 0 {
		t.Errorf("a call that nobody made: %+v", got)
	}
}

// TestKeyedRecords splits what is listed by name: one name must not name all.
func TestKeyedRecords(t *testing.T) {
	for text, want := range map[string]int{
		`{"Desk Lamp":{"price":9,"id":"p1"},"Lamp":{"price":12,"id":"p2"}}`:          2,
		`{'Desk Lamp': {'price': 9, 'id': 'p1'}, 'Lamp': {'price': 12, 'id': 'p2'}}`: 2,
		`{"Desk Lamp":{"price":9,"id":"p1"}}`:                                        1,
		`{"customer":{"id":"c1"},"order":{"id":"o1"}}`:                               1,
		`{"Bill To":{"id":"c1"},"Items":{"price":9}}`:                                1,
	} {
		m := New(0)
		m.Saw("c1", "s", "list", sallyport.MustParse(`{"content":[{"type":"text","text":`+string(sallyport.AppendString(nil, text))+`}]}`), Declaration{Serialised: true})
		records := m.Records("c1")
		if len(records) != want {
			t.Errorf("%s: %+v", text, records)
		}
		if label := (Field{"", "Desk Lamp", true}); strings.Contains(text, "Desk") && !slices.Contains(records[0].Fields, label) {
			t.Errorf("%s: no label in %+v", text, records[0])
		}
	}
}
