package lab

import (
	"encoding/xml"
	"fmt"
	"io"
	"time"

	"sallyport/internal/terminal"
)

// Table shows results to a person: a line for each, and below it why what failed did.
func Table(t *terminal.Table, results []Result) {
	t.Row("SCENARIO", "ATTACK", "STOPPED", "TWIN", "RULE", "TIME", "RESULT")
	count := map[State]int{}
	for _, r := range results {
		t.Row(r.Name, word(r.Attack), word(r.Stopped), word(r.Twin), word(r.Rule), r.Took.Round(10*time.Millisecond).String(), string(r.State))
		count[r.State]++
	}
	for _, r := range results {
		if r.State == Opened {
			t.Line("\n" + r.Name + " is open: " + r.Needs + ".")
		}
		for _, c := range r.checks() {
			if c.State == Failed {
				t.Line("\n" + r.Name + ", " + c.name + ": " + terminal.Visible(c.Why))
			}
		}
	}
	t.Line(fmt.Sprintf("\n%d passed, %d failed, %d open.", count[Passed], count[Failed], count[Opened]))
}

func word(c Check) string {
	if c.State == "" {
		return "-"
	}
	return string(c.State)
}

type named struct {
	name string
	Check
}

func (r *Result) checks() []named {
	return []named{{"attack", r.Attack}, {"stopped", r.Stopped}, {"twin", r.Twin}, {"rule", r.Rule}}
}

// JUnit writes results as JUnit does, a test case for each assertion. What is open is skipped, never passed.
func JUnit(w io.Writer, results []Result) error {
	type message struct {
		Text string `xml:"message,attr"`
	}
	type testcase struct {
		Class   string   `xml:"classname,attr"`
		Name    string   `xml:"name,attr"`
		Seconds float64  `xml:"time,attr"`
		Failure *message `xml:"failure,omitempty"`
		Skipped *message `xml:"skipped,omitempty"`
	}
	suite := struct {
		XMLName  xml.Name   `xml:"testsuite"`
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Skipped  int        `xml:"skipped,attr"`
		Seconds  float64    `xml:"time,attr"`
		Cases    []testcase `xml:"testcase"`
	}{Name: "sallyport lab"}
	for _, r := range results {
		suite.Seconds += r.Took.Seconds()
		for i, c := range r.checks() {
			one := testcase{Class: "lab." + r.Name, Name: c.name}
			if i == 0 {
				one.Seconds = r.Took.Seconds() // of the scenario as a whole
			}
			switch c.State {
			case Failed:
				one.Failure = &message{c.Why}
				suite.Failures++
			case Passed:
			default:
				one.Skipped = &message{r.Needs}
				suite.Skipped++
			}
			suite.Cases = append(suite.Cases, one)
		}
	}
	suite.Tests = len(suite.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
