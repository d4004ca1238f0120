package wrap

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"example.com/gox/internal/gocmd"
	"example.com/gox/profiles"
)

// Toolchains is gox's store of them, without the means to fetch.
func (r *Run) Toolchains() (*gocmd.Toolchains, error) {
	if r.CacheDir == "" {
		return nil, ErrNoCache
	}
	return &gocmd.Toolchains{Dir: filepath.Join(r.CacheDir, "toolchain")}, nil
}

// Fetching gives the store the means to fetch: a go, and the environment of
// the profile, which decides where from.
func (r *Run) Fetching(pl *Plan, store *gocmd.Toolchains) (stop func(), err error) {
	// Only what decides about sources matters for fetching: what the profile says
	// of the main module, and of the go version, must hold for the go to come and
	// not for this one.
	by := *pl
	by.Go = gocmd.Go{}
	if path := r.Getenv("GOX_GO"); path != "" {
		by.Go = gocmd.At(Absolute(path, r.Dir))
	} else if found, err := r.FindGo(); err == nil {
		by.Go = found
	}
	store.Go = by.Go.Path
	by.Go.Version = ""
	env, problems := pl.Profile.Env(r.Inputs(&by))
	problems = slices.DeleteFunc(problems, func(p *profiles.Problem) bool {
		return slices.Contains([]string{"modfile", "gowork", "mod", "goflags"}, p.Key)
	})
	if err := problems.Err(); err != nil {
		return nil, err
	}
	store.Env = env.Environ()
	if !r.Interactive() {
		return func() {}, nil
	}
	meter := &meter{w: r.Stderr, now: time.Now}
	store.Progress = meter.show
	return meter.clear, nil
}

// fetchOne installs the toolchain that a profile or --go asks for.
func (r *Run) fetchOne(ctx context.Context, pl *Plan, store *gocmd.Toolchains, spec string) (gocmd.Toolchain, error) {
	stop, err := r.Fetching(pl, store)
	if err != nil {
		return gocmd.Toolchain{}, err
	}
	defer stop()
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	versions, err := store.Resolve(ctx, spec)
	if err != nil {
		return gocmd.Toolchain{}, err
	}
	return store.Install(ctx, versions[len(versions)-1])
}
