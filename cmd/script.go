package cmd

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/wrap"
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
	scripts, err := testscripts.Choose(g.Dir, args)
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
	dir, done, err := testscripts.WorkDir(g.UID, c.Bool("keep"))
	if err != nil {
		return usagef("script: %w", err)
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
	return cmp.Or(g.checkFile(c, "junit"), g.checkFile(c, "markdown"), g.checkFile(c, "html"))
}
