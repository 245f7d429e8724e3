package judge

import (
	"context"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/inspect"
)

func on() bool  { return false }
func off() bool { return true }

func namesOf(findings []sallyport.Finding) string {
	var names []string
	for i := range findings {
		names = append(names, findings[i].Name())
	}
	return strings.Join(names, ",")
}

// A scanner that crashes, or takes too long, is a finding and never silence.
func TestScannersFail(t *testing.T) {
	secret := sallyport.MustParse(`{"text":"id AKIAQ3EGJXM7TN5RWL2C here"}`)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	slow := func(v sallyport.Value) *inspect.Seen {
		time.Sleep(time.Second)
		return inspect.Unlooked(v)
	}
	large := sallyport.MustParse(`["` + strings.Repeat("The ferry leaves at nine. ", 4000) + `","id AKIAQ3EGJXM7TN5RWL2C here"]`)
	for name, c := range map[string]struct {
		scanners Scanners
		ctx      context.Context
		value    sallyport.Value
		want     string
	}{
		"found":         {Scanners{Off: on}, t.Context(), secret, "secret/aws-key"},
		"found in much": {Scanners{Off: on}, t.Context(), large, "secret/aws-key"},
		"off":           {Scanners{Off: off}, t.Context(), secret, ""},
		"crashes":       {Scanners{Off: on, scan: func(sallyport.Value) *inspect.Seen { panic("index out of range") }}, t.Context(), secret, "scanner/failed"},
		"too slow":      {Scanners{Off: on, scan: slow, within: time.Millisecond}, t.Context(), secret, "scanner/failed"},
		"hung up":       {Scanners{Off: on, scan: slow}, ended, secret, "scanner/failed"},
	} {
		call := &sallyport.Call{Args: c.value}
		if got := namesOf(c.scanners.Arguments(c.ctx, call, nil)); got != c.want {
			t.Errorf("%s: arguments give %q", name, got)
		}
		seen := c.scanners.Result(c.ctx, call, c.value)
		if got := namesOf(seen.Findings); got != c.want {
			t.Errorf("%s: a result gives %q", name, got)
		}
		if changed, _, err := seen.Change([]string{"secret"}, false); (err != nil) != (c.want == "scanner/failed") || err == nil && c.want != "" && strings.Contains(string(changed.Raw()), "AKIA") {
			t.Errorf("%s: changed to %.40s, %v", name, changed.Raw(), err)
		}
	}
}
