package source

import (
	"path/filepath"

	"golang.org/x/mod/modfile"
)

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
