package testscripts

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"
)

// A depot holds what one module proxy serves: modules, from which it makes the
// files of the protocol as any proxy does, and files that it serves as they
// are, in place of those.
type depot struct {
	modules map[module.Version][]file
	static  map[string][]byte // by URL path

	mu   sync.Mutex
	zips map[module.Version][]byte
}

// A file is one of a module. It implements modzip.File.
type file struct {
	name string
	data []byte
}

func newDepot() *depot {
	return &depot{modules: map[module.Version][]file{}, static: map[string][]byte{}, zips: map[module.Version][]byte{}}
}

func (d *depot) add(m module.Version, name string, data []byte) {
	d.modules[m] = append(d.modules[m], file{name, data})
}

// request is what a URL path of the module proxy protocol asks for.
type request struct {
	module.Version
	kind string // list, latest, info, mod, zip; "" for anything else
}

// parseRequest takes a URL path apart.
func parseRequest(urlPath string) request {
	urlPath = strings.TrimPrefix(urlPath, "/")
	var r request
	escaped, rest, ok := strings.Cut(urlPath, "/@v/")
	if !ok {
		if escaped, ok = strings.CutSuffix(urlPath, "/@latest"); !ok {
			return request{}
		}
		r.kind = "latest"
	} else if rest == "list" {
		r.kind = "list"
	} else {
		ext := path.Ext(rest)
		if ext != ".info" && ext != ".mod" && ext != ".zip" {
			return request{}
		}
		var err error
		if r.Version.Version, err = module.UnescapeVersion(strings.TrimSuffix(rest, ext)); err != nil {
			return request{}
		}
		r.kind = ext[1:]
	}
	var err error
	if r.Path, err = module.UnescapePath(escaped); err != nil {
		return request{}
	}
	return r
}

// serve answers a request for a URL path; status is 200 or 404.
func (d *depot) serve(urlPath string) (status int, contentType string, body []byte, err error) {
	r := parseRequest(urlPath)
	contentType = "text/plain; charset=UTF-8"
	switch r.kind {
	case "info", "latest":
		contentType = "application/json"
	case "zip":
		contentType = "application/zip"
	}
	if body, ok := d.static[urlPath]; ok {
		return 200, contentType, body, nil
	}
	notFound := func(what string) (int, string, []byte, error) {
		return 404, "text/plain; charset=UTF-8", []byte("not found: " + what + "\n"), nil
	}
	if r.kind == "" {
		return notFound(urlPath)
	}
	versions := d.versions(r.Path)
	switch r.kind {
	case "list":
		if len(versions) == 0 {
			return notFound("module " + r.Path)
		}
		for _, v := range versions {
			if !module.IsPseudoVersion(v) {
				body = append(body, v+"\n"...)
			}
		}
		return 200, contentType, body, nil
	case "latest":
		v := latest(versions)
		if v == "" {
			return notFound("module " + r.Path)
		}
		return 200, contentType, info(v), nil
	}
	if _, ok := d.modules[r.Version]; !ok {
		return notFound(r.Version.String())
	}
	switch r.kind {
	case "info":
		body = info(r.Version.Version)
	case "mod":
		body = d.goMod(r.Version)
	case "zip":
		body, err = d.zip(r.Version)
	}
	return 200, contentType, body, err
}

// tree returns all files of the protocol, by URL path, as a plain file server
// would hold them.
func (d *depot) tree() (map[string][]byte, error) {
	var paths []string
	for m := range d.modules {
		escaped, err := module.EscapePath(m.Path)
		if err != nil {
			return nil, err
		}
		version, err := module.EscapeVersion(m.Version)
		if err != nil {
			return nil, err
		}
		base := "/" + escaped + "/@v/"
		paths = append(paths, base+"list", "/"+escaped+"/@latest", base+version+".info", base+version+".mod", base+version+".zip")
	}
	files := map[string][]byte{}
	for name, data := range d.static {
		files[name] = data
	}
	for _, name := range paths {
		_, _, body, err := d.serve(name)
		if err != nil {
			return nil, err
		}
		files[name] = body
	}
	return files, nil
}

// versions returns the versions of a module, oldest first.
func (d *depot) versions(modPath string) []string {
	var versions []string
	for m := range d.modules {
		if m.Path == modPath {
			versions = append(versions, m.Version)
		}
	}
	semver.Sort(versions)
	return versions
}

// latest returns the newest release among versions, the newest pre-release
// where there is none, and the newest pseudo-version as the last resort.
func latest(versions []string) string {
	best, bestRank := "", 0
	for _, v := range versions {
		rank := 3
		if module.IsPseudoVersion(v) {
			rank = 1
		} else if semver.Prerelease(v) != "" {
			rank = 2
		}
		if rank >= bestRank {
			best, bestRank = v, rank
		}
	}
	return best
}

// commitTime is that of every version.
func commitTime() time.Time { return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) }

func info(version string) []byte {
	data, _ := json.Marshal(struct {
		Version string
		Time    time.Time
	}{version, commitTime()})
	return data
}

// goMod returns the go.mod of a module, made up where it has none.
func (d *depot) goMod(m module.Version) []byte {
	for _, f := range d.modules[m] {
		if f.name == "go.mod" {
			return f.data
		}
	}
	return []byte("module " + modfile.AutoQuote(m.Path) + "\n")
}

func (d *depot) zip(m module.Version) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if data, ok := d.zips[m]; ok {
		return data, nil
	}
	var files []modzip.File
	for _, f := range d.modules[m] {
		files = append(files, f)
	}
	if m.Path == "golang.org/toolchain" {
		// go does not run a toolchain before it has made these executable
		// (cmd/go/internal/toolchain.Exec; lib not in all versions).
		for _, name := range []string{"bin/gofmt", "lib/none", "pkg/tool/none"} {
			if !slices.ContainsFunc(d.modules[m], func(f file) bool { return f.name == name }) {
				files = append(files, file{name: name})
			}
		}
	}
	var b bytes.Buffer
	if err := modzip.Create(&b, m, files); err != nil {
		return nil, err
	}
	d.zips[m] = b.Bytes()
	return b.Bytes(), nil
}

// sums returns the lines of the checksum database for a module.
func (d *depot) sums(m module.Version) ([]byte, error) {
	data, err := d.zip(m)
	if err != nil {
		return nil, err
	}
	zipHash, err := hashZip(data)
	if err != nil {
		return nil, err
	}
	mod := d.goMod(m)
	modHash, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(mod)), nil
	})
	return fmt.Appendf(nil, "%s %s %s\n%[1]s %[2]s/go.mod %[4]s\n", m.Path, m.Version, zipHash, modHash), err
}

// hashZip returns the h1: hash of a module's zip file.
func hashZip(data []byte) (string, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return "", err
	}
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	return dirhash.Hash1(names, func(name string) (io.ReadCloser, error) { return z.Open(name) })
}

// rezip returns a zip file with the same files as data, packed in another way,
// and with one file more where name is not empty.
func rezip(data []byte, name string) ([]byte, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	write := func(name string, data []byte) error {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return err
	}
	slices.Reverse(z.File)
	for _, f := range z.File {
		content, err := fs.ReadFile(z, f.Name)
		if err != nil {
			return nil, err
		}
		if err := write(f.Name, content); err != nil {
			return nil, err
		}
	}
	if name != "" && len(z.File) > 0 {
		// module@version/ holds no "@" but this one, and its path may have slashes.
		first := z.File[0].Name
		at := strings.Index(first, "@")
		prefix := first[:at+strings.Index(first[at:], "/")+1]
		if err := write(prefix+name, []byte("altered\n")); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return b.Bytes(), err
}

func (f file) Path() string                 { return f.name }
func (f file) Lstat() (fs.FileInfo, error)  { return fileInfo{f}, nil }
func (f file) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.data)), nil }

type fileInfo struct{ file }

func (fi fileInfo) Name() string       { return path.Base(fi.name) }
func (fi fileInfo) Size() int64        { return int64(len(fi.data)) }
func (fi fileInfo) Mode() fs.FileMode  { return 0o644 }
func (fi fileInfo) ModTime() time.Time { return commitTime() }
func (fi fileInfo) IsDir() bool        { return false }
func (fi fileInfo) Sys() any           { return nil }
