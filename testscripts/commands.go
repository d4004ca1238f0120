package testscripts

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// A play is one run of one script.
type play struct {
	*Runner
	script  *Script
	version string
	world   *world
	ctx     context.Context

	work  string
	path  string          // PATH
	env   []string        // for git servers
	names map[string]bool // of variables that the script may have set
}

// A command is one that the engine adds to those of testscript.
type command struct {
	name, args, summary string
	negatable           bool
	run                 func(*play, *call) error
}

// commandTable lists the commands by name. README.md shows it.
var commandTable = []command{
	{"exit", "CODE|never=DURATION PROGRAM [ARG…]", "run a program, which exits with this code, or still runs after that time and is killed then", false, (*play).exit},
	{"fault", "[-times N] [-body TEXT] [-header 'K: V'] SERVER [PATTERN] EFFECT", "make a server misbehave where PATTERN matches the URL; the last fault that matches counts", false, (*play).fault},
	{"gosum", "SERVER… [FILE]", "add the hashes of all modules that these servers have to go.sum, or to FILE, whose name ends in .sum", false, (*play).gosum},
	{"proxy", "[-host NAME] [-cert KIND] [-auth USER:PASSWORD] [-dir DIR] NAME…", "start module proxies that serve the folders proxy/NAME, and set $NAME to their URLs", false, (*play).proxy},
	{"requests", "[-header PATTERN] [-count=N] SERVER [N|PATTERN…]", "assert what a server was asked: how often, or in which order; without either print it to stdout", true, (*play).requests},
	{"reset", "[requests|faults|modcache]…", "begin anew: forget requests and faults and empty the module cache, or only some of these", false, (*play).reset},
	{"served", "[-mod] MODULE@VERSION SERVER", "assert that the zip (or go.mod) in the module cache is what this server sent last", true, (*play).served},
	{"sumdb", "[-host NAME] [-cert KIND] [-via PROXY,…] [-fork SUMDB] NAME SERVER…", "start a checksum database that knows the modules of these servers, and set $NAME to its GOSUMDB", false, (*play).sumdb},
	{"tree", "PROXY DIR", "write what a module proxy serves to a directory, as for file:// or a plain file server", false, (*play).tree},
	{"vcs", "[-cert KIND] HOST…", "serve the git repositories vcs/HOST/… over https and http, with go-import pages", false, (*play).vcs},
}

// A call is one line that runs a command.
type call struct {
	*testscript.TestScript
	neg  bool
	args []string
	def  command
}

// A usageError is never what "!" asks for.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errNot is that an assertion does not hold.
type errNot struct{ error }

func notf(format string, args ...any) error { return errNot{fmt.Errorf(format, args...)} }
func (p *play) commands() map[string]func(*testscript.TestScript, bool, []string) {
	p.names = map[string]bool{}
	cmds := map[string]func(*testscript.TestScript, bool, []string){}
	for _, def := range commandTable {
		cmds[def.name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg && !def.negatable {
				ts.Fatalf("unsupported: ! %s", def.name)
			}
			err := def.run(p, &call{ts, neg, args, def})
			switch {
			case errors.As(err, new(usageError)):
				ts.Fatalf("%v\nusage: %s %s", err, def.name, def.args)
			case errors.As(err, new(errNot)):
				if !neg {
					ts.Fatalf("%v", err)
				}
				ts.Logf("as expected: %v", err)
			case err != nil:
				ts.Fatalf("%s: %v", def.name, err)
			case neg:
				ts.Fatalf("%s %s: unexpectedly so", def.name, strings.Join(args, " "))
			}
		}
	}
	return cmds
}

// parse reads the flags that define makes, and returns the other arguments:
// min of them at least, and max at most where that is not negative.
func (c *call) parse(min, max int, define func(*flag.FlagSet)) ([]string, error) {
	flags := flag.NewFlagSet(c.def.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	define(flags)
	if err := flags.Parse(c.args); err != nil {
		return nil, usageError{err}
	}
	args := flags.Args()
	if len(args) < min || max >= 0 && len(args) > max {
		return nil, usagef("%d arguments", len(args))
	}
	return args, nil
}

func noFlags(*flag.FlagSet) {}

// set sets a variable of the script.
func (p *play) set(c *call, name, value string) {
	c.Setenv(name, value)
	p.names[name] = true
	c.Logf("%s=%s", name, value)
}

// lookPath finds a program in the directories of path.
func lookPath(name, path string) (string, error) {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if fi, err := os.Stat(file); err == nil && fi.Mode().IsRegular() && (runtime.GOOS == "windows" || fi.Mode()&0o111 != 0) {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s: not found in PATH", name)
}
