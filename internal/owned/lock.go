package owned

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
)

// ErrHeld is in the error of TryLock where another has the lock.
var ErrHeld = errors.New("in use by a running command")

// A Lock is a lock on a file. It is held as long as any process has the file
// open that took it, so that the death of a process releases it.
type Lock struct{ f *os.File }

// TryLock locks the file at path, which it makes where there is none, without
// waiting: for itself alone, or shared with others who share it.
//
// errors.Is(err, ErrHeld) holds where another has it, or had it and removed
// the file meanwhile; fs.ErrNotExist where the directory is not there.
func TryLock(path string, shared bool) (*Lock, error) { return OpenLock(path, os.O_CREATE, shared) }

// OpenLock is TryLock with the flags of os.OpenFile that say whether the file
// may (os.O_CREATE) or must (and os.O_EXCL) be made.
func OpenLock(path string, flag int, shared bool) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|flag, 0o666)
	if err != nil {
		return nil, err
	}
	l := &Lock{f}
	if err = tryLock(f, shared); err == nil {
		err = l.stands(path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

// stands reports whether the file that was locked is still the one at path.
func (l *Lock) stands(path string) error {
	mine, err := l.f.Stat()
	if err != nil {
		return err
	}
	now, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(mine, now) {
		return ErrHeld
	}
	return err
}

// Share turns a lock for one alone into one that others may share.
func (l *Lock) Share() error { return tryLock(l.f, true) }

// Inherit makes the commands that this process starts from now on hold the
// lock too, on Unix: until the last of them has ended.
func (l *Lock) Inherit() error { return inherit(l.f) }

// Drop gives the lock up and removes the file, in the order in which nobody can
// lock a file that is about to go. Windows does not remove an open file; there,
// somebody else who opens it in between keeps it from going.
func (l *Lock) Drop() error {
	if runtime.GOOS == "windows" {
		l.f.Close()
		os.Remove(l.f.Name())
		return nil
	}
	err := os.Remove(l.f.Name())
	l.f.Close()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Close gives the lock up; the file stays.
func (l *Lock) Close() error { return l.f.Close() }
