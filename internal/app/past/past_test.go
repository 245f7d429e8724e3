package past

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/memory"
	"sallyport/internal/store"
)

// record puts a call and how it ended on the record; outcome nil is that nobody
// knows yet.
func record(t *testing.T, log *store.Store, intent sallyport.Entry, args string, outcome *sallyport.Entry, result string) {
	t.Helper()
	intent.Time, intent.Type, intent.Run, intent.Server, intent.Verdict = time.Now(), sallyport.Intent, "r", "mail", sallyport.Allow
	if intent.Kind == sallyport.KindUnknown {
		intent.Kind = sallyport.KindTool
	}
	if err := log.Commit(t.Context(), &sallyport.Record{Entry: intent, Args: []byte(args)}); err != nil {
		t.Fatal(err)
	}
	if outcome == nil {
		return
	}
	outcome.Time, outcome.Type, outcome.Call, outcome.Run, outcome.Server, outcome.Kind = time.Now(), sallyport.Closed, intent.Call, "r", "mail", intent.Kind
	if err := log.Commit(t.Context(), &sallyport.Record{Entry: *outcome, Result: []byte(result)}); err != nil {
		t.Fatal(err)
	}
}

func opened(t *testing.T) *store.Store {
	t.Helper()
	log, err := store.Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

// What a run did is what its entries say, and what they don't say is missing.
func TestActs(t *testing.T) {
	log := opened(t)
	pay := []sallyport.Effect{sallyport.Pay}
	record(t, log, sallyport.Entry{Call: "c_1", Name: "read", Effects: pay}, `{"id":1}`, &sallyport.Entry{Outcome: sallyport.OutcomeOK, Observed: true, Findings: []string{"secret/jwt at x bytes 1-2"}}, `{"a":1}`)
	record(t, log, sallyport.Entry{Call: "c_2", Name: "read"}, `{}`, nil, "")
	record(t, log, sallyport.Entry{Call: "c_3", Name: "read"}, `{}`, &sallyport.Entry{Outcome: sallyport.OutcomeWithheld}, `{"a":1}`)
	record(t, log, sallyport.Entry{Call: "c_4", Name: "read"}, `{}`, &sallyport.Entry{Outcome: sallyport.OutcomeOK, Observed: true, Modified: []string{"masked secret"}}, `{"a":1}`)
	record(t, log, sallyport.Entry{Call: "c_5", Name: "read"}, `{}`, &sallyport.Entry{Outcome: sallyport.OutcomeUnknown}, "")
	record(t, log, sallyport.Entry{Call: "c_6", Name: "elicitation/create", Kind: sallyport.KindAsk, Findings: []string{"order/override"}}, `{"message":"pay"}`, nil, "")
	record(t, log, sallyport.Entry{Call: "c_7", Name: "elicitation/create", Kind: sallyport.KindAnswer}, `{"action":"accept"}`, nil, "")
	record(t, log, sallyport.Entry{Call: "c_8", Name: "feed", Kind: sallyport.KindTask, Effects: pay}, `{}`, nil, "")
	record(t, log, sallyport.Entry{Call: "c_9", Name: "mail://1", Kind: sallyport.KindResource, Effects: pay}, `{}`, nil, "")
	if err := log.Commit(t.Context(), &sallyport.Record{Entry: sallyport.Entry{Time: time.Now(), Type: sallyport.Change, Subject: "run told r", Run: "r"}}); err != nil {
		t.Fatal(err)
	}
	p := Past{Store: log}
	if err := p.Heard(t.Context(), &sallyport.Call{Server: "web", Run: sallyport.Run{ID: "r"}}, []string{"order/override"}); err != nil {
		t.Fatal(err)
	}
	acts, more, err := p.Acts(t.Context(), "r", 100)
	if err != nil || more {
		t.Fatal(more, err)
	}
	var got []string
	for _, a := range acts {
		got = append(got, fmt.Sprintf("%s %v %v args %s result %s found %v nil %v withheld %v changed %v", a.Call, a.Kind, a.Effects, a.Args.Raw(), a.Result.Raw(), a.Found, a.Found == nil, a.Withheld, a.Changed))
	}
	want := []string{
		`c_1 tool [pay] args {"id":1} result {"a":1} found [secret/jwt] nil false withheld false changed false`,
		`c_2 tool [] args {} result  found [] nil true withheld false changed false`,
		`c_3 tool [] args {} result {"a":1} found [] nil false withheld true changed false`,
		`c_4 tool [] args {} result {"a":1} found [] nil false withheld false changed true`,
		`c_5 tool [] args {} result  found [] nil true withheld false changed false`,
		`c_6 ask [read] args {"message":"pay"} result {"message":"pay"} found [order/override] nil false withheld false changed false`,
		`c_8 task [pay] args {} result  found [] nil true withheld false changed false`,
		`c_9 resource [read] args {} result  found [] nil true withheld false changed false`,
		` unknown [] args  result  found [order/override] nil false withheld false changed false`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("acts\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if acts, more, err := p.Acts(t.Context(), "r", 2); err != nil || !more || len(acts) != 3 || acts[0].Call != "c_8" {
		t.Errorf("the last two: %+v %v %v", acts, more, err)
	}
}

// What may have changed what a server keeps is all that does more than read, and
// what was answered to it.
func TestWritten(t *testing.T) {
	log := opened(t)
	read, write := []sallyport.Effect{sallyport.Read}, []sallyport.Effect{sallyport.Read, sallyport.Write}
	record(t, log, sallyport.Entry{Call: "c_1", Name: "read", Effects: read}, `{}`, nil, "")
	record(t, log, sallyport.Entry{Call: "c_2", Name: "write", Effects: write, Labels: []sallyport.Label{sallyport.LabelSawUntrusted}}, `{"key":"x"}`, nil, "")
	record(t, log, sallyport.Entry{Call: "c_3", Name: "nobody said"}, `{}`, nil, "")
	record(t, log, sallyport.Entry{Call: "c_4", Name: "elicitation/create", Kind: sallyport.KindAnswer}, `{}`, nil, "")
	record(t, log, sallyport.Entry{Call: "c_5", Name: "feed", Kind: sallyport.KindTask, Effects: write}, `{}`, nil, "")
	record(t, log, sallyport.Entry{Call: "c_6", Name: "x://y", Kind: sallyport.KindResource}, `{}`, nil, "")
	p := Past{Store: log}
	for _, items := range []bool{true, false} {
		acts, more, err := p.Written(t.Context(), "mail", 100, items)
		if err != nil || more {
			t.Fatal(more, err)
		}
		slices.SortFunc(acts, func(a, b memory.Act) int { return strings.Compare(a.Call, b.Call) })
		var got []string
		for _, a := range acts {
			got = append(got, fmt.Sprintf("%s %v %s", a.Call, a.Labels, a.Args.Raw()))
		}
		want := "c_2 [sawUntrusted] , c_3 [] , c_4 [] , c_5 [] "
		if items {
			want = `c_2 [sawUntrusted] {"key":"x"}, c_3 [] {}, c_4 [] , c_5 [] `
		}
		if all := strings.Join(got, ", "); all != want {
			t.Errorf("items %v: %s, want %s", items, all, want)
		}
	}
	if acts, more, err := p.Written(t.Context(), "mail", 2, true); err != nil || !more || len(acts) != 1 {
		t.Errorf("the last two: %+v %v %v", acts, more, err)
	}
	if acts, _, err := p.Written(t.Context(), "other", 100, true); err != nil || len(acts) > 0 {
		t.Errorf("of another server: %+v %v", acts, err)
	}
}
