package console

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/store"
)

// past are the files of a state directory whose log says what agents paid back in
// the last day: more and more, and less than was reserved at times.
func past(t testing.TB) map[string]string {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	begins := time.Now().Add(-22 * time.Hour)
	ana := sallyport.Principal{Agent: "support-bot", Role: "support", User: "ana", Tenant: "acme"}
	for i := range 26 {
		at := begins.Add(time.Duration(i*i) * 113 * time.Second).Add(time.Duration(i%5) * 11 * time.Minute)
		amount := sallyport.Amount(20+i*37%61) * 1e6
		c := sallyport.Charge{Limit: "refunds", Unit: "EUR", Window: sallyport.Window{Kind: sallyport.Sliding, Length: 24 * time.Hour}, Amount: amount, Cap: 2000e6, Ceiling: 2000e6}
		e := sallyport.Entry{Time: at, Type: sallyport.Intent, Call: fmt.Sprintf("c_%026d", i), Kind: sallyport.KindTool, Server: "desk", Name: "issue_refund", Action: "desk/tool:issue_refund",
			Effects: []sallyport.Effect{sallyport.Pay}, Door: "mcp/2026-07-28 http", Principal: ana, Run: "r_past", Verdict: sallyport.Allow, Rules: []string{"support-refunds"}}
		intent := &sallyport.Record{Entry: e, Charges: []sallyport.Charge{c}}
		if err := s.Commit(t.Context(), intent); err != nil {
			t.Fatal(err)
		}
		if intent.Charges[0].Cost = amount; i%4 == 1 {
			intent.Charges[0].Cost = amount / 2 // the other half was paid in vouchers
		}
		if err := s.Commit(t.Context(), &sallyport.Record{Charges: intent.Charges, Entry: sallyport.Entry{Time: at.Add(time.Second), Type: sallyport.Closed, Call: e.Call, Kind: e.Kind,
			Server: e.Server, Name: e.Name, Principal: ana, Run: e.Run, Outcome: sallyport.OutcomeOK, Took: time.Second}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, path))
		files["state/"+path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
