// Package wire reads and writes the messages of MCP (JSON-RPC 2.0) without
// losing a byte, and knows by a table what each method is.
package wire

import (
	"fmt"

	"sallyport"
)

// Message is one JSON-RPC 2.0 message. A request has ID and Method, a
// notification Method alone, a response ID and Result or Error.
type Message struct {
	ID     sallyport.Value
	Method string
	Params sallyport.Value
	Result sallyport.Value
	Error  sallyport.Value
	Raw    []byte
}

// IsRequest reports whether the message expects an answer.
func (m *Message) IsRequest() bool { return m.Method != "" && m.ID.Type() != sallyport.Absent }

// IsNotification reports whether the message is one-way.
func (m *Message) IsNotification() bool {
	return m.Method != "" && m.ID.Type() == sallyport.Absent
}

// IsResponse reports whether the message answers a request.
func (m *Message) IsResponse() bool { return m.Method == "" }

// The error codes of JSON-RPC 2.0, and those that Sallyport answers with.
// Denials use a code outside -32768…-32000, which JSON-RPC reserves.
const (
	CodeParse          = -32700
	CodeInvalidRequest = -32600
	CodeUnknownMethod  = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603
	CodeHeaderMismatch = -32020 // MCP 2026-07-28: a header differs from the body
	CodeCapability     = -32021 // MCP 2026-07-28: the client lacks a capability
	CodeRevision       = -32022 // MCP 2026-07-28: no such revision here
	CodeRefused        = -31001 // Sallyport: a decision refused this
	CodeUnavailable    = -31002 // Sallyport: the server cannot be reached
)

// Error is a JSON-RPC error.
type Error struct {
	Code    int
	Message string
	Data    []byte // raw JSON, nil for none
}

// HTTPStatus is the status that the stateless era gives an error of the
// transport or the envelope; all others come with 200.
func (e *Error) HTTPStatus() int {
	switch e.Code {
	case CodeUnknownMethod:
		return 404
	case CodeParse, CodeInvalidRequest, CodeInvalidParams, CodeHeaderMismatch, CodeCapability, CodeRevision:
		return 400
	default:
		return 200
	}
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// Parse reads one message strictly. A batch (an array; removed from MCP in
// 2025-06-18), an id that is neither a string nor an integer, params that are
// no object, and a message that is both request and response are refused with
// an *Error fit for the answer.
func Parse(text []byte) (Message, error) {
	v, err := sallyport.Parse(text)
	if err != nil {
		return Message{}, &Error{Code: CodeParse, Message: err.Error()}
	}
	return FromValue(v)
}

// FromValue is Parse for a value that has been read already.
func FromValue(v sallyport.Value) (Message, error) {
	m := Message{Raw: v.Raw()}
	switch v.Type() {
	case sallyport.Object:
	case sallyport.Array:
		return Message{}, &Error{Code: CodeInvalidRequest, Message: "batches are not part of MCP since 2025-06-18: send one message at a time"}
	default:
		return Message{}, &Error{Code: CodeInvalidRequest, Message: "a message is a JSON object"}
	}
	version := ""
	for name, member := range v.Members() {
		switch name {
		case "jsonrpc":
			version, _ = member.Text()
		case "id":
			m.ID = member
		case "method":
			text, ok := member.Text()
			if !ok || text == "" {
				return Message{}, &Error{Code: CodeInvalidRequest, Message: "method must be a non-empty string"}
			}
			m.Method = text
		case "params":
			m.Params = member
		case "result":
			m.Result = member
		case "error":
			m.Error = member
		}
	}
	if version != "2.0" {
		return m, &Error{Code: CodeInvalidRequest, Message: `jsonrpc must be "2.0"`}
	}
	return m, m.check()
}

func (m *Message) check() error {
	switch m.ID.Type() {
	case sallyport.Absent, sallyport.String:
	case sallyport.Number:
		if !isInteger(m.ID.Raw()) {
			return &Error{Code: CodeInvalidRequest, Message: "id must be a string or an integer"}
		}
	case sallyport.Null:
		// JSON-RPC answers with a null id when it could not read the request's.
		if m.Method != "" || m.Error.Type() != sallyport.Object {
			return &Error{Code: CodeInvalidRequest, Message: "id must not be null"}
		}
	default:
		return &Error{Code: CodeInvalidRequest, Message: "id must be a string or an integer"}
	}
	hasResult, hasError := m.Result.Type() != sallyport.Absent, m.Error.Type() != sallyport.Absent
	if m.Method != "" {
		if hasResult || hasError {
			return &Error{Code: CodeInvalidRequest, Message: "a message with a method carries no result or error"}
		}
		if t := m.Params.Type(); t != sallyport.Absent && t != sallyport.Object {
			return &Error{Code: CodeInvalidRequest, Message: "params must be an object"}
		}
		return nil
	}
	if hasResult == hasError || m.ID.Type() == sallyport.Absent {
		return &Error{Code: CodeInvalidRequest, Message: "a message is a request, a notification, or a response with either result or error"}
	}
	return nil
}

func isInteger(raw []byte) bool {
	for i, c := range raw {
		if (c < '0' || c > '9') && (i > 0 || c != '-') {
			return false
		}
	}
	return true
}

// AnswerID is the raw id to answer a malformed message under, nil when it has
// none that could be given back.
func (m *Message) AnswerID() []byte {
	if t := m.ID.Type(); t == sallyport.String || t == sallyport.Number {
		return m.ID.Raw()
	}
	return nil
}

// IDKey tells request ids apart as JSON values: 1 and "1" are two.
func IDKey(id sallyport.Value) string {
	if text, ok := id.Text(); ok {
		return `"` + text
	}
	return string(id.Raw())
}

// AppendRequest appends a request; a nil id makes a notification, nil params
// are left out. id and params are raw JSON.
func AppendRequest(dst, id []byte, method string, params []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0"`...)
	if id != nil {
		dst = append(append(dst, `,"id":`...), id...)
	}
	dst = sallyport.AppendString(append(dst, `,"method":`...), method)
	if params != nil {
		dst = append(append(dst, `,"params":`...), params...)
	}
	return append(dst, '}')
}

// AppendResult appends a response with a raw result.
func AppendResult(dst, id, result []byte) []byte {
	dst = append(append(dst, `{"jsonrpc":"2.0","id":`...), id...)
	dst = append(append(dst, `,"result":`...), result...)
	return append(dst, '}')
}

// AppendErrorValue appends a response with a raw error object.
func AppendErrorValue(dst, id, object []byte) []byte {
	if id == nil {
		id = []byte("null")
	}
	dst = append(append(dst, `{"jsonrpc":"2.0","id":`...), id...)
	dst = append(append(dst, `,"error":`...), object...)
	return append(dst, '}')
}

// Object is the error as raw JSON.
func (e *Error) Object() []byte {
	dst := fmt.Appendf(nil, `{"code":%d,"message":`, e.Code)
	dst = sallyport.AppendString(dst, e.Message)
	if e.Data != nil {
		dst = append(append(dst, `,"data":`...), e.Data...)
	}
	return append(dst, '}')
}

// With is an object that begins with a member (raw name and value) and goes on
// with those that it had.
func With(object sallyport.Value, name string, value []byte) []byte {
	dst := append(sallyport.AppendString([]byte("{"), name), ':')
	dst = append(dst, value...)
	for name, value := range object.MemberNodes() {
		dst = append(append(append(append(dst, ','), name.Raw()...), ':'), value.Raw()...)
	}
	return append(dst, '}')
}
