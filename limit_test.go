package sallyport

import (
	"math/big"
	"strings"
	"testing"
	"time"
)

func TestAmount(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "500": "500", "49.90": "49.9", "0.1": "0.1", "1e2": "100", "1.5E-1": "0.15",
		"0.0000001": "0.000001", "0.3000000000000000001": "0.300001", // never less than what is taken
		"100000000000": "100000000000", "90071992547.409931": "90071992547.409931",
	} {
		amount, err := ParseAmount(text)
		if err != nil || amount.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, amount, err, want)
		}
	}
	for _, text := range []string{
		"", "-1", "-0.0000001", "1e999999999", "1e-999999999", "100000000000.000001", "NaN", "Inf", "0x10", "1_000", "1/3", " 1", "1e",
		strings.Repeat("9", 65), "0." + strings.Repeat("0", 100) + "1",
	} {
		if amount, err := ParseAmount(text); err == nil {
			t.Errorf("%q is %s", text, amount)
		}
	}
	if sum := MaxAmount.Plus(MaxAmount); sum != MaxAmount {
		t.Errorf("a sum beyond all amounts is %s", sum)
	}
	if third, _ := AmountOf(big.NewRat(1, 3)); third.String() != "0.333334" {
		t.Errorf("a third counts as %s", third)
	}
}

func TestChargeLines(t *testing.T) {
	until := time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)
	charges := []Charge{
		{Limit: "refunds", Unit: "USD", Account: "user=ana input.customer_id=#5f0c", Amount: 500_000_000, Cost: 499_990_000, Until: until},
		{Limit: "burst", Unit: "calls", Amount: 1_000_000, Cost: 1_000_000, Until: until},
	}
	reserved, settled := Reserved(charges), Settled(charges)
	if strings.Join(reserved, "\n") != "500 USD refunds until 2026-11-30T23:00:00.000Z of user=ana input.customer_id=#5f0c\n1 calls burst until 2026-11-30T23:00:00.000Z" ||
		strings.Join(settled, "\n") != "499.99 USD refunds until 2026-11-30T23:00:00.000Z of user=ana input.customer_id=#5f0c" {
		t.Errorf("%q\n%q", reserved, settled)
	}
	for i, line := range reserved {
		c, err := ParseCharge(line)
		if want := charges[i]; err != nil || c.Limit != want.Limit || c.Unit != want.Unit || c.Account != want.Account || c.Amount != want.Amount || !c.Until.Equal(until) {
			t.Errorf("%q: %+v, %v", line, c, err)
		}
	}
	for _, line := range []string{"", "500 USD refunds", "x USD refunds until 2026-11-30T23:00:00.000Z", "5 USD refunds until now", "5 USD refunds until 2026-11-30T23:00:00.000Z of", "5 USD refunds until 2026-11-30T23:00:00.000Z by ana"} {
		if c, err := ParseCharge(line); err == nil {
			t.Errorf("%q: %+v", line, c)
		}
	}
}

func TestWindows(t *testing.T) {
	zone := func(name string) *time.Location {
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	apia := zone("Pacific/Apia")
	berlin, cairo, beirut := zone("Europe/Berlin"), zone("Africa/Cairo"), zone("Asia/Beirut")
	for _, c := range []struct {
		window    Window
		at, until string
	}{
		{Window{Kind: Fixed, Length: time.Hour}, "2026-11-29T10:59:59Z", "2026-11-29T11:00:00Z"},
		{Window{Kind: Fixed, Length: time.Hour}, "2026-11-29T11:00:00Z", "2026-11-29T12:00:00Z"},
		{Window{Kind: Sliding, Length: time.Hour}, "2026-11-29T10:30:59Z", "2026-11-29T11:31:00Z"},
		{Window{Kind: Daily, Zone: berlin}, "2026-11-29T22:59:59Z", "2026-11-29T23:00:00Z"},
		{Window{Kind: Daily, Zone: berlin}, "2026-11-29T23:00:00Z", "2026-11-30T23:00:00Z"},
		{Window{Kind: Daily, Zone: berlin}, "2026-10-25T10:00:00Z", "2026-10-25T23:00:00Z"}, // 25 hours
		{Window{Kind: Daily, Zone: berlin}, "2026-03-29T10:00:00Z", "2026-03-29T22:00:00Z"}, // 23 hours
		// The day before ends at an hour that there is not, or twice.
		{Window{Kind: Daily, Zone: beirut}, "2025-03-29T21:30:00Z", "2025-03-29T22:00:00Z"},
		{Window{Kind: Daily, Zone: cairo}, "2025-10-30T20:30:00Z", "2025-10-30T22:00:00Z"},
		{Window{Kind: Daily, Zone: cairo}, "2025-10-30T21:30:00Z", "2025-10-30T22:00:00Z"},
		// No 30th of December: the calendar jumped over it.
		{Window{Kind: Daily, Zone: apia}, "2011-12-29T20:00:00Z", "2011-12-30T10:00:00Z"},
		{Window{Kind: Weekly, Zone: berlin}, "2026-11-29T22:00:00Z", "2026-11-29T23:00:00Z"}, // a Sunday
		{Window{Kind: Weekly, Zone: berlin}, "2026-11-30T00:00:00Z", "2026-12-06T23:00:00Z"},
		{Window{Kind: Monthly, Zone: berlin}, "2026-11-29T22:00:00Z", "2026-11-30T23:00:00Z"},
		{Window{Kind: Monthly, Zone: berlin}, "2026-12-31T22:59:59Z", "2026-12-31T23:00:00Z"},
		{Window{}, "2026-11-29T22:00:00Z", "9999-01-01T00:00:00Z"},
	} {
		at, _ := time.Parse(time.RFC3339, c.at)
		if got := c.window.Until(at).Format(time.RFC3339); got != c.until {
			t.Errorf("%v at %s until %s, want %s", c.window, c.at, got, c.until)
		}
	}
}

// No charge is forgotten before its window is over, whenever it is made.
func TestWindowsNeverEndEarly(t *testing.T) {
	beirut, err := time.LoadLocation("Asia/Beirut")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 2 * 366 * 24 {
		at := start.Add(time.Duration(i) * 30 * time.Minute)
		for _, w := range []Window{{Kind: Daily, Zone: beirut}, {Kind: Weekly, Zone: beirut}, {Kind: Monthly, Zone: beirut}} {
			until := w.Until(at)
			if !until.After(at) || until.In(beirut).Day() == until.Add(-time.Second).In(beirut).Day() {
				t.Fatalf("%v at %s until %s", w, at.In(beirut), until.In(beirut))
			}
		}
		if w := (Window{Kind: Sliding, Length: time.Minute}); w.Until(at).Sub(at) < time.Minute {
			t.Fatalf("%s until %s", at, w.Until(at))
		}
	}
}
