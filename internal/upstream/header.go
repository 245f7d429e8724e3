package upstream

import (
	"encoding/base64"
	"math"
	"net/http"
	"strconv"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"

	"sallyport"
	"sallyport/internal/wire"
)

// paramHeaders knows which arguments of which tools are repeated in headers
// (x-mcp-header, MCP 2026-07-28), by the digest of the pinned definition.
type paramHeaders struct {
	known *lru.Cache[sallyport.Digest, []paramHeader]
}

// paramHeader says that the argument at path is repeated in a header.
type paramHeader struct {
	path   []string
	header string
}

// knownTools bounds the memory for tools' headers.
const knownTools = 4096

func newParamHeaders() *paramHeaders {
	known, _ := lru.New[sallyport.Digest, []paramHeader](knownTools) // fails for a size below 1 only
	return &paramHeaders{known}
}

// of are the headers that must repeat what the body says.
func (p *paramHeaders) of(r *request) http.Header {
	h := p.standard(r.Method, r.Params)
	if r.tool == nil || r.Method != "tools/call" {
		return h
	}
	for _, ph := range p.find(r.tool) {
		argument := r.Params.Get("arguments")
		for _, name := range ph.path {
			argument = argument.Get(name)
		}
		if text, ok := primitive(argument); ok {
			h[http.CanonicalHeaderKey(wire.HeaderParam+ph.header)] = []string{encodeHeader(text)}
		}
	}
	return h
}

// standard are the headers that repeat the method and the name.
func (p *paramHeaders) standard(method string, params sallyport.Value) http.Header {
	h := http.Header{wire.HeaderMethod: {method}}
	naming := ""
	switch method {
	case "tools/call", "prompts/get":
		naming = "name"
	case "resources/read":
		naming = "uri"
	case "tasks/get", "tasks/update", "tasks/cancel":
		naming = "taskId"
	}
	if name, ok := params.Get(naming).Text(); naming != "" && ok {
		h[wire.HeaderName] = []string{encodeHeader(name)}
	}
	return h
}

func (p *paramHeaders) find(tool *sallyport.Definition) []paramHeader {
	if found, ok := p.known.Get(tool.Digest); ok && !tool.Digest.IsZero() {
		return found
	}
	found := declared(tool.Raw.Get("inputSchema"), nil, nil)
	p.known.Add(tool.Digest, found)
	return found
}

// declared collects the x-mcp-header declarations of a schema. Only those
// that can be reached through properties alone count.
func declared(schema sallyport.Value, path []string, found []paramHeader) []paramHeader {
	for name, property := range schema.Get("properties").Members() {
		here := append(path[:len(path):len(path)], name)
		if header, ok := property.Get("x-mcp-header").Text(); ok && isToken(header) {
			found = append(found, paramHeader{here, header})
		}
		found = declared(property, here, found)
	}
	return found
}

// isToken reports whether text can stand in a header's name (RFC 9110, token).
func isToken(text string) bool {
	for i := range len(text) {
		c := text[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return text != ""
}

// primitive is how a header writes an argument; null, absent and structured
// ones have no header, nor has a number that is no integer that every JSON
// parser reads the same.
func primitive(v sallyport.Value) (string, bool) {
	switch v.Type() {
	case sallyport.String:
		return v.Text()
	case sallyport.True, sallyport.False:
		return string(v.Raw()), true
	case sallyport.Number:
		n, err := strconv.ParseFloat(string(v.Raw()), 64)
		if err != nil || n != math.Trunc(n) || math.Abs(n) >= 1<<53 {
			return "", false
		}
		return strconv.FormatInt(int64(n), 10), true
	default:
		return "", false
	}
}

const base64Prefix, base64Suffix = "=?base64?", "?="

// encodeHeader writes a value so that it survives as a header: plainly where
// it is visible ASCII that can't be mistaken for the encoded form.
func encodeHeader(text string) string {
	plain := text != "" && text[0] != ' ' && text[len(text)-1] != ' ' &&
		!(strings.HasPrefix(text, base64Prefix) && strings.HasSuffix(text, base64Suffix))
	for i := 0; plain && i < len(text); i++ {
		plain = text[i] >= 0x20 && text[i] <= 0x7e
	}
	if plain {
		return text
	}
	return base64Prefix + base64.StdEncoding.EncodeToString([]byte(text)) + base64Suffix
}
