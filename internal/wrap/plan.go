package wrap

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

// A Plan is one go command before it runs: which go, in which environment.
type Plan struct {
	Set     *profiles.Set
	Profile *profiles.Profile
	Chosen  string // what named the profile: "-p", "GOX_PROFILE", a place in a file, "" for none
	Dir     string // where go will work
	Go      gocmd.Go
	Missing string // the toolchain that would have to be installed first, as it was asked for
	Env     *profiles.Env
	Caution profiles.Problems // warnings
	Cache   profiles.Cache
	Pinned  bool // -e GOMODCACHE takes the module cache out of gox's hands
}

// Load finds the profiles for go working in dir.
func (r *Run) Load(dir string) (*profiles.Set, error) {
	s := profiles.Search{Dir: dir, Home: r.Home, UID: r.UID, File: cmp.Or(r.Opts.File, r.Getenv("GOX_PROFILES"))}
	if s.File != "" {
		s.File = Absolute(s.File, r.Dir)
	}
	if r.ConfigDir != "" {
		s.UserFile = filepath.Join(r.ConfigDir, "gox", profiles.FileName)
	}
	return profiles.Load(s)
}

// Names returns the profiles asked for, and what asked.
func (r *Run) Names(set *profiles.Set) ([]string, string, error) {
	asked, by := r.Opts.Profiles, "-p"
	if fromEnv := r.Getenv("GOX_PROFILE"); asked == nil && fromEnv != "" {
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

// Resolve returns the profile asked for, and what asked.
func (r *Run) Resolve(set *profiles.Set) (*profiles.Profile, string, error) {
	names, by, err := r.Names(set)
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

func (r *Run) Trust() profiles.Trust {
	if r.StateDir == "" {
		return profiles.Trust{}
	}
	return profiles.Trust{Dir: filepath.Join(r.StateDir, "allow")}
}

// Foreign is the problem of a file that is somebody else's.
func Foreign(f *profiles.File) *profiles.Problem {
	return &profiles.Problem{
		Pos:  profiles.Position{File: f.Path},
		Text: fmt.Sprintf("it or its directory belongs to somebody else (user id %d)", f.Owner),
		Mend: "read it, then allow it with: gox profile allow " + ShellQuote(f.Path),
	}
}

// CheckTrust refuses a file that is somebody else's, and the settings of a
// project's file that need the user's word and do not have it.
func (r *Run) CheckTrust(set *profiles.Set, profile *profiles.Profile) error {
	trust := r.Trust()
	for _, f := range set.Project() {
		if f.Owner >= 0 && !trust.Allowed(f) {
			return Foreign(f)
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
		p.Mend += "read the file, then allow it with: gox profile allow " + ShellQuote(p.Pos.File)
	}
	if all != nil {
		return all
	}
	return nil
}

// Plan works out the go command that would work in dir. With install it
// fetches the toolchain that the profile asks for, where it is not there yet.
func (r *Run) Plan(ctx context.Context, dir string, install bool) (*Plan, error) {
	set, err := r.Load(dir)
	if err != nil {
		return nil, err
	}
	profile, by, err := r.Resolve(set)
	if err != nil {
		return nil, err
	}
	if err := r.CheckTrust(set, profile); err != nil {
		return nil, err
	}
	pl := &Plan{Set: set, Profile: profile, Chosen: by, Dir: dir}
	toolchain, err := r.chooseGo(ctx, pl, install)
	if err != nil {
		return nil, err
	}
	if err := r.apply(pl); err != nil {
		return nil, err
	}
	if pl.Go.GOROOT == "" && pl.Go.Path != "" {
		pl.Env.Add(profiles.Setting{Name: shimVariable, Value: pl.Go.Path, Origin: profiles.Origin{Layer: profiles.Flag, Key: "a guard against running in circles"}})
	}
	if toolchain != nil {
		pl.Env.Add(profiles.Setting{Name: "GOTOOLCHAIN", Value: "local", Origin: *toolchain})
		pl.Env.Add(profiles.Setting{Name: "GOROOT", Unset: true, Origin: *toolchain})
	}
	pl.Cache = profile.Cache(pl.Env, r.Home)
	// Below a run that stands behind the gateway the sources are still those
	// of that run, and not the gateway's address, which is another each time.
	if address, sources, ok := strings.Cut(r.Getenv(BehindVariable), "\n"); ok {
		if i := slices.Index(pl.Cache.Sources, "GOPROXY="+address); i >= 0 {
			pl.Cache.Sources[i] = "GOPROXY=" + sources
		}
	}
	pl.Pinned = pl.Env.Lookup("GOMODCACHE").Origin.Layer <= profiles.Override
	return pl, nil
}

// apply makes the plan's environment, for the go that it has.
func (r *Run) apply(pl *Plan) error {
	env, problems := pl.Profile.Env(r.Inputs(pl))
	if err := problems.Err(); err != nil {
		return err
	}
	pl.Env, pl.Caution = env, problems
	return nil
}

// Inputs are what the plan's profile meets.
func (r *Run) Inputs(pl *Plan) profiles.Inputs {
	return profiles.Inputs{
		Environ:   r.Environ,
		Overrides: r.Opts.Overrides,
		Dir:       pl.Dir,
		Home:      r.Home,
		ConfigDir: r.ConfigDir,
		GOROOT:    pl.Go.GOROOT,
		GoVersion: pl.Go.Version,
		Default:   func(name string) (string, error) { return r.goDefault(pl.Go.Path, name) },
	}
}

// goDefault asks the go at path for its own default of GOPROXY or GOSUMDB.
func (r *Run) goDefault(path, name string) (string, error) {
	environ := slices.DeleteFunc(slices.Clone(r.Environ), func(entry string) bool { return strings.HasPrefix(entry, name+"=") })
	values, err := gocmd.EnvJSON(context.Background(), path, r.Dir, append(environ, "GOENV=off", "GOTOOLCHAIN=local"), name)
	if err != nil {
		return "", err
	}
	return values[name], nil
}

// chooseGo finds the go command: GOX_GO, else the toolchain of --go or the
// profile, else the first go in PATH that is not gox. Where a toolchain was
// chosen it returns what chose it.
func (r *Run) chooseGo(ctx context.Context, pl *Plan, install bool) (*profiles.Origin, error) {
	if path := r.Getenv("GOX_GO"); path != "" {
		return nil, r.obey(pl, path)
	}
	asked, root, chosen := r.Opts.GoVersion, "", profiles.Origin{Layer: profiles.Flag, Key: "--go " + r.Opts.GoVersion}
	if strings.ContainsAny(asked, `/\`) {
		root = Absolute(asked, r.Dir)
	}
	if v := pl.Profile.Go(); v != nil && asked == "" {
		asked, chosen = v.String(), profiles.Origin{Layer: profiles.InProfile, Pos: v.Pos, Profile: v.Profile, Key: "go"}
		if v.IsPath() {
			root = v.Path(r.Home)
		}
	}
	switch {
	case asked == "" || asked == "local":
		var err error
		pl.Go, err = r.FindGo()
		return nil, err
	case root != "":
		path := filepath.Join(root, "bin", exe("go"))
		if _, err := os.Stat(path); err != nil {
			return nil, &ExitError{Code: 127, Err: fmt.Errorf("%s: no go command in this GOROOT: %s", chosen, path)}
		}
		pl.Go = gocmd.At(path)
		return &chosen, nil
	case !profiles.IsGoVersion(asked):
		return nil, fmt.Errorf("%s: %q is no Go version\n\twrite 1.22 for the newest patch, 1.22.12, local, or the path of a GOROOT", chosen, asked)
	}
	store, err := r.Toolchains()
	if err != nil {
		return nil, err
	}
	toolchain, err := store.Lookup(asked)
	if errors.Is(err, fs.ErrNotExist) {
		if !install {
			pl.Missing = asked
			return &chosen, nil
		}
		toolchain, err = r.fetchOne(ctx, pl, store, asked)
	}
	if err != nil && chosen.Layer == profiles.InProfile {
		err = fmt.Errorf("%s: %w", chosen, err)
	}
	if err != nil {
		return nil, err
	}
	pl.Go = gocmd.Go{Path: toolchain.Go, GOROOT: toolchain.GOROOT, Version: toolchain.Version}
	return &chosen, nil
}

// BehindVariable holds, for a gox that a go behind the gateway runs, the
// GOPROXY that this go was given, a newline, and the one that it stands for.
const BehindVariable = "GOX_BEHIND"

// shimVariable names the go that stands in no GOROOT, such as a version
// manager's script, that gox has just become. If that script runs gox in turn,
// the search goes on behind it, and not for ever.
const shimVariable = "GOX_SHIM"

// FindGo returns the first go in PATH that is not gox.
func (r *Run) FindGo() (gocmd.Go, error) {
	dirs := filepath.SplitList(r.Getenv("PATH"))
	if shim := r.Getenv(shimVariable); shim != "" {
		if i := slices.Index(dirs, filepath.Dir(shim)); i >= 0 {
			dirs = dirs[i+1:]
		}
	}
	return gocmd.Find(strings.Join(dirs, string(filepath.ListSeparator)), r.Executable)
}

// obey takes the go that GOX_GO names.
func (r *Run) obey(pl *Plan, path string) error {
	path = Absolute(path, r.Dir)
	info, err := os.Stat(path)
	if err != nil {
		return &ExitError{Code: 127, Err: fmt.Errorf("GOX_GO=%s: no such file\n\tset it to the path of a go command, or unset it", path)}
	}
	if self, err := os.Stat(r.Executable); path == r.Getenv(shimVariable) || err == nil && os.SameFile(info, self) {
		return &ExitError{Code: 127, Err: fmt.Errorf("GOX_GO=%s: that is gox itself\n\tset it to the path of a go command, or unset it", path)}
	}
	pl.Go = gocmd.At(path)
	return nil
}

func exe(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

// ErrNoCache tells that gox has no place for what it downloads.
var ErrNoCache = errors.New("no cache directory is known\n\tset HOME, XDG_CACHE_HOME or GOX_CACHE")

// Modcaches is the store of gox's own module caches.
func (r *Run) Modcaches() modcache.Store { return modcache.Store{Root: r.CacheDir} }

// cacheDir returns an error where the verbs cannot use gox's cache directory.
func (r *Run) CheckCacheDir() error {
	if r.CacheDir == "" {
		return &ExitError{Code: ExitUsage, Err: ErrNoCache}
	}
	if info, err := os.Stat(r.CacheDir); err == nil && !info.IsDir() {
		return &ExitError{Code: ExitUsage, Err: fmt.Errorf("%s: not a directory\n\tmove that file away, or set GOX_CACHE to another directory", r.CacheDir)}
	}
	return nil
}

// cacheKey names the plan's isolated cache.
func (pl *Plan) cacheKey() string { return modcache.Key(pl.Cache.Name, pl.Cache.Sources) }

// setCache tells go where the module cache is.
func (pl *Plan) setCache(dir string) {
	pl.Env.Add(profiles.Setting{Name: "GOMODCACHE", Value: dir, Origin: pl.Cache.Origin})
}

// ForeseeCache sets GOMODCACHE to what a run would use, and touches nothing.
func (r *Run) ForeseeCache(pl *Plan) error {
	switch {
	case pl.Pinned || pl.Cache.Mode == profiles.Shared:
	case pl.Cache.Mode == profiles.Directory:
		pl.setCache(pl.Cache.Dir)
	case r.CacheDir == "":
		return ErrNoCache
	case pl.Cache.Mode == profiles.Isolated:
		pl.setCache(r.Modcaches().Path(pl.cacheKey()))
	case pl.Cache.Mode == profiles.Fresh:
		pl.setCache(Absolute("fresh/NEW/mod", r.CacheDir))
	}
	return nil
}

// Ask returns what go itself says of its variables in the plan's environment.
func (r *Run) Ask(ctx context.Context, pl *Plan) (map[string]string, error) {
	if pl.Go.Path == "" {
		return nil, nil
	}
	return gocmd.EnvJSON(ctx, pl.Go.Path, pl.Dir, pl.Env.Environ())
}
