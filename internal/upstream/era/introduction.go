package era

import (
	"sallyport"
	"sallyport/internal/wire"
)

// Introduction is who a server is told that it talks to: the agent as it
// introduced itself, so that the server asks only what that agent can answer.
type Introduction struct {
	Revision     string // what the agent speaks
	Capabilities []byte // raw JSON object
	Info         []byte // raw JSON object, the clientInfo
}

// Introduce takes an agent at its own words: the params of its initialize, or
// in the stateless era the _meta of a request. What it does not say is taken
// from nobody.
func Introduce(nobody Introduction, revision string, hello, meta sallyport.Value) Introduction {
	capabilities, info := meta.Get(wire.MetaCapabilities), meta.Get(wire.MetaClientInfo)
	if hello.Type() == sallyport.Object {
		capabilities, info = hello.Get("capabilities"), hello.Get("clientInfo")
	}
	i := nobody
	i.Revision = revision
	if capabilities.Type() == sallyport.Object {
		i.Capabilities = capabilities.Raw()
	}
	if info.Type() == sallyport.Object {
		i.Info = info.Raw()
	}
	return i
}

// Initialize is the params that introduce the agent to a server of the session
// era.
func (i Introduction) Initialize(revision string) []byte {
	params := sallyport.AppendString([]byte(`{"protocolVersion":`), revision)
	params = append(append(params, `,"capabilities":`...), i.Capabilities...)
	return append(append(append(params, `,"clientInfo":`...), i.Info...), '}')
}

// Meta is the members that each request to a stateless server has in its
// _meta.
func (i Introduction) Meta() []byte {
	meta := append([]byte(`"`+wire.MetaRevision+`":"`+wire.Stateless+`","`+wire.MetaCapabilities+`":`), i.Capabilities...)
	return append(append(meta, `,"`+wire.MetaClientInfo+`":`...), i.Info...)
}

// Params is the params of a request to a stateless server, from its other
// members.
func (i Introduction) Params(more ...Member) []byte {
	meta := append(append([]byte{'{'}, i.Meta()...), '}')
	return Object(append([]Member{{"_meta", meta}}, more...))
}
