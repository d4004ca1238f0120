package testscripts

import (
	"errors"
	"fmt"
	"go/version"
	"slices"
	"strings"
)

// A Report is what is known of claims on several versions of go: what the
// headers of the scripts say, and what came of running them.
type Report struct {
	Scripts []*Script
	// Versions, oldest first, are such as "go1.22.12", or "go1.22", which
	// stands for all of its patch releases.
	Versions []string
	// Results tell what came of it. If nil, nothing ran, and the headers are
	// believed.
	Results []Result
	// Missing are the versions that were asked for and could not be had.
	Missing []Missing
}

// Missing is a go that there is none of.
type Missing struct {
	Version string // as it was asked for
	Err     error
}

// What a run makes of a header's verdict, where it does not confirm it.
const (
	Deviates Verdict = "deviates" // the script saw the contrary, or something else
	Unproved Verdict = "unproved" // the script failed elsewhere, and says nothing of this claim
	Skipped  Verdict = "skipped"  // the script did not run
)

// A Topic is the claims of the scripts in one folder.
type Topic struct {
	Name string
	Rows []Row
}

// A Row is what is known of one claim.
type Row struct {
	Script  *Script
	Claim   Claim
	Cells   []Cell // for each of the report's versions
	Changes bool   // whether some version differs from the one before
}

// A Cell is what is known of a claim on one version.
type Cell struct {
	Version string
	Verdict Verdict
	// Changed is whether the verdict is another than on the version before, n/a
	// left aside.
	Changed bool
}

// Deviates reports whether the cell is not what the header says.
func (c Cell) Deviates() bool { return c.Verdict == Deviates || c.Verdict == Unproved }

// Outcome returns the verdict on the claim id after the run that res tells of.
// Where a script fails, the claims that its line is about deviate; where that
// is about none, all of the script's do.
func (res Result) Outcome(id string) Verdict {
	verdict := res.Script.claim(id).Verdict(res.Version)
	switch {
	case verdict == NotApplicable:
		return NotApplicable
	case res.Skipped != "":
		return Skipped
	case res.Err == nil:
		return verdict
	case !errors.Is(res.Err, ErrDeviates):
		return Unproved // it could not run at all
	}
	if about := res.Script.about(res.Line); len(about) > 0 && !slices.Contains(about, id) {
		return Unproved
	}
	return Deviates
}

// about returns the ids of the claims that the conditions on a line name.
func (s *Script) about(line int) []string {
	lines := strings.Split(s.Text, "\n")
	if line < 1 || line > len(lines) {
		return nil
	}
	var ids []string
	for field := range strings.FieldsSeq(lines[line-1]) {
		if !strings.HasPrefix(field, "[") {
			break
		}
		cond := s.canonical(strings.TrimPrefix(strings.Trim(field, "[]"), "!"))
		if id, ok := strings.CutPrefix(cond, "holds:"); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// Topics returns all claims, by topic and in the order of Scripts.
func (r Report) Topics() []Topic {
	type run struct {
		script  *Script
		version string
	}
	results := map[run]Result{}
	for _, res := range r.Results {
		results[run{res.Script, res.Version}] = res
	}
	scripts := slices.SortedStableFunc(slices.Values(r.Scripts), func(a, b *Script) int { return strings.Compare(a.Topic, b.Topic) })
	var topics []Topic
	for i, s := range scripts {
		if i == 0 || s.Topic != scripts[i-1].Topic {
			topics = append(topics, Topic{Name: s.Topic})
		}
		t := &topics[len(topics)-1]
		for _, c := range s.Claims {
			row := Row{Script: s, Claim: c}
			var before Verdict // the last but n/a
			for _, v := range r.Versions {
				cell := Cell{Version: v, Verdict: c.Verdict(v)}
				if r.Results != nil {
					if res, ok := results[run{s, v}]; ok {
						cell.Verdict = res.Outcome(c.ID)
					} else {
						cell.Verdict = Skipped
					}
				}
				if cell.Verdict == Holds || cell.Verdict == Refuted {
					cell.Changed = before != "" && cell.Verdict != before
					row.Changes = row.Changes || cell.Changed
					before = cell.Verdict
				}
				row.Cells = append(row.Cells, cell)
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return topics
}

// Headings returns the versions as the heads of columns: without "go", and
// without the patch release unless two columns would look the same.
func (r Report) Headings() []string {
	minors := map[string]int{}
	for _, v := range r.Versions {
		minors[version.Lang(v)]++
	}
	heads := make([]string, len(r.Versions))
	for i, v := range r.Versions {
		if lang := version.Lang(v); minors[lang] == 1 {
			v = lang
		}
		heads[i] = strings.TrimPrefix(v, "go")
	}
	return heads
}

// Text returns the cell as plain text.
func (c Cell) Text() string {
	text := string(c.Verdict)
	switch c.Verdict {
	case Holds:
		text = "yes"
	case Refuted:
		text = "no"
	case Deviates:
		text = "FAIL"
	case Unproved:
		text = "?"
	case Skipped:
		text = "skip"
	}
	if c.Changed {
		return "→" + text
	}
	return text
}

// Markdown returns the report as a document with a table for each topic, claim
// × version. Each row links to the script by its File: where scripts were
// loaded from a folder, the document belongs into that.
//
// The sentences, which differ in length, come last, so that the verdicts stand
// in columns on a terminal too.
func (r Report) Markdown() string {
	var tables strings.Builder
	var n counts
	for _, topic := range r.Topics() {
		fmt.Fprintf(&tables, "\n## %s\n\n|", escapeMarkdown(topic.Name))
		for _, head := range r.Headings() {
			fmt.Fprintf(&tables, " %-4s |", head)
		}
		tables.WriteString(" claim |\n|" + strings.Repeat("------|", len(r.Versions)) + "---|\n")
		for _, row := range topic.Rows {
			n.add(row)
			tables.WriteString("|")
			for _, cell := range row.Cells {
				fmt.Fprintf(&tables, " %-4s |", cell.Text())
			}
			tables.WriteString(" " + escapeMarkdown(row.Claim.Says))
			if !row.Claim.NA.Empty() {
				fmt.Fprintf(&tables, " (n/a: %s)", escapeMarkdown(row.Claim.Reason))
			}
			fmt.Fprintf(&tables, " [%s](%s) |\n", row.Claim.ID, row.Script.File)
		}
	}
	var b strings.Builder
	b.WriteString("# Verdicts on go\n\nWhat scripts claim about where go takes modules from, and prove.\nWritten by `gox script --markdown FILE`.\n\n")
	b.WriteString(n.String() + "\n\n" +
		"`yes`: the claim holds with this version of go. `no`: it does not, and the script shows what happens instead.\n" +
		"`→yes`, `→no`: this version changes it. `n/a`: the claim has no meaning there, for the reason given.\n")
	if n.deviate > 0 {
		b.WriteString("`FAIL`: the script saw something else. `?`: it failed before it could tell.\n")
	}
	for _, m := range r.Missing {
		fmt.Fprintf(&b, "\n%s could not be had: %s\n", m.Version, escapeMarkdown(m.Err.Error()))
	}
	return b.String() + tables.String()
}

// counts is how many claims there are, how many of them change between
// versions, and on how many something deviates.
type counts struct{ claims, change, deviate int }

func (n *counts) add(row Row) {
	n.claims++
	if row.Changes {
		n.change++
	}
	if slices.ContainsFunc(row.Cells, Cell.Deviates) {
		n.deviate++
	}
}

func (n counts) String() string {
	text := fmt.Sprintf("%d claims, of which %d change between versions.", n.claims, n.change)
	if n.claims == 1 {
		text = fmt.Sprintf("1 claim, of which %d changes between versions.", n.change)
	}
	if n.deviate > 0 {
		text += fmt.Sprintf(" %d are not as their script says.", n.deviate)
	}
	return text
}

// escapeMarkdown makes text fit for a cell of a table. What it has between
// backquotes is code already; there only "|" needs care.
func escapeMarkdown(text string) string {
	plain := strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "<", `\<`, "[", `\[`, "$", `\$`, "\n", " ")
	parts := strings.Split(text, "`")
	for i, part := range parts {
		if i%2 == 0 {
			parts[i] = plain.Replace(part)
		} else {
			parts[i] = strings.ReplaceAll(part, "|", `\|`)
		}
	}
	return strings.Join(parts, "`")
}
