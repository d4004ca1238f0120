package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"example.com/gox/internal/redact"
	"example.com/gox/profiles"
)

// How gox speaks. stdout is the answer, stderr is the rest. An error is
//
//	gox: <object>: <cause>
//		detail
//		the mend, as a command to paste
//
// and several faults are all told. Secrets in URLs never appear. Live progress
// and colour are for a terminal.

// Exit codes of gox itself. A wrapped run returns go's code as it is.
const (
	exitFindings = 1   // a verb found something wrong, or failed
	exitUsage    = 2   // a verb was called wrongly, or its input cannot be used
	exitGox      = 125 // gox failed before go ran, as env(1) and timeout(1) say it

	exitInterrupted = 128 + 2 // as a shell tells of SIGINT
)

// An exitError ends gox with a code. A nil err has been told already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usagef is a wrongly called verb.
func usagef(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// report prints err, each fault in it by itself, and returns the exit code:
// otherwise where err does not bring one.
func (p *Process) report(err error, otherwise int) int {
	if err == nil {
		return 0
	}
	var exit *exitError
	if errors.As(err, &exit) {
		if otherwise, err = exit.code, exit.err; err == nil {
			return otherwise
		}
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(p.Stderr, "gox: interrupted")
		return exitInterrupted
	}
	var coder interface{ ExitCode() int }
	if otherwise == exitGox && errors.As(err, &coder) {
		otherwise = coder.ExitCode()
	}
	for _, fault := range faults(err) {
		fmt.Fprintln(p.Stderr, "gox: "+p.plain(redact.Text(fault.Error())))
	}
	return otherwise
}

// faults takes joined errors apart.
func faults(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, faults(e)...)
		}
		return all
	}
	return []error{err}
}

// plain makes text fit for people: paths below the directory that the user
// stands in are written relative to it, and control characters, by which a
// hostile file could hide from a terminal what it sets, are spelt out.
func (p *Process) plain(text string) string {
	dir := p.Shell + string(filepath.Separator)
	if filepath.IsAbs(p.Shell) && p.Shell != string(filepath.Separator) {
		var b strings.Builder
		for {
			before, after, found := strings.Cut(text, dir)
			b.WriteString(before)
			if !found {
				break
			}
			// Not in the middle of another path, and not a value: what stands
			// in a file or in the environment is shown as it stands there.
			if before != "" && !strings.ContainsRune("\n\t (", rune(before[len(before)-1])) || strings.HasSuffix(before, "= ") {
				b.WriteString(dir)
			}
			text = after
		}
		text = b.String()
	}
	return spell(text, "\n\t")
}

// spell spells out the control characters of text that are not among allowed.
func spell(text, allowed string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.In(r, unicode.Cc, unicode.Cf) && !strings.ContainsRune(allowed, r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// printJSON writes v to stdout, indented.
func (p *Process) printJSON(v any) error {
	e := json.NewEncoder(p.Stdout)
	e.SetIndent("", "\t")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// isTerminal reports whether f is one. A character device that is not, such
// as /dev/null, has no size to ask for, so that isTerminal is only used where
// a wrong yes does no harm.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// interactive reports whether somebody watches stderr.
func (p *Process) interactive() bool {
	return isTerminal(p.Stderr) && p.getenv("CI") == "" && p.getenv("TERM") != "dumb"
}

// table writes rows in columns, two blanks apart, without blanks at the end.
func table(w io.Writer, rows [][]string) {
	for _, row := range rows {
		for i, cell := range row {
			row[i] = spell(cell, "")
		}
	}
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell)
			b.WriteString(strings.Repeat(" ", widths[i]-len([]rune(cell))+2))
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// An origin is where a value came from, as --json shows it.
type origin struct {
	Layer   string `json:"layer"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Profile string `json:"profile,omitempty"`
	Key     string `json:"key,omitempty"`
}

func originOf(o profiles.Origin) origin {
	return origin{o.Layer.String(), o.Pos.File, o.Pos.Line, o.Profile, o.Key}
}

// shellQuote writes word so that a POSIX shell reads it back. Control
// characters, which a terminal might obey, are written in the form $'\x1b' that
// POSIX has since 2024, and bash and zsh always had.
func shellQuote(word string) string {
	hidden := func(r rune) bool { return r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf) }
	if strings.ContainsFunc(word, hidden) {
		var b strings.Builder
		for _, r := range word {
			switch {
			case hidden(r):
				for _, c := range []byte(string(r)) {
					fmt.Fprintf(&b, `\x%02x`, c)
				}
			case r == '\'' || r == '\\':
				b.WriteString(`\` + string(r))
			default:
				b.WriteRune(r)
			}
		}
		return "$'" + b.String() + "'"
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,/:@%^", r)
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// size writes a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000_000:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	case n < 1000_000_000:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
