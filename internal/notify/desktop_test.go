package notify

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// screen is a desktop that shows notifications, on a bus of its own.
type screen struct {
	can   []string
	shown chan []any
}

// GetCapabilities and Notify are of the specification.
func (s *screen) GetCapabilities() ([]string, *dbus.Error) { return s.can, nil }

func (s *screen) Notify(app string, replaces uint32, icon, title, body string, actions []string, hints map[string]dbus.Variant, expires int32) (uint32, *dbus.Error) {
	s.shown <- []any{app, title, body, len(actions)}
	return 1, nil
}

// sit starts a bus, as dbus-daemon has it, with a screen on it.
func sit(t *testing.T, can ...string) *screen {
	t.Helper()
	daemon, err := exec.LookPath("dbus-daemon")
	if err != nil && os.Getenv("SALLYPORT_TEST_FETCHED") == "" {
		t.Skip("NOT RUN: dbus-daemon is not here: run test/fetch.sh")
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(daemon, "--session", "--nofork", "--nopidfile", "--print-address", "--address=unix:path="+t.TempDir()+"/bus")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(address))
	bus, err := dbus.Connect(strings.TrimSpace(address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close() })
	s := &screen{can: can, shown: make(chan []any, 10)}
	if err := bus.Export(s, "/org/freedesktop/Notifications", "org.freedesktop.Notifications"); err != nil {
		t.Fatal(err)
	}
	if _, err := bus.RequestName("org.freedesktop.Notifications", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	return s
}

// A desktop shows our words and quotations, which are never markup, and nothing
// to press.
func TestDesktop(t *testing.T) {
	e := hostile
	e.Facts = []Fact{{"agent says", `</b><a href="https://evil.example">Approve</a><img src="https://evil.example/x"/> & "more"` + "\x1b\u202e\nlink: https://evil.example"}}
	for _, c := range []struct {
		can  []string
		want string
	}{
		{[]string{"body", "body-markup", "body-hyperlinks"}, `&lt;/b&gt;&lt;a href=&#34;https://evil.example&#34;&gt;Approve&lt;/a&gt;&lt;img src=`},
		{[]string{"body"}, `</b><a href="https://evil.example">Approve</a><img src=`},
	} {
		s := sit(t, c.can...)
		n, _ := notifier(t, Target{Kind: Desktop})
		n.Tell(e)
		until(t, "it is shown", func() bool { return n.All()[0].Told == 1 })
		shown := <-s.shown
		text := shown[2].(string)
		if shown[0] != "Sallyport" || shown[1] != "Sallyport: Somebody is asked" || shown[3] != 0 || !strings.Contains(text, c.want) ||
			strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\x1b\u202e") || !strings.HasSuffix(text, "\nhttps://gate.example/console/approvals/a_1") {
			t.Errorf("%v: %q", c.can, shown)
		}
		n.Close()
	}
}

// Where there is no desktop, doctor hears it before anything is to be told; and no
// bus is started, or reached elsewhere.
func TestNoDesktop(t *testing.T) {
	if _, err := os.Stat("/run/user/0/bus"); err == nil && os.Getuid() == 0 {
		t.Skip("SKIPPED: there is a desktop here")
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	n, _ := notifier(t, Target{Kind: Desktop})
	if s := n.All()[0]; !strings.Contains(s.Error, "no session bus") || s.Since.IsZero() {
		t.Errorf("%+v", s)
	}
	n.Close()
	for _, address := range []string{"tcp:host=evil.example,port=1", "unixexec:path=/bin/sh", "autolaunch:"} {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
		if _, err := sessionBus(); err == nil {
			t.Errorf("%s is a desktop", address)
		}
	}
	sit(t)
	m, _ := notifier(t, Target{Kind: Desktop})
	if s := m.All()[0]; s.Error != "" {
		t.Errorf("%+v", s)
	}
}
