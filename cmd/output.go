package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"example.com/gox/internal/wrap"
	"example.com/gox/profiles"
)

// usagef is a wrongly called verb.
func usagef(format string, args ...any) error {
	return &wrap.ExitError{Code: wrap.ExitUsage, Err: fmt.Errorf(format, args...)}
}

// printJSON writes v to stdout, indented.
func (g *gox) printJSON(v any) error {
	e := json.NewEncoder(g.Stdout)
	e.SetIndent("", "\t")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// checkFile finds now, of a flag that names a file to be written, what would
// otherwise show when all is done. "" is no file.
func (g *gox) checkFile(c *cli.Context, flag string) error {
	name := c.String(flag)
	if name == "" {
		return nil
	}
	verb, file := strings.TrimPrefix(c.Command.HelpName, "gox "), wrap.Absolute(name, g.Dir)
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return usagef("%s --%s %s: is a directory\n\tname a file, which need not be there", verb, flag, name)
	}
	if _, err := os.Stat(filepath.Dir(file)); err != nil {
		return usagef("%s --%s %s: %w", verb, flag, name, err)
	}
	return nil
}

// table writes rows in columns, two blanks apart, without blanks at the end.
func table(w io.Writer, rows [][]string) {
	for _, row := range rows {
		for i, cell := range row {
			row[i] = wrap.Spell(cell, "")
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
	return origin{o.Layer.String(), o.Pos.File, o.Pos.Line(), o.Profile, o.Key}
}

// removeEach removes what names say, as far as that goes, and with --json tells
// what is gone.
func (g *gox) removeEach(c *cli.Context, names []string, remove func(name string) error) error {
	var failed []error
	removed := []string{}
	for _, name := range names {
		if err := remove(name); err != nil {
			failed = append(failed, err)
			continue
		}
		removed = append(removed, name)
	}
	if c.Bool("json") {
		if err := g.printJSON(removed); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

func indent(text string) string {
	return "\t" + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n\t")
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
