package cmd

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"example.com/gox/internal/gateway"
	"example.com/gox/internal/redact"
	"example.com/gox/internal/trace"
	"example.com/gox/internal/wrap"
	"example.com/gox/profiles"
)

func (g *gox) traceCommand() *cli.Command {
	return &cli.Command{
		Name: "trace", Usage: "run a go command, and tell where each module came from",
		ArgsUsage: "GO-COMMAND [ARGUMENT…]",
		Description: `Runs go behind a gateway that changes nothing and writes down every request.
go's output and exit code are its own; the report goes to stderr after it: for
each module the proxy that served it, what was asked before in vain, bytes and
time; what came from a repository, with the git commands that go ran; and how
many were in the module cache, the vendor directory, the workspace. What nothing
proves is unknown.

   gox trace build ./...
   gox -p office trace --html trace.html mod download
   gox trace --json -o requests.jsonl test ./...`,
		Flags: []cli.Flag{
			boolFlag("json", "print each request as it is over, as one JSON object a line, and the report as the last"),
			&cli.StringFlag{Name: "har", Usage: "write the requests to `FILE`, for a browser's developer tools"},
			&cli.StringFlag{Name: "html", Usage: "write a page to `FILE`, with a waterfall of the requests"},
			&cli.StringFlag{Name: "o", Usage: "write the report to `FILE`, not to stderr"},
		},
		Action: g.trace,
	}
}

// outputs are the files that a trace writes. They are opened before go runs, so
// that a wrong path costs nothing.
type outputs struct {
	report    io.Writer
	har, html *os.File
	files     []*os.File
}

func (g *gox) openOutputs(c *cli.Context) (*outputs, error) {
	out := &outputs{report: g.Stderr}
	open := func(flag string) (*os.File, error) {
		name := c.String(flag)
		if name == "" {
			return nil, nil
		}
		f, err := os.OpenFile(wrap.Absolute(name, g.Dir), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return nil, usagef("trace --%s: %v", flag, err)
		}
		out.files = append(out.files, f)
		return f, nil
	}
	var errs [3]error
	var report *os.File
	report, errs[0] = open("o")
	out.har, errs[1] = open("har")
	out.html, errs[2] = open("html")
	if report != nil {
		out.report = report
	}
	return out, errors.Join(errs[:]...)
}

func (o *outputs) close() error {
	var errs []error
	for _, f := range o.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

func (g *gox) trace(c *cli.Context) (err error) {
	args := c.Args().Slice()
	if len(args) > 0 && args[0] == "go" {
		args = args[1:]
	}
	if len(args) == 0 {
		return usagef("trace: wants a go command\n\tgox trace --help")
	}
	if wrap.IsVerb(args[0]) && args[0] != "help" {
		return usagef("trace: %s is a verb of gox, and traced are go commands\n\tgox trace go %s …", args[0], strings.Join(args, " "))
	}
	if g.Opts.Print {
		return usagef("trace: does not go with -n\n\tgox -n %s", strings.Join(args, " "))
	}
	pl, err := g.Plan(c.Context, wrap.GoDir(args, g.Dir), true)
	if err != nil {
		return &wrap.ExitError{Code: wrap.ExitGox, Err: err}
	}
	out, err := g.openOutputs(c)
	defer func() {
		if closeErr := out.close(); closeErr != nil {
			g.Report(closeErr, 0)
		}
	}()
	if err != nil {
		return err
	}
	release, err := g.UseCache(pl)
	if err != nil {
		return &wrap.ExitError{Code: wrap.ExitGox, Err: err}
	}
	if release != nil {
		defer release()
	}
	var mu sync.Mutex
	var records []gateway.Record
	lines := json.NewEncoder(out.report)
	lines.SetEscapeHTML(false)
	report := &trace.Report{Profile: pl.Profile.Name, GoVersion: pl.Go.Version, GOPROXY: redact.Text(pl.Env.Value("GOPROXY"))}
	gate, err := openGateway(c.Context, g.Run, pl, func(rec gateway.Record) {
		mu.Lock()
		defer mu.Unlock()
		records = append(records, rec)
		if c.Bool("json") {
			lines.Encode(rec)
		}
	})
	if err != nil {
		return &wrap.ExitError{Code: wrap.ExitGox, Err: err}
	}
	git, unseen := g.traceGit(pl)
	for _, arg := range args {
		report.Command = append(report.Command, redact.Text(arg))
	}
	report.Start = time.Now()
	code, err := g.Child(c.Context, pl, args)
	report.Millis = float64(time.Since(report.Start).Microseconds()) / 1000
	gate.Close()
	if err != nil {
		return &wrap.ExitError{Code: g.Run.Report(err, wrap.ExitGox)}
	}
	report.ExitCode = code
	mu.Lock()
	defer mu.Unlock()
	report.Add(records)
	if unseen == nil {
		unseen = report.ReadGit(git)
		os.Remove(git)
	}
	if unseen != nil {
		report.Unseen = append(report.Unseen, "what git was run for is not known: "+unseen.Error())
	}
	report.Look(trace.Place{
		Dir: pl.Dir, Args: args, GOWORK: pl.Env.Value("GOWORK"), GOFLAGS: pl.Env.Value("GOFLAGS"),
		GOMODCACHE: moduleCache(pl), GoVersion: pl.Go.Version,
	})
	if err := g.writeTrace(c, out, report); err != nil {
		g.Run.Report(err, 0)
		code = max(code, wrap.ExitFindings)
	}
	return &wrap.ExitError{Code: code}
}

func (g *gox) writeTrace(c *cli.Context, out *outputs, report *trace.Report) error {
	var errs []error
	if c.Bool("json") {
		e := json.NewEncoder(out.report)
		e.SetEscapeHTML(false)
		errs = append(errs, e.Encode(map[string]any{"report": report}))
	} else {
		errs = append(errs, report.WriteText(out.report))
	}
	if out.har != nil {
		errs = append(errs, report.WriteHAR(out.har))
	}
	if out.html != nil {
		errs = append(errs, report.WriteHTML(out.html))
	}
	return errors.Join(errs...)
}

// traceGit has git write down what it does, and returns the file. The error is
// that the user has git do so already, or that there is no place for the file.
func (g *gox) traceGit(pl *wrap.Plan) (file string, err error) {
	if pl.Env.Value(trace.GitVariable) != "" {
		return "", errors.New(trace.GitVariable + " is the user's")
	}
	f, err := os.CreateTemp("", "gox-git-*.jsonl")
	if err != nil {
		return "", err
	}
	f.Close()
	origin := profiles.Origin{Layer: profiles.Flag, Key: "gox trace"}
	pl.Env.Add(profiles.Setting{Name: trace.GitVariable, Value: f.Name(), Origin: origin})
	pl.Env.Add(profiles.Setting{Name: trace.GitNames, Value: trace.GitDirectories, Origin: origin})
	return f.Name(), nil
}

// moduleCache returns the module cache that the plan's go uses, "" where it
// cannot be told without asking go.
func moduleCache(pl *wrap.Plan) string {
	if dir := pl.Env.Value("GOMODCACHE"); dir != "" {
		return dir
	}
	path := pl.Env.Value("GOPATH")
	if path == "" {
		home := "HOME"
		if filepath.Separator == '\\' {
			home = "USERPROFILE"
		}
		if path = pl.Env.Value(home); path == "" {
			return ""
		}
		path = filepath.Join(path, "go")
	}
	return filepath.Join(filepath.SplitList(path)[0], "pkg", "mod")
}
