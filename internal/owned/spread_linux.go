package owned

import (
	"os"

	"golang.org/x/sys/unix"
)

// Spread asks the file system to keep apart on disk what stands in the
// directory dir, if it knows how to. It is a hint, and no error if it is not
// heard.
//
// It is for directories in which trees of thousands of files come and go. Ext4
// does not hand out an inode again for some minutes after it was freed, and for
// each new one looks through all such of its group: next to a tree that was just
// removed, a directory takes 0.4 ms to make instead of 0.03. This is chattr's
// flag T, by which each tree gets a group of its own.
func Spread(dir string) {
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	defer f.Close()
	const topDir = 0x20000 // FS_TOPDIR_FL
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil && flags&topDir == 0 {
		unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags|topDir))
	}
}
