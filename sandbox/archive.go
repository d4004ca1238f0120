package sandbox

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What stands in an archive, in this order: the list of all that follows, each
// with its size and SHA-256; the manifest; the files of the workspace; and a
// module proxy, as GOPROXY=file:// reads it.
const (
	archiveList  = "archive.sum"
	archiveProxy = "proxy"
)

// gzipHead begins every archive: no name, no time, the least effort, no system.
const gzipHead = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"

// What an archive may hold, lest one of a few bytes fill a disk: the list and
// the manifest, which are read into memory; one file of the module proxy, as go
// limits a module's zip; all of the workspace.
const (
	listLimit  = 64 << 20
	proxyLimit = 500 << 20
	treeLimit  = 8 << 30
)

// A member is one file of an archive.
type member struct {
	name string // slash-separated
	kind string // as in tree.sum: "-", "x" or "l"
	size int64
	sum  string // SHA-256 in hexadecimal, of a link's target
	open func() (io.ReadCloser, error)
}

// fromFile returns a member whose content is that of a file.
func fromFile(name, kind, file string) (member, error) {
	m := member{name: name, kind: kind, open: func() (io.ReadCloser, error) { return os.Open(file) }}
	return m, m.measure()
}

func fromBytes(name, kind string, data []byte) member {
	return member{
		name: name, kind: kind, size: int64(len(data)), sum: fmt.Sprintf("%x", sha256.Sum256(data)),
		open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}
}

// measure reads the content once, for size and sum.
func (m *member) measure() error {
	r, err := m.open()
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	if m.size, err = io.Copy(h, r); err != nil {
		return err
	}
	m.sum = fmt.Sprintf("%x", h.Sum(nil))
	return nil
}

// writeArchive writes members to w, as a tar file under gzip in which nothing
// depends on when, where or by whom it is written.
func writeArchive(ctx context.Context, w io.Writer, members []member) error {
	// Most of it is zip files: more than the least effort wins nothing.
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	var list bytes.Buffer
	for _, m := range members {
		fmt.Fprintf(&list, "%s %s %d %s\n", m.sum, m.kind, m.size, spelt(m.name))
	}
	t := tar.NewWriter(z)
	for _, m := range append([]member{fromBytes(archiveList, "-", list.Bytes())}, members...) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.write(t); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return z.Close()
}

func (m member) write(t *tar.Writer) error {
	r, err := m.open()
	if err != nil {
		return err
	}
	defer r.Close()
	header := &tar.Header{Typeflag: tar.TypeReg, Name: m.name, Size: m.size, Mode: 0o644, ModTime: time.Unix(0, 0)}
	switch m.kind {
	case "x":
		header.Mode = 0o755
	case "l":
		target, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		header.Typeflag, header.Linkname, header.Size, header.Mode = tar.TypeSymlink, string(target), 0, 0o777
	}
	if err := t.WriteHeader(header); err != nil {
		return err
	}
	if m.kind == "l" {
		return nil
	}
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(t, h), r); err != nil {
		return err
	}
	if fmt.Sprintf("%x", h.Sum(nil)) != m.sum {
		return errChanged
	}
	return nil
}

// An archiveError says that an archive is not what gox has written.
type archiveError struct{ text string }

func (e *archiveError) Error() string { return e.text }

func damaged(format string, args ...any) error {
	return &archiveError{"damaged or tampered with: " + fmt.Sprintf(format, args...)}
}

// readArchive writes what the archive in r holds into dst, and returns its
// manifest. Whatever is not as its list says ends it with an error. Nothing is
// written but below dst, and nothing there before the list has been read.
func readArchive(ctx context.Context, r io.Reader, dst *os.Root) (*Manifest, error) {
	in := bufio.NewReader(r)
	head, err := in.Peek(10)
	if err == nil && string(head) != gzipHead {
		err = errors.New("it does not begin as gox writes it")
	}
	if err != nil {
		return nil, damaged("no gzip file: %v", err)
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, damaged("no gzip file: %v", err)
	}
	z.Multistream(false)
	t := tar.NewReader(z)
	first, err := t.Next()
	if err != nil {
		return nil, damaged("no tar file: %v", err)
	}
	if first.Name != archiveList || first.Typeflag != tar.TypeReg {
		return nil, &archiveError{fmt.Sprintf("not an archive of gox sandbox export: it begins with %q", first.Name)}
	}
	data, err := readMost(t, listLimit)
	if err != nil {
		return nil, damaged("%s: %v", archiveList, err)
	}
	members, err := parseList(data)
	if err != nil {
		return nil, damaged("%s: %v", archiveList, err)
	}
	var manifest []byte
	for _, m := range members {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		header, err := t.Next()
		if err != nil {
			return nil, damaged("%s: %v", m.name, err)
		}
		if header.Name != m.name {
			return nil, damaged("%q stands where its list has %s", header.Name, m.name)
		}
		if m.name == manifestFile {
			var b bytes.Buffer
			if err := m.check(header, t, &b); err != nil {
				return nil, err
			}
			manifest = b.Bytes()
			continue
		}
		if err := m.extract(header, t, dst); err != nil {
			return nil, err
		}
	}
	if header, err := t.Next(); err != io.EOF {
		if err == nil {
			return nil, damaged("%q, which its list does not have", header.Name)
		}
		return nil, damaged("%v", err)
	}
	// To its end, for gzip's own sum.
	if n, err := io.Copy(io.Discard, io.LimitReader(z, 1)); err != nil {
		return nil, damaged("its end: %v", err)
	} else if n > 0 {
		return nil, damaged("something follows its end")
	}
	if _, err := in.ReadByte(); err != io.EOF {
		return nil, damaged("something follows its end")
	}
	if manifest == nil {
		return nil, damaged("it has no %s", manifestFile)
	}
	parsed, err := ParseManifest(manifest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifestFile, err)
	}
	return parsed, nil
}

// readMost reads all of r, which must not have more than limit bytes.
func readMost(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = errors.New("too large")
	}
	return data, err
}

// parseList reads the list of an archive. Every name in it is one that gox
// writes, and stands there once.
func parseList(data []byte) ([]member, error) {
	var members []member
	var total int64
	seen := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if len(f) != 4 {
			return nil, fmt.Errorf("a line of it is %q", line)
		}
		m := member{sum: f[0], kind: f[1]}
		var err, nerr error
		m.size, err = strconv.ParseInt(f[2], 10, 64)
		m.name, nerr = unspell(f[3])
		if err != nil || nerr != nil || m.size < 0 {
			return nil, fmt.Errorf("a line of it is %q", line)
		}
		top, rest, _ := strings.Cut(m.name, "/")
		inside := (top == treeDir || top == archiveProxy) && rest != ""
		switch {
		case !inside && m.name != manifestFile,
			!filepath.IsLocal(filepath.FromSlash(m.name)), path.Clean(m.name) != m.name:
			return nil, fmt.Errorf("%q has no place in an archive", m.name)
		case seen[m.name]:
			return nil, fmt.Errorf("%q stands in it twice", m.name)
		case top == archiveProxy && m.size > proxyLimit, top == treeDir && m.size > treeLimit-total, m.name == manifestFile && m.size > listLimit:
			return nil, fmt.Errorf("%q is too large, with %d bytes", m.name, m.size)
		case m.kind != "-" && (top != treeDir || m.kind != "x" && m.kind != "l"):
			return nil, fmt.Errorf("%q cannot be a %q", m.name, m.kind)
		}
		if top == treeDir {
			total += m.size
		}
		seen[m.name] = true
		members = append(members, m)
	}
	return members, nil
}

// extract writes the member that header begins in t.
func (m member) extract(header *tar.Header, t io.Reader, dst *os.Root) error {
	name := filepath.FromSlash(m.name)
	if err := mkdirAll(dst, filepath.Dir(name)); err != nil {
		return place(m.name, err)
	}
	if m.kind == "l" {
		var target bytes.Buffer
		if err := m.check(header, strings.NewReader(header.Linkname), &target); err != nil {
			return err
		}
		return place(m.name, dst.Symlink(header.Linkname, name))
	}
	f, err := dst.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return place(m.name, err)
	}
	err = m.check(header, t, f)
	if err == nil && m.kind == "x" {
		err = f.Chmod(0o755)
	} else if err == nil {
		err = f.Chmod(0o644)
	}
	return errors.Join(err, f.Close())
}

// place is the error of a member that could not be put in its place: it is the
// archive's fault if something else is there, or a link leads elsewhere.
func place(name string, err error) error {
	if err == nil {
		return nil
	}
	pe := (*fs.PathError)(nil)
	if errors.Is(err, fs.ErrExist) || errors.As(err, &pe) && strings.Contains(pe.Err.Error(), "escapes") {
		return damaged("%s: %v", name, err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// check copies the content of m to w, and returns an error unless it is what
// the list says.
func (m member) check(header *tar.Header, r io.Reader, w io.Writer) error {
	want, size := byte(tar.TypeReg), header.Size
	if m.kind == "l" {
		want, size = tar.TypeSymlink, int64(len(header.Linkname))
	}
	if header.Typeflag != want || size != m.size {
		return damaged("%s: not the kind or the size that its list says", m.name)
	}
	var h hash.Hash = sha256.New()
	n, err := io.Copy(io.MultiWriter(&strict{w: w}, h), io.LimitReader(r, m.size+1))
	if s := (*writeError)(nil); errors.As(err, &s) {
		return fmt.Errorf("%s: %w", m.name, s.err)
	}
	if err != nil {
		return damaged("%s: %v", m.name, err)
	}
	if n != m.size || fmt.Sprintf("%x", h.Sum(nil)) != m.sum {
		return damaged("%s: not the content that its list says", m.name)
	}
	return nil
}

// strict tells the errors of writing from those of reading.
type strict struct{ w io.Writer }

func (s *strict) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil {
		err = &writeError{err}
	}
	return n, err
}

type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }
