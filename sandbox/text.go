package sandbox

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"

	"example.com/gox/internal/modstore"
	"example.com/gox/profiles"
)

// A module is small enough for a text file if its files together have no more
// bytes than this, and all are text.
const inlineLimit = 16 << 10

// ExportText writes a minimal reproducer for a bug report to w, in the txtar
// format: the text files of the workspace, the command (go's, such as "go vet
// ./..."; "" is "go build ./..."), and the modules of the build list that are
// small, below .modules/. It returns what it had to leave out. go.sum proves
// what has to be fetched instead.
func (s *Sandbox) ExportText(ctx context.Context, w io.Writer, command string) (leftOut []string, err error) {
	m, members, err := s.members(ctx)
	if err != nil {
		return nil, err
	}
	command = cmp.Or(command, "go build ./...")
	if strings.ContainsAny(command, "\r\n") {
		return nil, fmt.Errorf("command %q: more than one line", command)
	}
	var a txtar.Archive
	add := func(name string, data []byte) {
		if !plain(name, data) {
			leftOut = append(leftOut, name+": not text")
			return
		}
		a.Files = append(a.Files, txtar.File{Name: name, Data: data})
	}
	for _, mem := range members {
		name := strings.TrimPrefix(mem.name, treeDir+"/")
		if mem.kind == "l" {
			leftOut = append(leftOut, name+": a symbolic link")
			continue
		}
		data, err := mem.read()
		if err != nil {
			return nil, err
		}
		add(name, data)
	}
	inlined := 0
	for _, mod := range m.Modules {
		files, err := s.inline(mod)
		if err != nil {
			return nil, err
		}
		if files == nil {
			continue
		}
		inlined++
		a.Files = append(a.Files, files...)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# go: %s\n# command: %s\n", strings.TrimPrefix(m.Go.Version, "go"), command)
	for _, v := range m.Variables {
		if v.Secret || v.Origin == "sandbox" || v.Origin == "go's default" {
			continue
		}
		fmt.Fprintf(&b, "# env: %s=%s\n", v.Name, v.Value)
	}
	if m.Dir != "" {
		fmt.Fprintf(&b, "# dir: %s\n", m.Dir)
	}
	fmt.Fprintf(&b, "# modules: %d, of which %d stand here\n", len(m.Modules), inlined)
	b.WriteString("# gox sandbox import THIS NAME && gox sandbox run NAME -- " + command + "\n")
	a.Comment = []byte(b.String())
	_, err = w.Write(txtar.Format(&a))
	return leftOut, err
}

// ExportTextFile is ExportText to a file, as ExportFile is Export to one.
func (s *Sandbox) ExportTextFile(ctx context.Context, file, command string) (leftOut []string, err error) {
	err = writeWhole(file, func(w io.Writer) error {
		leftOut, err = s.ExportText(ctx, w, command)
		return err
	})
	return leftOut, err
}

// read returns the content of m.
func (m member) read() ([]byte, error) {
	r, err := m.open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// plain reports whether a file can stand in a txtar file and come out of it as
// it was.
func plain(name string, data []byte) bool {
	if !utf8.Valid(data) || bytes.ContainsRune(data, 0) || strings.TrimSpace(name) != name || strings.ContainsAny(name, "\r\n") {
		return false
	}
	a := txtar.Parse(txtar.Format(&txtar.Archive{Files: []txtar.File{{Name: name, Data: data}}}))
	return len(a.Files) == 1 && a.Files[0].Name == name && bytes.Equal(a.Files[0].Data, data)
}

// inlineDir is where modules stand in a text file: <module>@<version>/<file>
// below it.
const inlineDir = ".modules"

// inline returns the files of a module version if it is small, else nil.
func (s *Sandbox) inline(mod Module) ([]txtar.File, error) {
	base, err := escapedPath(mod.Path, mod.Version)
	if err != nil {
		return nil, err
	}
	z, err := zip.OpenReader(filepath.Join(s.ModCache(), "cache", "download", filepath.FromSlash(base)+".zip"))
	if err != nil {
		return nil, nil // vendored, or nothing of it is built
	}
	defer z.Close()
	total := uint64(0)
	for _, f := range z.File {
		total += f.UncompressedSize64
	}
	if total > inlineLimit {
		return nil, nil
	}
	var files []txtar.File
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(r, inlineLimit+1))
		r.Close()
		if err != nil {
			return nil, err
		}
		name := path.Join(inlineDir, f.Name)
		if !plain(name, data) {
			return nil, nil
		}
		files = append(files, txtar.File{Name: name, Data: data})
	}
	slices.SortFunc(files, func(a, b txtar.File) int { return strings.Compare(a.Name, b.Name) })
	// A module published before there were modules has no go.mod in its zip.
	mods, err := os.ReadFile(filepath.Join(s.ModCache(), "cache", "download", filepath.FromSlash(base)+".mod"))
	if err != nil || !plain("x", mods) {
		return nil, nil
	}
	files = append(files, txtar.File{Name: path.Join(inlineDir, mod.Path+"@"+mod.Version+".mod"), Data: mods})
	return files, nil
}

// importText makes a sandbox of what ExportText has written. The modules that
// stand in it are taken if they hash to what go.sum says; go fetches the others.
func importText(ctx context.Context, c Config, r io.Reader) (*Sandbox, error) {
	data, err := readMost(r, listLimit)
	if err != nil {
		return nil, err
	}
	a := txtar.Parse(data)
	c.Files = map[string]string{}
	modules := map[module.Version]map[string][]byte{}
	mods := map[module.Version][]byte{}
	for _, f := range a.Files {
		if path.Clean(f.Name) != f.Name || !filepath.IsLocal(filepath.FromSlash(f.Name)) {
			return nil, fmt.Errorf("%s: %q has no place in a workspace", c.label(), f.Name)
		}
		name, ok := strings.CutPrefix(f.Name, inlineDir+"/")
		if !ok {
			c.Files[f.Name] = string(f.Data)
			continue
		}
		modPath, rest, _ := strings.Cut(name, "@")
		version, file, inside := strings.Cut(rest, "/")
		m := module.Version{Path: modPath, Version: version}
		if !inside {
			m.Version = strings.TrimSuffix(version, ".mod")
			mods[m] = f.Data
			continue
		}
		if modules[m] == nil {
			modules[m] = map[string][]byte{}
		}
		modules[m][file] = f.Data
	}
	for line := range strings.Lines(string(a.Comment)) {
		key, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "# "), ": ")
		switch key {
		case "go":
			c.Go = value
		case "dir":
			c.WorkDir = value
		case "env":
			// What more there is may run code or choose sources: for the user to say.
			switch name, _, _ := strings.Cut(value, "="); name {
			case "GOOS", "GOARCH", "CGO_ENABLED", "GOEXPERIMENT":
				c.Env = append(c.Env, value)
			default:
				c.log("%s: it was set where this comes from; not taken over", name)
			}
		}
	}
	if !profiles.IsGoVersion(strings.TrimSuffix("go"+c.Go, "\n")) {
		return nil, fmt.Errorf("%s: not a file of gox sandbox export: it names no go version", c.label())
	}
	tmp, err := os.MkdirTemp("", "gox-import-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	sums, err := sumsIn(c.Files)
	if err != nil {
		return nil, err
	}
	for m, files := range modules {
		h1, err := stock(tmp, m, files, mods[m])
		if err == nil && !slices.Contains(sums, modstore.Sum{Path: m.Path, Version: m.Version, H1: h1}) {
			err = fmt.Errorf("what stands here of it hashes to %s, which no go.sum says", h1)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", c.label(), m, err)
		}
	}
	c.caches = []string{tmp}
	return New(ctx, c)
}

// sumsIn returns what the go.sum and go.work.sum files among files say.
func sumsIn(files map[string]string) ([]modstore.Sum, error) {
	var all []modstore.Sum
	for name, content := range files {
		if base := path.Base(name); base != "go.sum" && base != "go.work.sum" {
			continue
		}
		sums, err := modstore.ParseSums(name, []byte(content))
		if err != nil {
			return nil, err
		}
		all = append(all, sums...)
	}
	return all, nil
}

// stock puts a module version into the download cache of gomodcache, and
// returns its hash.
func stock(gomodcache string, m module.Version, files map[string][]byte, mod []byte) (h1 string, err error) {
	base, err := escapedPath(m.Path, m.Version)
	if err != nil {
		return "", err
	}
	base = filepath.Join(gomodcache, "cache", "download", filepath.FromSlash(base))
	if err := os.MkdirAll(filepath.Dir(base), 0o777); err != nil {
		return "", err
	}
	var b bytes.Buffer
	var list []modzip.File
	for name, data := range files {
		list = append(list, inlined{name, data})
	}
	if err := modzip.Create(&b, m, list); err != nil {
		return "", err
	}
	err = os.WriteFile(base+".zip", b.Bytes(), 0o666)
	if err == nil {
		if h1, err = dirhash.HashZip(base+".zip", dirhash.Hash1); err == nil {
			err = os.WriteFile(base+".ziphash", []byte(h1), 0o666)
		}
	}
	if err == nil {
		err = os.WriteFile(base+".mod", mod, 0o666)
	}
	return h1, err
}

// inlined is a file of a module, as modzip.Create reads it.
type inlined struct {
	name string
	data []byte
}

func (f inlined) Path() string                 { return f.name }
func (f inlined) Lstat() (fs.FileInfo, error)  { return inlinedInfo{f}, nil }
func (f inlined) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.data)), nil }

type inlinedInfo struct{ f inlined }

func (i inlinedInfo) Name() string       { return path.Base(i.f.name) }
func (i inlinedInfo) Size() int64        { return int64(len(i.f.data)) }
func (i inlinedInfo) Mode() fs.FileMode  { return 0o644 }
func (i inlinedInfo) ModTime() time.Time { return time.Time{} }
func (i inlinedInfo) IsDir() bool        { return false }
func (i inlinedInfo) Sys() any           { return nil }
