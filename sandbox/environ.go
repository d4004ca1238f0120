package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/redact"
	"example.com/gox/profiles"
)

// Words that stand in a manifest for what differs from machine to machine and
// from sandbox to sandbox. In the value of a variable they are replaced.
const (
	wordSandbox = "$SANDBOX" // the directory of the sandbox
	wordTree    = "$TREE"    // the workspace in it
	wordGOROOT  = "$GOROOT"  // of the pinned toolchain
	wordBuild   = "$BUILD"   // the build cache of all sandboxes
)

// A Variable is one of the environment inside, as the manifest holds it.
type Variable struct {
	Name   string `json:"name"`
	Value  string `json:"value"`            // with $SANDBOX and the like; a secret is masked
	Origin string `json:"origin"`           // "sandbox", a place in a profiles file, "-e", …
	Secret bool   `json:"secret,omitempty"` // the value proper is in no manifest
	value  string // with its secret
}

// fixed are the variables that make a sandbox one. Neither a profile nor Env
// has a say in them. One without a value is unset.
func fixed() []Variable {
	return []Variable{
		{Name: "HOME", value: wordSandbox + "/home"},
		{Name: "TMPDIR", value: wordSandbox + "/tmp"},
		{Name: "GOENV", value: "off"},
		{Name: "GOPATH", value: wordSandbox + "/gopath"},
		{Name: "GOMODCACHE", value: wordSandbox + "/mod"},
		{Name: "GOTOOLCHAIN", value: "local"},
		{Name: "GOROOT"}, {Name: "GOBIN"}, {Name: "GOTMPDIR"},
		{Name: "GIT_CONFIG_NOSYSTEM", value: "1"},
		{Name: "GIT_CONFIG_GLOBAL", value: wordSandbox + "/home/.gitconfig"},
		// Neither git nor go's stamping looks for a repository above.
		{Name: "GIT_CEILING_DIRECTORIES", value: wordSandbox},
	}
}

// base is the environment inside where neither the profile nor Env says
// otherwise.
func base() []string {
	path := []string{wordGOROOT + "/bin"}
	return []string{
		"PATH=" + strings.Join(append(path, systemPath()...), string(filepath.ListSeparator)),
		"GOCACHE=" + wordBuild,
		"GOFLAGS=",
		// The host's C compiler and C library shape what cgo builds.
		"CGO_ENABLED=0",
		"GIT_TERMINAL_PROMPT=0",
		"LC_ALL=C", "TZ=UTC",
		"USER=sandbox", "LOGNAME=sandbox",
	}
}

// systemPath are the directories where the system keeps git, the C compiler and
// the shell. What stands earlier in the host's PATH has no say.
func systemPath() []string {
	if runtime.GOOS == "darwin" {
		return []string{"/usr/bin", "/bin", "/usr/sbin", "/sbin"}
	}
	return []string{"/usr/bin", "/bin"}
}

// A toolchain is the go that a sandbox runs.
type toolchain struct {
	gocmd.Go
	h1 string // the hash of its files, as the checksum database has it for a release
}

// variables works out the environment inside, sorted by name.
func (c *Config) variables(ctx context.Context, tc toolchain) ([]Variable, error) {
	profile := c.Profile
	if profile == nil {
		profile = &profiles.Profile{}
	}
	env, problems := profile.Env(profiles.Inputs{
		Environ:   base(),
		Overrides: c.Env,
		Dir:       filepath.Join(c.From, filepath.FromSlash(c.WorkDir)),
		Home:      wordSandbox + "/home",
		GOROOT:    tc.GOROOT,
		GoVersion: tc.Version,
		Default: func(name string) (string, error) {
			values, err := gocmd.EnvJSON(ctx, tc.Path, "/", []string{"HOME=/nonexistent", "GOENV=off", "GOTOOLCHAIN=local", "GOCACHE=off"}, name)
			return values[name], err
		},
	})
	if err := problems.Err(); err != nil {
		return nil, err
	}
	own := profiles.Origin{Layer: profiles.Flag, Key: "sandbox"}
	for _, v := range fixed() {
		env.Add(profiles.Setting{Name: v.Name, Value: v.value, Unset: v.value == "", Origin: own})
	}
	for _, entry := range base() { // with "clean", a profile has taken them out
		name, value, _ := strings.Cut(entry, "=")
		if s := env.Lookup(name); s.Origin.Layer >= profiles.GoEnvFile && value != "" {
			env.Add(profiles.Setting{Name: name, Value: value, Origin: own})
		}
	}
	var vars []Variable
	environ := env.Environ()
	if !slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, "GOFLAGS=") }) {
		environ = append(environ, "GOFLAGS=")
	}
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		s := env.Lookup(name)
		v := Variable{Name: name, Origin: c.shown(s.Origin)}
		if s.Origin.Layer >= profiles.Environment {
			v.Origin = "sandbox" // nothing else is in the environment that the profile met
		}
		value, err := c.settle(name, s.Value, v.Origin, tc.Version)
		if err != nil {
			return nil, err
		}
		shown := s
		shown.Value = value
		v.value, v.Value = value, shown.Shown()
		v.Secret = v.value != v.Value
		vars = append(vars, v)
	}
	slices.SortFunc(vars, func(a, b Variable) int { return strings.Compare(a.Name, b.Name) })
	return vars, nil
}

// shown returns an origin as the manifest has it: without a path of the machine.
func (c *Config) shown(o profiles.Origin) string {
	if rel, err := filepath.Rel(c.From, o.Pos.File); c.From != "" && err == nil && filepath.IsLocal(rel) {
		o.Pos.File = filepath.ToSlash(rel)
	} else if o.Pos.File != "" {
		o.Pos.File = filepath.Base(o.Pos.File)
	}
	return o.String()
}

// defaults adds those of go's variables that nothing sets and that have a value
// all the same, so that they are the same on another machine.
func (s *Sandbox) defaults(ctx context.Context) error {
	have := map[string]bool{
		// What go tells of itself, and what depends on the directory.
		"GOVERSION": true, "GOHOSTOS": true, "GOHOSTARCH": true, "GOEXE": true, "GOTELEMETRY": true, "GOWORK": true, "GOMOD": true,
	}
	for _, v := range s.variables {
		have[v.Name] = true
	}
	// There is nothing in the tree yet, so that go goes by this alone.
	var question bytes.Buffer
	s.asking(&question, "env")
	var values map[string]string
	if data, ok := s.store().Answer(question.Bytes()); !ok || json.Unmarshal(data, &values) != nil {
		var err error
		if values, err = gocmd.EnvJSON(ctx, s.toolchain.Path, s.Tree(), s.Environ("")); err != nil {
			return err
		}
		maps.DeleteFunc(values, func(name, value string) bool { return !isDefault(name, value) })
		data, err := json.Marshal(values)
		if err == nil {
			err = s.store().Remember(question.Bytes(), data)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range profiles.Variables() {
		value := values[name]
		if have[name] || !isDefault(name, value) {
			continue
		}
		v := Variable{Name: name, Value: redact.Variable(name, value), Origin: "go's default", value: value}
		v.Secret = v.value != v.Value
		s.variables = append(s.variables, v)
	}
	s.manifest.Variables = s.variables
	s.manifest.sort()
	return nil
}

// isDefault reports whether go's variable has a value that does not depend on
// where something stands.
func isDefault(name, value string) bool {
	return value != "" && strings.HasPrefix(name, "GO") && !strings.ContainsAny(value[:1], "/-")
}

// settle returns the value of a variable as it is to be inside: what names the
// folder that is copied names its copy, the pinned go is the first in PATH, and
// what go builds does not depend on where it stands.
func (c *Config) settle(name, value, origin, version string) (string, error) {
	move := func(path string) (string, error) {
		if !filepath.IsAbs(path) {
			return path, nil
		}
		rel, err := filepath.Rel(c.From, path)
		if c.From == "" || err != nil || !filepath.IsLocal(rel) {
			return "", fmt.Errorf("%s=%s (%s): %s stands outside of the workspace that is copied\n\tname with --from a folder that holds both", name, redact.Variable(name, value), origin, path)
		}
		return wordTree + "/" + filepath.ToSlash(rel), nil
	}
	switch name {
	case "GOWORK":
		return move(value)
	case "PATH":
		if first := wordGOROOT + "/bin"; !strings.HasPrefix(value, first) {
			return first + string(filepath.ListSeparator) + value, nil
		}
	case "GOFLAGS":
		words, err := profiles.SplitGOFLAGS(value, version)
		if err != nil {
			return "", fmt.Errorf("GOFLAGS (%s): %w", origin, err)
		}
		// -trimpath lets one build cache serve all sandboxes, wherever they are.
		missing := []string{"-trimpath", "-buildvcs=false"}
		for i, word := range words {
			flag, file, ok := strings.Cut(strings.TrimLeft(word, "-"), "=")
			missing = slices.DeleteFunc(missing, func(m string) bool { return m == "-"+flag || strings.HasPrefix(m, "-"+flag+"=") })
			if ok && (flag == "modfile" || flag == "overlay") {
				if file, err = move(file); err != nil {
					return "", err
				}
				words[i] = "-" + flag + "=" + file
			}
		}
		return profiles.JoinGOFLAGS(append(missing, words...), version)
	}
	return value, nil
}

// expand replaces the words for directories in the value of a variable.
func (s *Sandbox) expand(value string) string {
	return strings.NewReplacer(
		wordSandbox, s.dir, wordTree, s.Tree(), wordGOROOT, s.toolchain.GOROOT, wordBuild, s.build,
	).Replace(value)
}

// Environ returns the whole environment of a command that runs in dir, a
// directory of the workspace ("" is its root). GOWORK is the go.work that
// stands there or above, as far as the root of the workspace, and "off" where
// there is none: one outside has no say.
func (s *Sandbox) Environ(dir string) []string {
	var environ []string
	decided := false
	for _, v := range s.variables {
		if v.Secret && v.value == "" {
			continue // it did not come along with the manifest
		}
		decided = decided || v.Name == "GOWORK"
		environ = append(environ, v.Name+"="+s.expand(v.value))
	}
	if !decided {
		environ = append(environ, "GOWORK="+s.goWork(s.inside(dir)))
	}
	return environ
}
