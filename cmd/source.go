package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"example.com/gox/internal/gateway"
	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/modcache"
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

With --why it also says by which rule; gox script CLAIM proves it on any go.
Asking downloads nothing and changes nothing. Where go.mod files are missing the
list may be incomplete; --download lets go fetch them.

--probe asks the upstreams which of them would serve the modules, and whether they
agree on go.mod, with --zip on the content; what GOPRIVATE matches is asked for
at the first of them only. What is alarming ends in exit code 1: upstreams
that disagree, private paths that went to others, modules that nobody serves any
more, hashes in go.sum that no upstream's content has; with --sumdb also what the
checksum database contradicts.

   gox -p office source
   gox source --why golang.org/x/net
   gox -p office source --probe --html sources.html
   gox -p office source --diff home
   gox source --dot | dot -Tsvg > modules.svg`,
		Flags: []cli.Flag{
			jsonFlag(),
			boolFlag("why", "explain in sentences, with the rule and the claim that proves it"),
			boolFlag("probe", "ask the upstreams who would serve each module"),
			boolFlag("zip", "with --probe, compare the modules themselves too, which downloads them from everybody"),
			boolFlag("sums", "with --probe, also compare the other versions that go.sum names"),
			boolFlag("sumdb", "with --probe, also let go ask the checksum database, and compare what it says"),
			boolFlag("all", "with --probe, ask everybody, also for private modules, and their repositories"),
			&cli.DurationFlag{Name: "timeout", Usage: "with --probe, give up on a file after this `TIME`", Value: 20 * time.Second},
			&cli.StringFlag{Name: "diff", Usage: "tell what differs under `PROFILE`: from elsewhere, in another version"},
			&cli.StringFlag{Name: "html", Usage: "write a page to `FILE` besides"},
			boolFlag("dot", "print the graph of modules for graphviz, coloured by source"),
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
	switch {
	case !c.Bool("probe") && (c.Bool("zip") || c.Bool("all") || c.Bool("sums") || c.Bool("sumdb") || c.IsSet("timeout")):
		return usagef("source: --zip, --sums, --sumdb, --all and --timeout are about --probe\n\tgox source --probe --zip")
	case c.IsSet("diff") && (c.Bool("probe") || c.Bool("dot") || c.IsSet("html") || c.Bool("why")):
		return usagef("source: --diff tells what differs and nothing else\n\tgox source --diff %s", c.String("diff"))
	case c.Bool("json") && (c.Bool("dot") || c.Bool("why")) || c.Bool("dot") && c.Bool("why"):
		return usagef("source: of --json, --dot and --why only one can be printed\n\tgox source --json")
	case c.Duration("timeout") <= 0:
		return usagef("source --timeout %v: it takes some time\n\tgox source --probe --timeout 20s", c.Duration("timeout"))
	}
	if err := g.checkFile(c, "html"); err != nil {
		return err
	}
	report, err := g.listSources(ctx, c, g.Run, args)
	if err != nil {
		return err
	}
	if c.IsSet("diff") {
		return g.diffSources(ctx, c, report, args)
	}
	if c.String("html") != "" {
		if err := g.writeSources(wrap.Absolute(c.String("html"), g.Dir), report); err != nil {
			return err
		}
	}
	return g.showSources(c, report)
}

// diffSources tells what differs under another profile.
func (g *gox) diffSources(ctx context.Context, c *cli.Context, before *source.Report, args []string) error {
	other := *g.Run
	other.Opts.Profiles = []string{c.String("diff")}
	after, err := g.listSources(ctx, c, &other, args)
	if err != nil {
		return err
	}
	differences := source.Diff(before, after)
	if c.Bool("json") {
		return g.printJSON(append([]source.Difference{}, differences...))
	}
	for _, r := range []*source.Report{before, after} {
		if why := cmp.Or(r.Fault, r.Incomplete); why != "" {
			g.Report(fmt.Errorf("not all of it is known, for go says:\n%s", indent(why)), 0)
		}
	}
	for _, d := range differences {
		from, to := d.Words()
		fmt.Fprintf(g.Stdout, "%s\n\t- %s\n\t+ %s\n", wrap.Spell(d.Path, ""), g.placed(from), g.placed(to))
	}
	if len(differences) == 0 {
		fmt.Fprintln(g.Stderr, "gox: no module comes from elsewhere")
	}
	return nil
}

// writeSources writes the page, whole or not at all.
func (g *gox) writeSources(file string, r *source.Report) error {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = errors.Join(r.WriteHTML(f), f.Chmod(0o644), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
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
	if c.Bool("download") {
		release, err := run.UseCache(pl)
		if err != nil {
			return nil, err
		}
		if release != nil {
			defer release()
		}
	} else if err := run.ForeseeCache(pl); err != nil {
		return nil, usage(err)
	}
	q := source.Query{
		Go: pl.Go.Path, Dir: run.Dir, Env: pl.Env.Environ(),
		Arguments: args, Download: c.Bool("download"), Graph: c.Bool("dot"),
	}
	if q.Download && pl.Profile.Relay(run.Home) != nil {
		relay, err := openGateway(ctx, run, pl, nil)
		if err != nil {
			return nil, err
		}
		defer relay.Close()
		q.DownloadEnv = []string{"GOPROXY=" + pl.Env.Value("GOPROXY")}
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
	var done func()
	q.Scratch, done = g.scratch()
	defer done()
	report, err := source.List(ctx, q)
	var noModule *source.NoModuleError
	if errors.As(err, &noModule) {
		return nil, usage(err)
	}
	if err == nil && c.Bool("probe") {
		err = g.probe(ctx, c, pl, q, report)
	}
	return report, err
}

// scratch returns what makes a directory when it is first wanted, and what
// removes it. If gox is killed, the next run does.
func (g *gox) scratch() (dir func() (string, error), done func()) {
	var fresh *modcache.Fresh
	dir = func() (string, error) {
		if fresh == nil {
			var err error
			if fresh, err = g.Modcaches().Fresh(map[string]string{"profile": "source"}); err != nil {
				return "", err
			}
		}
		return fresh.GOMODCACHE(), os.MkdirAll(fresh.GOMODCACHE(), 0o700)
	}
	return dir, func() {
		if fresh != nil {
			fresh.Close()
		}
	}
}

// probe asks the upstreams of the plan about the report's modules.
func (g *gox) probe(ctx context.Context, c *cli.Context, pl *wrap.Plan, q source.Query, report *source.Report) error {
	o := source.ProbeOptions{
		Gateway: gateway.Config{Environ: q.Env, Dir: q.Dir, Profile: pl.Profile.Name, GOAUTH: pl.Env.Value("GOAUTH")},
		Timeout: c.Duration("timeout"), Zip: c.Bool("zip"), Sums: c.Bool("sums"), SumDB: c.Bool("sumdb"), All: c.Bool("all"),
	}
	if relay := pl.Profile.Relay(g.Home); relay != nil {
		o.Gateway.Policy = policy(relay)
	}
	if g.Interactive() {
		o.Progress = func(done, all int) { fmt.Fprintf(g.Stderr, "\r\x1b[Kasked for %d of %d modules", done, all) }
		defer fmt.Fprint(g.Stderr, "\r\x1b[K")
	}
	return report.Probe(ctx, q, o)
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
	case c.Bool("dot"):
		if err := r.WriteDOT(g.Stdout); err != nil {
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
	// Whoever asks for one module does not miss others that nothing needs.
	if r.Incomplete != "" && !(r.Enough && c.Args().Present()) {
		mend := ""
		if strings.Contains(r.Incomplete, "GOPROXY=off") && r.GoProxy != "off" {
			mend = "\n\tgox asks go without a network; let go fetch the go.mod files that are missing: gox source --download, or any build"
		}
		what := "modules may be missing"
		if r.Enough {
			what = "modules that no package here needs may be missing"
		}
		g.Report(fmt.Errorf("%s, for go cannot load the whole module graph:\n%s%s", what, indent(r.Incomplete), mend), 0)
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
	if more := len(over) - 2; more > 1 {
		over = append(over[:2], fmt.Sprintf("and %d more", more))
	}
	if len(over) > 0 {
		evidence += ", over " + strings.Join(over, ", ")
	}
	return []string{name, version, g.placed(m.Words()), evidence, m.Answers()}
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
