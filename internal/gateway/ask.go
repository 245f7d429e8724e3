package gateway

import (
	"context"
	"errors"
	"fmt"

	"sallyport"
	"sallyport/internal/wire"
)

// ask judges a server's request to the agent, puts it, and judges the answer.
// Both are calls of their own under the ticket, decided and recorded. What a
// server asks it also says: rules about what comes back keep it back or change
// it, as they do where it asks within its result.
func (t *Ticket) ask(ctx context.Context, message wire.Message, client Client) (Answer, error) {
	j, err := t.judge(ctx, message.Params)
	if err != nil {
		call := t.below(sallyport.KindAsk, message.Method, j.kept)
		call.ID = t.gateway.NewID()
		return Answer{}, t.gateway.refuse(ctx, call, &sallyport.Facts{Call: call}, err)
	}
	message.Params = j.value
	asked, err := t.openAsk(ctx, message.Method, message.Params)
	if err != nil {
		return Answer{}, err
	}
	asked.modified = j.modified
	answer, err := asked.Close(ctx, Answer{}, nil)
	if err != nil {
		return Answer{}, err
	}
	if answer, err = client.Ask(ctx, message); err != nil || answer.Error.Type() != sallyport.Absent {
		return answer, err
	}
	return answer, t.judgeAnswer(ctx, message.Method, answer.Result)
}

func (t *Ticket) openAsk(ctx context.Context, method string, params sallyport.Value) (*Ticket, error) {
	if row := wire.FromServer[method]; row.Kind != sallyport.KindAsk {
		// Unnamed: it is what the server wrote into a result, and a reason stays
		// in the log for good.
		return nil, sallyport.Refuse(sallyport.CauseMethod, "a server may not ask this of an agent")
	}
	asked, err := t.nested(ctx, sallyport.KindAsk, method, params)
	if err == nil {
		t.gateway.Memories.Saw(asked.Call, params, namesOf(asked.found)) // the agent reads the question
	}
	return asked, err
}

func (t *Ticket) judgeAnswer(ctx context.Context, method string, answer sallyport.Value) error {
	answered, err := t.nested(ctx, sallyport.KindAnswer, method, answer)
	if err != nil {
		return err
	}
	_, err = answered.Close(ctx, Answer{}, nil)
	return err
}

func (t *Ticket) nested(ctx context.Context, kind sallyport.Kind, method string, args sallyport.Value) (*Ticket, error) {
	return t.gateway.open(ctx, t.below(kind, method, args))
}

// below is a call under this one.
func (t *Ticket) below(kind sallyport.Kind, method string, args sallyport.Value) *sallyport.Call {
	call := *t.Call
	call.Kind, call.Name, call.Method, call.Args, call.Params, call.Parent = kind, method, method, args, args, t.Call.ID
	return &call
}

// hearInputRequests judges what a stateless server asks inside its result
// (input_required, MCP 2026-07-28). One refused request withholds the result:
// a part of it would be another question than the server asked.
func (t *Ticket) hearInputRequests(ctx context.Context, result sallyport.Value) error {
	requests := result.Get("inputRequests")
	if !objectOrNone(requests) && requests.Type() != sallyport.Null {
		return sallyport.Refuse(sallyport.CauseWire, "inputRequests must be an object")
	}
	number := 0
	for _, request := range requests.Members() {
		number++
		method, _ := request.Get("method").Text()
		asked, err := t.openAsk(ctx, method, request.Get("params"))
		if err != nil {
			return fmt.Errorf("input request %d: %w", number, err)
		}
		if _, err := asked.Close(ctx, Answer{}, nil); err != nil {
			return err
		}
	}
	return nil
}

// judgeInputResponses judges the answers that a retry carries, as arguments
// that flow to the server.
func (t *Ticket) judgeInputResponses(ctx context.Context) error {
	responses := t.Call.Params.Get("inputResponses")
	if !objectOrNone(responses) {
		return sallyport.Refuse(sallyport.CauseWire, "inputResponses must be an object")
	}
	var errs []error
	number := 0
	for _, response := range responses.Members() {
		number++
		if response.Type() != sallyport.Object {
			errs = append(errs, sallyport.Refuse(sallyport.CauseWire, "input response %d must be an object", number))
		}
		for _, method := range answerMethods(response) {
			if err := t.judgeAnswer(ctx, method, response); err != nil {
				errs = append(errs, fmt.Errorf("input response %d: %w", number, err))
			}
		}
	}
	return errors.Join(errs...)
}

// answerMethods are all that an input response could answer, by its shape: the
// retry does not say, and the request's method is known to the server alone.
// It must be admitted as each, so that a member more can't choose the rules.
func answerMethods(response sallyport.Value) []string {
	has := func(name string) bool { return response.Get(name).Type() != sallyport.Absent }
	var methods []string
	if has("roots") {
		methods = append(methods, "roots/list")
	}
	if has("role") || has("model") {
		methods = append(methods, "sampling/createMessage")
	}
	if has("action") || methods == nil {
		methods = append(methods, "elicitation/create")
	}
	return methods
}
