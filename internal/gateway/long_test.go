package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sallyport"
)

// bounded is a log whose entries have a largest size, as the real one's.
type bounded struct{ *world }

func (b bounded) fits(record *sallyport.Record) error {
	if len(record.Entry.AppendCanonical(nil)) > sallyport.MaxEntry {
		return errors.New("the record is too large for the log")
	}
	return nil
}

func (b bounded) Commit(ctx context.Context, record *sallyport.Record) error {
	if err := b.fits(record); err != nil {
		return err
	}
	return b.world.Commit(ctx, record)
}

func (b bounded) Append(ctx context.Context, record *sallyport.Record) error {
	if err := b.fits(record); err != nil {
		return err
	}
	return b.world.Append(ctx, record)
}

// Nothing that an agent writes or a server says is so long that what happened
// is not recorded.
func TestLongWordsAreRecorded(t *testing.T) {
	long := strings.Repeat("é", 100_000)
	result := func(text string) func(context.Context, *Ticket, Client) (Answer, error) {
		return func(context.Context, *Ticket, Client) (Answer, error) {
			return Answer{Result: sallyport.MustParse(text)}, nil
		}
	}
	for name, test := range map[string]struct {
		call    func(*sallyport.Call)
		execute func(context.Context, *Ticket, Client) (Answer, error)
		want    string // of the log, without what is cut
	}{
		"name": {call: func(c *sallyport.Call) { c.Name = long }, want: "refusal unknown"},
		"undeclared argument": {call: func(c *sallyport.Call) { c.Args = sallyport.MustParse(`{"` + long + `":1}`) },
			want: "refusal schema"},
		"resource": {call: func(c *sallyport.Call) {
			c.Kind, c.Name, c.Method = sallyport.KindResource, "shop://"+long, "resources/read"
		}, want: "refusal log"},
		"error of a server": {execute: func(context.Context, *Ticket, Client) (Answer, error) {
			return Answer{}, errors.New(long)
		}, want: "intent outcome error"},
		"handle of a task":         {execute: result(`{"resultType":"task","taskId":"` + long + `"}`), want: "intent outcome withheld"},
		"name of an input request": {execute: result(`{"inputRequests":{"` + long + `":{}}}`), want: "intent outcome withheld"},
	} {
		t.Run(name, func(t *testing.T) {
			g, w := open(t)
			g.Log = bounded{w}
			w.execute = test.execute
			call := pay()
			if test.call != nil {
				test.call(call)
			}
			_, err := g.Call(t.Context(), sallyport.Credential{}, call, &agent{})
			if err == nil {
				t.Error("released")
			}
			var got []string
			for _, r := range w.records {
				got = append(got, strings.TrimSpace(string(r.Entry.Type)+" "+string(r.Entry.Cause)+string(r.Entry.Outcome)))
				text := r.Entry.AppendCanonical(nil)
				if _, err := sallyport.ParseEntry(text); err != nil {
					t.Errorf("%v", err)
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("%s, want %s (%.200v)", got, test.want, err)
			}
		})
	}
}
