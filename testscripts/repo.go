package testscripts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"example.com/gox/internal/gocmd"
)

// Snapshot copies the directory from to to, which must not exist: the files
// that git tracks, and those that it neither tracks nor ignores, as they are
// now. Outside a git checkout it copies all. Symbolic links stay what they are;
// .git, sockets and the like are left out.
//
// environ is the environment of git, and its PATH leads to it.
func Snapshot(ctx context.Context, to, from string, environ []string) error {
	if info, err := os.Stat(from); err != nil {
		return err
	} else if !info.IsDir() {
		return fmt.Errorf("%s: not a directory", from)
	}
	if !inCheckout(from) {
		return copyTree(to, from)
	}
	path := ""
	for _, kv := range (&Runner{Environ: environ}).inherited() {
		if value, ok := strings.CutPrefix(kv, "PATH="); ok {
			path = value
		}
	}
	git, err := lookPath("git", path)
	if err != nil {
		return fmt.Errorf("%s is a git checkout, but %w", from, err)
	}
	var stdout, stderr bytes.Buffer
	code, err := gocmd.Run(ctx, gocmd.Cmd{
		Path: git, Args: []string{"ls-files", "-z", "--cached", "--others", "--exclude-standard"},
		Dir: from, Env: environ, Stdout: &stdout, Stderr: &stderr,
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("git ls-files in %s: %s", from, strings.TrimSpace(stderr.String()))
	}
	if err := os.Mkdir(to, 0o777); err != nil {
		return err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(stdout.String(), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		name = filepath.FromSlash(name)
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o777); err != nil {
			return err
		}
		// What is deleted and still tracked is not there; a file in conflict is
		// listed once for each side.
		err := copyTree(filepath.Join(to, name), filepath.Join(from, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// inCheckout reports whether dir lies in a working tree of git.
func inCheckout(dir string) bool {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}
