// Package profiles turns a profiles file into the environment of one go
// command, and knows where every value came from.
//
// A profile is a named set of settings for go:
//
//	[profile.office]
//	goproxy  = ["https://goproxy.corp.example", "|", "direct"]
//	gowork   = "off"
//	modcache = "isolated"
//
// The way through the package is Load (find and parse the files), Resolve
// (pick profiles, follow extends, put layers above one another), Check (rules
// that need the directory and the go version) and Env (the variables, each
// with its origin and with what it overrode). The package reads files; it
// starts no process and opens no connection.
//
// All errors that a user can mend are a Problem, or several in Problems: they
// name file and line, the rule, and the mend.
package profiles

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"example.com/gox/internal/redact"
)

// Names of the files that gox looks for.
const (
	FileName      = "profiles.toml"
	LocalFileName = "profiles.local.toml" // beside a project's FileName, not committed
)

// DefaultName is the built-in profile that changes nothing at all.
const DefaultName = "default"

// A Position is a place in a profiles file. The zero Position is no place.
type Position struct {
	File string
	line int
	of   interface{ line() int } // finds the line when it is asked for, nil where it is known
}

// Line counts from 1; 0 means the file as a whole. To find it costs a walk
// through the file, which a run that has nothing to show does without.
func (p Position) Line() int {
	if p.of != nil {
		return p.of.line()
	}
	return p.line
}

func (p Position) String() string {
	if line := p.Line(); line > 0 {
		return fmt.Sprintf("%s:%d", p.File, line)
	}
	return p.File
}

// MarshalJSON gives {"file": …, "line": …}, without a line where there is none.
func (p Position) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		File string `json:"file"`
		Line int    `json:"line,omitempty"`
	}{p.File, p.Line()})
}

// A Problem is one thing wrong with a profile, told so that it can be mended.
// It holds no secrets: those of URLs are masked.
type Problem struct {
	Pos     Position `json:"pos,omitzero"`
	Profile string   `json:"profile,omitempty"` // "" where the problem lies outside a profile
	Key     string   `json:"key,omitempty"`
	Text    string   `json:"text"`
	Mend    string   `json:"mend,omitempty"`
	Warning bool     `json:"warning,omitempty"` // go may run all the same
}

func newProblem(pos Position, profile, key, text, mend string) *Problem {
	return &Problem{Pos: pos, Profile: shown(profile), Key: shown(key), Text: shown(text), Mend: shown(mend)}
}

// shown returns what stands in a file as it may be shown: in one line, with
// its secrets masked, and with nothing in it that a terminal obeys, lest a
// value look like words of gox.
func shown(s string) string {
	var b strings.Builder
	for _, r := range redact.Text(s) {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

func (p *Problem) Error() string {
	var b strings.Builder
	if p.Pos.File != "" {
		b.WriteString(p.Pos.String() + ": ")
	}
	if p.Profile != "" {
		fmt.Fprintf(&b, "[profile.%s] ", p.Profile)
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Text)
	if p.Mend != "" {
		b.WriteString("\n\t" + p.Mend)
	}
	return b.String()
}

// Problems are several of them, in the order of their places.
type Problems []*Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As and the printer each Problem by itself.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// Err returns the problems that are more than a warning as an error, nil where
// there are none.
func (ps Problems) Err() error {
	var faults Problems
	for _, p := range ps {
		if !p.Warning {
			faults = append(faults, p)
		}
	}
	if faults == nil {
		return nil
	}
	return faults
}

func byPosition(a, b *Problem) int {
	return cmp.Or(
		strings.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line(), b.Pos.Line()),
		strings.Compare(a.Key, b.Key), strings.Compare(a.Text, b.Text),
	)
}

// Nearest returns the word of known that a typing error away from word was
// most likely meant, "" where none is near.
func Nearest(word string, known []string) string {
	best, bestDistance := "", 3
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < bestDistance && d < len(k) {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is the optimal string alignment distance: insertions, deletions,
// substitutions and swaps of neighbours each count one.
func distance(a, b string) int {
	var before []int // the row two up
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
