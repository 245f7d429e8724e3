package notify

import (
	"context"
	"errors"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
)

// desktop shows messages on the desktop of the user under whom the gateway runs:
// over D-Bus, as the Desktop Notifications Specification has it. Nothing can be
// pressed there.
type desktop struct{}

// errNoDesktop says that there is nobody to be shown anything.
var errNoDesktop = errors.New("there is no session bus: nobody is logged in at a desktop here as the user under whom the gateway runs (an installed gateway has none, and macOS has no D-Bus): choose another kind")

// sessionBus is where the desktop listens. The library would start a bus of its
// own where there is none, which nobody looks at.
func sessionBus() (string, error) {
	if address := os.Getenv("DBUS_SESSION_BUS_ADDRESS"); address != "" {
		if !strings.HasPrefix(address, "unix:") {
			return "", errors.New("DBUS_SESSION_BUS_ADDRESS names no socket of this machine (unix:…)")
		}
		return address, nil
	}
	path := filepath.Join("/run/user", strconv.Itoa(os.Getuid()), "bus")
	if _, err := os.Stat(path); err != nil {
		return "", errNoDesktop
	}
	return "unix:path=" + path, nil
}

func (desktop) send(ctx context.Context, e Event) error {
	address, err := sessionBus()
	if err != nil {
		return err
	}
	bus, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err != nil {
		return err
	}
	defer bus.Close()
	const name = "org.freedesktop.Notifications"
	desk := bus.Object(name, "/org/freedesktop/Notifications")
	var can []string
	if err := desk.CallWithContext(ctx, name+".GetCapabilities", 0).Store(&can); err != nil {
		return err
	}
	return desk.CallWithContext(ctx, name+".Notify", 0, "Sallyport", uint32(0), "", "Sallyport: "+e.Title, body(e, can),
		[]string{}, map[string]dbus.Variant{}, int32(-1)).Err
}

// body is what stands below the title. Desktops that know markup read some of
// HTML's, in which a word of an agent could look like our link, or fetch a picture.
func body(e Event, can []string) string {
	exact := html.EscapeString
	if !slices.Contains(can, "body-markup") {
		exact = func(text string) string { return text }
	}
	var lines []string
	for _, f := range e.Facts {
		lines = append(lines, exact(f.Name+": “"+f.Value+"”"))
	}
	if e.Link != "" {
		lines = append(lines, exact(e.Link))
	}
	return strings.Join(lines, "\n")
}
