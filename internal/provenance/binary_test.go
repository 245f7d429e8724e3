package provenance

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"sallyport"
)

// lived is a memory with something of everything.
func lived(t testing.TB) *Memory {
	t.Helper()
	m := New(256 << 10)
	m.Said("write to bob@example.com about the caf\u00e9", "hook", sallyport.ReadersInternal)
	m.Saw("c_1", "mail", "list_emails", structuredResult(`[{"id":"77aa","body":"a%20b &amp; c \u200bd, and YWNjb3VudCBERTg5MzcwNDAwNDQ="},{"id":"78bb","body":"x"}]`), ours)
	m.Saw("c_2", "files", "read", textResult("title: hello: there\nsize: 3\n"), Declaration{Readers: sallyport.ReadersPublic})
	m.Missed("web", "fetch", Declaration{Readers: sallyport.ReadersInternal})
	return m
}

func TestAMemorySurvivesARestart(t *testing.T) {
	m := lived(t)
	data, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var again Memory
	if err := again.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Labels(), m.Labels()) || again.Size() != m.Size() {
		t.Errorf("labels %+v of %d bytes, were %+v of %d", again.Labels(), again.Size(), m.Labels(), m.Size())
	}
	for _, value := range []string{"bob@example.com", "a b & c", "DE8937040044", "77aa", "hello: there", "never seen at all", "café"} {
		if got, want := leaf(&again, "x", "y", value), leaf(m, "x", "y", value); !reflect.DeepEqual(got, want) {
			t.Errorf("%q is traced to\n%+v, was\n%+v", value, got, want)
		}
	}
	if !reflect.DeepEqual(again.Records("c_1"), m.Records("c_1")) || !slices.Equal(again.Calls(), m.Calls()) {
		t.Errorf("records %+v, were %+v", again.Records("c_1"), m.Records("c_1"))
	}
	same, _ := again.MarshalBinary()
	if string(same) != string(data) {
		t.Error("the same memory has two binary forms")
	}
	again.Saw("c_3", "web", "read", textResult("and life goes on: XK9977AA"), Declaration{})
	if got := leaf(&again, "x", "y", "XK9977AA"); got.Origin.Writer != untrusted || len(got.Sources) != 1 {
		t.Errorf("after the restart nothing is learned: %+v", got)
	}
}

func TestADamagedMemoryIsTheStrictest(t *testing.T) {
	data, _ := lived(t).MarshalBinary()
	sealed := func(body []byte) []byte { return append(body, digest(body)...) }
	body := data[:len(data)-32]
	for name, damaged := range map[string][]byte{
		"nothing":              nil,
		"cut":                  data[:len(data)-1],
		"a bit":                append(append(slices.Clone(data[:40]), data[40]^1), data[41:]...),
		"another version":      sealed(append([]byte{binaryVersion + 1}, body[1:]...)),
		"cut and sealed again": sealed(slices.Clone(body[:len(body)-3])),
		"more behind":          sealed(append(slices.Clone(body), 0)),
		"a limit of nothing":   sealed([]byte{binaryVersion, 0}),
	} {
		m := New(0)
		if err := m.UnmarshalBinary(damaged); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if l := m.Labels(); !l.SawUntrusted || !l.SawPrivate || !l.More {
			t.Errorf("%s: labels %+v", name, l)
		}
		if got := leaf(m, "x", "y", "whatever was seen"); got.Origin != (sallyport.Origin{Writer: untrusted, Readers: sallyport.ReadersPrivate}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	data, _ := lived(f).MarshalBinary()
	f.Add(data[:len(data)-32])
	f.Add([]byte{binaryVersion, 0x80, 0x80, 4})
	f.Fuzz(func(t *testing.T, body []byte) {
		var m Memory
		if err := m.UnmarshalBinary(append(slices.Clone(body), digest(body)...)); err == nil {
			if m.Size() > m.limit+m.limit/8 {
				t.Errorf("the memory takes %d bytes of %d", m.Size(), m.limit)
			}
			again, _ := m.MarshalBinary()
			if err := new(Memory).UnmarshalBinary(again); err != nil {
				t.Errorf("what was read can't be written: %v", err)
			}
		}
		m.Trace("x", sallyport.MustParse(`{"a":"bob@example.com"}`))
	})
}
