package replay

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// shift rewrites a suite so that nothing that was developed on it holds by
// its wording: other names of tools, other people, accounts and amounts, other
// verbs and frames in what the user says. The same seed gives the same suite.
// The numbers of a rule that is general must not fall apart under it.
type shift struct{ *rand.Rand }

func shiftOf(seed uint64) *shift { return &shift{rand.New(rand.NewPCG(seed, 7))} }

// thesaurus is what else people say, written from usage and not from the
// lexicon that it tests.
var thesaurus = map[string][]string{
	"create":     {"set up", "make", "put together", "generate", "build", "draw up", "open", "produce", "whip up", "configure", "raise", "cook up", "establish", "start"},
	"send":       {"forward", "dispatch", "deliver", "shoot", "get", "issue", "transmit", "fire off", "pass", "relay", "hand", "route", "beam"},
	"email":      {"mail", "write", "message", "drop", "ping", "contact", "send"},
	"delete":     {"remove", "erase", "get rid of", "wipe", "bin", "dump", "eliminate", "throw away", "clear", "trash", "discard", "nuke"},
	"add":        {"include", "append", "put", "insert", "attach", "tack on", "enter", "incorporate", "work in", "bring", "register"},
	"update":     {"change", "revise", "amend", "bring up to date", "modify", "edit", "refresh", "correct", "overwrite", "rework", "sync", "renew"},
	"pay":        {"settle", "cover", "take care of", "clear", "square", "foot", "honor", "discharge", "settle up"},
	"refund":     {"reimburse", "pay back", "repay", "compensate", "recompense", "give back to", "make whole", "credit"},
	"transfer":   {"wire", "move", "remit", "send", "push", "shift", "funnel", "deposit"},
	"share":      {"give access to", "open up", "distribute", "make available", "publish", "circulate", "grant"},
	"reschedule": {"move", "shift", "postpone", "rebook", "push", "bump", "slide", "relocate", "change", "delay"},
	"cancel":     {"call off", "drop", "scrap", "abort", "nix", "revoke", "withdraw", "annul"},
	"adjust":     {"change", "correct", "alter", "tweak", "fine-tune", "recalibrate", "set", "raise"},
	"modify":     {"change", "alter", "edit", "rewrite", "tweak", "redirect", "revise", "set"},
	"change":     {"replace", "alter", "reset", "switch", "swap", "set", "modify", "turn"},
	"book":       {"reserve", "block", "arrange", "secure", "grab", "get", "hold"},
	"invite":     {"ask", "add", "bring in", "loop in", "include", "call in"},
	"schedule":   {"plan", "arrange", "set", "fix", "pencil in", "slot", "organize", "put"},
	"read":       {"open", "look at", "go through", "check", "scan", "study", "view", "review"},
	"find":       {"look for", "locate", "identify", "pick out", "track down", "search", "spot", "detect"},
	"check":      {"look at", "inspect", "go over", "examine", "audit", "scrutinize", "verify", "monitor"},
}

var nouns = map[string][]string{
	"event":        {"appointment", "calendar entry", "meeting"},
	"file":         {"document", "doc"},
	"document":     {"file", "paper"},
	"email":        {"mail", "message"},
	"emails":       {"mails", "messages"},
	"transaction":  {"payment", "transfer", "bank transfer"},
	"payment":      {"transaction", "transfer"},
	"bill":         {"invoice"},
	"password":     {"passcode", "login secret"},
	"meeting":      {"session", "get-together"},
	"appointments": {"meetings", "events"},
	"information":  {"details", "data"},
	"drive":        {"storage", "cloud storage"},
}

// frames are ways to ask, each for a request that begins with a bare verb.
var frames = []string{"Please %", "Could you please %", "I'd like you to %", "I need you to %", "%", "Can you %", "I want you to %", "Would you mind to %", "Kindly %"}

var (
	firstNames = strings.Fields("sarah john mark emma lily alex david maria linda mitchell connor baker smith johnson williams black white davies lee garcia martin olivia mia mason anderson thompson spotify apple hawaii facebook techservices james doe")
	otherNames = strings.Fields("petra ulrich sven greta nadia boris anton carla ingrid okafor lindqvist mueller novak petrov tanaka rossi weber silva kumar haddad bruno helga tamsin fintan brandt corelli streamly gadgetco bermuda chatterbox networkpro viktor roe")
	ibanWord   = regexp.MustCompile(`\b[A-Z]{2}\d{10,28}\b|\bGB29NWBK\d{14}\b`)
	domainWord = regexp.MustCompile(`@([a-z0-9-]+)\.(com|org|net)\b`)
	wordsIn    = regexp.MustCompile(`[A-Za-z]+`)
)

// raw rewrites the suite's bytes: constants, alike wherever they stand.
func (s *shift) raw(text []byte) []byte {
	out := string(text)
	accounts := map[string]string{}
	out = ibanWord.ReplaceAllStringFunc(out, func(old string) string {
		if accounts[old] == "" {
			accounts[old] = old[:2] + s.digits(len(old)-2)
		}
		return accounts[old]
	})
	domains := map[string]string{}
	out = domainWord.ReplaceAllStringFunc(out, func(old string) string {
		if domains[old] == "" {
			domains[old] = "@" + s.word() + []string{".com", ".org", ".net"}[s.IntN(3)]
		}
		return domains[old]
	})
	others := slices.Clone(otherNames)
	s.Shuffle(len(others), func(i, k int) { others[i], others[k] = others[k], others[i] })
	names := map[string]string{}
	for i, n := range firstNames {
		names[n] = others[i%len(others)]
	}
	return []byte(wordsIn.ReplaceAllStringFunc(out, func(old string) string {
		other, ok := names[strings.ToLower(old)]
		switch {
		case !ok:
			return old
		case old == strings.ToLower(old):
			return other
		default:
			return strings.ToUpper(other[:1]) + other[1:]
		}
	}))
}

func (s *shift) digits(n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte('0' + s.IntN(10))
	}
	return string(out)
}

func (s *shift) word() string {
	out := make([]byte, 0, 8)
	for range 3 {
		out = append(out, "bdfgklmnprstv"[s.IntN(13)], "aeiou"[s.IntN(5)])
	}
	return string(out)
}

// suite rewrites a suite's file and reads what became of it.
func (s *shift) suite(t *testing.T, file string) *Suite {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	shifted := filepath.Join(t.TempDir(), filepath.Base(file))
	if err := os.WriteFile(shifted, s.raw(text), 0o600); err != nil {
		t.Fatal(err)
	}
	suite, err := readSuite(shifted)
	if err != nil {
		t.Fatal(err)
	}
	s.rename(suite)
	said := map[string]string{} // each prompt is the same wherever it stands
	for i := range suite.Runs {
		prompt := suite.Runs[i].Prompt
		if said[prompt] == "" {
			said[prompt] = s.reword(prompt)
		}
		suite.Runs[i].Prompt = said[prompt]
	}
	return suite
}

// rename gives every second tool a name that says nothing, and the others the
// words of the thesaurus; their descriptions stay.
func (s *shift) rename(of *Suite) {
	names, taken := map[string]string{}, map[string]bool{}
	for i, t := range of.Tools {
		words := strings.Split(t.Name, "_")
		for k, w := range words {
			if others := append(slices.Clone(thesaurus[w]), nouns[w]...); len(others) > 0 {
				words[k] = strings.ReplaceAll(others[s.IntN(len(others))], " ", "_")
			}
		}
		name := strings.Join(words, "_")
		if s.IntN(2) == 0 {
			name = s.word() + "_" + s.word()
		}
		for taken[name] {
			name += "_2"
		}
		names[t.Name], taken[name] = name, true
		of.Tools[i].Name = name
	}
	for i := range of.Runs {
		for k := range of.Runs[i].Calls {
			of.Runs[i].Calls[k].Tool = names[of.Runs[i].Calls[k].Tool]
		}
	}
	for i, name := range of.Writes {
		of.Writes[i] = names[name]
	}
}

// reword says the same with other words: quotations stay.
func (s *shift) reword(prompt string) string {
	parts := strings.Split(prompt, "'")
	for i := range parts {
		if i%2 == 1 && len(parts)%2 == 1 {
			continue
		}
		parts[i] = wordsIn.ReplaceAllStringFunc(parts[i], func(w string) string {
			others := thesaurus[strings.ToLower(w)]
			if len(others) == 0 {
				others = nouns[strings.ToLower(w)]
			}
			if len(others) == 0 || s.IntN(4) == 0 {
				return w
			}
			other := others[s.IntN(len(others))]
			if w[0] >= 'A' && w[0] <= 'Z' {
				other = strings.ToUpper(other[:1]) + other[1:]
			}
			return other
		})
	}
	out := strings.Join(parts, "'")
	if rest, ok := strings.CutPrefix(out, "Please "); ok {
		frame := frames[s.IntN(len(frames))]
		if strings.HasPrefix(frame, "%") {
			rest = strings.ToUpper(rest[:1]) + rest[1:]
		}
		out = strings.Replace(frame, "%", rest, 1)
	}
	return out
}

// TestShifted measures again with other names of tools, other people and
// accounts, and other words: what holds for one wording only shows here.
func TestShifted(t *testing.T) {
	dir := data(t, "agentdojo")
	t.Parallel()
	var all Figures
	for _, seed := range []uint64{200, 201} {
		for _, name := range []string{"banking.json", "workspace.json"} {
			rows := measured(t, []*Suite{shiftOf(seed).suite(t, filepath.Join(dir, name))}, false)
			all.sum(rows[0].Figures)
		}
	}
	bars(t, "shifted", all)
}
