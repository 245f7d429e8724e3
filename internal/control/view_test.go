package control

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// someone is a human who has enrolled, or has not.
type someone struct {
	Human
	enrolled bool
}

func (s someone) Enrolled() bool { return s.enrolled }

// Through the view socket people look, and answer with a secret; what takes none
// and does more than to stop is not to be had there, and nor is what nobody has
// thought of.
func TestView(t *testing.T) {
	for request, passes := range map[string]bool{
		"GET /doctor": true, "GET /log/show/c_1": true, "GET /approvals/a_1": true,
		"POST /approvals/a_1": true, "POST /kills": true, "POST /kills/k_1/resume": true, "POST /console/link": true,
		"POST /human": false, "POST /drain": false, "POST /agents/bot/revoke": false, "POST /sources/s/revoke": false,
		"POST /runs/r_1/end": false, "POST /log/reindex": false, "POST /new/verb": false, "DELETE /log": false, "PUT /approvals/a_1": false,
	} {
		passed := false
		view := View(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true }), someone{})
		method, path, _ := strings.Cut(request, " ")
		w := httptest.NewRecorder()
		view.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader("{}")))
		if passed != passes || !passes && (w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "sudo")) {
			t.Errorf("%s passed: %v, answered %d %s", request, passed, w.Code, w.Body)
		}
	}
	passed := false
	view := View(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true }), someone{enrolled: true})
	view.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/human", strings.NewReader("{}")))
	if !passed {
		t.Error("nobody can change a secret that is there")
	}
}

// The view socket is its group's, in a directory that others can't enter.
func TestViewSocketIsItsGroups(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenView(filepath.Join(dir, "s")); err == nil || !strings.Contains(err.Error(), "everybody may enter") {
		t.Errorf("in a directory that is open to all: %v", err)
	}
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time one is left over
		listener, err := ListenView(filepath.Join(dir, "s"))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "s"))
		if err != nil || info.Mode().Perm() != 0o660 {
			t.Errorf("%v, %v", info, err)
		}
		listener.(*net.UnixListener).SetUnlinkOnClose(false)
		listener.Close()
	}
}

// What a person types reaches the owner of the state alone.
func TestViewSocketIsTheOwners(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: it takes root to give a directory to somebody else")
	}
	dir := t.TempDir()
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := ownedBy(conn, dir); err != nil {
		t.Error(err)
	}
	if err := os.Chown(dir, 12345, -1); err != nil {
		t.Fatal(err)
	}
	if err := ownedBy(conn, dir); err == nil {
		t.Error("whoever answers is taken for the owner")
	}
}
