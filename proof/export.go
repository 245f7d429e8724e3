package proof

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sallyport"
)

// An export is text of one JSON value a line. The first line is its Header.
// The lines after it cover every entry up to the size of the header's
// checkpoint once and in order: an entry as its canonical bytes, or a Gap. An
// Opening follows the entry that it opens.

// Header is the first line of an export.
type Header struct {
	Key        string // verifier key of the log, for reading; trust it only when it comes from elsewhere
	Checkpoint string // signed note
}

// Gap stands for entries that are not in the export, by the hashes of the
// widest complete subtrees that make them up (see Subtrees). Two gaps may
// follow each other, where an earlier checkpoint ends between them.
type Gap struct {
	From, To uint64 // index of the first entry, and of the first after it
	Hashes   []sallyport.Digest
}

// Opening opens the commitments of the entry before it.
type Opening struct {
	Index  uint64
	Args   *Payload
	Result *Payload
}

// Payload is what a commitment commits to.
type Payload struct {
	Salt [SaltSize]byte
	Text []byte // UTF-8
}

const exportVersion = 1

// Append appends the header's line.
func (h Header) Append(dst []byte) []byte {
	dst = append(dst, `{"export":{"checkpoint":`...)
	dst = sallyport.AppendString(dst, h.Checkpoint)
	dst = append(dst, `,"key":`...)
	dst = sallyport.AppendString(dst, h.Key)
	dst = append(dst, `,"v":`...)
	dst = strconv.AppendInt(dst, exportVersion, 10)
	return append(dst, "}}\n"...)
}

// Append appends the gap's line.
func (g Gap) Append(dst []byte) []byte {
	dst = append(dst, `{"gap":{"from":`...)
	dst = strconv.AppendUint(dst, g.From, 10)
	dst = append(dst, `,"hashes":[`...)
	for i, hash := range g.Hashes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `"sha256:`...)
		dst = hex.AppendEncode(dst, hash[:])
		dst = append(dst, '"')
	}
	dst = append(dst, `],"to":`...)
	dst = strconv.AppendUint(dst, g.To, 10)
	return append(dst, "}}\n"...)
}

// Append appends the opening's line.
func (o Opening) Append(dst []byte) []byte {
	dst = append(dst, `{"opening":{`...)
	dst = o.Args.append(dst, "args")
	dst = append(dst, `"index":`...)
	dst = strconv.AppendUint(dst, o.Index, 10)
	if o.Result != nil {
		dst = append(dst, ',')
		dst = bytes.TrimSuffix(o.Result.append(dst, "result"), []byte{','})
	}
	return append(dst, "}}\n"...)
}

func (p *Payload) append(dst []byte, name string) []byte {
	if p == nil {
		return dst
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	dst = append(dst, `":{"payload":`...)
	dst = sallyport.AppendString(dst, string(p.Text))
	dst = append(dst, `,"salt":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, p.Salt[:])
	return append(dst, `"},`...)
}

// line is one line of an export behind the header, taken apart; exactly one
// of its three is set.
type line struct {
	entry   *sallyport.Entry
	leaf    sallyport.Digest // of the entry
	gap     *Gap
	opening *opened
}

// opened is an opening reduced to the commitments that it opens.
type opened struct {
	index        uint64
	args, result sallyport.Digest
}

func parseLine(text []byte) (line, error) {
	switch {
	case bytes.HasPrefix(text, []byte(`{"gap":`)):
		gap, err := parseGap(text)
		return line{gap: gap}, err
	case bytes.HasPrefix(text, []byte(`{"opening":`)):
		opening, err := parseOpening(text)
		return line{opening: opening}, err
	default:
		entry, err := sallyport.ParseEntry(text)
		return line{entry: &entry, leaf: sallyport.LeafHash(text)}, err
	}
}

func parseHeader(text []byte) (h Header, err error) {
	var version uint64
	err = members(text, "export", func(name string, value sallyport.Value) (err error) {
		switch name {
		case "checkpoint":
			h.Checkpoint, err = textOf(value)
		case "key":
			h.Key, err = textOf(value)
		case "v":
			version, err = integerOf(value)
		default:
			err = errUnknownName
		}
		return err
	})
	if err == nil && version != exportVersion {
		err = fmt.Errorf("export of version %d, this Sallyport reads %d", version, exportVersion)
	}
	return h, err
}

func parseGap(text []byte) (*Gap, error) {
	var g Gap
	err := members(text, "gap", func(name string, value sallyport.Value) (err error) {
		switch name {
		case "from":
			g.From, err = integerOf(value)
		case "to":
			g.To, err = integerOf(value)
		case "hashes":
			for _, item := range value.Items() {
				hash, err := digestOf(item)
				if err != nil {
					return err
				}
				g.Hashes = append(g.Hashes, hash)
			}
		default:
			err = errUnknownName
		}
		return err
	})
	return &g, err
}

func parseOpening(text []byte) (*opened, error) {
	var o opened
	err := members(text, "opening", func(name string, value sallyport.Value) (err error) {
		switch name {
		case "index":
			o.index, err = integerOf(value)
		case "args":
			o.args, err = commitmentOf(value)
		case "result":
			o.result, err = commitmentOf(value)
		default:
			err = errUnknownName
		}
		return err
	})
	return &o, err
}

var errUnknownName = errors.New("unknown name")

// members runs over the members of the one object named outer in text.
func members(text []byte, outer string, each func(string, sallyport.Value) error) error {
	value, err := sallyport.Parse(text)
	if err != nil {
		return err
	}
	inner := value.Get(outer)
	if value.Len() != 1 || inner.Type() != sallyport.Object {
		return fmt.Errorf("not one object named %q", outer)
	}
	for name, member := range inner.Members() {
		if err := each(name, member); err != nil {
			return fmt.Errorf("%s: %s: %w", outer, name, err)
		}
	}
	return nil
}

func commitmentOf(value sallyport.Value) (sallyport.Digest, error) {
	payload, errPayload := textOf(value.Get("payload"))
	encoded, errSalt := textOf(value.Get("salt"))
	salt, err := base64.StdEncoding.DecodeString(encoded)
	if err := errors.Join(errPayload, errSalt, err); err != nil {
		return sallyport.Digest{}, err
	}
	if len(salt) != SaltSize || value.Len() != 2 {
		return sallyport.Digest{}, errors.New("not a payload and a salt")
	}
	return Commitment([SaltSize]byte(salt), []byte(payload)), nil
}

func textOf(value sallyport.Value) (string, error) {
	text, ok := value.Text()
	if !ok {
		return "", errors.New("not a string")
	}
	return text, nil
}

func integerOf(value sallyport.Value) (uint64, error) {
	n, err := strconv.ParseUint(string(value.Raw()), 10, 53)
	if err != nil {
		return 0, errors.New("not an integer from 0 to 2^53-1")
	}
	return n, nil
}

func digestOf(value sallyport.Value) (digest sallyport.Digest, err error) {
	text, _ := value.Text()
	digits, named := strings.CutPrefix(text, "sha256:")
	raw, err := hex.DecodeString(digits)
	if err != nil || !named || len(raw) != len(digest) {
		return digest, errors.New("not a digest")
	}
	copy(digest[:], raw)
	return digest, nil
}
