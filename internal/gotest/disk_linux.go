package gotest

import (
	"syscall"
	"testing"
)

// Disk mounts a file system of its own, of size bytes ("64k"), for t. Only root
// may: anybody else's test is skipped.
func Disk(t testing.TB, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small file system can be mounted only by root: %v", err)
	}
	t.Cleanup(func() {
		// A process that was killed may hold it a moment longer.
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}
