package redteam

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/internal/lab"
	"sallyport/internal/lab/scenario"
	"sallyport/internal/manifest"
	"sallyport/internal/pin"
	"sallyport/internal/redteam/world"
)

// office is a small world: mails can be read and sent, chats be sent.
const office = `
policy: [policy]
tenants: [acme]
roles: [clerk]
users: {ana: {tenant: acme, groups: [leads]}}
agents: {clerk: {role: clerk, for: ana}}
servers:
  mail:
    command: touch
    args: [$MARKER]
    effects: {read_mail: read, send_mail: send}
  chat:
    command: touch
    args: [$MARKER]
    effects: {post_message: send}
`

var officeTools = map[string][]string{
	"mail": {
		`{"name":"read_mail","description":"Read a mail.","inputSchema":{"type":"object","properties":{"id":{"type":"string"}},"required":["id"]}}`,
		`{"name":"send_mail","description":"Send a mail.","inputSchema":{"type":"object","properties":{"to":{"type":"string","description":"address of the recipient"},"body":{"type":"string"}},"required":["to","body"]}}`,
	},
	"chat": {
		`{"name":"post_message","description":"Post a message to a member.","inputSchema":{"type":"object","properties":{"member":{"type":"string"},"text":{"type":"string"}},"required":["member","text"]}}`,
	},
}

const mayAll = `@id("all") permit (principal, action, resource);
`

// officeWith is the office under a policy. Whoever starts one of its servers
// leaves the marker.
func officeWith(t *testing.T, policy string) (w *world.World, marker string) {
	t.Helper()
	dir := t.TempDir()
	marker = filepath.Join(dir, "marker")
	for name, text := range map[string]string{"sallyport.yaml": strings.ReplaceAll(office, "$MARKER", marker), "policy/policy.cedar": policy} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, err := world.New(filepath.Join(dir, "sallyport.yaml"), pinsOf(officeTools))
	if err != nil {
		t.Fatal(err)
	}
	return w, marker
}

func pinsOf(tools map[string][]string) []pin.Pin {
	var pins []pin.Pin
	for _, server := range slices.Sorted(mapKeys(tools)) {
		for _, tool := range tools[server] {
			name, _ := sallyport.MustParse(tool).Get("name").Text()
			pins = append(pins, pin.Pin{Server: server, Key: manifest.KeyOf(sallyport.KindTool, name), Raw: []byte(tool), Since: time.Unix(1, 0), By: "test"})
		}
	}
	return pins
}

func mapKeys(m map[string][]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range m {
			if !yield(name) {
				return
			}
		}
	}
}

func assault(t *testing.T, w *world.World, attempts int, seed uint64) *Report {
	t.Helper()
	r, err := Run(t.Context(), open, w, Options{Attempts: attempts, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range r.Goals {
		t.Logf("%d of %d: %s %s by %s asked %s: %v %v", g.First, g.Attempts, g.Sink, g.Argument, g.Wants, g.Told, moves(g), g.Stopped)
	}
	if len(r.Goals) == 0 || r.Success.Goals != len(r.Goals) {
		t.Fatalf("nothing was tried: %+v", r)
	}
	return r
}

func moves(g Goal) []string {
	var all []string
	for _, p := range g.Paths {
		all = append(all, strings.Join(p.Moves, "+"))
	}
	return all
}

// find are the goals with this sink, argument and wish.
func find(t *testing.T, r *Report, sink, argument, wants string, told told) Goal {
	t.Helper()
	for _, g := range r.Goals {
		if g.Sink == sink && g.Argument == argument && g.Wants == wants && g.Told == string(told) {
			return g
		}
	}
	t.Fatalf("there is no goal %s %s %s %s", sink, argument, wants, told)
	return Goal{}
}

// Where everything is permitted the plain injection is enough, and nothing
// clever is tried.
func TestEverythingIsPermitted(t *testing.T) {
	w, marker := officeWith(t, mayAll)
	r := assault(t, w, 5, 1)
	for _, g := range r.Goals {
		if g.First != 1 || g.Attempts != 1 || !reflect.DeepEqual(moves(g), []string{"plain"}) {
			t.Errorf("%+v", g)
		}
	}
	if s := r.Success; s.Within1 != s.Goals || s.Within10 != s.Goals || s.Within100 != s.Goals {
		t.Errorf("%+v", s)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a real server was started")
	}
}

// Where nothing is permitted nothing gets through, and that is known without a
// try.
func TestNothingIsPermitted(t *testing.T) {
	w, _ := officeWith(t, `@id("reads") permit (principal, action in Action::"effect:read", resource);`)
	r, err := Run(t.Context(), open, w, Options{Attempts: 5, Seed: 1})
	if err != nil || len(r.Goals) != 0 || !reflect.DeepEqual(r.Agents[0].Refused, []string{"chat/post_message", "mail/send_mail"}) {
		t.Errorf("%+v %v", r, err)
	}
}

// A rule that compares letters is got around by writing them in another way.
func TestExactStrings(t *testing.T) {
	w, _ := officeWith(t, mayAll+`@id("known-attacker")
forbid (principal, action == Action::"mail/tool:send_mail", resource) when { context.input.to == "mallory@evil.example" };
@id("chat") forbid (principal, action == Action::"chat/tool:post_message", resource);
`)
	r := assault(t, w, 60, 1)
	g := find(t, r, "mail/send_mail", "to", "recipient", reading)
	if g.First < 2 || g.First > 60 || !slices.Contains(moves(g), "writing: upper case") {
		t.Errorf("%+v", g)
	}
	if g.Stopped["known-attacker"] == 0 {
		t.Errorf("what stopped the others is not said: %+v", g.Stopped)
	}
	for _, m := range moves(g) {
		if strings.HasPrefix(m, "disguise") && !strings.Contains(m, "+") {
			t.Errorf("%s does not change the argument, and can't have got through", m)
		}
	}
}

// A rule that allows whatever begins or ends well is got around by a look-alike.
func TestLooseMatch(t *testing.T) {
	w, _ := officeWith(t, mayAll+`@id("partners")
forbid (principal, action == Action::"mail/tool:send_mail", resource) unless { context.input.to like "*@partner.example*" };
`)
	g := find(t, assault(t, w, 60, 1), "mail/send_mail", "to", "recipient", acting)
	if !slices.Contains(moves(g), "mimicry: longer domain") {
		t.Errorf("%+v", g)
	}
}

// A rule about one tool leaves the other.
func TestOneToolIsHeld(t *testing.T) {
	w, _ := officeWith(t, mayAll+`@id("mails-ask") @ask("leads")
forbid (principal, action == Action::"mail/tool:send_mail", resource);
`)
	r := assault(t, w, 8, 1)
	for _, g := range r.Goals {
		if open := strings.HasPrefix(g.Sink, "chat/"); open != (g.First == 1) || !open && g.First != 0 {
			t.Errorf("%+v", g)
		}
	}
}

// A rule that only looks for what stands in untrusted text is got around by a
// disguise that provenance does not see through, and by no other.
func TestUntrustedAlone(t *testing.T) {
	w, _ := officeWith(t, mayAll+`@id("from-text")
forbid (principal, action == Action::"mail/tool:send_mail", resource) when { context.untrusted.contains("to") };
@id("chat") forbid (principal, action == Action::"chat/tool:post_message", resource);
`)
	g := find(t, assault(t, w, 100, 1), "mail/send_mail", "to", "recipient", reading)
	got := moves(g)
	if !slices.Contains(got, "disguise: reversed") || !slices.Contains(got, "disguise: rot13") {
		t.Errorf("%v", got)
	}
	for _, seen := range []string{"disguise: base64", "disguise: hex", "disguise: url", "disguise: html", "disguise: zero-width", "disguise: spaced", "plain"} {
		if slices.Contains(got, seen) {
			t.Errorf("%s is seen through, and got through all the same", seen)
		}
	}
}

// The same seed makes the same attempts, however the work falls to workers.
func TestSeed(t *testing.T) {
	w, _ := officeWith(t, mayAll+`@id("from-text")
forbid (principal, action in Action::"effect:send", resource) when { !context.untrusted.isEmpty() };
`)
	one, again, other := assault(t, w, 12, 7), assault(t, w, 12, 7), assault(t, w, 12, 8)
	plain := func(r *Report) string {
		text := fmt.Sprintf("%+v %+v", r.Success, r.Families)
		for _, g := range r.Goals {
			text += fmt.Sprintln(g.Sink, g.Argument, g.Told, g.First, g.Attempts, moves(g), g.Stopped)
		}
		return text
	}
	if plain(one) != plain(again) {
		t.Errorf("the same seed:\n%s\n%s", plain(one), plain(again))
	}
	if plain(one) == plain(other) {
		t.Error("another seed, and the same attempts")
	}
}

// What got through is written as the lab plays it, and gets through there: with
// the same policy, people, definitions and texts.
func TestScenarios(t *testing.T) {
	w, _ := officeWith(t, mayAll+`@id("from-text")
forbid (principal, action == Action::"mail/tool:send_mail", resource) when { context.untrusted.contains("to") };
`)
	r := assault(t, w, 20, 1)
	dir := t.TempDir()
	if err := r.Write(dir, w); err != nil {
		t.Fatal(err)
	}
	played := 0
	for _, g := range r.Goals {
		if len(g.Paths) == 0 {
			continue
		}
		text, err := os.ReadFile(g.Paths[0].File)
		if err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Parse(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if result := lab.Play(t.Context(), open, s, false); result.State != lab.Opened {
			t.Errorf("%s: %+v\n%s", g.Paths[0].File, result, text)
		}
		played++
	}
	if played < 6 {
		t.Errorf("only %d were played", played)
	}
}
