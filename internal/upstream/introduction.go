package upstream

import (
	"sallyport"
	"sallyport/internal/wire"
)

// introduction is who a server is told that it talks to: the agent as it
// introduced itself, so that the server asks only what that agent can answer.
type introduction struct {
	revision     string // what the agent speaks
	capabilities []byte // raw JSON object
	info         []byte // raw JSON object
}

// introduce finds out who a new session speaks for: from the door's session,
// from the request itself (stateless era), or else nobody in particular.
func (u *Servers) introduce(r *request) introduction {
	self := introduction{revision: r.Revision, capabilities: []byte("{}")}
	self.info = append(sallyport.AppendString([]byte(`{"name":"sallyport","version":`), u.options.Version), '}')
	capabilities, info := r.Params.Get("_meta").Get(wire.MetaCapabilities), r.Params.Get("_meta").Get(wire.MetaClientInfo)
	if hello := u.hello(r.Session); hello.Type() == sallyport.Object {
		capabilities, info = hello.Get("capabilities"), hello.Get("clientInfo")
	}
	if capabilities.Type() == sallyport.Object {
		self.capabilities = capabilities.Raw()
	}
	if info.Type() == sallyport.Object {
		self.info = info.Raw()
	}
	return self
}

// initializeParams introduces the agent to a server of the session era.
func (i introduction) initializeParams(configured string) []byte {
	revision := wire.Revision20251125
	switch {
	case configured != "":
		revision = configured
	case i.revision != "" && !wire.IsStateless(i.revision):
		revision = i.revision
	}
	params := sallyport.AppendString([]byte(`{"protocolVersion":`), revision)
	params = append(append(params, `,"capabilities":`...), i.capabilities...)
	params = append(append(params, `,"clientInfo":`...), i.info...)
	return append(params, '}')
}

// meta is what each request to a stateless server carries in its _meta.
func (i introduction) meta() []byte {
	meta := append([]byte(`"`+wire.MetaRevision+`":"`+wire.Stateless+`","`+wire.MetaCapabilities+`":`), i.capabilities...)
	return append(append(meta, `,"`+wire.MetaClientInfo+`":`...), i.info...)
}

// statelessParams are the params of a request that has no others.
func (i introduction) statelessParams() []byte {
	return append(append([]byte(`{"_meta":{`), i.meta()...), "}}"...)
}
