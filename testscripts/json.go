package testscripts

import "math"

// An Event is a Result, or a go that could not be had, as gox script --json
// prints it, one on a line.
type Event struct {
	Go      string `json:"go"`      // as in "go1.22.12"; what was asked for where it could not be had
	Outcome string `json:"outcome"` // "pass", "fail" or "skip"

	Script  string       `json:"script,omitempty"` // "" where the go could not be had
	Claims  []ClaimEvent `json:"claims,omitempty"`
	Seconds float64      `json:"seconds,omitempty"`

	Error      string   `json:"error,omitempty"`
	Line       int      `json:"line,omitempty"`    // of the script, where it failed
	Skipped    string   `json:"skipped,omitempty"` // why it did not run
	Transcript string   `json:"transcript,omitempty"`
	Requests   []string `json:"requests,omitempty"` // since the script's last reset
	WorkDir    string   `json:"workDir,omitempty"`
}

// A ClaimEvent is the verdict on one claim.
type ClaimEvent struct {
	ID      string  `json:"id"`
	Verdict Verdict `json:"verdict"`
}

// Event returns res for --json. The transcript and the requests are of use
// where something failed, or to who wants to see all.
func (res Result) Event(all bool) Event {
	e := Event{
		Go: res.Version, Outcome: "pass", Script: res.Script.File, Seconds: math.Round(res.Duration.Seconds()*1000) / 1000,
		Line: res.Line, Skipped: res.Skipped, WorkDir: res.WorkDir,
	}
	switch {
	case res.Err != nil:
		e.Outcome, e.Error = "fail", res.summary()
	case res.Skipped != "":
		e.Outcome = "skip"
	}
	for _, c := range res.Script.Claims {
		e.Claims = append(e.Claims, ClaimEvent{c.ID, res.Outcome(c.ID)})
	}
	if all || res.Err != nil {
		e.Transcript, e.Requests = res.Transcript, res.Requests
	}
	return e
}

// Event returns m for --json.
func (m Missing) Event() Event {
	return Event{Go: m.Version, Outcome: "fail", Error: m.Err.Error()}
}
