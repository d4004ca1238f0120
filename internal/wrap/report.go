package wrap

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"example.com/gox/internal/redact"
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
	ExitFindings = 1   // a verb found something wrong, or failed
	ExitUsage    = 2   // a verb was called wrongly, or its input cannot be used
	ExitGox      = 125 // gox failed before go ran, as env(1) and timeout(1) say it

	exitInterrupted = 128 + 2 // as a shell tells of SIGINT
)

// An ExitError ends gox with a code. A nil err has been told already.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// Report prints err, each fault in it by itself, and returns the exit code:
// otherwise where err does not bring one.
func (p *Process) Report(err error, otherwise int) int {
	if err == nil {
		return 0
	}
	var exit *ExitError
	if errors.As(err, &exit) {
		if otherwise, err = exit.Code, exit.Err; err == nil {
			return otherwise
		}
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(p.Stderr, "gox: interrupted")
		return exitInterrupted
	}
	var coder interface{ ExitCode() int }
	if otherwise == ExitGox && errors.As(err, &coder) {
		otherwise = coder.ExitCode()
	}
	for _, fault := range faults(err) {
		fmt.Fprintln(p.Stderr, "gox: "+p.Plain(redact.Text(fault.Error())))
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

// Plain makes text fit for people: paths below the directory that the user
// stands in are written relative to it, and control characters, by which a
// hostile file could hide from a terminal what it sets, are spelt out.
func (p *Process) Plain(text string) string {
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
	return Spell(text, "\n\t")
}

// Spell spells out the control characters of text that are not among allowed.
func Spell(text, allowed string) string {
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

// isTerminal reports whether f is one. A character device that is not, such
// as /dev/null, has no size to ask for, so that isTerminal is only used where
// a wrong yes does no harm.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Interactive reports whether somebody watches stderr.
func (p *Process) Interactive() bool {
	return isTerminal(p.Stderr) && p.Getenv("CI") == "" && p.Getenv("TERM") != "dumb"
}

// ShellQuote writes word so that a POSIX shell reads it back. Control
// characters, which a terminal might obey, are written in the form $'\x1b' that
// POSIX has since 2024, and bash and zsh always had.
func ShellQuote(word string) string {
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

// Size writes a number of bytes for people.
func Size(n int64) string {
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
