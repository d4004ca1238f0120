package source

import (
	"cmp"
	"context"
	"fmt"
	"go/version"
	"path/filepath"
	"slices"
	"strings"

	"example.com/gox/internal/gocmd"
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

	goproxy, gonoproxy, goprivate, gosumdb, gonosumdb string

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
	if err != nil && ctx.Err() == nil && !q.Download && (strings.Contains(err.Error(), "GOPROXY=off") || strings.Contains(err.Error(), "toolchain")) {
		return settings{}, fmt.Errorf("go does not start here without a network: %w\n\tlet it fetch what it wants: gox source --download", err)
	}
	if err != nil {
		return settings{}, err
	}
	sources, err := gocmd.EnvJSON(ctx, q.Go, q.Dir, append(slices.Clone(q.Env), "GOTOOLCHAIN=local"), "GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB")
	if err != nil {
		return settings{}, err
	}
	s := settings{
		dir: q.Dir, version: v["GOVERSION"], goroot: v["GOROOT"], gomod: v["GOMOD"], gowork: v["GOWORK"], modcache: v["GOMODCACHE"],
		goproxy: sources["GOPROXY"], gonoproxy: sources["GONOPROXY"], goprivate: sources["GOPRIVATE"],
		gosumdb: sources["GOSUMDB"], gonosumdb: sources["GONOSUMDB"],
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

// older reports whether the go in use is older than v, as in "go1.22". One that
// does not say its version is new.
func (s settings) older(v string) bool {
	return version.IsValid(s.version) && version.Compare(s.version, v) < 0
}
