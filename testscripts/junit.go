package testscripts

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteJUnit writes the report as JUnit's XML: a test suite for each version, a
// test case for each claim. The transcript of a script that failed stands with
// the claim that deviates; the others of that script are errors without one.
func (r Report) WriteJUnit(w io.Writer) error {
	type message struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testcase struct {
		Class   string   `xml:"classname,attr"`
		Name    string   `xml:"name,attr"`
		File    string   `xml:"file,attr,omitempty"`
		Time    string   `xml:"time,attr"`
		Failure *message `xml:"failure"`
		Error   *message `xml:"error"`
		Skipped *message `xml:"skipped"`
	}
	type testsuite struct {
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"`
		Skipped  int        `xml:"skipped,attr"`
		Time     string     `xml:"time,attr"`
		Cases    []testcase `xml:"testcase"`
	}
	type testsuites struct {
		XMLName xml.Name    `xml:"testsuites"`
		Name    string      `xml:"name,attr"`
		Suites  []testsuite `xml:"testsuite"`
	}
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
	all := testsuites{Name: "gox script"}
	for _, version := range r.Versions {
		suite := testsuite{Name: version}
		var total time.Duration
		for _, res := range r.Results {
			if res.Version != version {
				continue
			}
			total += res.Duration
			told := false
			for i, claim := range res.Script.Claims {
				c := testcase{Class: strings.TrimSuffix(res.Script.File, ".txtar"), Name: claim.ID, File: res.Script.File, Time: "0.000"}
				if i == 0 {
					c.Time = seconds(res.Duration) // of the whole script
				}
				switch res.Outcome(claim.ID) {
				case Deviates:
					c.Failure = &message{Message: res.summary()}
					if !told {
						c.Failure.Text, told = res.Transcript, true
					}
					suite.Failures++
				case Unproved:
					c.Error = &message{Message: "not proved: " + res.summary()}
					suite.Errors++
				case Skipped:
					c.Skipped = &message{Message: res.Skipped}
					suite.Skipped++
				case NotApplicable:
					c.Skipped = &message{Message: "not applicable: " + claim.Reason}
					suite.Skipped++
				}
				suite.Tests++
				suite.Cases = append(suite.Cases, c)
			}
		}
		suite.Time = seconds(total)
		all.Suites = append(all.Suites, suite)
	}
	for _, m := range r.Missing {
		all.Suites = append(all.Suites, testsuite{Name: m.Version, Tests: 1, Errors: 1, Time: "0.000", Cases: []testcase{
			{Class: "toolchain", Name: m.Version, Time: "0.000", Error: &message{Message: m.Err.Error()}},
		}})
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "\t")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// summary says in one line what went wrong.
func (res Result) summary() string {
	if res.Line == 0 {
		return res.Err.Error()
	}
	return fmt.Sprintf("%s:%d: %s", res.Script.File, res.Line, res.Fault)
}
