package profiles

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// A Repository is what a new profiles file is fitted to.
type Repository struct {
	Workspace bool     // there is a go.work
	Vendor    bool     // there is a vendor directory beside go.work or go.mod
	Modfiles  []string // alternate .mod files beside go.mod
	GOPROXY   string   // the user's own setting, "" for go's default
	GOPRIVATE string   // the user's own setting, "" for none
}

// Survey looks at the directory in which a profiles file is to stand.
func Survey(dir string) (Repository, error) {
	var r Repository
	entries, err := filepath.Glob(filepath.Join(globQuote(dir), "*"))
	if err != nil {
		return r, err
	}
	for _, path := range entries {
		switch name := filepath.Base(path); {
		case name == "go.work":
			r.Workspace = true
		case name == "vendor":
			r.Vendor = true
		case filepath.Ext(name) == ".mod" && name != "go.mod":
			r.Modfiles = append(r.Modfiles, name)
		}
	}
	return r, nil
}

// globQuote takes the meaning out of the characters that Glob knows.
func globQuote(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// Scaffold writes a commented profiles file fitted to r. It parses without a
// problem, and no run is changed by it until a profile is asked for.
func Scaffold(r Repository) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`# Profiles for gox: named sets of settings for go. Run go under one of them:`)
	line(`#`)
	line(`#	gox -p proxy build ./...`)
	line(`#`)
	line(`# See them all with "gox profile list", where a value comes from with`)
	line(`# "gox explain". What is yours alone goes into profiles.local.toml beside this`)
	line(`# file, which is laid over it key by key and should not be committed.`)
	line(``)
	line(`# The profile to use when neither -p nor GOX_PROFILE names one.`)
	line(`# default = "proxy"`)
	line(``)
	line(`[profile.proxy]`)
	line(`description = "module proxies, in a module cache of their own"`)
	line(`# After "," only 404 and 410 go on to the next entry; after "|" every error does.`)
	if strings.Contains(r.GOPROXY, "@") || r.GOPROXY == "" {
		// Credentials stay where they are: this file is to be committed.
		line(`# goproxy   = ["https://goproxy.corp.example", "|", "direct"]`)
		line(`goproxy     = "default"`)
	} else {
		line(`goproxy     = %q`, r.GOPROXY)
	}
	if r.GOPRIVATE != "" {
		line(`# From your own settings: these modules skip the proxies and the checksum database.`)
		line(`goprivate   = [%s]`, quotedList(splitList(r.GOPRIVATE)))
	} else {
		line(`# goprivate = ["git.corp.example", "*.git.corp.example"]`)
	}
	line(`# go        = "1.22"      # the newest patch, installed on first use`)
	line(`# modcache  = "isolated"  # isolated (also when not given) | shared | fresh | a directory`)
	if r.Workspace {
		line(``)
		line(`[profile.module]`)
		line(`description = "each module by itself, without go.work"`)
		line(`extends     = "proxy"`)
		line(`gowork      = "off"`)
	}
	for _, name := range r.Modfiles {
		line(``)
		line(`[profile.%s]`, modfileProfile(name))
		line(`description = "with %s in the place of go.mod"`, name)
		line(`extends     = "proxy"`)
		line(`modfile     = %q        # implies gowork = "off"`, name)
	}
	if r.Vendor {
		line(``)
		line(`[profile.vendored]`)
		line(`description = "from vendor/, and from nowhere else"`)
		line(`mod         = "vendor"`)
		line(`goproxy     = "off"`)
		if r.Workspace {
			line(`# In a workspace go takes this from go1.22 on, where "go work vendor" made vendor/.`)
		}
	}
	line(``)
	line(`[profile.train]`)
	line(`description = "no network: what proxy has downloaded before"`)
	line(`extends     = "proxy"`)
	line(`goproxy     = "off"`)
	return b.String()
}

// modfileProfile makes the name of a profile from that of a .mod file:
// "office" of go.office.mod.
func modfileProfile(name string) string {
	name = strings.TrimPrefix(strings.TrimSuffix(name, ".mod"), "go.")
	name = strings.Map(func(r rune) rune {
		if ValidName("x" + string(r)) {
			return r
		}
		return '-'
	}, name)
	if !ValidName(name) || slices.Contains([]string{"proxy", "module", "vendored", "train", DefaultName}, name) {
		name = "mod-" + strings.TrimLeft(name, "-._")
	}
	return name
}

func splitList(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

func quotedList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(quoted, ", ")
}
