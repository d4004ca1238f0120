//go:build unix

package cmd_test

import (
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/gox/internal/gotest"
	"example.com/gox/sandbox"
)

// A sandboxer runs gox sandbox on a tiny workspace.
type sandboxer struct {
	cache, source string
	environ       []string
}

func newSandboxer(t *testing.T) *sandboxer {
	t.Helper()
	gotest.Toolchain(t, sandboxGo)
	s := &sandboxer{cache: filepath.Join(t.TempDir(), "gox"), source: filepath.Join(t.TempDir(), "source")}
	if err := linkStores(t, s.cache); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"go.mod": "module example.test/m\n\ngo 1.18\n", "main.go": "package main\n\nfunc main() {}\n", "a/b/c": "c", "a/d": "d",
	} {
		file := filepath.Join(s.source, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	s.environ = append(scriptEnv(t, gotest.Toolchain(t, sandboxGo)), "HOME="+t.TempDir(), "GOX_CACHE="+s.cache)
	return s
}

func (s *sandboxer) command(args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(bin, "gox"), append([]string{"sandbox"}, args...)...)
	c.Dir, c.Env = s.source, s.environ
	return c
}

// gox returns how a run of gox sandbox ended, and what it said.
func (s *sandboxer) gox(t *testing.T, args ...string) (status, output string) {
	t.Helper()
	out, err := s.command(args...).CombinedOutput()
	exit, _ := err.(*exec.ExitError)
	if err != nil && exit == nil {
		t.Fatal(err)
	}
	return statusOf(exit), string(out)
}

// sourceNow is the workspace outside, as a listing of names and contents.
func (s *sandboxer) sourceNow(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(s.source, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		fmt.Fprintf(&b, "%s %q\n", name, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// whole checks a sandbox that has a name: all that is in one is there.
func (s *sandboxer) whole(t *testing.T, name string) {
	t.Helper()
	box, err := sandbox.Open(t.Context(), sandbox.Config{Name: name, Cache: s.cache})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	defer box.Close()
	if changes, err := box.Changes(); err != nil || len(changes) > 1 || len(changes) == 1 && changes[0].Path != "made" {
		t.Errorf("%s: not whole: %v %v", name, changes, err)
	}
	if m := box.Manifest(); m.Tree.Files != 4 || len(m.Main) != 1 {
		t.Errorf("%s: its manifest is not whole:\n%s", name, m.Marshal())
	}
}

// kills is how many processes a test kills before it is content.
var kills = flag.Int("kills", 120, "how many `processes` TestSandboxKilled kills")

// wholeArchive checks an archive that may be there: it can be read to its end.
func wholeArchive(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err == nil {
		_, err = io.Copy(io.Discard, z)
	}
	if err != nil {
		t.Errorf("%s: not whole: %v", file, err)
	}
}

// gox is killed at random points of making, using, carrying and removing
// sandboxes, a hundred times and more. What stands under a name is whole, an
// archive too, nothing outside has changed, and the next command clears up.
//
//	go test ./cmd -run SandboxKilled -v -kills 1000
func TestSandboxKilled(t *testing.T) {
	s := newSandboxer(t)
	before := s.sourceNow(t)
	archives := t.TempDir()
	archive := func(name string) string { return filepath.Join(archives, name+".tar.gz") }
	kinds := []struct {
		verb string
		args func(name string) []string
	}{
		{"create", func(name string) []string { return []string{"create", "--go", sandboxGo, name} }},
		{"export", func(name string) []string { return []string{"export", name, archive(name)} }},
		{"run", func(name string) []string { return []string{"run", name, "--", "sh", "-c", "echo x >made"} }},
		{"run, without a name", func(string) []string { return []string{"run", "--go", sandboxGo, "--", "sh", "-c", "echo x >made"} }},
		{"remove", func(name string) []string { return []string{"remove", name} }},
		{"import", func(name string) []string { return []string{"import", archive("probe"), name} }},
	}
	// How long each takes when it lives.
	took := make([]time.Duration, len(kinds))
	for i, kind := range kinds {
		start := time.Now()
		if status, out := s.gox(t, kind.args("probe")...); status != "0" {
			t.Fatalf("%s: status %s\n%s", kind.verb, status, out)
		}
		took[i] = time.Since(start)
	}
	s.gox(t, "remove", "probe")
	const workers = 4
	var group sync.WaitGroup
	var mu sync.Mutex
	runs, killed, each := 0, 0, make([]int, len(kinds))
	for w := range workers {
		group.Go(func() {
			name := fmt.Sprintf("box%d", w)
			for {
				mu.Lock()
				if killed >= *kills || runs > 10*(*kills) {
					mu.Unlock()
					return
				}
				runs++
				i := slices.Index(each, slices.Min(each))
				if rand.IntN(2) == 0 { // else what was killed least
					i = rand.IntN(len(kinds))
				}
				c := s.command(kinds[i].args(name)...)
				delay := time.Duration(rand.Int64N(int64(2 * took[i])))
				mu.Unlock()
				start := time.Now()
				if err := c.Start(); err != nil {
					t.Error(err)
					return
				}
				timer := time.AfterFunc(delay, func() { c.Process.Kill() })
				c.Wait()
				timer.Stop()
				mu.Lock()
				if c.ProcessState.ExitCode() < 0 {
					killed++
					each[i]++
				} else if c.ProcessState.Success() {
					took[i] = time.Since(start) // the machine may be busier now, or less
				}
				mu.Unlock()
				if _, err := os.Stat(filepath.Join(s.cache, "sandbox", name)); err == nil {
					s.whole(t, name)
				}
				wholeArchive(t, archive(name))
			}
		})
	}
	group.Wait()
	for i, kind := range kinds {
		t.Logf("%s: killed %d times", kind.verb, each[i])
		if each[i] < *kills/20 {
			t.Errorf("%s: that is too few", kind.verb)
		}
	}
	t.Logf("%d of %d were killed", killed, runs)
	if killed < *kills {
		t.Errorf("only %d of %d were killed before they had ended", killed, runs)
	}
	if after := s.sourceNow(t); after != before {
		t.Errorf("the workspace outside was\n%s\nand is\n%s", before, after)
	}
	for w := range workers {
		name := fmt.Sprintf("box%d", w)
		// A shell inside may outlive its gox by a moment.
		for status, out := s.gox(t, "remove", name); status != "0" && !strings.Contains(out, "there is none"); status, out = s.gox(t, "remove", name) {
			if !strings.Contains(out, "in use") {
				t.Fatalf("remove: status %s\n%s", status, out)
			}
		}
	}
	defer func() {
		entries, err := os.ReadDir(filepath.Join(s.cache, "origin"))
		for _, e := range entries {
			if e.IsDir() && !strings.HasPrefix(e.Name(), ".tmp-") {
				t.Errorf("left: origin/%s", e.Name())
			}
		}
		if err != nil || len(entries) == 0 { // the lock is there at least
			t.Errorf("origin: %v %v", entries, err)
		}
	}()
	for left := []string{"?"}; len(left) > 0; {
		if status, out := s.gox(t, "list"); status != "0" || out != "" {
			t.Fatalf("list: status %s\n%s", status, out)
		}
		entries, err := os.ReadDir(filepath.Join(s.cache, "sandbox"))
		if err != nil {
			t.Fatal(err)
		}
		left = nil
		for _, e := range entries {
			switch {
			case strings.HasPrefix(e.Name(), ".tmp-"): // a marker and no more; swept when it is an hour old
			case strings.HasPrefix(e.Name(), ".new-"): // in use by a go that has outlived its gox, and will not for long
				left = append(left, e.Name())
			default:
				t.Errorf("left: %s", e.Name())
			}
		}
	}
}

// Of several that make a sandbox of one name, one does, and the others say so.
func TestSandboxMadeTwice(t *testing.T) {
	s := newSandboxer(t)
	const n = 6
	var commands []*exec.Cmd
	var said [n]strings.Builder
	for i := range n {
		c := s.command("create", "--go", sandboxGo, "one")
		c.Stderr = &said[i]
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		commands = append(commands, c)
	}
	made := 0
	for i, c := range commands {
		err := c.Wait()
		switch {
		case err == nil:
			made++
		case c.ProcessState.ExitCode() != 1 || !strings.Contains(said[i].String(), "sandbox one: it exists already"):
			t.Errorf("%v\n%s", err, said[i].String())
		}
	}
	if made != 1 {
		t.Errorf("%d have made it", made)
	}
	s.whole(t, "one")
	if entries, err := os.ReadDir(filepath.Join(s.cache, "sandbox")); err != nil || len(entries) != 1 {
		t.Errorf("left beside it: %v %v", entries, err)
	}
}

// A signal ends what runs in a sandbox without a name, with its exit code, and
// the sandbox goes away all the same.
func TestSandboxSignalled(t *testing.T) {
	s := newSandboxer(t)
	c := s.command("run", "--go", sandboxGo, "--", "sh", "-c", "echo ready; exec sleep 600")
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if c.Wait(); c.ProcessState.ExitCode() != 128+15 {
		t.Errorf("it ended with %v", c.ProcessState)
	}
	if entries, err := os.ReadDir(filepath.Join(s.cache, "sandbox")); err != nil || len(entries) > 0 {
		t.Errorf("left: %v %v", entries, err)
	}
}
