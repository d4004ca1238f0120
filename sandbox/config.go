package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"

	"example.com/gox/internal/confine"
	"example.com/gox/internal/gocmd"
	"example.com/gox/profiles"
)

// Config says what to close, and how. The zero Config is an empty workspace
// under go's own defaults, with the version of the go in PATH, which is gone
// after Close.
type Config struct {
	// Name is that of a sandbox to keep: it stands in gox's cache directory
	// until it is removed, and Open finds it again. A letter or digit, then
	// letters, digits, ".", "_" and "-"; 64 bytes at most. With "" the sandbox
	// is gone after Close, or, should the process be killed, after the next New.
	Name string

	// Dir is where the sandbox is to stand, instead of in gox's cache directory:
	// an absolute path at which there is nothing yet, or an empty directory. It
	// does not go with Name. Close removes it.
	Dir string

	// From is the folder to copy: of a git checkout what git tracks and what it
	// does not ignore, else everything. "" starts empty.
	From string

	// WorkDir is the directory in the workspace where commands run that name
	// none, relative to From, with slashes. "" is the root.
	WorkDir string

	// Use names published modules, MODULE@VERSION each. Each is extracted,
	// writable, into the directory of its module path, and joined by go.work.
	Use []string

	// Files are written over what is copied: slash-separated paths in the
	// workspace, and their content.
	Files map[string]string

	// Go is the toolchain: a version as in 1.22 (the newest patch that is
	// installed, else published) or 1.22.12, out of gox's store and installed
	// there first where it is missing; or the path of a GOROOT, taken as it is.
	// "" is the version of the go in PATH.
	Go string

	// Profile decides go's variables. Nil is a profile that sets nothing.
	// Of the host's environment nothing counts.
	Profile *profiles.Profile

	// Env are further variables, NAME=VALUE, which count more than the profile.
	// Those that a sandbox is made of (HOME, GOMODCACHE, …) cannot be among them.
	Env []string

	// Cache is gox's cache directory, with toolchains, named sandboxes and
	// the build cache that sandboxes share. "" is the user's: GOX_CACHE, or gox
	// in os.UserCacheDir.
	Cache string

	// Environ is the host's environment. It tells where go and the user's
	// directories are, and how toolchains are fetched; nothing of it gets inside.
	// Nil is the process's own.
	Environ []string

	// Net is how much of the network commands inside can reach: "none", only what
	// they listen on themselves; "sources", besides, the profile's module proxies,
	// checksum database and private hosts, through a door that notes each use;
	// or "host". Linux enforces it, and elsewhere all but "host" is refused. What
	// makes the sandbox can always reach the sources. "" is "sources" where
	// Helper is given, else "host".
	Net string

	// Allow are further hosts that can be reached under "sources", each HOST (any
	// port of it) or HOST:PORT; in HOST "*" stands for any part. No manifest has
	// them: they are of this run, not of what is in the sandbox.
	Allow []string

	// Helper is the path of a gox program, without which nothing can be enforced.
	Helper string

	// Keep makes Close leave a sandbox without a name where it is.
	Keep bool

	// Log is told, in a line without a line feed, what the sandbox left out or
	// took along on its own account. Nil is nobody.
	Log func(line string)

	// Progress is told, as Log is, what takes long now. Nil is nobody.
	Progress func(line string)

	caches []string // more module caches in which modules may be at hand
}

// check returns what is wrong with c, all of it.
func (c *Config) check() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Name != "" {
		if err := CheckName(c.Name); err != nil {
			errs = append(errs, err)
		}
	}
	switch {
	case c.Dir == "":
	case c.Name != "":
		add("sandbox: Name (%s) and Dir (%s) exclude one another\n\ta named sandbox stands in gox's cache directory", c.Name, c.Dir)
	case !filepath.IsAbs(c.Dir):
		add("sandbox: Dir %s: not an absolute path", c.Dir)
	}
	if c.Net != "" {
		if n, err := confine.ParseNet(c.Net); err != nil {
			errs = append(errs, err)
		} else if n != confine.Host && c.Helper == "" {
			add("sandbox: Net %q is nothing that can be enforced without Helper, the path of a gox program", c.Net)
		}
	}
	for _, entry := range c.Allow {
		if err := confine.CheckAllow(entry); err != nil {
			errs = append(errs, err)
		}
	}
	if n := c.network().net; len(c.Allow) > 0 && n != confine.Sources {
		add("--allow %s: there is nothing to allow under --net %s\n\t--net sources", c.Allow[0], n)
	}
	if c.Keep && c.Name != "" {
		add("sandbox: Keep does not go with Name (%s)\n\ta named sandbox is kept until it is removed", c.Name)
	}
	if c.From != "" && !filepath.IsAbs(c.From) {
		add("sandbox: From %s: not an absolute path", c.From)
	}
	if c.Cache != "" && !filepath.IsAbs(c.Cache) {
		add("sandbox: Cache %s: not an absolute path", c.Cache)
	}
	if c.WorkDir != "" && !filepath.IsLocal(filepath.FromSlash(c.WorkDir)) {
		add("sandbox: WorkDir %s: not inside the workspace", c.WorkDir)
	}
	seen := map[string]string{}
	for _, use := range c.Use {
		path, version, ok := strings.Cut(use, "@")
		if err := module.CheckPath(path); !ok || version == "" || err != nil {
			add("--use %s: not of the form MODULE@VERSION\n\tas in --use golang.org/x/mod@v0.20.0", use)
			continue
		}
		if before, twice := seen[path]; twice {
			add("--use %s: %s is used already, at %s", use, path, before)
		}
		seen[path] = version
	}
	for name := range c.Files {
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			add("sandbox: Files %q: not inside the workspace", name)
		}
	}
	if c.Go != "" && !filepath.IsAbs(c.Go) {
		if err := gocmd.CheckSpec(c.Go); err != nil {
			errs = append(errs, err)
		}
	}
	for _, entry := range c.Env {
		name, _, ok := strings.Cut(entry, "=")
		if !ok || name == "" || strings.ContainsRune(entry, 0) {
			add("-e %q is not of the form NAME=VALUE", entry)
		}
		for _, v := range fixed() {
			if v.Name == name {
				add("-e %s: a sandbox decides %s itself", entry, name)
			}
		}
	}
	return errors.Join(errs...)
}

// CheckName returns an error unless name can be that of a sandbox. What it
// takes is one element of a path on every system.
func CheckName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if name == "" || len(name) > 64 || !strings.Contains(letters, name[:1]) || strings.Trim(name, letters+"._-") != "" {
		return fmt.Errorf("sandbox %q: no name for a sandbox\n\ta letter or digit, then letters, digits, '.', '_' and '-', 64 at most", name)
	}
	return nil
}

func (c *Config) log(format string, args ...any) {
	if c.Log != nil {
		c.Log(fmt.Sprintf(format, args...))
	}
}

func (c *Config) progress(format string, args ...any) {
	if c.Progress != nil {
		c.Progress(fmt.Sprintf(format, args...))
	}
}

// label names the sandbox in errors.
func (c *Config) label() string { return "sandbox " + cmp.Or(c.Name, c.Dir, "without a name") }
