package upstream

import (
	"net/http"

	lru "github.com/hashicorp/golang-lru/v2"

	"sallyport"
	"sallyport/internal/wire"
)

// repeated makes the headers that repeat what a request's body says (MCP
// 2026-07-28, Streamable HTTP).
type repeated struct {
	known *lru.Cache[sallyport.Digest, []wire.ParamHeader] // of pinned tools
}

// knownTools bounds the memory for tools' headers.
const knownTools = 4096

func newRepeated() *repeated {
	known, _ := lru.New[sallyport.Digest, []wire.ParamHeader](knownTools) // fails for a size below 1 only
	return &repeated{known}
}

func (p *repeated) headers(method string, params sallyport.Value, tool *sallyport.Definition) http.Header {
	h := http.Header{wire.HeaderMethod: {method}}
	if name, ok := wire.EncodeHeader(wire.NameOf(method, params)); ok {
		h[wire.HeaderName] = []string{name}
	}
	if tool == nil || method != "tools/call" {
		return h
	}
	for _, param := range p.of(tool) {
		if value, ok := wire.EncodeHeader(param.Argument(params.Get("arguments"))); ok {
			h[http.CanonicalHeaderKey(param.Name)] = []string{value}
		}
	}
	return h
}

func (p *repeated) of(tool *sallyport.Definition) []wire.ParamHeader {
	found, ok := p.known.Get(tool.Digest)
	if !ok || tool.Digest.IsZero() {
		found = wire.ParamHeaders(tool.Raw.Get("inputSchema"))
		p.known.Add(tool.Digest, found)
	}
	return found
}
