package modstore

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.com/gox/internal/gotest"
)

// A store that runs full is as it was, says so, and goes on when there is room.
func TestWarmDiskFull(t *testing.T) {
	disk := gotest.Disk(t, "256k")
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
