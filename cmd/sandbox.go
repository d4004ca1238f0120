package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/wrap"
	"example.com/gox/profiles"
	"example.com/gox/sandbox"
)

func (g *gox) sandboxCommand() *cli.Command {
	making := func(flags ...cli.Flag) []cli.Flag {
		return slices.Concat([]cli.Flag{
			&cli.StringSliceFlag{Name: "p", Aliases: []string{"profile"}, Usage: "as gox's own flag: the `PROFILE` that decides go's variables"},
			&cli.StringFlag{Name: "go", Usage: "as gox's own flag: pin this Go `VERSION`, or a GOROOT"},
			&cli.StringFlag{Name: "from", Usage: "copy this `DIR`; as a rule that of the go.work or go.mod in force"},
			&cli.StringSliceFlag{Name: "use", Usage: "extract a published `MODULE@VERSION` into the workspace; repeatable"},
		}, netFlags(), flags)
	}
	return &cli.Command{
		Name: "sandbox", Usage: "close a workspace, so that it gives the same answer anywhere",
		Description: `A sandbox is a copy of a workspace with a HOME, a module cache, a temporary
folder and a git configuration of its own, and a pinned toolchain. The profile
decides go's variables; of the host's nothing counts. A manifest in it says
what it is made of, with hashes.

   gox -p office sandbox create bug42
   gox sandbox run bug42 -- go test ./...
   gox sandbox run -- go build ./...        in one that is gone afterwards`,
		Subcommands: []*cli.Command{
			{
				Name: "create", Usage: "copy the workspace, or assemble one from published modules", ArgsUsage: "NAME",
				Description: `Of a git checkout is copied what git tracks and what it does not ignore, of any
other folder everything. Symbolic links that lead out of it are refused.

   gox sandbox create --go 1.22 bug42
   gox sandbox create --use golang.org/x/mod@v0.20.0 --use golang.org/x/tools@v0.24.0 xmods`,
				Flags:  making(jsonFlag()),
				Action: g.sandboxCreate,
			},
			{
				Name: "run", Usage: "run a command inside; without NAME in a sandbox made for it", ArgsUsage: "[NAME] -- COMMAND…",
				Description: `"go" is the pinned one. The exit code is the command's, or 125, 126, 127 where it
did not run. Without NAME the flags are those of create.

   gox sandbox run bug42 -- go test ./...
   gox sandbox run --net none --go 1.22 -- go test ./...`,
				Flags:  making(&cli.StringFlag{Name: "dir", Usage: "run in this `DIR` of the workspace"}),
				Action: g.sandboxRun,
			},
			{
				Name: "shell", Usage: "open a shell inside", ArgsUsage: "NAME",
				Description: "   gox sandbox shell bug42",
				Flags:       append(netFlags(), &cli.StringFlag{Name: "dir", Usage: "start in this `DIR` of the workspace"}),
				Action:      g.sandboxShell,
			},
			{
				Name: "list", Usage: "list the sandboxes",
				Description: "   gox sandbox list --json",
				Flags:       []cli.Flag{jsonFlag()},
				Action:      g.sandboxList,
			},
			{
				Name: "show", Usage: "print the manifest of a sandbox", ArgsUsage: "NAME",
				Description: `   gox sandbox show bug42
   cd "$(gox sandbox show --dir bug42)"`,
				Flags: []cli.Flag{
					jsonFlag(),
					boolFlag("dir", "print only where the workspace in it stands"),
					boolFlag("uses", "print what commands inside have asked of the network, and what was refused"),
				},
				Action: g.sandboxShow,
			},
			{
				Name: "remove", Usage: "remove sandboxes", ArgsUsage: "NAME…",
				Description: "   gox sandbox remove bug42",
				Flags:       []cli.Flag{jsonFlag()},
				Action:      g.sandboxRemove,
			},
			{
				Name: "diff", Usage: "print what has changed inside, as a patch", ArgsUsage: "NAME",
				Description: `The exit code is 1 where something has.

   gox sandbox diff bug42 | git apply`,
				Flags:  []cli.Flag{jsonFlag()},
				Action: g.sandboxDiff,
			},
			{
				Name: "verify", Usage: "build it a second time from the manifest, and compare", ArgsUsage: "NAME [PACKAGE…]",
				Description: `Files, toolchain and modules are compared with the manifest; then all packages are
built here and in a second sandbox at another path, and compared bit for bit.
Nothing is downloaded. The exit code is 1 at the first difference, which is named.

   gox sandbox verify bug42
   gox sandbox verify --cached bug42 ./cmd/...`,
				Flags: []cli.Flag{
					jsonFlag(),
					boolFlag("cached", "let the second build use what the build cache holds; quicker, and proves less"),
				},
				Action: g.sandboxVerify,
			},
			g.sandboxExportCommand(),
			g.sandboxImportCommand(),
		},
	}
}

// sandboxConfig says which sandbox the flags ask for, and installs the
// toolchain that it pins.
func (g *gox) sandboxConfig(ctx context.Context, c *cli.Context) (sandbox.Config, error) {
	if c.IsSet("p") {
		g.Opts.Profiles = c.StringSlice("p")
	}
	if c.IsSet("go") {
		g.Opts.GoVersion = c.String("go")
	}
	config := sandbox.Config{
		Cache: g.CacheDir, Environ: g.Environ, Net: c.String("net"), Allow: c.StringSlice("allow"), Helper: g.Executable, Env: g.Opts.Overrides, Use: c.StringSlice("use"),
		Log: func(line string) { fmt.Fprintln(g.Stderr, "gox: "+g.Plain(line)) },
	}
	if g.Interactive() {
		config.Progress = func(line string) { fmt.Fprintln(g.Stderr, "gox: "+g.Plain(line)) }
	}
	switch {
	case c.IsSet("from"):
		config.From = wrap.Absolute(c.String("from"), g.Dir)
	case len(config.Use) == 0:
		pl, err := g.Plan(ctx, g.Dir, true)
		if err != nil {
			return config, err
		}
		work := ""
		if s := pl.Env.Lookup("GOWORK"); s.Origin.Layer < profiles.Environment {
			work = s.Value
		}
		if config.From = g.workspaceRoot(work); config.From == "" {
			// It may be the home directory.
			return config, usagef("%s: neither in a workspace nor in a module\n\tname what to copy: --from . or --use MODULE@VERSION", g.Dir)
		}
	}
	if rel, err := filepath.Rel(config.From, g.Dir); config.From != "" && err == nil && rel != "." && filepath.IsLocal(rel) {
		config.WorkDir = filepath.ToSlash(rel)
	}
	dir := config.From
	if config.WorkDir != "" || dir == "" {
		dir = g.Dir
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return config, fmt.Errorf("--from %s: not a directory", c.String("from"))
	}
	pl, err := g.Plan(ctx, dir, true)
	if err != nil {
		return config, err
	}
	config.Profile = pl.Profile
	switch store := filepath.Join(g.CacheDir, "toolchain") + string(filepath.Separator); {
	case strings.HasPrefix(pl.Go.GOROOT, store):
		config.Go = strings.TrimPrefix(pl.Go.Version, "go")
	case g.Opts.GoVersion == "" && pl.Profile.Go() == nil && g.Getenv("GOX_GO") == "":
		// The version of the go in PATH, but not that go: it may be anything.
		if pl.Go.Version == "" {
			return config, fmt.Errorf("%s: which version to pin is not to be told by its place\n\tname one: gox --go 1.26 sandbox …", pl.Go.Path)
		}
		g.Opts.GoVersion = strings.TrimPrefix(pl.Go.Version, "go")
		if _, err := g.Plan(ctx, dir, true); err != nil {
			return config, err
		}
		config.Go = g.Opts.GoVersion
	case pl.Go.GOROOT == "":
		return config, fmt.Errorf("%s: it stands in no GOROOT, and cannot be pinned\n\tname a version: gox --go 1.26 sandbox …", pl.Go.Path)
	default:
		config.Go = pl.Go.GOROOT
	}
	return config, nil
}

// workspaceRoot returns the directory of the go.work in force, else that of
// the go.mod, "" where there is none. work is what gox or the profile says of
// GOWORK; what the environment says does not count, here as little as inside.
func (g *gox) workspaceRoot(work string) string {
	if filepath.IsAbs(work) {
		return filepath.Dir(work)
	}
	for _, name := range []string{"go.work", "go.mod"} {
		if name == "go.work" && work == "off" {
			continue
		}
		for dir := g.Dir; ; dir = filepath.Dir(dir) {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && !info.IsDir() {
				return dir
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return ""
}

// interruptible returns a context that ends when the user wants gox to end.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}

// sandboxFault gives an error of the sandbox package its exit code: 2 for what
// cannot be used, 1 for what is not there or there already.
func sandboxFault(err error) error {
	var already *wrap.ExitError
	if err == nil || errors.As(err, &already) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) || errors.Is(err, context.Canceled) {
		return err
	}
	return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
}

// A sandboxView is a new sandbox as --json shows it.
type sandboxView struct {
	Name     string            `json:"name"`
	Dir      string            `json:"dir"`
	Tree     string            `json:"tree"`
	Warmth   sandbox.Warmth    `json:"warmth"`
	Manifest *sandbox.Manifest `json:"manifest"`
}

func (g *gox) sandboxCreate(c *cli.Context) error {
	args, err := arguments(c, 1, 1)
	if err != nil {
		return err
	}
	if err := sandbox.CheckName(args[0]); err != nil {
		return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	if err := g.CheckCacheDir(); err != nil {
		return err
	}
	ctx, cancel := interruptible(c.Context)
	defer cancel()
	config, err := g.sandboxConfig(ctx, c)
	if err != nil {
		return sandboxFault(err)
	}
	config.Name = args[0]
	s, err := sandbox.New(ctx, config)
	if err != nil {
		return sandboxFault(err)
	}
	defer s.Close()
	return g.printSandbox(c, args[0], s)
}

// printSandbox answers with a new sandbox.
func (g *gox) printSandbox(c *cli.Context, name string, s *sandbox.Sandbox) error {
	if c.Bool("json") {
		return g.printJSON(sandboxView{name, s.Dir(), s.Tree(), s.Warmth(), s.Manifest()})
	}
	m, w := s.Manifest(), s.Warmth()
	how := ""
	if w.Linked > 0 {
		how = fmt.Sprintf(", %d of them at hand (%s)", w.Linked, w.Mode)
	}
	fmt.Fprintf(g.Stdout, "%s: %s, files: %d, main modules: %d, others: %d%s\n", name, m.Go.Version, m.Tree.Files, len(m.Main), len(m.Modules), how)
	fmt.Fprintln(g.Stdout, s.Tree())
	return nil
}

// openSandbox opens the sandbox that is a verb's argument, as its flags --net and
// --allow say, if it has them.
func (g *gox) openSandbox(ctx context.Context, c *cli.Context, name string) (*sandbox.Sandbox, error) {
	if err := sandbox.CheckName(name); err != nil {
		return nil, &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	if err := g.CheckCacheDir(); err != nil {
		return nil, err
	}
	s, err := sandbox.Open(ctx, sandbox.Config{Name: name, Cache: g.CacheDir, Environ: g.Environ, Net: c.String("net"), Allow: c.StringSlice("allow"), Helper: g.Executable})
	return s, sandboxFault(err)
}

// inSandbox opens the sandbox that is a verb's argument for as long as f takes,
// which ends when the user wants gox to end.
func (g *gox) inSandbox(c *cli.Context, name string, f func(context.Context, *sandbox.Sandbox) error) error {
	ctx, cancel := interruptible(c.Context)
	defer cancel()
	s, err := g.openSandbox(ctx, c, name)
	if err != nil {
		return err
	}
	defer s.Close()
	return f(ctx, s)
}

// likelyRun returns the call that words without a "--" were most likely to be.
func (g *gox) likelyRun(words []string) string {
	call := []string{"gox", "sandbox", "run"}
	known, _ := sandbox.List(sandbox.Config{Cache: g.CacheDir, Environ: g.Environ})
	named := len(words) > 0 && slices.ContainsFunc(known, func(e sandbox.Entry) bool { return e.Name == words[0] })
	if named || len(words) == 1 {
		call, words = append(call, words[0]), words[1:]
	}
	if len(words) == 0 {
		words = []string{"go", "test", "./..."}
	}
	call = append(append(call, "--"), words...)
	for i, word := range call {
		call[i] = wrap.ShellQuote(word)
	}
	return strings.Join(call, " ")
}

func (g *gox) sandboxRun(c *cli.Context) (err error) {
	// The library drops a "--" that comes first, which tells a name from a command.
	words := g.Words
	dash := slices.Index(words, "--")
	if dash < 0 || dash == len(words)-1 {
		return usagef("sandbox run: wants [NAME] -- COMMAND…\n\t%s", g.likelyRun(c.Args().Slice()))
	}
	command := words[dash+1:]
	before := c.Args().Slice()
	before = before[:max(0, len(before)-len(command))]
	before = slices.DeleteFunc(before, func(word string) bool { return word == "--" })
	if len(before) > 1 {
		return usagef("sandbox run: does not know what to do with %q\n\tgox sandbox run NAME -- go test ./...", before[1])
	}
	var s *sandbox.Sandbox
	if len(before) == 1 {
		for _, name := range []string{"from", "use", "go", "p"} {
			if c.IsSet(name) {
				return usagef("sandbox run: --%s is for a sandbox that is made for the run; what %s is made of is settled\n\tgox sandbox create --help", name, before[0])
			}
		}
		s, err = g.openSandbox(c.Context, c, before[0])
	} else {
		s, err = g.passingSandbox(c)
	}
	if err != nil {
		return gocmdFault(err)
	}
	code, err := g.runInside(c.Context, s, sandbox.Command{Args: command, Dir: c.String("dir")})
	if cerr := s.Close(); err == nil && cerr != nil {
		err = cerr
	}
	if err != nil {
		return gocmdFault(err)
	}
	return &wrap.ExitError{Code: code}
}

// gocmdFault is an error that kept a command from running, with the exit codes of
// a wrapped run.
func gocmdFault(err error) error {
	var exit *wrap.ExitError
	if errors.As(err, &exit) && exit.Code == wrap.ExitUsage {
		err = exit.Err
	}
	code := wrap.ExitGox
	if start := (*gocmd.StartError)(nil); errors.As(err, &start) {
		code = start.ExitCode()
	}
	return &wrap.ExitError{Code: code, Err: err}
}

// passingSandbox makes a sandbox for one run.
func (g *gox) passingSandbox(c *cli.Context) (*sandbox.Sandbox, error) {
	if err := g.CheckCacheDir(); err != nil {
		return nil, err
	}
	ctx, cancel := interruptible(c.Context)
	defer cancel()
	config, err := g.sandboxConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	return sandbox.New(ctx, config)
}

// runInside runs a command of the user's inside, on gox's streams.
func (g *gox) runInside(ctx context.Context, s *sandbox.Sandbox, command sandbox.Command) (int, error) {
	command.Stdin, command.Stdout, command.Stderr = g.Stdin, g.Stdout, g.Stderr
	return s.Run(ctx, command)
}

func (g *gox) sandboxShell(c *cli.Context) error {
	args, err := arguments(c, 1, 1)
	if err != nil {
		return err
	}
	s, err := g.openSandbox(c.Context, c, args[0])
	if err != nil {
		return gocmdFault(err)
	}
	defer s.Close()
	shell := []string{"/bin/sh"}
	if _, err := os.Stat("/bin/bash"); err == nil {
		shell = []string{"/bin/bash", "--noprofile", "--norc"}
	}
	code, err := g.runInside(c.Context, s, sandbox.Command{
		Args: shell, Dir: c.String("dir"),
		// What a terminal is, only the host knows.
		Env: []string{"TERM=" + g.Getenv("TERM"), "PS1=" + args[0] + " sandbox $ "},
	})
	if err != nil {
		return gocmdFault(err)
	}
	return &wrap.ExitError{Code: code}
}

func (g *gox) sandboxList(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	if err := g.CheckCacheDir(); err != nil {
		return err
	}
	entries, failed := sandbox.List(sandbox.Config{Cache: g.CacheDir, Environ: g.Environ})
	if c.Bool("json") {
		return errors.Join(g.printJSON(append([]sandbox.Entry{}, entries...)), failed)
	}
	var rows [][]string
	for _, e := range entries {
		state := "made " + ago(time.Since(e.Created))
		if e.InUse {
			state = "in use"
		}
		main := fmt.Sprintf("%d main modules", len(e.Main))
		if len(e.Main) == 1 {
			main = e.Main[0].Path
		}
		rows = append(rows, []string{e.Name, e.Go, main, wrap.Size(e.Size), state})
	}
	table(g.Stdout, rows)
	return failed
}

func (g *gox) sandboxShow(c *cli.Context) error {
	args, err := arguments(c, 1, 1)
	if err != nil {
		return err
	}
	return g.inSandbox(c, args[0], func(_ context.Context, s *sandbox.Sandbox) error {
		switch {
		case c.Bool("uses"):
			return g.printUses(c, s)
		case c.Bool("dir"):
			fmt.Fprintln(g.Stdout, s.Tree())
			return nil
		case c.Bool("json"):
			return g.printJSON(sandboxView{Name: args[0], Dir: s.Dir(), Tree: s.Tree(), Manifest: s.Manifest()})
		}
		_, err := g.Stdout.Write(s.Manifest().Marshal())
		return err
	})
}

func (g *gox) sandboxRemove(c *cli.Context) error {
	names, err := arguments(c, 1, -1)
	if err != nil {
		return err
	}
	if err := g.CheckCacheDir(); err != nil {
		return err
	}
	for _, name := range names {
		if err := sandbox.CheckName(name); err != nil {
			return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
		}
	}
	return g.removeEach(c, names, func(name string) error {
		return sandbox.Remove(sandbox.Config{Name: name, Cache: g.CacheDir, Environ: g.Environ})
	})
}

func (g *gox) sandboxDiff(c *cli.Context) error {
	args, err := arguments(c, 1, 1)
	if err != nil {
		return err
	}
	return g.inSandbox(c, args[0], func(ctx context.Context, s *sandbox.Sandbox) error {
		var changed bool
		if c.Bool("json") {
			changes, err := s.Changes()
			if err != nil {
				return err
			}
			changed = len(changes) > 0
			if err := g.printJSON(changes); err != nil {
				return err
			}
		} else if changed, err = s.Diff(ctx, g.Stdout); err != nil {
			return sandboxFault(err)
		}
		if changed {
			return &wrap.ExitError{Code: wrap.ExitFindings}
		}
		return nil
	})
}

func (g *gox) sandboxVerify(c *cli.Context) error {
	args, err := arguments(c, 1, -1)
	if err != nil {
		return err
	}
	options := sandbox.VerifyOptions{Cached: c.Bool("cached"), Patterns: args[1:]}
	if g.Interactive() {
		options.Progress = func(line string) { fmt.Fprintln(g.Stderr, line) }
	}
	return g.inSandbox(c, args[0], func(ctx context.Context, s *sandbox.Sandbox) error {
		v, err := s.Verify(ctx, options)
		if err != nil {
			return sandboxFault(err)
		}
		if c.Bool("json") {
			if err := g.printJSON(v); err != nil {
				return err
			}
		} else {
			g.printVerified(args[0], v)
		}
		if v.Difference != nil {
			return &wrap.ExitError{Code: wrap.ExitFindings}
		}
		return nil
	})
}

// printVerified answers with what came of building the sandbox called name twice.
func (g *gox) printVerified(name string, v sandbox.Verification) {
	for _, b := range v.Binaries {
		fmt.Fprintf(g.Stdout, "%s  %s\n", b.Sum, b.Package)
	}
	if v.Difference == nil {
		fmt.Fprintf(g.Stdout, "%s: built twice, the same: %d packages (%s), %d binaries\n", name, v.Packages, v.Sum, len(v.Binaries))
	} else {
		fmt.Fprintf(g.Stdout, "%s: %s\n", name, v.Difference)
	}
}
