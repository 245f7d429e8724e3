package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

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

type policiesData struct {
	policyStatus
	Files []file `json:"files"` // in force
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
	err := c.Gate.Get(r.Context(), "/policy/files", &data.Files)
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
	err := c.Gate.Post(r.Context(), "/policy/test", struct{}{}, &data)
	return "Policy tests", data, err
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
