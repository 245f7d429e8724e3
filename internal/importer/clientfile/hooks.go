package clientfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// Hook is a command that Claude Code runs at an event.
type Hook struct {
	Event   string
	Matcher string // of tools, "" for events that are about none
	Command string
	Timeout int // in seconds
}

// group is a hook as settings have it.
type group struct {
	Matcher string    `json:"matcher,omitempty"`
	Hooks   []command `json:"hooks"`
}

type command struct {
	Type    string `json:"type"`
	Command string `json:"command"`
	Timeout int    `json:"timeout"`
}

func (h Hook) group() group { return group{h.Matcher, []command{{"command", h.Command, h.Timeout}}} }

// AddHooks puts hooks into Claude Code's settings, in the place of those whose
// command contains mark. All else stays byte for byte. An empty text is an empty
// file.
func AddHooks(text []byte, hooks []Hook, mark string) ([]byte, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		text = []byte("{}\n")
	}
	if there, err := Hooks(text, mark); err != nil || sameHooks(there, hooks) {
		return text, err
	}
	text, err := RemoveHooks(text, mark)
	if err != nil {
		return nil, err
	}
	bom, text := cutMark(text)
	v, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	root := v.Value.(*hujson.Object) // as RemoveHooks has seen
	indent := indentOf(text)
	for _, h := range hooks {
		events, err := child[*hujson.Object](root, "hooks", new(hujson.Object), indent, 0)
		if err != nil {
			return nil, err
		}
		groups, err := child[*hujson.Array](events, h.Event, new(hujson.Array), indent, 1)
		if err != nil {
			return nil, err
		}
		prefix := strings.Repeat(indent, 3)
		raw, err := encode(h.group(), prefix, indent)
		if err != nil {
			return nil, err
		}
		element, err := hujson.Parse(raw)
		if err != nil {
			return nil, err
		}
		element.BeforeExtra, element.AfterExtra = hujson.Extra("\n"+prefix), nil
		groups.Elements = append(groups.Elements, element)
		groups.AfterExtra = closing(groups.AfterExtra, strings.Repeat(indent, 2))
	}
	return slices.Concat(bom, packJSON(v, text)), nil
}

// RemoveHooks takes out the hooks whose command contains mark, and what is empty
// without them.
func RemoveHooks(text []byte, mark string) ([]byte, error) {
	bom, text := cutMark(text)
	if len(bytes.TrimSpace(text)) == 0 {
		return slices.Concat(bom, text), nil
	}
	v, events, err := hooksIn(text)
	if err != nil || events == nil {
		return slices.Concat(bom, text), err
	}
	root := v.Value.(*hujson.Object)
	for i := range events.Members {
		groups, ok := events.Members[i].Value.Value.(*hujson.Array)
		if !ok {
			continue
		}
		groups.Elements = slices.DeleteFunc(groups.Elements, func(g hujson.Value) bool {
			all := commandsOf(g)
			if all == nil {
				return false
			}
			before := len(all.Elements)
			all.Elements = slices.DeleteFunc(all.Elements, func(c hujson.Value) bool { return strings.Contains(stringAt(c, "command"), mark) })
			return before > 0 && len(all.Elements) == 0
		})
	}
	full := len(events.Members)
	events.Members = slices.DeleteFunc(events.Members, func(m hujson.ObjectMember) bool {
		groups, ok := m.Value.Value.(*hujson.Array)
		return ok && len(groups.Elements) == 0
	})
	if full > 0 && len(events.Members) == 0 {
		root.Members = slices.DeleteFunc(root.Members, func(m hujson.ObjectMember) bool { return jsonName(&m) == "hooks" })
	}
	return slices.Concat(bom, packJSON(v, text)), nil
}

// sameHooks reports whether these are those, whatever other hooks make of their
// order.
func sameHooks(these, those []Hook) bool {
	counts := map[Hook]int{}
	for _, h := range these {
		counts[h]++
	}
	for _, h := range those {
		counts[h]--
	}
	for _, n := range counts {
		if n != 0 {
			return false
		}
	}
	return true
}

// Hooks are those whose command contains mark.
func Hooks(text []byte, mark string) ([]Hook, error) {
	_, text = cutMark(text)
	_, events, err := hooksIn(text)
	if err != nil || events == nil {
		return nil, err
	}
	var found []Hook
	for i := range events.Members {
		groups, ok := events.Members[i].Value.Value.(*hujson.Array)
		if !ok {
			continue
		}
		for _, g := range groups.Elements {
			if all := commandsOf(g); all != nil {
				for _, c := range all.Elements {
					if text := stringAt(c, "command"); strings.Contains(text, mark) {
						h := Hook{Event: jsonName(&events.Members[i]), Matcher: stringAt(g, "matcher"), Command: text}
						fmt.Sscan(stringAt(c, "timeout"), &h.Timeout)
						found = append(found, h)
					}
				}
			}
		}
	}
	return found, nil
}

// hooksIn finds the hooks of settings, nil where there are none.
func hooksIn(text []byte) (v hujson.Value, events *hujson.Object, err error) {
	if v, err = parseJSON(text); err != nil {
		return v, nil, err
	}
	root, ok := v.Value.(*hujson.Object)
	if !ok {
		return v, nil, parseErrorAt(text, v.StartOffset, "expected an object")
	}
	if err := uniqueNames(text, root); err != nil {
		return v, nil, err
	}
	for i := range root.Members {
		if jsonName(&root.Members[i]) != "hooks" {
			continue
		}
		if events, ok = root.Members[i].Value.Value.(*hujson.Object); !ok {
			return v, nil, parseErrorAt(text, root.Members[i].Value.StartOffset, "expected an object for the hooks")
		}
		return v, events, uniqueNames(text, events)
	}
	return v, nil, nil
}

// commandsOf are the commands of a group, nil where it has none.
func commandsOf(group hujson.Value) *hujson.Array {
	object, ok := group.Value.(*hujson.Object)
	if !ok {
		return nil
	}
	for i := range object.Members {
		if jsonName(&object.Members[i]) == "hooks" {
			all, _ := object.Members[i].Value.Value.(*hujson.Array)
			return all
		}
	}
	return nil
}

// stringAt is a member's text or number, "" where there is none.
func stringAt(v hujson.Value, name string) string {
	object, ok := v.Value.(*hujson.Object)
	if !ok {
		return ""
	}
	for i := range object.Members {
		if literal, ok := object.Members[i].Value.Value.(hujson.Literal); ok && jsonName(&object.Members[i]) == name {
			if literal.Kind() == '"' {
				return literal.String()
			}
			return string(literal)
		}
	}
	return ""
}

// child is a member of an object, made where it is missing.
func child[T hujson.ValueTrimmed](object *hujson.Object, name string, empty T, indent string, depth int) (found T, err error) {
	for i := range object.Members {
		if jsonName(&object.Members[i]) == name {
			found, ok := object.Members[i].Value.Value.(T)
			if !ok {
				return found, fmt.Errorf("%s in the settings is something else than Claude Code reads", name)
			}
			return found, nil
		}
	}
	prefix := strings.Repeat(indent, depth+1)
	object.Members = append(object.Members, hujson.ObjectMember{
		Name:  hujson.Value{BeforeExtra: hujson.Extra("\n" + prefix), Value: hujson.Literal(quote(name))},
		Value: hujson.Value{BeforeExtra: hujson.Extra(" "), Value: empty},
	})
	object.AfterExtra = closing(object.AfterExtra, strings.Repeat(indent, depth))
	return empty, nil
}

// closing puts a closing bracket on a line of its own, behind what stands there.
func closing(extra hujson.Extra, prefix string) hujson.Extra {
	if bytes.ContainsRune(extra, '\n') {
		return extra
	}
	return append(bytes.TrimRight(extra, " \t"), "\n"+prefix...)
}

// indentOf is how a text is indented.
func indentOf(text []byte) string {
	for line := range bytes.Lines(text) {
		if rest := bytes.TrimLeft(line, " \t"); len(rest) < len(line) && len(bytes.TrimSpace(rest)) > 0 {
			return string(line[:len(line)-len(rest)])
		}
	}
	return "  "
}

// encode is value as indented JSON, without HTML escapes: people read it.
func encode(value any, prefix, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent(prefix, indent)
	err := e.Encode(value)
	return bytes.TrimSpace(b.Bytes()), err
}

// Decode reads JSON with comments and trailing commas.
func Decode(text []byte) (any, error) { return decodeJSON(text) }
