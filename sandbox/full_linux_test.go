package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
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
		disk := t.TempDir()
		if err := syscall.Mount("none", disk, "tmpfs", 0, "size="+size); err != nil {
			t.Skipf("a small file system can be mounted only by root: %v", err)
		}
		t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
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
