package testscripts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"example.com/gox/internal/modcache"
)

// WorkDir makes a directory of user uid's for Runner.Dir, in the system's
// directory for temporary files, and returns what removes it. If the process is
// killed, the next WorkDir does. With keep it stays.
//
// It is not in gox's cache, which lies below the user's home: there go would
// find the user's go.work in a directory above.
func WorkDir(uid int, keep bool) (dir string, done func() error, err error) {
	const mend = "set TMPDIR to a directory that you may write to"
	temp, err := filepath.EvalSymlinks(os.TempDir()) // as go shows paths
	if err != nil {
		return "", nil, fmt.Errorf("%w\n\t%s", err, mend)
	}
	if err := checkDir(filepath.Join(temp, "x")); err != nil {
		return "", nil, err
	}
	if keep {
		dir, err = os.MkdirTemp(temp, "gox-script-")
		return dir, func() error { return nil }, err
	}
	root := filepath.Join(temp, "gox-script-"+strconv.Itoa(uid))
	if err := os.Mkdir(root, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", nil, fmt.Errorf("%w\n\t%s", err, mend)
	}
	// Everybody may make files there, so it could be somebody else's.
	if info, err := os.Lstat(root); err != nil {
		return "", nil, err
	} else if !info.IsDir() || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		return "", nil, fmt.Errorf("%s: not a directory of yours alone\n\tremove it, or set TMPDIR to another directory", root)
	}
	fresh, err := modcache.Store{Root: root}.Fresh(map[string]string{"profile": "script"})
	if err != nil {
		return "", nil, err
	}
	dir = fresh.GOMODCACHE()
	return dir, fresh.Close, os.Mkdir(dir, 0o700)
}

// checkDir returns an error where dir is no place for work directories: go,
// which looks upward, would find a main module or a workspace there that is not
// the script's.
func checkDir(dir string) error {
	for parent := filepath.Dir(dir); parent != dir; parent = filepath.Dir(dir) {
		for _, name := range []string{"go.work", "go.mod"} {
			if file := filepath.Join(parent, name); isFile(file) {
				return fmt.Errorf("%s: go would find it from the work directories, which are below\n\tset TMPDIR to a directory that has none above it", file)
			}
		}
		dir = parent
	}
	return nil
}
