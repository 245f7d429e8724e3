package scenario

import (
	"context"
	"net/http"
)

// Gate is a gateway that serves.
type Gate struct {
	URL     string       // where agents connect
	Control http.Handler // every verb of the command line
	Close   func(ctx context.Context) error
}

// Open starts a gateway with a state directory and a configuration, and returns when it has seen its servers.
type Open func(ctx context.Context, dir, config string) (Gate, error)

// DemoServer is the one of the starter's servers whose tools its flow rules name. It is accepted as it comes with
// Sallyport, and nobody calls it here.
const DemoServer = "cloud"

// Asked is how often people are asked about honest work.
type Asked struct {
	Twins     int `json:"twins"`
	Calls     int `json:"calls"`
	Questions int `json:"questions"`
	Looks     int `json:"looks"` // at cards, where equal questions that wait together are one
}

// Add adds up.
func (a *Asked) Add(b Asked) {
	*a = Asked{a.Twins + b.Twins, a.Calls + b.Calls, a.Questions + b.Questions, a.Looks + b.Looks}
}
