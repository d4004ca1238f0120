//go:build unix

package owned

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Only a lock that is meant to be is handed down to commands.
func TestInherit(t *testing.T) {
	for _, inherited := range []bool{false, true} {
		l, err := TryLock(filepath.Join(t.TempDir(), "lock"), false)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		want := unix.FD_CLOEXEC
		if inherited {
			want = 0
			if err := l.Inherit(); err != nil {
				t.Fatal(err)
			}
		}
		flags, err := unix.FcntlInt(l.f.Fd(), unix.F_GETFD, 0)
		if err != nil || flags != want {
			t.Errorf("inherited %v: descriptor flags %#x, %v; want %#x", inherited, flags, err, want)
		}
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if _, err := OpenLock(path, 0, false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a lock that is not there: %v", err)
	}
	l, err := TryLock(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLock(path, os.O_CREATE|os.O_EXCL, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a lock that must be new: %v", err)
	}
	for _, shared := range []bool{false, true} {
		if _, err := TryLock(path, shared); !errors.Is(err, ErrHeld) {
			t.Errorf("a lock that is held, shared %v: %v", shared, err)
		}
	}
	if err := l.Share(); err != nil {
		t.Fatal(err)
	}
	second, err := TryLock(path, true)
	if err != nil {
		t.Fatalf("a lock that is shared: %v", err)
	}
	if _, err := TryLock(path, false); !errors.Is(err, ErrHeld) {
		t.Errorf("for one alone while two share it: %v", err)
	}
	second.Close()
	if err := l.Drop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Drop: %v", err)
	}
	again, err := TryLock(path, false)
	if err != nil {
		t.Fatalf("after Drop: %v", err)
	}
	again.Close()
}
