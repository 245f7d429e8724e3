package main

import (
	"fmt"
	"io"
)

type row struct {
	suite, rule string
	figures
}

type table struct {
	rows []row
	all  map[string]*figures
	rule []string
}

func newTable() *table { return &table{all: map[string]*figures{}} }

func (t *table) add(suite, rule string, f figures) {
	t.rows = append(t.rows, row{suite, rule, f})
	if t.all[rule] == nil {
		t.all[rule] = &figures{}
		t.rule = append(t.rule, rule)
	}
	t.all[rule].sum(f)
}

func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "%-36s %-8s %14s %14s %14s %26s %9s %14s %13s\n", "suite", "rules", "caught", "all writes", "self-target", "zero approval (95 %)", "approvals", "resisted", "control")
	for _, rule := range t.rule {
		t.rows = append(t.rows, row{"all", rule, *t.all[rule]})
	}
	for _, r := range t.rows {
		low, high := r.Quiet.wilson()
		fmt.Fprintf(w, "%-36s %-8s %s %s %s %s %3.0f–%-3.0f %9.2f %s %s\n", r.suite, r.rule, cell(r.Caught), cell(r.All), cell(r.Self), cell(r.Quiet), low, high, r.perTask(), cell(r.Resisted), cell(r.Control))
	}
}

func cell(s share) string {
	if s.All == 0 {
		return fmt.Sprintf("%14s", "–")
	}
	return fmt.Sprintf("%5.1f %8s", s.percent(), fmt.Sprintf("%d/%d", s.Hit, s.All))
}
