package main

import (
	"strings"

	"sallyport"
	"sallyport/internal/scope"
)

type memory struct {
	said    []string
	results map[string][]scope.Record
	order   []string
	where   map[string][2]string
}

func newMemory() *memory {
	return &memory{results: map[string][]scope.Record{}, where: map[string][2]string{}}
}

func (m *memory) Said(text string) { m.said = append(m.said, text) }

func (m *memory) Saw(call, server, tool, text string, asked, asText bool) {
	m.order = append(m.order, call)
	m.where[call] = [2]string{server, tool}
	v, err := sallyport.Parse([]byte(text))
	if err != nil || asText {
		m.results[call] = []scope.Record{{Fields: []scope.Field{{Path: "", Text: text}}, Asked: asked}}
		return
	}
	var records []scope.Record
	one := func(v sallyport.Value) {
		r := scope.Record{Asked: asked}
		for path, leaf := range v.Leaves() {
			t, ok := leaf.Text()
			if !ok {
				t = string(leaf.Raw())
			}
			r.Fields = append(r.Fields, scope.Field{Path: string(path), Text: t})
		}
		records = append(records, r)
	}
	if v.Type() == sallyport.Array {
		for _, item := range v.Items() {
			one(item)
		}
	} else {
		one(v)
	}
	m.results[call] = records
}

func (m *memory) Calls() []string { return m.order }

func (m *memory) Records(call string) []scope.Record { return m.results[call] }

func (m *memory) Trace(args sallyport.Value) []sallyport.Trace {
	var all []sallyport.Trace
	for path, leaf := range args.Leaves() {
		t, ok := leaf.Text()
		if !ok {
			t = string(leaf.Raw())
		}
		all = append(all, m.trace(string(path), t, ok))
	}
	return all
}

func (m *memory) trace(path, text string, str bool) sallyport.Trace {
	t := sallyport.Trace{Path: path}
	low := strings.ToLower(strings.TrimSpace(text))
	low = strings.TrimSuffix(low, ".0")
	for _, s := range m.said {
		if low != "" && bounded(strings.ToLower(s), low) {
			t.Origin.Writer = sallyport.WriterUser
			return t
		}
	}
	for _, call := range m.order {
		for i, r := range m.results[call] {
			for _, f := range r.Fields {
				ft := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(f.Text)), ".0")
				if ft == low || str && len(low) > 3 && bounded(ft, low) || !str && len(low) > 1 && bounded(ft, low) {
					t.Sources = append(t.Sources, sallyport.Source{Call: call, Server: m.where[call][0], Tool: m.where[call][1], Record: i, Field: f.Path, Start: 0, End: len(low), Origin: sallyport.Origin{Writer: sallyport.WriterUntrusted}})
					t.Origin.Writer = sallyport.WriterUntrusted
				}
			}
		}
	}
	return t
}

func bounded(s, sub string) bool {
	for from := 0; ; {
		i := strings.Index(s[from:], sub)
		if i < 0 {
			return false
		}
		i += from
		ok := func(k int) bool {
			return k < 0 || k >= len(s) || !(s[k] >= 'a' && s[k] <= 'z' || s[k] >= '0' && s[k] <= '9')
		}
		if ok(i-1) && ok(i+len(sub)) {
			return true
		}
		from = i + 1
	}
}
