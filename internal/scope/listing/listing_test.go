package listing

import (
	"fmt"
	"strings"
	"testing"
)

// records reads records as lines of "path=text".
func records(lines ...string) (all []Record) {
	for _, line := range lines {
		var r Record
		for pair := range strings.SplitSeq(line, " ") {
			path, text, _ := strings.Cut(pair, "=")
			r.Fields = append(r.Fields, Field{Path: path, Text: text})
		}
		all = append(all, r)
	}
	return all
}

func TestFirst(t *testing.T) {
	noID := func(f Field) bool { return f.Path == "id" }
	cheapest := Order{Least: true, Of: []string{"price", "cost"}}
	newest := Order{Days: true}
	for _, row := range []struct {
		why     string
		order   Order
		records []Record
		want    int
	}{
		{"the least", cheapest, records("id=1 price=9", "id=2 price=7", "id=3 price=8"), 1},
		{"the most", Order{}, records("id=9 size=9", "id=2 size=17"), 1},
		{"ids are no sizes", Order{}, records("id=9 size=1", "id=2 size=1"), -1},
		{"by what it is about", cheapest, records("price=9 days=1", "price=7 days=2"), 1},
		{"by the word in a longer name", cheapest, records("net_price=9 days=1", "net_price=7 days=2"), 1},
		{"a tie there is not broken by another field", cheapest, records("price=7 days=1", "price=7 days=2"), -1},
		{"by any field, where none is about it", cheapest, records("betrag=9", "betrag=7"), 1},
		{"fields that disagree", cheapest, records("betrag=9 tage=1", "betrag=7 tage=2"), -1},
		{"fields about it that disagree", cheapest, records("price=9 cost=1", "price=7 cost=2"), -1},
		{"one without a size can't be compared", cheapest, records("price=9", "price=7", "price=free"), -1},
		{"one without a day is not of any", newest, records("day=2027-01-02", "day=2027-01-03", "day="), 1},
		{"by the time of day", newest, records("day=2027-01-02 time=08:00", "day=2027-01-02 time=14:30", "day=2027-01-02 time=9:15"), 1},
		{"by a moment", newest, records("at=2027-01-02T08:00:01", "at=2027-01-02", "at=2027-01-02T08:00"), 0},
		{"one alone", newest, records("day=2027-01-02"), -1},
		{"by a year that it is about", Order{Days: true, Least: true, Of: []string{"vintage"}}, records("vintage=2019 stock=2024", "vintage=2021 stock=2020"), 0},
		{"by no other year", Order{Days: true, Least: true}, records("vintage=2019", "vintage=2021"), -1},
		{"by nothing but what it is about", Order{Only: true, Of: []string{"stock"}}, records("balance=0 stock=2", "balance=5 stock=1"), 0},
		{"and by nothing where nothing is", Order{Only: true}, records("balance=0", "balance=5"), -1},
		{"an amount in a currency", cheapest, records("price=$1,200", "price=$900.50"), 1},
	} {
		var all []int
		for i := range row.records {
			all = append(all, i)
		}
		if got := row.order.First(row.records, all, noID); got != row.want {
			t.Errorf("%s: %d, want %d", row.why, got, row.want)
		}
	}
	if got := cheapest.First(records("price=1", "price=9", "price=7"), []int{1, 2}, noID); got != 2 {
		t.Errorf("among some: %d", got)
	}
}

func TestDays(t *testing.T) {
	today, told := Today(strings.Fields("today is thursday , 1 april 2027 ."))
	if !told || !today.Holds("2027-04-01") || today.Holds("2026-04-01") {
		t.Fatalf("%v %v", today, told)
	}
	for _, row := range []struct {
		text, held, not string // days
		known           bool   // today is
	}{
		{"on 2024-05-15", "2024-05-15", "2023-05-15", false},
		{"on may 15th", "2024-05-15", "2024-05-16", false},
		{"the 15th of may", "2023-05-15", "2024-06-15", false},
		{"15 may 2024", "2024-05-15", "2023-05-15", false},
		{"may 15 , 2024", "2024-05-15", "2023-05-15", false},
		{"in april", "2024-04-30", "2024-05-01", false},
		{"may i", "", "2024-05-01", false},
		{"next tuesday", "2027-04-06", "2027-04-13", true},
		{"next thursday", "2027-04-08", "2027-04-01", true},
		{"last tuesday", "2027-03-30", "2027-04-06", true},
		{"for wednesday", "2027-03-31", "2027-04-14", true},
		{"this friday", "2027-04-02", "2027-03-26", true},
		{"tomorrow's job", "2027-04-02", "2027-04-01", true},
		{"yesterday", "2027-03-31", "2027-04-01", true},
		{"today", "2027-04-01", "2027-04-02", true},
		{"two days ago", "2027-03-30", "2027-04-03", true},
		{"in 3 days", "2027-04-04", "2027-03-29", true},
		{"for 3 days", "", "2027-04-04", true},
		{"this week", "2027-04-04", "2027-04-05", true},
		{"next week", "2027-04-05", "2027-04-12", true},
		{"last week", "2027-03-22", "2027-03-29", true},
		{"this month", "2027-04-30", "2027-05-01", true},
		{"next month", "2027-05-09", "2028-05-09", true},
		{"tomorrow", "", "2027-04-02", false},
		{"next tuesday", "", "2027-04-06", false},
	} {
		now := Span{}
		if row.known {
			now = today
		}
		spans := Days(strings.Fields(row.text), now)
		holds := func(text string) bool {
			for _, s := range spans {
				if s.Holds(text) {
					return true
				}
			}
			return false
		}
		if row.held != "" && (!holds(row.held) || !holds(row.held+"T10:00")) || holds(row.not) {
			t.Errorf("%q: %v", row.text, spans)
		}
	}
	if _, told := Today(strings.Fields("what is on today , 1 april")); told {
		t.Error("a day without a year is no today")
	}
	if (Span{}).Holds("2027-04-01") || today.Holds("2027-04-01 "+strings.Repeat("x", 40)) {
		t.Error("a text that begins with a day is held")
	}
}

func TestNames(t *testing.T) {
	for path, want := range map[string]string{
		"recipients[0].email": "[recipients email]", `a["b.c"][1].d`: "[a b.c d]", "": "[]", `a["b`: `[a ["b]`,
	} {
		if got := fmt.Sprint(Names(path)); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if got := fmt.Sprint((Field{Path: "card.hourlyRate"}).Last()); got != "[hourly rate]" {
		t.Error(got)
	}
}
