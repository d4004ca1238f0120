package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"example.com/gox/internal/redact"
)

// A Danger is a setting of a project's file that can run code or weaken
// verification, and so takes effect only after the user's word.
type Danger struct {
	Value *Value
	Why   string // "turns the checksum database off"
}

func (d Danger) String() string {
	v := d.Value
	return shown(fmt.Sprintf("%s [profile.%s] %s = %s: %s", v.Pos, v.Profile, v.Key, redact.Variable(v.Key, v.String()), d.Why))
}

// Dangers returns the settings of project files that are in force in p and
// need the user's word. The user's own file and the built-in profiles need
// none.
func (p *Profile) Dangers() []Danger {
	beside := besides(p.value)
	var found []Danger
	for _, v := range p.Values() {
		found = appendDanger(found, v, beside)
	}
	// GOFLAGS are merged, so that those of a farther table are in force too.
	if all := p.values("goflags"); len(all) > 1 {
		for _, v := range all[1:] {
			found = appendDanger(found, v, beside)
		}
	}
	return found
}

// Dangers returns all settings of f that would need the user's word, in the
// order of their lines.
func (f *File) Dangers() []Danger {
	var found []Danger
	for _, s := range f.profiles {
		beside := besides(func(key string) *Value { return s.values[key] })
		for _, v := range s.values {
			found = appendDanger(found, v, beside)
		}
	}
	slices.SortFunc(found, func(a, b Danger) int {
		return cmp.Or(a.Value.Pos.Line()-b.Value.Pos.Line(), strings.Compare(a.Value.Key, b.Value.Key))
	})
	return found
}

// A setting is judged by what stands beside it.
type beside struct {
	private []string // the patterns of goprivate
	shared  bool     // modcache = "shared"
}

func besides(value func(key string) *Value) beside {
	var b beside
	if v := value("goprivate"); v != nil {
		b.private = patterns(v)
	}
	if v := value("modcache"); v != nil {
		b.shared = v.String() == "shared"
	}
	return b
}

func appendDanger(found []Danger, v *Value, by beside) []Danger {
	if v.Scope != Project {
		return found
	}
	if why := danger(v, by); why != "" {
		found = append(found, Danger{v, why})
	}
	return found
}

func patterns(v *Value) []string { return strings.Split(v.String(), ",") }

// danger says why v needs the user's word, "" where it needs none: where it
// only chooses sources or shapes the build. Wherever the rule is a list, it
// lists what is harmless, so that what gox does not know asks.
func danger(v *Value, by beside) string {
	value := v.String()
	switch v.Key {
	case "go":
		if v.IsPath() {
			return "runs the go command found there"
		}
	case "goproxy":
		// cmd/go/internal/modfetch, useSumDB: with such a GOPROXY, which is for
		// tests of toolchains, go does not insist on the checksum database.
		if value := strings.TrimSpace(value); strings.HasPrefix(value, "file:") && !strings.ContainsAny(value, ",|") {
			return `lets toolchains past the checksum database; with "off" after it, it does not`
		}
	case "gonoproxy":
		// What the user's own settings exempt from the checksum database would
		// come from elsewhere, unproved, and stay for other projects to use.
		if by.shared {
			return "decides where private modules in your own module cache come from"
		}
	case "gosumdb":
		switch {
		case value == "off":
			return "turns the checksum database off"
		case value != "" && value != "default" && !trustedDatabase(value):
			return "trusts another checksum database than go's own"
		}
	case "goprivate":
		for _, pattern := range patterns(v) {
			switch {
			case matchPrefix(pattern, "golang.org/toolchain"):
				return fmt.Sprintf("%q takes go's own toolchains out of the checksum database", pattern)
			case wide(pattern):
				return fmt.Sprintf("%q takes the modules of many owners out of the checksum database", pattern)
			}
		}
	case "gonosumdb", "goinsecure":
		for _, pattern := range patterns(v) {
			if pattern != "" && pattern != "none" && !within(pattern, by.private) {
				return fmt.Sprintf("%q is wider than goprivate", pattern)
			}
		}
	case "govcs":
		for _, rule := range patterns(v) {
			pattern, systems, _ := strings.Cut(rule, ":")
			for _, system := range strings.Split(systems, "|") {
				if strings.TrimSpace(pattern) != "private" && !oneOf(strings.TrimSpace(system), "", "git", "hg", "off") {
					return "lets more version control tools run than go does by itself"
				}
			}
		}
	case "goauth":
		if !oneOf(strings.TrimSpace(value), "", "off", "netrc") {
			return "runs a command for credentials"
		}
	case "gocache":
		if !oneOf(value, "", "off") {
			return "takes compiled code from there"
		}
	case "record":
		if value != "" {
			return "appends to that file"
		}
	case "cafile":
		if value != "" {
			return "trusts further certificate authorities"
		}
	case "resolver":
		if value != "" {
			return "decides which addresses names have"
		}
	case "modcache":
		if !oneOf(value, "", "isolated", "shared", "fresh") {
			return "takes modules from there, which go does not verify again"
		}
	case "goflags":
		flags, err := v.flags()
		if err != nil {
			return "cannot be read"
		}
		for _, f := range flags {
			if !harmlessFlag(f) {
				return fmt.Sprintf("%s may run or overwrite something", f)
			}
		}
	default:
		if name, ok := strings.CutPrefix(v.Key, "env."); ok {
			return dangerousVariable(name)
		}
		if strings.HasPrefix(v.Key, "hosts.") && value != "" {
			return "decides which addresses names have"
		}
		if name, ok := strings.CutPrefix(v.Key, "git."); ok && !harmlessGit(name, v) {
			return "configures git beyond which address it fetches from"
		}
	}
	return ""
}

// trustedDatabase reports whether a GOSUMDB value names a checksum database
// whose key is built into go, and does not bring a key of its own. An address
// after the name is only another way to the same signed tree.
func trustedDatabase(value string) bool {
	name, _, _ := strings.Cut(strings.TrimSpace(value), " ")
	return oneOf(name, "sum.golang.org", "sum.golang.google.cn")
}

// within reports whether pattern matches nothing that private does not.
func within(pattern string, private []string) bool {
	return slices.Contains(private, pattern) ||
		!strings.ContainsAny(pattern, `*?[\`) && slices.ContainsFunc(private, func(p string) bool { return matchPrefix(p, pattern) })
}

// matchPrefix reports whether pattern matches the module path target or a
// parent of it, as one entry of GOPRIVATE does. It is what
// module.MatchPrefixPatterns of golang.org/x/mod does, which brings regexp along:
// to initialise that costs a run a tenth of what gox costs it.
func matchPrefix(pattern, target string) bool {
	pattern = strings.TrimSuffix(pattern, "/")
	elements := strings.Split(target, "/")
	n := strings.Count(pattern, "/") + 1
	if pattern == "" || n > len(elements) {
		return false
	}
	ok, _ := path.Match(pattern, strings.Join(elements[:n], "/")) // a bad pattern matches nothing
	return ok
}

// wide reports whether a GOPRIVATE pattern covers more than one owner's
// domain, "*", "*.com", "*/x", or all of a site where anybody may be one,
// "github.com", "github.com/*".
func wide(pattern string) bool {
	host, rest, _ := strings.Cut(strings.TrimSpace(pattern), "/")
	if oneOf(host, "github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "gopkg.in") {
		owner, _, _ := strings.Cut(rest, "/")
		return owner == "" || strings.ContainsAny(owner, `*?[\`)
	}
	literal := 0
	for _, label := range strings.Split(host, ".") {
		if label != "" && !strings.ContainsAny(label, `*?[\`) {
			literal++
		}
	}
	return pattern != "" && pattern != "none" && literal < 2
}

// harmlessFlag reports whether an entry of GOFLAGS only shapes what is built
// and tested, without naming a program to run or a file to write. -ldflags and
// its kin carry flags for other programs, of which only the commonest are
// known to be harmless here.
func harmlessFlag(word string) bool {
	if strings.ContainsFunc(word, func(r rune) bool { return r != ' ' && unicode.IsSpace(r) }) {
		return false // before go1.20 any of these began another flag
	}
	name := flagName(word)
	if name == "ldflags" {
		_, value, _ := strings.Cut(word, "=")
		inner, err := SplitGOFLAGS(value, "")
		defines := false
		for _, f := range inner {
			switch {
			case defines:
				if strings.HasPrefix(f, "-") {
					return false
				}
				defines = false
			case f == "-X":
				defines = true
			case !oneOf(f, "-s", "-w", "-buildid=") && !strings.HasPrefix(f, "-X="):
				return false
			}
		}
		return err == nil && !defines
	}
	return oneOf(name, "a", "asan", "bench", "benchtime", "buildmode", "buildvcs", "count", "cover", "covermode",
		"coverpkg", "cpu", "failfast", "fullpath", "installsuffix", "json", "linkshared", "list", "modcacherw",
		"msan", "n", "p", "parallel", "pgo", "race", "run", "short", "shuffle", "skip", "tags", "timeout",
		"trimpath", "v", "vet", "work", "x")
}

// dangerousVariable says why a variable in an env table needs the user's word.
// Of the names that configure go, git and gox it lists the harmless ones; of
// all others, those that make some program load or run something.
func dangerousVariable(name string) string {
	name = strings.ToUpper(name)
	has := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	switch {
	case oneOf(name, "GOOS", "GOARCH", "GOARM", "GOARM64", "GOAMD64", "GO386", "GOMIPS", "GOMIPS64", "GOPPC64",
		"GORISCV64", "GOWASM", "GOEXPERIMENT", "GOFIPS140", "GOGC", "GOMAXPROCS", "GOMEMLIMIT",
		"GOTRACEBACK", "CGO_ENABLED"):
		return ""
	case known(name) || has("GO", "CGO_"):
		if has("GOOGLE_") {
			return ""
		}
		return "configures go beyond which platform it builds for"
	case oneOf(name, "PATH", "HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "SHELL", "ENV", "BASH_ENV", "IFS",
		"PATHEXT", "COMSPEC", "SYSTEMROOT", "WINDIR", "ZDOTDIR", "PROMPT_COMMAND", "SHELLOPTS", "BASHOPTS", "PS4", "DEVELOPER_DIR", "SDKROOT", "TMPDIR", "TEMP", "TMP", "NETRC", "EDITOR", "VISUAL", "PAGER", "LESSOPEN", "LESSCLOSE", "BROWSER",
		"AS", "LD", "NM", "RANLIB", "STRIP", "OBJCOPY", "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH",
		"OBJC_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "CCC_OVERRIDE_OPTIONS", "GCONV_PATH", "GLIBC_TUNABLES", "MAKEFLAGS",
		"NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "RUBYOPT", "RUBYLIB", "CLASSPATH"):
		return "decides which programs run or what they load"
	case has("LD_", "DYLD_", "BASH_", "GCC_", "COLLECT_", "PKG_CONFIG", "PYTHON", "PERL", "XDG_", "CCACHE_", "DISTCC_"):
		return "decides which programs run or what they load"
	case has("ASDF_", "MISE_", "RTX_"):
		return "decides which go a version manager runs"
	case has("GIT_", "SSH_", "HG", "SVN_", "FOSSIL_", "BZR_", "GNUPG", "GPG_"):
		return "configures a version control tool"
	case has("SSL_CERT_", "SSLKEYLOGFILE", "CURL_", "OPENSSL_"):
		return "decides how connections are secured"
	}
	return ""
}

// harmlessGit reports whether a git setting only sends fetches to another
// https or ssh address.
func harmlessGit(name string, v *Value) bool {
	base, ok := strings.CutPrefix(name, "url.")
	if !ok {
		return false
	}
	i := strings.LastIndexByte(base, '.')
	if i < 0 || !oneOf(strings.ToLower(base[i+1:]), "insteadof", "pushinsteadof") {
		return false
	}
	base = base[:i]
	if scheme, rest, ok := strings.Cut(base, "://"); ok {
		authority, _, _ := strings.Cut(rest, "/")
		// A host that begins with a dash is an option to ssh.
		return oneOf(scheme, "https", "ssh") && !slices.ContainsFunc(strings.Split(authority, "@"), func(part string) bool { return strings.HasPrefix(part, "-") })
	}
	// git@host.example:path
	user, rest, ok := strings.Cut(base, "@")
	host, _, colon := strings.Cut(rest, ":")
	return ok && colon && user != "" && !strings.HasPrefix(user, "-") && !strings.HasPrefix(host, "-") && !strings.ContainsAny(user+host, ":/ ")
}

// Trust remembers which project files the user allowed, by path and content,
// so that an edited or moved file asks again.
type Trust struct {
	Dir string // in the user's state directory; need not exist. "" allows nothing
}

// Allowed reports whether the user allowed f as it stands. The user's own file
// and the built-in profiles are always allowed.
func (t Trust) Allowed(f *File) bool {
	if f.Scope != Project {
		return true
	}
	if t.Dir == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(t.Dir, f.Digest))
	return err == nil
}

// Allow remembers f as it stands, and forgets what it was before.
func (t Trust) Allow(f *File) error {
	if t.Dir == "" {
		return errors.New("there is no state directory to remember it in\n\tset HOME or XDG_STATE_HOME")
	}
	if err := os.MkdirAll(t.Dir, 0o700); err != nil {
		return fmt.Errorf("%s: %w", t.Dir, err)
	}
	// The name is the permission; the content only tells a reader whose it is.
	temp, err := os.CreateTemp(t.Dir, ".tmp-")
	if err != nil {
		return fmt.Errorf("%s: %w", t.Dir, err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(f.Path + "\n")
	if err = errors.Join(err, temp.Close()); err != nil {
		return fmt.Errorf("%s: %w", t.Dir, err)
	}
	if err := os.Rename(temp.Name(), filepath.Join(t.Dir, f.Digest)); err != nil {
		return err
	}
	_, err = t.forget(f, f.Digest)
	return err
}

// Deny takes back every permission for f's path, whatever the content was. It
// reports whether there was one.
func (t Trust) Deny(f *File) (bool, error) {
	if t.Dir == "" {
		return false, nil
	}
	return t.forget(f, "")
}

// forget removes every permission for f's path but that called keep.
func (t Trust) forget(f *File, keep string) (bool, error) {
	entries, err := os.ReadDir(t.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("%s: %w", t.Dir, err)
	}
	denied := false
	for _, entry := range entries {
		path := filepath.Join(t.Dir, entry.Name())
		if entry.Name() == keep || strings.HasPrefix(entry.Name(), ".") {
			continue // a dot begins what another process is about to rename
		}
		if data, err := os.ReadFile(path); err != nil || strings.TrimSuffix(string(data), "\n") != f.Path {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return denied, err
		}
		denied = true
	}
	return denied, nil
}
