// Package control lets a person steer a running gateway: HTTP with JSON over a
// Unix socket in the state directory. Every live verb of the command line goes
// through it. It translates; what a verb does is done elsewhere.
package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// SocketPath is where the gateway of a state directory is steered. It is
// below the directory itself, which nobody else may enter.
func SocketPath(dir string) string { return filepath.Join(dir, "control.sock") }

// ErrTooLong says that the state directory's path leaves no room for the
// socket: the system takes 107 bytes (unix(7)).
var ErrTooLong = errors.New("the path of the state directory is too long for a Unix socket: choose a --dir of at most 94 characters")

// Listen opens the control socket. The caller holds the lock of the state
// directory, so a socket that is there already is left over and replaced.
func Listen(dir string) (net.Listener, error) {
	if len(SocketPath(dir)) > 107 {
		return nil, ErrTooLong
	}
	// The directory is what keeps others out before the socket has its mode.
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	return listen(SocketPath(dir), 0o600)
}

// listen opens a socket in the place of one that was left over.
func listen(path string, mode os.FileMode) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// Serve answers on the control socket until the listener is closed.
func Serve(listener net.Listener, handler http.Handler) error {
	return serveAll(&ownListener{listener, os.Getuid()}, handler)
}

// serveAll serves whoever the listener takes.
func serveAll(listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           recovering(handler),
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    16 << 10,
	}
	err := server.Serve(listener)
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// recovering answers with a sentence where a handler has a bug. What is
// already under way is broken off instead, so that no half answer passes for a
// whole one.
func recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := &startedResponse{ResponseWriter: w}
		defer func() {
			problem := recover()
			switch {
			case problem == nil:
			case started.begun || problem == http.ErrAbortHandler:
				panic(http.ErrAbortHandler)
			default:
				refuse(w, fmt.Errorf("an error in the gateway itself: %v; please report it", problem))
			}
		}()
		next.ServeHTTP(started, r)
	})
}

// startedResponse remembers whether anything was written.
type startedResponse struct {
	http.ResponseWriter
	begun bool
}

func (s *startedResponse) WriteHeader(status int) {
	s.begun = true
	s.ResponseWriter.WriteHeader(status)
}

func (s *startedResponse) Write(b []byte) (int, error) {
	s.begun = true
	return s.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (s *startedResponse) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// ownListener takes connections of one user only. The modes of socket and
// directory say the same; this holds when someone loosens them.
type ownListener struct {
	net.Listener
	uid int
}

func (l *ownListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		uid, err := peerUID(conn)
		if err == nil && uid == l.uid {
			return conn, nil
		}
		conn.Close()
	}
}

// Running reports whether a gateway answers in a state directory.
func Running(dir string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := dial(ctx, dir)
	if err != nil {
		return errors.Is(err, ErrNoGuest) // whoever asks it more is told
	}
	conn.Close()
	return true
}

// inProcess carries requests to a handler in this process, for verbs that
// work without a running gateway.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	reader, writer := io.Pipe()
	w := &pipeWriter{header: http.Header{}, body: writer, started: make(chan int, 1)}
	go func() {
		defer func() {
			if recover() != nil { // recovering has broken the answer off
				writer.CloseWithError(io.ErrUnexpectedEOF)
			}
			w.WriteHeader(http.StatusOK)
			writer.Close()
		}()
		recovering(p.handler).ServeHTTP(w, r)
	}()
	select {
	case status := <-w.started:
		return &http.Response{StatusCode: status, Header: w.header, Body: reader, Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// pipeWriter is a response that is read while it is written.
type pipeWriter struct {
	header  http.Header
	body    *io.PipeWriter
	started chan int
	begun   bool
}

func (w *pipeWriter) Header() http.Header { return w.header }
func (w *pipeWriter) Flush()              {}

func (w *pipeWriter) WriteHeader(status int) {
	if !w.begun {
		w.begun = true
		w.started <- status
	}
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}
