package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/source"
	"example.com/gox/internal/wrap"
	"example.com/gox/profiles"
)

func (g *gox) sourceCommand() *cli.Command {
	return &cli.Command{
		Name: "source", Usage: "tell which source supplies each module, and why",
		ArgsUsage: "[MODULE | PACKAGE]…",
		Description: `For each module of the build list, or those named: go.work's use, a replace
directive, the vendor directory, the module cache, or whom of GOPROXY go would ask;
with the line that decides. Where nothing proves the answer it is "unknown".

Asking downloads nothing and changes nothing. Where go.mod files are missing the
list may be incomplete; --download lets go fetch them.

   gox -p office source
   gox source --why golang.org/x/net
   gox source --json ./... | jq '.modules[] | select(.source == "ask")'`,
		Flags: []cli.Flag{
			jsonFlag(),
			boolFlag("why", "explain in sentences, with the rule and the claim that proves it"),
			boolFlag("download", "let go download the go.mod files that the build list needs"),
			&cli.StringSliceFlag{Name: "records", Usage: "take proof from this `FILE` of records, besides the profile's own; repeatable"},
		},
		Action: g.source,
	}
}

func (g *gox) source(c *cli.Context) error {
	args, err := arguments(c, 0, -1)
	if err != nil {
		return err
	}
	if slices.Contains(args, "") {
		return usagef("source: \"\" is no module and no package\n\tgox source --help")
	}
	ctx, stop := signal.NotifyContext(c.Context, os.Interrupt, syscall.SIGTERM)
	defer stop()
	report, err := g.listSources(ctx, c, g.Run, args)
	if err != nil {
		return err
	}
	return g.showSources(c, report)
}

// listSources lists under the profile of run.
func (g *gox) listSources(ctx context.Context, c *cli.Context, run *wrap.Run, args []string) (*source.Report, error) {
	usage := func(err error) error { return &wrap.ExitError{Code: wrap.ExitUsage, Err: err} }
	pl, err := run.Plan(ctx, run.Dir, false)
	if err != nil {
		return nil, usage(err)
	}
	if pl.Missing != "" {
		return nil, fmt.Errorf("go %s is not installed yet\n\tgox toolchain install %[1]s", pl.Missing)
	}
	if err := run.ForeseeCache(pl); err != nil {
		return nil, usage(err)
	}
	q := source.Query{
		Go: pl.Go.Path, Dir: run.Dir, Env: pl.Env.Environ(),
		Arguments: args, Download: c.Bool("download"),
	}
	own := !pl.Pinned && (pl.Cache.Mode == profiles.Isolated || pl.Cache.Mode == profiles.Fresh)
	if own && q.Download {
		// What go downloads must not go into a cache that has no marker yet.
		return nil, usagef("source --download: this is for the module cache that go uses by itself\n\tgox -p %s mod download", pl.Profile.Name)
	}
	if !pl.Pinned && pl.Cache.Mode != profiles.Shared {
		q.Caches = g.otherCaches(ctx, pl)
	}
	if !pl.Pinned && pl.Cache.Mode == profiles.Isolated {
		q.Isolated = pl.Cache.Sources
	}
	if relay := pl.Profile.Relay(run.Home); relay != nil && relay.Record != "" {
		q.Records = append(q.Records, relay.Record)
	}
	for _, file := range c.StringSlice("records") {
		q.Records = append(q.Records, wrap.Absolute(file, g.Dir))
	}
	report, err := source.List(ctx, q)
	var noModule *source.NoModuleError
	if errors.As(err, &noModule) {
		return nil, usage(err)
	}
	return report, err
}

// otherCaches are the module caches besides the plan's: go's own, and those
// of other profiles.
func (g *gox) otherCaches(ctx context.Context, pl *wrap.Plan) []string {
	var caches []string
	if env, err := gocmd.EnvJSON(ctx, pl.Go.Path, g.Dir, append(slices.Clone(g.Environ), "GOTOOLCHAIN=local"), "GOMODCACHE"); err == nil {
		caches = append(caches, env["GOMODCACHE"])
	}
	others, _ := g.Modcaches().Paths()
	caches = append(caches, others...)
	own := pl.Env.Value("GOMODCACHE")
	return slices.DeleteFunc(caches, func(dir string) bool { return dir == own || dir == "" })
}

// showSources prints a report, and returns the findings as exit code 1.
func (g *gox) showSources(c *cli.Context, r *source.Report) error {
	switch {
	case c.Bool("json"):
		if err := g.printJSON(r); err != nil {
			return err
		}
	case c.Bool("why"):
		for i, m := range r.Modules {
			if i > 0 {
				fmt.Fprintln(g.Stdout)
			}
			fmt.Fprintln(g.Stdout, g.Plain(strings.TrimSpace(m.Path+" "+m.Version)))
			for _, line := range m.Why() {
				fmt.Fprintln(g.Stdout, "\t"+g.placed(line))
			}
		}
	default:
		var rows [][]string
		for _, m := range r.Modules {
			rows = append(rows, g.sourceRow(&m))
		}
		table(g.Stdout, rows)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(g.Stderr, "gox: "+g.placed(note))
	}
	if r.Incomplete != "" {
		mend := ""
		if strings.Contains(r.Incomplete, "GOPROXY=off") {
			mend = "\n\tlet go fetch the go.mod files that are missing: gox source --download, or any build"
		}
		g.Report(fmt.Errorf("modules may be missing, for go cannot load the whole module graph:\n%s%s", indent(r.Incomplete), mend), 0)
	}
	for _, a := range r.Alarms {
		g.Report(errors.New(a.String()), 0)
	}
	if r.Fault != "" {
		return fmt.Errorf("go refuses to build here, so that nothing is supplied:\n%s", indent(r.Fault))
	}
	if len(r.Alarms) > 0 {
		return &wrap.ExitError{Code: wrap.ExitFindings}
	}
	return nil
}

// sourceRow is the line for a module: what it is, what supplies it, and the
// line that says so, with those that lost against it.
func (g *gox) sourceRow(m *source.Module) []string {
	name := m.Path
	if m.Replace != nil && m.Replace.Version != "" {
		name += " => " + m.Replace.Path
	}
	version := m.Version
	if m.Replace != nil && m.Replace.Version != "" && m.Replace.Version != version {
		version += " => " + m.Replace.Version
	}
	evidence := ""
	if len(m.Evidence) > 0 {
		evidence = g.shortPath(m.Evidence[0].String())
	}
	over := []string{}
	for _, e := range m.Beats {
		if e.Claim != "" && e.Line > 0 && !strings.HasPrefix(e.Text, "require ") {
			over = append(over, g.shortPath(e.String()))
		}
	}
	if len(over) > 0 {
		evidence += ", over " + strings.Join(over, ", ")
	}
	return []string{name, version, g.placed(m.Words()), evidence}
}

// shortPath writes a path below the caller's directory relative to it, and one
// beside it likewise where that is shorter.
func (g *gox) shortPath(path string) string {
	rel, err := filepath.Rel(g.Shell, path)
	if err != nil || !filepath.IsAbs(path) || len(rel) >= len(path) {
		return path
	}
	return rel
}

// placed writes the paths in a line of text as shortPath does.
func (g *gox) placed(line string) string {
	words := strings.Split(line, " ")
	for i, word := range words {
		head := strings.TrimLeft(word, "\t(")
		words[i] = word[:len(word)-len(head)] + g.shortPath(head)
	}
	return wrap.Spell(strings.Join(words, " "), "\t")
}
