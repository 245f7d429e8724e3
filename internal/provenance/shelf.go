package provenance

import (
	"unicode/utf8"

	"sallyport"
	"sallyport/internal/provenance/bloom"
	"sallyport/internal/provenance/plain"
)

// shelf keeps all texts of one origin, oldest first, with an index of the
// places at which their words begin. One shelf per origin means that a flood
// of text of one origin can't push another out of sight.
type shelf struct {
	origin sallyport.Origin
	fields []field
	starts []uint32      // address of the first byte of each field
	blocks []uint32      // number of the field that holds the first byte of each block of addresses
	passed uint32        // blocks, and
	left   uint32        // fields, that were evicted
	pages  []*page       // of anchors, oldest first
	gone   uint32        // pages that were evicted
	first  uint32        // number of the oldest anchor that is left
	count  uint32        // number that the next anchor gets
	slots  []slot        // by hash, with open addressing
	used   int           // slots that are taken
	pushed bool          // a slot was taken from another key: that is lost
	next   uint32        // address at which the next field begins
	cost   int           // bytes of memory, as counted
	filter *bloom.Filter // of all shelves
	number int           // among them
}

// field is one text that was seen.
type field struct {
	from    *origin
	place   *place
	decoded *decoded // nil when the text is as it was
	text    string
	record  int32
	seq     uint64 // order among the fields of all shelves
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

// cost is the memory of a field without its anchors.
func (f *field) cost() int {
	cost := fieldCost + len(f.text) + len(f.text)/block*4
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
	prev uint32 // the anchor of the same key before it, its number plus one
	at   uint32
	next uint32 // the letters behind its key, see plain.Squeezed.Following
}

// slot leads to the anchors of one key.
type slot struct{ hash, newest uint32 } // the anchor's number plus one

// page is a piece of the list of anchors: appending never copies the list, and
// evicting frees it piece by piece.
type page [pageSize]anchor

const pageSize = 1 << 10

func (s *shelf) anchor(number uint32) *anchor {
	return &s.pages[number/pageSize-s.gone][number%pageSize]
}

const (
	gram       = plain.Gram // bytes of a word that its key holds
	stride     = 6          // bytes between two anchors within a long word
	longWord   = 12         // bytes from which on a word is long
	maxChain   = 16         // anchors of one key that are looked at
	block      = 64         // addresses from which on a field is looked for
	maxAddress = 1 << 31

	fieldCost   = 88 // memory of a field besides its text and its blocks
	decodedCost = 48
	anchorCost  = 20 // of an anchor with its share of the slots
	maxProbes   = 32 // slots that are looked at
)

// add puts a field on the shelf and says how many bytes of memory that took.
func (s *shelf) add(f field, scratch *plain.Squeezed) int {
	before := s.cost
	s.fields = append(s.fields, f)
	s.starts = append(s.starts, s.next)
	s.index(scratch, f.text, s.next)
	s.next += uint32(len(f.text)) + 1
	for (s.passed+uint32(len(s.blocks)))*block < s.next {
		s.blocks = append(s.blocks, s.left+uint32(len(s.fields))-1)
	}
	s.cost += f.cost()
	return s.cost - before
}

// index finds the anchors of a text: a few operations for a byte.
func (s *shelf) index(q *plain.Squeezed, text string, address uint32) {
	q.Squeeze(text)
	spoken := 0 // end of the last number or day
	for start, end := 0, 0; start < len(q.Bytes); start = end {
		dense := false
		for end = start + 1; end < len(q.Bytes) && !q.Starts[end]; end++ {
		}
		s.markKey(q, start, min(gram, end-start), address)
		if q.Bytes[start] >= utf8.RuneSelf {
			r, _ := utf8.DecodeRune(q.Bytes[start:])
			dense = plain.WithoutSpaces(r)
		}
		if n := end - start; n >= longWord || dense {
			s.indexWithin(q, start, end, dense, address)
		}
		place := int(q.Places[start])
		if c := q.Bytes[start]; place >= spoken && (plain.IsDigit(c) || end-start <= 9 && c >= 'a') {
			spoken = s.indexReadings(text, place, end-start, address)
		}
	}
}

// indexWithin marks places within a long word; in a script without spaces,
// every character.
func (s *shelf) indexWithin(q *plain.Squeezed, start, end int, dense bool, address uint32) {
	var last uint64
	for i, marked := start+1, start; i+gram <= end; i++ {
		if q.Places[i] == q.Places[i-1] || !dense && i-marked < stride {
			continue
		}
		marked = i
		if key := q.Key(i, gram); key != last { // a letter that repeats needs one anchor
			last = key
			s.markKey(q, i, gram, address)
		}
	}
}

func (s *shelf) markKey(q *plain.Squeezed, i, n int, address uint32) {
	s.mark(bloom.Hash(q.Key(i, n)), address+uint32(q.Places[i]), q.Following(i+n, len(q.Bytes)))
}

// indexReadings marks what numbers and days mean, where their words alone do
// not show it.
func (s *shelf) indexReadings(text string, start, length int, address uint32) int {
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
		s.mark(bloom.Hash(one.Key), address+uint32(one.Start), 0)
	}
	return end
}

func (s *shelf) mark(hash, at, next uint32) {
	if 2*s.used >= len(s.slots) {
		s.grow()
	}
	if s.count/pageSize-s.gone == uint32(len(s.pages)) {
		s.pages = append(s.pages, new(page))
	}
	found := s.place(hash)
	*s.anchor(s.count) = anchor{found.newest, at, next}
	s.count++
	*found = slot{hash, s.count}
	s.cost += anchorCost
	s.filter.Add(hash, s.number)
}

// place is the slot of a hash, or the one that it gets. Whoever crafts many
// keys for the same slots pushes some out, and does not make the search long.
func (s *shelf) place(hash uint32) *slot {
	var oldest *slot
	for i := range uint32(maxProbes) {
		one := &s.slots[(hash+i*(i+1)/2)&uint32(len(s.slots)-1)]
		switch {
		case one.newest == 0:
			s.used++
			return one
		case one.hash == hash:
			return one
		case oldest == nil || one.newest < oldest.newest:
			oldest = one
		}
	}
	s.pushed = s.pushed || oldest.newest > s.first
	oldest.newest = 0
	return oldest
}

// grow makes room, leaving out the keys whose anchors are all gone.
func (s *shelf) grow() {
	live := 0
	for _, one := range s.slots {
		if one.newest > s.first {
			live++
		}
	}
	old := s.slots
	size := 64
	for size < 3*live {
		size *= 2
	}
	s.slots, s.used = make([]slot, size), 0
	for _, one := range old {
		if one.newest > s.first {
			*s.place(one.hash) = one
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
		if one.newest == 0 {
			return nil
		}
		if one.hash == hash {
			return s.numbered(one.newest)
		}
	}
	return nil
}

// older is the next older anchor of the same key.
func (s *shelf) older(a *anchor) *anchor { return s.numbered(a.prev) }

func (s *shelf) numbered(plusOne uint32) *anchor {
	if plusOne <= s.first { // none, or evicted
		return nil
	}
	return s.anchor(plusOne - 1)
}

// fieldAt is the field that holds an address, and where in it that is.
func (s *shelf) fieldAt(address uint32) (f *field, at int) {
	i := int(max(s.blocks[address/block-s.passed], s.left) - s.left)
	for i+1 < len(s.starts) && s.starts[i+1] <= address {
		i++
	}
	return &s.fields[i], int(address - s.starts[i])
}

// evict drops the oldest field and says how many bytes that freed.
func (s *shelf) evict() int {
	before := s.cost
	f := &s.fields[0]
	s.cost -= f.cost()
	end := s.starts[0] + uint32(len(f.text)) + 1
	*f = field{} // so that its text is freed before the slice is
	s.fields, s.starts = s.fields[1:], s.starts[1:]
	s.left++
	s.blocks = s.blocks[end/block-s.passed:]
	s.passed = end / block
	for s.first < s.count && s.anchor(s.first).at < end {
		s.first++
		s.cost -= anchorCost
	}
	for len(s.pages) > 0 && s.gone < s.first/pageSize {
		s.pages[0] = nil
		s.pages = s.pages[1:]
		s.gone++
	}
	return before - s.cost
}

// clone copies the shelf so that neither copy sees what is added to the other.
func (s *shelf) clone(f *bloom.Filter) *shelf {
	c := *s
	c.filter = f
	c.fields = append([]field(nil), s.fields...)
	c.starts = append([]uint32(nil), s.starts...)
	c.blocks = append([]uint32(nil), s.blocks...)
	c.pages = make([]*page, len(s.pages))
	for i, p := range s.pages {
		copied := *p
		c.pages[i] = &copied
	}
	c.slots = append([]slot(nil), s.slots...)
	return &c
}
