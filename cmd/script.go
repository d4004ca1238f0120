package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	goversion "go/version"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/modcache"
	"example.com/gox/internal/wrap"
	"example.com/gox/profiles"
	"example.com/gox/testscripts"
)

func (g *gox) scriptCommand() *cli.Command {
	return &cli.Command{
		Name: "script", Usage: "prove claims about where go takes modules from, on any version of go",
		ArgsUsage: "[TOPIC | CLAIM | FILE.txtar | FOLDER]…",
		Description: `Without an argument the scripts run that gox brings along; the other arguments
choose from these, or name your own. Each runs in an environment of its own, with
module proxies, checksum databases and git servers that it describes itself, on
the loopback interface; nothing of yours enters, and no request leaves it. Your own
scripts may run gox itself, and find a copy of a repository at $REPO.

The go under test is the one that a run would use: a profile or --go before the
verb chooses it, and the profile decides from where a missing one is fetched. It
does not reach into the scripts.

   gox script
   gox script --go 1.18..1.27 vendor work
   gox script --repo . ci/*.txtar --go 1.18..1.22 --junit report.xml`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "go", Usage: "run on these `VERSIONS`: 1.18..1.22,1.26; what is missing is installed"},
			&cli.IntFlag{Name: "j", Usage: "run `N` scripts at once", Value: runtime.NumCPU(), DefaultText: "the number of CPUs"},
			boolFlag("json", "print JSON: one object on a line for each script and version"),
			&cli.StringFlag{Name: "junit", Usage: "write JUnit's XML to `FILE`"},
			&cli.StringFlag{Name: "markdown", Usage: "write the table of verdicts to `FILE`"},
			&cli.StringFlag{Name: "html", Usage: "write them as a page to `FILE`"},
			&cli.StringFlag{Name: "repo", Usage: "let your own scripts find a copy of `DIR` at $REPO"},
			&cli.DurationFlag{Name: "timeout", Usage: "a script that takes longer than `TIME` fails", DefaultText: "2m, and 10m for your own"},
			boolFlag("keep", "leave the work directories behind"),
			boolFlag("v", "show everything: each script's transcript, each claim"),
			boolFlag("list", "list the scripts and what they claim, and stop"),
		},
		Action: g.script,
	}
}

func (g *gox) script(c *cli.Context) (err error) {
	args, err := arguments(c, 0, -1)
	if err != nil {
		return err
	}
	if err := g.checkScriptFlags(c); err != nil {
		return err
	}
	scripts, err := g.chooseScripts(args)
	if err != nil {
		return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	if c.Bool("list") {
		return g.listScripts(c, scripts)
	}
	if i := slices.IndexFunc(scripts, (*testscripts.Script).WantsRepo); i >= 0 && !c.IsSet("repo") {
		return usagef("script: %s speaks of $REPO, and there is none\n\tgox script --repo . %[1]s", scripts[i].File)
	}
	// A second interrupt ends gox at once.
	ctx, stop := signal.NotifyContext(c.Context, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	gos, missing, err := g.gosUnderTest(ctx, c.String("go"))
	if err != nil {
		return err
	}
	dir, done, err := g.scriptDir(c.Bool("keep"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	runners, err := g.runners(ctx, c, gos, dir)
	if err != nil {
		return err
	}
	report := testscripts.Report{Scripts: scripts, Missing: missing}
	for _, r := range runners {
		report.Versions = append(report.Versions, r.Version)
	}
	v := &scriptView{gox: g, json: c.Bool("json"), verbose: c.Bool("v"), all: len(scripts) * len(runners), began: time.Now(), told: map[string]string{}}
	for _, m := range missing {
		v.missing(m)
	}
	suite := testscripts.Suite{Scripts: scripts, Runners: runners, Jobs: c.Int("j"), Done: v.result}
	report.Results = suite.Run(ctx)
	v.clear()
	if err := ctx.Err(); err != nil {
		return err
	}
	if !v.json {
		v.table(report)
	}
	if err := g.writeReports(c, report); err != nil {
		return err
	}
	if v.failed > 0 {
		return &wrap.ExitError{Code: wrap.ExitFindings}
	}
	return nil
}

// checkScriptFlags finds now what would otherwise show when all has run.
func (g *gox) checkScriptFlags(c *cli.Context) error {
	if c.IsSet("go") {
		if err := gocmd.CheckSpec(c.String("go")); err != nil {
			return usagef("script --go: %w", err)
		}
	}
	if c.Int("j") < 1 {
		return usagef("script -j %d: at least one\n\tgox script -j %d", c.Int("j"), runtime.NumCPU())
	}
	if c.Duration("timeout") < 0 {
		return usagef("script --timeout %v: less than nothing\n\tgox script --help", c.Duration("timeout"))
	}
	for _, flag := range []string{"junit", "markdown", "html"} {
		name := c.String(flag)
		if name == "" {
			continue
		}
		if _, err := os.Stat(filepath.Dir(wrap.Absolute(name, g.Dir))); err != nil {
			return usagef("script --%s %s: %w", flag, name, err)
		}
	}
	return nil
}

// runners returns what runs scripts, one for each version among gos, with work
// directories in dir.
func (g *gox) runners(ctx context.Context, c *cli.Context, gos []gocmd.Go, dir string) ([]*testscripts.Runner, error) {
	base := testscripts.Runner{
		Environ: g.Environ, Gox: g.Executable, Dir: dir,
		Keep: c.Bool("keep"), Verbose: c.Bool("v"), Timeout: c.Duration("timeout"),
	}
	if from := c.String("repo"); c.IsSet("repo") {
		base.Repo = filepath.Join(dir, "repo")
		if err := testscripts.Snapshot(ctx, base.Repo, wrap.Absolute(from, g.Dir), g.Environ); err != nil {
			return nil, &wrap.ExitError{Code: wrap.ExitUsage, Err: fmt.Errorf("script --repo %s: %w", from, err)}
		}
	}
	if len(gos) > 0 {
		base.GOCACHE, base.Downloads = g.caches(ctx, gos[0].Path)
	}
	var runners []*testscripts.Runner
	for _, under := range gos {
		r := base
		r.Go, r.Version = under.Path, under.Version
		var err error
		if r.Version, err = r.GoVersion(ctx); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(runners, func(other *testscripts.Runner) bool { return other.Version == r.Version }) {
			runners = append(runners, &r)
		}
	}
	// Reports want the oldest first.
	slices.SortFunc(runners, func(a, b *testscripts.Runner) int { return goversion.Compare(a.Version, b.Version) })
	return runners, nil
}

// chooseScripts returns the scripts that a call names: all that gox ships where
// it names none.
func (g *gox) chooseScripts(args []string) ([]*testscripts.Script, error) {
	shipped, err := testscripts.All()
	if err != nil || len(args) == 0 {
		return shipped, err
	}
	var chosen []*testscripts.Script
	var errs []error
	loaded := map[string]bool{} // the user's own, by path
	own := func(shown string) {
		path := wrap.Absolute(shown, g.Dir)
		if loaded[path] {
			return
		}
		loaded[path] = true
		s, err := testscripts.LoadOwn(path, shown)
		if err != nil {
			errs = append(errs, err)
			return
		}
		chosen = append(chosen, s)
	}
	for _, arg := range args {
		matches := ofShipped(shipped, arg)
		info, statErr := os.Stat(wrap.Absolute(arg, g.Dir))
		// A word is a topic or a claim before it is a folder: ./vendor is the folder.
		isPath := statErr == nil && (matches == nil || strings.ContainsAny(arg, `/\`) || filepath.Ext(arg) == ".txtar")
		switch {
		case isPath && info.IsDir():
			files, err := txtarFiles(arg, wrap.Absolute(arg, g.Dir))
			if err == nil && len(files) == 0 {
				err = fmt.Errorf("script: %s: no .txtar file in this folder", arg)
			}
			if err != nil {
				errs = append(errs, err)
			}
			for _, name := range files {
				own(name)
			}
		case isPath:
			own(arg)
		case matches != nil:
			for _, s := range matches {
				if !slices.Contains(chosen, s) {
					chosen = append(chosen, s)
				}
			}
		default:
			errs = append(errs, unknownScript(shipped, arg))
		}
	}
	return chosen, errors.Join(errs...)
}

// ofShipped returns the scripts that a topic, a claim or a file's name means.
func ofShipped(shipped []*testscripts.Script, arg string) []*testscripts.Script {
	name := strings.TrimSuffix(filepath.ToSlash(arg), ".txtar") + ".txtar"
	var matches []*testscripts.Script
	for _, s := range shipped {
		if s.Topic == arg || s.File == name || slices.ContainsFunc(s.Claims, func(c testscripts.Claim) bool { return c.ID == arg }) {
			matches = append(matches, s)
		}
	}
	return matches
}

// txtarFiles returns the scripts below a folder, whose path is shown as the
// user gave it. Hidden folders are left out.
func txtarFiles(shown, dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != dir && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !d.IsDir() && filepath.Ext(name) == ".txtar":
			rel, err := filepath.Rel(dir, name)
			if err != nil {
				return err
			}
			files = append(files, filepath.Join(shown, rel))
		}
		return nil
	})
	return files, err
}

func unknownScript(shipped []*testscripts.Script, arg string) error {
	if strings.ContainsAny(arg, `/\`) || filepath.Ext(arg) == ".txtar" {
		var files []string
		for _, s := range shipped {
			files = append(files, s.File)
		}
		if near := profiles.Nearest(arg, files); near != "" {
			return fmt.Errorf("script: no file %s\n\tgox script %s", arg, near)
		}
		return fmt.Errorf("script: no file %s\n\tgox script --list", arg)
	}
	var known []string
	for _, s := range shipped {
		known = append(known, s.Topic)
		for _, c := range s.Claims {
			known = append(known, c.ID)
		}
	}
	if near := profiles.Nearest(arg, known); near != "" {
		return fmt.Errorf("script: no topic, claim, file or folder %q\n\tgox script %s", arg, near)
	}
	return fmt.Errorf("script: no topic, claim, file or folder %q\n\tgox script --list", arg)
}

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

// gosUnderTest returns the go commands of the versions in spec, having
// installed what is missing, and those that cannot be had. Without spec it is
// the one that a run would use.
func (g *gox) gosUnderTest(ctx context.Context, spec string) ([]gocmd.Go, []testscripts.Missing, error) {
	if spec == "" {
		pl, err := g.Plan(ctx, g.Dir, true)
		if err != nil {
			return nil, nil, &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
		}
		return []gocmd.Go{pl.Go}, nil, nil
	}
	specs, err := gocmd.Specs(spec)
	if err != nil {
		return nil, nil, err
	}
	store, err := g.ownToolchains()
	if err != nil {
		return nil, nil, err
	}
	var gos []gocmd.Go
	var missing []testscripts.Missing
	stop := func() {}
	fetching := false
	for _, one := range specs {
		t, err := store.Lookup(one)
		if errors.Is(err, fs.ErrNotExist) {
			if !fetching {
				pl, err := g.planSources()
				if err != nil {
					return nil, nil, err
				}
				if stop, err = g.Fetching(pl, store); err != nil {
					return nil, nil, err
				}
				fetching = true
			}
			var versions []string
			if versions, err = store.Resolve(ctx, one); err == nil {
				t, err = store.Install(ctx, versions[0])
			}
			stop()
		}
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case err != nil:
			missing = append(missing, testscripts.Missing{Version: "go" + one, Err: err})
			continue
		}
		gos = append(gos, gocmd.Go{Path: t.Go, GOROOT: t.GOROOT, Version: t.Version})
	}
	return gos, missing, nil
}

// caches returns the user's build cache, which all scripts may share, because
// what is in it depends on nothing but what was built, and the directory of what
// the user's module cache has downloaded. Each is "" where there is none.
func (g *gox) caches(ctx context.Context, goPath string) (build, downloads string) {
	env, err := gocmd.EnvJSON(ctx, goPath, g.Dir, append(slices.Clone(g.Environ), "GOTOOLCHAIN=local", "GOFLAGS="), "GOCACHE", "GOMODCACHE")
	if err != nil {
		return "", ""
	}
	if filepath.IsAbs(env["GOCACHE"]) {
		build = env["GOCACHE"]
	}
	downloads = filepath.Join(env["GOMODCACHE"], "cache", "download")
	if info, err := os.Stat(downloads); err != nil || !info.IsDir() {
		downloads = ""
	}
	return build, downloads
}

// scriptDir returns a directory for the work directories, and what removes it.
// If gox is killed, the next run does.
//
// It is not in gox's cache, which lies below the user's home: there go would
// find the user's go.work in a directory above.
func (g *gox) scriptDir(keep bool) (dir string, done func() error, err error) {
	temp, err := filepath.EvalSymlinks(os.TempDir()) // as go shows paths
	if err != nil {
		return "", nil, &wrap.ExitError{Code: wrap.ExitUsage, Err: fmt.Errorf("script: %w\n\tset TMPDIR to a directory that you may write to", err)}
	}
	if err := testscripts.CheckDir(filepath.Join(temp, "x")); err != nil {
		return "", nil, &wrap.ExitError{Code: wrap.ExitUsage, Err: fmt.Errorf("script: %w", err)}
	}
	if keep {
		dir, err = os.MkdirTemp(temp, "gox-script-")
		return dir, func() error { return nil }, err
	}
	root := filepath.Join(temp, "gox-script-"+strconv.Itoa(g.UID))
	if err := os.Mkdir(root, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", nil, fmt.Errorf("script: %w\n\tset TMPDIR to a directory that you may write to", err)
	}
	// Everybody may make files there, so it could be somebody else's.
	if info, err := os.Lstat(root); err != nil {
		return "", nil, err
	} else if !info.IsDir() || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		return "", nil, fmt.Errorf("script: %s: not a directory of yours alone\n\tremove it, or set TMPDIR to another directory", root)
	}
	fresh, err := modcache.Store{Root: root}.Fresh(map[string]string{"profile": "script"})
	if err != nil {
		return "", nil, err
	}
	dir = fresh.GOMODCACHE()
	return dir, fresh.Close, os.Mkdir(dir, 0o700)
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

func indent(text string) string {
	return "\t" + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n\t")
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
	if deviating > 0 {
		verdict = fmt.Sprintf("%d not as their scripts say", deviating)
	}
	on := fmt.Sprintf("%d versions of go", len(heads))
	if len(heads) == 1 {
		on = report.Versions[0]
	}
	fmt.Fprintf(v.Stdout, "%s in %s on %s: %s%s, %.0f s\n", several(claims, "claim"), several(len(report.Scripts), "script"), on, verdict, skipped, time.Since(v.began).Seconds())
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
