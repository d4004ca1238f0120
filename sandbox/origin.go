package sandbox

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"example.com/gox/internal/owned"
)

// The workspace as it was made stands once for all sandboxes that were made of
// an equal one:
//
//	<cache>/origin/<SHA-256 of tree.sum>/   gox.json, tree/, used
//	<sandbox>/origin                        a symbolic link to that tree/
//	<sandbox>/origin.used                   a hard link to used, which is empty
//
// The kernel counts who uses it, whatever dies when: with the last sandbox goes
// the last link but used itself. Where there can be no such links the sandbox
// has a copy of its own at origin.
const (
	originTree = "tree"
	originUsed = "used"
	usedFile   = "origin.used" // in a sandbox
)

// origins is where the workspaces of all sandboxes under the cache stand.
func origins(cache string) string { return filepath.Join(cache, originDir) }

// keepOrigin keeps the workspace as it is now, of which list is what sums
// returns.
func (s *Sandbox) keepOrigin(list []byte) error {
	store := origins(s.cache)
	at := filepath.Join(store, fmt.Sprintf("%x", sha256.Sum256(list)))
	// Who removes holds it alone, and not for long: then a copy will do.
	if err := os.MkdirAll(store, 0o777); err != nil {
		return err
	}
	owned.Spread(store)
	lock, lockErr := owned.TryLock(filepath.Join(store, lockFile), true)
	if lockErr == nil {
		defer lock.Close()
		if exists(filepath.Join(at, originTree)) && s.linkOrigin(at) == nil {
			return nil
		}
	}
	own := filepath.Join(s.dir, originDir)
	if err := os.Mkdir(own, 0o755); err != nil {
		return err
	}
	dst, err := os.OpenRoot(own)
	if err != nil {
		return err
	}
	copied, _, err := sums(s.Tree(), dst, nil)
	dst.Close()
	if err == nil && !bytes.Equal(copied, list) {
		err = fmt.Errorf("the workspace in the sandbox: %w", errChanged)
	}
	if err != nil || lockErr != nil {
		return err
	}
	return s.giveOrigin(own, at)
}

// giveOrigin makes the copy at own, this sandbox's, that of all at at, and links
// to it. Where that cannot be, the copy stays where it is.
func (s *Sandbox) giveOrigin(own, at string) error {
	if err := owned.Make(at, owned.Marker{Kind: originDir, Name: filepath.Base(at)}); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(at, originUsed), os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	f.Close()
	used := filepath.Join(s.dir, usedFile)
	if err := os.Link(filepath.Join(at, originUsed), used); err != nil {
		return nil // the file system has no such links, or it is another one
	}
	if err := os.Rename(own, filepath.Join(at, originTree)); err != nil {
		if !exists(filepath.Join(at, originTree)) {
			return os.Remove(used)
		}
		// Another sandbox was quicker.
		if err := os.RemoveAll(own); err != nil {
			return err
		}
	}
	return s.pointTo(at)
}

// linkOrigin links s to the origin at at.
func (s *Sandbox) linkOrigin(at string) error {
	used := filepath.Join(s.dir, usedFile)
	if err := os.Link(filepath.Join(at, originUsed), used); err != nil {
		return err
	}
	if err := s.pointTo(at); err != nil {
		os.Remove(used)
		return err
	}
	return nil
}

func (s *Sandbox) pointTo(at string) error {
	target := filepath.Join(at, originTree)
	if filepath.Dir(s.dir) == filepath.Join(s.cache, kind) {
		// Beside one another: they may move together.
		target = filepath.Join("..", "..", originDir, filepath.Base(at), originTree)
	}
	return os.Symlink(target, filepath.Join(s.dir, originDir))
}

// origin returns the directory with the workspace as it was made.
func (s *Sandbox) origin() (string, error) {
	dir, err := filepath.EvalSymlinks(filepath.Join(s.dir, originDir))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s: the workspace as it was made is gone: somebody has removed it\n\tmake another sandbox: gox sandbox create", filepath.Join(s.dir, originDir))
	}
	return dir, err
}

// sweepOrigins removes the workspaces that no sandbox under the cache, or made
// from it, has any more.
func sweepOrigins(cache string) error {
	store := origins(cache)
	entries, err := os.ReadDir(store)
	if err != nil {
		return nil // there is none yet
	}
	var idle []string
	for _, e := range entries {
		if dir := filepath.Join(store, e.Name()); e.IsDir() && !linked(dir) {
			idle = append(idle, dir)
		}
	}
	if len(idle) == 0 {
		return nil
	}
	lock, err := owned.TryLock(filepath.Join(store, lockFile), false)
	if err != nil {
		return nil // somebody is about to use one; it is for the next sweep
	}
	defer lock.Close()
	errs := []error{owned.Sweep(store)}
	for _, dir := range idle {
		if linked(dir) || pointedTo(cache, dir) {
			continue
		}
		if m, err := owned.Read(dir); err == nil && m.Kind == originDir {
			err = owned.Remove(dir)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// pointedTo reports whether a sandbox under the cache has the origin at dir. A
// copy of a cache that was made without its hard links shows by that alone.
func pointedTo(cache, dir string) bool {
	boxes, err := os.ReadDir(filepath.Join(cache, kind))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	for _, e := range boxes {
		if CheckName(e.Name()) != nil && !strings.HasPrefix(e.Name(), newPrefix) {
			continue // about to be removed
		}
		target, err := os.Readlink(filepath.Join(cache, kind, e.Name(), originDir))
		if err == nil && filepath.Base(filepath.Dir(target)) == filepath.Base(dir) {
			return true
		}
	}
	return false
}
