package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"sallyport/internal/install"
)

// guests are the requests of the view socket beside those that look: they carry
// the human's secret, compute something, or stop something. An agent with a
// shell may be whoever connects, so what is not here is refused.
var guests = []string{
	"POST /approvals/{id}", "POST /approvals/{id}/narrow",
	"POST /grants", "POST /grants/forecast", "POST /grants/{id}/revoke",
	"POST /servers/{name}/accept", "POST /policy/accept",
	"POST /agents", "POST /agents/{name}/rotate", "POST /sources", "POST /runs", "POST /runs/{id}/messages",
	"POST /kills", "POST /kills/{id}/resume", "POST /log/erase",
	"POST /policy/reload", "POST /policy/check", "POST /policy/test", "POST /policy/replay", "POST /policy/suggest",
	"POST /log/verify", "POST /log/export", "POST /console/link",
}

// View is what of a handler the view socket answers.
func View(handler http.Handler, human Human) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", handler)
	for _, pattern := range guests {
		mux.Handle(pattern, handler)
	}
	// Whoever enrolls first is the human, and asked for nothing.
	mux.HandleFunc("POST /human", func(w http.ResponseWriter, r *http.Request) {
		if !human.Enrolled() {
			refuse(w, &CodedError{Denied, "nobody has enrolled yet, and the first is the human: that takes root, sudo sallyport enroll"})
			return
		}
		handler.ServeHTTP(w, r)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, &CodedError{Denied, "members of the gateway's group may look, answer with the human's secret, kill and pause; this takes root: the same again with sudo"})
	})
	return mux
}

// ListenView opens a view socket. Who may connect is up to the group of the
// directory, which others may not enter.
func ListenView(path string) (net.Listener, error) {
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("everybody may enter %s: take its permissions from others (chmod o-rwx), or choose another place for the view socket", filepath.Dir(path))
	}
	return listen(path, 0o660)
}

// ServeView answers on a view socket until the listener is closed.
func ServeView(listener net.Listener, handler http.Handler) error { return serveAll(listener, handler) }

// dial connects to the gateway of a state directory. Whoever may not enter an
// installed one's connects to its view socket, if that is the same user's.
func dial(ctx context.Context, dir string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", SocketPath(dir))
	if dir != install.StateDir || !errors.Is(err, fs.ErrPermission) {
		return conn, err
	}
	conn, err = d.DialContext(ctx, "unix", install.ViewSocket)
	if errors.Is(err, fs.ErrPermission) {
		return nil, ErrNoGuest
	}
	if err != nil {
		return nil, err
	}
	if err := ownedBy(conn, dir); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// ErrNoGuest says that a gateway is installed here, and not for this user.
var ErrNoGuest = errors.New("the gateway that is installed here is none of your group's: sudo usermod --append --groups sallyport USER lets somebody look, from their next login on")

// ownedBy is an error unless the other end is the owner of the state: what a
// person types must reach nobody else.
func ownedBy(conn net.Conn, dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	uid, err := peerUID(conn)
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != uid {
		return fmt.Errorf("who answers at %s is not the owner of %s", install.ViewSocket, dir)
	}
	return nil
}
