// Package provenance is a run's memory: what the user said, what results held
// and who could have written it, and where each argument of an outgoing call
// came from. It is pure: no clock, no I/O, no goroutine. Whatever it forgets
// or can't read only ever adds taint.
package provenance

import (
	"slices"
	"strings"
	"unicode/utf8"

	"sallyport"
	"sallyport/internal/provenance/bloom"
	"sallyport/internal/provenance/plain"
)

// DefaultLimit is how many bytes of memory a run may take.
const DefaultLimit = 8 << 20

const (
	minLimit   = 64 << 10
	maxSeen    = 256 // sources that the labels name
	saidShare  = 4   // the user's words may take one part of so many
	textShare  = 8   // … and one text, whose index takes several times its bytes
	maxWritten = 256 // bytes of a name that a source keeps
)

// Memory is what one run has seen. It is not safe for concurrent use. The zero
// Memory can't be used; New makes one.
type Memory struct {
	limit    int
	shelves  []*shelf // one per origin, in the order of their first use
	seq      uint64
	messages int32
	labels   Labels
	lost     bool             // something was forgotten
	lostFrom sallyport.Origin // the weakest of what was
	filter   *bloom.Filter
}

// Labels are what a run has been in touch with. They never shrink but by
// Clear.
type Labels struct {
	SawUntrusted bool // text that others can write
	SawPrivate   bool // values that not everybody in the organisation may read
	Sources      []Seen
	More         bool // there were more sources than are kept
}

// Seen is one tool whose results a run has seen, with the weakest origin that
// one of them had.
type Seen struct {
	Server, Tool string
	Origin       sallyport.Origin
}

// New makes the empty memory of a run that may take this many bytes;
// 0 is DefaultLimit.
func New(limit int) *Memory {
	if limit == 0 {
		limit = DefaultLimit
	}
	return &Memory{limit: max(limit, minLimit), filter: new(bloom.Filter)}
}

// Said remembers words of the user; strength says how they reached us, readers
// for whom they are. Nobody but the user may have written them: that is the
// caller's to know.
func (m *Memory) Said(text, strength string, readers sallyport.Readers) {
	from := &origin{strength: short(strength), message: m.messages}
	m.messages++
	o := sallyport.Origin{Writer: sallyport.WriterUser, Readers: readers}
	m.remember(o, field{from: from, place: &place{}, record: from.message}, text)
	m.trim()
}

// Saw remembers the result of a call. Names longer than 256 bytes are cut.
func (m *Memory) Saw(call, server, tool string, result sallyport.Value, d Declaration) {
	from := &origin{call: short(call), server: short(server), tool: short(tool)}
	places := map[place]*place{}
	s := splitter{yield: func(c cell) {
		at := place{path: short(c.path), sure: d.sure(c.how)}
		if c.quiet && d.names(at.path) {
			return
		}
		o, kind := d.of(tool, at.path, c.text, c.how)
		if at.kind = kind; kind == "" {
			at.kind = c.container
		}
		m.see(from, o)
		m.remember(o, field{from: from, place: intern(places, at), record: int32(c.record)}, c.text)
	}}
	s.result(result)
	m.trim()
}

const maxPlaces = 1024 // of one result that are shared

// intern gives the same place for the same path, so that the records of a
// result do not each keep their own.
func intern(places map[place]*place, at place) *place {
	if known, ok := places[at]; ok {
		return known
	}
	kept := at
	if len(places) < maxPlaces {
		places[at] = &kept
	}
	return &kept
}

// Missed takes note of a result that the run may have seen and we have not,
// such as that of a call during which the gateway died: the run gets the
// strictest labels that the result could have had.
func (m *Memory) Missed(server, tool string, d Declaration) {
	worst := sallyport.Origin{Writer: sallyport.WriterUntrusted, Readers: d.Readers}
	for i := range d.Rules {
		if r := &d.Rules[i]; r.Tool == "" || plain.Wildcard(r.Tool, tool) {
			worst = worst.Weaker(sallyport.Origin{Writer: sallyport.WriterUntrusted, Readers: r.Origin.Readers})
		}
	}
	m.see(&origin{server: short(server), tool: short(tool)}, worst)
	m.forget(worst)
}

// Absorb adds the labels of another run whose words this one has read, without
// those words.
func (m *Memory) Absorb(l Labels) {
	if !l.SawUntrusted && !l.SawPrivate && len(l.Sources) == 0 && !l.More {
		return
	}
	m.labels.SawUntrusted = m.labels.SawUntrusted || l.SawUntrusted
	m.labels.SawPrivate = m.labels.SawPrivate || l.SawPrivate
	m.labels.More = m.labels.More || l.More
	lost := sallyport.Origin{Writer: sallyport.WriterTrusted, Readers: sallyport.ReadersPublic}
	if l.SawUntrusted {
		lost.Writer = sallyport.WriterUntrusted
	}
	if l.SawPrivate {
		lost.Readers = sallyport.ReadersPrivate
	}
	for _, s := range l.Sources {
		m.see(&origin{server: short(s.Server), tool: short(s.Tool)}, s.Origin)
		lost = lost.Weaker(s.Origin)
	}
	m.forget(lost)
}

// Clear is the operator's act: the run has seen nothing any more. The user's
// words go as well.
func (m *Memory) Clear() { *m = *New(m.limit) }

// Labels are the run's labels, the caller's to keep.
func (m *Memory) Labels() Labels {
	l := m.labels
	l.Sources = slices.Clone(l.Sources)
	return l
}

// Forgot reports whether something was evicted, and the weakest origin of what
// was: an argument that is found nowhere may have come from there.
func (m *Memory) Forgot() (weakest sallyport.Origin, any bool) { return m.lostFrom, m.lost }

// Size is how many bytes of memory the run takes, as counted.
func (m *Memory) Size() int {
	size := 0
	for _, s := range m.shelves {
		size += s.cost
	}
	return size
}

// Child is the memory that a child run begins with: all that this one has.
func (m *Memory) Child() *Memory {
	c := *m
	c.labels = m.Labels()
	c.filter = m.filter.Clone()
	c.shelves = make([]*shelf, len(m.shelves))
	for i, s := range m.shelves {
		c.shelves[i] = s.clone(c.filter)
	}
	return &c
}

// see adds one value's origin to the labels.
func (m *Memory) see(from *origin, o sallyport.Origin) {
	if o.Writer <= sallyport.WriterUntrusted {
		m.labels.SawUntrusted = true
	}
	if o.Readers == sallyport.ReadersPrivate {
		m.labels.SawPrivate = true
	}
	for i := len(m.labels.Sources) - 1; i >= 0; i-- {
		if s := &m.labels.Sources[i]; s.Server == from.server && s.Tool == from.tool {
			s.Origin = s.Origin.Weaker(o)
			return
		}
	}
	if len(m.labels.Sources) >= maxSeen {
		m.labels.More = true
		return
	}
	m.labels.Sources = append(m.labels.Sources, Seen{from.server, from.tool, o})
}

func (m *Memory) forget(o sallyport.Origin) {
	if !m.lost {
		m.lost, m.lostFrom = true, o
		return
	}
	m.lostFrom = m.lostFrom.Weaker(o)
}

func (m *Memory) shelf(o sallyport.Origin) *shelf {
	for _, s := range m.shelves {
		if s.origin == o {
			return s
		}
	}
	s := &shelf{origin: o, filter: m.filter, number: len(m.shelves)}
	m.shelves = append(m.shelves, s)
	return s
}

// remember puts a text and what is encoded within it on a shelf.
func (m *Memory) remember(o sallyport.Origin, f field, text string) {
	share := m.limit / textShare
	if len(text) > share { // only the beginning: the rest is forgotten at once
		for share > 0 && !utf8.RuneStart(text[share]) {
			share--
		}
		text = text[:share]
		m.forget(o)
	}
	p := plain.Undo(text)
	if p.Via != 0 {
		f.decoded = &decoded{shifts: p.Shifts, via: p.Via}
		if strings.Contains(text, "://") {
			f.decoded.sent = strings.Clone(text)
		}
	}
	m.put(o, f, p.Text)
	m.rememberHidden(o, f, p.Text, plain.MaxNesting)
	if tagged := plain.Tagged(text); len(tagged) >= minHidden {
		m.rememberInner(o, f, plain.Hidden{Text: tagged, Start: 0, End: len(p.Text), Via: plain.ViaInvisible}, plain.MaxNesting)
	}
}

// rememberHidden remembers what is encoded within the text of a field, each
// layer shorter than the one around it.
func (m *Memory) rememberHidden(o sallyport.Origin, outer field, text string, layers int) {
	if layers == 0 {
		return
	}
	inner := func(h plain.Hidden) { m.rememberInner(o, outer, h, layers) }
	plain.Reveal(text, minHidden, inner)
	plain.Spelled(text, minHidden, inner)
}

func (m *Memory) rememberInner(o sallyport.Origin, outer field, h plain.Hidden, layers int) {
	p := plain.Undo(h.Text)
	base, until := outer.sent(h.Start, h.End)
	inner := outer
	inner.decoded = &decoded{via: outer.via() | p.Via | h.Via, base: int32(base), until: int32(until)}
	m.put(o, inner, p.Text)
	m.rememberHidden(o, inner, p.Text, layers-1)
}

// minHidden is how long encoded text in results must be to be decoded.
const minHidden = 12

func (m *Memory) put(o sallyport.Origin, f field, text string) {
	s := m.shelf(o)
	if uint64(s.texts.next())+uint64(len(text)) >= maxAddress {
		for len(s.fields) > 0 { // gigabytes went by: forget all rather than mix addresses up
			m.evict(s)
		}
		*s = shelf{origin: o, filter: m.filter, number: s.number}
	}
	m.seq++
	f.seq = m.seq
	text = strings.ReplaceAll(text, "\xFF", "\xFE") // plain.Edge is ours; no text in UTF-8 has either
	scratch := scratches.Get().(*marks)
	defer scratches.Put(scratch)
	list := scratch.of(text)
	if m.filter.Full(len(list)) {
		m.refilter(len(list))
	}
	s.add(f, text, list)
	if s.pushed {
		s.pushed = false
		m.forget(o)
	}
	if m.Size() > m.limit+m.limit/8 { // a result of many fields is trimmed on its way
		m.trim()
	}
}

// refilter makes the filter of the keys that are left, with room for as many
// more and n.
func (m *Memory) refilter(n int) {
	for _, s := range m.shelves {
		n += s.used
	}
	m.filter.Renew(n)
	for _, s := range m.shelves {
		for i := range s.slots {
			if one := &s.slots[i]; one.hash != 0 && one.at >= s.oldest {
				m.filter.Add(one.hash, s.number)
			}
		}
	}
}

// trim evicts the oldest fields until the run keeps to its limit. The user's
// words stay as long as they keep to their share: who floods a run with text
// can't make it forget its task.
func (m *Memory) trim() {
	for m.Size() > m.limit {
		var oldest *shelf
		for _, s := range m.shelves {
			if len(s.fields) == 0 || s.origin.Writer == sallyport.WriterUser && s.cost <= m.limit/saidShare {
				continue
			}
			if oldest == nil || s.fields[0].seq < oldest.fields[0].seq {
				oldest = s
			}
		}
		if oldest == nil {
			return
		}
		m.evict(oldest)
	}
}

func (m *Memory) evict(s *shelf) {
	m.forget(s.origin)
	s.evict()
}

// short bounds a name that comes from outside.
func short[T string | []byte](name T) string {
	end := len(name)
	if end > maxWritten {
		for end = maxWritten; end > 0 && !utf8.RuneStart(name[end]); end-- {
		}
	}
	return string([]byte(name[:end]))
}
