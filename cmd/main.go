package cmd

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"example.com/gox/internal/wrap"
	"example.com/gox/profiles"
)

// System returns the process as it is.
func System() *wrap.Process {
	p := wrap.System()
	p.Behind = behind
	return p
}

// Main runs gox as p was started and returns its exit code.
func Main(p *wrap.Process) int {
	r, code, done := wrap.Main(p)
	if done {
		return code
	}
	g := &gox{r}
	switch {
	case r.Opts.Help:
		return g.Report(g.app().Run([]string{"gox", "help"}), wrap.ExitFindings)
	case r.Opts.Version:
		fmt.Fprintln(g.Stdout, "gox", version())
		return 0
	}
	if err := r.Enter(); err != nil {
		return g.Report(err, wrap.ExitUsage)
	}
	return g.Report(g.app().Run(append([]string{"gox"}, r.Words...)), wrap.ExitFindings)
}

// gox is one run of gox that is no wrapped run: a verb.
type gox struct{ *wrap.Run }

// app is gox's verbs.
func (g *gox) app() *cli.App {
	app := &cli.App{
		Name:      "gox",
		Writer:    g.Stdout,
		ErrWriter: g.Stderr,
		Commands: []*cli.Command{
			g.profileCommand(),
			g.explainCommand(),
			g.toolchainCommand(),
			g.cacheCommand(),
			g.scriptCommand(),
			g.sourceCommand(),
			g.traceCommand(),
			g.sandboxCommand(),
			g.helpCommand(),
		},
		CustomAppHelpTemplate: rootHelp,
		OnUsageError:          g.usageError,
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
	if len(c.Subcommands) > 0 {
		c.UsageText = "gox " + c.Name + " COMMAND …"
	}
	if c.Action == nil {
		c.Action = func(ctx *cli.Context) error {
			known := make([]string, len(c.Subcommands))
			for i, sub := range c.Subcommands {
				known[i] = sub.Name
			}
			if ctx.Args().Present() {
				mend := cmp.Or(profiles.Nearest(ctx.Args().First(), known), "--help")
				return usagef("%s has no %q (it has %s)\n\tgox %[1]s %[4]s", c.Name, ctx.Args().First(), strings.Join(known, ", "), mend)
			}
			return usagef("%s wants one of %s\n\tgox %s --help", c.Name, strings.Join(known, ", "), c.Name)
		}
	}
	for _, sub := range c.Subcommands {
		g.settle(sub)
	}
}

// usageError tells of a verb's flag that is wrong, and where it is only
// misplaced, the right call.
func (g *gox) usageError(c *cli.Context, err error, _ bool) error {
	verb := strings.TrimPrefix(c.Command.HelpName, "gox ")
	text := strings.Replace(err.Error(), "flag provided but not defined: ", "unknown flag ", 1)
	hint := "gox " + verb + " --help"
	if name, ok := strings.CutPrefix(text, "unknown flag -"); ok && slices.Contains(wrap.Flags(), name) {
		hint = fmt.Sprintf("gox's own flags stand before the verb: gox -%s … %s", name, verb)
	}
	return usagef("%s: %s\n\t%s", verb, text, hint)
}

// arguments returns a verb's arguments, between least and most of them (most
// -1: any number). Flags among them count as if they stood before, where the
// library would stop reading them.
func arguments(c *cli.Context, least, most int) ([]string, error) {
	verb := strings.TrimPrefix(c.Command.HelpName, "gox ")
	var args []string
	for rest := c.Args().Slice(); len(rest) > 0; {
		arg := rest[0]
		rest = rest[1:]
		if arg == "--" {
			args = append(args, rest...)
			break
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			args = append(args, arg)
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		if name == "help" || name == "h" {
			return nil, &wrap.ExitError{Err: cli.ShowSubcommandHelp(c)}
		}
		i := slices.IndexFunc(c.Command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
		if i < 0 {
			return nil, c.Command.OnUsageError(c, fmt.Errorf("unknown flag -%s", name), true)
		}
		_, isBool := c.Command.Flags[i].(*cli.BoolFlag)
		switch {
		case given:
		case isBool:
			value = "true"
		case len(rest) == 0:
			return nil, usagef("%s: flag needs an argument: -%s\n\tgox %[1]s --help", verb, name)
		default:
			value, rest = rest[0], rest[1:]
		}
		for _, alias := range c.Command.Flags[i].Names() {
			if err := c.Set(alias, value); err != nil {
				return nil, usagef("%s: invalid value %q for flag -%s: %w\n\tgox %[1]s --help", verb, value, name, err)
			}
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

// helpCommand is gox's own help. A word that is no verb has gone to go's.
func (g *gox) helpCommand() *cli.Command {
	return &cli.Command{
		Name: "help", Usage: "help about gox, a verb of gox, or (gox help build) go",
		ArgsUsage: "[verb | go topic]", SkipFlagParsing: true, HideHelp: true,
		Action: func(c *cli.Context) error {
			if args := c.Args().Slice(); len(args) > 0 && args[0] != "help" {
				return c.App.Run(append(append([]string{"gox"}, args...), "--help"))
			}
			return cli.ShowAppHelp(c)
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
   GOX_CACHE                   where module caches and toolchains are kept, else
                               gox in the user's cache directory

A wrapped run returns go's exit code. Where gox itself fails before go ran it is
125, where go cannot be executed 126, where there is none 127. Verbs of gox
return 0, 1 for findings or failure, 2 for a wrong call or input of no use.
`
