package sandbox

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"

	"example.com/gox/internal/confine"
	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/gotest"
	"example.com/gox/internal/inside"
)

// The test binary is also the helper of confine, and a process that imports or
// exports.
const role = "SANDBOX_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Args[0] == inside.Name {
		os.Exit(inside.Main(os.Args, os.Environ()))
	}
	r := os.Getenv(role)
	if r == "" {
		os.Exit(runTests(m))
	}
	if err := play(r, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// play is main for the processes under test: args are gox's cache directory, a
// sandbox, and an archive.
func play(role string, args []string) error {
	ctx := context.Background()
	c := Config{Cache: args[0], Name: args[1]}
	switch role {
	case "export":
		s, err := Open(ctx, c)
		if err != nil {
			return err
		}
		defer s.Close()
		return s.ExportFile(ctx, args[2], ExportOptions{})
	case "import", "build": // and build what is imported
		f, err := os.Open(args[2])
		if err != nil {
			return err
		}
		defer f.Close()
		s, err := Import(ctx, c, f)
		if err != nil || role == "import" {
			return err
		}
		defer s.Close()
		sum, err := buildSum(ctx, s)
		fmt.Println(sum)
		return err
	}
	return fmt.Errorf("no role %q", role)
}

// buildSum builds all of s and returns the hash of the program that comes out.
func buildSum(ctx context.Context, s *Sandbox) (string, error) {
	if _, err := s.Go(ctx, "build", "-o", "../tmp/prog", "."); err != nil {
		return "", err
	}
	data, err := os.ReadFile(filepath.Join(s.Dir(), "tmp", "prog"))
	return fmt.Sprintf("%x", sha256.Sum256(data)), err
}

// cache returns a cache directory of its own that shares toolchains and
// compiled packages with the user's.
func cache(t testing.TB) string {
	t.Helper()
	goCmd := gotest.Toolchain(t, newest)
	dir := filepath.Join(t.TempDir(), "cache")
	toolchains := filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(goCmd))))
	build := filepath.Join(filepath.Dir(toolchains), "build")
	for name, target := range map[string]string{"toolchain": toolchains, "build": build} {
		if err := errors.Join(os.MkdirAll(target, 0o755), os.MkdirAll(dir, 0o755), os.Symlink(target, filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// depend is a module that requires two others, from a module proxy of its own.
func depend(t testing.TB) (files map[string]string, goproxy string) {
	t.Helper()
	proxy := t.TempDir()
	var goSum strings.Builder
	publish := func(m module.Version, files map[string]string) {
		src := t.TempDir()
		for name, content := range files {
			write(t, filepath.Join(src, name), content)
		}
		base := filepath.Join(proxy, m.Path, "@v", m.Version)
		write(t, base+".mod", files["go.mod"])
		write(t, base+".info", `{"Version":"`+m.Version+`","Time":"2020-02-02T02:02:02Z"}`)
		f, err := os.Create(base + ".zip")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(modzip.CreateFromDir(f, m, src), f.Close()); err != nil {
			t.Fatal(err)
		}
		h1, err := dirhash.HashZip(base+".zip", dirhash.Hash1)
		if err != nil {
			t.Fatal(err)
		}
		mod, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(files["go.mod"])), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&goSum, "%s %s %s\n%[1]s %[2]s/go.mod %[4]s\n", m.Path, m.Version, h1, mod)
	}
	publish(module.Version{Path: "dep.test/one", Version: "v1.0.0"}, map[string]string{
		"go.mod": "module dep.test/one\n\ngo 1.18\n\nrequire dep.test/two v1.2.0\n", "one.go": "package one\n\nimport \"dep.test/two\"\n\nconst One = two.Two\n",
	})
	publish(module.Version{Path: "dep.test/two", Version: "v1.2.0"}, map[string]string{
		"go.mod": "module dep.test/two\n\ngo 1.18\n", "two.go": "package two\n\nconst Two = \"two\"\n",
	})
	return map[string]string{
		"go.mod":    "module main.test\n\ngo 1.18\n\nrequire (\n\tdep.test/one v1.0.0\n\tdep.test/two v1.2.0 // indirect\n)\n",
		"go.sum":    goSum.String(),
		"main.go":   "package main\n\nimport \"dep.test/one\"\n\nfunc main() { println(one.One) }\n",
		"a b/\x01x": "an odd name\n",
		"run.sh":    "#!/bin/sh\n",
	}, "file://" + proxy
}

func write(t testing.TB, file, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, []byte(content), 0o666)); err != nil {
		t.Fatal(err)
	}
}

// dependent makes a sandbox of depend's module.
func dependent(t testing.TB, cache, name string) *Sandbox {
	t.Helper()
	files, goproxy := depend(t)
	from := t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(from, name), content)
	}
	if err := errors.Join(os.Symlink("main.go", filepath.Join(from, "link")), os.Chmod(filepath.Join(from, "run.sh"), 0o755)); err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), Config{Cache: cache, Name: name, From: from, Go: newest, Env: []string{"GOPROXY=" + goproxy, "GOSUMDB=off"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		Remove(Config{Cache: cache, Name: name})
	})
	return s
}

func export(t testing.TB, s *Sandbox, o ExportOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Export(t.Context(), &b, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// An archive is the same twice, and of an imported sandbox; where there is no
// network it builds to the same bytes.
func TestExportImport(t *testing.T) {
	here := cache(t)
	s := dependent(t, here, "one")
	archive := export(t, s, ExportOptions{})
	if again := export(t, s, ExportOptions{}); !bytes.Equal(archive, again) {
		t.Error("two exports differ")
	}
	want, err := buildSum(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "archive")
	write(t, file, string(archive))
	there := cache(t)

	// Another cache, and a network with nothing in it.
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	c := gocmd.Cmd{Path: exe, Args: []string{there, "two", file}, Env: append(os.Environ(), role+"=build", "GORACE=atexit_sleep_ms=0"), Stdout: &out, Stderr: &stderr}
	if runtime.GOOS == "linux" {
		_, err = confine.Run(t.Context(), confine.Policy{Net: confine.None, Helper: exe}, c)
	} else {
		_, err = gocmd.Run(t.Context(), c)
	}
	if got := strings.TrimSpace(out.String()); err != nil || got != want {
		t.Errorf("imported: %q, %v, want %s\n%s", got, err, want, &stderr)
	}
	two, err := Open(t.Context(), Config{Cache: there, Name: "two"})
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if again := export(t, two, ExportOptions{}); !bytes.Equal(archive, again) {
		t.Error("the export of what was imported differs")
	}
	if left, _ := filepath.Glob(filepath.Join(there, kind, ".*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}

	// What is edited inside goes along.
	if err := os.WriteFile(filepath.Join(s.Tree(), "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	edited, err := Import(t.Context(), Config{Cache: there, Name: "three"}, bytes.NewReader(export(t, s, ExportOptions{})))
	if err != nil {
		t.Fatal(err)
	}
	defer edited.Close()
	if sum, err := buildSum(t.Context(), edited); err != nil || sum == want {
		t.Errorf("the edit did not come along: %v", err)
	}
}

// What is vendored needs no modules, and a workspace those of all its modules.
func TestExportKinds(t *testing.T) {
	here, there := cache(t), cache(t)
	files, goproxy := depend(t)
	env := []string{"GOPROXY=" + goproxy, "GOSUMDB=off"}
	s, err := New(t.Context(), Config{Cache: here, Go: newest, Files: files, Env: env, Dir: filepath.Join(t.TempDir(), "box")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Go(t.Context(), "mod", "vendor"); err != nil {
		t.Fatal(err)
	}
	vendored := t.TempDir()
	if err := os.CopyFS(vendored, os.DirFS(s.Tree())); err != nil {
		t.Fatal(err)
	}
	workspace := t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(workspace, "a", name), content)
	}
	write(t, filepath.Join(workspace, "go.work"), "go 1.18\n\nuse (\n\t./a\n\t./b\n)\n")
	write(t, filepath.Join(workspace, "b", "go.mod"), "module b.test\n\ngo 1.18\n")
	write(t, filepath.Join(workspace, "b", "b.go"), "package b\n")

	for name, test := range map[string]struct {
		from, build string
		modules     bool
	}{
		"vendored":  {vendored, ".", false},
		"workspace": {workspace, "./a", true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := New(t.Context(), Config{Cache: here, Name: name, From: test.from, Go: newest, Env: env})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			archive := export(t, s, ExportOptions{})
			has := slices.ContainsFunc(membersOf(t, archive), func(m member) bool { return strings.HasSuffix(m.name, ".zip") })
			if has != test.modules {
				t.Errorf("modules in the archive: %v", has)
			}
			imported, err := Import(t.Context(), Config{Cache: there, Name: name}, bytes.NewReader(archive))
			if err != nil {
				t.Fatal(err)
			}
			defer imported.Close()
			var sums []string
			for _, box := range []*Sandbox{s, imported} {
				if _, err := box.Run(t.Context(), Command{Args: []string{"go", "build", "-o", filepath.Join(box.Dir(), "tmp", "prog"), test.build}, Env: []string{"GOPROXY=off"}}); err != nil {
					t.Fatal(err)
				}
				data, err := os.ReadFile(filepath.Join(box.Dir(), "tmp", "prog"))
				if err != nil {
					t.Fatal(err)
				}
				sums = append(sums, fmt.Sprintf("%x", sha256.Sum256(data)))
			}
			if sums[0] != sums[1] {
				t.Error("the binaries differ")
			}
		})
	}
}

// With the toolchain an archive needs none installed.
func TestExportToolchain(t *testing.T) {
	if testing.Short() {
		t.Skip("it copies a toolchain")
	}
	c := config(t)
	c.Files = hello()
	s := ForTest(t, c)
	want, err := buildSum(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	archive := export(t, s, ExportOptions{Toolchain: true})
	there := filepath.Join(t.TempDir(), "cache")
	if err := os.Mkdir(there, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(s.build, filepath.Join(there, "build")); err != nil {
		t.Fatal(err)
	}
	imported, err := Import(t.Context(), Config{Cache: there, Name: "x", Environ: []string{"PATH=/nowhere"}}, bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := buildSum(t.Context(), imported); err != nil || sum != want {
		t.Errorf("built to %s, %v, want %s", sum, err, want)
	}
	imported.Close()
	opened, err := Open(t.Context(), Config{Cache: there, Name: "x", Environ: []string{"PATH=/nowhere"}})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if out, err := opened.Go(t.Context(), "env", "GOROOT"); err != nil || strings.TrimSpace(out) != filepath.Join(there, kind, "x", ownGOROOT) {
		t.Errorf("GOROOT %s, %v", out, err)
	}
	if exists(filepath.Join(there, "toolchain")) {
		t.Error("what no checksum database has vouched for is in the store of toolchains")
	}
}

// A text file is text, and brings the modules that are small along.
func TestExportText(t *testing.T) {
	here, there := cache(t), cache(t)
	s := dependent(t, here, "one")
	want, err := buildSum(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	left, err := s.ExportText(t.Context(), &b, "go vet .")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(left, []string{"link: a symbolic link"}) {
		t.Errorf("left out: %q", left)
	}
	for _, want := range []string{"# command: go vet .\n", "-- main.go --\n", "-- .modules/dep.test/two@v1.2.0/two.go --\n", "# modules: 2, of which 2 stand here\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	imported, err := Import(t.Context(), Config{Cache: there, Name: "x"}, bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	defer imported.Close()
	if sum, err := buildSum(t.Context(), imported); err != nil || sum != want {
		t.Errorf("built to %s, %v, want %s", sum, err, want)
	}
	if w := imported.Warmth(); w.Linked != 2 || w.Downloaded != 0 {
		t.Errorf("%+v", w)
	}
	for name, old := range map[string]string{"module": "const Two = \"two\"", "way out": "-- main.go --", "no version": "# go: "} {
		new := map[string]string{"module": "const Two = \"evil\"", "way out": "-- ../main.go --", "no version": "# "}[name]
		_, err := Import(t.Context(), Config{Cache: there, Name: "y", Environ: []string{"GOPROXY=off"}}, strings.NewReader(strings.Replace(b.String(), old, new, 1)))
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// refused asserts that archive is refused for want, and leaves nothing.
func refused(t *testing.T, cache string, archive []byte, want string) {
	t.Helper()
	s, err := Import(t.Context(), Config{Cache: cache, Name: "bad"}, bytes.NewReader(archive))
	if err == nil {
		s.Close()
		Remove(Config{Cache: cache, Name: "bad"})
		t.Error("taken")
		return
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("refused: %v, want %q", err, want)
	}
	entries, rerr := os.ReadDir(filepath.Join(cache, kind))
	if rerr != nil && !errors.Is(rerr, fs.ErrNotExist) || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, rerr)
	}
}

// entries takes an archive apart.
func entries(t testing.TB, archive []byte) (headers []*tar.Header, contents [][]byte) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return headers, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		headers, contents = append(headers, h), append(contents, data)
	}
}

// members takes an archive apart into what writeArchive makes one of.
func membersOf(t testing.TB, archive []byte) []member {
	t.Helper()
	headers, contents := entries(t, archive)
	var all []member
	for i, h := range headers[1:] {
		kind, data := "-", contents[i+1]
		switch {
		case h.Typeflag == tar.TypeSymlink:
			kind, data = "l", []byte(h.Linkname)
		case h.Mode&0o100 != 0:
			kind = "x"
		}
		all = append(all, fromBytes(h.Name, kind, data))
	}
	return all
}

func archiveOf(t testing.TB, members []member) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := writeArchive(t.Context(), &b, members); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Archives whose list fits what they hold, made by somebody who means harm.
func TestImportRefuses(t *testing.T) {
	here := cache(t)
	archive := export(t, dependent(t, here, "one"), ExportOptions{})
	if got := archiveOf(t, membersOf(t, archive)); !bytes.Equal(got, archive) {
		t.Fatal("what is taken apart and put together again is not the same")
	}
	there := cache(t)
	replace := func(name string, change func([]byte) []byte) func([]member) []member {
		return func(all []member) []member {
			i := slices.IndexFunc(all, func(m member) bool { return m.name == name })
			r, err := all[i].open()
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			all[i] = fromBytes(name, all[i].kind, change(slices.Clone(data)))
			return all
		}
	}
	add := func(m member) func([]member) []member {
		return func(all []member) []member { return append(all, m) }
	}
	text := func(old, new string) func([]byte) []byte {
		return func(data []byte) []byte {
			if !bytes.Contains(data, []byte(old)) {
				t.Fatalf("no %q in %s", old, data)
			}
			return bytes.Replace(data, []byte(old), []byte(new), 1)
		}
	}
	flip := func(data []byte) []byte { data[len(data)/2] ^= 1; return data }
	otherZip := func([]byte) []byte {
		var b bytes.Buffer
		src := t.TempDir()
		write(t, filepath.Join(src, "go.mod"), "module dep.test/two\n")
		if err := modzip.CreateFromDir(&b, module.Version{Path: "dep.test/two", Version: "v1.2.0"}, src); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	const two = archiveProxy + "/dep.test/two/@v/v1.2.0"
	tests := []struct {
		name   string
		change func([]member) []member
		want   string
	}{
		{"a byte of a zip", replace(two+".zip", flip), "dep.test/two@v1.2.0"},
		{"another zip", replace(two+".zip", otherZip), "dep.test/two@v1.2.0: it hashes to h1:"},
		{"a byte of a go.mod", replace(two+".mod", flip), "dep.test/two@v1.2.0/go.mod: it hashes to h1:"},
		{"another version in an info", replace(two+".info", text("v1.2.0", "v1.2.1")), "v1.2.0.info: not as gox writes it"},
		{"a file of the workspace", replace("tree/main.go", text("println", "panic")), "the workspace has the hash"},
		{"a hash in go.sum", replace("tree/go.sum", text("h1:", "h1:A")), "the workspace has the hash"},
		{"a file more", add(fromBytes("tree/new.go", "-", []byte("package main\n"))), "the workspace has the hash"},
		{"a file less", func(all []member) []member {
			return slices.DeleteFunc(all, func(m member) bool { return m.name == "tree/main.go" })
		}, "the workspace has the hash"},
		{"a hash in the manifest", replace(manifestFile, text("dep.test/two@v1.2.0\" = \"h1:", "dep.test/two@v1.2.0\" = \"h1:A")), "the manifest has the hash"},
		{"a go version", replace(manifestFile, text("version = \"go1.26", "version = \"go/../1.26")), ""},
		{"another system", replace(manifestFile, text("os = \"", "os = \"plan")), "it is for plan"},
		{"a module that nobody asked for", add(fromBytes(archiveProxy+"/evil.test/m/@v/v1.0.0.zip", "-", otherZip(nil))), "neither go.sum nor the manifest"},
		{"a lock file", add(fromBytes(two+".lock", "-", nil)), "neither go.sum nor the manifest"},
		{"the checksum database", add(fromBytes(archiveProxy+"/sumdb/x/lookup/y", "-", nil)), "neither go.sum nor the manifest"},
		{"no manifest", func(all []member) []member { return all[1:] }, "it has no manifest.toml"},
		{"a way out", add(fromBytes("tree/../../x", "-", nil)), "has no place in an archive"},
		{"a way out of the proxy", add(fromBytes("proxy/../../x", "-", nil)), "has no place in an archive"},
		{"an absolute path", add(fromBytes("/tmp/x", "-", nil)), "has no place in an archive"},
		{"another file", add(fromBytes("secrets.json", "-", nil)), "has no place in an archive"},
		{"twice", add(fromBytes("tree/main.go", "-", nil)), "stands in it twice"},
		{"a link out", add(fromBytes("tree/out", "l", []byte("/etc"))), ""},
		{"a link out and a file through it", func(all []member) []member {
			return append(all, fromBytes("tree/out", "l", []byte("../..")), fromBytes("tree/out/x", "-", []byte("x")))
		}, ""},
		{"a link in the proxy", add(fromBytes(archiveProxy+"/x", "l", []byte("y"))), `cannot be a "l"`},
		{"a device", add(fromBytes("tree/null", "c", nil)), `cannot be a "c"`},
		{"a huge file", add(member{name: two + ".bin", kind: "-", size: proxyLimit + 1, sum: "x", open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.LimitReader(zeros{}, proxyLimit+1)), nil
		}}), "is too large"},
		{"a file where a directory is", add(fromBytes("tree/main.go/x", "-", nil)), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			members := test.change(membersOf(t, archive))
			var b bytes.Buffer
			if err := writeArchive(t.Context(), &b, members); err != nil && !errors.Is(err, errChanged) {
				t.Fatal(err)
			}
			refused(t, there, b.Bytes(), test.want)
		})
	}
	// What is left of a whole one is no reason to refuse it.
	s, err := Import(t.Context(), Config{Cache: there, Name: "good"}, bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Entries that the list does not speak for.
func TestImportRefusesEntries(t *testing.T) {
	here := cache(t)
	archive := export(t, dependent(t, here, "one"), ExportOptions{})
	there := cache(t)
	tests := []struct {
		name   string
		change func(h *tar.Header)
		want   string
	}{
		{"a device", func(h *tar.Header) { h.Typeflag, h.Size = tar.TypeChar, 0 }, "not the kind or the size"},
		{"a hard link", func(h *tar.Header) { h.Typeflag, h.Linkname, h.Size = tar.TypeLink, "/etc/passwd", 0 }, "not the kind or the size"},
		{"a symbolic link", func(h *tar.Header) { h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, "/etc/passwd", 0 }, "not the kind or the size"},
		{"another name", func(h *tar.Header) { h.Name = "../x" }, "stands where its list has"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			headers, contents := entries(t, archive)
			var b bytes.Buffer
			z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
			if err != nil {
				t.Fatal(err)
			}
			w := tar.NewWriter(z)
			for i, h := range headers {
				if h.Name == "tree/main.go" {
					test.change(h)
				}
				if err := w.WriteHeader(h); err != nil {
					t.Fatal(err)
				}
				if h.Size > 0 {
					if _, err := w.Write(contents[i]); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := errors.Join(w.Close(), z.Close()); err != nil {
				t.Fatal(err)
			}
			refused(t, there, b.Bytes(), test.want)
		})
	}
	refused(t, there, append(slices.Clone(archive), 0), "something follows its end")
	refused(t, there, slices.Concat(archive, archive), "something follows its end")
	refused(t, there, nil, "no gzip file")
	refused(t, there, archive[:len(archive)/2], "damaged or tampered with")
}

// No bit of an archive can change unnoticed.
func TestArchiveFlips(t *testing.T) {
	archive := export(t, dependent(t, cache(t), "one"), ExportOptions{})
	try := func(data []byte) error {
		dir := t.TempDir()
		at := filepath.Join(dir, "in")
		if err := os.Mkdir(at, 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(at)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		_, err = readArchive(t.Context(), bytes.NewReader(data), root)
		if found, _ := os.ReadDir(dir); len(found) != 1 {
			t.Errorf("written outside: %v", found)
		}
		return err
	}
	if err := try(archive); err != nil {
		t.Fatal(err)
	}
	// Bytes of the file as it is, and of what it holds.
	whole := unzipped(t, archive)
	for i := 0; i < len(archive); i += 1 + len(archive)/150 {
		data := slices.Clone(archive)
		data[i] ^= 1 << rand.IntN(8)
		if try(data) == nil && !bytes.Equal(unzipped(t, data), whole) { // deflate has bits without a meaning
			t.Errorf("byte %d of the file: taken", i)
		}
	}
	headers, contents := entries(t, archive)
	for range 100 {
		i := rand.IntN(len(headers))
		if len(contents[i]) == 0 {
			continue
		}
		at, bit := rand.IntN(len(contents[i])), byte(1)<<rand.IntN(8)
		contents[i][at] ^= bit
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		w := tar.NewWriter(z)
		for i, h := range headers {
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(contents[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), z.Close()); err != nil {
			t.Fatal(err)
		}
		if try(b.Bytes()) == nil {
			t.Errorf("%s, byte %d: taken", headers[i].Name, at)
		}
		contents[i][at] ^= bit
	}
}

func unzipped(t testing.TB, archive []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func FuzzParseList(f *testing.F) {
	f.Add("00 - 3 tree/a\n00 l 3 tree/b\n00 - 5 \"proxy/\\x01\"\n")
	f.Fuzz(func(t *testing.T, data string) {
		members, err := parseList([]byte(data))
		if err != nil {
			return
		}
		for _, m := range members {
			if !filepath.IsLocal(filepath.FromSlash(m.name)) || m.size < 0 {
				t.Errorf("%+v", m)
			}
		}
	})
}
