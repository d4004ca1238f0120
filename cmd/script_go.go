package cmd

import (
	"context"
	"errors"
	"fmt"
	goversion "go/version"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/wrap"
	"example.com/gox/testscripts"
	"github.com/urfave/cli/v2"
)

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
