//go:build unix

package modcache

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tryLock locks f, without waiting, for as long as any process has this open
// file, inherited ones included. That is why it is flock and not fcntl.
func tryLock(f *os.File) error {
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err {
		case nil:
			return nil
		case unix.EINTR:
		case unix.EWOULDBLOCK:
			return errHeld
		default:
			return &fs.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
	}
}

// inherit lets the commands that this process starts have f open, under its
// number. exec.Cmd.ExtraFiles would give it number 3 and hide what the caller
// has there, such as make's job server.
func inherit(f *os.File) error {
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
		return &fs.PathError{Op: "fcntl", Path: f.Name(), Err: err}
	}
	return nil
}

// fileID identifies a file that has more than one name.
type fileID struct{ dev, ino uint64 }

// linked returns the identity of fi's file if it has several hard links.
func linked(fi fs.FileInfo) (fileID, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || st.Nlink < 2 {
		return fileID{}, false
	}
	return fileID{uint64(st.Dev), uint64(st.Ino)}, true
}
