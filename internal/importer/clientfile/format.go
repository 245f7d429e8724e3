// Package clientfile reads and edits the configuration files of agent clients
// in place. An edit touches only the connection settings of the entries it is
// given; comments, order, indentation, line endings and everything else stay
// byte for byte.
package clientfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/tailscale/hujson"
)

// Format is one file format. Texts are whole files, with a byte order mark if
// they have one. No error quotes a text: it may hold credentials.
type Format interface {
	// Entries returns the servers under the tables, in file order. A table is
	// a path of keys, in which "*" is any key. The error is a *ParseError
	// without a path.
	Entries(text []byte, tables [][]string) ([]Entry, error)
	// Point replaces the connection settings of entries. Comments are kept
	// unless keep refuses their text.
	Point(text []byte, targets []Target, keep func(comment []byte) bool) ([]byte, error)
	// Restore gives the entry at path the connection settings that it has in
	// before.
	Restore(text, before []byte, path []string) ([]byte, error)
	// Mask puts Hidden in the place of the strings that are secret, for
	// display: every line stays the line it was.
	Mask(text []byte, secret func(String) bool) []byte
}

// JSON is JSON with comments and trailing commas.
func JSON() Format { return jsonFormat{} }

// TOML is TOML 1.0.
func TOML() Format { return tomlFormat{} }

// Hidden is what a credential looks like wherever one is shown.
const Hidden = "••••"

// Entry is a server as a file has it.
type Entry struct {
	Path   []string // keys from the root of the file; the last is its name
	Fields map[string]any
	Fixed  string // why its connection settings can't be replaced in place; empty when they can
}

// Target is an entry that is to be pointed elsewhere.
type Target struct {
	Path     []string
	Settings []Setting
}

// String is a string in a file, its position counted in bytes. Name is the key
// that it stands under.
type String struct {
	Name, Value string
	Start, End  int
}

// Setting is one key of an entry to be written: a string, a list of strings or
// a table of strings. One of the three is set.
type Setting struct {
	Key   string
	Text  string
	List  []string
	Table [][2]string
}

// connection holds the keys that say how a server is reached. They are what an
// edit replaces; everything else in an entry (timeouts, tool filters, trust)
// is between the user and the client and stays.
var connection = []string{
	"type", "transport", "command", "args", "env", "envFile", "cwd",
	"url", "httpUrl", "serverUrl", "headers",
	"env_vars", "bearer_token_env_var", "http_headers", "env_http_headers",
}

func isConnection(key string) bool { return slices.Contains(connection, key) }

// ParseError says where a client's file can't be read. Reason never quotes the
// file.
type ParseError struct {
	Path         string
	Line, Column int // from 1; 0 when unknown
	Reason       string
}

func (e *ParseError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.Path, e.Reason)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.Path, e.Line, e.Column, e.Reason)
}

func parseErrorAt(text []byte, offset int, reason string) *ParseError {
	line := 1 + bytes.Count(text[:offset], []byte("\n"))
	column := offset - bytes.LastIndexByte(text[:offset], '\n')
	return &ParseError{Line: line, Column: column, Reason: reason}
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// cutMark parts a text from its byte order mark.
func cutMark(text []byte) (mark, body []byte) {
	if body, marked := bytes.CutPrefix(text, byteOrderMark); marked {
		return byteOrderMark, body
	}
	return nil, text
}

// HasTable reports whether path is one of the tables.
func HasTable(tables [][]string, path []string) bool {
	return slices.ContainsFunc(tables, func(table []string) bool {
		return slices.EqualFunc(path, table, func(key, want string) bool { return want == "*" || key == want })
	})
}

// Check proves by a second parser that before and after differ in nothing but
// the connection settings of the entries at paths. It stands between a mistake
// in our splicing and the user's file.
func Check(f Format, before, after []byte, paths [][]string) error {
	decode := decodeJSON
	if _, ok := f.(tomlFormat); ok {
		decode = decodeTOML
	}
	old, err := decode(before)
	if err != nil {
		return fmt.Errorf("before the edit: %w", err)
	}
	edited, err := decode(after)
	if err != nil {
		return fmt.Errorf("after the edit: %w", err)
	}
	for _, path := range paths {
		for _, root := range []any{old, edited} {
			fields, ok := lookUp(root, path).(map[string]any)
			if !ok {
				return fmt.Errorf("%s is lost in the edit", strings.Join(path, "."))
			}
			maps.DeleteFunc(fields, func(key string, _ any) bool { return isConnection(key) })
		}
	}
	if !reflect.DeepEqual(old, edited) {
		return errors.New("the edit would change more than the entries: the file stays as it is")
	}
	return nil
}

// hidden returns Hidden in quotes, followed by the line breaks of raw.
func hidden(raw []byte) string {
	return `"` + Hidden + `"` + strings.Repeat("\n", bytes.Count(raw, []byte("\n")))
}

func lookUp(v any, path []string) any {
	for _, key := range path {
		table, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = table[key]
	}
	return v
}

func decodeJSON(text []byte) (any, error) {
	_, body := cutMark(text)
	standard, err := hujson.Standardize(bytes.Clone(endLine(body)))
	if err != nil {
		return nil, jsonParseError(err)
	}
	return unmarshalJSON(standard)
}

// unmarshalJSON decodes standard JSON and keeps numbers as they are written: a
// float would turn 1000000 into 1e+06.
func unmarshalJSON(standard []byte) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader(standard))
	dec.UseNumber()
	err = dec.Decode(&v)
	return v, err
}

func decodeTOML(text []byte) (any, error) {
	_, body := cutMark(text)
	var table map[string]any
	if err := toml.Unmarshal(body, &table); err != nil {
		return nil, tomlParseError(err)
	}
	return table, nil
}

// quote returns s as a JSON string without HTML escapes.
func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return `""` // a Go string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}
