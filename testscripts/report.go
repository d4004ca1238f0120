package testscripts

import (
	"fmt"
	"slices"
	"strings"
)

// Markdown returns a document with a table for each topic, claim × version, as
// the headers of the scripts have it. The versions, oldest first, are such as
// "go1.22.12", or "go1.22", which is older than all its patch releases. Each row links to the script by its File: where
// scripts were loaded from a folder, the document belongs into that.
//
// The sentences, which differ in length, come last, so that the verdicts stand
// in columns on a terminal too.
func Markdown(scripts []*Script, versions []string) string {
	scripts = slices.SortedStableFunc(slices.Values(scripts), func(a, b *Script) int { return strings.Compare(a.Topic, b.Topic) })
	var tables strings.Builder
	claims, changing := 0, 0
	for i, s := range scripts {
		if i == 0 || s.Topic != scripts[i-1].Topic {
			fmt.Fprintf(&tables, "\n## %s\n\n|", escapeMarkdown(s.Topic))
			for _, v := range versions {
				fmt.Fprintf(&tables, " %-4s |", strings.TrimPrefix(v, "go"))
			}
			tables.WriteString(" claim |\n|" + strings.Repeat("------|", len(versions)) + "---|\n")
		}
		for _, c := range s.Claims {
			claims++
			row, changes := c.cells(versions)
			if changes {
				changing++
			}
			fmt.Fprintf(&tables, "%s %s", row, escapeMarkdown(c.Says))
			if !c.NA.Empty() {
				fmt.Fprintf(&tables, " (n/a: %s)", escapeMarkdown(c.Reason))
			}
			fmt.Fprintf(&tables, " [%s](%s) |\n", c.ID, s.File)
		}
	}
	return fmt.Sprintf("%d claims, of which %d change between versions.\n\n", claims, changing) +
		"`yes`: the claim holds with this version of go. `no`: it does not, and the script shows what happens instead.\n" +
		"`→yes`, `→no`: this version changes it. `n/a`: the claim has no meaning there, for the reason given.\n" +
		tables.String()
}

// cells returns the verdicts on c as the cells of a row, and whether they
// change between these versions.
func (c Claim) cells(versions []string) (row string, changes bool) {
	row = "|"
	var before Verdict // the last but n/a
	for _, v := range versions {
		verdict := c.Verdict(v)
		cell := map[Verdict]string{Holds: "yes", Refuted: "no", NotApplicable: "n/a"}[verdict]
		if verdict != NotApplicable {
			if before != "" && verdict != before {
				cell, changes = "→"+cell, true
			}
			before = verdict
		}
		row += fmt.Sprintf(" %-4s |", cell)
	}
	return row, changes
}

// escapeMarkdown makes text fit for a cell of a table. What it has between
// backquotes is code already; there only "|" needs care.
func escapeMarkdown(text string) string {
	plain := strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "<", `\<`, "[", `\[`, "$", `\$`)
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
