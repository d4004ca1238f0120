package profiles

import (
	"fmt"
	"os"
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

// Survey looks at the directory in which a profiles file is to stand. It leaves
// the user's own settings to the caller.
func Survey(dir string) (Repository, error) {
	var r Repository
	entries, err := os.ReadDir(dir)
	if err != nil {
		return r, err
	}
	for _, entry := range entries {
		name := entry.Name()
		info, err := os.Stat(filepath.Join(dir, name))
		switch {
		case err != nil: // a link to nowhere
		case name == "vendor":
			r.Vendor = info.IsDir()
		case info.IsDir():
		case name == "go.work":
			r.Workspace = true
		case filepath.Ext(name) == ".mod" && name != "go.mod":
			r.Modfiles = append(r.Modfiles, name)
		}
	}
	return r, nil
}

// Scaffold writes a commented profiles file fitted to r. It parses without a
// problem, needs no permission, holds none of the user's secrets, and no run is
// changed by it until a profile is asked for.
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
	if r.GOPROXY == "" || r.GOPROXY == "off" || !fitsProject("goproxy", r.GOPROXY) {
		line(`# goproxy   = ["https://goproxy.corp.example", "|", "direct"]`)
		line(`goproxy     = "default"`)
	} else {
		line(`goproxy     = "%s"`, r.GOPROXY)
	}
	private := strings.FieldsFunc(r.GOPRIVATE, func(r rune) bool { return r == ',' || r == ' ' })
	private = slices.DeleteFunc(private, func(pattern string) bool { return !fitsProject("goprivate", pattern) })
	if len(private) > 0 {
		line(`# From your own settings: these modules skip the proxies and the checksum database.`)
		line(`goprivate   = ["%s"]`, strings.Join(private, `", "`))
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
	taken := []string{"proxy", "module", "vendored", "train", "default", "mirror", "direct", "offline", "vendor"}
	for _, name := range r.Modfiles {
		if !fitsProject("modfile", name) {
			continue
		}
		profile := modfileProfile(name, taken)
		taken = append(taken, profile)
		line(``)
		line(`[profile.%s]`, profile)
		line(`description = "with %s in the place of go.mod"`, name)
		line(`extends     = "proxy"`)
		line(`modfile     = "%s"        # implies gowork = "off"`, name)
	}
	if r.Vendor {
		line(``)
		line(`[profile.vendored]`)
		line(`description = "from vendor/, and from nowhere else"`)
		line(`mod         = "vendor"`)
		line(`goproxy     = "off"`)
		line(`gonoproxy   = "none"      # nor for what goprivate names, which "off" leaves open`)
		if r.Workspace {
			line(`# In a workspace go takes this from go1.22 on, where "go work vendor" made vendor/.`)
		}
	}
	line(``)
	line(`[profile.train]`)
	line(`description = "no network: what proxy has downloaded before"`)
	line(`extends     = "proxy"`)
	line(`goproxy     = "off"`)
	line(`gonoproxy   = "none"      # nor for what goprivate names, which "off" leaves open`)
	return b.String()
}

// fitsProject reports whether the value of the key can stand, in quotes and as
// it is, in a file that is to be committed: it is well-formed, holds no
// secret, and needs nobody's permission.
func fitsProject(key, value string) bool {
	v := &Value{Key: key, Scope: Project, raw: value}
	return shown(value) == value && !strings.ContainsAny(value, "\"\\\ufffd") && len(v.check()) == 0 && danger(v, beside{}) == ""
}

// modfileProfile makes the name of a profile from that of a .mod file:
// "office" of go.office.mod.
func modfileProfile(file string, taken []string) string {
	base := strings.Map(func(r rune) rune {
		if r == '.' || !ValidName("x"+string(r)) {
			return '-' // a dot would have to stand in quotes
		}
		return r
	}, strings.TrimPrefix(strings.TrimSuffix(file, ".mod"), "go."))
	base = strings.TrimLeft(base, "-_")
	base = base[:min(len(base), 48)]
	if base == "" {
		base = "mod"
	}
	name := base
	for n := 2; slices.Contains(taken, name); n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	return name
}
