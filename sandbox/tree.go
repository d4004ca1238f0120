package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
)

// sums hashes the files below dir: one line for each, sorted by path,
//
//	<SHA-256 in hexadecimal> <kind> <path>
//
// where the kind is "-" for a file, "x" for one that can be executed, "l" for a
// symbolic link, whose hash is that of its target. Other modes, times and
// owners do not count, nor does an empty directory.
//
// If copy is not nil, what is hashed is written there too; else what x knows is
// not read again.
func sums(dir string, copy *os.Root, x *index) ([]byte, Tree, error) {
	var t Tree
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, t, err
	}
	defer root.Close()
	var all []hashed
	err = walk(dir, func(name string, d fs.DirEntry) error {
		if d.IsDir() {
			if copy != nil {
				return mkdirAll(copy, filepath.FromSlash(name))
			}
			return nil
		}
		info, err := d.Info()
		if err == nil && (info.Mode().IsRegular() || info.Mode().Type() == fs.ModeSymlink) {
			all = append(all, hashed{name: name, info: info})
		}
		return err
	})
	if err != nil {
		return nil, t, err
	}
	err = each(len(all), func(i int) error {
		if known, ok := x.of(all[i].name, all[i].info); ok && copy == nil {
			all[i].sum, all[i].size = known.sum, known.info.Size()
			return nil
		}
		if err := all[i].hash(root, copy); err != nil {
			return fmt.Errorf("%s: %w", all[i].name, err)
		}
		return nil
	})
	var b bytes.Buffer
	for _, f := range all {
		kind := "-"
		switch {
		case f.info.Mode().Type() == fs.ModeSymlink:
			kind = "l"
		case f.info.Mode()&0o111 != 0:
			kind = "x"
		}
		fmt.Fprintf(&b, "%x %s %s\n", f.sum, kind, spelt(f.name))
		t.Files, t.Size = t.Files+1, t.Size+f.size
	}
	t.Sum = sumOf(b.Bytes())
	return b.Bytes(), t, err
}

// walk calls f for what is below dir, with slash-separated paths, in the order of
// fs.WalkDir. (A walk through an os.Root opens each directory from the root.)
func walk(dir string, f func(name string, d fs.DirEntry) error) error {
	return filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil || at == dir {
			return err
		}
		return f(filepath.ToSlash(at[len(dir)+1:]), d)
	})
}

// hashed is one line of what sums returns.
type hashed struct {
	name string
	info fs.FileInfo
	sum  [sha256.Size]byte
	size int64 // of a file
}

// hash hashes the file in root, and writes it into copy, if that is not nil.
func (f *hashed) hash(root, copy *os.Root) (err error) {
	name := filepath.FromSlash(f.name)
	if f.info.Mode().Type() == fs.ModeSymlink {
		target, err := root.Readlink(name)
		f.sum = sha256.Sum256([]byte(target))
		if err == nil && copy != nil {
			err = copy.Symlink(target, name)
		}
		return err
	}
	in, err := root.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	h := sha256.New()
	var to io.Writer = h
	if copy != nil {
		out, err := create(copy, name, f.info.Mode())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, out.Close()) }()
		if clone(out, in) != nil {
			to = io.MultiWriter(h, out)
		}
	}
	f.size, err = io.Copy(to, in)
	h.Sum(f.sum[:0])
	return err
}

// each calls f for 0 to n-1, on all processors, until one fails. Neighbours are
// for one of them: two that make files in one directory wait for one another.
func each(n int, f func(int) error) error {
	var next, failed atomic.Int64
	errs := make([]error, min(runtime.GOMAXPROCS(0), n))
	batch := min(n/(16*max(len(errs), 1))+1, 64)
	var wg sync.WaitGroup
	for worker := range errs {
		wg.Go(func() {
			for {
				end := int(next.Add(int64(batch)))
				if end-batch >= n {
					return
				}
				for i := end - batch; i < min(end, n); i++ {
					if failed.Load() > 0 {
						return
					}
					if errs[worker] = f(i); errs[worker] != nil {
						failed.Add(1)
					}
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "h1:" + base64.StdEncoding.EncodeToString(sum[:])
}

// spelt returns a path so that it stands in one line, and means one path.
func spelt(name string) string {
	if strings.HasPrefix(name, `"`) || strings.ContainsFunc(name, unicode.IsControl) {
		return strconv.Quote(name)
	}
	return name
}

// unspell undoes spelt.
func unspell(name string) (string, error) {
	if strings.HasPrefix(name, `"`) {
		return strconv.Unquote(name)
	}
	return name, nil
}
