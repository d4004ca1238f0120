//go:build unix

package cmd_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"example.com/gox/internal/gotest"
)

// linger is a program that says so when it runs, and then waits until its
// standard input ends. With the argument "graceful" it survives an interrupt.
const linger = `package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	interrupted := make(chan os.Signal, 1)
	if len(os.Args) > 1 {
		signal.Notify(interrupted, os.Interrupt)
	}
	fmt.Println("ready")
	go func() {
		<-interrupted
		fmt.Println("interrupted")
	}()
	io.Copy(io.Discard, os.Stdin)
	fmt.Println("done")
}
`

// A place is a main module, and the environment of those who work in it.
type place struct {
	dir   string
	env   []string
	cache string // gox's
}

func newPlace(t *testing.T, goPath string, files map[string]string) place {
	dir := t.TempDir()
	p := place{dir: filepath.Join(dir, "m"), cache: filepath.Join(dir, "gox")}
	files["go.mod"] += "module example.test/m\n\ngo 1.18\n"
	for name, text := range files {
		name = filepath.Join(p.dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	p.env = append(scriptEnv(t, goPath),
		"HOME="+dir,
		"TMPDIR="+t.TempDir(), // a go that is killed leaves its files there
		"GOPATH="+filepath.Join(dir, "gopath"),
		"GOX_CACHE="+p.cache,
	)
	return p
}

// run runs a program to its end and returns how it ended, as a script's status
// says it.
func (p place) run(t *testing.T, argv ...string) (status, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	cmd := p.command(argv...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	return end(t, cmd.Run()), out.String(), errs.String()
}

// command prepares a program that is found in the PATH of the place.
func (p place) command(argv ...string) *exec.Cmd {
	cmd := exec.Command("env", argv...)
	cmd.Dir, cmd.Env = p.dir, slices.Clone(p.env)
	return cmd
}

// end returns how a command ended with err.
func end(t *testing.T, err error) string {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return statusOf(exit)
}

// fresh returns what there is of fresh caches.
func (p place) fresh(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(p.cache, "fresh"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A running command, which has linger somewhere below it.
type running struct {
	*exec.Cmd
	hold   io.Closer // until it is closed, linger waits
	stdout *bufio.Reader
	stderr *os.File
}

// start starts a command and waits until linger runs.
func (p place) start(t *testing.T, cmd *exec.Cmd) *running {
	t.Helper()
	stdin, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		hold.Close()
		out.Close()
		stderr.Close()
	})
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	err = cmd.Start()
	stdin.Close()
	stdout.Close()
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Cmd: cmd, hold: hold, stdout: bufio.NewReader(out), stderr: stderr}
	r.says(t, "ready")
	return r
}

// says waits for a line.
func (r *running) says(t *testing.T, want string) {
	t.Helper()
	if line, err := r.stdout.ReadString('\n'); line != want+"\n" {
		t.Fatalf("it says %q (%v), want %q\n%s", line, err, want, r.errors(t))
	}
}

// errors returns what has come on stderr.
func (r *running) errors(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(r.stderr.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rest waits until every process of the tree has ended, or closed its stdout,
// and returns what they said.
func (r *running) rest(t *testing.T) string {
	t.Helper()
	text, err := io.ReadAll(r.stdout)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const freshProfile = "[profile.fresh]\nmodcache = \"fresh\"\n"

// on runs a test on the oldest and on the newest go.
func on(t *testing.T, test func(t *testing.T, goPath string)) {
	for _, v := range fidelityVersions {
		t.Run("go"+v, func(t *testing.T) { test(t, gotest.Toolchain(t, v)) })
	}
}

// A signal that is sent to gox alone, as by kill(1).
func TestSignalToGox(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		signal syscall.Signal
		want   string
		stays  bool // the fresh cache does
	}{
		{"terminate", []string{"gox"}, unix.SIGTERM, "SIGTERM", false},
		{"hang up", []string{"gox"}, unix.SIGHUP, "SIGHUP", false},
		{"kill", []string{"gox"}, unix.SIGKILL, "SIGKILL", false},
		{"terminate, fresh", []string{"gox", "-p", "fresh"}, unix.SIGTERM, "143", false},
		{"hang up, fresh", []string{"gox", "-p", "fresh"}, unix.SIGHUP, "129", false},
		{"kill, fresh", []string{"gox", "-p", "fresh"}, unix.SIGKILL, "SIGKILL", true},
	}
	on(t, func(t *testing.T, goPath string) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				p := newPlace(t, goPath, map[string]string{"main.go": linger, "profiles.toml": freshProfile})
				r := p.start(t, p.command(append(test.args, "run", ".")...))
				if err := r.Process.Signal(test.signal); err != nil {
					t.Fatal(err)
				}
				if got := end(t, r.Wait()); got != test.want {
					t.Errorf("status %s, want %s", got, test.want)
				}
				if text := r.errors(t); text != "" {
					t.Errorf("stderr %q", text)
				}
				if left := p.fresh(t); test.stays != (len(left) == 2) || !test.stays && left != nil {
					t.Errorf("fresh caches: %q", left)
				}
				// The program knows of nothing, as under go.
				r.hold.Close()
				if rest := r.rest(t); rest != "done\n" {
					t.Errorf("then %q", rest)
				}
			})
		}
	})
}

// What a gox that was killed leaves is kept as long as its go runs, and then
// removed by the next run with a fresh cache, or by gox cache prune.
func TestKilledLeavesToTheNext(t *testing.T) {
	on(t, func(t *testing.T, goPath string) {
		for name, remover := range map[string][]string{
			"run":   {"gox", "-p", "fresh", "version"},
			"prune": {"gox", "cache", "prune", "--unused-for", "0"},
		} {
			t.Run(name, func(t *testing.T) {
				p := newPlace(t, goPath, map[string]string{"main.go": linger, "profiles.toml": freshProfile})
				r := p.start(t, p.command("gox", "-p", "fresh", "run", "."))
				if err := r.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				end(t, r.Wait())
				left := p.fresh(t)
				if len(left) != 2 {
					t.Fatalf("fresh caches: %q, want one and its lock", left)
				}
				if status, _, text := p.run(t, remover...); status != "0" {
					t.Fatalf("status %s\n%s", status, text)
				}
				if still := p.fresh(t); !slices.Equal(still, left) {
					t.Fatalf("fresh caches: %q, want %q as long as go runs", still, left)
				}

				// Whoever gets the lock knows that go has ended.
				lock, err := os.Open(filepath.Join(p.cache, "fresh", left[1]))
				if err != nil {
					t.Fatal(err)
				}
				r.hold.Close()
				if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
					t.Fatal(err)
				}
				lock.Close()
				if status, _, text := p.run(t, remover...); status != "0" {
					t.Fatalf("status %s\n%s", status, text)
				}
				if still := p.fresh(t); still != nil {
					t.Errorf("fresh caches: %q, want none", still)
				}
			})
		}
	})
}
