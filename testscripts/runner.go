package testscripts

import (
	"context"
	"errors"
	"fmt"
	"go/version"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/redact"
	"github.com/rogpeppe/go-internal/testscript"
)

// A Runner runs scripts against one go command. It may be used for several
// scripts at once.
type Runner struct {
	// Go is the go command under test, an absolute path.
	Go string
	// Version is that of Go, as in "go1.22.12". If "", Go's place or Go itself
	// tells.
	Version string
	// GOCACHE is the build cache, shared by all scripts and versions: an
	// absolute path. If "", each run has one of its own, and so compiles the
	// standard library where it builds a program.
	GOCACHE string
	// Environ is the environment of the caller, of which scripts see only PATH
	// and, on Windows, what programs need there to start.
	Environ []string
	// Gox is the gox program, an absolute path, which the user's own scripts run
	// as "gox". If "", they cannot.
	Gox string
	// Repo is a directory of which each of the user's own scripts finds a copy at
	// $REPO, without .git. If "", there is none.
	Repo string
	// Downloads is a directory in the layout of a module proxy, such as
	// cache/download of the user's GOMODCACHE. The user's own scripts find its
	// path, not a copy, at $DOWNLOADS. If "", there is none.
	Downloads string
	// Dir holds the work directories. If "", the system's directory for
	// temporary files does.
	Dir string
	// Keep leaves the work directories behind.
	Keep bool
	// Verbose makes the transcript show all of a script, not only the phase
	// that failed.
	Verbose bool
	// Timeout is how long one script may take. Zero is two minutes, and ten for
	// the user's own, which may build what is large.
	Timeout time.Duration
}

// A Result is what one script said about one go.
type Result struct {
	Script  *Script
	Version string // of the go under test, as in "go1.22.12"
	// Err is nil where everything was as the script says, and where there was
	// nothing to run.
	Err error
	// Skipped says why the script did not run, "" where it did: it has no
	// claim that applies to this go, or says itself that it cannot run here.
	Skipped    string
	Line       int    // of the script, where it failed; 0 where it did not, or the line is not known
	Fault      string // what was said there, "" likewise
	Transcript string
	Requests   []string // all requests of the last phase of records, in order
	Duration   time.Duration
	WorkDir    string // where Keep left it
}

// ErrDeviates is the Err of a Result whose script saw something else than its
// header and its commands say.
var ErrDeviates = errors.New("not as the script says")

// Run runs s. It never fails by itself: what goes wrong is in the Result.
// errors.Is(res.Err, ErrDeviates) holds where the script ran and was not
// content; where it ran out of its time, context.DeadlineExceeded holds too.
func (r *Runner) Run(ctx context.Context, s *Script) Result {
	start := time.Now()
	res := Result{Script: s, Version: r.Version}
	res.Err = r.run(ctx, s, &res)
	res.Duration = time.Since(start)
	return res
}

func (r *Runner) run(ctx context.Context, s *Script, res *Result) error {
	timeout := r.Timeout
	if timeout == 0 {
		timeout = 2 * time.Minute
		if s.own {
			timeout = 10 * time.Minute
		}
	}
	caller := ctx
	ctx, cancel := context.WithTimeout(caller, timeout)
	defer cancel()
	v, err := r.GoVersion(ctx)
	if err != nil {
		return err
	}
	res.Version = v
	applicable := false
	for _, c := range s.Claims {
		applicable = applicable || c.Verdict(res.Version) != NotApplicable
	}
	if !applicable {
		res.Skipped = s.Claims[0].Reason
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// TMPDIR may be a symbolic link, as on macOS; go shows its target.
	root, err := os.MkdirTemp(r.Dir, "gox-script-")
	if err != nil {
		return err
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return err
	}
	if err := checkDir(root); err != nil {
		os.Remove(root)
		return err
	}
	if r.Keep {
		res.WorkDir = filepath.Join(root, "script-"+s.Name)
	} else {
		defer removeAll(root)
	}
	file := filepath.Join(root, s.Name+".txtar")
	if err := os.WriteFile(file, s.commands(), 0o666); err != nil {
		return err
	}
	w, err := newWorld(ctx)
	if err != nil {
		return err
	}
	defer w.shut()
	p := &play{Runner: r, script: s, version: res.Version, world: w, ctx: ctx}
	t := &scriptT{verbose: r.Verbose}
	t.start(func() {
		testscript.RunT(t, testscript.Params{
			Files:               []string{file},
			WorkdirRoot:         root,
			Setup:               p.setup,
			Condition:           p.condition,
			Cmds:                p.commands(),
			RequireExplicitExec: true,
			RequireUniqueNames:  true,
			// Later than ours, at which the servers end, so that nothing waits for
			// them any more. Then it kills.
			Deadline: time.Now().Add(timeout*5/4 + time.Second),
		})
	})
	records, _ := w.of(allServers)
	for _, rec := range records {
		res.Requests = append(res.Requests, rec.String())
	}
	res.Transcript = strings.ReplaceAll(t.log.String(), file+":", s.File+":")
	if t.failed {
		res.Transcript += w.account() + "\n"
	}
	res.Transcript = withoutPasswords(res.Transcript)
	res.locate()
	res.Skipped = t.skipped
	switch {
	case !t.failed:
		return nil
	case caller.Err() != nil:
		return fmt.Errorf("%s: %w", s.File, caller.Err())
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w: not done after %v: %w", s.File, ErrDeviates, timeout, ctx.Err())
	}
	return fmt.Errorf("%s: %w", s.File, ErrDeviates)
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// withoutPasswords masks what a profile in a repository may bring into a URL.
// redact.Text would mask queries too, and ?go-get=1 has to be seen.
func withoutPasswords(text string) string {
	return regexp.MustCompile(`://[^/\s@"']*:[^/\s@"']*@`).ReplaceAllString(text, "://"+redact.Mask+"@")
}

// locate finds out from the transcript where the script failed.
func (res *Result) locate() {
	prefix := "FAIL: " + res.Script.File + ":"
	for line := range strings.Lines(res.Transcript) {
		at, fault, ok := strings.Cut(strings.TrimPrefix(line, prefix), ": ")
		if n, isNumber := number(at); ok && isNumber && strings.HasPrefix(line, prefix) {
			res.Line, res.Fault = n, strings.TrimSpace(fault)
			return
		}
	}
}

// GoVersion returns the version of the go under test, as in "go1.22.12".
func (r *Runner) GoVersion(ctx context.Context) (string, error) {
	if r.Version != "" {
		return r.Version, nil
	}
	v := gocmd.At(r.Go).Version
	if v == "" {
		env, err := gocmd.EnvJSON(ctx, r.Go, "", append(r.inherited(), "GOENV=off", "GOTOOLCHAIN=local", "GOCACHE=off"), "GOVERSION")
		if err != nil {
			return "", err
		}
		v = env["GOVERSION"]
	}
	// "devel go1.28-4f2c1a9 Thu Oct 1 …", "go1.26.1 X:nocoverageredesign"
	for field := range strings.FieldsSeq(v) {
		if field, _, _ = strings.Cut(field, "-"); version.IsValid(field) {
			return field, nil
		}
	}
	return "", fmt.Errorf("%s: %q is not a go version", r.Go, v)
}

// condition answers the conditions that testscript does not know.
func (p *play) condition(cond string) (bool, error) {
	cond = p.script.canonical(cond)
	if err := p.script.checkCondition(cond); err != nil {
		return false, err
	}
	switch kind, arg, _ := strings.Cut(cond, ":"); kind {
	case "holds":
		return p.script.claim(arg).Verdict(p.version) == Holds, nil
	case "na":
		return p.script.claim(arg).Verdict(p.version) == NotApplicable, nil
	case "go":
		return compare(p.version, "go"+arg) >= 0, nil
	}
	return false, errors.New("unknown condition")
}

// scriptT is the testscript.T of one script outside a test.
type scriptT struct {
	verbose bool

	mu      sync.Mutex
	log     strings.Builder
	failed  bool
	skipped string
}

// start runs f to its end, or to that which FailNow or Skip make.
func (t *scriptT) start(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (t *scriptT) Run(_ string, f func(testscript.T)) { t.start(func() { f(t) }) }
func (t *scriptT) Verbose() bool                      { return t.verbose }
func (t *scriptT) Parallel()                          {}

func (t *scriptT) Log(args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintln(&t.log, args...)
}

func (t *scriptT) Fatal(args ...any) {
	t.Log(args...)
	t.FailNow()
}

func (t *scriptT) FailNow() {
	t.failed = true
	runtime.Goexit()
}

func (t *scriptT) Skip(args ...any) {
	if t.skipped = strings.TrimSpace(fmt.Sprintln(args...)); t.skipped == "" {
		t.skipped = "the script skips itself"
	}
	runtime.Goexit()
}

// link makes the program at from known as to.
func link(from, to string) error {
	if os.Symlink(from, to) == nil {
		return nil
	}
	return copyFile(to, from, 0o777) // Windows asks for a privilege to link
}

// copyTree copies the directory from to to, which must not exist. Symbolic
// links stay as they are; what is neither that, a file nor a directory is left
// out, and .git too, and the copy itself, should it stand in there.
func copyTree(to, from string) error {
	var copied fs.FileInfo // to itself
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.Name() == ".git" && d.IsDir():
			return fs.SkipDir
		case d.Name() == ".git":
			return nil
		case d.IsDir():
			if copied != nil {
				if info, err := d.Info(); err == nil && os.SameFile(info, copied) {
					return fs.SkipDir
				}
				return os.Mkdir(target, 0o777)
			}
			if err := os.Mkdir(target, 0o777); err != nil {
				return err
			}
			copied, err = os.Lstat(target)
			return err
		case d.Type() == fs.ModeSymlink:
			link, err := os.Readlink(name)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		case d.Type().IsRegular():
			fi, err := d.Info()
			if err != nil {
				return err
			}
			return copyFile(target, name, fi.Mode().Perm()|0o200)
		}
		return nil
	})
}

func copyFile(to, from string, perm fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// removeAll removes what go leaves read-only too.
func removeAll(dir string) error {
	filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(name, 0o777)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
