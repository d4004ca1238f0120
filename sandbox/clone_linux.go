package sandbox

import (
	"os"

	"golang.org/x/sys/unix"
)

// clone makes dst share the blocks of src, which Btrfs, XFS and others can.
func clone(dst, src *os.File) error {
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd()))
}
