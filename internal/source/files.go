package source

import (
	"cmp"
	"errors"
	"go/version"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// files are the go.work and go.mod files that have a say. What could not be
// read is missing from them.
type files struct {
	work     *modfile.WorkFile // nil in module mode
	workPath string
	mains    []mainFile          // in the order of go.work
	hashes   map[string][]string // what the go.sum files say of "path version" and "path version/go.mod"
}

// A mainFile is the go.mod of a main module.
type mainFile struct {
	file string // with -modfile, that one
	dir  string // the module's root
	mod  *modfile.File
}

func (f mainFile) path() string {
	if f.mod.Module == nil {
		return ""
	}
	return f.mod.Module.Mod.Path
}

// pruned reports whether go needs none but the go.mod files that this one
// names, as from go 1.17 on.
func (f mainFile) pruned() bool {
	return f.mod.Go != nil && version.Compare("go"+f.mod.Go.Version, "go1.17") >= 0
}

// readFiles reads what it can, and says what it cannot.
func readFiles(s settings) (*files, error) {
	f := &files{}
	if s.overlay {
		return f, errors.New("-overlay in GOFLAGS may put other go.mod and go.work files in the place of those on disk, so no lines are named")
	}
	var faults []error
	add := func(file, dir string) {
		data, err := os.ReadFile(file)
		if err == nil {
			var mod *modfile.File
			// Any version will do here: go has judged them.
			if mod, err = modfile.Parse(file, data, anyVersion); err == nil {
				f.mains = append(f.mains, mainFile{file, dir, mod})
			}
		}
		faults = append(faults, err)
	}
	if s.gowork == "" {
		file := cmp.Or(s.modfile, s.gomod)
		add(file, filepath.Dir(s.gomod))
		f.readSums(strings.TrimSuffix(file, ".mod") + ".sum")
		return f, errors.Join(faults...)
	}
	data, err := os.ReadFile(s.gowork)
	if err != nil {
		return f, err
	}
	if f.work, err = modfile.ParseWork(s.gowork, data, anyVersion); err != nil {
		return f, err
	}
	f.workPath = s.gowork
	for _, use := range f.work.Use {
		dir := absolute(use.Path, filepath.Dir(s.gowork))
		add(filepath.Join(dir, "go.mod"), dir)
		f.readSums(filepath.Join(dir, "go.sum"))
	}
	f.readSums(s.gowork + ".sum")
	return f, errors.Join(faults...)
}

// readSums reads a file of hashes. One that is not there has none.
func (f *files) readSums(file string) {
	data, _ := os.ReadFile(file)
	if f.hashes == nil {
		f.hashes = map[string][]string{}
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) == 3 {
			of := fields[0] + " " + fields[1]
			f.hashes[of] = append(f.hashes[of], fields[2])
		}
	}
}

// unsummed reports whether the go.sum files lack the hash of a module itself.
func (f *files) unsummed(m module.Version) bool {
	return f.hashes != nil && len(f.hashes[m.Path+" "+m.Version]) == 0
}

func anyVersion(_, version string) (string, error) { return version, nil }

// absolute returns path as seen from dir.
func absolute(path, dir string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// at is the evidence of a line.
func at(file string, line *modfile.Line) Evidence {
	return Evidence{File: file, Line: line.Start.Line, Text: strings.Join(line.Token, " ")}
}

// verb puts what a block says at its head before the line.
func verb(word string, e Evidence) Evidence {
	if !strings.HasPrefix(e.Text, word+" ") {
		e.Text = word + " " + e.Text
	}
	return e
}

// mainPaths are the paths of the main modules.
func (f *files) mainPaths() []string {
	var paths []string
	for _, m := range f.mains {
		if m.path() != "" {
			paths = append(paths, m.path())
		}
	}
	return paths
}

// required are the modules that the main modules require, themselves not
// among them, by path.
func (f *files) required() []string {
	var paths []string
	mains := f.mainPaths()
	for _, m := range f.mains {
		for _, r := range m.mod.Require {
			if !slices.Contains(mains, r.Mod.Path) {
				paths = append(paths, r.Mod.Path)
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// moduleLine is the evidence of a main module.
func (f *files) moduleLine(path string) []Evidence {
	for _, m := range f.mains {
		if m.path() == path && m.mod.Module.Syntax != nil {
			return []Evidence{at(m.file, m.mod.Module.Syntax)}
		}
	}
	return nil
}

// requires are the lines that require a module at the selected version, with ""
// at any.
func (f *files) requires(path, version string) []Evidence {
	var lines []Evidence
	for _, m := range f.mains {
		for _, r := range m.mod.Require {
			if r.Mod.Path == path && (version == "" || r.Mod.Version == version) && r.Syntax != nil {
				lines = append(lines, verb("require", at(m.file, r.Syntax)))
			}
		}
	}
	return lines
}
