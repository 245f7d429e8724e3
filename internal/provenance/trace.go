package provenance

import (
	"slices"
	"strings"
	"sync"

	"sallyport"
	"sallyport/internal/provenance/bloom"
	"sallyport/internal/provenance/plain"
)

const (
	maxLeaves   = 4096                                  // of one call that are traced one by one
	usualLeaves = 24                                    // of a call
	maxTraced   = 1 << 20                               // bytes of all leaves together
	maxPaths    = 1 << 20                               // bytes of all paths together
	maxSources  = 16                                    // that a trace names
	maxAtoms    = 32                                    // of an argument that are looked up alone
	weakPower   = 16                                    // bits below which a value can be anybody's
	longPiece   = 32                                    // bits that a piece needs to count by itself
	exactOnly   = plain.ViaInvisible | plain.ViaSpelled // what no value of a stronger origin may have been changed by
)

// Beyond names, as a trace's only transformation, what was too much to trace:
// it counts as the worst.
const Beyond = "beyond"

// Short is the transformation of a value that is too short to tell where it
// came from: it occurs in so many places.
const Short = "short"

// Many says that a value occurs in more places than its sources name.
const Many = "many"

// Forgotten says that a value may have come from what the run has forgotten.
const Forgotten = "forgotten"

// Trace says for each leaf of the arguments of a call to this tool where it
// came from. Leaves beyond 4096, or beyond 1 MiB of text or paths, share one
// trace of the path "" and the worst origin: it is about all that has no trace
// of its own.
func (m *Memory) Trace(tool string, args sallyport.Value) []sallyport.Trace {
	var traces []sallyport.Trace
	t := m.tracer(tool)
	defer tracers.Put(t)
	text, paths := 0, 0
	for path, leaf := range args.Leaves() {
		raw := leaf.Raw()
		text += len(raw)
		paths += len(path)
		if len(traces) == maxLeaves || text > maxTraced || paths > maxPaths {
			return append(traces, sallyport.Trace{
				Origin:  sallyport.Origin{Writer: sallyport.WriterUntrusted, Readers: sallyport.ReadersPrivate},
				Through: []string{Beyond},
			})
		}
		value, ok := leaf.Text()
		if !ok {
			value = string(raw)
		}
		if traces == nil {
			traces = make([]sallyport.Trace, 0, usualLeaves)
		}
		t.next(string(path))
		if ok || leaf.Type() == sallyport.Number {
			traces = append(traces, t.trace(value))
		} else {
			traces = append(traces, t.nothing())
		}
	}
	return traces
}

// TraceName says where the name of a member at a path came from.
func (m *Memory) TraceName(tool, path, name string) sallyport.Trace {
	t := m.tracer(tool)
	defer tracers.Put(t)
	t.next(path)
	return t.trace(name)
}

// tracer traces one leaf.
type tracer struct {
	memory *Memory
	tool   string
	path   string

	power  int
	wholes []match
	pieces []match
	crowd  []*shelf
	many   bool // a shelf had more places than are kept
	views  []*view

	reused
}

// tracers are those of earlier calls, of whichever run, for their memory.
var tracers = sync.Pool{New: func() any { return new(tracer) }}

func (m *Memory) tracer(tool string) *tracer {
	t := tracers.Get().(*tracer)
	t.memory, t.tool = m, tool
	return t
}

// reused is the memory that each leaf has from the one before.
type reused struct {
	found              scan
	spare              []*view
	meant              []match
	because, kept, all []match
}

// next prepares for the next leaf.
func (t *tracer) next(path string) {
	t.spare = append(t.spare, t.views...)
	t.path, t.power, t.many = path, 0, false
	t.wholes, t.pieces, t.crowd, t.views = t.wholes[:0], t.pieces[:0], t.crowd[:0], t.views[:0]
}

// nothing is the trace of true, false, null and texts without a letter: they
// are found everywhere and tell nothing.
func (t *tracer) nothing() sallyport.Trace {
	return sallyport.Trace{
		Path: t.path, Through: []string{Short},
		Origin: sallyport.Origin{Writer: sallyport.WriterUnknown, Readers: sallyport.ReadersPublic},
	}
}

func (t *tracer) trace(text string) sallyport.Trace {
	t.viewsOf(text)
	first := t.views[0]
	if len(first.Bytes) == 0 && len(t.views) == 1 {
		return t.nothing()
	}
	t.power = first.whole()
	parts := plain.Meanings(first.text)
	if len(parts) > 0 && parts[0].Day() {
		t.power = min(t.power, weakPower-1) // few days come into question
	}
	for _, s := range t.memory.shelves {
		for i, v := range t.views {
			t.look(s, v, i == 0)
		}
	}
	if len(parts) > 0 {
		t.lookMeanings(first, parts)
	}
	return t.decide(text, first, parts)
}

// look searches one shelf for one view.
func (t *tracer) look(s *shelf, v *view, base bool) {
	if len(v.Bytes) == 0 {
		return
	}
	t.found = s.search(v, t.found)
	found := &t.found
	entire := v.entire()
	t.many = t.many || len(found.wholes) == maxWholes
	for _, m := range found.wholes {
		if m.via |= v.via | m.field.via(); entire {
			t.wholes = append(t.wholes, m)
		} else {
			t.pieces = append(t.pieces, m)
		}
	}
	for _, m := range found.pieces {
		m.via |= v.via | m.field.via()
		t.pieces = append(t.pieces, m)
	}
	if base && found.crowded {
		t.crowd = append(t.crowd, s)
	}
}

// viewsOf are the argument itself and what is encoded in it, at most maxNesting
// layers deep. All together they are a few times as long as the argument.
func (t *tracer) viewsOf(text string) {
	t.view(plain.Undo(text), 0, nil, 0, 0)
	for from := 0; from < len(t.views); from++ {
		outer := t.views[from]
		if layersOf(outer) == plain.MaxNesting {
			continue
		}
		if again := plain.Undo(outer.text); again.Text != outer.text {
			t.view(again, outer.via, outer, 0, 0)
		}
		plain.Reveal(outer.text, plain.MinEncoded, func(h plain.Hidden) {
			t.view(plain.Undo(h.Text), outer.via|h.Via, outer, h.Start, h.End)
		})
	}
}

// view adds a view that was made of bytes of another one.
func (t *tracer) view(p plain.Undone, via plain.Through, outer *view, start, end int) {
	var v *view
	if last := len(t.spare) - 1; last >= 0 {
		v, t.spare = t.spare[last], t.spare[:last]
	} else {
		v = new(view)
	}
	v.text, v.shifts, v.via, v.outer, v.start, v.end = p.Text, p.Shifts, p.Via|via, outer, start, end
	v.prepare(t.memory.filter)
	t.views = append(t.views, v)
}

func layersOf(v *view) int {
	n := 0
	for ; v.outer != nil; v = v.outer {
		n++
	}
	return n
}

// lookMeanings looks each part up by what it means, however it was written.
func (t *tracer) lookMeanings(v *view, parts []plain.Part) {
	for _, s := range t.memory.shelves {
		for _, p := range parts {
			t.meant = s.meaning(p, t.meant[:0])
			for _, m := range t.meant {
				m.view = v
				m.from, m.to = v.squeezedIn(p.Readings[0].Start, p.Readings[0].End)
				m.via |= m.field.via()
				if m.covers() {
					t.wholes = append(t.wholes, m)
				} else {
					t.pieces = append(t.pieces, m)
				}
			}
		}
	}
}

// squeezedIn gives the squeezed bytes that text[start:end] holds.
func (v *view) squeezedIn(start, end int) (from, to int) {
	from, _ = slices.BinarySearch(v.Places, int32(start))
	to, _ = slices.BinarySearch(v.Places, int32(end))
	return from, to
}

// meaning finds a few places of a shelf that mean the part.
func (s *shelf) meaning(p plain.Part, found []match) []match {
	for _, want := range p.Readings {
		try := func(hash uint32) bool {
			chain := 0
			for a := s.newest(hash); a != nil && chain < maxChain && len(found) < maxWholes; a = s.older(a) {
				chain++
				f := s.fieldAt(a.at)
				text := s.text(f)
				there, _ := plain.Read(text, int(a.at-s.starts[f]))
				if r, ok := there.Has(want.Key); ok && plain.StandsAlone(text, r) {
					found = append(found, match{shelf: s, field: &s.fields[f], text: text, start: r.Start, end: r.End, via: want.Via, same: true})
				}
			}
			return len(found) < maxWholes
		}
		if hash := bloom.Hash(want.Key); s.filter.Has(hash, s.number) {
			try(hash)
		}
		if whole, ok := want.Integer(); ok { // a whole number may be written plainly
			s.filter.EachNext(s.filter.Look(plainKey(whole)), s.number, try)
		}
	}
	return found
}

// plainKey is the key of the word that a whole number is.
func plainKey(value uint64) uint64 {
	var buffer [20]byte
	i := len(buffer)
	for ok := true; ok; ok = value > 0 {
		i--
		buffer[i] = byte('0' + value%10)
		value /= 10
	}
	q := plain.Squeezed{Bytes: buffer[i:]}
	return q.Key(0, min(gram, len(q.Bytes)))
}

// decide puts what was found together.
func (t *tracer) decide(text string, first *view, parts []plain.Part) sallyport.Trace {
	out := sallyport.Trace{Path: t.path}
	if len(t.wholes)+len(t.pieces)+len(t.crowd) == 0 {
		return t.unseen()
	}
	var via plain.Through
	var because []match
	writer := sallyport.WriterUnknown
	if best := t.strongest(); best > sallyport.WriterUntrusted {
		writer = best
		t.because = of(t.because[:0], t.wholes, func(m *match) bool { return m.shelf.origin.Writer == best && t.explains(m) })
		because = t.because
	} else if w, atoms := t.assembled(first, parts); w > sallyport.WriterUntrusted {
		writer, because, via = w, atoms, plain.ViaPieces
	}
	evidence := t.evidence()
	if writer == sallyport.WriterUnknown {
		for i := range evidence {
			if evidence[i].shelf.origin.Writer == sallyport.WriterUntrusted {
				writer = sallyport.WriterUntrusted
			}
		}
		for _, s := range t.crowd {
			if s.origin.Writer == sallyport.WriterUntrusted {
				writer = sallyport.WriterUntrusted
				out.Through = append(out.Through, Many)
			}
		}
	}
	// The sources that decide come first, then all others: who reads the trace
	// must see that untrusted text named a trusted value as well.
	slices.SortStableFunc(evidence, func(a, b match) int {
		return int(b.shelf.origin.Writer) - int(a.shelf.origin.Writer)
	})
	if writer == sallyport.WriterUntrusted {
		slices.Reverse(evidence)
	}
	t.all = append(append(t.all[:0], because...), evidence...)
	all := t.all
	if len(because) == 0 {
		because = all
	}
	for i := range because {
		via |= because[i].via
	}
	out.Origin = sallyport.Origin{Writer: writer, Readers: t.readers(evidence, because)}
	t.afterLoss(&out)
	var many bool
	if out.Sources, many = sources(text, all); (many || t.many) && !slices.Contains(out.Through, Many) {
		out.Through = append(out.Through, Many)
	}
	if len(all) > 0 && writer != sallyport.WriterUser && writer != sallyport.WriterTrusted && !t.complete(first, all) {
		via |= plain.ViaPart
	}
	out.Through = append(via.Names(), out.Through...)
	if t.power < weakPower {
		out.Through = append(out.Through, Short)
	}
	return out
}

// unseen is the trace of a value of which nothing was seen.
func (t *tracer) unseen() sallyport.Trace {
	out := sallyport.Trace{Path: t.path, Origin: sallyport.Origin{Writer: sallyport.WriterUnknown, Readers: sallyport.ReadersPublic}}
	t.afterLoss(&out)
	if t.power < weakPower {
		out.Through = append(out.Through, Short)
	}
	return out
}

// afterLoss adds what may have been forgotten: the value could have been seen
// there as well.
func (t *tracer) afterLoss(out *sallyport.Trace) {
	if !t.memory.lost {
		return
	}
	lost := t.memory.lostFrom
	if out.Origin.Writer == sallyport.WriterUnknown && lost.Writer <= sallyport.WriterUntrusted {
		out.Origin.Writer = sallyport.WriterUntrusted
		out.Through = append(out.Through, Forgotten)
	}
	if t.power >= weakPower && lost.Readers < out.Origin.Readers {
		out.Origin.Readers = lost.Readers
		if !slices.Contains(out.Through, Forgotten) {
			out.Through = append(out.Through, Forgotten)
		}
	}
}

// explains reports whether a match can make the value that of its origin.
func (t *tracer) explains(m *match) bool {
	if !m.same || m.via&exactOnly != 0 {
		return false
	}
	if m.shelf.origin.Writer != sallyport.WriterTrusted || t.power >= 2*weakPower || m.via&plain.ViaDate != 0 {
		return true
	}
	return sameKind(t.tool, t.path, m.field)
}

// strongest is the strongest writer who explains the whole value.
func (t *tracer) strongest() sallyport.Writer {
	best := sallyport.WriterUnknown
	for i := range t.wholes {
		if m := &t.wholes[i]; t.explains(m) {
			best = max(best, m.shelf.origin.Writer)
		}
	}
	return best
}

func of(kept, matches []match, keep func(*match) bool) []match {
	for i := range matches {
		if keep(&matches[i]) {
			kept = append(kept, matches[i])
		}
	}
	return kept
}

// assembled explains a value by its parts: a day and a time, the items of a
// list. Each must be explained as a whole by the user's words or a trusted
// field. What is one word can't be assembled: from the words of the user
// anybody could make an address that the user never named.
func (t *tracer) assembled(v *view, parts []plain.Part) (sallyport.Writer, []match) {
	weakest := sallyport.WriterUser
	var because []match
	if len(parts) > 1 {
		for _, p := range parts {
			from, to := v.squeezedIn(p.Readings[0].Start, p.Readings[0].End)
			best := -1
			for i := range t.pieces {
				m := &t.pieces[i]
				if m.view == v && m.from == from && m.to == to && m.same && (best < 0 || m.shelf.origin.Writer > t.pieces[best].shelf.origin.Writer) {
					best = i
				}
			}
			if best < 0 {
				return sallyport.WriterUnknown, nil
			}
			weakest = min(weakest, t.pieces[best].shelf.origin.Writer)
			because = append(because, t.pieces[best])
		}
		return weakest, because
	}
	if !slices.ContainsFunc(t.pieces, func(m match) bool { return m.shelf.origin.Writer > sallyport.WriterUntrusted }) {
		return sallyport.WriterUnknown, nil
	}
	atoms := atomsOf(v)
	if len(atoms) < 2 {
		return sallyport.WriterUnknown, nil
	}
	for _, a := range atoms {
		alone := &view{text: v.text[a[0]:a[1]], via: v.via}
		alone.prepare(t.memory.filter)
		one := tracer{memory: t.memory, tool: t.tool, path: t.path, power: alone.whole()}
		for _, s := range t.memory.shelves {
			if s.origin.Writer > sallyport.WriterUntrusted {
				one.look(s, alone, false)
			}
		}
		best := one.strongest()
		if best <= sallyport.WriterUntrusted {
			return sallyport.WriterUnknown, nil
		}
		weakest = min(weakest, best)
		for j := range one.wholes {
			m := one.wholes[j]
			if m.shelf.origin.Writer == best && one.explains(&m) {
				m.view = v // so that the source says which bytes of the whole it explains
				m.from, m.to = v.squeezedIn(a[0], a[1])
				because = append(because, m)
				break
			}
		}
	}
	return weakest, because
}

// atomsOf cuts a value where one thing ends and the next begins; it gives
// nothing when one of them says too little, as "a", "to" and "5" do, which can
// be found anywhere.
func atomsOf(v *view) [][2]int {
	var atoms [][2]int
	text, start := v.text, -1
	for i := 0; i <= len(text); i++ {
		if i < len(text) && strings.IndexByte(" \t\r\n,;|()[]{}<>\"", text[i]) < 0 {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			from, to := v.squeezedIn(start, i)
			if len(atoms) == maxAtoms || v.Power(from, to) < minPiece {
				return nil
			}
			atoms = append(atoms, [2]int{start, i})
			start = -1
		}
	}
	return atoms
}

// evidence is what says something about where the value came from: all of it,
// or pieces that hardly stand there by chance.
func (t *tracer) evidence() []match {
	kept := of(t.kept[:0], t.wholes, func(m *match) bool { return m.same || t.power >= weakPower })
	for i := range t.pieces {
		m := &t.pieces[i]
		power := m.power()
		// Of a short value half is enough, of a long text it takes a phrase.
		if power >= longPiece || power >= minPiece && 2*power >= t.power && t.power < longText || m.via&plain.ViaDate != 0 {
			kept = append(kept, *m)
		}
	}
	t.kept = kept
	return kept
}

// readers are the fewest of all places where the value or a telling piece of
// it was seen. A value that is found everywhere betrays nobody.
func (t *tracer) readers(lists ...[]match) sallyport.Readers {
	fewest := sallyport.ReadersPublic
	if t.power < weakPower {
		return fewest
	}
	for _, list := range lists {
		for i := range list {
			if list[i].power() >= minPiece && list[i].via&plain.ViaDate == 0 {
				fewest = min(fewest, list[i].shelf.origin.Readers)
			}
		}
	}
	for _, s := range t.crowd {
		fewest = min(fewest, s.origin.Readers)
	}
	return fewest
}

// complete reports whether the matches leave nothing of the value unexplained.
func (t *tracer) complete(v *view, matches []match) bool {
	covered := make([]bool, len(v.Bytes))
	for i := range matches {
		m := &matches[i]
		if m.view != v {
			if m.covers() && m.view.entire() {
				return true
			}
			continue
		}
		for j := m.from; j < m.to; j++ {
			covered[j] = true
		}
	}
	return !slices.Contains(covered, false)
}

// sources names where matches were seen, each place once.
func sources(text string, matches []match) (list []sallyport.Source, more bool) {
	if len(matches) > 0 {
		list = make([]sallyport.Source, 0, min(len(matches), maxSources))
	}
	for i := range matches {
		s := matches[i].source()
		s.Exact = matches[i].exact(text, s.Start, s.End)
		if slices.ContainsFunc(list, func(one sallyport.Source) bool { return one.Start == s.Start && one.Record == s.Record && one == s }) {
			continue
		}
		if len(list) == maxSources {
			return list, true
		}
		list = append(list, s)
	}
	return list, false
}

func (m *match) source() sallyport.Source {
	f := m.field
	start, end := f.sent(m.start, m.end)
	s := sallyport.Source{
		Call: f.from.call, Server: f.from.server, Tool: f.from.tool,
		Record: int(f.record), Field: f.place.path, Start: start, End: end,
		Origin: m.shelf.origin, Strength: f.from.strength,
	}
	s.ArgStart, s.ArgEnd = m.view.span(m.from, m.to)
	return s
}
