package owned

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSpread(t *testing.T) {
	dir := t.TempDir()
	flag := func() uint32 {
		f, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		if err != nil {
			t.Skipf("a file system without flags: %v", err)
		}
		return flags & 0x20000
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Type != unix.EXT4_SUPER_MAGIC {
		t.Skip("not ext4")
	}
	if flag() != 0 {
		t.Error("the control: it is there from the beginning")
	}
	Spread(dir)
	Spread(dir)
	if flag() == 0 {
		t.Error("not set")
	}
	Spread(filepath.Join(dir, "missing")) // no error, no directory
	if _, err := os.Lstat(filepath.Join(dir, "missing")); err == nil {
		t.Error("made")
	}
}
