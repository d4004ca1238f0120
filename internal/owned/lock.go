package owned

import (
	"errors"
	"io/fs"
	"os"
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
func TryLock(path string, shared bool) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
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

// Close gives the lock up; the file stays.
func (l *Lock) Close() error { return l.f.Close() }
