package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/gox/internal/envvar"
	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/gotest"
	"example.com/gox/profiles"
)

// What a profile says is what go gets, in terms of the sandbox; what makes it a
// sandbox no profile can change.
func TestVariables(t *testing.T) {
	outside := t.TempDir()
	root := filepath.Join(outside, "ws")
	for name, content := range map[string]string{
		"go.mod": "module m\n", "go.alt.mod": "module m\n", "sub/go.work": "go 1.18\n", "sub/go.mod": "module s\n", "../other.work": "go 1.18\n",
		"profiles.toml": `
[profile.plain]
gosumdb = "off"
[profile.alt]
modfile = "go.alt.mod"
[profile.work]
gowork = "sub/go.work"
[profile.off]
gowork = "off"
[profile.out]
gowork = "../other.work"
[profile.clean]
clean = true
goflags = ["-tags=x"]
[profile.untrimmed]
goflags = ["-trimpath=false", "-buildvcs=auto"]
[profile.secret]
goproxy = "https://user:hunter2@proxy.test"
[profile.secret.env]
API_TOKEN = "hunter2"
[profile.greedy]
modcache = "/elsewhere"
gotoolchain = "auto"
gocache = "/own/build"
[profile.greedy.env]
HOME = "/home/me"
GOPATH = "/home/me/go"
GOROOT = "/usr/lib/go"
PATH = "/opt/bin:/usr/bin"
CGO_ENABLED = "1"
TZ = "Asia/Kathmandu"
[profile.greedy.git]
user.name = "me"
`,
	} {
		write(t, filepath.Join(root, name), content)
	}
	set, err := profiles.Load(profiles.Search{File: filepath.Join(root, "profiles.toml"), UID: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		profile, workDir string
		env              []string
		want             string // NAME=VALUE, "NAME" for none, a line each
		err              string
	}{
		{"", "", nil, "HOME=$SANDBOX/home\nGOFLAGS=-trimpath -buildvcs=false\nPATH=$GOROOT/bin:/usr/bin:/bin\nCGO_ENABLED=0\nGOCACHE=$BUILD\nTZ=UTC\nLC_ALL=C\nGOROOT\nGOWORK\nGOPROXY\nSSH_AUTH_SOCK", ""},
		{"plain", "", nil, "GOSUMDB=off\nGOENV=off", ""},
		{"plain", "", []string{"GOSUMDB=sum.test", "A=b=c", "GOFLAGS=-mod=mod", "PATH=/x"}, "GOSUMDB=sum.test\nA=b=c\nGOFLAGS=-trimpath -buildvcs=false -mod=mod\nPATH=$GOROOT/bin:/x", ""},
		{"alt", "", nil, "GOFLAGS=-trimpath -buildvcs=false -modfile=$TREE/go.alt.mod\nGOWORK=off", ""},
		{"work", "sub", nil, "GOWORK=$TREE/sub/go.work", ""},
		{"off", "", nil, "GOWORK=off", ""},
		{"out", "", nil, "", "stands outside of the workspace that is copied"},
		{"clean", "", nil, "GOFLAGS=-trimpath -buildvcs=false -tags=x\nCGO_ENABLED=0\nGOCACHE=$BUILD\nGOPATH=$SANDBOX/gopath", ""},
		{"untrimmed", "", nil, "GOFLAGS=-trimpath=false -buildvcs=auto", ""},
		{"secret", "", nil, "GOPROXY=https://user:hunter2@proxy.test\nAPI_TOKEN=hunter2", ""},
		{"greedy", "", nil, "HOME=$SANDBOX/home\nGOPATH=$SANDBOX/gopath\nGOMODCACHE=$SANDBOX/mod\nGOTOOLCHAIN=local\nGOROOT\nGIT_CONFIG_GLOBAL=$SANDBOX/home/.gitconfig\nPATH=$GOROOT/bin:/opt/bin:/usr/bin\nCGO_ENABLED=1\nTZ=Asia/Kathmandu\nGOCACHE=/own/build\nGIT_CONFIG_KEY_0=user.name", ""},
	} {
		t.Run(test.profile+"/"+strings.Join(test.env, ","), func(t *testing.T) {
			c := Config{From: root, WorkDir: test.workDir, Env: test.env}
			if test.profile != "" {
				if c.Profile, err = set.Resolve(test.profile); err != nil {
					t.Fatal(err)
				}
			}
			vars, err := c.variables(t.Context(), toolchain{Go: gocmd.Go{Path: "/goroot/bin/go", GOROOT: "/goroot", Version: "go1.26.11"}})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for want := range strings.Lines(test.want) {
				want = strings.TrimSuffix(want, "\n")
				name, value, set := strings.Cut(want, "=")
				i := slices.IndexFunc(vars, func(v Variable) bool { return v.Name == name })
				if set != (i >= 0) || set && vars[i].value != value {
					t.Errorf("%+v, want %s", vars[max(i, 0)], want)
				}
			}
			for _, v := range vars {
				if strings.Contains(v.Value, "hunter2") || strings.Contains(v.Origin, outside) || v.Secret != strings.Contains(v.value, "hunter2") {
					t.Errorf("%+v", v)
				}
			}
		})
	}
}

// The go.work in the workspace counts, and none above it.
func TestGoWork(t *testing.T) {
	c := config(t)
	above := t.TempDir()
	write(t, filepath.Join(above, "go.work"), "go 1.18\n")
	c.Dir = filepath.Join(above, "box")
	c.Files = map[string]string{"a/go.mod": "module a.test/a\n", "a/go.work": "go 1.18\n\nuse .\n", "a/b/c.txt": "", "d/e.txt": ""}
	s := ForTest(t, c)
	for dir, want := range map[string]string{"": "off", "a": s.inside("a/go.work"), "a/b": s.inside("a/go.work"), "d": "off"} {
		if got := envvar.Get(s.Environ(dir), "GOWORK"); got != want {
			t.Errorf("GOWORK in %q: %s, want %s", dir, got, want)
		}
	}
}

// No go.mod above a sandbox is found, wherever it stands.
func TestGoModAbove(t *testing.T) {
	c := config(t)
	above := t.TempDir()
	write(t, filepath.Join(above, "go.mod"), "module above.test\n\nnonsense\n")
	c.Dir = filepath.Join(above, "box")
	s := ForTest(t, c)
	out, err := s.Go(t.Context(), "env", "GOMOD")
	if want := filepath.Join(s.Dir(), guardFile) + "\n"; err != nil || out != want {
		t.Errorf("GOMOD=%s, want %s: %v", out, want, err)
	}
	if _, err := s.Go(t.Context(), "mod", "init", "inside.test"); err != nil || !exists(s.inside("go.mod")) {
		t.Errorf("go mod init: %v", err)
	}
}

// The oldest go runs inside too.
func TestOldest(t *testing.T) {
	gotest.Toolchain(t, "1.18")
	s := ForTest(t, Config{Go: "1.18", Files: hello()})
	if out, err := s.Go(t.Context(), "list", "-deps", "./..."); err != nil || !strings.HasSuffix(out, "example.test/hello\n") {
		t.Errorf("go list: %v\n%s", err, out)
	}
	if v := s.Manifest().Go; !strings.HasPrefix(v.Version, "go1.18.") || !strings.HasPrefix(v.Sum, "h1:") {
		t.Errorf("manifest: %+v", v)
	}
}

// A GOROOT that is named by its path is taken as it is, and is what its hash
// says: for one of the store, what the checksum database has.
func TestGOROOT(t *testing.T) {
	if testing.Short() {
		t.Skip("it hashes a toolchain")
	}
	c := config(t)
	known := ForTest(t, c).toolchain
	c.Go = known.GOROOT
	c.Dir = filepath.Join(t.TempDir(), "box")
	c.Keep = true
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if got := s.Manifest().Go.Sum; got != known.h1 {
		t.Errorf("hash %s, want %s", got, known.h1)
	}
	if data, err := os.ReadFile(filepath.Join(c.Dir, manifestFile)); err != nil || strings.Contains(string(data), known.GOROOT) {
		t.Errorf("a path of the machine in the manifest: %v\n%s", err, data)
	}
	if s, err = Open(t.Context(), Config{Dir: c.Dir}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, _ := os.Stat(known.GOROOT)
	if b, err := os.Stat(s.toolchain.GOROOT); err != nil || !os.SameFile(a, b) {
		t.Errorf("opened with %s", s.toolchain.GOROOT)
	}
}
