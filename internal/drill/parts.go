package drill

import (
	"context"
	"errors"

	"sallyport"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/wire"
)

// Identify knows an agent by what it says: there is nobody else here.
func (w *world) Identify(_ context.Context, c sallyport.Credential) (sallyport.Principal, sallyport.Run, error) {
	return sallyport.Principal{Agent: c.Listener, User: "user"}, sallyport.Run{ID: "r_" + c.Listener, Standing: true}, nil
}

// Hold lets every run go on.
func (w *world) Hold(sallyport.Run) (release func(), err error) { return func() {}, nil }

// Acting is of no use here: nobody asks.
func (w *world) Acting(string) (sallyport.Principal, sallyport.Run, error) {
	return sallyport.Principal{}, sallyport.Run{}, identity.ErrNoRun
}

// Flow knows of nothing.
func (w *world) Flow(context.Context, *sallyport.Call, *sallyport.Definition) *sallyport.Flow {
	return nil
}

// Did, Saw and Heard remember nothing: no rule looks at it.
func (w *world) Did(*sallyport.Call, *sallyport.Definition, *sallyport.Flow) {}

// Saw is as Did.
func (w *world) Saw(*sallyport.Call, sallyport.Value, []string) {}

// Heard is as Did.
func (w *world) Heard(context.Context, *sallyport.Call, sallyport.Value, []string) error { return nil }

// Query is not asked here.
func (w *world) Query(context.Context, *gateway.Query) (gateway.Answer, error) {
	return gateway.Answer{}, errors.New("the made-up server answers calls alone")
}

// Decided and Ended tell nobody.
func (w *world) Decided(*sallyport.Entry) {}

// Ended is as Decided.
func (w *world) Ended(*sallyport.Entry) {}

// Tell and Ask are the agents' end, which hears nothing.
func (w *world) Tell(context.Context, wire.Message) error { return nil }

// Ask is as Tell.
func (w *world) Ask(context.Context, wire.Message) (gateway.Answer, error) {
	return gateway.Answer{}, errors.New("there is nobody to ask")
}
