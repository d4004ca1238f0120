package trace

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"example.com/gox/internal/redact"
	"example.com/gox/profiles"
)

// A Place is where a go command worked.
type Place struct {
	Dir        string   // absolute
	Args       []string // of go, the command first
	GOWORK     string   // as in the environment: "" finds one, "off" none
	GOFLAGS    string
	GOMODCACHE string // absolute
	GoVersion  string // "go1.22.12"
}

// Look adds the modules that go.mod names and that were not asked for at a
// proxy, with where they came from. It asks nobody, not even go: a traced run
// is to cost little more than a plain one. So it takes the versions that go.mod
// names, and does not select among them as go would.
func (r *Report) Look(p Place) {
	defer r.sort()
	if len(p.Args) == 0 {
		return
	}
	if (p.Args[0] == "install" || p.Args[0] == "run") && slices.ContainsFunc(p.Args[1:], func(arg string) bool {
		return !strings.HasPrefix(arg, "-") && strings.Contains(arg, "@")
	}) {
		return // no go.mod counts
	}
	members, work := p.members()
	if len(members) == 0 {
		return
	}
	vendor := p.vendor(members, work)
	replaced := replacements(members, work)
	own := map[string]string{} // the modules of the workspace, by path
	for _, m := range members {
		if m.file.Module != nil {
			own[m.file.Module.Mod.Path] = m.dir
		}
	}
	if work != nil {
		for path, dir := range own {
			r.Modules = append(r.Modules, Module{Path: path, Source: Workspace, From: dir, Evidence: work.path + " names it"})
		}
	}
	for _, required := range chosen(members) {
		m := Module{Path: required.Path, Version: required.Version}
		if _, ok := own[m.Path]; ok {
			continue
		}
		replace, isReplaced := replaced[required]
		if !isReplaced {
			replace, isReplaced = replaced[module.Version{Path: required.Path}]
		}
		source := required
		if isReplaced {
			source = replace.to
		}
		if r.find(source.Path, source.Version) != nil && source.Version != "" {
			if found := r.find(source.Path, source.Version); isReplaced && found.Evidence == "" {
				found.Evidence = fmt.Sprintf("in place of %s, by %s", required, replace.place)
			}
			if found := r.find(source.Path, source.Version); slices.Contains(found.Files, "zip") || found.Source == NotFound || vendor == "" {
				if !slices.Contains(found.Files, "zip") && found.Source != NotFound {
					p.complete(r, found)
				}
				continue
			}
		}
		switch {
		case vendor != "":
			m.Source, m.From, m.Evidence = Vendor, vendor, "go builds from the vendor directory"
		case isReplaced && source.Version == "":
			m.Source, m.From, m.Evidence = Replace, source.Path, "by "+replace.place
		default:
			p.cached(r, source, &m)
			if isReplaced {
				m.Evidence = strings.TrimPrefix(m.Evidence+fmt.Sprintf("; %s in its place, by %s", source, replace.place), "; ")
			}
		}
		r.Modules = append(r.Modules, m)
	}
}

// complete says of a module whose go.mod alone was asked for where its code is.
func (p Place) complete(r *Report, m *Module) {
	if _, err := os.Stat(p.extracted(module.Version{Path: m.Path, Version: m.Version})); err == nil && m.Evidence == "" {
		m.Evidence = "its code was in the module cache already"
	}
}

func (p Place) extracted(m module.Version) string {
	path, err := module.EscapePath(m.Path)
	version, versionErr := module.EscapeVersion(m.Version)
	if errors.Join(err, versionErr) != nil {
		return filepath.Join(p.GOMODCACHE, "-")
	}
	return filepath.Join(p.GOMODCACHE, filepath.FromSlash(path)+"@"+version)
}

// cached tells where a module came from that no proxy was asked for.
func (p Place) cached(r *Report, source module.Version, m *Module) {
	m.Source = Unknown
	path, err := module.EscapePath(source.Path)
	version, versionErr := module.EscapeVersion(source.Version)
	if errors.Join(err, versionErr) != nil {
		return
	}
	base := filepath.Join(p.GOMODCACHE, "cache", "download", filepath.FromSlash(path), "@v", version)
	zip, err := os.Stat(base + ".zip")
	if err != nil {
		if _, err := os.Stat(p.extracted(source)); err == nil {
			m.Source, m.Evidence = Cache, "extracted in the module cache, without the zip file that it was made from"
			return
		}
		m.Evidence = "neither asked for nor in the module cache: go did not need its code"
		return
	}
	var info struct {
		Origin struct{ VCS, URL, Ref, Hash string }
	}
	if data, err := os.ReadFile(base + ".info"); err == nil {
		json.Unmarshal(data, &info)
	}
	origin := ""
	if info.Origin.URL != "" {
		origin = redact.Text(info.Origin.URL)
	}
	if zip.ModTime().Before(r.Start) {
		m.Source, m.Evidence = Cache, "in the module cache before the run"
		return
	}
	// No proxy served it and it is new: go has fetched it itself.
	m.Source, m.From = Direct, origin
	m.Evidence = "new in the module cache, and asked for at no proxy"
	if info.Origin.VCS != "" {
		m.Evidence += ", with an Origin in its .info: " + strings.TrimSpace(info.Origin.VCS+" "+info.Origin.Ref+" "+info.Origin.Hash)
	}
}

// A member is a module that the command works in.
type member struct {
	dir, path string // of its go.mod
	file      *modfile.File
}

type workspace struct {
	path string
	file *modfile.WorkFile
}

// members returns the modules that the command works in: those of the
// workspace, which is nil where there is none, or the one.
func (p Place) members() ([]member, *workspace) {
	var work *workspace
	dirs := []string{}
	path := p.GOWORK
	if path == "" || path == "auto" {
		path = above(p.Dir, "go.work")
	}
	if path != "" && path != "off" && p.flag("modfile") == "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, nil
		}
		file, err := modfile.ParseWork(path, data, nil)
		if err != nil {
			return nil, nil
		}
		work = &workspace{path, file}
		for _, use := range file.Use {
			dir := filepath.FromSlash(use.Path)
			if !filepath.IsAbs(dir) {
				dir = filepath.Join(filepath.Dir(path), dir)
			}
			dirs = append(dirs, dir)
		}
	} else if mod := above(p.Dir, "go.mod"); mod != "" {
		dirs = append(dirs, filepath.Dir(mod))
	}
	var all []member
	for _, dir := range dirs {
		path := filepath.Join(dir, "go.mod")
		if alternate := p.flag("modfile"); alternate != "" {
			if path = alternate; !filepath.IsAbs(path) {
				path = filepath.Join(p.Dir, path)
			}
		}
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if file, err := modfile.ParseLax(path, data, nil); err == nil {
			// ParseLax leaves replace directives out.
			if strict, err := modfile.Parse(path, data, nil); err == nil {
				file = strict
			}
			all = append(all, member{dir, path, file})
		}
	}
	return all, work
}

// above returns the path of the nearest file name in dir or above it.
func above(dir, name string) string {
	for {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// flag returns the value of a flag in the command or in GOFLAGS.
func (p Place) flag(name string) string {
	words, _ := profiles.SplitGOFLAGS(p.GOFLAGS, p.GoVersion)
	value := ""
	for _, word := range words {
		if v, ok := strings.CutPrefix(strings.TrimPrefix(word, "-"), "-"+name+"="); ok {
			value = v
		} else if v, ok := strings.CutPrefix(word, "-"+name+"="); ok {
			value = v
		}
	}
	for i, arg := range p.Args {
		bare := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
		switch v, ok := strings.CutPrefix(bare, name+"="); {
		case arg == "--" || bare == arg:
		case ok:
			value = v
		case bare == name && i+1 < len(p.Args):
			value = p.Args[i+1]
		}
	}
	return value
}

// vendor returns the vendor directory that the command builds from, "" where it
// uses none (go help modules; the claims vendor/ have the versions).
func (p Place) vendor(members []member, work *workspace) string {
	if slices.Contains([]string{"mod", "get", "work"}, p.Args[0]) {
		return "" // they do not build
	}
	dir := members[0].dir
	if work != nil {
		dir = filepath.Dir(work.path)
	}
	dir = filepath.Join(dir, "vendor")
	data, err := os.ReadFile(filepath.Join(dir, "modules.txt"))
	mode := p.flag("mod")
	if err != nil || mode != "" && mode != "vendor" {
		return ""
	}
	first, _, _ := strings.Cut(string(data), "\n")
	if (work != nil) != strings.HasPrefix(first, "## workspace") {
		return ""
	}
	line := "v1.13.0"
	if work != nil {
		if work.file.Go != nil {
			line = "v" + work.file.Go.Version
		}
	} else if members[0].file.Go != nil {
		line = "v" + members[0].file.Go.Version
	}
	if mode == "vendor" || semver.Compare(line, "v1.14") >= 0 {
		return dir
	}
	return ""
}

// chosen returns what the members require, of each module the greatest version.
func chosen(members []member) []module.Version {
	versions := map[string]string{}
	for _, m := range members {
		for _, r := range m.file.Require {
			if semver.Compare(r.Mod.Version, versions[r.Mod.Path]) > 0 {
				versions[r.Mod.Path] = r.Mod.Version
			}
		}
	}
	var all []module.Version
	for path, version := range versions {
		all = append(all, module.Version{Path: path, Version: version})
	}
	module.Sort(all)
	return all
}

// A replacement is a replace directive.
type replacement struct {
	to    module.Version // with an empty Version a directory, absolute
	place string         // FILE:LINE
}

// replacements returns those in force: go.work's go before the members'.
func replacements(members []member, work *workspace) map[module.Version]replacement {
	all := map[module.Version]replacement{}
	add := func(file, dir string, list []*modfile.Replace) {
		for _, r := range list {
			to := r.New
			if to.Version == "" && !filepath.IsAbs(to.Path) {
				to.Path = filepath.Join(dir, filepath.FromSlash(to.Path))
			}
			all[r.Old] = replacement{to, fmt.Sprintf("%s:%d", file, r.Syntax.Start.Line)}
		}
	}
	for _, m := range members {
		add(m.path, m.dir, m.file.Replace)
	}
	if work != nil {
		for _, r := range work.file.Replace {
			if r.Old.Version == "" { // beats those of single versions, too
				for old := range all {
					if old.Path == r.Old.Path {
						delete(all, old)
					}
				}
			}
		}
		add(work.path, filepath.Dir(work.path), work.file.Replace)
	}
	return all
}
