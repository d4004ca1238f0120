package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"example.com/gox/internal/owned"
)

// An Entry is a named sandbox as List finds it.
type Entry struct {
	Name    string    `json:"name"`
	Dir     string    `json:"dir"`
	Created time.Time `json:"created"`
	Go      string    `json:"go"` // as in "go1.22.12"
	Profile string    `json:"profile,omitempty"`
	Modules int       `json:"modules"` // of the build list, without the main modules
	Main    []Main    `json:"main"`
	Size    int64     `json:"size"` // bytes of what stands in it, without what it shares with others by links
	InUse   bool      `json:"inUse"`
}

// List returns the named sandboxes in c's cache directory, by name; of c only
// Cache and Environ count. With an error, those that could be read come too.
func List(c Config) ([]Entry, error) {
	cache, err := c.cache()
	if err != nil {
		return nil, err
	}
	store := filepath.Join(cache, kind)
	sweep(store)
	dirs, err := os.ReadDir(store)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []Entry
	var errs []error
	for _, d := range dirs {
		if CheckName(d.Name()) != nil || !d.IsDir() {
			continue
		}
		dir := filepath.Join(store, d.Name())
		marker, err := owned.Read(dir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && marker.Kind != kind {
			continue // not a sandbox, or removed meanwhile
		}
		var m *Manifest
		if err == nil {
			m, err = readManifest(dir)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("sandbox %s: %w\n\tgox sandbox remove %[1]s", d.Name(), err))
			continue
		}
		all = append(all, Entry{
			Name: d.Name(), Dir: dir, Created: marker.Created, Go: m.Go.Version, Profile: m.Profile,
			Modules: len(m.Modules), Main: m.Main, Size: measure(dir), InUse: inUse(dir),
		})
	}
	return all, errors.Join(errs...)
}

// measure returns the size of the files below dir.
func measure(dir string) (size int64) {
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // a command that runs inside may have removed it
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	})
	return size
}

func inUse(dir string) bool {
	lock, err := owned.TryLock(filepath.Join(dir, lockFile), false)
	if err == nil {
		lock.Close()
	}
	return errors.Is(err, owned.ErrHeld)
}

// A Change is a file of the workspace that is not as it was when the sandbox
// was made.
type Change struct {
	Path string `json:"path"`
	How  string `json:"how"` // "differs", "is gone" or "is new"
}

// Changes compares the workspace with what it was when the sandbox was made.
func (s *Sandbox) Changes() ([]Change, error) {
	want, err := os.ReadFile(filepath.Join(s.dir, sumsFile))
	if err != nil {
		return nil, err
	}
	got, _, err := sums(s.Tree(), nil, nil)
	if err != nil {
		return nil, err
	}
	return compare(want, got), nil
}

// compare returns what two lists of sums differ in, by path.
func compare(want, got []byte) []Change {
	read := func(data []byte) map[string]string {
		all := map[string]string{}
		for line := range strings.Lines(string(data)) {
			if f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3); len(f) == 3 {
				all[f[2]] = f[0] + f[1]
			}
		}
		return all
	}
	before, after := read(want), read(got)
	changes := []Change{}
	for name, sum := range before {
		if now, ok := after[name]; !ok {
			changes = append(changes, Change{name, "is gone"})
		} else if now != sum {
			changes = append(changes, Change{name, "differs"})
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			changes = append(changes, Change{name, "is new"})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return changes
}
