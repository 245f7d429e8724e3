package wire

import (
	"encoding/base64"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"unicode/utf8"

	"sallyport"
)

// Header is the HTTP headers of a request by canonical name, as net/http has
// them.
type Header map[string][]string

// one is a header's value. A header sent twice is an error: an intermediary
// could act on the first and we on the second.
func (h Header) one(name string) (value string, sent bool, err *Error) {
	values := h[name]
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return strings.Trim(values[0], " \t"), true, nil
	default:
		return "", true, mismatch("%s was sent %d times", name, len(values))
	}
}

func mismatch(format string, args ...any) *Error {
	return &Error{Code: CodeHeaderMismatch, Message: fmt.Sprintf(format, args...)}
}

// IsMedia reports whether a Content-Type is of a media type.
func IsMedia(have, want string) bool {
	if have == want {
		return true
	}
	media, _, err := mime.ParseMediaType(have)
	return err == nil && media == want
}

// Accepts tells which of the two types of answer a request takes. Who does not
// say takes any.
func (h Header) Accepts() (json, stream bool) {
	values := h["Accept"]
	if len(values) == 0 {
		return true, true
	}
	for _, value := range values {
		if value == "application/json, text/event-stream" {
			return true, true
		}
		for part := range strings.SplitSeq(value, ",") {
			media, _, _ := strings.Cut(part, ";")
			switch strings.ToLower(strings.TrimSpace(media)) {
			case "*/*":
				return true, true
			case "application/json", "application/*":
				json = true
			case "text/event-stream", "text/*":
				stream = true
			}
		}
	}
	return json, stream
}

// Claim is the revision that the message itself says it belongs to
// (params._meta of MCP 2026-07-28), absent in the session era.
func (m *Message) Claim() sallyport.Value { return m.Params.Get("_meta").Get(MetaRevision) }

// IsStateless reports whether a message that came by HTTP belongs to the
// stateless era. The error says why it can't belong to either: header and
// body must not name different eras, or two readers would treat it
// differently.
func (m *Message) IsStateless(h Header) (bool, *Error) {
	header, sent, err := h.one(HeaderRevision)
	if err != nil {
		return false, err
	}
	claim := m.Claim()
	switch {
	case claim.Type() == sallyport.Absent && !IsStateless(header):
		return false, nil
	case claim.Type() == sallyport.Absent && !m.IsRequest():
		return true, nil // only requests carry the claim
	case claim.Type() == sallyport.Absent && m.Method == "initialize":
		return true, mismatch("%s says %s, which has no initialize", HeaderRevision, header)
	case claim.Type() == sallyport.Absent:
		return true, &Error{Code: CodeInvalidParams, Message: "params._meta lacks " + MetaRevision}
	case claim.Type() != sallyport.String:
		return true, &Error{Code: CodeInvalidParams, Message: MetaRevision + " must be a string"}
	case !sent:
		return true, mismatch("the header %s is missing", HeaderRevision)
	case !claim.IsText(header):
		return true, mismatch("%s says %q, the body %s", HeaderRevision, header, claim.Raw())
	}
	return true, nil
}

// CheckEnvelope applies what MCP 2026-07-28 demands of params._meta in every
// request.
func (m *Message) CheckEnvelope() *Error {
	claim := m.Claim()
	switch {
	case claim.Type() != sallyport.String:
		return &Error{Code: CodeInvalidParams, Message: "params._meta lacks " + MetaRevision}
	case !claim.IsText(Stateless):
		data := append([]byte(`{"supported":["`+Stateless+`"],"requested":`), claim.Raw()...)
		return &Error{Code: CodeRevision, Message: "no such revision here", Data: append(data, '}')}
	case m.Params.Get("_meta").Get(MetaCapabilities).Type() != sallyport.Object:
		return &Error{Code: CodeInvalidParams, Message: "params._meta lacks " + MetaCapabilities}
	}
	return nil
}

// CheckHeaders compares Mcp-Method and Mcp-Name with the body (MCP 2026-07-28,
// Streamable HTTP): an intermediary that routes or filters by a header must
// not see another call than the one that is judged.
func (m *Message) CheckHeaders(h Header) *Error {
	method, sent, err := h.one(HeaderMethod)
	switch {
	case err != nil:
		return err
	case !sent && m.IsRequest():
		return mismatch("the header %s is missing", HeaderMethod)
	case sent && method != m.Method:
		return mismatch("%s says %q, the body %q", HeaderMethod, method, m.Method)
	}
	want := NameOf(m.Method, m.Params)
	name, sent, err := h.one(HeaderName)
	if err != nil || want.Type() == sallyport.Absent && !sent {
		return err
	}
	decoded, ok := decodeHeader(name)
	switch {
	case !sent:
		return mismatch("the header %s is missing", HeaderName)
	case !ok || !want.IsText(decoded):
		return mismatch("%s says %q, the body %s", HeaderName, name, orNothing(want))
	}
	return nil
}

func orNothing(v sallyport.Value) []byte {
	if v.Type() == sallyport.Absent {
		return []byte("nothing")
	}
	return v.Raw()
}

// NameOf is the parameter that Mcp-Name repeats, absent where there is none.
func NameOf(method string, params sallyport.Value) sallyport.Value {
	switch method {
	case "tools/call", "prompts/get":
		return params.Get("name")
	case "resources/read":
		return params.Get("uri")
	case "tasks/get", "tasks/update", "tasks/cancel":
		return params.Get("taskId")
	default:
		return sallyport.Value{}
	}
}

// ParamHeader is a tool's argument that an HTTP header repeats, as the tool's
// inputSchema says with x-mcp-header.
type ParamHeader struct {
	Name string   // of the header, "Mcp-Param-Region"
	Path []string // of the argument
}

// ParamHeaders lists the arguments of a tool that headers repeat.
func ParamHeaders(inputSchema sallyport.Value) []ParamHeader {
	return appendParamHeaders(nil, inputSchema, nil)
}

func appendParamHeaders(to []ParamHeader, schema sallyport.Value, path []string) []ParamHeader {
	for name, property := range schema.Get("properties").Members() {
		here := append(path[:len(path):len(path)], name)
		if header, ok := property.Get("x-mcp-header").Text(); ok && isToken(header) {
			to = append(to, ParamHeader{HeaderParam + header, here})
		}
		to = appendParamHeaders(to, property, here)
	}
	return to
}

// isToken reports whether text can stand in a header's name (RFC 9110, 5.6.2).
func isToken(text string) bool {
	for i := range len(text) {
		c := text[i] | 0x20
		if !(c >= 'a' && c <= 'z' || text[i] >= '0' && text[i] <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", text[i]) >= 0) {
			return false
		}
	}
	return text != ""
}

// Argument is the argument that the header repeats, absent when none was
// given or it is null.
func (p ParamHeader) Argument(arguments sallyport.Value) sallyport.Value {
	for _, name := range p.Path {
		arguments = arguments.Get(name)
	}
	if arguments.Type() == sallyport.Null {
		return sallyport.Value{}
	}
	return arguments
}

// Check compares the header with the argument. canonical is the header's
// canonical name in h.
func (p ParamHeader) Check(h Header, canonical string, arguments sallyport.Value) *Error {
	text, sent, err := h.one(canonical)
	argument := p.Argument(arguments)
	switch {
	case err != nil:
		return err
	case !sent && argument.Type() == sallyport.Absent:
		return nil
	case !sent:
		return mismatch("the header %s is missing", p.Name)
	case argument.Type() == sallyport.Absent:
		return mismatch("%s repeats an argument that was not given", p.Name)
	}
	if decoded, ok := decodeHeader(text); !ok || !same(decoded, argument) {
		return mismatch("%s says %q, the argument is %s", p.Name, text, argument.Raw())
	}
	return nil
}

func same(text string, argument sallyport.Value) bool {
	switch argument.Type() {
	case sallyport.String:
		return argument.IsText(text)
	case sallyport.True, sallyport.False:
		return text == string(argument.Raw())
	case sallyport.Number:
		return text == string(argument.Raw()) || sameInteger(text, string(argument.Raw()))
	default:
		return false
	}
}

// sameInteger admits 42 for 42.0: clients print integers their own way. Both
// must be integers that a float64 holds exactly, or different ones could look
// alike.
func sameInteger(a, b string) bool {
	const exact = 1<<53 - 1
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x == y && x >= -exact && x <= exact && x == float64(int64(x))
}

const base64Open, base64Close = "=?base64?", "?="

// decodeHeader undoes EncodeHeader; ok is false for broken base64.
func decodeHeader(value string) (text string, ok bool) {
	inner, opened := strings.CutPrefix(value, base64Open)
	inner, closed := strings.CutSuffix(inner, base64Close)
	if !opened || !closed {
		return value, true
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(inner)
	return string(decoded), err == nil && utf8.Valid(decoded)
}

// EncodeHeader writes a string, number or boolean as an HTTP header carries
// it; ok is false for every other type.
func EncodeHeader(v sallyport.Value) (value string, ok bool) {
	switch v.Type() {
	case sallyport.String:
		value, ok = v.Text()
	case sallyport.Number, sallyport.True, sallyport.False:
		return string(v.Raw()), true
	}
	if !ok || isPlain(value) {
		return value, ok
	}
	return base64Open + base64.StdEncoding.EncodeToString([]byte(value)) + base64Close, true
}

func isPlain(value string) bool {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return false
		}
	}
	return strings.TrimSpace(value) == value && !strings.HasPrefix(value, base64Open)
}
