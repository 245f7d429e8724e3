package era

import (
	"fmt"

	"sallyport"
	"sallyport/internal/wire"
)

// Input is one thing that a stateless server asks for in a result of the type
// input_required.
type Input struct {
	Key     string
	Request wire.Message // as a server of the session era would send it
}

// Inputs reads what a result asks for, as requests to an agent that speaks
// revision. Their ids begin with id.
func Inputs(result sallyport.Value, revision, id string) ([]Input, error) {
	var inputs []Input
	for key, request := range result.Get("inputRequests").Members() {
		method, _ := request.Get("method").Text()
		params := request.Get("params")
		if params.Get("mode").IsText("url") && revision < wire.Revision20251125 {
			return nil, fmt.Errorf("asks the user to open a URL, which an agent of MCP %s can't pass on", revision)
		}
		raw := fmt.Appendf(nil, `"%s-%d"`, id, len(inputs))
		m, err := wire.Parse(wire.AppendRequest(nil, raw, method, params.Raw()))
		if err != nil {
			return nil, fmt.Errorf("sent a malformed input request: %w", err)
		}
		inputs = append(inputs, Input{key, m})
	}
	return inputs, nil
}

// Retry is what the retry of a request carries besides: the responses by
// their keys, and the state that the result gave with it.
func Retry(result sallyport.Value, responses []Member) []Member {
	var more []Member
	if len(responses) > 0 {
		more = append(more, Member{"inputResponses", Object(responses)})
	}
	if state := result.Get("requestState"); state.Type() != sallyport.Absent {
		more = append(more, Member{"requestState", state.Raw()})
	}
	return more
}
