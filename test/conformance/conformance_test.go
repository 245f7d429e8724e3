package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/test/rig"
)

func TestCompare(t *testing.T) {
	direct := map[string]outcome{"s a A": {status: "SUCCESS"}, "s b B": {"FAILURE", "so"}, "s c C": {status: "SUCCESS"}}
	through := map[string]outcome{"s a A": {status: "SUCCESS"}, "s b B": {"FAILURE", "or so"}, "s d D": {"WARNING", "hm"}}
	got := strings.Join(compare(direct, through), "\n")
	want := "s c C: directly SUCCESS, through not reached\ns d D: directly not reached, through WARNING (hm)"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReadChecks(t *testing.T) {
	dir := t.TempDir()
	scenario := filepath.Join(dir, "server-server-stateless-2026-11-22T16-51-54-144Z")
	if err := os.Mkdir(scenario, 0o700); err != nil {
		t.Fatal(err)
	}
	checks := `[{"id":"a","name":"A","status":"SUCCESS"},{"id":"a","name":"A","status":"FAILURE","errorMessage":"no"},
		{"id":"event","name":"E","status":"INFO"},{"id":"event","name":"E","status":"INFO"}]`
	if err := os.WriteFile(filepath.Join(scenario, "checks.json"), []byte(checks), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readChecks(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]outcome{
		"server-stateless a A":     {status: "SUCCESS"},
		"server-stateless a A #2":  {"FAILURE", "no"},
		"server-stateless event E": {status: "INFO"},
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	for key, o := range want {
		if got[key] != o {
			t.Errorf("%s: got %v, want %v", key, got[key], o)
		}
	}
	if _, err := readChecks(t.TempDir()); err == nil {
		t.Error("a run without any check was taken for a run")
	}
}

// TestReverseProxy shows that the rig can say yes: nothing differs through a
// proxy that changes nothing.
func TestReverseProxy(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	for _, c := range combinations {
		t.Run(c.fixture+" "+c.revision, func(t *testing.T) {
			check(t, c.compare(t.Context(), throughProxy(nil), attempts))
		})
	}
}

// TestBrokenProxies shows that the rig can say no: a proxy that loses
// something is found out.
func TestBrokenProxies(t *testing.T) {
	for name, change := range map[string]func(*http.Response) error{
		"a refusal becomes a success": func(r *http.Response) error {
			if r.StatusCode >= 400 {
				r.StatusCode = http.StatusOK
			}
			return nil
		},
		"the session's id is lost": func(r *http.Response) error {
			r.Header.Del("Mcp-Session-Id")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := combinations[0].compare(t.Context(), throughProxy(change), 0)
			if err == nil {
				t.Fatal("nothing was found to differ")
			}
			if !errors.Is(err, errDiffer) {
				check(t, err)
			}
		})
	}
}

// TestFlakyProxy shows that an accident is told from a difference: what goes
// wrong once is run again and agrees.
func TestFlakyProxy(t *testing.T) {
	var broken atomic.Bool
	loses := func(_ context.Context, server string) (string, func(), error) {
		target, err := url.Parse(server)
		if err != nil {
			return "", nil, err
		}
		proxy := rig.Proxy(target, nil)
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if bytes.Contains(body, []byte(`"test_simple_text"`)) && broken.CompareAndSwap(false, true) {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			proxy.ServeHTTP(w, r)
		}))
		return front.URL + target.Path, front.Close, nil
	}
	c := combinations[0]
	check(t, c.compare(t.Context(), loses, attempts))
	broken.Store(false)
	if err := c.compare(t.Context(), loses, 0); !errors.Is(err, errDiffer) {
		t.Errorf("what went wrong made no difference: %v", err)
	}
}

// TestNoYardstick shows that agreement with nothing is none: a fixture that
// does not start, or does not reach what it should.
func TestNoYardstick(t *testing.T) {
	broken := errors.New("does not start")
	c := combinations[0]
	c.start = func(context.Context) (*rig.Process, error) { return nil, broken }
	if err := c.compare(t.Context(), throughProxy(nil), attempts); !errors.Is(err, broken) {
		t.Errorf("without a fixture: %v", err)
	}
	// A server that serves nothing agrees with every gate about everything.
	nothing := httptest.NewServer(http.NotFoundHandler())
	defer nothing.Close()
	c.start = func(ctx context.Context) (*rig.Process, error) {
		p, err := combinations[0].start(ctx)
		if err == nil {
			p.URL = nothing.URL
		}
		return p, err
	}
	err := c.compare(t.Context(), throughProxy(nil), 0)
	if errors.Is(err, rig.ErrNotFetched) {
		check(t, err)
	}
	if err == nil || errors.Is(err, errDiffer) {
		t.Errorf("with a fixture that serves nothing: %v", err)
	}
}

// check skips without the fetched packages, unless the run is said to have them.
func check(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, rig.ErrNotFetched) && os.Getenv("SALLYPORT_TEST_FETCHED") == "" {
		t.Skip("NOT RUN: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// throughProxy is a gate that changes the responses, or nothing.
func throughProxy(change func(*http.Response) error) gate {
	return func(_ context.Context, server string) (string, func(), error) {
		target, err := url.Parse(server)
		if err != nil {
			return "", nil, err
		}
		front := httptest.NewServer(rig.Proxy(target, change))
		return front.URL + target.Path, front.Close, nil
	}
}
