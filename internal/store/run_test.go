package store

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"sallyport/internal/store/runs"
)

func TestRunsAreKept(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	rows := []runs.Row{
		{ID: "r_1", Open: true, Record: []byte(`{"a":1}`)},
		{ID: "r_2", Parent: "r_1", Open: true, Record: []byte(`{}`)},
		{ID: "r_3", Parent: "r_1", Record: []byte(`{}`)},
	}
	if err := s.SaveRuns(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	rows[0].Record = []byte(`{"a":2}`)
	rows[1].Open = false
	if err := s.SaveRuns(t.Context(), rows[:2]); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(dir, time.Now); err != nil {
		t.Fatal(err)
	} else {
		defer s.Close()
		all, err := s.OpenRuns(t.Context())
		if err != nil || !reflect.DeepEqual(all, rows[:1]) {
			t.Errorf("open are %+v, %v", all, err)
		}
		for _, row := range rows {
			if got, err := s.RunRow(t.Context(), row.ID); err != nil || !reflect.DeepEqual(got, row) {
				t.Errorf("%+v, %v", got, err)
			}
		}
		if got, err := s.RunRow(t.Context(), "r_4"); err != nil || got.Record != nil {
			t.Errorf("a run that never was: %+v, %v", got, err)
		}
		if below, err := s.ChildRuns(t.Context(), "r_1"); err != nil || !reflect.DeepEqual(below, []string{"r_2", "r_3"}) {
			t.Errorf("below r_1 are %v, %v", below, err)
		}
	}
	if err := s.SaveRuns(t.Context(), rows); !errors.Is(err, ErrClosed) {
		t.Errorf("saved in a closed store: %v", err)
	}
}
