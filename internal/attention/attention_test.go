package attention

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"sallyport"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// What a person has before them is timed from when they first saw it, and nobody
// reads two cards at a time.
func TestLooks(t *testing.T) {
	at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	late := at(3600)
	var l Looks
	for _, c := range []struct {
		who, question string
		at            int
	}{{"bo", "a_1", 0}, {"bo", "a_1", 9}, {"bo", "a_2", 1}, {"bo", "a_3", 2}, {"bo", "a_4", 3}, {"cy", "a_1", 20}, {"", "a_9", 0}} {
		l.Shown(c.who, c.question, at(c.at), late)
	}
	for _, c := range []struct {
		who, question string
		at            int
		took, with    int
	}{
		{"bo", "a_1", 10, 10, 1},
		{"bo", "a_2", 12, 2, 1}, // before that it was another's time
		{"cy", "a_1", 21, 1, 1},
		{"dana", "a_1", 21, 0, 1}, // never shown
		{"", "a_9", 21, 0, 1},
	} {
		if took, with := l.Answered(c.who, c.question, at(c.at)); took != time.Duration(c.took)*time.Second || with != c.with {
			t.Errorf("%s %s: %s of %d", c.who, c.question, took, with)
		}
	}
	l.Together("bo", []string{"a_3", "a_4"})
	for _, question := range []string{"a_3", "a_4"} {
		if took, with := l.Answered("bo", question, at(20)); took != 8*time.Second || with != 2 {
			t.Errorf("together: %s: %s of %d", question, took, with)
		}
	}
	l.Together("bo", []string{"a_3", "unseen"}) // then nothing is together
	if took, _ := l.Answered("bo", "a_1", at(20)); took <= 0 {
		t.Error("what was seen in the very moment counts as unseen")
	}
	// When there is no room, what nobody can answer any more makes some.
	for i := range maxLooks + 10 {
		l.Shown("bo", fmt.Sprint(i), at(30), at(40))
	}
	if l.Shown("bo", "more", at(35), late); l.looks[look{"bo", "more"}] != (looked{}) {
		t.Error("there is no bound")
	}
	if l.Shown("bo", "more", at(40), late); l.looks[look{"bo", "more"}] == (looked{}) || len(l.looks) > 10 {
		t.Errorf("%d are remembered", len(l.looks))
	}
}

func TestLoads(t *testing.T) {
	var l Loads
	bo, both, late := []string{"bo"}, []string{"bo", "cy"}, noon.Add(12*time.Hour)
	for i, c := range []struct {
		people []string
		at     time.Time
		most   int
		never  bool
		above  []string
		ok     bool
		count  int // of bo
	}{
		{both, noon, 2, true, nil, true, 1},
		{bo, noon, 2, true, nil, true, 2},
		{bo, noon, 2, true, nil, false, 2},
		{both, noon, 2, true, bo, true, 3}, // cy has room
		{bo, noon, 2, false, nil, true, 4}, // said once
		{nil, noon, 2, true, nil, true, 4}, // nobody is not everybody
		{bo, noon, 0, true, nil, true, 5},  // no cap
		{bo, late, 2, true, nil, true, 1},  // another day
		{bo, noon, 2, true, nil, true, 2},  // a day that is over is not gone back to
		{bo, noon, 2, true, nil, false, 2},
	} {
		above, ok := l.Ask(c.people, c.at, c.most, c.never)
		if !slices.Equal(above, c.above) || ok != c.ok || l.Of("bo", c.at) != c.count {
			t.Errorf("%d: above %v, %v, %d", i, above, ok, l.Of("bo", c.at))
		}
	}
	l.TakeBack(bo, late)
	l.TakeBack(bo, noon) // of a day that is over
	if n := l.Of("bo", late); n != 1 {
		t.Errorf("taken back: %d", n)
	}
}

// story is a log of questions by hand.
type story struct {
	entries []sallyport.Entry
	now     time.Time
}

func (s *story) add(after time.Duration, e sallyport.Entry) {
	s.now = s.now.Add(after)
	e.Time, e.Index = s.now, uint64(len(s.entries))
	s.entries = append(s.entries, e)
}

func (s *story) ask(after time.Duration, id, name, group string, class sallyport.Class) {
	s.add(after, sallyport.Entry{Type: sallyport.Held, Approval: id, Server: "desk", Name: name, Action: "desk/tool:" + name, Kind: sallyport.KindTool, Asks: []string{group}, Class: class,
		Principal: sallyport.Principal{Agent: "bot", User: "ana"}})
}

func (s *story) answer(after time.Duration, subject, id, by string, took, read time.Duration) {
	s.add(after, sallyport.Entry{Type: sallyport.Change, Subject: subject, Approval: id, By: by, Class: sallyport.ClassType, Took: took, Read: read})
}

func (s *story) count(most int) Stats {
	return Count(s.entries, Around{Since: noon, Until: s.now, Cap: most,
		Asked: func(e *sallyport.Entry) []string {
			return map[string][]string{"finance": {"bo", "cy"}, "leads": {"dana"}}[e.Asks[0]]
		},
		Waiting: func(id string) bool { return id == "a_9" },
	})
}

func TestCount(t *testing.T) {
	s := story{now: noon}
	sec := time.Second
	s.ask(0, "a_1", "pay", "finance", sallyport.ClassType)
	s.ask(sec, "a_1", "pay", "finance", sallyport.ClassType) // its agent asks again
	s.answer(sec, "approval approved a_1", "a_1", "bo", 20*sec, 8*sec)
	s.ask(sec, "a_2", "pay", "finance", sallyport.ClassType)
	s.answer(sec, "approval approved a_2", "a_2", "bo", sec, 8*sec) // faster than it can be read
	s.ask(sec, "a_3", "note", "leads", sallyport.ClassTap)
	s.answer(sec, "approval refused a_3", "a_3", "dana", sec, 8*sec) // a hurried no does no harm
	s.ask(sec, "a_4", "note", "leads", sallyport.ClassTap)
	s.answer(sec, "approval approved a_4", "a_4", "dana", 0, 8*sec) // never shown
	s.ask(sec, "a_5", "wipe", "finance", sallyport.ClassPair)
	s.answer(sec, "approval seconded a_5", "a_5", "bo", 2*sec, 8*sec) // and nothing came of it
	s.answer(sec, "approval refused a_5", "a_5", "cy", 40*sec, 8*sec)
	s.ask(sec, "a_6", "pay", "finance", sallyport.ClassType)
	s.answer(sec, "approval narrowed a_6 to a_7", "a_6", "cy", 50*sec, 8*sec)
	s.ask(sec, "a_8", "pay", "finance", sallyport.ClassType) // nobody answers
	s.ask(25*time.Hour, "a_9", "pay", "finance", sallyport.ClassType)
	s.answer(sec, "approval refused a_8", "a_8", "control socket", 0, 0)                  // a kill's end is nobody's answer
	s.answer(sec, "approval approved a_old", "a_old", "bo", 60*sec, 8*sec)                // asked earlier
	s.add(sec, sallyport.Entry{Type: sallyport.Refusal, Approval: "a_10", By: "bo"})      // what came of one
	s.add(sec, sallyport.Entry{Type: sallyport.Held, Asks: []string{"finance"}})          // a question of a server: nobody can be asked
	s.add(sec, sallyport.Entry{Type: sallyport.Change, Subject: "approval mistyped a_9"}) // no answer
	got := s.count(4)
	for i, want := range []Class{
		{Class: 1, Asked: 2, Approved: 1, Refused: 1, Hasty: 1},
		{Class: 2, Asked: 5, Approved: 2, Refused: 1, Expired: 1, Waiting: 1, Hasty: 1},
		{Class: 3, Asked: 1, Refused: 1},
	} {
		if i >= len(got.Classes) || got.Classes[i] != want {
			t.Errorf("class %d: %+v", want.Class, got.Classes)
		}
	}
	first, second := Load{"2026-11-30", 5}, Load{"2026-12-01", 1}
	for i, want := range []Person{
		{Name: "bo", Asked: 6, Days: []Load{first, second}, Over: 1, Approved: 4, Hasty: 2, Median: 2_000, Ninth: 60_000},
		{Name: "cy", Asked: 6, Days: []Load{first, second}, Over: 1, Refused: 2, Median: 40_000, Ninth: 50_000},
		{Name: "dana", Asked: 2, Days: []Load{{"2026-11-30", 2}}, Approved: 1, Refused: 1, Hasty: 1, Unseen: 1, Median: 1_000, Ninth: 1_000},
	} {
		if i >= len(got.People) || !reflect.DeepEqual(got.People[i], want) {
			t.Errorf("%s: %+v", want.Name, got.People[i])
		}
	}
	if len(got.People) != 3 || len(got.Reversed) != 0 {
		t.Errorf("%+v, reversed %+v", got.People, got.Reversed)
	}
	if len(got.Hasty) != 3 || got.Hasty[0].Approval != "a_5" || got.Hasty[1].Approval != "a_4" || got.Hasty[1].Took != 0 || got.Hasty[2] != (Answer{"a_2", "bo", noon.Add(4 * sec), 2, 1000, 8000, ""}) {
		t.Errorf("hasty: %+v", got.Hasty)
	}
	if bo := &got.People[0]; bo.Rate() != 100 || bo.PerDay() != 3 || bo.Most() != first {
		t.Errorf("%v %v %v", bo.Rate(), bo.PerDay(), bo.Most())
	}
	if rate := got.Classes[1].Rate(); rate < 66 || rate > 67 {
		t.Errorf("rate %v", rate)
	}
}

// A yes counts as taken back by what stops the same soon after, and by nothing else.
func TestReversed(t *testing.T) {
	sec := time.Second
	for name, c := range map[string]struct {
		then func(s *story)
		want string // why; "" for none
	}{
		"nothing":             {func(*story) {}, ""},
		"the agent is killed": {func(s *story) { s.add(sec, sallyport.Entry{Type: sallyport.Change, Subject: "kill k_1 agent bot"}) }, "kill k_1 agent bot"},
		"the tool is paused": {func(s *story) {
			s.add(sec, sallyport.Entry{Type: sallyport.Change, Subject: "pause k_1 tool desk/pay"})
		}, "pause k_1 tool desk/pay"},
		"everything is killed": {func(s *story) { s.add(sec, sallyport.Entry{Type: sallyport.Change, Subject: "kill k_1 everything"}) }, "kill k_1 everything"},
		"another is killed":    {func(s *story) { s.add(sec, sallyport.Entry{Type: sallyport.Change, Subject: "kill k_1 agent other"}) }, ""},
		"a kill in force at a start": {func(s *story) {
			s.add(sec, sallyport.Entry{Type: sallyport.Change, Subject: "in force: kill k_1 agent bot"})
		}, ""},
		"killed an hour later":     {func(s *story) { s.add(Soon, sallyport.Entry{Type: sallyport.Change, Subject: "kill k_1 agent bot"}) }, ""},
		"the grant is revoked":     {func(s *story) { s.add(sec, sallyport.Entry{Type: sallyport.Change, Subject: "grant revoked g_1"}) }, "grant revoked g_1"},
		"another grant is revoked": {func(s *story) { s.add(sec, sallyport.Entry{Type: sallyport.Change, Subject: "grant revoked g_2"}) }, ""},
		"the same is refused": {func(s *story) {
			s.ask(0, "a_2", "pay", "finance", 2)
			s.answer(sec, "approval refused a_2", "a_2", "cy", sec, sec)
		}, "refused a_2"},
		"less of the same is granted": {func(s *story) {
			s.ask(0, "a_2", "pay", "finance", 2)
			s.answer(sec, "approval narrowed a_2 to a_3", "a_2", "cy", sec, sec)
		}, ""},
		"something else is refused": {func(s *story) {
			s.ask(0, "a_2", "note", "finance", 2)
			s.answer(sec, "approval refused a_2", "a_2", "cy", sec, sec)
		}, ""},
		"a kill refuses the same": {func(s *story) {
			s.ask(0, "a_2", "pay", "finance", 2)
			s.answer(sec, "approval refused a_2", "a_2", "control socket", 0, 0)
		}, ""},
	} {
		s := story{now: noon}
		s.ask(0, "a_1", "pay", "finance", sallyport.ClassType)
		s.answer(sec, "grant made g_1", "a_1", "bo", 20*sec, sec)
		c.then(&s)
		got := s.count(0)
		why := ""
		if len(got.Reversed) == 1 {
			why = got.Reversed[0].Why
		}
		if why != c.want || len(got.Reversed) > 1 || got.Classes[0].Reversed != len(got.Reversed) || got.People[0].Reversed != len(got.Reversed) {
			t.Errorf("%s: %+v", name, got.Reversed)
		}
	}
}

// Half a yes lets nothing through, so there is nothing to take back.
func TestHalfAYesIsNotReversed(t *testing.T) {
	s := story{now: noon}
	s.ask(0, "a_1", "wipe", "finance", sallyport.ClassPair)
	s.answer(time.Second, "approval seconded a_1", "a_1", "bo", time.Minute, time.Second)
	s.add(time.Second, sallyport.Entry{Type: sallyport.Change, Subject: "kill k_1 everything"})
	if got := s.count(0); len(got.Reversed) != 0 || got.Classes[0].Expired != 1 {
		t.Errorf("%+v", got)
	}
}

func TestQuantile(t *testing.T) {
	ms := func(all ...int) (out []time.Duration) {
		for _, n := range all {
			out = append(out, time.Duration(n)*time.Millisecond)
		}
		return out
	}
	for _, c := range []struct {
		all         []time.Duration
		half, ninth int64
	}{{nil, 0, 0}, {ms(7), 7, 7}, {ms(9, 1), 1, 9}, {ms(3, 1, 2), 2, 3}, {ms(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 5, 9}, {ms(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11), 6, 10}} {
		if half, ninth := quantile(c.all, 0.5), quantile(c.all, 0.9); half != c.half || ninth != c.ninth {
			t.Errorf("%v: %d, %d", c.all, half, ninth)
		}
	}
}
