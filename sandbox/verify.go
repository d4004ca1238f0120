package sandbox

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

// VerifyOptions says how to verify.
type VerifyOptions struct {
	// Cached lets both builds use the build cache of all sandboxes. Then what is
	// proved is that nothing of the path and of the sandbox enters the build,
	// but not that the compiler gives the same twice.
	Cached bool
	// Patterns are packages, as for go build. None is all of the main modules.
	Patterns []string
	// Progress is told what goes on, in a line without a line feed. Nil is nobody.
	Progress func(line string)
}

// A Verification is what Verify has found.
type Verification struct {
	Packages   int         `json:"packages"` // whose compiled files were compared
	Sum        string      `json:"h1"`       // of their hashes, to compare with another machine's
	Binaries   []Binary    `json:"binaries"` // of the main packages
	Difference *Difference `json:"difference,omitempty"`
}

// A Binary is what go build made of a main package.
type Binary struct {
	Package string `json:"package"`
	Sum     string `json:"sha256"` // in hexadecimal
	Size    int64  `json:"size"`
}

// A Difference is the first thing in which a sandbox is not what its manifest
// says, or does not build what it has built before.
type Difference struct {
	What string `json:"what"` // "file", "toolchain", "module", "manifest", "package" or "binary"
	Name string `json:"name"` // the path, the key, the package
	How  string `json:"how"`
}

func (d *Difference) String() string { return fmt.Sprintf("%s %s: %s", d.What, d.Name, d.How) }

// Error is String.
func (d *Difference) Error() string { return d.String() }

// Verify makes a second sandbox from the manifest, at another path, builds all
// packages in both, and compares what comes out bit for bit. A difference is
// no error.
func (s *Sandbox) Verify(ctx context.Context, o VerifyOptions) (Verification, error) {
	v := Verification{Binaries: []Binary{}}
	say := func(format string, args ...any) {
		if o.Progress != nil {
			o.Progress(fmt.Sprintf(format, args...))
		}
	}
	var err error
	say("comparing the files with the manifest")
	if v.Difference, err = s.intact(); err != nil || v.Difference != nil {
		return v, err
	}
	say("making a second sandbox")
	second, err := s.twin(ctx, o.Cached)
	if errors.As(err, &v.Difference) {
		return v, nil
	}
	if err != nil {
		return v, err
	}
	defer second.discard()
	if v.Difference = differing(&s.manifest, &second.manifest); v.Difference != nil {
		return v, nil
	}
	say("building here")
	a, err := s.buildAll(ctx, o.Patterns)
	if err != nil {
		return v, err
	}
	defer a.remove()
	say("building there, %s", map[bool]string{true: "with the same build cache", false: "all of it anew"}[o.Cached])
	b, err := second.buildAll(ctx, o.Patterns)
	if err != nil {
		return v, fmt.Errorf("the second sandbox: %w", err)
	}
	defer b.remove()
	return v, v.compare(ctx, a, b)
}

// intact compares the files of s and of its toolchain with the manifest.
func (s *Sandbox) intact() (*Difference, error) {
	list, err := os.ReadFile(filepath.Join(s.dir, sumsFile))
	if err != nil {
		return nil, err
	}
	if got := sumOf(list); got != s.manifest.Tree.Sum {
		return &Difference{"file", sumsFile, fmt.Sprintf("its hash is %s, the manifest says %s", got, s.manifest.Tree.Sum)}, nil
	}
	origin, err := s.origin()
	if err != nil {
		return nil, err
	}
	for _, at := range [][2]string{{originDir, origin}, {treeDir, s.Tree()}} {
		got, _, err := sums(at[1], nil, nil)
		if err != nil {
			return nil, err
		}
		if changes := compare(list, got); len(changes) > 0 {
			return &Difference{"file", path.Join(at[0], changes[0].Path), changes[0].How + others(len(changes)-1)}, nil
		}
	}
	h1, err := hashGOROOT(s.toolchain.GOROOT, s.toolchain.Version)
	if err != nil {
		return nil, err
	}
	if h1 != s.manifest.Go.Sum {
		return &Difference{"toolchain", s.toolchain.GOROOT, fmt.Sprintf("its hash is %s, the manifest says %s", h1, s.manifest.Go.Sum)}, nil
	}
	return nil, nil
}

func others(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and so do %d others", n)
}

// twin makes a second sandbox of what s was made of.
func (s *Sandbox) twin(ctx context.Context, cached bool) (_ *Sandbox, err error) {
	t := &Sandbox{cache: s.cache, build: s.build, toolchain: s.toolchain, variables: slices.Clone(s.variables), net: s.net}
	if err := t.stage(filepath.Join(s.cache, kind)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.discard())
		}
	}()
	if !cached {
		t.build = filepath.Join(t.dir, "build")
	}
	t.manifest = s.manifest
	t.manifest.Variables, t.manifest.Main = t.variables, []Main{}
	if err := t.furnish(); err != nil {
		return nil, err
	}
	tree, err := os.OpenRoot(t.Tree())
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	origin, err := s.origin()
	if err != nil {
		return nil, err
	}
	src := source{root: origin}
	if err := src.all(ctx, tree); err != nil {
		return nil, err
	}
	if err := t.workspace(); err != nil {
		return nil, err
	}
	if err := t.mains(ctx); err != nil {
		return nil, err
	}
	// The modules are those of the manifest and no others, proved by the hashes
	// that it has of them. Nothing is downloaded.
	at, err := t.warm(ctx, []string{s.ModCache()}, nil)
	if err != nil {
		return nil, err
	}
	vendored := !slices.ContainsFunc(t.governed(), func(dir string) bool { return !t.vendored(dir) })
	for _, m := range t.manifest.Modules {
		if name := m.Path + "@" + m.Version; !vendored && !at[name] {
			return nil, &Difference{"module", name, fmt.Sprintf("neither the sandbox nor gox's store has one with the hash %s, as the manifest says", m.Sum)}
		}
	}
	if t.manifest.Go.CC, err = t.compiler(ctx); err != nil {
		return nil, err
	}
	_, t.manifest.Tree, err = sums(t.Tree(), nil, nil)
	return t, err
}

// differing returns the first line in which two manifests differ, whatever gox
// made them.
func differing(a, b *Manifest) *Difference {
	one, two := *a, *b
	one.Gox, two.Gox = "", ""
	x, y := strings.Split(string(one.Marshal()), "\n"), strings.Split(string(two.Marshal()), "\n")
	for i := range max(len(x), len(y)) {
		var want, got string
		if i < len(x) {
			want = x[i]
		}
		if i < len(y) {
			got = y[i]
		}
		if want != got {
			name, _, _ := strings.Cut(cmp.Or(want, got), " = ")
			return &Difference{"manifest", name, fmt.Sprintf("it says\n\t%s\n\tand what is made from it is\n\t%s", want, got)}
		}
	}
	return nil
}

// A built is what a build of all packages gave.
type built struct {
	in       *Sandbox
	packages []compiled        // in the order of their dependencies
	binaries map[string]string // files by package
	dir      string
}

type compiled struct{ path, sum string }

func (b *built) remove() { os.RemoveAll(b.dir) }

// buildAll compiles the packages of all main modules with all that they import,
// and links the main packages.
func (s *Sandbox) buildAll(ctx context.Context, patterns []string) (_ *built, err error) {
	dir, err := os.MkdirTemp(filepath.Join(s.dir, "tmp"), "verify-")
	if err != nil {
		return nil, err
	}
	b := &built{in: s, dir: dir, binaries: map[string]string{}}
	defer func() {
		if err != nil {
			b.remove()
		}
	}()
	dirs := s.governed()
	for _, at := range dirs {
		words := patterns
		if len(words) == 0 {
			words = s.patterns(at)
		}
		const format = `{{if or .GoFiles .CgoFiles}}{{.ImportPath}}{{"\t"}}{{.Name}}{{"\t"}}{{.DepOnly}}{{"\t"}}{{.Export}}{{end}}`
		out, err := s.output(ctx, s.inside(at), s.Environ(at), append([]string{"list", "-deps", "-export", "-f", format}, words...)...)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(out)) {
			f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if len(f) != 4 {
				continue
			}
			if f[3] != "" { // "unsafe" is not compiled
				sum, _, err := hashFile(f[3])
				if err != nil {
					return nil, err
				}
				name := f[0]
				if len(dirs) > 1 { // each has versions of its own of what it imports
					name = at + ": " + name
				}
				b.packages = append(b.packages, compiled{name, sum})
			}
			if f[1] == "main" && f[2] == "false" {
				file := filepath.Join(dir, strconv.Itoa(len(b.binaries)))
				if err := s.quietly(ctx, s.inside(at), s.Environ(at), "build", "-o", file, f[0]); err != nil {
					return nil, err
				}
				b.binaries[f[0]] = file
			}
		}
	}
	return b, nil
}

func hashFile(name string) (sum string, size int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil)), size, err
}

// compare compares two builds.
func (v *Verification) compare(ctx context.Context, a, b *built) error {
	v.Packages = len(a.packages)
	var lines []string
	for _, p := range a.packages {
		lines = append(lines, p.sum+" "+p.path+"\n")
	}
	slices.Sort(lines)
	v.Sum = sumOf([]byte(strings.Join(lines, "")))
	there := map[string]string{}
	for _, p := range b.packages {
		there[p.path] = p.sum
	}
	// The first in the order of dependencies is where the difference began.
	for _, p := range a.packages {
		if sum := there[p.path]; sum != p.sum && v.Difference == nil {
			v.Difference = &Difference{"package", p.path, fmt.Sprintf("compiled here it is sha256:%.12s, in the second sandbox sha256:%.12s", p.sum, sum)}
		}
		delete(there, p.path)
	}
	for name := range there {
		if v.Difference == nil {
			v.Difference = &Difference{"package", name, "only the second sandbox has it"}
		}
	}
	names := []string{}
	for name := range a.binaries {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		sum, size, err := hashFile(a.binaries[name])
		if err != nil {
			return err
		}
		v.Binaries = append(v.Binaries, Binary{name, sum, size})
		other, _, err := hashFile(b.binaries[name])
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if sum != other && v.Difference == nil {
			v.Difference = &Difference{"binary", name, howBinaries(ctx, name, a, b)}
		}
	}
	if v.Difference != nil {
		v.Difference.How += flagsOf(ctx, a, names)
	}
	return nil
}

// settings returns the build settings of the program of the package name, in
// their order, nil where they cannot be read. The go of the sandbox reads them
// (go version -m gives the text form of debug.BuildInfo, since go1.18): package
// debug/buildinfo links readers of four formats of programs into gox, which
// every wrapped run would load.
func (b *built) settings(ctx context.Context, name string) []debug.BuildSetting {
	out, err := b.in.output(ctx, b.in.Tree(), b.in.Environ(""), "version", "-m", b.binaries[name])
	if err != nil {
		return nil
	}
	_, text, _ := strings.Cut(string(out), "\n")
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\t"), "\n\t", "\n")
	info, err := debug.ParseBuildInfo(text)
	if err != nil {
		return nil
	}
	return info.Settings
}

// howBinaries names the first build setting in which two programs differ.
func howBinaries(ctx context.Context, name string, a, b *built) string {
	here, there := a.settings(ctx, name), b.settings(ctx, name)
	if here == nil || there == nil {
		return "the binaries differ"
	}
	valueIn := func(settings []debug.BuildSetting, key string) string {
		for _, s := range settings {
			if s.Key == key {
				return s.Value
			}
		}
		return ""
	}
	for _, s := range slices.Concat(here, there) { // one of them may lack it
		if x, y := valueIn(here, s.Key), valueIn(there, s.Key); x != y {
			return fmt.Sprintf("the binaries differ, first in the build setting %s: here %q, in the second sandbox %q", s.Key, x, y)
		}
	}
	return "the binaries differ, and their build settings do not"
}

// flagsOf says of a build whose outcome depends on its place that -trimpath was
// not in force, which is the most likely reason.
func flagsOf(ctx context.Context, b *built, names []string) string {
	for _, name := range names {
		settings := b.settings(ctx, name)
		if settings == nil {
			continue
		}
		if slices.Contains(settings, debug.BuildSetting{Key: "-trimpath", Value: "true"}) {
			return ""
		}
		return "\n\tthe flag -trimpath is not in force: paths enter what is built"
	}
	return ""
}
