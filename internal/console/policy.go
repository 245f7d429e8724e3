package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/console/form"
	"sallyport/internal/console/session"
)

type policyStatus struct {
	Digest  string `json:"digest"`
	Rules   int    `json:"rules"`
	Mode    string `json:"mode"`
	Broken  string `json:"broken,omitempty"`
	Pending *struct {
		Digest  string   `json:"digest"`
		Reasons []string `json:"reasons"`
		Diff    string   `json:"diff"`
	} `json:"pending,omitempty"`
}

type file struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Lines are the file's, for numbers beside them.
func (f file) Lines() []string { return strings.Split(strings.TrimSuffix(f.Text, "\n"), "\n") }

// rule is one in force, and how often it has decided.
type rule struct {
	Rule   string   `json:"rule"`
	File   string   `json:"file"`
	Line   int      `json:"line"`
	Asks   []string `json:"asks,omitempty"`
	Calls  int      `json:"calls"`
	Last   *uint64  `json:"last,omitempty"`   // entry
	Tested *int     `json:"tested,omitempty"` // how often tests made it matter; null while they were not run
}

// Place is where it stands.
func (r rule) Place() string { return r.File + ":" + strconv.Itoa(r.Line) }

// Untested reports whether tests were run, and none made it matter.
func (r rule) Untested() bool { return r.Tested != nil && *r.Tested == 0 }

type rules []rule

// Decided counts those that have decided a call.
func (all rules) Decided() (n int) {
	for _, one := range all {
		if one.Calls > 0 {
			n++
		}
	}
	return n
}

// Percent is which part of them that is.
func (all rules) Percent() int { return 100 * all.Decided() / max(1, len(all)) }

// Never are those that have decided none.
func (all rules) Never() (never []rule) {
	for _, one := range all {
		if one.Calls == 0 {
			never = append(never, one)
		}
	}
	return never
}

// Covered counts those that tests made matter.
func (all rules) Covered() (n int) {
	for _, one := range all {
		if one.Tested != nil && *one.Tested > 0 {
			n++
		}
	}
	return n
}

// rules reads how often each rule in force has decided.
func (c *Console) rules(r *http.Request) (rules, error) {
	all := rules{}
	if err := c.Gate.Get(r.Context(), "/policy/rules", &all); err != nil {
		return nil, err
	}
	if last := c.tested.Load(); last != nil {
		for i := range all {
			fired := last.fired[all[i].Rule]
			all[i].Tested = &fired
		}
	}
	return all, nil
}

// tested is how the tests went when they were run here last.
type tested struct {
	At            time.Time      `json:"at"`
	Passed, Total int            `json:"-"`
	fired         map[string]int // by rule
}

type policiesData struct {
	policyStatus
	Files []file  `json:"files"` // in force
	Use   rules   `json:"rule_use"`
	Last  *tested `json:"tests,omitempty"`
}

// At is the rule that begins in a line, counted from 0.
func (p policiesData) At(file string, line int) *rule {
	for i := range p.Use {
		if p.Use[i].File == file && p.Use[i].Line == line+1 {
			return &p.Use[i]
		}
	}
	return nil
}

// Waiting is the difference that waits for a human, as lines.
func (p policiesData) Waiting() []line {
	var lines []line
	for _, row := range strings.Split(strings.TrimSuffix(p.Pending.Diff, "\n"), "\n") {
		mark, text := " ", row
		if row != "" && strings.Contains("+- @", row[:1]) {
			mark, text = row[:1], row[1:]
		}
		lines = append(lines, line{mark, text})
	}
	return lines
}

func (c *Console) policies(r *http.Request) (string, any, error) {
	data := policiesData{Files: []file{}}
	if err := c.Gate.Get(r.Context(), "/policy", &data.policyStatus); err != nil {
		return "", nil, err
	}
	if err := c.Gate.Get(r.Context(), "/policy/files", &data.Files); err != nil {
		return "", nil, err
	}
	var err error
	data.Use, err = c.rules(r)
	data.Last = c.tested.Load()
	return "Policies", data, err
}

type testsData struct {
	OK       bool     `json:"ok"`
	Problems []string `json:"problems"`
	Results  []struct {
		File   string `json:"file"`
		Line   int    `json:"line"`
		Suite  string `json:"suite"`
		Name   string `json:"name"`
		Passed bool   `json:"passed"`
		Detail string `json:"detail,omitempty"`
	} `json:"results"`
	Coverage []struct {
		Rule  string `json:"rule"`
		Place string `json:"place"`
		Fired int    `json:"fired"`
	} `json:"coverage"`
}

// Passed is how many tests passed.
func (t testsData) Passed() (n int) {
	for _, result := range t.Results {
		if result.Passed {
			n++
		}
	}
	return n
}

// tests runs the tests beside the policies on disk.
func (c *Console) tests(r *http.Request) (string, any, error) {
	if !c.testing.TryLock() { // they take seconds
		return "", nil, form.Refused(http.StatusTooManyRequests, "The tests are being run already: try again in some seconds.")
	}
	defer c.testing.Unlock()
	var data testsData
	if err := c.Gate.Post(r.Context(), "/policy/test", struct{}{}, &data); err != nil {
		return "", nil, err
	}
	last := &tested{At: c.Now(), Passed: data.Passed(), Total: len(data.Results), fired: map[string]int{}}
	for _, one := range data.Coverage {
		last.fired[one.Rule] = one.Fired
	}
	c.tested.Store(last)
	return "Policy tests", data, nil
}

type whyData struct {
	Call    string `json:"call"`
	Action  string `json:"action"`
	Agent   string `json:"agent"`
	Verdict string `json:"verdict"`
	Cause   string `json:"cause,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Policy  string `json:"policy"`
	Now     struct {
		Verdict string `json:"verdict"`
		Reason  string `json:"reason,omitempty"`
		Policy  string `json:"policy"`
	} `json:"now"`
	Rules []struct {
		Rule    string `json:"rule"`
		Place   string `json:"place"`
		Permit  bool   `json:"permit"`
		Outcome string `json:"outcome"`
		Because string `json:"because,omitempty"`
		Reads   []struct {
			Path  string `json:"path"`
			Value string `json:"value,omitempty"`
		} `json:"reads,omitempty"`
		Change string `json:"change,omitempty"`
	} `json:"rules"`
	Note     string   `json:"note,omitempty"`
	Approval string   `json:"approval,omitempty"`
	Approver string   `json:"approver,omitempty"`
	Origins  []string `json:"origins,omitempty"`
	Findings []string `json:"findings,omitempty"`
	Found    []string `json:"found,omitempty"`
	Modified []string `json:"modified,omitempty"`
}

func (c *Console) why(r *http.Request) (string, any, error) {
	var data whyData
	err := c.Gate.Get(r.Context(), "/policy/why/"+url.PathEscape(r.PathValue("id")), &data)
	return "Why", data, form.Missing(err)
}

// placeLink is where a rule stands on the page of policies: FILE:LINE.
func placeLink(place string) string {
	name, number, found := cutLast(place, ":")
	if _, err := strconv.Atoi(number); !found || err != nil {
		return Path + "policies"
	}
	return Path + "policies#" + anchor(name, number)
}

func cutLast(text, sep string) (before, after string, found bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}

// anchor names a line of a file within a page.
func anchor(name string, number any) string {
	line, ok := number.(string)
	if !ok {
		line = strconv.Itoa(number.(int))
	}
	return url.PathEscape(name) + "-L" + line
}

// acceptPolicy puts into force what was shown, which the digest names.
func (c *Console) acceptPolicy(w http.ResponseWriter, r *http.Request, who *session.Session) (any, error) {
	var in struct {
		Digest string `json:"digest"`
	}
	if err := form.Read(w, r, &in); err != nil {
		return nil, err
	}
	return form.Done{}, c.Gate.Post(r.Context(), "/policy/accept", accept{c.sessions.Vouch(who.Who), in.Digest}, &struct{}{})
}
