package crash

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/identity"
)

// TestKilledWhileRunsBegin kills the gateway while it begins and ends runs.
// Whoever got an answer finds it true after the restart: the run goes on, with
// its task, or it has ended. A run whose token nobody got is on the record, is
// shown, and can be ended.
func TestKilledWhileRunsBegin(t *testing.T) {
	binary, dir := build(t), t.TempDir()
	configure(t, dir, "http://127.0.0.1:1/nobody")
	config := filepath.Join(dir, "sallyport.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	err = errors.Join(
		os.WriteFile(config, append(text, "sources: {ci: {kind: orchestrator, agents: [tester]}}\n"...), 0o600),
		os.WriteFile(secret, []byte("correct horse battery\n"), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	g := launch(t, binary, dir)
	g.address(t)
	run(t, binary, dir, "enroll", "--secret-file", secret)
	token, _, _ := strings.Cut(run(t, binary, dir, "sources", "add", "ci", "--secret-file", secret), "\n")

	goesOn, ended := map[string]string{}, map[string]bool{} // tokens by run
	for life := range 12 {
		address := g.listening(t).Listen
		var mu sync.Mutex
		var callers sync.WaitGroup
		stop := make(chan struct{})
		for i := range 4 {
			callers.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					var begun identity.Begun
					if ask(address, token, "POST", "/v1/runs", `{"agent":"tester","task":"pay the rent"}`, &begun) != 201 {
						continue
					}
					end := (n+i)%2 == 0 && ask(address, token, "POST", "/v1/runs/"+begun.Run+"/end", "", nil) == 200
					mu.Lock()
					if goesOn[begun.Run] = begun.Token; end {
						ended[begun.Run] = true
					} else if (n+i)%2 == 0 {
						delete(goesOn, begun.Run) // nobody was told whether it has ended
					}
					mu.Unlock()
				}
			})
		}
		time.Sleep(time.Duration(50+rand.IntN(200)) * time.Millisecond)
		g.kill()
		close(stop)
		callers.Wait()
		g = launch(t, binary, dir)
		address = g.listening(t).Listen
		for id, token := range goesOn {
			var shown identity.ShownRun
			status := ask(address, token, "GET", "/v1/runs/"+id, "", &shown)
			switch {
			case ended[id] && status != 401:
				t.Errorf("life %d: run %s has ended, and its token gets %d", life, id, status)
			case !ended[id] && (status != 200 || len(shown.Words) != 1):
				t.Errorf("life %d: run %s goes on, and its token gets %d %+v", life, id, status, shown)
			}
		}
	}
	g.kill()
	if len(goesOn) < 12 || len(ended) == 0 {
		t.Fatalf("only %d runs began and %d ended", len(goesOn), len(ended))
	}
	recorded := run(t, binary, dir, "log", "query", "--type", "change", "--limit", "0")
	var listed []identity.RunStatus
	if err := json.Unmarshal([]byte(run(t, binary, dir, "runs", "list", "-o", "json")), &listed); err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, r := range listed {
		if r.Standing {
			continue
		}
		if !regexp.MustCompile("run begun " + r.Run + " .*orchestrator ci").MatchString(recorded) {
			t.Errorf("run %s is not on the record", r.Run)
		}
		if goesOn[r.Run] == "" && held == 0 {
			run(t, binary, dir, "runs", "end", r.Run)
			held++
		}
	}
	run(t, binary, dir, "log", "verify")
}

// ask asks for runs, and is 0 where nobody answers.
func ask(address, token, method, path, body string, answer any) int {
	request, err := http.NewRequest(method, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		return 0
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	if answer != nil && json.NewDecoder(response.Body).Decode(answer) != nil {
		return 0
	}
	return response.StatusCode
}
