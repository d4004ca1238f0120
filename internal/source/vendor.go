package source

import (
	"bytes"
	"context"
	"go/version"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// vendorMode returns the vendor directory that go would use, "" for none. Where
// there is one that go leaves alone, the evidence says why. It follows
// setDefaultBuildMod in cmd/go/internal/modload/init.go for go build and go
// list.
func (s settings) vendorMode(f *files) (dir string, ignored *Evidence) {
	root := filepath.Dir(s.gomod)
	if s.gowork != "" {
		root = filepath.Dir(s.gowork)
	}
	own := filepath.Join(root, "vendor")
	// Up to go1.19 the only module of a workspace is built from its own vendor
	// directory, wherever that is.
	lone := s.gowork != "" && s.older("go1.20") && len(f.mains) == 1
	if lone {
		own = filepath.Join(f.mains[0].dir, "vendor")
	}
	switch {
	case s.mod == "vendor" && (s.gowork == "" || !s.older("go1.22")):
		return own, nil // go itself complains of a missing one
	case s.mod != "" && isDir(own):
		claim := "vendor-mod-readonly"
		if s.gowork != "" {
			claim = "work-vendor-readonly"
		}
		return "", &Evidence{File: own, Why: "-mod=" + s.mod + " in GOFLAGS", Claim: claim}
	case s.mod != "":
		return "", nil
	case s.gowork != "" && s.older("go1.22") && !lone:
		if isDir(own) {
			return "", &Evidence{File: own, Why: "before go1.22 a workspace uses no vendor directory", Claim: "work-vendor-auto"}
		}
		return "", nil
	case !isDir(own):
		return "", nil
	}
	goLine, from := "", "go.mod"
	switch {
	case s.gowork == "" || lone:
		if len(f.mains) > 0 && f.mains[0].mod.Go != nil {
			goLine = f.mains[0].mod.Go.Version
		}
	case f.work != nil && f.work.Go != nil:
		goLine, from = f.work.Go.Version, "go.work"
	}
	switch {
	case goLine == "":
		return "", &Evidence{File: own, Why: "there is no go line in " + from, Claim: "vendor-auto-nogo"}
	case version.Compare("go"+goLine, "go1.14") < 0:
		return "", &Evidence{File: own, Why: from + " says go " + goLine + ", and it takes 1.14", Claim: "vendor-auto-113"}
	case s.older("go1.22"):
		return own, nil
	}
	switch ofWorkspace := workspaceVendor(filepath.Join(own, modulesTxt)); {
	case ofWorkspace && s.gowork == "":
		return "", &Evidence{File: own, Why: "it was made for a workspace", Claim: "work-vendor-in-module-mode"}
	case !ofWorkspace && s.gowork != "":
		return "", &Evidence{File: own, Why: "it was not made for a workspace", Claim: "work-vendor-auto-header"}
	}
	return own, nil
}

const modulesTxt = "modules.txt"

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// workspaceVendor reads the first line as modulesTextIsForWorkspace does.
func workspaceVendor(file string) bool {
	data, _ := os.ReadFile(file)
	line, _, _ := bytes.Cut(data, []byte("\n"))
	if line, ok := strings.CutPrefix(string(line), "## "); ok {
		for entry := range strings.SplitSeq(line, ";") {
			if strings.TrimSpace(entry) == "workspace" {
				return true
			}
		}
	}
	return false
}

// A vendored is a module that modules.txt lists.
type vendored struct {
	path, version string // version is "" on a line that only notes a replace
	line          int
	text          string
	replace       *Replacement
	packages      []string
}

// A vendorList is a modules.txt.
type vendorList struct {
	file    string
	modules []vendored
}

// readVendored reads a modules.txt as readVendorList in
// cmd/go/internal/modload/vendor.go does.
func readVendored(file string) (vendorList, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return vendorList{}, err
	}
	return parseVendored(file, string(data)), nil
}

func parseVendored(file, data string) vendorList {
	list := vendorList{file: file}
	known := false // whether the last module line was understood
	for i, line := range strings.Split(data, "\n") {
		if strings.HasPrefix(line, "# ") {
			f := strings.Fields(line)
			if len(f) < 3 {
				continue
			}
			v := vendored{path: f[1], line: i + 1, text: strings.TrimSpace(line)}
			rest := f[2:]
			if semver.IsValid(f[2]) {
				v.version, rest = f[2], f[3:]
			} else if f[2] != "=>" {
				known = false
				continue
			}
			if len(rest) == 2 && rest[0] == "=>" {
				v.replace = &Replacement{Path: rest[1]}
			} else if len(rest) == 3 && rest[0] == "=>" && semver.IsValid(rest[2]) {
				v.replace = &Replacement{rest[1], rest[2]}
			}
			list.modules, known = append(list.modules, v), true
			continue
		}
		if f := strings.Fields(line); known && len(f) == 1 && !strings.HasPrefix(line, "#") && module.CheckImportPath(f[0]) == nil {
			last := &list.modules[len(list.modules)-1]
			last.packages = append(last.packages, f[0])
		}
	}
	return list
}

// selected returns the module lines that are of the build list: those with
// packages, the highest version of each path, and those without, which no
// package is needed of.
func (l vendorList) selected() []vendored {
	best := map[string]int{}
	for i, v := range l.modules {
		if v.version == "" {
			continue
		}
		j, ok := best[v.path]
		have := ok && len(l.modules[j].packages) > 0
		switch {
		case !ok, len(v.packages) > 0 && !have,
			(len(v.packages) > 0) == have && semver.Compare(l.modules[j].version, v.version) < 0:
			best[v.path] = i
		}
	}
	var all []vendored
	for i, v := range l.modules {
		if j, ok := best[v.path]; ok && i == j {
			all = append(all, v)
		}
	}
	return all
}

// listVendored lists the modules where go builds from a vendor directory.
func (r *Report) listVendored(ctx context.Context, g *quietGo, dir string) error {
	r.VendorDir = dir
	// go list -m all is refused here; but whatever go loads, it compares
	// modules.txt with go.mod and go.work first.
	var stdout bytes.Buffer
	fault, err := g.run(ctx, &stdout, append([]string{"list", "-e", "-m", "-json", "--"}, r.files.mainPaths()...)...)
	if err != nil {
		return err
	}
	if fault != "" {
		r.Fault = fault
		r.unknown("go refuses to build here")
		return nil
	}
	mains, err := decode[listed](&stdout)
	if err != nil {
		return err
	}
	list, err := readVendored(filepath.Join(dir, modulesTxt))
	if err != nil {
		list.file = dir // go takes one that it cannot read for empty
	}
	for _, l := range mains {
		if l.Main {
			m := r.module(l)
			if r.GoWork != "" && !r.settings.older("go1.22") {
				m.by("work-vendor-used-module")
			}
			r.Modules = append(r.Modules, m)
		}
	}
	for _, v := range list.selected() {
		if slices.ContainsFunc(r.Modules, func(m Module) bool { return m.Path == v.path }) {
			continue // the directory of a used module counts
		}
		r.Modules = append(r.Modules, r.vendored(list.file, v))
	}
	// Of a module below go 1.14 go does not require that all are there.
	for _, path := range r.files.required() {
		if !slices.Contains(r.paths(), path) {
			r.Modules = append(r.Modules, Module{Path: path, Source: Nowhere, Evidence: r.files.requires(path, ""),
				Note: "go uses the vendor directory, which does not have it: " + dir})
		}
	}
	return nil
}

// vendored tells of a module in the vendor directory.
func (r *Report) vendored(file string, v vendored) Module {
	m := Module{Path: v.path, Version: v.version, Source: Vendor, Replace: v.replace}
	m.Evidence = []Evidence{{File: file, Line: v.line, Text: v.text}}
	if len(v.packages) > 0 {
		// The directory of one package says more than that of a module, which
		// may hold packages of another.
		m.Dir = filepath.Join(filepath.Dir(file), filepath.FromSlash(v.path))
	} else {
		m.Note = "no package of it is needed, and none is there"
	}
	auto, cache := "vendor-auto", "vendor-over-cache"
	if r.GoWork != "" && !r.settings.older("go1.22") {
		auto, cache = "work-vendor-auto", "order-work-vendor-cache"
	} else if r.GoWork != "" {
		auto = "work-module-vendor-ignored"
	}
	if r.settings.mod != "vendor" {
		m.by(auto)
	}
	for _, d := range r.files.replaces(v.path) {
		e := d.evidence()
		switch {
		case d.Old.Version != "" && d.Old.Version != v.version:
			e.Why = "it is about another version than the selected one"
			m.Beats = append(m.Beats, e)
		case r.GoWork != "" && r.settings.older("go1.22") && d.work:
			e.Why, e.Claim = "go1.18 and go1.19 do not compare the vendor directory with go.work", "order-member-vendor-work-replace"
			m.Beats = append(m.Beats, e)
		case v.replace == nil:
			e.Why = "the vendor directory counts"
			m.Beats = append(m.Beats, e)
		case d.New.Version != "":
			m.Evidence = append(m.Evidence, e) // this is what was vendored
			m.by("vendor-replace-module")
		default:
			e.Why, e.Claim = "its files were copied when they were vendored, and the copy counts", "vendor-over-replace"
			if r.GoWork != "" && !r.settings.older("go1.22") {
				e.Claim = "work-vendor-replaced-dir"
			}
			m.Beats = append(m.Beats, e)
			m.by(e.Claim)
		}
	}
	m.Evidence = append(m.Evidence, r.files.requires(v.path, v.version)...)
	if have := r.settings.cached(m.Content()); (have.any()) && (v.replace == nil || v.replace.Version != "") {
		m.Beats = append(m.Beats, Evidence{File: have.path, Why: "the vendor directory counts before the module cache", Claim: cache})
		m.by(cache)
	}
	return m
}

// vendoredCopy is what a vendor directory that go leaves alone has of m.
func (r *Report) vendoredCopy(m *Module, ignored Evidence) []Evidence {
	list, err := readVendored(filepath.Join(ignored.File, modulesTxt))
	if err != nil {
		return nil
	}
	for _, v := range list.selected() {
		if v.path == m.Path && len(v.packages) > 0 {
			return []Evidence{{File: list.file, Line: v.line, Text: v.text, Why: ignored.Why, Claim: ignored.Claim}}
		}
	}
	return nil
}
