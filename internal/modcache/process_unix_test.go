//go:build unix

package modcache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/gox/internal/owned"
)

// The test binary is also the processes that share a store: those that the
// tests start with role set in their environment.
const (
	role   = "MODCACHE_TEST_ROLE"
	nobody = 65534
)

func TestMain(m *testing.M) {
	r := os.Getenv(role)
	if r == "" {
		os.Exit(m.Run())
	}
	if err := play(r, os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// play is main for the processes under test. They stop before their work and
// after it for as long as their standard input stays open.
func play(role, root string, args []string) error {
	s := Store{Root: root}
	wait := func() { io.Copy(io.Discard, os.Stdin) }
	switch role {
	case "use":
		wait()
		dir, err := s.Use(args[0], map[string]string{"profile": "office"})
		if err == nil {
			// As go would: a cache that is not there yet, or no more, is made.
			err = os.MkdirAll(filepath.Join(dir, "cache"), 0o777)
		}
		fmt.Println(dir)
		return err
	case "fresh":
		wait()
		f, err := s.Fresh(nil)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(f.GOMODCACHE(), "cache"), 0o777); err != nil {
			return err
		}
		return f.Close()
	case "owner": // gox: takes a fresh cache and starts a go command
		f, err := s.Fresh(nil)
		if err != nil {
			return err
		}
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		cmd := exec.Command(exe, root, f.GOMODCACHE())
		cmd.Env = append(os.Environ(), "MODCACHE_TEST_ROLE=run")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		return errors.Join(cmd.Run(), f.Close(), errors.New("not killed"))
	case "run": // go: writes into it as long as its input lasts
		if err := os.MkdirAll(args[0], 0o777); err != nil {
			return err
		}
		fmt.Println(args[0])
		wait()
		return nil
	case "readonly": // everything about a cache with read-only directories
		key := "k-1"
		for _, kind := range []string{"isolated", "fresh"} {
			var dir string
			var f *Fresh
			var err error
			if kind == "isolated" {
				dir, err = s.Use(key, nil)
			} else if f, err = s.Fresh(nil); err == nil {
				dir = f.GOMODCACHE()
			}
			sealed := filepath.Join(dir, "m@v1.0.0", "sub")
			err = errors.Join(err,
				os.MkdirAll(sealed, 0o777),
				os.WriteFile(filepath.Join(sealed, "a.go"), nil, 0o444),
				os.Chmod(sealed, 0o555),
				os.Chmod(filepath.Dir(sealed), 0o555))
			if os.Remove(filepath.Join(sealed, "a.go")) == nil {
				return errors.New("file modes do not count here")
			}
			if f != nil {
				err = errors.Join(err, f.Close())
			} else {
				err = errors.Join(err, s.Remove(key))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("no role %q", role)
}

// process prepares a process of the test binary.
func process(t testing.TB, r, root string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append([]string{root}, args...)...)
	cmd.Env = append(os.Environ(), role+"="+r)
	return cmd
}

// asNobody makes cmd a process for which file modes count. go test builds
// where only the user may go, so it gets a copy of the binary.
func asNobody(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if os.Getuid() != 0 {
		return // they count already
	}
	binary, err := os.ReadFile(cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Path = filepath.Join(openDir(t), "modcache.test")
	if err := os.WriteFile(cmd.Path, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd.Dir = filepath.Dir(cmd.Path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// openDir returns a directory that everybody may search; t.TempDir is not.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "modcache-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// stampede runs n processes in role r at the same moment and kills some of
// them at moments of their own. It returns what the others printed.
func stampede(t *testing.T, n, kill int, r, root string, args ...string) []string {
	t.Helper()
	gate, open, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close()
	cmds := make([]*exec.Cmd, n)
	outs := make([]bytes.Buffer, n)
	for i := range cmds {
		cmds[i] = process(t, r, root, args...)
		cmds[i].Stdin, cmds[i].Stdout, cmds[i].Stderr = gate, &outs[i], &outs[i]
		if err := cmds[i].Start(); err != nil {
			open.Close()
			t.Fatal(err)
		}
	}
	open.Close()
	doomed := make(map[int]bool)
	for _, i := range rand.Perm(n)[:kill] {
		doomed[i] = true
		cmds[i].Process.Kill()
	}
	var printed []string
	for i, cmd := range cmds {
		if err := cmd.Wait(); !doomed[i] {
			if err != nil {
				t.Errorf("process %d: %v: %s", i, err, outs[i].String())
			}
			printed = append(printed, strings.TrimSpace(outs[i].String()))
		}
	}
	return printed
}

func TestUseStampede(t *testing.T) {
	for _, kill := range []int{0, 60} {
		t.Run(fmt.Sprintf("%d killed", kill), func(t *testing.T) {
			s := Store{Root: filepath.Join(t.TempDir(), "gox")}
			key := Key("office", nil)
			printed := stampede(t, 200, kill, "use", s.Root, key)
			if len(printed) != 200-kill {
				t.Errorf("%d processes came through, want %d", len(printed), 200-kill)
			}
			for _, dir := range printed {
				if dir != s.Path(key) {
					t.Errorf("a process used %q, want %s", dir, s.Path(key))
				}
			}
			// What the killed left is a few bytes that wait an hour for a sweep.
			old := time.Now().Add(-2 * time.Hour)
			left, _ := filepath.Glob(s.isolated(".tmp-*"))
			for _, dir := range left {
				if err := os.Chtimes(dir, old, old); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("left by the killed: %d", len(left))
			if _, err := s.Prune(context.Background(), PruneOptions{}); err != nil {
				t.Error(err)
			}
			if got := names(t, s.isolated("")); got != key {
				t.Errorf("in <root>/mod: %s", got)
			}
			if e := list(t, s); len(e) != 1 || e[0].Key != key || e[0].Profile != "office" {
				t.Errorf("List = %+v", e)
			}
		})
	}
}

func TestFreshStampede(t *testing.T) {
	s := Store{Root: filepath.Join(t.TempDir(), "gox")}
	stampede(t, 100, 50, "fresh", s.Root)
	old := time.Now().Add(-2 * time.Hour)
	left, _ := filepath.Glob(s.fresh(".tmp-*"))
	for _, dir := range left {
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("left by the killed: %q", names(t, s.fresh("")))
	if _, err := s.Prune(context.Background(), PruneOptions{}); err != nil {
		t.Error(err)
	}
	if got := names(t, s.fresh("")); got != "" {
		t.Errorf("left: %s", got)
	}
}

// A killed gox leaves its fresh cache to the go command that still runs in it.
// When that ends, the cache is anybody's to remove.
func TestFreshOutlivesItsOwner(t *testing.T) {
	for how, sweep := range map[string]func(s Store) error{
		"Fresh": func(s Store) error {
			f, err := s.Fresh(nil)
			if err != nil {
				return err
			}
			return f.Close()
		},
		"Prune":  func(s Store) error { _, err := s.Prune(context.Background(), PruneOptions{}); return err },
		"Remove": func(s Store) error { return s.Remove(list(t, s)[0].Key) },
	} {
		t.Run(how, func(t *testing.T) {
			s := Store{Root: t.TempDir()}
			cmd := process(t, "owner", s.Root)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line := make([]byte, 4096)
			n, err := stdout.Read(line) // from the go command: it runs
			if err != nil {
				t.Fatal(err)
			}
			dir := strings.TrimSpace(string(line[:n]))
			lock, err := os.Open(filepath.Dir(dir) + lockSuffix)
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Close()
			cmd.Process.Kill()
			cmd.Process.Wait() // and not cmd.Wait, which would close the pipes

			if err := sweep(s); how == "Remove" && !errors.Is(err, owned.ErrHeld) || how != "Remove" && err != nil {
				t.Errorf("while go runs: %v", err)
			}
			if _, err := os.Stat(dir); err != nil {
				t.Errorf("removed while go still runs: %v", err)
			}
			if e := list(t, s); len(e) != 1 || e[0].Dir != dir || !e[0].InUse {
				t.Errorf("while go runs: %+v", e)
			}

			stdin.Close()
			if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil { // until go has ended
				t.Fatal(err)
			}
			lock.Close()
			if e := list(t, s); len(e) != 1 || e[0].InUse {
				t.Errorf("when go has ended: %+v", e)
			}
			if err := sweep(s); err != nil {
				t.Error(err)
			}
			if got := names(t, s.fresh("")); got != "" {
				t.Errorf("left: %s", got)
			}
		})
	}
}

func TestReadOnlyDirectories(t *testing.T) {
	root := filepath.Join(openDir(t), "gox")
	if err := os.Mkdir(root, 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := process(t, "readonly", root)
	if asNobody(t, cmd); os.Getuid() == 0 {
		if err := os.Chown(root, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if got := names(t, filepath.Join(root, "mod")) + names(t, filepath.Join(root, "fresh")); got != "" {
		t.Errorf("left: %s", got)
	}
}

func TestNotWritable(t *testing.T) {
	for _, test := range []struct{ name, role, want string }{
		{"isolated", "use", "$R: permission denied\n\tset GOX_CACHE to a directory that you may write to\n"},
		{"fresh", "fresh", "$R: permission denied\n\tset GOX_CACHE to a directory that you may write to\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			parent := openDir(t)
			if err := os.Chmod(parent, 0o555); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(parent, 0o755) })
			root := filepath.Join(parent, "gox")
			cmd := process(t, test.role, root, "k-1")
			asNobody(t, cmd)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			if err := cmd.Run(); err == nil {
				t.Error("it succeeded")
			}
			if got := strings.ReplaceAll(stderr.String(), root, "$R"); got != test.want {
				t.Errorf("error:\n%swant:\n%s", got, test.want)
			}
			if got := names(t, parent); got != "" {
				t.Errorf("left: %s", got)
			}
		})
	}
	t.Run("made by somebody else", func(t *testing.T) {
		// An image's cache, filled by root: go may need nothing more.
		root := filepath.Join(openDir(t), "gox")
		s := Store{Root: root}
		if err := os.MkdirAll(filepath.Join(use(t, s, "k-1"), "cache"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{root, s.isolated(""), s.isolated("k-1")} {
			if err := os.Chmod(dir, 0o555); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(dir, 0o755) })
		}
		cmd := process(t, "use", root, "k-1")
		asNobody(t, cmd)
		if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != s.Path("k-1") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// A write that fails half way leaves nothing, here by a limit on file sizes.
func TestWriteFails(t *testing.T) {
	for _, r := range []string{"use", "fresh"} {
		t.Run(r, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "gox")
			cmd := process(t, r, root, "k-1")
			cmd.Args = append([]string{"sh", "-c", `trap "" XFSZ; ulimit -f 0; exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
			sh, err := exec.LookPath("sh")
			if err != nil {
				t.Skip(err)
			}
			cmd.Path = sh
			out, err := cmd.Output()
			stderr := ""
			if ee := (*exec.ExitError)(nil); errors.As(err, &ee) {
				stderr = string(ee.Stderr)
			}
			if err == nil || !strings.Contains(stderr, ": file too large\n\tset GOX_CACHE to ") {
				t.Errorf("%v: %s%s", err, out, stderr)
			}
			for _, dir := range []string{"mod", "fresh"} {
				if got := names(t, filepath.Join(root, dir)); got != "" {
					t.Errorf("left in %s: %s", dir, got)
				}
			}
		})
	}
}
