package provenance

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"sallyport"
	"sallyport/internal/provenance/plain"
)

// binaryVersion is the first byte of a memory's binary form.
const binaryVersion = 1

const maxLimit = 1 << 30

// ErrDamaged says that a memory could not be read. The memory is usable, and
// counts as having seen and forgotten the worst.
var ErrDamaged = errors.New("the memory of the run is damaged or of another version: its labels are the strictest until an operator clears them")

// MarshalBinary gives the memory for UnmarshalBinary: a version, the labels,
// the texts with their places, and a SHA-256 of all that. The index is left
// out, it is made again.
func (m *Memory) MarshalBinary() ([]byte, error) {
	w := writer{out: []byte{binaryVersion}}
	w.number(m.limit)
	w.number(int(m.seq))
	w.number(int(m.messages))
	w.flag(m.lost)
	w.origin(m.lostFrom)
	w.flag(m.labels.SawUntrusted)
	w.flag(m.labels.SawPrivate)
	w.flag(m.labels.More)
	w.number(len(m.labels.Sources))
	for _, s := range m.labels.Sources {
		w.text(s.Server)
		w.text(s.Tool)
		w.origin(s.Origin)
	}
	type kept struct {
		*field
		text   string
		origin sallyport.Origin
	}
	var fields []kept
	for _, s := range m.shelves {
		for i := range s.fields {
			fields = append(fields, kept{&s.fields[i], s.text(i), s.origin})
		}
	}
	slices.SortFunc(fields, func(a, b kept) int { return int(int64(a.seq) - int64(b.seq)) })
	froms, places := map[*origin]int{}, map[place]int{}
	w.number(len(fields))
	for _, f := range fields {
		w.origin(f.origin)
		if w.number(froms[f.from]); froms[f.from] == 0 {
			froms[f.from] = len(froms) + 1
			w.text(f.from.call)
			w.text(f.from.server)
			w.text(f.from.tool)
			w.text(f.from.strength)
			w.number(int(f.from.message))
		}
		if w.number(places[*f.place]); places[*f.place] == 0 {
			places[*f.place] = len(places) + 1
			w.text(f.place.path)
			w.text(f.place.kind)
			w.flag(f.place.sure)
		}
		w.number(int(f.record))
		w.text(f.text)
		w.decoded(f.decoded)
	}
	digest := sallyport.DigestOf(w.out)
	return append(w.out, digest[:]...), nil
}

type writer struct{ out []byte }

func (w *writer) number(n int) { w.out = binary.AppendUvarint(w.out, uint64(n)) }

func (w *writer) flag(b bool) {
	n := 0
	if b {
		n = 1
	}
	w.number(n)
}

func (w *writer) text(s string) {
	w.number(len(s))
	w.out = append(w.out, s...)
}

func (w *writer) origin(o sallyport.Origin) {
	w.out = append(w.out, byte(o.Writer), byte(o.Readers))
}

func (w *writer) decoded(d *decoded) {
	if w.flag(d != nil); d == nil {
		return
	}
	w.number(int(d.via))
	w.number(int(d.base))
	w.number(int(d.until))
	w.number(len(d.shifts))
	for _, s := range d.shifts {
		w.number(int(s.At))
		w.number(int(s.Was))
	}
}

// UnmarshalBinary reads what MarshalBinary wrote. Anything else is ErrDamaged,
// after which the memory has the strictest labels.
func (m *Memory) UnmarshalBinary(data []byte) error {
	n := len(data) - len(sallyport.Digest{})
	if n < 1 || data[0] != binaryVersion || !bytes.Equal(data[n:], digest(data[:n])) || !m.read(data[1:n]) {
		*m = *New(0)
		m.labels = Labels{SawUntrusted: true, SawPrivate: true, More: true}
		m.forget(sallyport.Origin{})
		return ErrDamaged
	}
	return nil
}

func digest(data []byte) []byte {
	d := sallyport.DigestOf(data)
	return d[:]
}

// read fills an empty memory; false when something does not add up.
func (m *Memory) read(data []byte) bool {
	r := reader{data: data, ok: true}
	limit := r.number(maxLimit)
	if *m = *New(limit); limit < minLimit {
		return false
	}
	seq := uint64(r.number(1 << 62))
	m.messages = int32(r.number(1<<31 - 1))
	lost, lostFrom := r.flag(), r.origin()
	m.labels.SawUntrusted, m.labels.SawPrivate, m.labels.More = r.flag(), r.flag(), r.flag()
	for range r.number(maxSeen) {
		m.labels.Sources = append(m.labels.Sources, Seen{r.text(), r.text(), r.origin()})
	}
	var froms []*origin
	var places []*place
	for range r.number(len(data)) {
		o := r.origin()
		i := r.number(len(froms))
		if i == 0 {
			froms = append(froms, &origin{r.text(), r.text(), r.text(), r.text(), int32(r.number(1<<31 - 1))})
			i = len(froms)
		}
		j := r.number(len(places))
		if j == 0 {
			places = append(places, &place{r.text(), r.text(), r.flag()})
			j = len(places)
		}
		if !r.ok {
			return false
		}
		f := field{from: froms[i-1], place: places[j-1], record: int32(r.number(1<<31 - 1))}
		text := r.text()
		f.decoded = r.decoded()
		m.put(o, f, text)
	}
	m.seq = max(m.seq, seq)
	if lost {
		m.forget(lostFrom)
	}
	m.trim()
	return r.ok && len(r.data) == 0
}

// reader reads what a writer wrote; after the first mistake all is zero.
type reader struct {
	data []byte
	ok   bool
}

func (r *reader) number(most int) int {
	n, size := binary.Uvarint(r.data)
	if !r.ok || size <= 0 || n > uint64(most) {
		r.ok, r.data = false, nil
		return 0
	}
	r.data = r.data[size:]
	return int(n)
}

func (r *reader) flag() bool { return r.number(1) == 1 }

func (r *reader) text() string {
	n := r.number(len(r.data))
	if n > len(r.data) {
		r.ok, r.data = false, nil
		return ""
	}
	s := string(r.data[:n])
	r.data = r.data[n:]
	return s
}

func (r *reader) origin() sallyport.Origin {
	if len(r.data) < 2 || r.data[0] > byte(sallyport.WriterUser) || r.data[1] > byte(sallyport.ReadersPublic) {
		r.ok, r.data = false, nil
		return sallyport.Origin{}
	}
	o := sallyport.Origin{Writer: sallyport.Writer(r.data[0]), Readers: sallyport.Readers(r.data[1])}
	r.data = r.data[2:]
	return o
}

func (r *reader) decoded() *decoded {
	if !r.flag() {
		return nil
	}
	d := &decoded{via: plain.Through(r.number(1<<16 - 1)), base: int32(r.number(1<<31 - 1)), until: int32(r.number(1<<31 - 1))}
	for range r.number(len(r.data) / 2) {
		d.shifts = append(d.shifts, plain.Shift{At: int32(r.number(1<<31 - 1)), Was: int32(r.number(1<<31 - 1))})
	}
	return d
}
