package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/modcache"
	"example.com/gox/profiles"
)

// A plan is one go command before it runs: which go, in which environment.
type plan struct {
	set     *profiles.Set
	profile *profiles.Profile
	chosen  string // what named the profile: "-p", "GOX_PROFILE", a place in a file, "" for none
	dir     string // where go will work
	go_     gocmd.Go
	missing string // the toolchain that would have to be installed first, as it was asked for
	env     *profiles.Env
	caution profiles.Problems // warnings
	cache   profiles.Cache
	pinned  bool // -e GOMODCACHE takes the module cache out of gox's hands
}

// load finds the profiles for go working in dir.
func (g *gox) load(dir string) (*profiles.Set, error) {
	s := profiles.Search{Dir: dir, Home: g.Home, UID: g.UID, File: cmp.Or(g.opts.file, g.getenv("GOX_PROFILES"))}
	if s.File != "" {
		s.File = absolute(s.File, g.Dir)
	}
	if g.ConfigDir != "" {
		s.UserFile = filepath.Join(g.ConfigDir, "gox", profiles.FileName)
	}
	return profiles.Load(s)
}

// names returns the profiles asked for, and what asked.
func (g *gox) names(set *profiles.Set) ([]string, string, error) {
	asked, by := g.opts.profiles, "-p"
	if fromEnv := g.getenv("GOX_PROFILE"); asked == nil && fromEnv != "" {
		asked, by = []string{fromEnv}, "GOX_PROFILE"
	}
	if asked == nil {
		name, pos, err := set.Default()
		return []string{name}, pos.String(), err
	}
	var names []string
	for _, list := range asked {
		for _, name := range strings.Split(list, ",") {
			if name = strings.TrimSpace(name); name == "" {
				return nil, "", fmt.Errorf("%s %q: a name is missing\n\tsee them all with: gox profile list", by, list)
			}
			names = append(names, name)
		}
	}
	return names, by, nil
}

// resolve returns the profile asked for, and what asked.
func (g *gox) resolve(set *profiles.Set) (*profiles.Profile, string, error) {
	names, by, err := g.names(set)
	if err != nil {
		return nil, "", err
	}
	profile, err := set.Resolve(names...)
	var p *profiles.Problem
	if errors.As(err, &p) && p.Pos.File == "" && by != "-p" {
		err = fmt.Errorf("%s: %w", by, err)
	}
	return profile, by, err
}

func (g *gox) trust() profiles.Trust {
	if g.StateDir == "" {
		return profiles.Trust{}
	}
	return profiles.Trust{Dir: filepath.Join(g.StateDir, "allow")}
}

// foreign is the problem of a file that is somebody else's.
func foreign(f *profiles.File) *profiles.Problem {
	return &profiles.Problem{
		Pos:  profiles.Position{File: f.Path},
		Text: fmt.Sprintf("it or its directory belongs to somebody else (user id %d)", f.Owner),
		Mend: "read it, then allow it with: gox profile allow " + shellQuote(f.Path),
	}
}

// checkTrust refuses a file that is somebody else's, and the settings of a
// project's file that need the user's word and do not have it.
func (g *gox) checkTrust(set *profiles.Set, profile *profiles.Profile) error {
	trust := g.trust()
	for _, f := range set.Project() {
		if f.Owner >= 0 && !trust.Allowed(f) {
			return foreign(f)
		}
	}
	refused := map[string]*profiles.Problem{}
	var all profiles.Problems
	for _, d := range profile.Dangers() {
		file := d.Value.Pos.File
		if slices.ContainsFunc(set.Project(), func(f *profiles.File) bool { return f.Path == file && trust.Allowed(f) }) {
			continue
		}
		if refused[file] == nil {
			refused[file] = &profiles.Problem{
				Pos:  profiles.Position{File: file},
				Text: "these settings need your word before they take effect",
			}
			all = append(all, refused[file])
		}
		refused[file].Mend += d.String() + "\n\t"
	}
	for _, p := range all {
		p.Mend += "read the file, then allow it with: gox profile allow " + shellQuote(p.Pos.File)
	}
	if all != nil {
		return all
	}
	return nil
}

// plan works out the go command that would work in dir. With install it
// fetches the toolchain that the profile asks for, where it is not there yet.
func (g *gox) plan(ctx context.Context, dir string, install bool) (*plan, error) {
	set, err := g.load(dir)
	if err != nil {
		return nil, err
	}
	profile, by, err := g.resolve(set)
	if err != nil {
		return nil, err
	}
	if err := g.checkTrust(set, profile); err != nil {
		return nil, err
	}
	pl := &plan{set: set, profile: profile, chosen: by, dir: dir}
	toolchain, err := g.chooseGo(ctx, pl, install)
	if err != nil {
		return nil, err
	}
	if err := g.apply(pl); err != nil {
		return nil, err
	}
	if pl.go_.GOROOT == "" && pl.go_.Path != "" {
		pl.env.Add(profiles.Setting{Name: shimVariable, Value: pl.go_.Path, Origin: profiles.Origin{Layer: profiles.Flag, Key: "a guard against running in circles"}})
	}
	if toolchain != nil {
		pl.env.Add(profiles.Setting{Name: "GOTOOLCHAIN", Value: "local", Origin: *toolchain})
		pl.env.Add(profiles.Setting{Name: "GOROOT", Unset: true, Origin: *toolchain})
	}
	pl.cache = profile.Cache(pl.env, g.Home)
	pl.pinned = pl.env.Lookup("GOMODCACHE").Origin.Layer <= profiles.Override
	return pl, nil
}

// apply makes the plan's environment, for the go that it has.
func (g *gox) apply(pl *plan) error {
	env, problems := pl.profile.Env(g.inputs(pl))
	if err := problems.Err(); err != nil {
		return err
	}
	pl.env, pl.caution = env, problems
	return nil
}

// inputs are what the plan's profile meets.
func (g *gox) inputs(pl *plan) profiles.Inputs {
	return profiles.Inputs{
		Environ:   g.Environ,
		Overrides: g.opts.overrides,
		Dir:       pl.dir,
		Home:      g.Home,
		ConfigDir: g.ConfigDir,
		GOROOT:    pl.go_.GOROOT,
		GoVersion: pl.go_.Version,
		Default:   func(name string) (string, error) { return g.goDefault(pl.go_.Path, name) },
	}
}

// goDefault asks the go at path for its own default of GOPROXY or GOSUMDB.
func (g *gox) goDefault(path, name string) (string, error) {
	environ := slices.DeleteFunc(slices.Clone(g.Environ), func(entry string) bool { return strings.HasPrefix(entry, name+"=") })
	values, err := gocmd.EnvJSON(context.Background(), path, g.Dir, append(environ, "GOENV=off", "GOTOOLCHAIN=local"), name)
	if err != nil {
		return "", err
	}
	return values[name], nil
}

// chooseGo finds the go command: GOX_GO, else the toolchain of --go or the
// profile, else the first go in PATH that is not gox. Where a toolchain was
// chosen it returns what chose it.
func (g *gox) chooseGo(ctx context.Context, pl *plan, install bool) (*profiles.Origin, error) {
	if path := g.getenv("GOX_GO"); path != "" {
		return nil, g.obey(pl, path)
	}
	asked, root, chosen := g.opts.goVersion, "", profiles.Origin{Layer: profiles.Flag, Key: "--go " + g.opts.goVersion}
	if strings.ContainsAny(asked, `/\`) {
		root = absolute(asked, g.Dir)
	}
	if v := pl.profile.Go(); v != nil && asked == "" {
		asked, chosen = v.String(), profiles.Origin{Layer: profiles.InProfile, Pos: v.Pos, Profile: v.Profile, Key: "go"}
		if v.IsPath() {
			root = v.Path(g.Home)
		}
	}
	switch {
	case asked == "" || asked == "local":
		path, err := g.find()
		if err != nil {
			return nil, err
		}
		pl.go_ = gocmd.At(path)
		return nil, nil
	case root != "":
		path := filepath.Join(root, "bin", exe("go"))
		if _, err := os.Stat(path); err != nil {
			return nil, &exitError{127, fmt.Errorf("%s: no go command in this GOROOT: %s", chosen, path)}
		}
		pl.go_ = gocmd.At(path)
		return &chosen, nil
	case !profiles.IsGoVersion(asked):
		return nil, fmt.Errorf("%s: %q is no Go version\n\twrite 1.22 for the newest patch, 1.22.12, local, or the path of a GOROOT", chosen, asked)
	}
	store, err := g.toolchains()
	if err != nil {
		return nil, err
	}
	toolchain, err := store.Lookup(asked)
	if errors.Is(err, fs.ErrNotExist) {
		if !install {
			pl.missing = asked
			return &chosen, nil
		}
		toolchain, err = g.fetchOne(ctx, pl, store, asked)
	}
	if err != nil && chosen.Layer == profiles.InProfile {
		err = fmt.Errorf("%s: %w", chosen, err)
	}
	if err != nil {
		return nil, err
	}
	pl.go_ = gocmd.Go{Path: toolchain.Go, GOROOT: toolchain.GOROOT, Version: toolchain.Version}
	return &chosen, nil
}

// shimVariable names the go that stands in no GOROOT, such as a version
// manager's script, that gox has just become. If that script runs gox in turn,
// the search goes on behind it, and not for ever.
const shimVariable = "GOX_SHIM"

// find returns the first go in PATH that is not gox.
func (g *gox) find() (string, error) {
	dirs := filepath.SplitList(g.getenv("PATH"))
	if shim := g.getenv(shimVariable); shim != "" {
		if i := slices.Index(dirs, filepath.Dir(shim)); i >= 0 {
			dirs = dirs[i+1:]
		}
	}
	return gocmd.Find(strings.Join(dirs, string(filepath.ListSeparator)), g.Executable)
}

// obey takes the go that GOX_GO names.
func (g *gox) obey(pl *plan, path string) error {
	path = absolute(path, g.Dir)
	info, err := os.Stat(path)
	if err != nil {
		return &exitError{127, fmt.Errorf("GOX_GO=%s: no such file\n\tset it to the path of a go command, or unset it", path)}
	}
	if self, err := os.Stat(g.Executable); path == g.getenv(shimVariable) || err == nil && os.SameFile(info, self) {
		return &exitError{127, fmt.Errorf("GOX_GO=%s: that is gox itself\n\tset it to the path of a go command, or unset it", path)}
	}
	pl.go_ = gocmd.At(path)
	return nil
}

func exe(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

// errNoCache tells that gox has no place for what it downloads.
var errNoCache = errors.New("no cache directory is known\n\tset HOME, XDG_CACHE_HOME or GOX_CACHE")

// modcaches is the store of gox's own module caches.
func (g *gox) modcaches() modcache.Store { return modcache.Store{Root: g.CacheDir} }

// cacheDir returns an error where the verbs cannot use gox's cache directory.
func (g *gox) cacheDir() error {
	if g.CacheDir == "" {
		return &exitError{exitUsage, errNoCache}
	}
	if info, err := os.Stat(g.CacheDir); err == nil && !info.IsDir() {
		return &exitError{exitUsage, fmt.Errorf("%s: not a directory\n\tmove that file away, or set GOX_CACHE to another directory", g.CacheDir)}
	}
	return nil
}

// cacheKey names the plan's isolated cache.
func (pl *plan) cacheKey() string { return modcache.Key(pl.cache.Name, pl.cache.Sources) }

// setCache tells go where the module cache is.
func (pl *plan) setCache(dir string) {
	pl.env.Add(profiles.Setting{Name: "GOMODCACHE", Value: dir, Origin: pl.cache.Origin})
}
