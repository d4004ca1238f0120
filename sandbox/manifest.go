package sandbox

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"example.com/gox/internal/redact"
)

// manifestFormat is the version of the manifest's format.
const manifestFormat = 1

// A Manifest says what a sandbox is made of. It holds no path of the machine
// and no secret, so that two of them can be compared.
type Manifest struct {
	Format    int        `json:"format"`
	Gox       string     `json:"gox"`               // the version of gox that made it
	Go        GoVersion  `json:"go"`                // the pinned toolchain
	Profile   string     `json:"profile,omitempty"` // "office+ci" for layers
	Dir       string     `json:"dir,omitempty"`     // where commands run, in the workspace; "" is its root
	Tree      Tree       `json:"tree"`
	Work      string     `json:"work,omitempty"` // the go.work, in the workspace; "" for none
	Main      []Main     `json:"main"`           // the main modules
	Variables []Variable `json:"variables"`      // by name
	Modules   []Module   `json:"modules"`        // the build list without the main modules, by path
}

// A GoVersion is a toolchain.
type GoVersion struct {
	Version string `json:"version"` // as in "go1.22.12"
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Sum     string `json:"h1"`           // of golang.org/toolchain at that version
	CC      string `json:"cc,omitempty"` // the C compiler and the hash of its file, where cgo is on
}

// A Tree is the files of the workspace, as they were when it was made.
type Tree struct {
	Sum   string `json:"h1"`    // of the file tree.sum, which has the hash of each file
	Files int    `json:"files"` // symbolic links among them
	Size  int64  `json:"size"`  // in bytes
}

// A Main is a main module.
type Main struct {
	Path string `json:"path"`
	Dir  string `json:"dir"` // in the workspace, with slashes; "." is its root
}

// A Module is a module version of the build list.
type Module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Sum     string `json:"h1"` // as in go.sum
}

// write writes the manifest into dir, and the secrets beside it.
func (m *Manifest) write(dir string) error {
	secrets := map[string]string{}
	for _, v := range m.Variables {
		if v.Secret {
			secrets[v.Name] = v.value
		}
	}
	if len(secrets) > 0 {
		data, err := json.Marshal(secrets)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, secretsFile), data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, manifestFile), m.Marshal(), 0o666)
}

// Marshal returns the manifest as TOML, one line for each variable and module.
// It is the same for the same manifest.
func (m *Manifest) Marshal() []byte {
	var b bytes.Buffer
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s = %s\n", key, quote(value))
		}
	}
	fmt.Fprintf(&b, "# What this sandbox is made of. gox sandbox verify builds it anew from this.\nformat = %d\n", m.Format)
	line("gox", m.Gox)
	line("profile", m.Profile)
	line("dir", m.Dir)
	line("work", m.Work)
	b.WriteString("\n[go]\n")
	line("version", m.Go.Version)
	line("os", m.Go.OS)
	line("arch", m.Go.Arch)
	line("h1", m.Go.Sum)
	line("cc", m.Go.CC)
	b.WriteString("\n[tree]\n")
	line("h1", m.Tree.Sum)
	fmt.Fprintf(&b, "files = %d\nsize = %d\n", m.Tree.Files, m.Tree.Size)
	b.WriteString("\n[main]\n")
	for _, mod := range m.Main {
		line(quote(mod.Dir), mod.Path)
	}
	b.WriteString("\n[env]\n")
	for _, v := range m.Variables {
		secret := ""
		if v.Secret {
			secret = ", secret = true"
		}
		fmt.Fprintf(&b, "%s = { value = %s, origin = %s%s }\n", quote(v.Name), quote(v.Value), quote(v.Origin), secret)
	}
	b.WriteString("\n[modules]\n")
	for _, mod := range m.Modules {
		line(quote(mod.Path+"@"+mod.Version), mod.Sum)
	}
	return b.Bytes()
}

// quote writes s as a basic string of TOML. JSON's escapes are TOML's too.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string can always be encoded
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`)
}

// ParseManifest reads what Marshal has written. Keys that it does not know are
// an error, as is another format.
func ParseManifest(data []byte) (*Manifest, error) {
	var file struct {
		Format                  int
		Gox, Profile, Dir, Work string
		Go                      struct{ Version, OS, Arch, H1, CC string }
		Tree                    struct {
			H1    string
			Files int
			Size  int64
		}
		Main map[string]string
		Env  map[string]struct {
			Value, Origin string
			Secret        bool
		}
		Modules map[string]string
	}
	meta, err := toml.Decode(string(data), &file)
	if err != nil {
		return nil, err
	}
	if file.Format != manifestFormat {
		return nil, fmt.Errorf("format %d; this gox knows format %d\n\tuse the gox that made it", file.Format, manifestFormat)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("unknown key %s", unknown[0])
	}
	m := &Manifest{
		Format: file.Format, Gox: file.Gox, Profile: file.Profile, Dir: file.Dir, Work: file.Work,
		Go:   GoVersion{file.Go.Version, file.Go.OS, file.Go.Arch, file.Go.H1, file.Go.CC},
		Tree: Tree{file.Tree.H1, file.Tree.Files, file.Tree.Size},
		Main: []Main{}, Variables: []Variable{}, Modules: []Module{},
	}
	for dir, path := range file.Main {
		m.Main = append(m.Main, Main{path, dir})
	}
	for name, v := range file.Env {
		m.Variables = append(m.Variables, Variable{Name: name, Value: v.Value, Origin: v.Origin, Secret: v.Secret, value: v.Value})
	}
	for key, sum := range file.Modules {
		path, version, ok := strings.Cut(key, "@")
		if !ok {
			return nil, fmt.Errorf("modules: %q is not of the form MODULE@VERSION", key)
		}
		m.Modules = append(m.Modules, Module{path, version, sum})
	}
	m.sort()
	return m, nil
}

func (m *Manifest) sort() {
	slices.SortFunc(m.Main, func(a, b Main) int { return cmp.Or(cmp.Compare(a.Dir, b.Dir), cmp.Compare(a.Path, b.Path)) })
	slices.SortFunc(m.Variables, func(a, b Variable) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(m.Modules, func(a, b Module) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Version, b.Version))
	})
}

// readManifest reads the manifest of the sandbox at dir, with the secrets.
func readManifest(dir string) (*Manifest, error) {
	file := filepath.Join(dir, manifestFile)
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m, err := ParseManifest(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	secrets := map[string]string{}
	data, err = os.ReadFile(filepath.Join(dir, secretsFile))
	if err == nil {
		err = json.Unmarshal(data, &secrets)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, secretsFile), err)
	}
	for i, v := range m.Variables {
		if v.Secret {
			m.Variables[i].value = secrets[v.Name]
		}
	}
	return m, nil
}

// gox returns what the build says about the gox that this code is in.
func gox() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	const path = "example.com/gox"
	v := info.Main.Version
	for _, dep := range info.Deps {
		if dep.Path == path {
			return dep.Version
		}
	}
	if info.Main.Path != path || v == "" || v == "(devel)" {
		v = "devel"
		for _, s := range info.Settings {
			if info.Main.Path == path && s.Key == "vcs.revision" {
				v += " " + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return redact.Text(v)
}
