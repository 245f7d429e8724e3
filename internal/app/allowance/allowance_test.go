package allowance

import (
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/limits"
	"sallyport/internal/store"
)

// What a call takes is said with what is left without it, also when that is less.
func TestCosts(t *testing.T) {
	s, err := store.Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	amount, err := limits.ParseExpression("input.amount", "input")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := sallyport.ParseAmount("500")
	if err != nil {
		t.Fatal(err)
	}
	set, err := limits.New([]limits.Limit{{Name: "day", Unit: "EUR", Cap: whole, Window: sallyport.Window{Kind: sallyport.Sliding, Length: 24 * time.Hour}, Per: []string{"user"}, Estimate: amount,
		Applies: limits.Applies{Tools: []string{"bank/pay"}}}}, nil, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	a := &Allowance{store: s}
	a.set.Store(set)
	call := func(name, args string) *sallyport.Call {
		return &sallyport.Call{ID: "c_1", Kind: sallyport.KindTool, Server: "bank", Name: name, Principal: sallyport.Principal{User: "ana"}, Args: sallyport.MustParse(args)}
	}
	tool := &sallyport.Definition{Effects: []sallyport.Effect{sallyport.Pay}}
	costs, err := a.Costs(t.Context(), call("pay", `{"amount":120.5}`), tool)
	if err != nil || len(costs) != 1 || costs[0].Takes != "120.5" || costs[0].Left != "500" || costs[0].Cap != "500" || costs[0].Unit != "EUR" || costs[0].Beyond || !costs[0].Resets.IsZero() {
		t.Fatalf("%+v, %v", costs, err)
	}
	charges, err := set.Charges(call("pay", `{"amount":400}`), tool, before{t.Context(), s})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), &sallyport.Record{Entry: sallyport.Entry{Time: time.Now(), Type: sallyport.Intent, Call: "c_1", Run: "r_1"}, Args: []byte(`{}`), Charges: charges}); err != nil {
		t.Fatal(err)
	}
	costs, err = a.Costs(t.Context(), call("pay", `{"amount":120.5}`), tool)
	if err != nil || len(costs) != 1 || costs[0].Left != "100" || !costs[0].Beyond || costs[0].Resets.IsZero() || costs[0].Account != "user=ana" {
		t.Errorf("%+v, %v", costs, err)
	}
	if costs, err := a.Costs(t.Context(), call("look", `{}`), tool); err != nil || costs != nil {
		t.Errorf("of what no limit is about: %+v, %v", costs, err)
	}
	if costs, err := a.Costs(t.Context(), call("pay", `{"amount":"many"}`), tool); err == nil {
		t.Errorf("of what can't be counted: %+v", costs)
	}
}
