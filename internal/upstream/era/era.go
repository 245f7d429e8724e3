// Package era bridges between the two eras of MCP: it rewrites params and
// results of one era as the other one has them. What it does not have to
// change keeps its bytes.
package era

import (
	"slices"
	"strings"

	"sallyport"
	"sallyport/internal/wire"
)

// Member is a named raw value.
type Member struct {
	Name string
	Raw  []byte
}

// Renumbered is an agent's params for a server of its own era. Only the
// progress token changes: id takes its place, and token is what it was, nil
// when the agent gave none.
func Renumbered(params sallyport.Value, id []byte) (text, token []byte) {
	t := params.Get("_meta").Get("progressToken")
	if t.Type() == sallyport.Absent {
		return params.Raw(), nil
	}
	return params.Splice(sallyport.Edit{Target: t, With: id}), t.Raw()
}

// Params is an agent's params for a server of the other era. In _meta the
// keys of the stateless era give way to meta, and the progress token to id,
// as with Renumbered; the members of more replace those of the same name.
func Params(params sallyport.Value, id, meta []byte, more []Member) (text, token []byte) {
	var inner object
	if len(meta) > 0 {
		inner.put(meta)
	}
	for name, value := range params.Get("_meta").MemberNodes() {
		key, _ := name.Text()
		switch key {
		case wire.MetaRevision, wire.MetaClientInfo, wire.MetaCapabilities, wire.MetaLogLevel:
		case "progressToken":
			token = value.Raw()
			inner.member(name.Raw(), id)
		default:
			inner.member(name.Raw(), value.Raw())
		}
	}
	var out object
	for name, value := range params.MemberNodes() {
		key, _ := name.Text()
		replaced := slices.ContainsFunc(more, func(m Member) bool { return m.Name == key })
		if key != "_meta" && !replaced {
			out.member(name.Raw(), value.Raw())
		}
	}
	for _, m := range more {
		out.member(sallyport.AppendString(nil, m.Name), m.Raw)
	}
	if len(inner) > 0 {
		out.member([]byte(`"_meta"`), inner.end())
	}
	return out.end(), token
}

// object is a JSON object that is being written.
type object []byte

func (o *object) put(text ...[]byte) {
	mark := byte(',')
	if len(*o) == 0 {
		mark = '{'
	}
	*o = append(*o, mark)
	for _, t := range text {
		*o = append(*o, t...)
	}
}

func (o *object) member(name, value []byte) { o.put(name, []byte{':'}, value) }

func (o *object) end() []byte {
	if len(*o) == 0 {
		return []byte("{}")
	}
	return append(*o, '}')
}

func without(v sallyport.Value, names ...string) object {
	var out object
	for name, value := range v.MemberNodes() {
		if key, _ := name.Text(); !slices.Contains(names, key) {
			out.member(name.Raw(), value.Raw())
		}
	}
	return out
}

// Of is a JSON object of one string.
func Of(name, text string) []byte {
	var out object
	out.member(sallyport.AppendString(nil, name), sallyport.AppendString(nil, text))
	return out.end()
}

// Legacy is a result of the stateless era as the session era has it.
func Legacy(result sallyport.Value) []byte {
	o := without(result, "resultType", "ttlMs", "cacheScope")
	return o.end()
}

// Stateless is a result of the session era as the stateless era has it. words
// is what the server answered to initialize. Nobody may keep the result: the
// session era does not say for how long, nor who else may see it.
func Stateless(method string, result, words sallyport.Value) []byte {
	out := without(result, "resultType", "ttlMs", "cacheScope", "_meta")
	out.put([]byte(`"resultType":"complete"`))
	if strings.HasSuffix(method, "/list") || method == "resources/read" {
		out.put([]byte(`"ttlMs":0,"cacheScope":"private"`))
	}
	meta := without(result.Get("_meta"), wire.MetaServerInfo)
	if info := words.Get("serverInfo"); info.Type() != sallyport.Absent {
		meta.member([]byte(`"`+wire.MetaServerInfo+`"`), info.Raw())
	}
	if len(meta) > 0 {
		out.member([]byte(`"_meta"`), meta.end())
	}
	return out.end()
}

// StatelessError is an error of the session era as the stateless era has it:
// a missing resource has another code there (SEP-2164).
func StatelessError(method string, e sallyport.Value) []byte {
	code := e.Get("code")
	if method != "resources/read" || string(code.Raw()) != "-32002" {
		return e.Raw()
	}
	return e.Splice(sallyport.Edit{Target: code, With: []byte("-32602")})
}

// Hello is what a server said of itself in one era, as an agent of some revision
// is told.
func Hello(words sallyport.Value, stateless bool, revision string) []byte {
	switch {
	case stateless == wire.IsStateless(revision):
		return words.Raw()
	case stateless:
		return Initialized(words, wire.Negotiate(revision))
	default:
		return Discovered(words)
	}
}

// Initialized makes of a server's discovery what initialize answers.
func Initialized(discovered sallyport.Value, revision string) []byte {
	var out object
	out.member([]byte(`"protocolVersion"`), sallyport.AppendString(nil, revision))
	out.member([]byte(`"capabilities"`), orElse(discovered.Get("capabilities"), "{}"))
	out.member([]byte(`"serverInfo"`), orElse(discovered.Get("_meta").Get(wire.MetaServerInfo), `{"name":"","version":""}`))
	if said := discovered.Get("instructions"); said.Type() != sallyport.Absent {
		out.member([]byte(`"instructions"`), said.Raw())
	}
	return out.end()
}

// Discovered makes of what a server answered to initialize what
// server/discover answers.
func Discovered(initialized sallyport.Value) []byte {
	var out object
	out.put([]byte(`"resultType":"complete","supportedVersions":["` + wire.Stateless + `"],"ttlMs":0,"cacheScope":"private"`))
	out.member([]byte(`"capabilities"`), orElse(initialized.Get("capabilities"), "{}"))
	if said := initialized.Get("instructions"); said.Type() != sallyport.Absent {
		out.member([]byte(`"instructions"`), said.Raw())
	}
	if info := initialized.Get("serverInfo"); info.Type() != sallyport.Absent {
		var meta object
		meta.member([]byte(`"`+wire.MetaServerInfo+`"`), info.Raw())
		out.member([]byte(`"_meta"`), meta.end())
	}
	return out.end()
}

func orElse(v sallyport.Value, fallback string) []byte {
	if v.Type() == sallyport.Absent {
		return []byte(fallback)
	}
	return v.Raw()
}

// Tagged is a notification's params as part of a subscription.
func Tagged(params sallyport.Value, subscription []byte) []byte {
	meta := without(params.Get("_meta"), wire.MetaSubscription)
	meta.member([]byte(`"`+wire.MetaSubscription+`"`), subscription)
	out := without(params, "_meta")
	out.member([]byte(`"_meta"`), meta.end())
	return out.end()
}

// Untagged is the inverse of Tagged.
func Untagged(params sallyport.Value) []byte {
	out := without(params, "_meta")
	if meta := without(params.Get("_meta"), wire.MetaSubscription); len(meta) > 0 {
		out.member([]byte(`"_meta"`), meta.end())
	}
	return out.end()
}

// Object writes members as an object.
func Object(members []Member) []byte {
	var out object
	for _, m := range members {
		out.member(sallyport.AppendString(nil, m.Name), m.Raw)
	}
	return out.end()
}
