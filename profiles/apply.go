package profiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"example.com/gox/internal/redact"
)

// Inputs are what a profile meets: the process that gox was started as, and
// the go that will run.
type Inputs struct {
	Environ   []string // as os.Environ gives it
	Overrides []string // of -e, NAME=VALUE each; the last of a name counts
	Dir       string   // where go will run, absolute
	Home      string
	ConfigDir string // the user's configuration directory, where go keeps its env file
	GOROOT    string // of the go that will run, "" where unknown
	GoVersion string // of the go that will run ("go1.22.12"), "" where unknown
	// Default returns go's own default for GOPROXY or GOSUMDB. It is called
	// only where GOROOT/go.env (since go1.21) does not tell.
	Default func(name string) (string, error)
}

// Env applies p. The problems found on the way are errors and warnings; with
// an error among them (Problems.Err) the environment must not be used.
func (p *Profile) Env(in Inputs) (*Env, Problems) {
	b := &builder{Profile: p, in: in, env: &Env{environ: in.Environ, decided: map[string][]Setting{}}}
	b.home()
	if b.problems != nil {
		return b.env, b.problems
	}
	b.overrides()
	if v := p.value("clean"); v != nil && v.raw == true {
		origin := v.Origin()
		b.env.clean = &origin
		b.env.Add(Setting{Name: "GOENV", Value: "off", Origin: origin})
	}
	b.table()
	b.env.goenv = readGoEnv(goEnvFile(b.env.Value("GOENV"), in.ConfigDir, in.Dir))
	if in.GOROOT != "" {
		b.env.goroot = readGoEnv(filepath.Join(in.GOROOT, "go.env"))
	}
	b.variables()
	b.workspace()
	b.goflags()
	b.git()
	if v := b.value("cafile"); v != nil {
		b.mustExist(v, v.Path(in.Home), "")
	}
	b.versions()
	slices.SortStableFunc(b.problems, byPosition)
	return b.env, b.problems
}

// A builder carries one application of a profile.
type builder struct {
	*Profile
	in       Inputs
	env      *Env
	problems Problems
	modfile  string // absolute, "" for none
}

func (b *builder) fault(v *Value, text, mend string) {
	b.problems = append(b.problems, v.problem(text, mend))
}

func (b *builder) warn(v *Value, text, mend string) {
	w := v.problem(text, mend)
	w.Warning = true
	b.problems = append(b.problems, w)
}

// home makes sure that "~" means something.
func (b *builder) home() {
	for _, key := range []string{"go", "gocache", "gowork", "modfile", "modcache", "cafile", "record"} {
		if v := b.value(key); v != nil && b.in.Home == "" && (v.raw == "~" || strings.HasPrefix(v.String(), "~/")) {
			b.fault(v, fmt.Sprintf("%q begins with the home directory, and there is none", v), "set HOME, or write the path out")
		}
	}
}

func (b *builder) overrides() {
	for _, entry := range slices.Backward(b.in.Overrides) {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || name == "" || strings.ContainsRune(entry, 0) {
			b.problems = append(b.problems, &Problem{Text: fmt.Sprintf("-e %q is not of the form NAME=VALUE", entry), Mend: "write: gox -e NAME=VALUE"})
			continue
		}
		b.env.Add(Setting{Name: name, Value: value, Origin: Origin{Layer: Override}})
	}
}

// table applies [profile.NAME.env].
func (b *builder) table() {
	for _, key := range b.keysUnder("env.") {
		for _, v := range b.values(key) {
			s := Setting{Name: strings.TrimPrefix(key, "env."), Origin: v.Origin()}
			if s.Value, _ = v.raw.(string); v.raw == false {
				s.Unset = true
			}
			b.env.Add(s)
		}
	}
}

// variables applies the keys that stand for one variable each.
func (b *builder) variables() {
	for _, k := range keys {
		if k.variable == "" {
			continue
		}
		for _, v := range b.values(k.name) {
			if v.raw == "" {
				break // this and what it extends are taken back
			}
			value := v.String()
			switch {
			case k.name == "gocache" && value != "off":
				value = v.Path(b.in.Home)
			case value == "":
				value = nothing(k.name)
			case value == "default" && oneOf(k.variable, "GOPROXY", "GOSUMDB"):
				var err error
				if value, err = b.goDefault(k.variable); err != nil {
					p := v.problem("", "write the value out instead of \"default\"")
					p.Text = redact.Text(err.Error()) // in as many lines as it has
					b.problems = append(b.problems, p)
				}
			}
			b.env.Add(Setting{Name: k.variable, Value: value, Origin: v.Origin()})
		}
	}
}

// nothing returns what an empty list of the key means to go. An empty variable
// would fall back to the file of `go env -w` (cmd/go/internal/cfg, Getenv).
func nothing(key string) string {
	switch key {
	case "goauth":
		return "off"
	case "govcs":
		return "*:off"
	}
	// A pattern that matches no module, and go's own word for it in GONOPROXY.
	return "none"
}

func (b *builder) goDefault(name string) (string, error) {
	if a, ok := b.env.goroot[name]; ok && a.value != "" {
		return a.value, nil
	}
	if b.in.Default == nil {
		return "", fmt.Errorf("go's own default of %s is not known here", name)
	}
	return b.in.Default(name)
}

// workspace decides GOWORK, and finds the alternate go.mod.
func (b *builder) workspace() {
	work, mod := b.value("gowork"), b.value("modfile")
	for _, v := range b.values("gowork") {
		if v.raw == "" {
			break // taken back
		}
		s := Setting{Name: "GOWORK", Origin: v.Origin()}
		switch value := v.String(); value {
		case "auto":
			// GOWORK cannot stand in the file of `go env -w`, so that taking
			// it out of the environment is enough.
			s.Unset = true
		case "off":
			s.Value = value
		default:
			s.Value = v.Path(b.in.Home)
			if v == work {
				b.mustExist(v, s.Value, "GOWORK="+s.Value+" go work init")
			}
		}
		b.env.Add(s)
	}
	if mod == nil {
		return
	}
	switch root := findRoot(b.in.Dir, "go.mod"); {
	case filepath.IsAbs(mod.String()) || strings.HasPrefix(mod.String(), "~/"):
		b.modfile = mod.Path(b.in.Home)
		b.mustExist(mod, b.modfile, "")
	case root == "":
		b.fault(mod, fmt.Sprintf("there is no go.mod in %s or above it for %s to stand beside", b.in.Dir, mod.String()), "run gox inside a module, or with -C DIR")
		return
	default:
		b.modfile = filepath.Join(root, filepath.FromSlash(mod.String()))
		b.mustExist(mod, b.modfile, fmt.Sprintf("cp %s %s", filepath.Join(root, "go.mod"), b.modfile))
	}
	if work == nil {
		b.env.Add(Setting{Name: "GOWORK", Value: "off", Origin: Origin{InProfile, mod.Pos, mod.Profile, "modfile (go refuses -modfile in a workspace)"}})
		return
	}
	if work.String() != "off" && b.rank(work) <= b.rank(mod) {
		b.fault(work, fmt.Sprintf("gowork = %q does not go with modfile = %q (%s): go refuses -modfile in a workspace", work.String(), mod.String(), mod.Pos), `take one of them back: gowork = "off" or modfile = ""`)
		return
	}
	if work.String() != "off" {
		// The nearer table says modfile, the farther gowork: modfile counts.
		s := Setting{Name: "GOWORK", Value: "off", Origin: Origin{InProfile, mod.Pos, mod.Profile, "modfile (go refuses -modfile in a workspace)"}}
		b.env.decided["GOWORK"] = slices.Insert(b.env.decided["GOWORK"], b.env.profileStart("GOWORK"), s)
	}
}

// rank returns how many tables stand above the one that v stands in.
func (b *builder) rank(v *Value) int {
	return slices.IndexFunc(b.tables(), func(t *section) bool { return t.values[v.Key] == v })
}

func (b *builder) mustExist(v *Value, path, mend string) {
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if mend != "" {
			mend = "make it with: " + mend
		}
		b.fault(v, "no such file: "+path, mend)
	case err != nil:
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		b.fault(v, fmt.Sprintf("%s: %v", path, err), "")
	}
}

// findRoot returns the nearest directory at dir or above that holds the file
// name, "" where none does (cmd/go/internal/modload, findModuleRoot).
func findRoot(dir, name string) string {
	for dir != "" {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && !info.IsDir() {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	return ""
}

// goflags merges goflags, mod and modfile of every table into the GOFLAGS
// that go would see without the profile, the farthest table first.
func (b *builder) goflags() {
	type contribution struct {
		v     *Value
		flags []string
	}
	var over []contribution // what counts last
	for _, t := range slices.Backward(b.tables()) {
		if v := t.values["goflags"]; v != nil {
			flags, err := v.flags()
			if err != nil {
				continue // told by check
			}
			if len(flags) > 0 {
				over = append(over, contribution{v, flags})
			}
		}
		if v := t.values["mod"]; v != nil && v == b.value("mod") {
			over = append(over, contribution{v, []string{"-mod=" + v.String()}})
		}
		if v := t.values["modfile"]; v != nil && v == b.value("modfile") && b.modfile != "" {
			over = append(over, contribution{v, []string{"-modfile=" + b.modfile}})
		}
	}
	if len(over) == 0 {
		return
	}
	// At this point only clean has decided GOFLAGS, besides -e.
	under := effective(slices.DeleteFunc(b.env.History("GOFLAGS"), func(s Setting) bool { return s.Origin.Layer < InProfile }))
	words, err := SplitGOFLAGS(under.Value, b.in.GoVersion)
	if err == nil && slices.Contains(words, "") {
		err = errors.New("an empty entry is no flag") // what go itself says
	}
	if err != nil {
		b.problems = append(b.problems, newProblem(under.Origin.Pos, "", "", fmt.Sprintf("GOFLAGS from the %s: %v", under.Origin.Layer, err), "mend its quotes"))
		return
	}
	for _, c := range over {
		words = mergeFlags(words, c.flags)
		value, err := JoinGOFLAGS(words, b.in.GoVersion)
		if err != nil {
			b.fault(c.v, err.Error(), "")
			return
		}
		b.env.decided["GOFLAGS"] = slices.Insert(b.env.decided["GOFLAGS"], b.env.profileStart("GOFLAGS"),
			Setting{Name: "GOFLAGS", Value: value, Origin: c.v.Origin()})
	}
}

// git writes [profile.NAME.git] as the variables by which git takes
// configuration from its environment (git 2.31 and later), after those that
// the environment holds already.
func (b *builder) git() {
	count, err := strconv.Atoi(b.env.Value("GIT_CONFIG_COUNT"))
	if err != nil {
		count = 0
	}
	count = max(count, 0)
	first := count
	var last *Value
	for _, key := range b.keysUnder("git.") {
		v := b.values(key)[0]
		values := v.list()
		if values == nil {
			values = []string{v.String()}
		}
		for _, value := range values {
			n := strconv.Itoa(count)
			b.env.Add(Setting{Name: "GIT_CONFIG_KEY_" + n, Value: strings.TrimPrefix(key, "git."), Origin: v.Origin()})
			b.env.Add(Setting{Name: "GIT_CONFIG_VALUE_" + n, Value: value, Origin: v.Origin()})
			count++
		}
		last = v
	}
	if count > first {
		// Before even -e: what that counts is counted in.
		s := Setting{Name: "GIT_CONFIG_COUNT", Value: strconv.Itoa(count), Origin: last.Origin()}
		b.env.decided[s.Name] = slices.Insert(b.env.decided[s.Name], 0, s)
	}
}

// versions holds the profile against the go that will run.
func (b *builder) versions() {
	v := b.in.GoVersion
	if mod := b.value("mod"); mod != nil && mod.String() != "readonly" {
		switch work := b.workFile(); {
		case work == "":
		case mod.String() == "mod":
			b.fault(mod, fmt.Sprintf("go refuses -mod=mod in a workspace (%s)", work), `write gowork = "off"`)
		case older(v, "go1.22") && !b.switches(work):
			b.fault(mod, fmt.Sprintf("%s refuses -mod=vendor in a workspace (%s); go1.22 was the first to take it", v, work),
				`write gowork = "off", or go = "1.22" or newer`)
		}
	}
	for _, since := range []struct{ key, version string }{{"gotoolchain", "go1.21"}, {"goauth", "go1.24"}} {
		if set := b.value(since.key); set != nil && older(v, since.version) {
			b.warn(set, fmt.Sprintf("%s does not read it; %s was the first", v, since.version), "")
		}
	}
	if set, choice := b.value("gotoolchain"), b.Go(); set != nil && choice != nil {
		b.warn(set, fmt.Sprintf("go = %q (%s) runs that toolchain itself, and no other", choice.String(), choice.Pos), "take one of them out")
	}
	if off := b.value("goproxy"); off != nil && off.String() == "off" && b.env.Value("GOPROXY") == "off" {
		if private := b.env.Lookup("GONOPROXY"); private.Value == "" {
			private = b.env.Lookup("GOPRIVATE")
			if private.Value != "" && private.Value != "none" {
				b.warn(off, fmt.Sprintf("go still fetches what GOPRIVATE names (%s, from %s)", private.Shown(), private.Origin), `for no network at all write besides: gonoproxy = "none"`)
			}
		}
	}
	if db, choice := b.value("gosumdb"), b.Go(); db != nil && choice != nil && db.String() == "off" && !choice.IsPath() {
		b.warn(db, fmt.Sprintf("a toolchain that must be fetched for go = %q is verified by the checksum database all the same", choice.String()), "")
	}
}

// workFile returns the go.work in force, "" for none.
func (b *builder) workFile() string {
	switch work := b.env.Value("GOWORK"); work {
	case "off":
		return ""
	case "", "auto":
		if root := findRoot(b.in.Dir, "go.work"); root != "" {
			return filepath.Join(root, "go.work")
		}
		return ""
	default:
		return work
	}
}

// switches reports whether go would hand this workspace to a go1.22 or newer
// that GOTOOLCHAIN or go.work asks for (since go1.21; cmd/go/internal/toolchain,
// Select).
func (b *builder) switches(work string) bool {
	if older(b.in.GoVersion, "go1.21") || b.Go() != nil {
		return false // gox runs the go of a profile with GOTOOLCHAIN=local
	}
	least, mode, both := strings.Cut(b.env.Value("GOTOOLCHAIN"), "+")
	if !both && oneOf(least, "auto", "path") {
		least, mode = "local", least
	}
	if least != "local" && !older(least, "go1.22") {
		return true
	}
	if !oneOf(mode, "auto", "path") {
		return false
	}
	data, err := os.ReadFile(work)
	if err != nil {
		return false
	}
	lines := string(data)
	toolchain := directive(lines, "toolchain")
	return !older("go"+directive(lines, "go"), "go1.22") ||
		toolchain != "" && toolchain != "default" && !older(toolchain, "go1.22")
}

// directive returns what follows name on a line of a go.work or go.mod, "" if
// there is no such line. It reads no grammar, as go does not where it chooses a
// toolchain (cmd/go/internal/gover, GoModLookup): such files may be newer than it.
func directive(file, name string) string {
	for line := range strings.Lines(file) {
		line, _, _ = strings.Cut(line, "//")
		if words := strings.Fields(line); len(words) == 2 && words[0] == name {
			return words[1]
		}
	}
	return ""
}
