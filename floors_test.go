package sallyport_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"encoding/json"
)

// floors says on which floor each package stands. Imports go down only, never
// sideways: what decides can't come to depend on what merely carries.
var floors = map[string]int{
	"sallyport":       0, // the vocabulary: anything may name things
	"sallyport/proof": 0, // public and offline: imports the vocabulary alone (sideways allows lists it)

	"sallyport/internal/wire":     1, // pure: bytes to messages
	"sallyport/internal/manifest": 1, // pure: what a server says of itself
	"sallyport/internal/policy":   1, // pure: the decision
	"sallyport/internal/tlog":     1, // pure: hashes, tiles, seals

	"sallyport/internal/provenance":       1, // pure: a run's memory of where values came from
	"sallyport/internal/provenance/bloom": 1, // pure: which keys are on no shelf
	"sallyport/internal/provenance/form":  1, // pure: records and fields of texts
	"sallyport/internal/provenance/plain": 1, // pure: texts with their encodings undone
	"sallyport/internal/scope":            1, // pure: what a task needs, and whom it names
	"sallyport/internal/scope/english":    1, // pure: what words ask for
	"sallyport/internal/scope/listing":    1, // pure: records, and how people choose among them

	"sallyport/internal/policy/beside": 1, // pure: what rules read beside arguments
	"sallyport/internal/policy/source": 1, // pure: policies as written, with places
	"sallyport/internal/policy/shape":  1, // pure: what Cedar can hold of JSON
	"sallyport/internal/policytest":    1, // pure: the tests beside policies
	"sallyport/internal/policyhistory": 1, // pure: policies over recorded calls

	"sallyport/internal/importer/clientfile": 1, // pure: edits of clients' files, text to text

	"sallyport/internal/upstream/era": 1, // pure: one era's params and results as the other has them

	"sallyport/internal/inspect":       1, // pure: what scanners see
	"sallyport/internal/inspect/plain": 1, // pure: text as it is read
	"sallyport/internal/inspect/model": 1, // pure: the trained model
	"sallyport/internal/inspect/train": 2, // touches files: makes the model

	"sallyport/internal/pin":       1, // what was accepted of servers, and what waits
	"sallyport/internal/granting":  1, // pure: which calls a grant answers
	"sallyport/internal/card":      1, // pure: what a person is shown of a question
	"sallyport/internal/asking":    2, // pure: who may answer a question, and how surely
	"sallyport/internal/attention": 2, // pure: how people look at what they are asked
	"sallyport/internal/limits":    1, // pure: what a call takes, and whether there is room

	"sallyport/internal/kill":    1, // what is stopped, and what is under way
	"sallyport/internal/breaker": 1, // what is cut off for a while
	"sallyport/internal/notify":  3, // touches other people's servers: tells them what happens

	"sallyport/internal/gateway": 2, // the order of things
	"sallyport/internal/install": 3, // touches the machine: its users, services, and whose files are
	"sallyport/internal/inbox":   3, // what people see of questions, and how they answer

	"sallyport/internal/upstream/remote": 2, // one URL of a server, and nothing else
	"sallyport/internal/upstream/child":  2, // one process of a server

	"sallyport/internal/store/segment": 2, // files of blobs, and nothing else
	"sallyport/internal/store/held":    2, // looks at files' names, and nothing else

	"sallyport/internal/store/database": 1, // opens a file with tables, and nothing else

	"sallyport/internal/store/approvals": 2, // rows of one table, and nothing else
	"sallyport/internal/store/runs":      2, // rows of one table, and nothing else
	"sallyport/internal/store/index":     2, // rows of index.db, and nothing else
	"sallyport/internal/store/ledger":    2, // rows of its tables, and nothing else
	"sallyport/internal/store/file":      1, // touches one file, and nothing else
	"sallyport/internal/store/kills":     2, // touches one file, and nothing else
	"sallyport/internal/store/signing":   2, // touches one file, and nothing else

	"sallyport/internal/store":      3, // touches the disk
	"sallyport/internal/upstream":   3, // touches servers
	"sallyport/internal/identity":   3, // touches credentials
	"sallyport/internal/sink":       3, // touches telemetry
	"sallyport/internal/judge":      3, // touches models: what they and the scanners see
	"sallyport/internal/memory":     3, // reads what runs did, from the record
	"sallyport/internal/demo":       2, // what the built-in servers share
	"sallyport/internal/demo/desk":  3, // built-in server
	"sallyport/internal/demo/cloud": 3, // built-in server
	"sallyport/internal/starter":    3, // files for the first minute

	"sallyport/internal/guard":   3, // touches connections: which requests may come in
	"sallyport/internal/sse":     3, // touches connections: event streams
	"sallyport/internal/mcpdoor": 4, // translates MCP

	"sallyport/internal/mcpdoor/crowd":    3, // keeps time: who has to leave when there are too many
	"sallyport/internal/mcpdoor/inflight": 3, // keeps time: which requests are open
	"sallyport/internal/mcpdoor/greeting": 4, // translates what servers say of themselves
	"sallyport/internal/mcpdoor/told":     1, // pure: what an agent is told of a refusal
	"sallyport/internal/mcpdoor/heldtask": 4, // translates held calls into tasks
	"sallyport/internal/mcpdoor/parking":  3, // keeps time: what waits for an agent to come back
	"sallyport/internal/mcpdoor/rung":     1, // how "held" is said to which client
	"sallyport/internal/mcpdoor/post":     4, // touches connections: the way back of one POST

	"sallyport/internal/rundoor":          4, // translates what is asked about runs
	"sallyport/internal/shim":             4, // carries stdio clients to the door
	"sallyport/internal/control":          4, // translates the CLI
	"sallyport/internal/importer/wording": 1, // pure: what words about tools say
	"sallyport/internal/importer":         4, // translates clients' files
	"sallyport/internal/config":           4, // translates the operator's file
	"sallyport/internal/terminal":         4, // shows and asks a person

	"sallyport/internal/console":          4, // shows a gateway to people in a browser
	"sallyport/internal/console/question": 4, // shows people what waits for them
	"sallyport/internal/console/form":     4, // translates what pages send, and what they are answered
	"sallyport/internal/console/session":  3, // touches connections: what browsers have shown
	"sallyport/internal/console/burn":     2, // pure: the picture of how a limit was used up
	"sallyport/internal/console/flow":     1, // pure: the picture of what went where
	"sallyport/internal/identity/passkey": 3, // touches credentials: what people's devices sign

	"sallyport/internal/hookdoor/table": 1, // pure: what the tools of a client do
	"sallyport/internal/hookdoor/own":   3, // touches the disk: where paths lead

	"sallyport/internal/hookdoor": 4, // translates what hooks of clients are told

	"sallyport/internal/app/pinned": 3, // what scanners see in pins
	"sallyport/internal/app/aside":  2, // pure: rules that wait for their servers

	"sallyport/internal/app/around":       5, // finds what people want to know beside a question
	"sallyport/internal/app/asks":         5, // how people are asked through the agent's client
	"sallyport/internal/app/loopback":     3, // touches connections: both addresses of this machine
	"sallyport/internal/app/people":       5, // who there is, as the configuration says it
	"sallyport/internal/app/ruling":       5, // reads and keeps the operator's files as one
	"sallyport/internal/app/allowance":    5, // the limits in force, with what was taken
	"sallyport/internal/app/usage":        5, // which rules have decided
	"sallyport/internal/app/halt":         4, // carries out what a person orders
	"sallyport/internal/app/chores":       5, // keeps the state tidy
	"sallyport/internal/app/herald":       4, // tells breakers and people what is recorded
	"sallyport/internal/app/attend":       4, // measures how people look at questions, as it is recorded
	"sallyport/internal/drill":            5, // measures with a gateway of its own
	"sallyport/internal/app/past":         4, // translates what the record says
	"sallyport/internal/app/follow":       3, // touches files: which have changed
	"sallyport/internal/app/watch":        4, // touches servers: what they say of themselves, as it changes
	"sallyport/internal/verbs/launch":     3, // starts an agent's command
	"sallyport/internal/verbs":            5, // asks a gateway what a person asks for
	"sallyport/internal/verbs/service":    5, // has a machine changed as a person wants it
	"sallyport/internal/app":              5, // wires by hand
	"sallyport/internal/proposal":         5, // makes files of what import found, for a human to confirm
	"sallyport/internal/redteam/argument": 1, // pure: what arguments can hold, and what an attacker puts there

	"sallyport/internal/lab/scenario":  2, // attacks as files
	"sallyport/internal/lab/puppet":    1, // pure: an agent that obeys whatever it reads
	"sallyport/internal/lab":           5, // plays attacks on a gateway that is handed to it
	"sallyport/internal/lab/replay":    6, // wires by hand: recorded runs through a gateway of their own
	"sallyport/internal/redteam":       6, // attacks a gateway that is handed to it
	"sallyport/internal/redteam/world": 6, // what is attacked, as files and pins say it
	"sallyport/cmd/sallyport":          6, // verbs and output
}

// sideways lists the imports within one floor that are allowed, and why.
var sideways = map[[2]string]string{
	{"sallyport/internal/console", "sallyport/internal/console/form"}:              "its own part, which knows no page",
	{"sallyport/internal/console", "sallyport/internal/console/question"}:          "its own part, which knows no other pages",
	{"sallyport/internal/console/question", "sallyport/internal/console/form"}:     "answers as the other pages do",
	{"sallyport/internal/console/session", "sallyport/internal/sse"}:               "knows a request for a stream by its type",
	{"sallyport/internal/pin", "sallyport/internal/manifest"}:                      "pins are of a manifest's items",
	{"sallyport/cmd/sallyport", "sallyport/internal/lab/replay"}:                   "a verb of the command line, with its output there",
	{"sallyport/internal/mcpdoor", "sallyport/internal/mcpdoor/heldtask"}:          "its own part, which knows nothing of calls",
	{"sallyport/internal/mcpdoor/heldtask", "sallyport/internal/mcpdoor/post"}:     "keeps what it carries",
	{"sallyport/internal/mcpdoor", "sallyport/internal/mcpdoor/greeting"}:          "its own part, which knows nothing of calls",
	{"sallyport/internal/mcpdoor/greeting", "sallyport/internal/mcpdoor/post"}:     "keeps what it carries",
	{"sallyport/internal/mcpdoor", "sallyport/internal/mcpdoor/post"}:              "its own part, which knows nothing of calls",
	{"sallyport/internal/gateway", "sallyport/internal/asking"}:                    "its own part, which knows nothing of calls under way",
	{"sallyport/proof", "sallyport"}:                                               "proof verifies the vocabulary's entries",
	{"sallyport/internal/tlog", "sallyport/proof"}:                                 "the log writes what proof reads, by the same code",
	{"sallyport/internal/upstream/era", "sallyport/internal/wire"}:                 "bridges what wire names",
	{"sallyport/internal/provenance", "sallyport/internal/provenance/bloom"}:       "its own parts, which know nothing of runs",
	{"sallyport/internal/provenance/bloom", "sallyport/internal/provenance/plain"}: "keys are what it marks",
	{"sallyport/internal/provenance", "sallyport/internal/provenance/form"}:        "its own parts, which know nothing of runs",
	{"sallyport/internal/provenance", "sallyport/internal/provenance/plain"}:       "its own parts, which know nothing of runs",
	{"sallyport/cmd/sallyport", "sallyport/internal/redteam"}:                      "a verb of the command line, with its output there",
	{"sallyport/internal/redteam", "sallyport/internal/redteam/world"}:             "its own part, which knows nothing of attacks",
	{"sallyport/internal/app", "sallyport/internal/app/around"}:                    "its own part, which knows nothing of a running gateway",
	{"sallyport/internal/app", "sallyport/internal/app/asks"}:                      "its own part, which knows nothing of a running gateway",
	{"sallyport/internal/app", "sallyport/internal/app/people"}:                    "its own part, which knows nothing of a running gateway",
	{"sallyport/internal/app", "sallyport/internal/app/chores"}:                    "its own part, which knows nothing of calls",
	{"sallyport/internal/app", "sallyport/internal/app/ruling"}:                    "its own part, which knows nothing of a running gateway",
	{"sallyport/internal/app", "sallyport/internal/app/usage"}:                     "its own part, which knows nothing of a running gateway",
	{"sallyport/internal/app", "sallyport/internal/app/allowance"}:                 "its own part, which knows nothing of a running gateway",
	{"sallyport/internal/policytest", "sallyport/internal/policy"}:                 "the offline verbs of policy run the decision itself",

	{"sallyport/internal/policy", "sallyport/internal/policy/source"}:        "its own parts, which know nothing of deciding",
	{"sallyport/internal/policy", "sallyport/internal/policy/shape"}:         "its own parts, which know nothing of deciding",
	{"sallyport/internal/policy", "sallyport/internal/policy/beside"}:        "its own parts, which know nothing of deciding",
	{"sallyport/internal/inspect", "sallyport/internal/inspect/plain"}:       "its own parts, which know nothing of findings",
	{"sallyport/internal/scope", "sallyport/internal/scope/english"}:         "its own parts, which know no task",
	{"sallyport/internal/scope", "sallyport/internal/scope/listing"}:         "its own parts, which know no task",
	{"sallyport/internal/inspect", "sallyport/internal/inspect/model"}:       "its own parts, which know nothing of findings",
	{"sallyport/internal/policytest", "sallyport/internal/policy/source"}:    "says what may have been meant in the same words",
	{"sallyport/internal/policyhistory", "sallyport/internal/policy"}:        "the offline verbs of policy run the decision itself",
	{"sallyport/internal/policyhistory", "sallyport/internal/policy/source"}: "writes policies in the spelling that is read",
	{"sallyport/internal/policyhistory", "sallyport/internal/policy/shape"}:  "learns what policy can see",
}

// pure packages judge and encode: a clock, a file or a socket in them would
// make a decision depend on something that is not in the facts.
var pure = map[string]bool{
	"sallyport/internal/granting": true,
	"sallyport":                   true, "sallyport/internal/wire": true, "sallyport/internal/manifest": true,
	"sallyport/internal/policy": true, "sallyport/internal/tlog": true, "sallyport/internal/scope": true, "sallyport/internal/scope/english": true, "sallyport/internal/scope/listing": true, "sallyport/internal/card": true, "sallyport/internal/asking": true, "sallyport/internal/attention": true,
	"sallyport/internal/policy/source": true, "sallyport/internal/policy/beside": true, "sallyport/internal/policy/shape": true,
	"sallyport/internal/policytest": true, "sallyport/internal/policyhistory": true,
	"sallyport/internal/importer/clientfile": true, "sallyport/internal/upstream/era": true,
	"sallyport/internal/inspect": true, "sallyport/internal/inspect/plain": true, "sallyport/internal/inspect/model": true,
	"sallyport/internal/limits": true,
}

var impure = map[string]bool{"net": true, "net/http": true, "os": true, "os/exec": true, "database/sql": true}

const (
	maxDepth   = 7     // imports in a row within the module, down to the vocabulary
	maxMethods = 4     // of an interface
	maxCall    = 100   // lines of gateway.Call
	maxPackage = 2_500 // lines without tests
)

type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p listed
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(p.ImportPath, "sallyport/test") && len(p.GoFiles) > 0 {
			all = append(all, p)
		}
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages found: the test looks in the wrong place", len(all))
	}
	return all
}

func TestFloors(t *testing.T) {
	for _, p := range packages(t) {
		floor, known := floors[p.ImportPath]
		if !known {
			t.Errorf("%s stands on no floor: give it one here, with a reason", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if pure[p.ImportPath] && impure[imported] {
				t.Errorf("%s imports %s, but it must be pure", p.ImportPath, imported)
			}
			below, ours := floors[imported]
			if !ours || below < floor || sideways[[2]string{p.ImportPath, imported}] != "" {
				continue
			}
			t.Errorf("%s (floor %d) imports %s (floor %d): imports go down only", p.ImportPath, floor, imported, below)
		}
	}
}

func TestGuardRails(t *testing.T) {
	all := packages(t)
	imports := map[string][]string{}
	for _, p := range all {
		imports[p.ImportPath] = p.Imports
	}
	var depth func(path string) int
	depth = func(path string) int {
		deepest := 0
		for _, i := range imports[path] {
			if _, ours := imports[i]; ours {
				deepest = max(deepest, depth(i)+1)
			}
		}
		return deepest
	}
	for _, p := range all {
		if d := depth(p.ImportPath); d > maxDepth {
			t.Errorf("%s: imports go %d deep, at most %d", p.ImportPath, d, maxDepth)
		}
		lines := 0
		for _, name := range p.GoFiles {
			lines += checkFile(t, p, filepath.Join(p.Dir, name))
		}
		if lines > maxPackage {
			t.Errorf("%s: %d lines, at most %d", p.ImportPath, lines, maxPackage)
		}
	}
}

// checkFile looks for init functions, wide interfaces and a long Call, and
// returns the file's number of lines.
func checkFile(t *testing.T, p listed, path string) int {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			length := set.Position(n.End()).Line - set.Position(n.Pos()).Line + 1
			if n.Name.Name == "init" && n.Recv == nil {
				t.Errorf("%s: init() hides wiring", set.Position(n.Pos()))
			}
			if p.ImportPath == "sallyport/internal/gateway" && n.Name.Name == "Call" && length > maxCall {
				t.Errorf("gateway.Call has %d lines, at most %d", length, maxCall)
			}
		case *ast.InterfaceType:
			if n.Methods.NumFields() > maxMethods {
				t.Errorf("%s: an interface of %d methods, at most %d", set.Position(n.Pos()), n.Methods.NumFields(), maxMethods)
			}
		}
		return true
	})
	return set.File(file.Pos()).LineCount()
}
