// Package wrap is the wrapped run: gox's own flags, and one go command under a
// profile. It is all that `gox -p office build` needs, and imports nothing that
// this does not need, because users feel how it starts. The verbs of gox stand
// in package cmd and build on it.
package wrap

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"example.com/gox/internal/gocmd"
)

// A Run is one run of gox.
type Run struct {
	*Process
	Opts  Options
	Words []string // the go command, or the verb, and its arguments
}

// Options are gox's own flags, those before the go command or the verb.
type Options struct {
	Profiles  []string // -p as given, each perhaps a list
	Overrides []string // -e
	GoVersion string   // --go
	File      string   // --profiles
	Dir       string   // -C
	Print     bool     // -n
	Trace     bool     // -x
	Version   bool     // --version
	Help      bool     // -h
}

// Main runs gox as p was started, where a go command is to run. On Unix the
// process then becomes go's, and Main returns only where that failed. done is
// false where it is a verb of gox, or its help, that is asked for, or where p
// lacks the gateway that the profile wants; then nothing has been changed, and
// r is what the verb has to know.
func Main(p *Process) (r *Run, code int, done bool) {
	r = &Run{Process: p}
	if name := strings.TrimSuffix(filepath.Base(p.Args[0]), ".exe"); name == "go" {
		// Standing in for go under its own name, gox takes no flags and has no
		// verbs: everything is go's.
		return r.run(p.Args[1:])
	}
	err := r.parse(p.Args[1:])
	words := r.Words
	switch {
	case err != nil:
		return r, p.Report(fmt.Errorf("%w\n\tgox --help", err), ExitGox), true
	case r.Opts.Help || r.Opts.Version:
		return r, 0, false
	case len(words) == 0:
		fmt.Fprintln(p.Stderr, "usage: gox [gox flags] <go command> [arguments]\n\tgox --help")
		return r, ExitUsage, true
	case words[0] == "go":
		words = words[1:] // gox go … always reaches go
	case words[0] == "help" && len(words) > 1 && !IsVerb(words[1]):
		// gox help build is go's
	case IsVerb(words[0]):
		return r, 0, false
	}
	if err := r.look(); err != nil {
		return r, p.Report(err, ExitGox), true
	}
	return r.run(words)
}

// run runs go with args.
func (r *Run) run(args []string) (*Run, int, bool) {
	err := r.wrap(args)
	if errors.Is(err, errLater) {
		return r, 0, false
	}
	return r, r.Report(err, ExitGox), true
}

// Become runs the program called name that stands beside gox, with the
// process's own arguments, as Main runs go.
func (p *Process) Become(name string) int {
	dir := filepath.Dir(p.Executable)
	if resolved, err := filepath.EvalSymlinks(p.Executable); err == nil {
		dir = filepath.Dir(resolved)
	}
	path := filepath.Join(dir, exe(name))
	if _, err := os.Stat(path); err != nil {
		return p.Report(&ExitError{127, fmt.Errorf("%s: not there\n\tgox and %s are one release: put both into one directory", path, name)}, ExitGox)
	}
	code, err := gocmd.Exec(path, p.Args, p.Environ)
	if err != nil {
		return p.Report(err, ExitGox)
	}
	return code
}

// IsVerb reports whether word is one of gox's own verbs. Every other word is
// go's.
func IsVerb(word string) bool {
	switch word {
	case "profile", "explain", "toolchain", "cache", "script", "source", "trace", "sandbox", "help":
		return true
	}
	return false
}

// Flags returns the names of gox's own flags, which stand before the go command
// or the verb.
func Flags() []string {
	names := []string{"h", "help"}
	new(Options).flags().VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return names
}

// parse reads the flags at the head of args. It uses the flag package and not
// the framework of the verbs, because this is all that a wrapped run needs;
// what the flags do stands in the help of package cmd.
func (r *Run) parse(args []string) error {
	flags := r.Opts.flags()
	err := flags.Parse(args)
	r.Words = flags.Args()
	if errors.Is(err, flag.ErrHelp) {
		r.Opts.Help = true
		return nil
	}
	if err != nil {
		return errors.New(strings.Replace(err.Error(), "flag provided but not defined: ", "unknown flag ", 1))
	}
	return nil
}

func (o *Options) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("gox", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	add := func(list *[]string) func(string) error {
		return func(s string) error { *list = append(*list, s); return nil }
	}
	flags.Func("p", "", add(&o.Profiles))
	flags.Func("profile", "", add(&o.Profiles))
	flags.Func("e", "", add(&o.Overrides))
	flags.StringVar(&o.GoVersion, "go", "", "")
	flags.StringVar(&o.File, "profiles", "", "")
	flags.StringVar(&o.Dir, "C", "", "")
	flags.BoolVar(&o.Print, "n", false, "")
	flags.BoolVar(&o.Trace, "x", false, "")
	flags.BoolVar(&o.Version, "version", false, "")
	return flags
}

// look makes the run see everything from the directory of -C.
func (r *Run) look() error {
	if r.Opts.Dir == "" {
		return nil
	}
	dir := Absolute(r.Opts.Dir, r.Dir)
	// What stands in a directory can be looked up where chdir(2) would enter it.
	if _, err := os.Stat(dir + string(filepath.Separator) + "."); err != nil {
		var pathErr *os.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return fmt.Errorf("-C %s: %w", r.Opts.Dir, err)
	}
	r.Process = r.InDir(dir)
	return nil
}

// Enter carries out -C.
func (r *Run) Enter() error {
	if err := r.look(); err != nil {
		return err
	}
	return r.chdir()
}

// chdir makes the directory that look found the process's.
func (r *Run) chdir() error {
	if r.Opts.Dir == "" {
		return nil
	}
	if err := os.Chdir(r.Dir); err != nil {
		return fmt.Errorf("-C %s: %w", r.Opts.Dir, err)
	}
	return nil
}
