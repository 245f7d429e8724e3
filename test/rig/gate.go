package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Gate is a running Sallyport.
type Gate struct {
	*Process
	// Listen is the address for agents that send a token, Agent that of a
	// listener bound to the agent "tester", for clients that can't.
	Listen, Agent string
	// Listeners are the addresses of all bound listeners, by agent.
	Listeners map[string]string
}

// Server is an MCP server behind a gate: a command or a URL.
type Server struct {
	Command []string
	URL     string
}

// Build builds the gateway into bin/sallyport and returns its path.
func Build(ctx context.Context) (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "..", "bin", "sallyport")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/sallyport")
	build.Dir = filepath.Join(dir, "..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the gateway: %w\n%s", err, out)
	}
	return binary, nil
}

// StartGate runs binary over servers (by name) and one policy, in a directory
// of its own below dir: pins are taken at first sight, everything else is on.
func StartGate(ctx context.Context, binary, dir string, servers map[string]Server, policy string) (*Gate, error) {
	declared, err := json.MarshalIndent(declare(servers), "", "  ") // JSON is YAML
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`listen: 127.0.0.1:0
policy: [policy]
pin: trust-first-use
servers: %s
tenants: [acme]
users: {ana: {tenant: acme, groups: [people]}}
roles: [tester]
agents: {tester: {role: tester, for: ana, tenant: acme}}
listeners: [{address: "127.0.0.1:0", agent: tester}]
`, strings.ReplaceAll(string(declared), "\n", "\n  "))
	if err := errors.Join(
		os.MkdirAll(filepath.Join(dir, "policy"), 0o700),
		os.WriteFile(filepath.Join(dir, "sallyport.yaml"), []byte(config), 0o600),
		os.WriteFile(filepath.Join(dir, "policy", "test.cedar"), []byte(policy), 0o600),
	); err != nil {
		return nil, err
	}
	return Up(ctx, binary, dir, len(servers))
}

// Up runs binary with the sallyport.yaml in dir, its state below, and waits
// until it listens and at least so many servers are pinned. It may be run again on
// a directory whose gateway has ended, however that ended.
func Up(ctx context.Context, binary, dir string, servers int) (*Gate, error) {
	addresses, state := filepath.Join(dir, "addresses.json"), filepath.Join(dir, "state")
	if err := os.Remove(addresses); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	p, err := start(exec.CommandContext(ctx, binary, "up", "--config", filepath.Join(dir, "sallyport.yaml"), "--dir", state, "--addr-file", addresses))
	if err != nil {
		return nil, err
	}
	var at struct {
		Listen    string            `json:"listen"`
		Listeners map[string]string `json:"listeners"`
	}
	if err := p.wait(func() bool {
		text, err := os.ReadFile(addresses)
		return err == nil && json.Unmarshal(text, &at) == nil
	}); err != nil {
		return nil, err
	}
	if err := p.wait(func() bool { return pinned(ctx, binary, state, servers) }); err != nil {
		return nil, fmt.Errorf("not every server was pinned: %w", err)
	}
	return &Gate{p, at.Listen, at.Listeners["tester"], at.Listeners}, nil
}

// pinned reports whether so many servers have been looked at and accepted.
func pinned(ctx context.Context, binary, state string, servers int) bool {
	out, err := exec.CommandContext(ctx, binary, "servers", "-o", "json", "--dir", state).Output()
	if err != nil {
		return false
	}
	var all []struct {
		Pinned int `json:"pinned"`
	}
	if err := json.Unmarshal(out, &all); err != nil {
		return false
	}
	n := 0
	for _, s := range all {
		if s.Pinned > 0 {
			n++
		}
	}
	return n >= servers
}

// declare writes servers as the config has them. Effects are the operator's
// word; the tests' policies go by tool, so one effect serves all.
func declare(servers map[string]Server) map[string]any {
	all := map[string]any{}
	for name, s := range servers {
		one := map[string]any{"effects": map[string]string{"*": "write"}}
		if s.URL != "" {
			one["url"] = s.URL
		} else {
			one["command"], one["args"] = s.Command[0], s.Command[1:]
		}
		all[name] = one
	}
	return all
}

// Mint enrolls a human at the gate whose state is there, adds an agent and
// returns a file with its token.
func Mint(ctx context.Context, binary, state, name string) (string, error) {
	secret, token := filepath.Join(state, name+".secret"), filepath.Join(state, name+".token")
	if err := os.WriteFile(secret, []byte("a secret for this test alone"), 0o600); err != nil {
		return "", err
	}
	run := func(args ...string) ([]byte, error) {
		args = append(args, "--secret-file", secret, "--dir", state)
		out, err := exec.CommandContext(ctx, binary, args...).Output()
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%s: %w: %s", strings.Join(args[:2], " "), err, failed.Stderr)
		}
		return out, err
	}
	if _, err := run("enroll"); err != nil {
		return "", err
	}
	out, err := run("agents", "add", name, "--role", "tester", "--for", "ana", "--tenant", "acme", "-o", "json")
	if err != nil {
		return "", err
	}
	var added struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(out, &added); err != nil {
		return "", err
	}
	return token, os.WriteFile(token, []byte(added.Token), 0o600)
}
