package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"example.com/gox/internal/wrap"
	"example.com/gox/testscripts"
	"github.com/urfave/cli/v2"
)

func (g *gox) listScripts(c *cli.Context, scripts []*testscripts.Script) error {
	type claim struct {
		ID        string `json:"id"`
		Says      string `json:"says"`
		Holds     string `json:"holds"`
		NA        string `json:"notApplicable,omitempty"`
		Reason    string `json:"reason,omitempty"`
		Reference string `json:"reference,omitempty"`
		Topic     string `json:"topic"`
		Script    string `json:"script"`
	}
	claims := []claim{}
	for _, s := range scripts {
		for _, c := range s.Claims {
			cl := claim{ID: c.ID, Says: c.Says, Holds: c.Holds.String(), Reason: c.Reason, Reference: c.Reference, Topic: s.Topic, Script: s.File}
			if !c.NA.Empty() {
				cl.NA = c.NA.String()
			}
			claims = append(claims, cl)
		}
	}
	if c.Bool("json") {
		return g.printJSON(claims)
	}
	var rows [][]string
	for _, c := range claims {
		rows = append(rows, []string{c.Script, c.ID, c.Holds, c.Says})
	}
	table(g.Stdout, rows)
	return nil
}

func (g *gox) writeReports(c *cli.Context, report testscripts.Report) error {
	writers := []struct {
		flag  string
		write func(io.Writer) error
	}{
		{"junit", report.WriteJUnit},
		{"html", report.WriteHTML},
		{"markdown", func(w io.Writer) error { _, err := io.WriteString(w, report.Markdown()); return err }},
	}
	var errs []error
	for _, w := range writers {
		name := c.String(w.flag)
		if name == "" {
			continue
		}
		f, err := os.Create(wrap.Absolute(name, g.Dir))
		if err != nil {
			errs = append(errs, fmt.Errorf("script --%s: %w", w.flag, err))
			continue
		}
		if err := errors.Join(w.write(f), f.Close()); err != nil {
			errs = append(errs, fmt.Errorf("script --%s %s: %w", w.flag, name, err))
		}
	}
	return errors.Join(errs...)
}

// A scriptView prints what scripts come to.
type scriptView struct {
	*gox
	json, verbose bool
	all           int // scripts × versions
	began         time.Time

	ran, failed, skipped int
	told                 map[string]string // the version with which a failure was shown
	drawn                bool
}

// result prints one result, as it comes.
func (v *scriptView) result(res testscripts.Result) {
	v.ran++
	switch {
	case res.Err != nil:
		v.failed++
	case res.Outcome(res.Script.Claims[0].ID) == testscripts.Skipped:
		v.skipped++
	}
	v.clear()
	switch {
	case v.json:
		v.line(res.Event(v.verbose))
	case res.Err != nil:
		v.failure(res)
	case v.verbose && res.Skipped != "":
		fmt.Fprintf(v.Stdout, "skip %s with %s: %s\n", res.Script.File, res.Version, res.Skipped)
	case v.verbose:
		fmt.Fprintf(v.Stdout, "ok   %s with %s, %.1f s\n%s\n", res.Script.File, res.Version, res.Duration.Seconds(), indent(wrap.Spell(res.Transcript, "\n\t")))
	}
	if !v.json && res.WorkDir != "" {
		fmt.Fprintf(v.Stdout, "\twork directory of %s with %s: %s\n", res.Script.File, res.Version, res.WorkDir)
	}
	if v.Interactive() {
		fmt.Fprintf(v.Stderr, "\r\x1b[K%d of %d, %d failed: %s with %s", v.ran, v.all, v.failed, res.Script.File, res.Version)
		v.drawn = true
	}
}

// failure prints the transcript of a script that failed, unless it failed on
// another version in the same place, with the same words.
func (v *scriptView) failure(res testscripts.Result) {
	fmt.Fprintf(v.Stdout, "FAIL %s with %s\n", res.Script.File, res.Version)
	if !errors.Is(res.Err, testscripts.ErrDeviates) || errors.Is(res.Err, context.DeadlineExceeded) {
		fmt.Fprintf(v.Stdout, "\t%v\n", res.Err)
	}
	place := fmt.Sprintf("%s:%d: %s", res.Script.File, res.Line, res.Fault)
	if before := v.told[place]; before != "" && !v.verbose && res.Line > 0 {
		fmt.Fprintf(v.Stdout, "\t%s\n\tas with %s above; -v shows all of it\n", wrap.Spell(place, ""), before)
		return
	}
	v.told[place] = res.Version
	fmt.Fprintln(v.Stdout, indent(wrap.Spell(res.Transcript, "\n\t")))
}

// missing prints a go that could not be had.
func (v *scriptView) missing(m testscripts.Missing) {
	v.failed++
	if v.json {
		v.line(m.Event())
		return
	}
	v.Report(fmt.Errorf("%s could not be had: %w", m.Version, m.Err), 0)
}

func (v *scriptView) line(event testscripts.Event) {
	e := json.NewEncoder(v.Stdout)
	e.SetEscapeHTML(false)
	e.Encode(event)
}

// clear takes the line of progress off the screen.
func (v *scriptView) clear() {
	if v.drawn {
		fmt.Fprint(v.Stderr, "\r\x1b[K")
		v.drawn = false
	}
}

// table prints the verdicts: how many there are in each topic, and each of
// those that a script did not confirm, or of all scripts where asked for.
func (v *scriptView) table(report testscripts.Report) {
	heads := report.Headings()
	var full, rows [][]string
	claims, deviating := 0, 0
	rows = append(rows, append([]string{"topic", "claims"}, heads...))
	for _, topic := range report.Topics() {
		bad := make([]int, len(heads))
		for _, row := range topic.Rows {
			claims++
			deviates := false
			line := []string{}
			for i, cell := range row.Cells {
				line = append(line, cell.Text())
				if cell.Deviates() {
					bad[i]++
					deviates = true
				}
			}
			if deviates {
				deviating++
			}
			if deviates || v.verbose {
				full = append(full, append(line, row.Claim.ID, row.Claim.Says))
			}
		}
		line := []string{topic.Name, strconv.Itoa(len(topic.Rows))}
		for _, n := range bad {
			cell := "ok"
			if n > 0 {
				cell = strconv.Itoa(n) + " not"
			}
			line = append(line, cell)
		}
		rows = append(rows, line)
	}
	if len(heads) > 0 {
		if full != nil {
			table(v.Stdout, append([][]string{append(slices.Clone(heads), "claim", "")}, full...))
			fmt.Fprintln(v.Stdout)
		}
		table(v.Stdout, rows)
	}
	skipped := ""
	if v.skipped > 0 {
		skipped = ", " + several(v.skipped, "run") + " skipped"
	}
	if n := len(report.Missing); n > 0 {
		skipped += fmt.Sprintf(", %s of go could not be had", several(n, "version"))
	}
	verdict := "all as their scripts say"
	if len(heads) == 0 {
		verdict = "nothing was run"
	} else if deviating > 0 {
		verdict = fmt.Sprintf("%d not as their scripts say", deviating)
	}
	on := several(len(heads), "version") + " of go"
	if len(heads) == 1 {
		on = report.Versions[0]
	}
	fmt.Fprintf(v.Stdout, "%s in %s on %s: %s%s, %.0f s\n", several(claims, "claim"), several(len(report.Scripts), "script"), on, verdict, skipped, time.Since(v.began).Seconds())
}
