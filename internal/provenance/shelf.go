package provenance

import (
	"sort"
	"unicode"
	"unicode/utf8"

	"sallyport"
)

// shelf keeps all texts of one origin, oldest first, with an index of the
// places at which their words begin. One shelf per origin means that a flood
// of text of one origin can't push another out of sight.
type shelf struct {
	origin  sallyport.Origin
	fields  []field
	anchors []anchor // oldest first; the number of anchors[0] is first
	first   uint32
	heads   []uint32 // newest anchor of each bucket, its number plus one
	next    uint32   // address at which the next field begins
	cost    int      // bytes of memory, as counted
}

// field is one text that was seen.
type field struct {
	from   *origin
	path   string
	kind   string // what its ids name, "" when only names tell
	text   string
	shifts []shift
	record int32
	base   int32  // of hidden text: the bytes of the field that hold it
	until  int32  // … and their end; 0 for text that is not hidden
	at     uint32 // address of its first byte
	seq    uint64 // order among the fields of all shelves
	via    through
	sure   bool // it is a field for sure, and no text that looks like one
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
	hash uint32
	prev uint32 // the anchor before it in its bucket, its number plus one
	at   uint32
}

const (
	gram       = 6  // bytes of a word that its key holds
	stride     = 6  // bytes between two anchors within a long word
	longWord   = 12 // bytes from which on a word is long
	maxChain   = 32 // anchors of one key that are looked at
	maxAddress = 1 << 31

	fieldCost  = 136 // memory of a field besides its text
	anchorCost = 20  // of an anchor with its share of the heads
)

// wordKey is a word's first bytes themselves, at most gram of them, and how
// many they are.
func wordKey(packed uint64, n int) uint64 { return packed | uint64(n)<<48 }

func hashOf(key uint64) uint32 {
	key ^= key >> 29
	key *= 0xBF58476D1CE4E5B9
	key ^= key >> 32
	return uint32(key)
}

// add puts a field on the shelf and says how many bytes of memory that took.
func (s *shelf) add(f field) int {
	before := s.cost
	f.at = s.next
	s.next += uint32(len(f.text)) + 1
	s.index(f.text, f.at)
	s.fields = append(s.fields, f)
	s.cost += fieldCost + len(f.text) + 8*len(f.shifts)
	return s.cost - before
}

// index finds the anchors of a text: one pass, a few operations for a byte.
func (s *shelf) index(text string, address uint32) {
	var (
		window uint64   // the last gram bytes of the word
		n      int      // bytes of the word
		marked int      // n at the last anchor within the word
		last   uint32   // hash there: a letter that repeats needs one anchor
		start  int      // of the word
		places [8]int32 // of the last bytes of the word, -1 within a character
		spoken int      // end of the last number or day
		dense  bool     // the word is of a script that writes no spaces
	)
	end := func() {
		if n < gram {
			s.mark(hashOf(wordKey(window, n)), address+uint32(start))
		}
		if c := text[start]; start >= spoken && (isDigit(c) || n <= 9 && folded[c] >= 'a') {
			spoken = s.indexReadings(text, start, n, address)
		}
		window, n, dense = 0, 0, false
	}
	push := func(b byte, place int) {
		if n == 0 {
			start = place
		}
		places[n&7] = int32(place)
		if n > 0 && places[(n-1)&7] == int32(place) {
			places[n&7] = -1
		}
		window = (window<<8 | uint64(b)) & (1<<48 - 1)
		n++
		switch {
		case n == gram:
			last, marked = hashOf(wordKey(window, gram)), n
			s.mark(last, address+uint32(start))
		case n > gram && dense || n >= longWord && n-marked >= stride:
			if place := places[(n-gram)&7]; place >= 0 {
				marked = n
				if h := hashOf(wordKey(window, gram)); h != last {
					last = h
					s.mark(h, address+uint32(place))
				}
			}
		}
	}
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if b := folded[c]; b != 0 {
				push(b, i)
			} else if n > 0 {
				end()
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if inWord(r) {
			dense = dense || withoutSpaces(r)
			var buffer [utf8.UTFMax]byte
			for _, b := range buffer[:utf8.EncodeRune(buffer[:], unicode.ToLower(r))] {
				push(b, i)
			}
		} else if n > 0 {
			end()
		}
		i += size
	}
	if n > 0 {
		end()
	}
}

// indexReadings marks what numbers and days mean, where their words alone do
// not show it.
func (s *shelf) indexReadings(text string, start, length int, address uint32) int {
	if !isDigit(text[start]) {
		if _, end := month(text, start); end == start {
			return start
		}
	}
	r, end := read(text, start)
	for _, one := range r.list[:r.n] {
		if one.via == viaNumber && one.end-one.start == length && text[start] != '0' {
			continue // a plain integer is found by its word
		}
		s.mark(hashOf(one.key), address+uint32(one.start))
	}
	return end
}

func (s *shelf) mark(hash, at uint32) {
	if len(s.anchors) >= len(s.heads) {
		s.grow()
	}
	head := &s.heads[hash&uint32(len(s.heads)-1)]
	s.anchors = append(s.anchors, anchor{hash, *head, at})
	*head = s.first + uint32(len(s.anchors))
	s.cost += anchorCost
}

func (s *shelf) grow() {
	size := max(64, 2*len(s.heads))
	s.heads = make([]uint32, size)
	for i := range s.anchors {
		a := &s.anchors[i]
		head := &s.heads[a.hash&uint32(size-1)]
		a.prev = *head
		*head = s.first + uint32(i) + 1
	}
}

// newest is the newest anchor with this hash, nil when there is none.
func (s *shelf) newest(hash uint32) *anchor {
	if len(s.heads) == 0 {
		return nil
	}
	return s.find(s.heads[hash&uint32(len(s.heads)-1)], hash)
}

// older is the next older anchor with the same hash.
func (s *shelf) older(a *anchor) *anchor { return s.find(a.prev, a.hash) }

func (s *shelf) find(number, hash uint32) *anchor {
	for number > s.first { // what is not was evicted
		a := &s.anchors[number-1-s.first]
		if a.hash == hash {
			return a
		}
		number = a.prev
	}
	return nil
}

// fieldAt is the field that holds an address.
func (s *shelf) fieldAt(address uint32) *field {
	i := sort.Search(len(s.fields), func(i int) bool { return s.fields[i].at > address })
	return &s.fields[i-1]
}

// evict drops the oldest field and says how many bytes that freed.
func (s *shelf) evict() int {
	before := s.cost
	f := &s.fields[0]
	s.cost -= fieldCost + len(f.text) + 8*len(f.shifts)
	end := f.at + uint32(len(f.text)) + 1
	*f = field{} // so that its text is freed before the slice is
	s.fields = s.fields[1:]
	n := 0
	for n < len(s.anchors) && s.anchors[n].at < end {
		n++
	}
	s.cost -= n * anchorCost
	s.anchors = s.anchors[n:]
	s.first += uint32(n)
	return before - s.cost
}

// clone copies the shelf so that neither copy sees what is added to the other.
func (s *shelf) clone() *shelf {
	c := *s
	c.fields = append([]field(nil), s.fields...)
	c.anchors = append([]anchor(nil), s.anchors...)
	c.heads = append([]uint32(nil), s.heads...)
	return &c
}
