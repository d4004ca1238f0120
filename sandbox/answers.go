package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"example.com/gox/internal/envvar"
	"example.com/gox/internal/modstore"
)

// answerFormat is part of every question to go that is remembered. What
// changes the meaning of a question or of an answer counts it up.
const answerFormat = 1

// An answer is what go has said of the modules of a workspace.
type answer struct {
	Main    []Main            `json:"main"`
	Modules []Module          `json:"modules"`
	Needs   []modstore.Sum    `json:"needs"` // all that the module cache had in the end
	Files   map[string]string `json:"files"` // what go wrote in the workspace: go.work.sum, …
}

// asking writes what every answer of go's to this kind of question depends on.
func (s *Sandbox) asking(q *bytes.Buffer, kind string) {
	fmt.Fprintf(q, "%s %d %q\n%q %q %s/%s\n", kind, answerFormat, gox(), s.toolchain.Version, s.toolchain.h1, runtime.GOOS, runtime.GOARCH)
	for _, v := range s.variables {
		fmt.Fprintf(q, "%q\n", v.Name+"="+v.value)
	}
	q.WriteString("\n")
}

// question returns all that go's answer depends on, when it is asked for the
// modules of the workspace: the toolchain, every variable, and of each file as much
// as go reads for it. Where that is more than can be said, it returns nil.
func (s *Sandbox) question() ([]byte, error) {
	var q bytes.Buffer
	s.asking(&q, "modules")
	fmt.Fprintf(&q, "%q %q\n", s.manifest.Dir, s.manifest.Work)
	// An overlay takes the place of files, by a file of whatever name.
	if strings.Contains(envvar.Get(s.Environ(""), "GOFLAGS"), "-overlay") {
		return nil, nil
	}
	// Where the go.mod is the build list, no package is asked for.
	packages := false
	for _, dir := range s.governed() {
		_, exact := s.required(dir)
		packages = packages || !exact && !s.vendored(dir)
	}
	files, err := s.answering(packages)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&q, "%q %x\n", name, files[name])
	}
	return q.Bytes(), err
}

// answering returns the hash of what go reads of each file of the workspace for
// an answer: files of modules whole. If packages count, of each Go file as much as
// says what it imports and when, and of all others the name, by which a pattern
// may embed them.
func (s *Sandbox) answering(packages bool) (map[string][sha256.Size]byte, error) {
	root, err := os.OpenRoot(s.Tree())
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var names []string
	known := map[string][sha256.Size]byte{}
	err = walk(s.Tree(), func(name string, d fs.DirEntry) error {
		if d.IsDir() || !packages && !ofModules(name) {
			return nil
		}
		names = append(names, name)
		if path.Ext(name) == ".go" && s.index != nil {
			info, err := d.Info()
			if err != nil {
				return err
			}
			if f, ok := s.index.of(name, info); ok {
				known[name] = f.header
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	hashes := make([][sha256.Size]byte, len(names))
	err = each(len(names), func(i int) error {
		source := path.Ext(names[i]) == ".go"
		if !source && !ofModules(names[i]) {
			return nil
		}
		if sum, ok := known[names[i]]; ok {
			hashes[i] = sum
			return nil
		}
		data, err := root.ReadFile(filepath.FromSlash(names[i])) // through links
		switch {
		case err != nil: // a link to nowhere, or to a directory
			data = []byte(err.Error())
		case source:
			data = header(data)
		}
		hashes[i] = sha256.Sum256(data)
		return nil
	})
	files := make(map[string][sha256.Size]byte, len(names))
	for i, name := range names {
		files[name] = hashes[i]
	}
	return files, err
}

// ofModules reports whether go may read the file to learn of modules: also one
// that -modfile or GOWORK names, and its sums.
func ofModules(name string) bool {
	return slices.Contains([]string{".mod", ".sum", ".work"}, path.Ext(name)) || path.Base(name) == "modules.txt"
}

// header returns the part of a Go file that says what it imports, and when it is
// built: the file as far as its last import. All of a file is returned that is
// not understood, or embeds others.
func header(data []byte) []byte {
	if bytes.Contains(data, []byte("//go:embed")) {
		return data
	}
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, "", data, parser.ImportsOnly|parser.SkipObjectResolution)
	if err != nil || len(f.Decls) == 0 && !f.Name.Pos().IsValid() {
		return data
	}
	end := f.Name.End()
	for _, d := range f.Decls {
		end = max(end, d.End())
	}
	return data[:min(files.File(f.FileStart).Offset(end), len(data))]
}

// recall does what modules does, if go was asked the same before: it returns
// whether it could. Each module is one that the go.sum files, or the answer,
// vouch for by its hash, out of the store.
func (s *Sandbox) recall(ctx context.Context, question []byte, from []string) (bool, error) {
	if question == nil {
		return false, nil
	}
	data, ok := s.store().Answer(question)
	var a answer
	if !ok || json.Unmarshal(data, &a) != nil {
		return false, nil
	}
	s.manifest.Main = a.Main
	if len(a.Needs) > 0 {
		at, err := s.warm(ctx, from, a.Needs)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(a.Needs, func(sum modstore.Sum) bool { return !at[sum.String()] }) {
			s.manifest.Main, s.warmth = []Main{}, Warmth{} // the store has it no more
			return false, nil
		}
	}
	tree, err := os.OpenRoot(s.Tree())
	if err != nil {
		return false, err
	}
	defer tree.Close()
	for name, content := range a.Files {
		if err := tree.WriteFile(filepath.FromSlash(name), []byte(content), 0o644); err != nil {
			return false, err
		}
	}
	s.manifest.Modules = a.Modules
	s.warmth.Linked = len(a.Modules)
	return true, nil
}

// remember keeps what go has answered for the next sandbox. before is what the
// files of modules were when it was asked.
func (s *Sandbox) remember(question []byte, before map[string][sha256.Size]byte) error {
	if question == nil || s.unloaded {
		return nil
	}
	a := answer{Main: s.manifest.Main, Modules: s.manifest.Modules, Needs: []modstore.Sum{}, Files: map[string]string{}}
	after, err := s.answering(false)
	if err != nil {
		return err
	}
	for name, sum := range after {
		if was, ok := before[name]; ok && was == sum {
			continue
		}
		data, err := os.ReadFile(s.inside(name))
		if err != nil {
			return err
		}
		a.Files[name] = string(data)
	}
	// What only a source has said, it may say otherwise the next time.
	if len(a.Files) > 0 && !s.vouched() {
		return nil
	}
	sums, err := s.sums()
	if err != nil {
		return err
	}
	for _, m := range s.manifest.Modules {
		if m.Sum != "" {
			sums = append(sums, modstore.Sum{Path: m.Path, Version: m.Version, H1: m.Sum})
		}
	}
	noted := map[modstore.Sum]bool{}
	for _, sum := range sums {
		base, err := escapedPath(sum.Path, sum.Version)
		if err != nil {
			return err
		}
		ext := ".ziphash"
		if sum.GoMod {
			ext = ".mod"
		}
		if !noted[sum] && exists(filepath.Join(s.ModCache(), "cache", "download", filepath.FromSlash(base)+ext)) {
			noted[sum] = true
			a.Needs = append(a.Needs, sum)
		}
	}
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return s.store().Remember(question, data)
}

// vouched reports whether the checksum database is asked for every module.
func (s *Sandbox) vouched() bool {
	env := s.Environ("")
	for _, name := range []string{"GONOSUMDB", "GOPRIVATE", "GOINSECURE"} {
		if value := envvar.Get(env, name); value != "" && value != "none" {
			return false
		}
	}
	return envvar.Get(env, "GOSUMDB") != "off" && !strings.Contains(envvar.Get(env, "GOFLAGS"), "-insecure")
}
