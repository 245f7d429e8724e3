// Package greeting is what servers say of themselves, as agents hear it.
package greeting

import (
	"strings"

	"sallyport"
	"sallyport/internal/mcpdoor/post"
	"sallyport/internal/wire"
)

// Hello is what one server says of itself.
type Hello struct {
	Server string
	Words  sallyport.Value // absent when the server could not be asked
	Failed post.Reply
}

// In is a server's own hello, with the revision that the session speaks from now
// on: the server may have been greeted in a newer one, and may know but an older.
func In(revision string, words sallyport.Value) (raw []byte, agreed string) {
	version := words.Get("protocolVersion")
	said, _ := version.Text()
	if said == revision || version.Type() == sallyport.Absent {
		return words.Raw(), revision
	}
	if said < revision && wire.Negotiate(said) == said {
		return words.Raw(), said
	}
	return words.Splice(sallyport.Edit{Target: version, With: sallyport.AppendString(nil, revision)}), revision
}

// Capabilities are those of all servers as one.
func Capabilities(hellos []Hello) []byte {
	var all []sallyport.Value
	for _, h := range hellos {
		if c := h.Words.Get("capabilities"); c.Type() == sallyport.Object {
			all = append(all, c)
		}
	}
	return wire.AppendMerged(nil, all)
}

// AppendInstructions appends what the servers say to models, each under its
// name.
func AppendInstructions(dst []byte, hellos []Hello) []byte {
	var all strings.Builder
	for _, h := range hellos {
		said, _ := h.Words.Get("instructions").Text()
		if said == "" {
			continue
		}
		if all.Len() > 0 {
			all.WriteString("\n\n")
		}
		all.WriteString("# " + h.Server + "\n\n" + said)
	}
	if all.Len() == 0 {
		return dst
	}
	return sallyport.AppendString(append(dst, `,"instructions":`...), all.String())
}
