package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sallyport"
	"sallyport/internal/store"
)

// What there is in the log: agents that each have a run which goes on and others
// that came to an end, tools of several servers, customers with accounts.
const (
	agents    = 40
	servers   = 6
	tools     = 12  // of each server
	each      = 125 // entries of a run that comes to an end
	customers = 3_000
	hours     = 18 // until now
)

// day is the window of the limits, as the configuration has it.
var day = sallyport.Window{Kind: sallyport.Daily, Zone: time.UTC}

// fill writes so many entries: calls with their outcomes, a refusal in 400 calls
// and a hold in 1,000. standing are the agents' own runs.
func fill(dir string, entries int, standing map[string]string) error {
	s, err := store.Open(dir, time.Now)
	if err != nil {
		return err
	}
	calls := int64(entries / 2)
	began := time.Now().Add(-hours * time.Hour)
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wait sync.WaitGroup
	for range 256 {
		wait.Go(func() {
			for i := next.Add(1); i <= calls && failed.Load() == nil; i = next.Add(1) {
				at := began.Add(time.Duration(float64(hours*time.Hour) * float64(i) / float64(calls)))
				if err := write(s, i, at, standing); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wait.Wait()
	if err := failed.Load(); err != nil {
		return errors.Join(*err, s.Close())
	}
	return s.Close()
}

// write makes the i-th call.
func write(s *store.Store, i int64, at time.Time, standing map[string]string) error {
	ctx := context.Background()
	server, tool, effect := "s"+strconv.FormatInt(i%servers, 10), "tool_"+strconv.FormatInt(i/servers%tools, 10), sallyport.Read
	if server == "s0" {
		effect = sallyport.Pay
	}
	agent := i % agents
	name := "bot-" + strconv.FormatInt(agent, 10)
	run := standing[name]
	if i%3 == 0 {
		run = fmt.Sprintf("r_%026d", i/each/agents*agents+agent)
	}
	e := sallyport.Entry{Time: at, Type: sallyport.Intent, Call: fmt.Sprintf("c_%026d", i), Kind: sallyport.KindTool, Server: server, Name: tool,
		Action: server + "/tool:" + tool, Effects: []sallyport.Effect{effect}, Door: "mcp/2026-07-28 http", Verdict: sallyport.Allow, Rules: []string{"all-" + string(effect)},
		Principal: sallyport.Principal{Agent: name, Role: "support", User: "user-" + strconv.FormatInt(agent%5, 10), Tenant: "acme"}, Run: run}
	record := &sallyport.Record{Entry: e, Args: []byte(`{"id":"tic_2207"}`)}
	switch {
	case i%400 == 0:
		record.Entry.Type, record.Entry.Verdict, record.Entry.Cause, record.Entry.Reason = sallyport.Refusal, sallyport.Deny, sallyport.CausePolicy, "no rule permits this"
		return s.Commit(ctx, record)
	case i%1000 == 1:
		record.Entry.Type, record.Entry.Verdict, record.Entry.Cause, record.Entry.Reason = sallyport.Held, sallyport.Hold, sallyport.CauseHold, "a person is asked"
		return s.Commit(ctx, record)
	}
	if effect == sallyport.Pay {
		record.Charges = charges(i, agent)
	}
	if err := s.Commit(ctx, record); err != nil {
		return err
	}
	outcome := sallyport.OutcomeOK
	if i%50 == 3 {
		outcome = sallyport.OutcomeToolErr
	}
	for j := range record.Charges {
		record.Charges[j].Cost = record.Charges[j].Amount / 2
	}
	return s.Append(ctx, &sallyport.Record{Charges: record.Charges, Entry: sallyport.Entry{Time: at.Add(20 * time.Millisecond), Type: sallyport.Closed, Call: e.Call, Kind: e.Kind,
		Server: e.Server, Name: e.Name, Principal: e.Principal, Run: e.Run, Outcome: outcome, Took: 20 * time.Millisecond}, Result: []byte(`{"content":[]}`)})
}

// charges are what a payment takes: of its customer's account, of the user's, of
// all.
func charges(i, agent int64) []sallyport.Charge {
	amount := sallyport.Amount(1+i%40) * 1e6
	user, customer := "user=user-"+strconv.FormatInt(agent%5, 10), "input.customer_id=c-"+strconv.FormatInt(i%customers, 10)
	all := []sallyport.Charge{
		{Limit: "refunds-per-customer", Account: user + " " + customer}, {Limit: "refunds-per-user", Account: user}, {Limit: "refunds"},
	}
	for j := range all {
		c := &all[j]
		c.Unit, c.Label, c.Window, c.Amount, c.Cap, c.Ceiling = "EUR", c.Account, day, amount, 1e13, 1e13
	}
	return all
}
