package usage

import (
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/policy"
	"sallyport/internal/store"
)

// Each rule in force is there with its line, whether it has decided or not; one
// that is in force no more is not.
func TestRuleUse(t *testing.T) {
	s, err := store.Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, decided := range [][]string{{"old"}, {"asks", "all"}} {
		if err := s.Commit(t.Context(), &sallyport.Record{Entry: sallyport.Entry{Type: sallyport.Refusal, Time: time.Now(), Verdict: sallyport.Deny, Rules: decided}}); err != nil {
			t.Fatal(err)
		}
	}
	rules, err := policy.Load([]policy.File{{Name: "p.cedar", Text: []byte("@id(\"all\") permit (principal, action, resource);\n@id(\"asks\") @ask(\"finance\") forbid (principal, action, resource);\n@id(\"never\") forbid (principal, action, resource) when { false };\n")}},
		nil, policy.Declared{Groups: []string{"finance"}})
	if err != nil {
		t.Fatal(err)
	}
	all, err := Usage{Store: s, Rules: func() *policy.Rules { return rules }}.RuleUse(t.Context())
	if err != nil || len(all) != 3 {
		t.Fatalf("%+v, %v", all, err)
	}
	for i, want := range []struct{ calls, line int }{{1, 1}, {1, 2}, {0, 3}} {
		got := all[i]
		if got.Calls != want.calls || got.Line != want.line || got.File != "p.cedar" || (got.Last != nil) != (want.calls > 0) || got.Last != nil && *got.Last != 1 {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if len(all[1].Asks) != 1 || all[1].Asks[0] != "finance" {
		t.Errorf("asks %v", all[1].Asks)
	}
}
