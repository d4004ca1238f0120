package source

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"go/version"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
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

func anyVersion(_, version string) (string, error) { return version, nil }

// absolute returns path as seen from dir.
func absolute(path, dir string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
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

// A directive is one replace.
type directive struct {
	*modfile.Replace
	file string
	root string // what a relative directory is relative to
	work bool
}

func (d directive) evidence() Evidence { return verb("replace", at(d.file, d.Syntax)) }

// gives reports whether d puts a module there by what go says, whose
// directories are absolute.
func (d directive) gives(m *Module) bool {
	switch {
	case m.Replace == nil:
		return false
	case d.New.Version == "":
		return m.Replace.Version == "" && absolute(d.New.Path, d.root) == filepath.Clean(m.Dir)
	}
	return d.New.Path == m.Replace.Path && d.New.Version == m.Replace.Version
}

// replaces are the directives about a path, those of go.work first.
func (f *files) replaces(path string) []directive {
	var all []directive
	if f.work != nil {
		for _, r := range f.work.Replace {
			if r.Old.Path == path {
				all = append(all, directive{r, f.workPath, filepath.Dir(f.workPath), true})
			}
		}
	}
	for _, m := range f.mains {
		for _, r := range m.mod.Replace {
			if r.Old.Path == path {
				all = append(all, directive{r, m.file, m.dir, false})
			}
		}
	}
	return all
}

// winner returns the index of the directive that counts for a version, -1 for
// none. It follows replacementFrom in cmd/go/internal/modload/modfile.go, alike
// from 1.18 to 1.27: go.work before all go.mod files, of which the last one
// counts where go finds no conflict, and in one file a version before none.
func winner(all []directive, version string) int {
	pick := func(in func(directive) bool) int {
		exact, wild := -1, -1
		for i, d := range all {
			switch {
			case !in(d):
			case d.Old.Version == version:
				exact = i
			case d.Old.Version == "":
				wild = i
			}
		}
		if exact >= 0 {
			return exact
		}
		return wild
	}
	if i := pick(func(d directive) bool { return d.work }); i >= 0 {
		return i
	}
	best := -1
	for _, d := range all {
		if i := pick(func(other directive) bool { return !other.work && other.file == d.file }); i > best {
			best = i
		}
	}
	return best
}

// byUse tells of a workspace module.
func (r *Report) byUse(m *Module) {
	m.Rules = rules("work-use-first")
	if r.files.work != nil {
		for _, use := range r.files.work.Use {
			if use.Syntax != nil && absolute(use.Path, filepath.Dir(r.GoWork)) == filepath.Clean(m.Dir) {
				m.Evidence = append(m.Evidence, verb("use", at(r.GoWork, use.Syntax)))
			}
		}
	}
	for _, d := range r.files.replaces(m.Path) {
		lost := d.evidence()
		lost.Why = "a module that go.work uses is not replaced"
		switch {
		case d.work:
			lost.Claim = "work-use-and-workreplace-ver"
		case d.Old.Version == "":
			lost.Claim = "work-use-over-mod-replace"
		default:
			lost.Claim = "work-use-over-mod-replace-ver"
		}
		m.Beats = append(m.Beats, lost)
	}
	for _, main := range r.files.mains {
		for _, req := range main.mod.Require {
			if req.Mod.Path == m.Path && req.Syntax != nil {
				lost := verb("require", at(main.file, req.Syntax))
				lost.Why, lost.Claim = "the directory counts, whatever version is required", "work-use-first"
				m.Beats = append(m.Beats, lost)
			}
		}
	}
}

// byReplace tells which directive replaced m, and which ones lost.
func (r *Report) byReplace(m *Module) {
	all := r.files.replaces(m.Path)
	won := winner(all, m.Version)
	if won >= 0 && !all[won].gives(m) {
		won = slices.IndexFunc(all, func(d directive) bool { return d.gives(m) && (d.Old.Version == "" || d.Old.Version == m.Version) })
	}
	if won < 0 {
		if r.files.mains != nil {
			m.Note = "go says that it is replaced, by a line that was not found"
		}
		return
	}
	m.Evidence = append(m.Evidence, all[won].evidence())
	m.Replace.Path = all[won].New.Path // go may write it relative to another directory
	if all[won].work {
		m.Rules = append(rules("order-workspace"), m.Rules...)
	} else if r.GoWork != "" {
		m.Rules = append(rules("work-member-replace-counts"), m.Rules...)
	} else {
		m.Rules = append(rules("order-module"), m.Rules...)
	}
	for i, d := range all {
		if i == won {
			continue
		}
		lost := d.evidence()
		lost.Why, lost.Claim = all[won].over(d, m.Version)
		m.Beats = append(m.Beats, lost)
		m.Rules = append(m.Rules, rules(lost.Claim)...)
	}
	m.Evidence = append(m.Evidence, r.files.requires(m.Path, m.Version)...)
}

// over says why d counts and lost does not, for a version.
func (d directive) over(lost directive, version string) (why, claim string) {
	switch {
	case lost.Old.Version != "" && lost.Old.Version != version:
		return "it is about another version than the selected one", ""
	case d.work && !lost.work && d.Old.Version == "" && lost.Old.Version != "":
		return "go.work counts before go.mod", "work-wild-over-mod-ver"
	case d.work && !lost.work && d.Old.Version != "" && lost.Old.Version == "":
		return "go.work counts before go.mod", "work-ver-over-mod-wild"
	case d.work && !lost.work && d.New.Version != "" && lost.New.Version == "":
		return "go.work counts before go.mod", "work-module-over-mod-dir"
	case d.work && !lost.work:
		return "go.work counts before go.mod", "work-replace-over-mod"
	case d.work && d.Old.Version != "" && lost.Old.Version == "":
		return "the line with the version counts", "work-ver-over-wild"
	case d.file == lost.file && d.Old.Version != "" && lost.Old.Version == "":
		return "the line with the version counts", "mod-ver-over-wild"
	case d.New == lost.New && d.New.Version != "", absolute(d.New.Path, d.root) == absolute(lost.New.Path, lost.root):
		return "it says the same", ""
	case d.file != lost.file:
		return "the last one that go.work uses counts, as go sees no conflict", "work-conflict-other-ver"
	}
	return "go takes the other one", ""
}

// idle notes the directives about m that do not reach it.
func (r *Report) idle(m *Module) {
	for _, d := range r.files.replaces(m.Path) {
		lost := d.evidence()
		lost.Why = "go does not apply it"
		if d.Old.Version != "" && d.Old.Version != m.Version {
			lost.Why = "it is about another version than the selected one"
		}
		m.Beats = append(m.Beats, lost)
	}
}

// spareWork writes a copy of go.work, with its sums beside it, for go to
// change in place of the original. It says the same, in absolute paths. "" means
// that there was nothing to copy.
func (w *worker) spareWork() (string, error) {
	f := w.r.files
	if f.work == nil {
		return "", nil
	}
	dir, err := w.scratch()
	if err != nil {
		return "", err
	}
	home := filepath.Dir(f.workPath)
	var b bytes.Buffer
	for _, stmt := range f.work.Syntax.Stmt {
		line := func(word string, tokens []string) {
			// What is neither use nor replace names no path.
			switch {
			case word == "use" && len(tokens) > 0:
				fmt.Fprintf(&b, "use %s\n", modfile.AutoQuote(absolute(unquote(tokens[0]), home)))
				return
			case word == "replace":
				if i := slices.Index(tokens, "=>"); i >= 0 && i+2 == len(tokens) {
					tokens = append(slices.Clone(tokens[:i+1]), modfile.AutoQuote(absolute(unquote(tokens[i+1]), home)))
				}
			}
			fmt.Fprintln(&b, word, strings.Join(tokens, " "))
		}
		switch stmt := stmt.(type) {
		case *modfile.Line:
			line(stmt.Token[0], stmt.Token[1:])
		case *modfile.LineBlock:
			for _, l := range stmt.Line {
				line(strings.Join(stmt.Token, " "), l.Token)
			}
		}
	}
	file := filepath.Join(dir, "go.work")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		return "", err
	}
	sums, err := os.ReadFile(f.workPath + ".sum")
	if err == nil {
		err = os.WriteFile(file+".sum", sums, 0o600)
	} else if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return file, err
}

// unquote undoes modfile.AutoQuote.
func unquote(token string) string {
	if len(token) >= 2 && (token[0] == '"' || token[0] == '`') && token[len(token)-1] == token[0] {
		if token[0] == '`' {
			return token[1 : len(token)-1]
		}
		var s string
		if _, err := fmt.Sscanf(token, "%q", &s); err == nil {
			return s
		}
	}
	return token
}
