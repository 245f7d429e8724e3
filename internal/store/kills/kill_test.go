package kills

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sallyport/internal/kill"
)

var (
	bot  = kill.Order{ID: "k_1", Scope: kill.Scope{Kind: kill.Agent, Name: "bot"}, Reason: "x", By: "socket", At: time.UnixMilli(1).UTC()}
	desk = kill.Order{ID: "k_2", Pause: true, Scope: kill.Scope{Kind: kill.Server, Name: "desk"}, At: time.UnixMilli(2).UTC()}
)

// Of the file and the database the stricter wins, and what can't be read has
// stopped everything.
func TestTheStricterWins(t *testing.T) {
	for name, c := range map[string]struct{ file, recorded, want string }{
		"nothing":          {"", "", ""},
		"none":             {string(Text(nil)), string(Text(nil)), ""},
		"the file alone":   {string(Text([]kill.Order{bot})), "", "k_1"},
		"behind the file":  {string(Text([]kill.Order{bot})), string(Text(nil)), "k_1"},
		"the file is gone": {"", string(Text([]kill.Order{desk})), "k_2"},
		"both":             {string(Text([]kill.Order{bot})), string(Text([]kill.Order{bot, desk})), "k_1 k_2"},
		"an empty file":    {"\n", string(Text([]kill.Order{bot})), "k_1 " + Unreadable},
		"half a file":      {string(Text([]kill.Order{bot}))[:20], "", Unreadable},
		"a later version":  {`{"v":2,"orders":[]}`, "", Unreadable},
		"a new member":     {`{"v":1,"orders":[],"zones":["x"]}`, "", Unreadable},
		"without an id":    {`{"v":1,"orders":[{"scope":{"kind":"all"}}]}`, "", Unreadable},
		"database damaged": {string(Text(nil)), "x", Unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.file != "" {
				if err := os.WriteFile(filepath.Join(dir, File), []byte(c.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var recorded []byte
			if c.recorded != "" {
				recorded = []byte(c.recorded)
			}
			var ids []string
			s := Load(dir, recorded, time.Now())
			for _, o := range s.Orders() {
				ids = append(ids, o.ID)
			}
			if got := strings.Join(ids, " "); got != c.want {
				t.Errorf("in force: %q, want %q", got, c.want)
			}
			if strings.Contains(c.want, Unreadable) && s.Stops(kill.Target{}) == nil {
				t.Error("not everything is stopped")
			}
		})
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, File), 0o700); err != nil { // can't be read at all
		t.Fatal(err)
	}
	if Load(dir, nil, time.Now()).Stops(kill.Target{}) == nil {
		t.Error("an unreadable file stops nothing")
	}
}

func TestWritten(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, []kill.Order{bot, desk}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, File))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if got := Load(dir, nil, time.Now()).Orders(); len(got) != 2 || !reflect.DeepEqual(got[0], bot) || !reflect.DeepEqual(got[1], desk) {
		t.Errorf("%+v", got)
	}
	if err := Write(filepath.Join(dir, "missing"), nil); err == nil {
		t.Error("written nowhere")
	}
}
