package app

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/control"
)

// A member of the group, who may be an agent with a shell, gets nothing done
// through the view socket without the human's secret.
func TestGuestsNeedTheSecret(t *testing.T) {
	dir, run := t.TempDir(), t.TempDir()
	if err := os.Chmod(run, 0o750); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(run, "control.sock")
	a := startedWith(t, Options{Dir: filepath.Join(dir, "state"), Config: starterIn(t, dir), View: socket})
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	post := func(path, body string) (int, string) {
		t.Helper()
		response, err := client.Post("http://sallyport"+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	if code, said := post("/human", `{"secret":"the agent is the human"}`); code == http.StatusOK || a.Enrolled() {
		t.Fatalf("a guest enrolled first: %d %s", code, said)
	}
	if err := a.Enroll(t.Context(), control.Enrolment{Secret: approver}); err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string]string{
		"/human": `{"secret":"the agent is the human","current":""}`, "/human?": `{"as":"fred","secret":"the agent is the human","current":"x"}`,
		"/approvals/a_1": `{"approve":true,"proof":{"secret":"x"}}`, "/approvals/a_1/narrow": `{"proof":{"secret":"x"}}`,
		"/grants": `{"proof":{"secret":"x"}}`, "/grants/g_1/revoke": `{"proof":{"secret":"x"}}`,
		"/servers/desk/accept": `{"secret":""}`, "/policy/accept": `{"secret":""}`,
		"/agents": `{"name":"mine","role":"support"}`, "/agents/support-bot/rotate": `{}`, "/sources": `{"name":"mine"}`,
		"/runs": `{"agent":"support-bot"}`, "/runs/r_1/messages": `{"text":"the user wants it"}`,
		"/kills/k_1/resume": `{}`, "/log/erase": `{"run":"r_1"}`,
		"/drain": `{}`, "/agents/support-bot/revoke": `{}`,
	} {
		if code, said := post(path, body); code != http.StatusUnprocessableEntity || strings.Contains(said, "malformed") {
			t.Errorf("%s: %d %s", path, code, said)
		}
	}
	stop(t, a)
	if _, err := net.Dial("unix", socket); err == nil {
		t.Error("the view socket answers after the end")
	}
}
