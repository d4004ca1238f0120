package profiles

import (
	"fmt"
	"go/version"
	"path/filepath"
	"strings"
)

// check holds a value against the rules that need nothing but the value.
func (v *Value) check() Problems {
	var found Problems
	fault := func(text, mend string) { found = append(found, v.problem(text, mend)) }
	value := v.String()
	switch {
	case strings.HasPrefix(v.Key, "env."):
		v.checkEnv(fault)
	case strings.HasPrefix(v.Key, "git."):
		section, name := strings.TrimPrefix(v.Key, "git."), ""
		if i := strings.LastIndexByte(section, '.'); i >= 0 {
			section, name = section[:i], section[i+1:]
		}
		if section == "" || name == "" || strings.ContainsAny(name, "= ") || strings.ContainsAny(section, "\n\x00") {
			fault("is no git configuration key", `write section.key, or url."BASE".insteadOf`)
		}
		if strings.ContainsRune(value, 0) {
			fault("holds a NUL byte, which no environment variable can carry", "")
		}
	case strings.ContainsRune(value, 0):
		fault("holds a NUL byte, which no environment variable can carry", "")
	case v.relayed():
		v.checkRelay(fault)
	case v.Key == "goproxy":
		if value != "" || v.list() != nil {
			for _, f := range checkProxies(value) {
				fault(f[0], f[1])
			}
		}
	case v.Key == "mod":
		if !oneOf(value, "", "readonly", "mod", "vendor") {
			fault(fmt.Sprintf("%q is not one of readonly, mod, vendor", value), "")
		}
	case v.Key == "go":
		if !oneOf(value, "", "local") && !looksLikePath(value) && !IsGoVersion(value) {
			fault(fmt.Sprintf("%q is no Go version", value), `write "1.22" for the newest patch, "1.22.12", "local", or the path of a GOROOT`)
		}
	case v.Key == "modcache":
		if !oneOf(value, "", "isolated", "shared", "fresh") && !looksLikePath(value) {
			fault(fmt.Sprintf("%q is none of isolated, shared, fresh", value), "a directory is written with a slash, as in ./modcache")
		}
	case v.Key == "gowork":
		if !oneOf(value, "", "auto", "off") && !strings.HasSuffix(value, ".work") {
			// go demands the suffix as well (modload.FindGoWork since 1.18).
			fault(fmt.Sprintf("%q is none of auto, off, or a file whose name ends in .work", value), "")
		}
	case v.Key == "modfile":
		if value != "" && filepath.Ext(value) != ".mod" {
			fault(fmt.Sprintf("%q does not end in .mod, which go demands of -modfile", value), "")
		}
	case v.Key == "goflags":
		v.checkFlags(fault)
	}
	return found
}

func (v *Value) checkEnv(fault func(text, mend string)) {
	name := strings.TrimPrefix(v.Key, "env.")
	switch key := keyFor(name); {
	case name == "" || strings.ContainsAny(name, "=\x00"):
		fault("is no name for a variable", "")
	case key != "":
		fault(name+" has a key of its own", fmt.Sprintf("in [profile.%s] write: %s = …", v.Profile, key))
	case strings.ContainsRune(v.String(), 0):
		fault("holds a NUL byte, which no environment variable can carry", "")
	case strings.HasPrefix(name, "GIT_CONFIG_"):
		fault("gox writes the GIT_CONFIG_ variables itself", fmt.Sprintf("use [profile.%s.git]", v.Profile))
	}
}

// flags returns the entries of goflags, whichever way they are written.
func (v *Value) flags() ([]string, error) {
	if list := v.list(); list != nil {
		return list, nil
	}
	return SplitGOFLAGS(v.String(), "")
}

func (v *Value) checkFlags(fault func(text, mend string)) {
	flags, err := v.flags()
	if err != nil {
		fault(err.Error(), `write a list: ["-tags=a b", "-v"]`)
		return
	}
	for _, f := range flags {
		switch name := flagName(f); {
		case !strings.HasPrefix(f, "-") || strings.Trim(name, "-") == "" || strings.HasPrefix(name, "-"):
			fault(fmt.Sprintf("%q is no flag", f), "a value belongs to its flag: -flag=value")
		case name == "mod" || name == "modfile":
			fault(fmt.Sprintf("-%s has a key of its own", name), fmt.Sprintf("write: %s = …", name))
		}
	}
}

// IsGoVersion reports whether s is a Go version as the key go and --go take
// it: 1.22, 1.22.12, 1.23rc1, with or without the word go before it.
func IsGoVersion(s string) bool {
	v := "go" + strings.TrimPrefix(s, "go")
	return version.IsValid(v) && strings.HasPrefix(v, "go1.") && !strings.ContainsAny(v, "-+")
}

func looksLikePath(s string) bool {
	return strings.ContainsAny(s, `/\`) || s == "~" || s == "." || s == ".."
}

// resolvePath returns the absolute form of path, relative to dir; "~" and
// "~/…" start from home.
func resolvePath(path, dir, home string) string {
	if path == "~" || strings.HasPrefix(path, "~/") {
		return filepath.Join(home, path[1:])
	}
	path = filepath.FromSlash(path)
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return filepath.Clean(path)
}

func oneOf(s string, choices ...string) bool {
	for _, c := range choices {
		if s == c {
			return true
		}
	}
	return false
}
