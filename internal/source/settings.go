package source

import (
	"cmp"
	"context"
	"fmt"
	"go/version"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/redact"
	"example.com/gox/profiles"
)

// settings are what go says of itself, and the flags in GOFLAGS that decide
// about sources.
type settings struct {
	dir      string
	version  string // as in "go1.22.12", of the go that runs after GOTOOLCHAIN has had its say
	goroot   string
	gomod    string // os.DevNull where there is none, "" without modules
	gowork   string // "" where there is none, or off
	modcache string

	goproxy, gonoproxy, goprivate string

	mod      string // the value of -mod, "" for none
	modfile  string // that of -modfile, absolute
	overlay  bool   // whether there is -overlay
	isolated *settings
}

// readSettings asks go. What it finds by itself, and the version, it tells
// without a network, lest it fetch a toolchain to tell; then what offline hides.
func readSettings(ctx context.Context, q Query) (settings, error) {
	env := q.Env
	if q.Download {
		env = append(slices.Clone(env), q.DownloadEnv...)
	} else {
		env = append(slices.Clone(env), offline()...)
	}
	v, err := gocmd.EnvJSON(ctx, q.Go, q.Dir, env, "GOVERSION", "GOROOT", "GOMOD", "GOWORK", "GOFLAGS", "GOMODCACHE")
	if err != nil && ctx.Err() == nil && !q.Download {
		return settings{}, fmt.Errorf("go does not start here without a network: %w\n\tlet it fetch what it wants: gox source --download", err)
	}
	if err != nil {
		return settings{}, err
	}
	sources, err := gocmd.EnvJSON(ctx, q.Go, q.Dir, append(slices.Clone(q.Env), "GOTOOLCHAIN=local"), "GOPROXY", "GONOPROXY", "GOPRIVATE")
	if err != nil {
		return settings{}, err
	}
	s := settings{
		dir: q.Dir, version: v["GOVERSION"], goroot: v["GOROOT"], gomod: v["GOMOD"], gowork: v["GOWORK"], modcache: v["GOMODCACHE"],
		goproxy: sources["GOPROXY"], gonoproxy: sources["GONOPROXY"], goprivate: sources["GOPRIVATE"],
	}
	if s.gowork == "off" {
		s.gowork = ""
	}
	flags, err := profiles.SplitGOFLAGS(v["GOFLAGS"], s.version)
	if err != nil {
		return settings{}, err
	}
	for _, flag := range flags { // the last one counts: the claim goflags-last
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(flag, "-"), "-"), "=")
		switch name {
		case "mod":
			s.mod = value
		case "modfile":
			s.modfile = value
			if value != "" && !filepath.IsAbs(value) {
				s.modfile = filepath.Join(q.Dir, value)
			}
		case "overlay":
			s.overlay = value != ""
		}
	}
	if q.Isolated != nil {
		s.isolated = isolatedSettings(q.Isolated)
	}
	return s, nil
}

// isolatedSettings reads the sources that fill an isolated cache. Where they
// leave GOPROXY to go, whose default depends on the go, it is nil.
func isolatedSettings(sources []string) *settings {
	var s settings
	for _, source := range sources {
		name, value, _ := strings.Cut(source, "=")
		switch name {
		case "GOPROXY":
			s.goproxy = value
		case "GONOPROXY":
			s.gonoproxy = value
		case "GOPRIVATE":
			s.goprivate = value
		}
	}
	if s.goproxy == "" {
		return nil
	}
	s.gonoproxy = cmp.Or(s.gonoproxy, s.goprivate)
	return &s
}

// An Entry is one of those whom go would ask.
type Entry struct {
	URL string `json:"url"` // redacted; "direct" for the module's own repository
	// Always says that whatever goes wrong with this one the next is asked, as
	// behind "|"; else only after "not found".
	Always bool `json:"always,omitempty"`
	// Why says what decided where it is not GOPROXY.
	Why string `json:"why,omitempty"`

	raw   string // the URL as go asks it, with its credentials
	index int    // in GOPROXY, as Record.Index counts
}

const direct = "direct"

// ask returns whom go would ask for a module, or how it would refuse. It
// follows proxyList and TryProxies in cmd/go/internal/modfetch/proxy.go, which
// are alike from 1.18 to 1.27.
func (s settings) ask(path string) (entries []Entry, fault string) {
	list := proxyEntries(s.goproxy)
	if len(list) == 0 {
		return nil, "GOPROXY names no source"
	}
	for _, e := range list {
		if !strings.ContainsAny(e.raw, ".:/") && e.raw != direct && e.raw != "off" {
			return nil, "GOPROXY: " + e.URL + " is neither a URL nor direct or off" // whatever else is in it: noscheme-word
		}
		if u, err := url.Parse(e.raw); err != nil || e.raw != direct && e.raw != "off" && !slices.Contains([]string{"https", "http", "file"}, u.Scheme) {
			return nil, "GOPROXY: " + e.URL + " is not a URL that go takes"
		}
	}
	if list[0].raw != direct && module.MatchPrefixPatterns(s.gonoproxy, path) {
		return []Entry{{URL: direct, raw: direct, Why: "GONOPROXY"}}, ""
	}
	if last := len(list) - 1; list[last].raw == "off" {
		list = list[:last]
	}
	return list, ""
}

// proxyEntries reads a GOPROXY list, up to what ends it.
func proxyEntries(list string) []Entry {
	var entries []Entry
	for list != "" {
		e := Entry{index: len(entries)}
		if i := strings.IndexAny(list, ",|"); i >= 0 {
			e.raw, e.Always, list = list[:i], list[i] == '|', list[i+1:]
		} else {
			e.raw, list = list, ""
		}
		if e.raw = strings.TrimSpace(e.raw); e.raw == "" {
			continue
		}
		if strings.ContainsAny(e.raw, ".:/") && !strings.Contains(e.raw, ":/") && !filepath.IsAbs(e.raw) {
			e.raw = "https://" + e.raw
		}
		e.URL = redact.Text(e.raw)
		entries = append(entries, e)
		if e.raw == direct || e.raw == "off" {
			break
		}
	}
	if len(entries) > 0 {
		entries[len(entries)-1].Always = false
	}
	return entries
}

// askRules are the rules by which the entries are asked.
func (s settings) askRules(path string, entries []Entry) []Rule {
	if entries[0].Why != "" {
		if module.MatchPrefixPatterns(s.goprivate, path) {
			return rules("order-private-proxy", "noproxy-falls-back")
		}
		return rules("noproxy-glob", "noproxy-falls-back")
	}
	claims := []string{"order-module"}
	if s.gowork != "" {
		claims = []string{"order-workspace"}
	}
	var comma, pipe bool
	for _, e := range entries[:len(entries)-1] {
		comma, pipe = comma || !e.Always, pipe || e.Always
	}
	if comma {
		claims = append(claims, "comma-404", "comma-503")
	}
	if pipe {
		claims = append(claims, "pipe-any")
	}
	return rules(claims...)
}

// older reports whether the go in use is older than v, as in "go1.22". One that
// does not say its version is new.
func (s settings) older(v string) bool {
	return version.IsValid(s.version) && version.Compare(s.version, v) < 0
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

// cached is what a module cache has of a module.
type cached struct {
	dir, zip bool
	path     string // of the directory, there or not
}

// cached looks into the module cache, by the rules of DownloadDir in
// cmd/go/internal/modfetch/cache.go: a directory counts unless its extraction
// was interrupted, or its hash is lost. Then it is unpacked anew, if its zip is
// there.
func (s settings) cached(m module.Version) cached {
	file, err := s.download(m)
	if err != nil {
		return cached{}
	}
	path, _ := module.EscapePath(m.Path)
	version, _ := module.EscapeVersion(m.Version)
	c := cached{path: filepath.Join(s.modcache, filepath.FromSlash(path)+"@"+version)}
	info, err := os.Stat(c.path)
	c.dir = err == nil && info.IsDir() && !exists(file+".partial") && exists(file+".ziphash")
	c.zip = exists(file + ".zip")
	return c
}

// download returns the place of a module's files in the download cache, to
// which ".info" and the like come.
func (s settings) download(m module.Version) (string, error) {
	path, err := module.EscapePath(m.Path)
	if err != nil {
		return "", err
	}
	version, err := module.EscapeVersion(m.Version)
	if err != nil {
		return "", err
	}
	return filepath.Join(s.modcache, "cache", "download", filepath.FromSlash(path), "@v", version), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// fileURL is the URL of an absolute path.
func fileURL(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}
