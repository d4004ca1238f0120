package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"example.com/gox/internal/gotest"
)

// On a disk that is full at some point of New, there is no sandbox and nothing
// is left of one, and the error says how to go on. With room enough there is one.
func TestDiskFull(t *testing.T) {
	c := config(t)
	c.From = t.TempDir()
	for i := range 40 {
		write(t, filepath.Join(c.From, "d", strconv.Itoa(i)), strings.Repeat("x", 4096))
	}
	write(t, filepath.Join(c.From, "go.mod"), "module example.test/m\n")
	made, failed := 0, 0
	for _, size := range []string{"8k", "16k", "24k", "32k", "64k", "128k", "200k", "300k", "400k", "450k", "4m"} {
		disk := gotest.Disk(t, size)
		c.Cache = filepath.Join(disk, "gox")
		real := os.Getenv("GOX_CACHE")
		if err := errors.Join(
			os.Mkdir(c.Cache, 0o777),
			os.Symlink(filepath.Join(real, "toolchain"), filepath.Join(c.Cache, "toolchain")),
			os.Symlink(filepath.Join(real, "build"), filepath.Join(c.Cache, "build")),
		); err != nil {
			continue // not even that
		}
		s, err := New(t.Context(), c)
		if err == nil {
			made++
			if changes, err := s.Changes(); err != nil || len(changes) > 0 {
				t.Errorf("%s: not whole: %v %v", size, changes, err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("%s: Close: %v", size, err)
			}
		} else if failed++; !errors.Is(err, syscall.ENOSPC) || !strings.HasSuffix(err.Error(), "\n\trun gox cache prune, or set GOX_CACHE to a directory with room") {
			t.Errorf("%s: %v", size, err)
		}
		if left := names(t, filepath.Join(c.Cache, "sandbox")); len(left) > 0 {
			t.Errorf("%s: left: %q", size, left)
		}
	}
	if made == 0 || failed < 3 {
		t.Errorf("%d made, %d failed: the sizes are not right", made, failed)
	}
}

// On a disk that is full a command inside fails as it does anywhere, the sandbox
// stays whole, and to remove it takes no room.
func TestDiskFullInside(t *testing.T) {
	disk := gotest.Disk(t, "4m")
	here := cache(t)
	full := filepath.Join(disk, "gox")
	if err := os.Mkdir(full, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"toolchain", "build"} {
		if err := os.Symlink(filepath.Join(here, name), filepath.Join(full, name)); err != nil {
			t.Fatal(err)
		}
	}
	c := Config{Cache: full, Name: "one"}
	made := c
	made.Go, made.Files = newest, hello()
	s, err := New(t.Context(), made)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	filler := s.inside("filler")
	fill := func() {
		f, err := os.Create(filler)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		f.Close()
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	fill()
	s.noteUse(Use{Addr: "a.test:443"}) // as well as it can
	_, err = s.Go(t.Context(), "build", "-o", "prog", ".")
	if exit := (*ExitError)(nil); !errors.As(err, &exit) || !strings.Contains(exit.Stderr, "no space left on device") {
		t.Errorf("go build: %v", err)
	}
	if out, err := s.Go(t.Context(), "list", "./..."); err != nil || out != "example.test/hello\nexample.test/hello/word\n" {
		t.Errorf("what needs no room: %q, %v", out, err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if changes, err := s.Changes(); err != nil || len(changes) > 0 {
		t.Errorf("not whole: %v %v", changes, err)
	}
	if _, err := s.Go(t.Context(), "build", "-o", "prog", "."); err != nil {
		t.Errorf("with room again: %v", err)
	}
	fill()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Remove(c); err != nil {
		t.Errorf("Remove: %v", err)
	}
	if left := names(t, filepath.Join(full, kind)); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	if _, err := New(t.Context(), made); err != nil {
		t.Errorf("a sandbox again: %v", err)
	}
}
