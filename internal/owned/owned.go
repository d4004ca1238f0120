// Package owned keeps directories that gox made and can prove that it made.
//
// The proof is a marker file, gox.json, which stands in the directory beside
// its payload. A directory comes into being with its marker or not at all,
// goes away in one step for every observer, and is never removed without one:
//
//	err := owned.Make(dir, owned.Marker{Kind: "toolchain", Name: "go1.22.12"})
//	…
//	err = owned.Remove(dir)
//
// Processes need no lock among themselves: any number of them may make, remove
// and sweep the same directories at once, and may die at any point.
package owned

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// MarkerName is the name of the marker file in a directory that gox made.
const MarkerName = "gox.json"

// Names of what Make and Remove may leave behind when they are killed.
const (
	tmpPrefix   = ".tmp-"
	trashPrefix = ".trash-"
)

// tmpAge is how old a temporary directory must be before Sweep takes it for
// abandoned. A live Make needs its own for milliseconds, and makes another one
// should it lose it, so the hour only spares needless work.
const tmpAge = time.Hour

// attempts bounds the retries after another process was in between. One is
// rarely needed; a file system that misbehaves must not keep gox in a loop.
const attempts = 100

// Marker is the content of a marker file.
type Marker struct {
	Kind    string            `json:"kind"`           // "modcache", "fresh", "toolchain", …; never empty
	Name    string            `json:"name"`           // the name under which users know the directory
	Created time.Time         `json:"created"`        // UTC
	Info    map[string]string `json:"info,omitempty"` // whatever the owner wants to remember; no secrets
}

// Make makes dir, and its parents, with the marker m: complete, or not at all.
// If dir stands already with a marker of m's kind, Make leaves it as it is and
// returns nil. Concurrent calls all succeed, and one of their markers remains.
// A zero m.Created means now.
//
// errors.Is(err, fs.ErrExist) holds where something else is in the way at dir.
// Every error names the directory at fault and the mend.
func Make(dir string, m Marker) error {
	parent := filepath.Dir(dir)
	var err error
	for range attempts {
		switch have, err := Read(dir); {
		case err == nil && have.Kind == m.Kind:
			return nil
		case err == nil:
			return inTheWay(dir, fmt.Sprintf("it holds a %s of gox, not a %s", have.Kind, m.Kind))
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%w\n\tmove %s away, or set GOX_CACHE to another directory", err, dir)
		}
		if unmarked(dir) {
			return inTheWay(dir, "it stands there already, without a gox marker file")
		}
		var tmp string
		if tmp, err = stage(parent, m); err != nil {
			return err
		}
		if err = os.Rename(tmp, dir); err == nil {
			return nil
		}
		discard(tmp)
		// Another process was first, on Windows reported as access denied; or
		// tmp was swept away, because the clock jumped or this process slept.
		if _, rerr := Read(dir); rerr != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return Mend(dir, err)
}

// unmarked reports whether something stands at dir that has no marker, rather
// than something that another process has just made or removed.
func unmarked(dir string) bool {
	before, err := os.Lstat(dir)
	if err != nil {
		return false
	}
	if _, err := Read(dir); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	after, err := os.Lstat(dir)
	return err == nil && os.SameFile(before, after)
}

// Adopt writes the marker m into dir, a directory that stands without one.
// That gox made it is for the caller to know. An existing marker is replaced.
func Adopt(dir string, m Marker) error {
	if fi, err := os.Lstat(dir); err != nil {
		return Mend(dir, err)
	} else if !fi.IsDir() {
		return inTheWay(dir, "it is not a directory")
	}
	tmp, err := stage(filepath.Dir(dir), m)
	if err != nil {
		return err
	}
	defer discard(tmp)
	if err := os.Rename(filepath.Join(tmp, MarkerName), filepath.Join(dir, MarkerName)); err != nil {
		return Mend(dir, err)
	}
	return nil
}

// Mark writes the marker m into dir, which has none and which nobody else knows
// yet: it is to be renamed to where it is known. Unlike with Make, the marker
// may be lost in a power failure, together with what dir holds; this is for
// those that make hundreds, where waiting for the disk each time takes longer
// than all else.
func Mark(dir string, m Marker) error {
	data, err := m.encode()
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return os.WriteFile(filepath.Join(dir, MarkerName), data, 0o666)
}

// Read returns the marker of dir. errors.Is(err, fs.ErrNotExist) holds where
// there is none, dir itself included.
func Read(dir string) (Marker, error) {
	var m Marker
	file := filepath.Join(dir, MarkerName)
	data, err := os.ReadFile(file)
	if errors.Is(err, syscall.ENOTDIR) {
		return m, fmt.Errorf("%s: %w", file, fs.ErrNotExist)
	}
	if err != nil {
		return m, fmt.Errorf("%s: %w", file, cause(err))
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return Marker{}, fmt.Errorf("%s: not a gox marker file: %w", file, err)
	}
	if m.Kind == "" {
		return Marker{}, fmt.Errorf("%s: not a gox marker file: it names no kind", file)
	}
	return m, nil
}

// Remove removes dir and everything in it, read-only directories included.
// It first gives dir another name beside its own, so that nobody sees it half
// removed; an interrupted Remove is finished by Sweep. Symbolic links are
// removed, never followed.
//
// errors.Is(err, fs.ErrNotExist) holds where there is no dir. A directory
// without a marker, or a symbolic link to one, is refused and left as it is.
func Remove(dir string) error {
	switch fi, err := os.Lstat(dir); {
	case err != nil:
		return fmt.Errorf("%s: not removed: %w", dir, cause(err))
	case !fi.IsDir():
		return fmt.Errorf("%s: not removed: it is not a directory", dir)
	}
	if _, err := Read(dir); err != nil {
		if unmarked(dir) {
			return fmt.Errorf("%s: not removed: it holds no gox marker file", dir)
		}
		return fmt.Errorf("%s: not removed: %w", dir, err)
	}
	trash := sibling(filepath.Dir(dir), trashPrefix)
	if err := os.Rename(dir, trash); err != nil {
		return fmt.Errorf("%s: not removed: %w", dir, cause(err))
	}
	if err := removeTree(trash); err != nil {
		return fmt.Errorf("%s: not removed entirely: %w", trash, cause(err))
	}
	return nil
}

// Sweep finishes what a killed Make or Remove left in parent, and touches
// nothing else there. It is no error if parent does not exist. What Make
// leaves, a few bytes, is swept only when it is an hour old.
func Sweep(parent string) error {
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: not swept: %w", parent, cause(err))
	}
	var errs []error
	for _, e := range entries {
		tmp := strings.HasPrefix(e.Name(), tmpPrefix)
		if !e.IsDir() || !tmp && !strings.HasPrefix(e.Name(), trashPrefix) {
			continue
		}
		dir := filepath.Join(parent, e.Name())
		if tmp {
			fi, err := e.Info()
			if err != nil || time.Since(fi.ModTime()) < tmpAge {
				continue
			}
		}
		if !swept(dir) {
			continue
		}
		if err := removeTree(dir); err != nil {
			errs = append(errs, fmt.Errorf("%s: not swept: %w", dir, cause(err)))
		}
	}
	return errors.Join(errs...)
}

// swept reports whether dir, which bears a name that Make or Remove gives, is
// theirs: the marker is the first thing in and the last thing out.
func swept(dir string) bool {
	if _, err := os.Lstat(filepath.Join(dir, MarkerName)); err == nil {
		return true
	}
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}

// removeTree removes dir, its marker last. The module cache is read-only, so
// directories are made writable first. Through an os.Root, neither a link in
// the tree nor one put there meanwhile can lead out of it.
func removeTree(dir string) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrPermission) {
		if err = os.Chmod(dir, 0o700); err == nil {
			root, err = os.OpenRoot(dir)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = empty(root)
	root.Close() // before dir is removed: Windows refuses while it is open
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(dir)
}

// empty removes everything in root but the marker, several trees at once.
func empty(root *os.Root) error {
	if fi, err := root.Stat("."); err == nil && fi.Mode().Perm()&0o700 != 0o700 {
		if err := ignoreMissing(root.Chmod(".", 0o700)); err != nil {
			return err
		}
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	errs := make([]error, len(entries))
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, e := range entries {
		if e.Name() == MarkerName {
			continue
		}
		turns <- struct{}{}
		wg.Go(func() {
			errs[i] = removeIn(root, e)
			<-turns
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// removeIn removes e, which is in root, read-only directories included.
func removeIn(root *os.Root, e fs.DirEntry) error {
	if !e.IsDir() { // a walk would follow a link
		return root.RemoveAll(e.Name())
	}
	err := fs.WalkDir(root.FS(), e.Name(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return ignoreMissing(err)
		}
		// Before the walk reads it: fs.WalkDir calls this first.
		if fi, err := d.Info(); err != nil || fi.Mode().Perm()&0o700 == 0o700 {
			return ignoreMissing(err)
		}
		return ignoreMissing(root.Chmod(path, 0o700))
	})
	if err != nil {
		return err
	}
	return root.RemoveAll(e.Name())
}

// ignoreMissing forgives what another process removed in the meantime.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// stage makes a temporary directory in parent that holds just the marker.
// Its error names parent, or what stands in its way, and the mend.
func stage(parent string, m Marker) (string, error) {
	data, err := m.encode()
	if err != nil {
		return "", fmt.Errorf("%s: %w", parent, err)
	}
	for range attempts {
		if err := os.MkdirAll(parent, 0o777); err != nil {
			if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
				parent = pe.Path // the directory that could not be made
			}
			return "", Mend(parent, err)
		}
		tmp := sibling(parent, tmpPrefix)
		if err = os.Mkdir(tmp, 0o777); err == nil {
			err = writeFile(filepath.Join(tmp, MarkerName), data)
			if err == nil {
				return tmp, nil
			}
			discard(tmp)
		}
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return "", Mend(parent, err)
}

// encode returns the content of a marker file.
func (m Marker) encode() ([]byte, error) {
	if m.Kind == "" {
		return nil, errors.New("marker without a kind")
	}
	if m.Created.IsZero() {
		m.Created = time.Now()
	}
	m.Created = m.Created.UTC().Round(0)
	data, err := json.MarshalIndent(m, "", "\t")
	return append(data, '\n'), err
}

// discard removes what stage made.
func discard(tmp string) {
	os.Remove(filepath.Join(tmp, MarkerName))
	os.Remove(tmp)
}

// writeFile is os.WriteFile, with the content on disk before it returns: a
// marker without it would prove nothing after a power failure.
func writeFile(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// sibling returns an unused name in parent. It is not os.MkdirTemp's because
// that one's directories are 0700 whatever the umask says.
func sibling(parent, prefix string) string {
	return filepath.Join(parent, prefix+strconv.FormatUint(rand.Uint64(), 36))
}

// inTheWay is the error for something at dir that is not what it should be.
func inTheWay(dir, what string) error {
	return &existError{fmt.Sprintf("%s: %s\n\tmove it away, or set GOX_CACHE to another directory", dir, what)}
}

type existError struct{ text string }

func (e *existError) Error() string        { return e.text }
func (e *existError) Is(target error) bool { return target == fs.ErrExist }

// Mend names dir, the directory under gox's cache root in which a write failed
// with err, together with what the user can do about it.
func Mend(dir string, err error) error {
	err = cause(err)
	remedy := "set GOX_CACHE to a directory that you may write to"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		remedy = "run gox cache prune, or set GOX_CACHE to a directory with room"
	case errors.Is(err, syscall.ENOTDIR):
		remedy = "move that file away, or set GOX_CACHE to another directory"
	}
	return fmt.Errorf("%s: %w\n\t%s", dir, err, remedy)
}

// cause strips err of the operation and the path, which may be a temporary
// one; the message names what the user knows instead.
func cause(err error) error {
	switch e := err.(type) {
	case *fs.PathError:
		return e.Err
	case *os.LinkError:
		return e.Err
	}
	return err
}
