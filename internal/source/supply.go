package source

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"
)

// module tells of one that go listed, outside vendor mode.
func (r *Report) module(l listed) Module {
	m := Module{Path: l.Path, Version: l.Version, Dir: l.Dir}
	switch {
	case l.Main && r.GoWork != "":
		m.Source = Use
		r.byUse(&m)
		return m
	case l.Main:
		m.Source = Main
		m.Evidence = r.files.moduleLine(l.Path)
		m.by("order-module")
		return m
	case l.Replace != nil && l.Replace.Version == "":
		m.Source, m.Dir = Directory, l.Replace.Dir
		m.Replace = &Replacement{Path: m.Dir}
		r.byReplace(&m, "replace-dir-over-cache", "replace-dir-no-net")
		if !exists(filepath.Join(m.Dir, "go.mod")) {
			m.Source, m.Note = Nowhere, "there is no go.mod in the directory that replaces it: "+m.Dir
			m.Dir = ""
			m.by("replace-dir-needs-gomod")
		}
		return m
	case l.Replace != nil:
		m.Replace = &Replacement{l.Replace.Path, l.Replace.Version}
		r.byReplace(&m, "replace-module")
	default:
		m.Evidence = r.files.requires(l.Path, l.Version)
		r.idle(&m)
	}
	m.Dir = ""
	r.fromOutside(&m)
	return m
}

// byUse tells of a workspace module.
func (r *Report) byUse(m *Module) {
	m.by("work-use-first")
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

// byReplace tells which directive replaced m, and which ones lost. The claims
// are about such a replacement, wherever its line is.
func (r *Report) byReplace(m *Module, claims ...string) {
	all := r.files.replaces(m.Path)
	won := winner(all, m.Version)
	if won >= 0 && !all[won].gives(m) {
		won = slices.IndexFunc(all, func(d directive) bool { return d.gives(m) && (d.Old.Version == "" || d.Old.Version == m.Version) })
	}
	if won < 0 {
		m.by(claims...)
		if r.files.mains != nil {
			m.Note = "go says that it is replaced, by a line that was not found"
		}
		return
	}
	m.Evidence = append(m.Evidence, all[won].evidence())
	m.Replace.Path = all[won].New.Path // go may write it relative to another directory
	switch {
	case all[won].work:
		m.by("order-workspace")
	case r.GoWork != "":
		m.by("work-member-replace-counts")
	default:
		m.by("order-module")
	}
	m.by(claims...)
	for i, d := range all {
		if i == won {
			continue
		}
		lost := d.evidence()
		lost.Why, lost.Claim = all[won].over(d, m.Version)
		m.Beats = append(m.Beats, lost)
		m.by(lost.Claim)
	}
	m.Evidence = append(m.Evidence, r.files.requires(m.Path, m.Version)...)
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

// fromOutside tells of a module whose content is in the module cache or has to
// come from elsewhere.
func (r *Report) fromOutside(m *Module) {
	var fault string
	content := m.Content()
	m.Ask, fault = r.settings.ask(content.Path)
	if r.GoWork == "" && r.settings.mod != "mod" && r.files.unsummed(content) {
		m.Source = GoMod
		m.by("missing-gosum")
		m.Note = "go.sum has no hash of the module itself, so that go refuses to build packages of it"
		return
	}
	if have := r.settings.cached(content); have.any() {
		m.Source, m.Dir = ModCache, have.path
		m.by("cache-over-proxy")
		switch {
		case !have.dir:
			m.Note = "only its zip is in the module cache: go unpacks it"
			m.by("cache-unpack-anew")
		case !have.zip:
			m.by("cache-without-zip")
		}
		m.Filled, m.Origin = r.settings.filled(content), r.settings.origin(content)
		if m.Filled == nil {
			m.by("order-cache-forgets")
		}
		return
	}
	switch {
	case fault != "":
		m.Source, m.Note = Nowhere, fault
	case len(m.Ask) == 0:
		m.Source, m.Note = Nowhere, "GOPROXY=off"
		m.by("off-uses-cache")
	default:
		m.Source = Ask
		for i, e := range m.Ask {
			if i > 0 && e.raw != direct && module.MatchPrefixPatterns(r.settings.goprivate, content.Path) && !r.settings.meant(content.Path, e.URL) {
				r.Notes = append(r.Notes, fmt.Sprintf("GOPRIVATE matches %s, and yet %s would be asked for it where %s does not have it", content.Path, e.URL, m.Ask[0].URL))
				break
			}
		}
		if r.files.unsummed(content) {
			m.Note = "perhaps no package of it is needed: no go.sum knows more than its go.mod"
		}
		m.by(r.settings.askClaims(content.Path, m.Ask)...)
	}
}

// standard tells of a package of the standard library.
func (s settings) standard(pkg, dir string) Module {
	m := Module{Path: "std", Source: Std, Dir: dir, Packages: []string{pkg}, Evidence: []Evidence{{File: dir}}}
	vendored, ok := strings.CutPrefix(pkg, "vendor/")
	file := filepath.Join(s.goroot, "src", "vendor", "modules.txt")
	if !ok {
		if vendored, ok = strings.CutPrefix(pkg, "cmd/vendor/"); ok {
			file = filepath.Join(s.goroot, "src", "cmd", "vendor", "modules.txt")
		}
	}
	if !ok {
		return m
	}
	m.Note = "vendored in the standard library"
	m.Path = vendored
	if list, err := readVendored(file); err == nil {
		for _, v := range list.modules {
			if slices.Contains(v.packages, vendored) {
				m.Path, m.Version = v.path, v.version
				m.Evidence = []Evidence{{File: file, Line: v.line, Text: v.text}}
			}
		}
	}
	return m
}

// usedTwice looks for content that is to supply two module paths, which go
// refuses as soon as it has loaded the module graph (checkMultiplePaths in
// cmd/go/internal/modload/load.go), and listing modules does not tell.
func (r *Report) usedTwice() {
	if r.VendorDir != "" {
		return // there go minds nothing
	}
	type content struct{ path, version string }
	first := map[content]int{}
	for i := range r.Modules {
		m := &r.Modules[i]
		c := content{m.Content().Path, m.Content().Version}
		switch {
		case m.Source == Main || m.Source == Use || m.Source == Unknown:
			continue
		case m.Replace != nil && m.Replace.Version == "":
			c = content{cmp.Or(m.Dir, m.Replace.Path), ""}
		}
		j, twice := first[c]
		first[c] = i
		if !twice {
			continue
		}
		why := fmt.Sprintf("go: %s used for two different module paths (%s and %s)", strings.TrimSuffix(c.path+"@"+c.version, "@"), r.Modules[j].Path, m.Path)
		for _, k := range []int{j, i} {
			r.Modules[k].Source, r.Modules[k].Note, r.Modules[k].Dir, r.Modules[k].Rules = Unknown, why, "", nil
		}
		named := r.files.required()
		if r.GoWork != "" || len(r.files.mains) == 0 || !r.files.mains[0].pruned() || slices.Contains(named, r.Modules[j].Path) && slices.Contains(named, m.Path) {
			r.Fault = why // the graph is needed, or both are among what go loads first
		}
	}
}

// unknown adds what the files name and go does not list.
func (r *Report) unknown(why string) {
	for _, path := range append(r.files.mainPaths(), r.files.required()...) {
		if !slices.ContainsFunc(r.Modules, func(m Module) bool { return m.Path == path }) {
			r.Modules = append(r.Modules, Module{Path: path, Source: Unknown, Note: why, Evidence: r.files.requires(path, "")})
		}
	}
}
