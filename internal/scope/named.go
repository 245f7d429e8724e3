package scope

import (
	"strconv"
	"strings"

	"sallyport"
)

// Name is the name of a member that no schema declares. Whoever calls chose it,
// as any value: {"shares": {"mallory@evil.example": "editor"}}.
type Name struct {
	Path  string // of the member
	Text  string
	Role  Role
	Trace sallyport.Trace
}

// Bounds of the names of one call. With more of them nobody knows.
const (
	maxNames     = 4096
	maxNamesText = 1 << 20 // bytes of all and their paths
)

// Named are the names in arguments that the tool's schema does not declare; false
// when there are too many.
func (t *Tool) Named(args sallyport.Value) (names []Name, all bool) {
	text := 0
	var walk func(path []byte, v, schema sallyport.Value) bool
	walk = func(path []byte, v, schema sallyport.Value) bool {
		properties := schema.Get("properties")
		// Where the schema says nothing of names, or says it in another way, only
		// those count that no program would give.
		known := properties.Type() == sallyport.Object || schema.Get("additionalProperties").Type() != sallyport.Absent
		for name, member := range v.Members() {
			at := sallyport.AppendName(path, name)
			property := properties.Get(name)
			if property.Type() == sallyport.Absent && (known || !isWord(name)) {
				if text += len(at) + len(name); len(names) == maxNames || text > maxNamesText {
					return false
				}
				names = append(names, Name{Path: string(at), Text: name, Role: t.roleOfName(string(path), name)})
				property = schema.Get("additionalProperties")
			}
			if !walk(at, member, property) {
				return false
			}
		}
		for i, item := range v.Items() {
			if !walk(append(strconv.AppendInt(append(path, '['), int64(i), 10), ']'), item, schema.Get("items")) {
				return false
			}
		}
		return true
	}
	return names, walk(nil, args, t.Schema)
}

// roleOfName is what a name is for within the argument at a path: of people in
// a list of people, of whoever gets rights that are given there.
func (t *Tool) roleOfName(path, name string) Role {
	role := RoleNone
	if path != "" {
		role = t.RoleOf(path, sallyport.MustParse(string(sallyport.AppendString(nil, name))))
	}
	switch role {
	case RolePermission:
		return RolePrincipal
	case RoleNone, RoleContent, RoleTime, RoleQuery:
		return shapeOf(name, role)
	}
	return role
}

// isWord reports whether a name is one as programs have them.
func isWord(name string) bool {
	return len(name) <= 32 && strings.IndexFunc(name, func(r rune) bool {
		return r != '_' && r != '-' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) < 0
}
