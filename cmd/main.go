package cmd

import (
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"example.com/gox/profiles"
)

// Main runs gox as p was started and returns its exit code.
func Main(p *Process) int {
	g := &gox{Process: p}
	if name := strings.TrimSuffix(filepath.Base(p.Args[0]), ".exe"); name == "go" {
		// Standing in for go under its own name, gox takes no flags and has no
		// verbs: everything is go's.
		return p.report(g.wrap(p.Args[1:]), exitGox)
	}
	return p.report(g.app().Run(p.Args), exitFindings)
}

// gox is one run of gox.
type gox struct {
	*Process
	opts options
}

// options are gox's own flags.
type options struct {
	profiles  cli.StringSlice
	overrides cli.StringSlice
	goVersion string
	file      string
	dir       string
	print     bool // -n
	trace     bool // -x
	version   bool
}

// rootFlags are the flags before the go command or the verb. rootHelp says what
// they do.
func (g *gox) rootFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "profile", Aliases: []string{"p"}, Destination: &g.opts.profiles},
		&cli.StringSliceFlag{Name: "e", Destination: &g.opts.overrides},
		&cli.StringFlag{Name: "go", Destination: &g.opts.goVersion},
		&cli.StringFlag{Name: "profiles", Destination: &g.opts.file},
		&cli.BoolFlag{Name: "n", Destination: &g.opts.print},
		&cli.BoolFlag{Name: "x", Destination: &g.opts.trace},
		&cli.StringFlag{Name: "C", Destination: &g.opts.dir},
		&cli.BoolFlag{Name: "version", Destination: &g.opts.version},
	}
}

func (g *gox) app() *cli.App {
	app := &cli.App{
		Name:      "gox",
		Usage:     "one word in front of go, and you know where every module comes from",
		Writer:    g.Stdout,
		ErrWriter: g.Stderr,
		Flags:     append(g.rootFlags(), cli.HelpFlag), // the library adds it only where there is no command help
		Commands: []*cli.Command{
			g.profileCommand(),
			g.explainCommand(),
			g.toolchainCommand(),
			g.cacheCommand(),
			g.helpCommand(),
		},
		// gox is a wrapper: its help must not swallow `gox help build`, its
		// version flag must not take -v, and a comma belongs to the value.
		HideHelpCommand:           true,
		HideVersion:               true,
		DisableSliceFlagSeparator: true,
		CustomAppHelpTemplate:     rootHelp,
		Before:                    g.enter,
		Action:                    func(c *cli.Context) error { return g.root(c) },
		OnUsageError:              g.usageError,
		// The library would call os.Exit in the middle of Run.
		ExitErrHandler: func(*cli.Context, error) {},
	}
	for _, c := range app.Commands {
		g.settle(c)
	}
	return app
}

// settle gives a verb and its subcommands what all have in common.
func (g *gox) settle(c *cli.Command) {
	c.HideHelpCommand = true
	c.OnUsageError = g.usageError
	if c.Action == nil {
		c.Action = func(ctx *cli.Context) error {
			known := make([]string, len(c.Subcommands))
			for i, sub := range c.Subcommands {
				known[i] = sub.Name
			}
			if ctx.Args().Present() {
				err := fmt.Sprintf("%s has no %q (it has %s)", c.Name, ctx.Args().First(), strings.Join(known, ", "))
				if near := profiles.Nearest(ctx.Args().First(), known); near != "" {
					err += fmt.Sprintf("\n\tgox %s %s", c.Name, near)
				}
				return usagef("%s", err)
			}
			return usagef("%s wants one of %s\n\tgox %s --help", c.Name, strings.Join(known, ", "), c.Name)
		}
	}
	for _, sub := range c.Subcommands {
		g.settle(sub)
	}
}

// enter carries out the flags that hold for every verb: -C.
func (g *gox) enter(*cli.Context) error {
	if g.opts.dir == "" {
		return nil
	}
	dir := absolute(g.opts.dir, g.Dir)
	if err := enterDir(dir); err != nil {
		return &exitError{exitGox, fmt.Errorf("-C %s: %w", g.opts.dir, err)}
	}
	if g.opts.file != "" {
		g.opts.file = absolute(g.opts.file, g.Dir)
	}
	g.Process = g.inDir(dir)
	return nil
}

// root is gox without a verb: a go command, or nothing.
func (g *gox) root(c *cli.Context) error {
	if g.opts.version {
		fmt.Fprintln(g.Stdout, "gox", version())
		return nil
	}
	args := c.Args().Slice()
	if len(args) == 0 {
		fmt.Fprintln(g.Stderr, "usage: gox [gox flags] <go command> [arguments]\n\tgox --help")
		return &exitError{code: exitUsage}
	}
	if args[0] == "go" {
		args = args[1:] // gox go … always reaches go
	}
	if err := g.wrap(args); err != nil {
		return &exitError{g.report(err, exitGox), nil}
	}
	return nil
}

// usageError tells of a flag that is wrong, and where it is only misplaced,
// the right call.
func (g *gox) usageError(c *cli.Context, err error, isSubcommand bool) error {
	path := "gox"
	if c.Command != nil && isSubcommand {
		path = c.Command.HelpName // "gox cache list"
	}
	text := strings.ReplaceAll(err.Error(), "flag provided but not defined: ", "unknown flag ")
	hint := path + " --help"
	if name, ok := strings.CutPrefix(text, "unknown flag -"); ok && isSubcommand {
		for _, f := range g.rootFlags() {
			if slices.Contains(f.Names(), strings.TrimPrefix(name, "-")) {
				hint = fmt.Sprintf("gox's own flags stand before the verb: gox -%s … %s", name, strings.TrimPrefix(path, "gox "))
			}
		}
	}
	code := exitUsage
	if !isSubcommand {
		code = exitGox // it may have been meant for a go command
	}
	if verb, ok := strings.CutPrefix(path, "gox "); ok {
		text = verb + ": " + text
	}
	return &exitError{code, fmt.Errorf("%s\n\t%s", text, hint)}
}

// arguments returns a verb's arguments, between least and most of them (most
// -1: any number).
func arguments(c *cli.Context, least, most int) ([]string, error) {
	args := c.Args().Slice()
	verb := strings.TrimPrefix(c.Command.HelpName, "gox ")
	for i, arg := range args {
		if strings.HasPrefix(arg, "-") && arg != "-" {
			words := append([]string{"gox", verb, arg}, append(slices.Clone(args[:i]), args[i+1:]...)...)
			return nil, usagef("%s: flags stand before the arguments\n\t%s", verb, strings.Join(words, " "))
		}
	}
	switch {
	case len(args) < least:
		return nil, usagef("%s: wants %s\n\tgox %s --help", verb, c.Command.ArgsUsage, verb)
	case most >= 0 && len(args) > most:
		return nil, usagef("%s: does not know what to do with %q\n\tgox %s --help", verb, args[most], verb)
	}
	return args, nil
}

// boolFlag is a flag that is off unless given, which its help need not say.
func boolFlag(name, usage string) cli.Flag {
	return &cli.BoolFlag{Name: name, Usage: usage, DisableDefaultText: true}
}

func jsonFlag() cli.Flag {
	return boolFlag("json", "print JSON")
}

// helpCommand is `gox help`: gox's own for nothing or a verb, else go's.
func (g *gox) helpCommand() *cli.Command {
	return &cli.Command{
		Name: "help", Usage: "help about gox, a verb of gox, or (gox help build) go",
		ArgsUsage: "[verb | go topic]", SkipFlagParsing: true, HideHelp: true,
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			switch {
			case len(args) == 0:
				return cli.ShowAppHelp(c)
			case c.App.Command(args[0]) != nil && args[0] != "help":
				return c.App.Run(append(append([]string{"gox"}, args...), "--help"))
			}
			if err := g.wrap(append([]string{"help"}, args...)); err != nil {
				return &exitError{g.report(err, exitGox), nil}
			}
			return nil
		},
	}
}

// version returns what the build says about itself: the module's version from
// `go install`, or the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v += " " + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return v + " " + info.GoVersion
}

const rootHelp = `gox: one word in front of go, and you know where every module comes from

usage:
   gox [gox flags] <go command> [arguments]
   gox [gox flags] <verb of gox> …

   gox -p office build ./...     go build ./... under the profile "office"
   gox --go 1.22 test ./...      with the newest go1.22, fetched if need be
   gox -n -p office build        show what would run
   gox explain GOPROXY           where a value comes from
   gox go help                   "go" always reaches go

verbs:
{{range .VisibleCommands}}   {{printf "%-12s" .Name}}{{.Usage}}
{{end}}
   Every other word is go's, and so is everything after it.

flags:
   -p, --profile NAME   run under this profile; several (-p a,b or -p a -p b) are laid
                        above one another, the last on top (GOX_PROFILE)
   -e NAME=VALUE        set a variable for go, above what the profile says; repeatable
       --go VERSION     run this Go: 1.22, 1.22.12, local, or the path of a GOROOT
       --profiles FILE  read this file instead of looking for profiles.toml (GOX_PROFILES)
   -C DIR               change to this directory first
   -n                   print the go command with the variables that gox sets, and stop
   -x                   print that to stderr, then run it
       --version        print gox's version
   -h, --help           print this

environment:
   GOX_PROFILE, GOX_PROFILES   as -p, --profiles
   GOX_GO                      the go command to run, obeyed above all
   GOX_CACHE                   where module caches and toolchains are kept

A wrapped run returns go's exit code. Where gox itself fails before go ran it is
125, where go cannot be executed 126, where there is none 127. Verbs of gox
return 0, 1 for findings or failure, 2 for a wrong call.
`
