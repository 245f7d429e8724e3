package importer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestLooksSecret(t *testing.T) {
	for _, test := range []struct {
		name, value string
		want        bool
	}{
		// by name
		{"GITHUB_TOKEN", "x", true}, {"API_KEY", "x", true}, {"apiKey", "x", true}, {"X-Api-Key", "x", true},
		{"DB_PASSWORD", "x", true}, {"PGPASSWORD", "x", true}, {"CLIENT_SECRET", "x", true}, {"Authorization", "x", true},
		{"Cookie", "x", true}, {"STRIPE_KEY", "x", true}, {"AUTH", "x", true}, {"MY_PAT", "x", true}, {"SLACK_WEBHOOK", "x", true},
		{"API_KEY", "", false}, {"AUTH", "true", false}, {"PATH", "/usr/bin", false}, {"KEYBOARD", "us", false}, {"PATTERN", "x", false},
		{"AUTHOR", "ana", false}, {"NODE_ENV", "production", false}, {"PORT", "8080", false},
		// references
		{"API_KEY", "${API_KEY}", false}, {"Authorization", "Bearer ${env:X}", false}, {"API_KEY", "${input:my-key}", false},
		{"API_KEY", "${X:-hunter2}", true}, {"API_KEY", "prefix-${X}", true},
		// by shape
		{"", "ghp_0123456789abcdefghijABCDEFGHIJ012345", true}, {"X", "sk-ant-api03-abcdefghijklmnop", true},
		{"", "AKIAIOSFODNN7EXAMPLE", true}, {"", "xoxb-123456789-abcdefgh", true}, {"", "Bearer abcdefghijkl", true},
		{"", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig", true}, {"", "-----BEGIN RSA PRIVATE KEY-----\nMII", true},
		{"", `{"Authorization": "Bearer ntn_12345678901234567"}`, true},
		{"", "glpat-abcdefghij0123456789", true}, {"", "AIzaSyA0123456789abcdefghijklmnopqrstuv", true},
		{"", "d41d8cd98f00b204e9800998ecf8427e", true}, {"", "kJ8s7Dh2Lq9Xw4Vb6Nm1Zp3R", true}, {"", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", true},
		// NAME=VALUE, headers as arguments
		{"", "API_KEY=x", true}, {"", "--token=x", true}, {"", "--api-key=x", true}, {"", "Authorization: x", true},
		{"", "--port=8080", false}, {"", "--api-key", false},
		// addresses
		{"", "postgresql://u:p@host/db", true}, {"", "https://h/mcp?token=x", true}, {"", "https://h/s/kJ8s7Dh2Lq9Xw4Vb6Nm1Zp3R/mcp", true},
		{"", "https://ana@host/x", false}, {"", "https://mcp.example.com/mcp?debug=true", false},
		{"", "https://mcp.example.com/v1/organizations/projects", false},
		// not secrets
		{"", "@modelcontextprotocol/server-filesystem", false}, {"", "@modelcontextprotocol/server-filesystem@2026.8.31", false},
		{"", "/home/ana/Documents/notes-2026-11-22", false}, {"", "mcp-server-sequential-thinking", false}, {"", "ghcr.io/github/github-mcp-server", false},
		{"", "claude-sonnet-4-5-20250929", false}, {"", "Bearer", false}, {"", "-y", false}, {"", "C:\\Users\\ana\\notes", false},
		{"", "git+https://github.com/oraios/serena", false}, {"", "get_file_contents_and_directories", false},
	} {
		if got := looksSecret(test.name, test.value); got != test.want {
			t.Errorf("%s=%s: %v", test.name, test.value, got)
		}
	}
}

func TestMarkArguments(t *testing.T) {
	s := Server{}
	for _, arg := range []string{"-y", "pkg", "--token", "hunter2", "--port", "80", "--api-key", "--verbose", "loud", "--header", "Authorization: x"} {
		s.Args = append(s.Args, Text{value: arg})
	}
	s.mark()
	var secret []string
	for _, arg := range s.Args {
		if arg.Secret() {
			secret = append(secret, arg.Reveal())
		}
	}
	if got := strings.Join(secret, " "); got != "hunter2 Authorization: x" {
		t.Errorf("got %q", got)
	}
}

func TestTextShowsMasked(t *testing.T) {
	secret := Text{value: "hunter2", secret: true}
	encoded, err := json.Marshal(map[string]any{"a": secret, "b": []Text{secret}, "c": Text{value: "plain"}})
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %s %+v %#v %q", secret, secret, struct{ T Text }{secret}, secret, secret) + string(encoded)
	if strings.Contains(shown, "hunter2") || !strings.Contains(shown, "plain") {
		t.Error(shown)
	}
}
