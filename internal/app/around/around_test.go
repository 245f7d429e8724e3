package around

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"sallyport"
	"sallyport/internal/card"
	"sallyport/internal/identity"
	"sallyport/internal/scope"
)

// runs are three, one below the other, and one in a circle.
var runs = map[string]identity.ShownRun{
	"r_top": {RunStatus: identity.RunStatus{Run: "r_top", Agent: "lead", User: "ana"}, Words: []identity.Word{{Text: "clean up"}, {Text: "and more"}}},
	"r_mid": {RunStatus: identity.RunStatus{Run: "r_mid", Parent: "r_top", Agent: "planner", User: "ana"}, Words: []identity.Word{{Text: "x", Gone: "erased"}}},
	"r_low": {RunStatus: identity.RunStatus{Run: "r_low", Parent: "r_mid", Agent: "bot", User: "ana"}, Words: []identity.Word{{Text: "pay", Strength: "human"}}},
	"r_o":   {RunStatus: identity.RunStatus{Run: "r_o", Parent: "r_o"}},
}

func finder() *Around {
	return &Around{
		Run: func(_ context.Context, id string) (identity.ShownRun, error) {
			run, ok := runs[id]
			if !ok {
				return run, errors.New("no run " + id)
			}
			return run, nil
		},
		Means: func(server, tool string) map[string]scope.Role {
			return map[string]scope.Role{"target": scope.RolePrincipal}
		},
		Admit: func(*sallyport.Call) (*sallyport.Definition, error) {
			return &sallyport.Definition{Effects: []sallyport.Effect{sallyport.Pay}}, nil
		},
		Costs: func(_ context.Context, call *sallyport.Call, tool *sallyport.Definition) ([]card.Cost, error) {
			return []card.Cost{{Limit: call.Server + "/" + call.Name, Takes: string(call.Args.Get("amount").Raw()), Unit: string(tool.Effects[0]), Account: call.Principal.User}}, nil
		},
	}
}

func asked(run string) *sallyport.Approval {
	return &sallyport.Approval{Run: run, Kind: sallyport.KindTool, Server: "bank", Name: "pay… (cut)", Principal: sallyport.Principal{User: "ana"}, Effects: []sallyport.Effect{sallyport.Exec},
		Question: []byte(`{"args":{"amount":5,"target":"DE1","url":"https://a.example/","memo":"hi"},"name":"pay"}`)}
}

func TestAround(t *testing.T) {
	got := finder().Of(t.Context(), asked("r_low"))
	want := card.Around{
		Words: []card.Said{{Text: "pay", Strength: "human"}},
		Chain: []card.Link{{Run: "r_top", Agent: "lead", User: "ana", Task: "clean up"}, {Run: "r_mid", Agent: "planner", User: "ana", Task: "erased"}},
		Costs: []card.Cost{{Limit: "bank/pay", Takes: "5", Unit: "pay", Account: "ana"}},
		Means: map[string]string{"target": "recipient", "url": "address"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// What can't be had is not there, and nothing goes on for ever.
func TestAroundWithoutMuch(t *testing.T) {
	a := finder()
	a.Admit = func(*sallyport.Call) (*sallyport.Definition, error) { return nil, errors.New("gone") }
	got := a.Of(t.Context(), asked("r_gone"))
	if got.Words != nil || got.Chain != nil || len(got.Costs) != 1 || got.Costs[0].Unit != "exec" {
		t.Errorf("%+v", got)
	}
	a.Costs = func(context.Context, *sallyport.Call, *sallyport.Definition) ([]card.Cost, error) {
		return nil, errors.New("no database")
	}
	if got := a.Of(t.Context(), asked("r_o")); len(got.Chain) != maxChain || got.Uncounted != "no database" {
		t.Errorf("%+v", got)
	}
	erased := asked("r_low")
	erased.Question = nil
	if got := a.Of(t.Context(), erased); len(got.Words) != 1 || got.Uncounted != "" || got.Means != nil {
		t.Errorf("%+v", got)
	}
}
