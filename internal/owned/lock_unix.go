//go:build unix

package owned

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock locks f, without waiting, for as long as any process has this open
// file, inherited ones included. That is why it is flock and not fcntl.
func tryLock(f *os.File, shared bool) error {
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	for {
		switch err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err {
		case nil:
			return nil
		case unix.EINTR:
		case unix.EWOULDBLOCK:
			return ErrHeld
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
