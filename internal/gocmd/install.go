package gocmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/version"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"example.com/gox/internal/owned"
	"example.com/gox/internal/redact"
)

// modPath is the module whose versions are toolchains.
const modPath = "golang.org/toolchain"

// workPrefix begins the name of a directory that a download works in:
// workPrefix + what it is for + "-" + a random part. It is a random one because
// a go whose gox was killed may go on writing for a while; owned by the lock
// of what it is for, so that leftovers can be told from live ones.
const workPrefix = ".work-"

// workKind is that of its marker.
const workKind = "download"

// Install returns the toolchain of the release version, as Resolve returns it,
// and downloads it first where it is not installed. Of several installs of one
// release, in any processes, one downloads and the others wait for it.
//
// A toolchain stands whole or not at all. What an install that was killed left
// behind is removed by the next one, of any release.
func (t *Toolchains) Install(ctx context.Context, version string) (Toolchain, error) {
	v, err := release(version)
	if err != nil {
		return Toolchain{}, err
	}
	if t.stands(v) {
		return t.read(v)
	}
	var tc Toolchain
	err = t.work(ctx, v, func(dir string) error {
		if !t.stands(v) { // else another process installed it while this one waited
			if err := t.install(ctx, v, dir); err != nil {
				return err
			}
		}
		tc, err = t.read(v)
		return err
	})
	return tc, err
}

// install downloads the release v in dir and puts it in its place.
func (t *Toolchains) install(ctx context.Context, v, dir string) error {
	if _, err := os.Lstat(t.dir(v)); err == nil {
		return fmt.Errorf("%s: it stands there already, without a gox marker file\n\tmove it away", t.dir(v))
	}
	d, err := t.downloader(ctx, dir, "install "+display(v))
	if err != nil {
		return fmt.Errorf("go %s: %w", display(v), err)
	}
	module := modPath + "@v0.0.1-" + v + platform
	stop := t.watch(v, filepath.Join(d.modcache(), "cache", "download", filepath.FromSlash(modPath), "@v"))
	var answer struct{ Sum, Error string }
	err = runJSON(ctx, &answer, d.cmd("mod", "download", "-json", module))
	stop()
	if err == nil && answer.Error != "" {
		err = errors.New(answer.Error)
	}
	if err != nil {
		return t.failure(ctx, "go "+display(v), "not to be had", "install "+display(v), d, err)
	}
	goroot := filepath.Join(d.modcache(), filepath.FromSlash(module))
	if got := versionOf(goroot); got != v {
		return fmt.Errorf("go %s: not installed: what GOPROXY=%s serves is %q", display(v), d.shown, got)
	}
	size, err := Finish(goroot)
	if err != nil {
		return fmt.Errorf("go %s: %w", display(v), err)
	}
	stage := filepath.Join(dir, "stage")
	err = owned.Make(stage, owned.Marker{Kind: kind, Name: v, Info: map[string]string{
		"h1":         answer.Sum,
		"size":       strconv.FormatInt(size, 10),
		"goproxy":    d.shown,
		"gosumdb":    redact.Text(d.gosumdb),
		"downloader": d.version,
	}})
	if err == nil {
		err = os.Rename(goroot, filepath.Join(stage, "go"))
	}
	if err == nil {
		err = os.Rename(stage, t.dir(v))
	}
	if err != nil {
		return fmt.Errorf("go %s: %w", display(v), err)
	}
	t.progress(Progress{Version: v, Phase: Done})
	return nil
}

// available is Available with the GOPROXY that was asked, fit to be shown. again
// is the call that wants it, behind "gox toolchain".
func (t *Toolchains) available(ctx context.Context, again string) (versions []string, goproxy string, err error) {
	err = t.work(ctx, "", func(dir string) error {
		d, err := t.downloader(ctx, dir, again)
		if err != nil {
			return fmt.Errorf("go releases: %w", err)
		}
		goproxy = d.shown
		t.progress(Progress{Phase: Listing})
		var answer struct {
			Versions []string
			Error    *struct{ Err string }
		}
		// -retracted: no version can be, and to find that out go would ask for
		// more, the checksum database included.
		err = runJSON(ctx, &answer, d.cmd("list", "-m", "-versions", "-retracted", "-e", "-json", modPath))
		if err == nil && answer.Error != nil {
			err = errors.New(answer.Error.Err)
		}
		if err != nil {
			return t.failure(ctx, "go releases", "not to be listed", again, d, err)
		}
		for _, m := range answer.Versions {
			name, ok := strings.CutSuffix(strings.TrimPrefix(m, "v0.0.1-"), platform)
			if v, valid := parseRelease(name); ok && valid && v == name {
				versions = append(versions, v)
			}
		}
		if len(versions) == 0 {
			return &missingError{fmt.Sprintf("go releases: none for %s at GOPROXY=%s", platform[1:], d.shown)}
		}
		slices.SortFunc(versions, version.Compare)
		return nil
	})
	return versions, goproxy, err
}

// failure returns the error for what, which the go command of d could not get.
// again is what to call for another source, behind "gox toolchain".
func (t *Toolchains) failure(ctx context.Context, what, could, again string, d *downloader, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	if se := (*StartError)(nil); errors.As(err, &se) {
		return fmt.Errorf("%s: %w", what, err)
	}
	reason := err.Error()
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		if strings.Contains(reason, full.Error()) {
			return fmt.Errorf("%s: %s: %w\n\trun gox cache prune, or set GOX_CACHE to a directory with room", what, t.Dir, full)
		}
	}
	// The reason begins with the module, which the user has not asked for.
	if rest, ok := strings.CutPrefix(reason, modPath+"@"); ok {
		_, reason, _ = strings.Cut(rest, ": ")
	}
	reason, more, _ := strings.Cut(reason, "\n")
	return fmt.Errorf("%s: %s from GOPROXY=%s: %s%s\n\tto try another source: gox -p mirror toolchain %s",
		what, could, d.shown, redact.Text(strings.TrimPrefix(reason, "module "+modPath+": ")), detail(more), again)
}

// A downloader is a go command with the environment to download toolchains in.
type downloader struct {
	path    string
	dir     string
	env     []string
	version string
	gosumdb string
	shown   string // the user's GOPROXY, redacted
}

func (d *downloader) cmd(args ...string) Cmd {
	return Cmd{Path: d.path, Args: args, Env: d.env, Dir: d.dir}
}

// modcache returns the module cache to download to.
func (d *downloader) modcache() string { return filepath.Join(d.dir, "mod") }

// downloader returns the go command that downloads, with dir to work in. again
// is as for failure.
//
// The environment decides where a toolchain comes from, and nothing else: not
// whether it is verified. Whoever could make gox skip the checksum database
// could make it run any program.
func (t *Toolchains) downloader(ctx context.Context, dir, again string) (*downloader, error) {
	d := &downloader{path: t.Go, dir: dir}
	if d.path == "" {
		all, err := t.Installed()
		if err != nil {
			return nil, err
		}
		if len(all) == 0 {
			return nil, errors.New("there is no go to download it with\n\tinstall go, or set GOX_GO to a go program")
		}
		d.path = all[len(all)-1].Go
	}
	// A module of its own, lest a go.mod further up govern the command. Its
	// path must not be "toolchain", which go since 1.21 refuses.
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module download\n"), 0o666); err != nil {
		return nil, err
	}
	// Empty is unset where the `go env -w` file does not set it too; where it
	// does, "none" is what matches no module. With these and a GOSUMDB the
	// exceptions that go makes since 1.21 (GOPROXY is one file:// URL, or the
	// user agent is a module proxy's) are none: they only lift the demand that
	// there be a checksum database.
	d.env = append(slices.Clone(t.Env),
		"GOMODCACHE="+d.modcache(),
		"GOTOOLCHAIN=local", "GOROOT=", "GOEXPERIMENT=",
		"GOWORK=off", "GO111MODULE=on", "GOFLAGS=-modcacherw",
		"GONOSUMDB=none", "GOPRIVATE=none", "GONOPROXY=none", "GOINSECURE=none",
	)
	env, err := EnvJSON(ctx, d.path, dir, d.env, "GOPROXY", "GOSUMDB", "GOPATH", "GOVERSION")
	if err != nil {
		return nil, err
	}
	d.version, d.gosumdb = env["GOVERSION"], env["GOSUMDB"]
	d.shown = redact.Text(env["GOPROXY"])
	goproxy := proxies(env["GOPROXY"])
	if goproxy == "" {
		return nil, fmt.Errorf("GOPROXY=%s names no module proxy, and toolchains come from nowhere else\n\tgox -p mirror toolchain %s", d.shown, again)
	}
	if d.gosumdb == "" || d.gosumdb == "off" {
		def, err := EnvJSON(ctx, d.path, dir, append(slices.Clone(d.env), "GOENV=off", "GOSUMDB="), "GOSUMDB")
		if err != nil {
			return nil, err
		}
		if d.gosumdb = def["GOSUMDB"]; d.gosumdb == "" || d.gosumdb == "off" {
			return nil, fmt.Errorf("%s knows no checksum database, and a toolchain must be verified by one\n\tset GOSUMDB", d.path)
		}
	}
	d.env = append(d.env, "GOPROXY="+goproxy, "GOSUMDB="+d.gosumdb)
	if env["GOPATH"] == "" { // no HOME: what is known of the checksum database is kept there
		d.env = append(d.env, "GOPATH="+filepath.Join(dir, "gopath"))
	}
	return d, nil
}

// proxies returns the module proxies of a GOPROXY list, with their separators:
// what comes before "direct" or "off", from which no toolchain can be had.
func proxies(goproxy string) string {
	end := 0
	for i := 0; i < len(goproxy); {
		n := strings.IndexAny(goproxy[i:], ",|")
		if n < 0 {
			n = len(goproxy) - i
		}
		switch strings.TrimSpace(goproxy[i : i+n]) {
		case "direct", "off":
			i = len(goproxy)
		case "":
		default:
			end = i + n
		}
		i += n + 1
	}
	return strings.Trim(goproxy[:end], ",| \t")
}

// Finish makes of the module at goroot what go makes of it before it runs it:
// programs are executable, and each _go.mod, so called because a module cannot
// hold another, stands as go.mod too. It returns the size of all files.
func Finish(goroot string) (size int64, err error) {
	err = filepath.WalkDir(goroot, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		size += fi.Size()
		rel, err := filepath.Rel(goroot, path)
		if err != nil {
			return err
		}
		if rel = filepath.ToSlash(rel); isProgram(rel) && runtime.GOOS != "windows" {
			return os.Chmod(path, fi.Mode().Perm()|0o111)
		}
		if d.Name() == "_go.mod" {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			size += fi.Size()
			return os.WriteFile(filepath.Join(filepath.Dir(path), "go.mod"), data, fi.Mode().Perm())
		}
		return nil
	})
	return size, err
}

// isProgram reports whether the file at rel in a GOROOT is to be executable.
// lib holds scripts to run test binaries by.
func isProgram(rel string) bool {
	dir, name, _ := strings.Cut(rel, "/")
	ok := dir == "bin" || strings.HasPrefix(rel, "pkg/tool/")
	if dir == "lib" {
		ok, _ = filepath.Match("go_?*_?*_exec", filepath.Base(name))
	}
	return ok
}

// work calls f with a directory of its own to work in, and removes it
// afterwards. Only one f at a time works for version, which is "" for a list.
func (t *Toolchains) work(ctx context.Context, version string, f func(dir string) error) error {
	key := cmp.Or(version, "list")
	if err := os.MkdirAll(t.Dir, 0o777); err != nil {
		return t.storeError(err)
	}
	lock := flock.New(t.lock(key))
	locked, err := lock.TryLock()
	if err == nil && !locked {
		t.progress(Progress{Version: version, Phase: Waiting})
		_, err = lock.TryLockContext(ctx, 50*time.Millisecond)
	}
	if err != nil {
		return t.storeError(err)
	}
	defer lock.Close()
	t.sweep(key)
	dir := filepath.Join(t.Dir, workPrefix+key+"-"+strconv.FormatUint(rand.Uint64(), 36))
	if err := owned.Make(dir, owned.Marker{Kind: workKind, Name: key}); err != nil {
		return err
	}
	defer discard(dir)
	return f(dir)
}

// lock returns the file whose lock is that of key. It stays for ever: who
// removes a lock file may remove another's lock.
func (t *Toolchains) lock(key string) string { return filepath.Join(t.Dir, key+".lock") }

// storeError returns the error for the store, which cannot be used.
func (t *Toolchains) storeError(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: waiting for another install: %w", t.Dir, err)
	}
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return fmt.Errorf("%s: %w\n\tset GOX_CACHE to a directory that you may write to", pe.Path, pe.Err)
	}
	return fmt.Errorf("%s: %w", t.Dir, err)
}

// sweep removes what downloads that are no more have left. Its caller holds
// the lock of key.
func (t *Toolchains) sweep(key string) {
	owned.Sweep(t.Dir)
	entries, _ := os.ReadDir(t.Dir)
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), workPrefix)
		i := strings.LastIndexByte(rest, '-')
		if !ok || i < 0 || !e.IsDir() {
			continue
		}
		dir := filepath.Join(t.Dir, e.Name())
		if rest[:i] == key {
			discard(dir)
			continue
		}
		lock := flock.New(t.lock(rest[:i]))
		if locked, err := lock.TryLock(); err == nil && locked {
			discard(dir)
		}
		lock.Close()
	}
}

// discard removes a directory that work made, as far as it can; sweep will try
// again. The marker is missing where a go that survived its gox has written to
// a directory that was removed under it.
func discard(dir string) {
	if err := owned.Remove(dir); err != nil && owned.Adopt(dir, owned.Marker{Kind: workKind}) == nil {
		owned.Remove(dir)
	}
}
