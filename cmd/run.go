package cmd

import (
	"context"
	"fmt"
	"os"
	"strings"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/redact"
	"example.com/gox/profiles"
)

// wrap runs go with args under the profile. On Unix it returns only where go
// did not run, or where something is left to do after it.
func (g *gox) wrap(args []string) error {
	ctx := context.Background()
	pl, err := g.plan(ctx, goDir(args, g.Dir), !g.opts.print)
	if err != nil {
		return err
	}
	argv := append([]string{"go"}, args...)
	if g.opts.print {
		return g.show(pl, argv)
	}
	if pl.pinned || pl.cache.Mode == profiles.Shared {
		return g.exec(pl, argv)
	}
	info := map[string]string{"profile": pl.profile.Name}
	switch pl.cache.Mode {
	case profiles.Directory:
		pl.setCache(pl.cache.Dir)
	case profiles.Isolated:
		for _, source := range pl.cache.Sources {
			name, value, _ := strings.Cut(source, "=")
			info[redact.Text(name)] = redact.Variable(name, value)
		}
		dir, err := g.modcaches().Use(pl.cacheKey(), info)
		if err != nil {
			return err
		}
		pl.setCache(dir)
	case profiles.Fresh:
		return g.runFresh(ctx, pl, args, info)
	}
	return g.exec(pl, argv)
}

// exec makes the process go's.
func (g *gox) exec(pl *plan, argv []string) error {
	g.echo(pl, argv)
	code, err := gocmd.Exec(pl.go_.Path, argv, pl.env.Environ())
	if err != nil {
		return err
	}
	return &exitError{code: code}
}

// runFresh runs go as a child, because its module cache must go away after it.
func (g *gox) runFresh(ctx context.Context, pl *plan, args []string, info map[string]string) (err error) {
	fresh, err := g.modcaches().Fresh(info)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := fresh.Close(); closeErr != nil {
			g.report(fmt.Errorf("the fresh module cache stays behind: %w\n\tgox cache prune", closeErr), 0)
		}
	}()
	pl.setCache(fresh.GOMODCACHE())
	g.echo(pl, append([]string{"go"}, args...))
	code, err := gocmd.Run(ctx, gocmd.Cmd{
		Path: pl.go_.Path, Args: args, Env: pl.env.Environ(),
		Stdin: g.Stdin, Stdout: g.Stdout, Stderr: g.Stderr,
	})
	if err != nil {
		return err
	}
	return &exitError{code: code}
}

// show is -n: the command on stdout, and nothing done.
func (g *gox) show(pl *plan, argv []string) error {
	if err := g.foreseeCache(pl); err != nil {
		return err
	}
	if pl.missing != "" {
		fmt.Fprintf(g.Stderr, "gox: go %s is not installed; a run would install it first\n", pl.missing)
	}
	fmt.Fprintln(g.Stdout, pl.command(argv))
	return nil
}

// echo is -x: the same on stderr, with the warnings, before go runs.
func (g *gox) echo(pl *plan, argv []string) {
	if !g.opts.trace {
		return
	}
	for _, w := range pl.caution {
		g.report(w, 0)
	}
	fmt.Fprintln(g.Stderr, pl.command(argv))
}

// command returns the go command as a line for a POSIX shell, with what gox
// sets and takes out of the environment. Secrets are masked.
func (pl *plan) command(argv []string) string {
	var unset, set []string
	for _, s := range pl.env.Decided() {
		if s.Unset {
			unset = append(unset, "-u", s.Name)
		} else {
			set = append(set, s.Name+"="+shellQuote(s.Shown()))
		}
	}
	words := set
	if unset != nil {
		words = append(append([]string{"env"}, unset...), set...)
	}
	path := pl.go_.Path
	if path == "" {
		path = "go" // of a toolchain that is not installed yet
	}
	words = append(words, shellQuote(path))
	for _, arg := range argv[1:] {
		words = append(words, shellQuote(redact.Text(arg)))
	}
	return strings.Join(words, " ")
}

// goDir returns the directory that go will work in: since go1.20 the flag -C
// may stand right after the words that name the command (cmd/go/main.go,
// handleChdirFlag). Those are one word, and two for the commands that are
// groups of others.
func goDir(args []string, dir string) string {
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
		return absolute(value, dir)
	case named+1 < len(args):
		return absolute(args[named+1], dir)
	}
	return dir
}

func enterDir(dir string) error {
	err := os.Chdir(dir)
	if pathErr, ok := err.(*os.PathError); ok {
		return pathErr.Err
	}
	return err
}
