package wrap

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/redact"
	"example.com/gox/profiles"
)

// wrap runs go with args under the profile. On Unix it returns only where go
// did not run, or where something is left to do after it.
func (r *Run) wrap(args []string) error {
	ctx := context.Background()
	pl, err := r.Plan(ctx, GoDir(args, r.Dir), !r.Opts.Print)
	if err != nil {
		return err
	}
	argv := append([]string{"go"}, args...)
	if r.Opts.Print {
		return r.show(pl, argv)
	}
	relayed := pl.Profile.Relay(r.Home) != nil
	if relayed && r.Behind == nil {
		return errLater
	}
	release, err := r.UseCache(pl)
	if err != nil {
		return err
	}
	if release == nil && !relayed {
		return r.exec(pl, argv)
	}
	if release != nil {
		defer release()
	}
	if err := r.chdir(); err != nil {
		return err
	}
	var code int
	if relayed {
		code, err = r.Behind(ctx, r, pl, args)
	} else {
		code, err = r.Child(ctx, pl, args)
	}
	if err != nil {
		return err
	}
	return &ExitError{Code: code}
}

// errLater tells that the run needs what is not initialised yet.
var errLater = errors.New("the gateway is not there yet")

// UseCache makes the module cache that the plan asks for ready, and tells go
// of it. release, where it is not nil, is to be called when go has ended.
func (r *Run) UseCache(pl *Plan) (release func(), err error) {
	if pl.Pinned {
		return nil, nil
	}
	info := map[string]string{"profile": pl.Profile.Name}
	switch pl.Cache.Mode {
	case profiles.Directory:
		pl.setCache(pl.Cache.Dir)
	case profiles.Isolated:
		for _, source := range pl.Cache.Sources {
			name, value, _ := strings.Cut(source, "=")
			info[redact.Text(name)] = redact.Variable(name, value)
		}
		dir, err := r.Modcaches().Use(pl.cacheKey(), info)
		if err != nil {
			return nil, err
		}
		pl.setCache(dir)
	case profiles.Fresh:
		fresh, err := r.Modcaches().Fresh(info)
		if err != nil {
			return nil, err
		}
		pl.setCache(fresh.GOMODCACHE())
		return func() {
			if err := fresh.Close(); err != nil {
				r.Report(fmt.Errorf("the fresh module cache stays behind: %w\n\tgox cache prune", err), 0)
			}
		}, nil
	}
	return nil, nil
}

// exec makes the process go's.
func (r *Run) exec(pl *Plan, argv []string) error {
	if err := r.chdir(); err != nil {
		return err
	}
	r.echo(pl, argv)
	code, err := gocmd.Exec(pl.Go.Path, argv, pl.Env.Environ())
	if err != nil {
		return err
	}
	return &ExitError{Code: code}
}

// Child runs go as a child, because something is left to do after it.
func (r *Run) Child(ctx context.Context, pl *Plan, args []string) (int, error) {
	r.echo(pl, append([]string{"go"}, args...))
	return gocmd.Run(ctx, gocmd.Cmd{
		Path: pl.Go.Path, Args: args, Env: pl.Env.Environ(),
		Stdin: r.Stdin, Stdout: r.Stdout, Stderr: r.Stderr,
	})
}

// show is -n: the command on stdout, and nothing done.
func (r *Run) show(pl *Plan, argv []string) error {
	if err := r.ForeseeCache(pl); err != nil {
		return err
	}
	if pl.Missing != "" {
		fmt.Fprintf(r.Stderr, "gox: go %s is not installed; a run would install it first\n", pl.Missing)
	}
	if pl.Profile.Relay(r.Home) != nil {
		fmt.Fprintln(r.Stderr, "gox: a run would stand behind gox's gateway, with an address of the gateway's in GOPROXY for each proxy")
	}
	fmt.Fprintln(r.Stdout, pl.command(argv))
	return nil
}

// echo is -x: the same on stderr, with the warnings, before go runs.
func (r *Run) echo(pl *Plan, argv []string) {
	if !r.Opts.Trace {
		return
	}
	for _, w := range pl.Caution {
		r.Report(w, 0)
	}
	fmt.Fprintln(r.Stderr, pl.command(argv))
}

// command returns the go command as a line for a POSIX shell, with what gox
// sets and takes out of the environment. Secrets are masked.
func (pl *Plan) command(argv []string) string {
	var unset, set []string
	for _, s := range pl.Env.Decided() {
		if s.Unset {
			unset = append(unset, "-u", s.Name)
		} else {
			set = append(set, s.Name+"="+ShellQuote(s.Shown()))
		}
	}
	words := set
	if unset != nil {
		words = append(append([]string{"env"}, unset...), set...)
	}
	path := pl.Go.Path
	if path == "" {
		path = "go" // of a toolchain that is not installed yet
	}
	words = append(words, ShellQuote(path))
	for _, arg := range argv[1:] {
		words = append(words, ShellQuote(redact.Text(arg)))
	}
	return strings.Join(words, " ")
}

// GoDir returns the directory that go will work in: since go1.20 the flag -C
// may stand right after the words that name the command (cmd/go/main.go,
// handleChdirFlag). Those are one word, and two for the commands that are
// groups of others.
func GoDir(args []string, dir string) string {
	named := 0
	for named < len(args) && !strings.HasPrefix(args[named], "-") && (named == 0 || named == 1 && (args[0] == "mod" || args[0] == "work")) {
		named++
	}
	if named == len(args) {
		return dir
	}
	flag, value, ok := strings.Cut(args[named], "=")
	switch {
	case flag != "-C" && flag != "--C":
	case ok:
		return Absolute(value, dir)
	case named+1 < len(args):
		return Absolute(args[named+1], dir)
	}
	return dir
}
