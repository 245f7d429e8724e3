// Package manifest knows what a server says of itself: its items, their
// digests, how two manifests differ, and whether arguments fit a schema.
package manifest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"sallyport"
)

// Key names one item of a manifest: "tool:refund", "prompt:draft",
// "template:desk://tickets/{id}", ServerKey or CapabilitiesKey.
type Key string

const (
	// ServerKey is the item that holds the server's own words: instructions and
	// serverInfo.
	ServerKey Key = "server"
	// CapabilitiesKey is the item that holds what the server claims to be able
	// to do, in both eras of MCP together.
	CapabilitiesKey Key = "capabilities"
)

// KeyOf is the key of a tool or prompt by name or of a template by its URI
// template.
func KeyOf(kind sallyport.Kind, name string) Key {
	if kind == sallyport.KindResource {
		return Key("template:" + name)
	}
	return Key(kind.String() + ":" + name)
}

// Split is the inverse of KeyOf.
func (k Key) Split() (sallyport.Kind, string) {
	prefix, name, _ := strings.Cut(string(k), ":")
	if prefix == "template" {
		return sallyport.KindResource, name
	}
	return sallyport.KindOf(prefix), name
}

// Item is one part of a manifest. Its digest covers all that the server sent
// for it: name, title, description, icons, schemas, annotations, _meta.
type Item struct {
	Key    Key
	Raw    sallyport.Value
	Digest sallyport.Digest
}

// NewItem makes an item of what the server sent.
func NewItem(key Key, raw sallyport.Value) Item {
	return Item{key, raw, sallyport.DigestOf(raw.AppendCanonical(nil))}
}

// Manifest is the whole of what a server says of itself.
type Manifest struct {
	Server string
	Items  map[Key]Item
}

// New makes the manifest of a server from its initialize or discover result
// and the items of its complete lists. Two items of one name are an error: an
// agent and a human could be shown different ones.
func New(server string, hello sallyport.Value, tools, prompts, templates []sallyport.Value) (Manifest, error) {
	m := Manifest{server, map[Key]Item{}}
	words, err := serverWords(hello)
	if err != nil {
		return m, err
	}
	m.Items[ServerKey] = NewItem(ServerKey, words)
	claimed := hello.Get("capabilities")
	if claimed.Type() != sallyport.Object {
		claimed = sallyport.MustParse("{}")
	}
	m.Items[CapabilitiesKey] = NewItem(CapabilitiesKey, claimed)
	for _, list := range []struct {
		kind   sallyport.Kind
		naming string
		items  []sallyport.Value
	}{
		{sallyport.KindTool, "name", tools},
		{sallyport.KindPrompt, "name", prompts},
		{sallyport.KindResource, "uriTemplate", templates},
	} {
		for _, raw := range list.items {
			name, ok := raw.Get(list.naming).Text()
			if !ok {
				return m, fmt.Errorf("server %s: a %s without %q", server, list.kind, list.naming)
			}
			key := KeyOf(list.kind, name)
			if _, twice := m.Items[key]; twice {
				return m, fmt.Errorf("server %s: two items are called %s", server, key)
			}
			m.Items[key] = NewItem(key, raw)
		}
	}
	return m, nil
}

// serverInfoKey is where server/discover has what initialize calls serverInfo
// (MCP 2026-07-28, result._meta).
const serverInfoKey = "io.modelcontextprotocol/serverInfo"

// serverWords keeps of a hello what reaches people and models, alike whichever
// era the hello is of.
func serverWords(hello sallyport.Value) (sallyport.Value, error) {
	info := hello.Get("serverInfo")
	if info.Type() == sallyport.Absent {
		info = hello.Get("_meta").Get(serverInfoKey)
	}
	text := []byte("{")
	if instructions := hello.Get("instructions"); instructions.Type() != sallyport.Absent {
		text = instructions.AppendCanonical(append(text, `"instructions":`...))
	}
	if info.Type() != sallyport.Absent {
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = info.AppendCanonical(append(text, `"serverInfo":`...))
	}
	return sallyport.Parse(append(text, '}'))
}

// Words is the "server" item of a hello.
func Words(hello sallyport.Value) (Item, error) {
	raw, err := serverWords(hello)
	if err != nil {
		return Item{}, err
	}
	return NewItem(ServerKey, raw), nil
}

// Within reports whether capabilities claim nothing beyond others. What is
// false or null claims nothing: a server may do less than it could.
func Within(claimed, accepted sallyport.Value) bool {
	switch claimed.Type() {
	case sallyport.Absent, sallyport.Null, sallyport.False:
		return true
	case sallyport.Object:
		for name, member := range claimed.Members() {
			if !Within(member, accepted.Get(name)) {
				return false
			}
		}
		return accepted.Type() == sallyport.Object
	default:
		return bytes.Equal(claimed.AppendCanonical(nil), accepted.AppendCanonical(nil))
	}
}

// Keys lists the keys in order.
func (m Manifest) Keys() []Key {
	keys := make([]Key, 0, len(m.Items))
	for key := range m.Items {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
