package modcache

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/gox/internal/gotest"
)

// On a full disk nothing half made is left, and there is a mend.
func TestDiskFull(t *testing.T) {
	disk := gotest.Disk(t, "64k")
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
