package provenance

import (
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"sallyport"
	"sallyport/internal/provenance/bloom"
	"sallyport/internal/provenance/plain"
)

// shelf keeps all texts of one origin, oldest first, with an index of the
// places at which their words begin. One shelf per origin means that a flood
// of text of one origin can't push another out of sight.
type shelf struct {
	origin  sallyport.Origin
	fields  []field
	starts  []uint32      // address of the first byte of each field
	texts   texts         // of the fields
	oldest  uint32        // address below which all is evicted
	slots   []slot        // by hash, with open addressing
	used    int           // slots that are taken
	pushed  bool          // a slot was taken from another key: that is lost
	pages   []*page       // of anchors that are not the newest of their keys
	gone    uint32        // pages that were evicted
	count   uint32        // number that the next anchor on a page gets
	cost    int           // bytes of memory, as counted
	filter  *bloom.Filter // of all shelves
	number  int           // among them
	touched uint32        // of slots that were read so that they come from memory together
}

// field is one text that was seen.
type field struct {
	from    *origin
	place   *place
	decoded *decoded // nil when the text is as it was
	size    int32    // of the text
	anchors int32
	record  int32
	seq     uint64 // order among the fields of all shelves
}

// texts are those of a shelf, one behind the other, so that an address leads to
// a text without its field: most places that are looked at are left again.
type texts struct {
	kept *strings.Builder
	all  string // what is kept, with plain.Edge behind each text
	base uint32 // address of the first byte
}

// add keeps a text and gives its address. When there is no more room, those
// before the oldest address that is needed are left out.
func (t *texts) add(text string, oldest uint32) uint32 {
	if t.kept == nil || t.kept.Cap()-t.kept.Len() <= len(text) {
		live := t.all[oldest-t.base:]
		b := new(strings.Builder)
		b.Grow(len(live) + len(text) + 1 + len(live)/4)
		b.WriteString(live)
		t.kept, t.base = b, oldest
	}
	at := t.base + uint32(t.kept.Len())
	t.kept.WriteString(text)
	t.kept.WriteByte(plain.Edge)
	t.all = t.kept.String()
	return at
}

// next is the address that the next text gets.
func (t *texts) next() uint32 { return t.base + uint32(len(t.all)) }

// text is that of a field.
func (s *shelf) text(f int) string {
	start := int(s.starts[f] - s.texts.base)
	return s.texts.all[start : start+int(s.fields[f].size)]
}

// place is where in a record a field is; the records of a result share them.
type place struct {
	path string
	kind string // what its ids name, "" when only names tell
	sure bool   // it is a field for sure, and no text that looks like one
}

// decoded says how a field's text was made of what was sent.
type decoded struct {
	shifts plain.Shifts
	via    plain.Through
	base   int32  // of hidden text: the bytes of the field that hold it
	until  int32  // … and their end; 0 for text that is not hidden
	sent   string // as it was, where it may hold addresses
}

func (f *field) via() plain.Through {
	if f.decoded == nil {
		return 0
	}
	return f.decoded.via
}

// sent gives the bytes of what was sent that text[start:end] stands for.
func (f *field) sent(start, end int) (int, int) {
	switch d := f.decoded; {
	case d == nil:
		return start, end
	case d.until > 0:
		return int(d.base), int(d.until)
	default:
		return d.shifts.Was(start), d.shifts.Was(end)
	}
}

func (f *field) hidden() bool { return f.decoded != nil && f.decoded.until > 0 }

// cost is the memory of a field.
func (f *field) cost() int {
	cost := fieldCost + int(f.size) + anchorCost*int(f.anchors)
	if f.decoded != nil {
		cost += decodedCost + 8*len(f.decoded.shifts) + len(f.decoded.sent)
	}
	return cost
}

// origin is what the fields of one message or result share.
type origin struct {
	call, server, tool string
	strength           string
	message            int32 // which one of the user's
}

// anchor is a place where a word begins, or every stride bytes within a long
// one.
type anchor struct {
	prev   uint32 // the anchor of the same key before it, its number plus one
	at     uint32
	around plain.Around // its key
}

// slot holds the newest anchor of a key; its hash is 0 when it is free.
type slot struct {
	hash uint32
	anchor
}

// page is a piece of the list of older anchors: appending never copies the list,
// and evicting frees it piece by piece.
type page struct {
	anchors [pageSize]anchor
	newest  uint32 // address
}

const pageSize = 1 << 8

const (
	gram       = plain.Gram // bytes of a word that its key holds
	stride     = 6          // bytes between two anchors within a long word
	longWord   = 12         // bytes from which on a word is long
	maxChain   = 16         // anchors of one key that are looked at
	maxAddress = 1 << 31

	fieldCost   = 88 // memory of a field besides its text
	decodedCost = 48
	anchorCost  = 20  // of an anchor with its share of the slots
	maxProbes   = 128 // slots that are looked at
)

// add puts a field on the shelf, with the marks of its text.
func (s *shelf) add(f field, text string, list []mark) {
	address := s.texts.add(text, s.oldest)
	f.size, f.anchors = int32(len(text)), int32(len(list))
	s.fields = append(s.fields, f)
	s.starts = append(s.starts, address)
	s.cost += f.cost()
	s.markAll(list, address)
}

// marks are anchors that are yet to be put where they can be found.
type marks struct {
	plain.Squeezed
	list []mark
}

// scratches are those of earlier texts, of whichever run, for their memory.
var scratches = sync.Pool{New: func() any { return new(marks) }}

type mark struct {
	hash, at uint32
	around   plain.Around
}

func (m *marks) add(hash uint32, at int, around plain.Around) {
	m.list = append(m.list, mark{hash, uint32(at), around})
}

func (m *marks) key(i, n int) {
	m.add(bloom.Hash(m.Key(i, n)), int(m.Places[i]), m.Around(i, i+n))
}

// of finds the marks of a text, a few operations for a byte.
func (m *marks) of(text string) []mark {
	m.Squeeze(text)
	m.list = m.list[:0]
	spoken := 0 // end of the last number or day
	for start, end := 0, 0; start < len(m.Bytes); start = end {
		dense := false
		for end = start + 1; end < len(m.Bytes) && !m.Starts[end]; end++ {
		}
		m.key(start, min(gram, end-start))
		if m.Bytes[start] >= utf8.RuneSelf {
			r, _ := utf8.DecodeRune(m.Bytes[start:])
			dense = plain.WithoutSpaces(r)
		}
		if n := end - start; n >= longWord || dense {
			m.within(start, end, dense)
		}
		place := int(m.Places[start])
		if c := m.Bytes[start]; place >= spoken && (plain.IsDigit(c) || end-start <= 9 && c >= 'a') {
			spoken = m.readings(text, place, end-start)
		}
	}
	return m.list
}

// within marks places within a long word; in a script without spaces, every
// character.
func (m *marks) within(start, end int, dense bool) {
	var last uint64
	for i, marked := start+1, start; i+gram <= end; i++ {
		if m.Places[i] == m.Places[i-1] || !dense && i-marked < stride {
			continue
		}
		marked = i
		if key := m.Key(i, gram); key != last { // a letter that repeats needs one anchor
			last = key
			m.key(i, gram)
		}
	}
}

// readings marks what numbers and days mean, where their words alone do not
// show it.
func (m *marks) readings(text string, start, length int) int {
	if !plain.IsDigit(text[start]) {
		if _, end := plain.Month(text, start); end == start {
			return start
		}
	}
	r, end := plain.Read(text, start)
	for _, one := range r.All() {
		if one.Via == plain.ViaNumber && one.End-one.Start == length && text[start] != '0' {
			continue // a plain integer is found by its word
		}
		m.add(bloom.Hash(one.Key), one.Start, 0)
	}
	return end
}

const together = 32 // marks whose slots come from memory at the same time

// markAll makes anchors of the marks of the text at an address.
func (s *shelf) markAll(list []mark, address uint32) {
	for len(list) > 0 {
		some := list[:min(together, len(list))]
		list = list[len(some):]
		s.room(len(some))
		for i := range some {
			s.touched ^= s.slots[some[i].hash&uint32(len(s.slots)-1)].hash
		}
		for i := range some {
			s.mark(some[i].hash, anchor{at: address + some[i].at, around: some[i].around})
		}
	}
}

// room makes room for n more keys.
func (s *shelf) room(n int) {
	if 4*(s.used+n) > 3*len(s.slots) {
		s.grow(n)
	}
}

// mark puts an anchor on its key's list. There must be room.
func (s *shelf) mark(hash uint32, a anchor) {
	one := s.place(hash)
	if one.hash == hash && one.at >= s.oldest {
		a.prev = s.keep(one.anchor)
	} else {
		s.filter.Add(hash, s.number)
	}
	*one = slot{hash, a}
}

// keep puts an anchor that is no longer the newest of its key on a page, and
// gives its number plus one.
func (s *shelf) keep(a anchor) uint32 {
	if s.count/pageSize-s.gone == uint32(len(s.pages)) {
		s.pages = append(s.pages, new(page))
	}
	p := s.pages[s.count/pageSize-s.gone]
	p.anchors[s.count%pageSize] = a
	p.newest = max(p.newest, a.at)
	s.count++
	return s.count
}

// place is the slot of a hash, or the one that it gets. Whoever crafts many
// keys for the same slots pushes some out, and does not make the search long.
func (s *shelf) place(hash uint32) *slot {
	var oldest *slot
	for i := range uint32(maxProbes) {
		one := &s.slots[(hash+i*(i+1)/2)&uint32(len(s.slots)-1)]
		switch {
		case one.hash == hash:
			return one
		case one.hash == 0:
			s.used++
			return one
		case oldest == nil || one.at < oldest.at:
			oldest = one
		}
	}
	s.pushed = s.pushed || oldest.at >= s.oldest
	return oldest
}

// grow makes room for n more keys, leaving out those whose anchors are all gone.
func (s *shelf) grow(n int) {
	for i := range s.slots {
		if s.slots[i].at >= s.oldest && s.slots[i].hash != 0 {
			n++
		}
	}
	old := s.slots
	size := 16
	for 3*size < 4*n {
		size *= 2
	}
	s.slots, s.used = make([]slot, size), 0
	for i := range old {
		if old[i].at >= s.oldest && old[i].hash != 0 {
			*s.place(old[i].hash) = old[i]
		}
	}
}

// newest is the newest anchor with this hash, nil when there is none.
func (s *shelf) newest(hash uint32) *anchor {
	if len(s.slots) == 0 { // the filter may be wrong
		return nil
	}
	for i := range uint32(maxProbes) {
		one := &s.slots[(hash+i*(i+1)/2)&uint32(len(s.slots)-1)]
		if one.hash == hash && one.at >= s.oldest {
			return &one.anchor
		}
		if one.hash == hash || one.hash == 0 {
			return nil
		}
	}
	return nil
}

// older is the next older anchor of the same key.
func (s *shelf) older(a *anchor) *anchor {
	number := a.prev - 1
	if a.prev == 0 || number/pageSize < s.gone {
		return nil
	}
	if a = &s.pages[number/pageSize-s.gone].anchors[number%pageSize]; a.at < s.oldest {
		return nil
	}
	return a
}

// fieldAt is the number of the field that holds an address.
func (s *shelf) fieldAt(address uint32) int {
	i, exact := slices.BinarySearch(s.starts, address)
	if !exact {
		i--
	}
	return i
}

// evict drops the oldest field.
func (s *shelf) evict() {
	f := &s.fields[0]
	s.cost -= f.cost()
	s.oldest = s.starts[0] + uint32(f.size) + 1
	*f = field{} // so that what it leads to is freed before the slice is
	s.fields, s.starts = s.fields[1:], s.starts[1:]
	for len(s.pages) > 0 && (s.gone+1)*pageSize <= s.count && s.pages[0].newest < s.oldest {
		s.pages[0] = nil
		s.pages = s.pages[1:]
		s.gone++
	}
}

// clone copies the shelf so that neither copy sees what is added to the other.
func (s *shelf) clone(f *bloom.Filter) *shelf {
	c := *s
	c.filter = f
	c.fields = append([]field(nil), s.fields...)
	c.starts = append([]uint32(nil), s.starts...)
	c.texts.kept = nil // the child's go where they are the child's alone
	c.pages = make([]*page, len(s.pages))
	for i, p := range s.pages {
		copied := *p
		c.pages[i] = &copied
	}
	c.slots = append([]slot(nil), s.slots...)
	return &c
}
