// Package sandbox closes a workspace of Go modules: it copies it into a folder
// of its own, with its own HOME, module cache, temporary folder, git
// configuration and a pinned toolchain, so that what go does there is the same
// on any machine, at any path, and nothing of the host leaks in or out.
//
//	s, err := sandbox.New(ctx, sandbox.Config{From: "/src/work", Go: "1.22"})
//	…
//	defer s.Close()
//	out, err := s.Go(ctx, "test", "./...")
//
// In a test, ForTest does the closing. A sandbox with a Name is kept, and Open
// opens it again. The command gox sandbox works on the same sandboxes.
//
// The zero Config will do; what it needs it finds: a go command in PATH, which
// fetches the toolchain once where gox's cache does not have it, the system's git
// where the folder to copy is a checkout, and /bin/sh. Modules are taken from
// this machine where their hashes are those of go.sum, else from the sources that
// the profile names.
//
// A manifest in the sandbox says what it is made of: toolchain, variables,
// modules, files, each with its hash. Verify builds all of it a second time, at
// another path, and compares.
//
// A sandbox keeps go from being led astray by the host; it is no prison for
// hostile programs, which can read whatever the user can.
package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"example.com/gox/internal/envvar"
	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/modstore"
	"example.com/gox/internal/owned"
)

// What stands in a sandbox, beside gox's marker.
const (
	lockFile     = "lock"
	manifestFile = "manifest.toml"
	secretsFile  = "secrets.json" // values of variables that the manifest masks
	sumsFile     = "tree.sum"     // the hash of each file of the workspace, as it was made
	treeDir      = "tree"         // the workspace
	originDir    = "origin"       // as it was made: see origin.go
	gorootFile   = "goroot"       // the path of a toolchain that is not from gox's store
	guardFile    = "go.mod"       // keeps go from looking for a go.mod further up
)

// kind is that of a sandbox's marker.
const kind = "sandbox"

// newPrefix begins the names of sandboxes that are being made, and of those
// that have none. Whoever holds the lock in one is still at it.
const newPrefix = ".new-"

// A Sandbox is a closed workspace. Its methods may be called concurrently.
type Sandbox struct {
	name      string // "" for one that is gone after Close
	dir       string
	cache     string // gox's cache directory
	build     string // the shared build cache
	manifest  Manifest
	variables []Variable // with their secrets
	toolchain toolchain
	lock      *owned.Lock // nil once closed
	keep      bool
	net       network
	warmth    Warmth
	index     *index // nil for a sandbox that stands
	unloaded  bool   // there are packages that do not load
	log       func(format string, args ...any)
	progress  func(format string, args ...any)
}

// begin returns a sandbox that is not on disk yet, and where it will stand at
// last, "" for one without a name. Where something stands already is an error;
// what was killed there before is removed.
func (c *Config) begin() (s *Sandbox, final string, err error) {
	if runtime.GOOS == "windows" {
		return nil, "", fmt.Errorf("%s: %w on Windows\n\tuse it on Linux or macOS", c.label(), errors.ErrUnsupported)
	}
	cache, err := c.cache()
	if err != nil {
		return nil, "", err
	}
	store := filepath.Join(cache, kind)
	final = c.Dir
	if c.Name != "" {
		final = filepath.Join(store, c.Name)
	}
	if final != "" {
		if err := c.vacant(final); err != nil {
			return nil, "", err
		}
	}
	sweep(store)
	return &Sandbox{
		name: c.Name, cache: cache, build: filepath.Join(cache, "build"), keep: c.Keep,
		log: c.log, progress: c.progress, net: c.network(),
	}, final, nil
}

// parent returns the directory in which a sandbox is made.
func (c *Config) parent(cache string) string {
	if c.Dir != "" {
		return filepath.Dir(c.Dir)
	}
	return filepath.Join(cache, kind)
}

// New makes a sandbox. It stands whole or not at all; what a New that was
// killed has left is removed by the next one.
//
// With a Name, errors.Is(err, fs.ErrExist) holds where there is a sandbox of
// that name.
func New(ctx context.Context, c Config) (*Sandbox, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	s, final, err := c.begin()
	if err != nil {
		return nil, err
	}
	if s.toolchain, err = c.chooseGo(ctx, s.cache); err != nil {
		return nil, err
	}
	if err := s.stage(c.parent(s.cache)); err != nil {
		return nil, err
	}
	if err := s.make(ctx, &c); err != nil {
		if full := mend(s.dir, err); full != nil {
			err = full
		}
		return nil, errors.Join(fmt.Errorf("%s: %w", c.label(), err), s.discard())
	}
	if final != "" {
		old := s.ModCache()
		err := s.settle(&c, final)
		if err == nil {
			err = s.store().Moved(ctx, old, s.ModCache())
		}
		if err != nil {
			if !errors.Is(err, fs.ErrExist) {
				err = fmt.Errorf("%s: %w", c.label(), err)
			}
			return nil, errors.Join(err, s.discard())
		}
	}
	return s, nil
}

// vacant returns an error where something stands at dir. Only one that was
// named by its path may be an empty directory.
func (c *Config) vacant(dir string) error {
	switch entries, err := os.ReadDir(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, fs.ErrPermission):
		return err
	case err == nil && len(entries) == 0 && c.Dir != "":
		return nil
	}
	return &existError{c.label()}
}

type existError struct{ label string }

func (e *existError) Error() string {
	name := strings.TrimPrefix(e.label, "sandbox ")
	if filepath.IsAbs(name) {
		return e.label + ": something stands there already"
	}
	return fmt.Sprintf("%s: it exists already\n\tgox sandbox remove %s, or choose another name", e.label, name)
}
func (e *existError) Is(target error) bool { return target == fs.ErrExist }

// stage makes the directory of s, under a name that says it is not whole yet.
func (s *Sandbox) stage(parent string) error {
	if parent == filepath.Join(s.cache, kind) && os.MkdirAll(parent, 0o777) == nil { // else Make says why not
		owned.Spread(parent)
	}
	for {
		dir := filepath.Join(parent, newPrefix+strconv.FormatUint(rand.Uint64(), 36))
		if err := owned.Make(dir, owned.Marker{Kind: kind, Name: cmp.Or(s.name, filepath.Base(dir))}); err != nil {
			return err
		}
		lock, err := owned.TryLock(filepath.Join(dir, lockFile), false)
		if errors.Is(err, owned.ErrHeld) || errors.Is(err, fs.ErrNotExist) {
			continue // a sweeper was between the two
		}
		if err == nil {
			err = lock.Inherit()
		}
		if err != nil {
			return owned.Mend(dir, err)
		}
		s.dir, s.lock = dir, lock
		return nil
	}
}

// settle gives s, which is whole, its place.
func (s *Sandbox) settle(c *Config, final string) error {
	if c.Dir != "" {
		os.Remove(final) // the empty directory that may be there
	}
	if err := os.Rename(s.dir, final); err != nil {
		return cmp.Or(c.vacant(final), err)
	}
	s.dir = final
	if s.name != "" {
		return s.lock.Share()
	}
	return nil
}

// store returns the store of verified modules.
func (s *Sandbox) store() modstore.Store { return modstore.Store{Root: s.cache} }

// Dir returns the directory of the sandbox, with its manifest.
func (s *Sandbox) Dir() string { return s.dir }

// Tree returns the workspace in the sandbox.
func (s *Sandbox) Tree() string { return filepath.Join(s.dir, treeDir) }

// ModCache returns the module cache of the sandbox.
func (s *Sandbox) ModCache() string { return filepath.Join(s.dir, "mod") }

// Manifest returns what the sandbox is made of. It must not be changed.
func (s *Sandbox) Manifest() *Manifest { return &s.manifest }

// inside returns the directory of the workspace that dir names.
func (s *Sandbox) inside(dir string) string {
	return filepath.Join(s.Tree(), filepath.FromSlash(dir))
}

// goWork returns the go.work that governs dir, "off" for none.
func (s *Sandbox) goWork(dir string) string {
	for ; len(dir) >= len(s.Tree()); dir = filepath.Dir(dir) {
		file := filepath.Join(dir, "go.work")
		if fi, err := os.Stat(file); err == nil && !fi.IsDir() {
			return file
		}
	}
	return "off"
}

// A Command is a command to run inside.
type Command struct {
	// Args are the program and its arguments. "go" is the pinned one; another
	// program without a slash is looked up in the PATH inside.
	Args []string
	// Dir is a directory of the workspace, with slashes. "" is the WorkDir.
	Dir string
	// Env are further variables.
	Env []string

	// Nil is the null device.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Run runs a command inside and returns its exit code, 128+n where it died of
// signal n. The error tells that it did not start.
func (s *Sandbox) Run(ctx context.Context, c Command) (code int, err error) {
	cmd, err := s.command(c)
	if err != nil {
		return 0, err
	}
	return s.run(ctx, s.net, cmd)
}

func (s *Sandbox) command(c Command) (gocmd.Cmd, error) {
	dir := cmp.Or(c.Dir, s.manifest.Dir)
	if dir != "" && !filepath.IsLocal(filepath.FromSlash(dir)) {
		return gocmd.Cmd{}, fmt.Errorf("%s: not a directory of the workspace", c.Dir)
	}
	at := s.inside(dir)
	if fi, err := os.Stat(at); err != nil || !fi.IsDir() {
		return gocmd.Cmd{}, fmt.Errorf("%s: no such directory in the workspace of the sandbox\n\tls %s", dir, s.Tree())
	}
	env := append(s.Environ(dir), c.Env...)
	program, err := s.lookup(c.Args[0], at, env)
	if err != nil {
		return gocmd.Cmd{}, err
	}
	return gocmd.Cmd{
		Path: program, Args: c.Args[1:], Env: env, Dir: at, Stdin: c.Stdin, Stdout: c.Stdout, Stderr: c.Stderr,
	}, nil
}

// lookup finds a program as a shell inside would.
func (s *Sandbox) lookup(name, dir string, env []string) (string, error) {
	if name == "go" {
		return s.toolchain.Path, nil
	}
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return name, nil
	}
	path := envvar.Get(env, "PATH")
	for _, d := range filepath.SplitList(path) {
		file := filepath.Join(d, name)
		if fi, err := os.Stat(file); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", &gocmd.StartError{Path: name, Err: fmt.Errorf("not in the sandbox's PATH (%s): %w", path, fs.ErrNotExist)}
}

// Go runs go with args in the WorkDir and returns what it printed to its
// standard output. Where go fails the error is an *ExitError.
func (s *Sandbox) Go(ctx context.Context, args ...string) (stdout string, err error) {
	var out, errs bytes.Buffer
	code, err := s.Run(ctx, Command{Args: append([]string{"go"}, args...), Stdout: &out, Stderr: &errs})
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err == nil && code != 0 {
		err = &ExitError{Args: args, Code: code, Stderr: errs.String()}
	}
	return out.String(), err
}

// An ExitError tells that go ran and failed.
type ExitError struct {
	Args   []string
	Code   int // 128+n where it died of signal n
	Stderr string
}

func (e *ExitError) Error() string {
	text := fmt.Sprintf("go %s: exit code %d", strings.Join(e.Args, " "), e.Code)
	for line := range strings.Lines(strings.TrimSpace(e.Stderr)) {
		text += "\n\t" + strings.TrimSpace(line)
	}
	return text
}

// Close gives the sandbox up, and removes it where it has no Name and Keep was
// not asked for. Calls after a successful one do nothing.
func (s *Sandbox) Close() error {
	if s.lock == nil {
		return nil
	}
	if s.name == "" && !s.keep {
		return s.discard()
	}
	err := s.lock.Close()
	s.lock = nil
	return err
}

// discard removes s, whose lock is held.
func (s *Sandbox) discard() error {
	if err := owned.Remove(s.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := s.lock.Close()
	s.lock = nil
	return errors.Join(err, sweepOrigins(s.cache))
}

// Open opens a sandbox that stands: the one called c.Name, or the one at c.Dir.
// Of the other fields of c only Cache, Environ, Net, Allow and Helper count; any
// other is an error.
// As long as it is open nobody removes it.
//
// errors.Is(err, fs.ErrNotExist) holds where there is none.
func Open(ctx context.Context, c Config) (*Sandbox, error) {
	if only := (Config{Name: c.Name, Dir: c.Dir, Cache: c.Cache, Environ: c.Environ, Net: c.Net, Allow: c.Allow, Helper: c.Helper}); !reflect.DeepEqual(c, only) {
		return nil, errors.New("sandbox: Open takes Name or Dir, Cache, Environ, Net, Allow and Helper; what a sandbox is made of is settled by New")
	}
	if c.Name == "" && c.Dir == "" {
		return nil, errors.New("sandbox: Open wants a Name or a Dir")
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	cache, err := c.cache()
	if err != nil {
		return nil, err
	}
	dir := c.Dir
	if c.Name != "" {
		dir = filepath.Join(cache, kind, c.Name)
	}
	s := &Sandbox{name: cmp.Or(c.Name, filepath.Base(dir)), dir: dir, cache: cache, build: filepath.Join(cache, "build"), net: c.network()}
	if m, err := owned.Read(dir); errors.Is(err, fs.ErrNotExist) || err == nil && m.Kind != kind {
		return nil, &missingError{c.label()}
	} else if err != nil {
		return nil, err
	}
	lock, err := owned.TryLock(filepath.Join(dir, lockFile), true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &missingError{c.label()}
	}
	if err == nil {
		err = lock.Inherit()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.label(), err)
	}
	s.lock = lock
	if err := s.load(ctx, &c, cache); err != nil {
		lock.Close()
		return nil, fmt.Errorf("%s: %w", c.label(), err)
	}
	return s, nil
}

// load reads the manifest of s, and finds its toolchain.
func (s *Sandbox) load(ctx context.Context, c *Config, cache string) error {
	m, err := readManifest(s.dir)
	if err != nil {
		return err
	}
	s.manifest, s.variables = *m, m.Variables
	if m.Go.OS != runtime.GOOS || m.Go.Arch != runtime.GOARCH {
		return fmt.Errorf("it is for %s/%s, and this is %s/%s", m.Go.OS, m.Go.Arch, runtime.GOOS, runtime.GOARCH)
	}
	if goroot, err := os.ReadFile(filepath.Join(s.dir, gorootFile)); err == nil {
		if c.Go = string(goroot); !filepath.IsAbs(c.Go) { // it came with an archive
			c.Go = filepath.Join(s.dir, c.Go)
		}
	} else {
		c.Go = strings.TrimPrefix(m.Go.Version, "go")
	}
	if s.toolchain, err = c.chooseGo(ctx, cache); err != nil {
		return err
	}
	if s.toolchain.h1 != m.Go.Sum {
		return fmt.Errorf("%s: its hash is %s, and the manifest says %s", s.toolchain.GOROOT, s.toolchain.h1, m.Go.Sum)
	}
	return nil
}

// A missingError tells that there is no sandbox of that name.
type missingError struct{ label string }

func (e *missingError) Error() string        { return e.label + ": there is none\n\tgox sandbox list" }
func (e *missingError) Is(target error) bool { return target == fs.ErrNotExist }

// sweep removes what was left half made or half removed in the store.
func sweep(store string) error {
	entries, err := os.ReadDir(store)
	if err != nil {
		return nil // there is none yet
	}
	errs := []error{owned.Sweep(store)}
	for _, e := range entries {
		dir := filepath.Join(store, e.Name())
		fresh := strings.HasPrefix(e.Name(), newPrefix)
		if !e.IsDir() || !fresh && !remnant(dir) {
			continue
		}
		if remnant(dir) {
			owned.Adopt(dir, owned.Marker{Kind: kind, Name: e.Name()})
		}
		if err := remove(dir); !errors.Is(err, owned.ErrHeld) && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, sweepOrigins(filepath.Dir(store)))...)
}

// remnant reports whether dir has no marker, and nothing in it but what is made
// by a program that still ran inside when its sandbox was removed.
func remnant(dir string) bool {
	if _, err := owned.Read(dir); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !slices.Contains([]string{treeDir, "home", "tmp", "gopath", "mod"}, e.Name()) || !e.IsDir() {
			return false
		}
	}
	return err == nil && len(entries) > 0
}

// remove removes the sandbox at dir unless somebody has it open.
func remove(dir string) error {
	if _, err := owned.Read(dir); err != nil {
		return err
	}
	lock, err := owned.TryLock(filepath.Join(dir, lockFile), false)
	if err != nil {
		return err
	}
	return errors.Join(owned.Remove(dir), lock.Close())
}

// Remove removes the sandbox called name. errors.Is(err, fs.ErrNotExist) holds
// where there is none. One that a command runs in is refused.
func Remove(c Config) error {
	if err := CheckName(c.Name); err != nil {
		return err
	}
	cache, err := c.cache()
	if err != nil {
		return err
	}
	store := filepath.Join(cache, kind)
	defer sweep(store)
	switch err := remove(filepath.Join(store, c.Name)); {
	case errors.Is(err, fs.ErrNotExist):
		return &missingError{c.label()}
	case errors.Is(err, owned.ErrHeld):
		return fmt.Errorf("%s: not removed: %w\n\twait for it to end", c.label(), err)
	default:
		return err
	}
}
