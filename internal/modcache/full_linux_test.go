package modcache

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// On a full disk nothing half made is left, and there is a mend.
func TestDiskFull(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("a small file system can be mounted only by root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	s := Store{Root: filepath.Join(disk, "gox")}
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o666); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	const mend = ": no space left on device\n\trun gox cache prune, or set GOX_CACHE to a directory with room"
	if _, err := s.Use("k-1", nil); err == nil || err.Error() != filepath.Join(s.Root, "mod")+mend {
		t.Errorf("Use: %v", err)
	}
	if f, err := s.Fresh(nil); err == nil || err.Error() != filepath.Join(s.Root, "fresh")+mend {
		t.Errorf("Fresh: %v, %v", f, err)
	}
	if got := names(t, s.isolated("")) + names(t, s.fresh("")); got != "" {
		t.Errorf("left: %s", got)
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	use(t, s, "k-1")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o666); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	use(t, s, "k-1") // what stands needs no room
	if err := s.Remove("k-1"); err != nil {
		t.Errorf("Remove: %v", err)
	}
	if got := names(t, s.isolated("")); strings.TrimSpace(got) != "" {
		t.Errorf("left: %s", got)
	}
}

// A store that runs full is as it was, says so, and goes on when there is room.
func TestWarmDiskFull(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small file system can be mounted only by root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	s := Store{Root: filepath.Join(disk, "gox")}
	from := t.TempDir()
	sums := slices.Concat(
		stock(t, from, "a.example/small", "v1.0.0", nil),
		stock(t, from, "a.example/large", "v1.0.0", map[string]string{"m.go": "package m\n" + strings.Repeat("// text\n", 1<<17)}),
	)
	dir := filepath.Join(t.TempDir(), "mod")
	_, err := s.Warm(t.Context(), Warming{Dir: dir, Sums: sums, From: []string{from}})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "\n\trun gox cache prune, or set GOX_CACHE") {
		t.Errorf("%v", err)
	}
	checkStore(t, s)
	if got := warm(t, s, Warming{Dir: dir, Sums: sums[:2], From: []string{from}}); got.Modules != 1 {
		t.Errorf("what has room: %+v", got)
	}
	if err := syscall.Mount("none", disk, "tmpfs", syscall.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	if got := warm(t, s, Warming{Dir: dir, Sums: sums, From: []string{from}}); got.Modules != 2 {
		t.Errorf("with room: %+v", got)
	}
	checkStore(t, s)
}
