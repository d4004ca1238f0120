package wrap

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"example.com/gox/internal/envvar"
)

// A Process is all that gox takes from the process it was started as.
type Process struct {
	Args       []string // the first is the name gox was started under
	Environ    []string
	Executable string // gox itself, "" where unknown
	// Behind runs go behind the gateway and returns its exit code. nil before
	// the program is initialised.
	Behind func(ctx context.Context, r *Run, pl *Plan, args []string) (code int, err error)

	UID   int    // -1 where there are none
	Dir   string // the working directory, Absolute, "" where it is gone; -C moves it
	Shell string // the working directory of the caller, who reads relative paths from there

	// The user's directories. "" where the environment names none.
	Home, ConfigDir, CacheDir, StateDir string

	Stdin, Stdout, Stderr *os.File
}

// System returns the process as it is.
func System() *Process {
	p := &Process{
		Args: os.Args, Environ: os.Environ(), UID: os.Getuid(),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	// Without a directory or an executable gox can still run go.
	p.Executable, _ = os.Executable()
	p.Dir, _ = os.Getwd()
	p.Shell = p.Dir
	p.Home = known(os.UserHomeDir())
	p.ConfigDir = known(os.UserConfigDir())
	if dir := p.Getenv("GOX_CACHE"); dir != "" {
		p.CacheDir = Absolute(dir, p.Dir)
	} else if dir := known(os.UserCacheDir()); dir != "" {
		p.CacheDir = filepath.Join(dir, "gox")
	}
	p.StateDir = p.stateDir()
	return p
}

// known returns a directory of the user's, "" where there is none. A relative
// one, of HOME=x, would be another in each directory, and in a cloned
// repository somebody else's.
func known(dir string, err error) string {
	if err != nil || !filepath.IsAbs(dir) {
		return ""
	}
	return dir
}

// stateDir returns where gox remembers what the user allowed. Go has no
// os.UserStateDir; this follows the XDG base directories and, elsewhere, the
// local application data.
func (p *Process) stateDir() string {
	base := ""
	switch runtime.GOOS {
	case "windows":
		base = known(p.Getenv("LOCALAPPDATA"), nil)
	case "darwin", "ios":
		base = p.ConfigDir
	default:
		base = p.Getenv("XDG_STATE_HOME")
		if !filepath.IsAbs(base) {
			base = ""
			if p.Home != "" {
				base = filepath.Join(p.Home, ".local", "state")
			}
		}
	}
	if base == "" {
		return ""
	}
	return filepath.Join(base, "gox")
}

// Getenv returns the value of a variable, "" where it is not set.
func (p *Process) Getenv(name string) string { return envvar.Get(p.Environ, name) }

// InDir returns p as it would be, started in dir.
func (p *Process) InDir(dir string) *Process {
	q := *p
	q.Dir = dir
	q.Environ = append([]string{}, p.Environ...)
	set := false
	for i, entry := range q.Environ {
		if strings.HasPrefix(entry, "PWD=") {
			q.Environ[i], set = "PWD="+dir, true
		}
	}
	if !set {
		q.Environ = append(q.Environ, "PWD="+dir)
	}
	return &q
}

// Absolute returns path as seen from dir.
func Absolute(path, dir string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}
