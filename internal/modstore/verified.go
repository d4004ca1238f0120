package modstore

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"

	"example.com/gox/internal/modcache"
	"example.com/gox/internal/owned"
)

// A stage is where entries are made before they are renamed into the store. It
// is a fresh cache, so that what a killed process leaves in it is removed by
// the next one that makes any.
type stage struct {
	store Store
	once  sync.Once
	fresh *modcache.Fresh
	err   error
}

func (st *stage) dir() (string, error) {
	st.once.Do(func() {
		if st.fresh, st.err = st.store.caches().Fresh(map[string]string{"for": kindVerified}); st.err != nil {
			return
		}
		if err := os.Mkdir(st.fresh.GOMODCACHE(), 0o777); err != nil {
			st.err = owned.Mend(st.fresh.GOMODCACHE(), err)
		}
	})
	if st.err != nil {
		return "", st.err
	}
	return st.fresh.GOMODCACHE(), nil
}

func (st *stage) close() {
	if st.fresh != nil {
		st.fresh.Close() // else a later one sweeps it
	}
}

// hashGoMod returns the h1 hash of a go.mod file.
func hashGoMod(data []byte) string {
	h, _ := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	})
	return h
}

// insert takes sum into the store from the first of the caches that has it
// right. An error is one of the store, not of a cache.
func (s Store) insert(ctx context.Context, st *stage, sum Sum, from []string) (ok bool, refused []Refusal, err error) {
	path, v, err := sum.escaped()
	if err != nil {
		return false, nil, err
	}
	for _, cache := range from {
		base := filepath.Join(cache, "cache", "download", filepath.FromSlash(path), "@v", v)
		file, err := base+".zip", error(nil)
		if sum.GoMod {
			file = base + ".mod"
			err = s.insertGoMod(st, sum, file)
		} else if noted, nerr := os.ReadFile(base + ".ziphash"); nerr != nil || strings.TrimSpace(string(noted)) != sum.H1 {
			continue // another's bytes, or not there
		} else {
			err = s.insertModule(ctx, st, sum, base)
		}
		bad := (*badError)(nil)
		switch {
		case err == nil:
			return true, refused, nil
		case errors.Is(err, fs.ErrNotExist) && missing(file):
		case errors.As(err, &bad):
			refused = append(refused, Refusal{sum, file, bad.Error()})
		default:
			return false, refused, err
		}
	}
	return false, refused, nil
}

// badError says why bytes were not taken.
type badError struct{ err error }

func (e *badError) Error() string { return e.err.Error() }
func (e *badError) Unwrap() error { return e.err }

// Check hashes what the cache at gomodcache has of sums, zips and go.mod files,
// and returns what is not as they say. What is not there is no fault.
func (s Store) Check(ctx context.Context, gomodcache string, sums []Sum) ([]Refusal, error) {
	var mu sync.Mutex
	var wrong []Refusal
	err := each(ctx, sums, func(sum Sum) error {
		path, v, err := sum.escaped()
		if err != nil {
			return err
		}
		file := filepath.Join(gomodcache, "cache", "download", filepath.FromSlash(path), "@v", v+".zip")
		got := ""
		if sum.GoMod {
			file = strings.TrimSuffix(file, ".zip") + ".mod"
			var data []byte
			data, err = os.ReadFile(file)
			got = hashGoMod(data)
		} else {
			got, err = dirhash.HashZip(file, dirhash.Hash1)
		}
		if errors.Is(err, fs.ErrNotExist) && missing(file) || err == nil && got == sum.H1 {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("it hashes to %s, not %s", got, sum.H1)
		}
		mu.Lock()
		defer mu.Unlock()
		wrong = append(wrong, Refusal{sum, file, err.Error()})
		return nil
	})
	return wrong, err
}

func (s Store) insertGoMod(st *stage, sum Sum, file string) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil {
		return &badError{err}
	}
	if got := hashGoMod(data); got != sum.H1 {
		return &badError{fmt.Errorf("it hashes to %s, not %s", got, sum.H1)}
	}
	key, err := sum.key()
	if err != nil {
		return err
	}
	return s.write(st, s.verified(filepath.Join(goModDir, key)), data, 0o444)
}

// write writes a file of the store, whole or not at all.
func (s Store) write(st *stage, file string, data []byte, mode fs.FileMode) error {
	dir, err := st.dir()
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, fmt.Sprintf("%016x", rand.Uint64()))
	if err := os.WriteFile(tmp, data, mode); err != nil {
		return owned.Mend(s.verified(""), err)
	}
	if err := os.Rename(tmp, file); err != nil {
		return owned.Mend(filepath.Dir(file), err)
	}
	return nil
}

// insertModule takes the module version whose zip is base+".zip". The zip is
// copied, and then hashed while the copy is unpacked: what stands in the end,
// zip and directory, is what was hashed.
func (s Store) insertModule(ctx context.Context, st *stage, sum Sum, base string) error {
	parent, err := st.dir()
	if err != nil {
		return err
	}
	key, err := sum.key()
	if err != nil {
		return err
	}
	tmp := filepath.Join(parent, fmt.Sprintf("%s-%016x", key, rand.Uint64()))
	m := owned.Marker{Kind: kindVerified, Name: sum.String(), Info: map[string]string{"h1": sum.H1}}
	if err := os.Mkdir(tmp, 0o777); err != nil {
		return owned.Mend(s.verified(""), err)
	}
	defer owned.Remove(tmp) // unless it is where it belongs
	err = owned.Mark(tmp, m)
	if err == nil {
		err = fillEntry(ctx, tmp, sum, base)
	}
	if err != nil {
		if full(err) {
			return owned.Mend(s.verified(""), err)
		}
		return err
	}
	final := s.verified(key)
	for range 3 {
		if err = os.Rename(tmp, final); err == nil || s.Has(sum) {
			return nil // another process was as quick
		}
		// Not whole: a power failure's, as only that or somebody's hand does it.
		// Its marker may have been lost; the name is one that only gox gives.
		if aerr := owned.Adopt(final, m); aerr != nil {
			return aerr
		}
		if rerr := owned.Remove(final); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			return rerr
		}
	}
	return owned.Mend(final, err)
}

func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// fillEntry makes the content of the entry dir.
func fillEntry(ctx context.Context, dir string, sum Sum, base string) error {
	zipFile := filepath.Join(dir, "zip")
	if _, err := copyFile(base+".zip", zipFile); err != nil {
		return err
	}
	h1, err := Unpack(ctx, zipFile, filepath.Join(dir, "dir"), module.Version{Path: sum.Path, Version: sum.Version})
	if err == nil && h1 != sum.H1 {
		err = &badError{fmt.Errorf("it hashes to %s, not %s", h1, sum.H1)}
	}
	if err != nil {
		return err
	}
	info, _ := os.ReadFile(base + ".info")
	if err := os.WriteFile(filepath.Join(dir, "info"), CanonicalInfo(info, sum.Version), 0o444); err != nil {
		return err
	}
	if err := freeze(filepath.Join(dir, "dir")); err != nil {
		return err
	}
	// The last: with it the entry counts.
	return os.WriteFile(filepath.Join(dir, "hash"), []byte(sum.H1), 0o444)
}

// CanonicalInfo returns an .info file for version as go writes it, with the
// time of data where data is of that version. No hash covers an .info file, so
// nothing else in it is handed on.
func CanonicalInfo(data []byte, version string) []byte {
	var info struct {
		Version string
		Time    time.Time
	}
	if json.Unmarshal(data, &info) != nil || info.Version != version {
		info.Time = time.Time{}
	}
	info.Version, info.Time = version, info.Time.UTC()
	out, err := json.Marshal(info)
	if err != nil { // a year beyond 9999
		out = fmt.Appendf(nil, "{\"Version\":%q,\"Time\":\"0001-01-01T00:00:00Z\"}", version)
	}
	return out
}

// Unpack extracts the zip of m into dir, with read-only files, and returns the
// h1 hash of what it wrote. What a module's zip must not hold is refused
// before anything is written.
func Unpack(ctx context.Context, zipFile, dir string, m module.Version) (h1 string, err error) {
	checked, err := modzip.CheckZip(m, zipFile)
	if err == nil {
		err = checked.Err()
	}
	if err != nil {
		return "", &badError{err}
	}
	z, err := zip.OpenReader(zipFile)
	if err != nil {
		return "", &badError{err}
	}
	defer z.Close()
	names := make([]string, len(z.File))
	files := make(map[string]*zip.File, len(z.File))
	for i, f := range z.File {
		names[i], files[f.Name] = f.Name, f
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		return "", err
	}
	prefix := m.Path + "@" + m.Version + "/"
	made := ""
	h1, err = dirhash.Hash1(names, func(name string) (io.ReadCloser, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f := files[name]
		r, err := f.Open()
		if err != nil {
			return nil, &badError{err}
		}
		t := &tee{zipped: r, left: f.UncompressedSize64}
		if strings.HasSuffix(name, "/") {
			return t, nil
		}
		at := filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(name, prefix)))
		if parent := filepath.Dir(at); parent != made { // names come sorted
			if err := os.MkdirAll(parent, 0o777); err != nil {
				return nil, err
			}
			made = parent
		}
		t.file, err = os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
		return t, err
	})
	return h1, err
}

// tee reads what is zipped, and writes it to file, if any, on the way.
type tee struct {
	zipped io.ReadCloser
	file   *os.File
	left   uint64 // what the zip says there is to come
	err    error
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.zipped.Read(p)
	if uint64(n) > t.left {
		return 0, &badError{errors.New("a file in it is longer than it says")}
	}
	t.left -= uint64(n)
	if t.file != nil && n > 0 {
		if _, werr := t.file.Write(p[:n]); werr != nil {
			t.err = werr
			return 0, werr
		}
	}
	if err != nil && err != io.EOF {
		err = &badError{err}
	}
	return n, err
}

func (t *tee) Close() error {
	t.zipped.Close()
	if t.file == nil {
		return nil
	}
	return errors.Join(t.err, t.file.Close())
}

// copyFile copies a file, read-only, and reports whether it shares its blocks
// with the original. The original being no regular file, or unreadable, is a
// *badError or errors.Is fs.ErrNotExist.
func copyFile(from, to string) (cloned bool, err error) {
	src, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err != nil {
		return false, &badError{err}
	}
	defer src.Close()
	if fi, err := src.Stat(); err != nil || !fi.Mode().IsRegular() {
		return false, &badError{fmt.Errorf("%s: not a regular file", from)}
	}
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o444)
	if err != nil {
		return false, err
	}
	cloned = clone(dst, src)
	if !cloned {
		_, err = io.Copy(dst, src)
	}
	return cloned, errors.Join(err, dst.Close())
}
