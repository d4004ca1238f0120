//go:build unix

package gocmd

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"example.com/gox/internal/owned"
)

// onlyInstalled fails if the store holds anything but toolchains and locks.
func onlyInstalled(t *testing.T, tc *Toolchains, releases ...string) {
	t.Helper()
	entries, err := os.ReadDir(tc.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".lock") {
			got = append(got, strings.TrimSuffix(e.Name(), platform))
		}
	}
	if !slices.Equal(got, releases) {
		t.Errorf("the store holds %q, want %q", got, releases)
	}
}

// works fails unless the toolchain's go runs and says its version.
func works(t *testing.T, x Toolchain) {
	t.Helper()
	cmd := exec.Command(x.Go, "version")
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOROOT=")
	out, err := cmd.CombinedOutput()
	if !strings.HasPrefix(string(out), "go version "+x.Version) {
		t.Errorf("go version: %s%v", out, err)
	}
}

// realStore holds toolchains that the machine's own module proxy served.
func realStore() *Toolchains {
	return &Toolchains{Dir: filepath.Join(sharedDir, "toolchain"), Env: os.Environ()}
}

// realGo installs the newest release of spec, "" for the newest of all, in the
// real store. It needs the network, and is skipped under -short.
func realGo(t *testing.T, spec string) Toolchain {
	t.Helper()
	if testing.Short() {
		t.Skip("installs a real toolchain, which needs the network")
	}
	tc := realStore()
	tc.Go = goInPath(t)
	if spec == "" {
		all, err := tc.Available(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range all {
			if isPatch(v) {
				spec = v
			}
		}
	}
	versions, err := tc.Resolve(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	x, err := tc.Install(t.Context(), versions[0])
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// The oldest release that gox is for, and the newest.
var realSpecs = []struct{ name, spec string }{{"oldest", "1.18"}, {"newest", ""}}

func TestInstallReal(t *testing.T) {
	for _, tt := range realSpecs {
		t.Run(tt.name, func(t *testing.T) {
			x := realGo(t, tt.spec)
			works(t, x)
			if !strings.HasPrefix(x.H1, "h1:") || x.Size < 100<<20 || x.Installed.IsZero() {
				t.Errorf("noted down: %+v", x)
			}
			if g := At(x.Go); g.Version != x.Version || g.GOROOT != x.GOROOT {
				t.Errorf("At = %+v", g)
			}
			if got, err := realStore().Lookup(x.Version); got.Go != x.Go {
				t.Errorf("Lookup = %+v, %v", got, err)
			}
			// Its tools run, and the standard library is a module, with no
			// help from anywhere.
			for _, args := range [][]string{{"tool", "compile", "-V"}, {"list", "cmd/go"}} {
				cmd := exec.Command(x.Go, args...)
				cmd.Dir = t.TempDir()
				cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOROOT=", "GOPROXY=off", "GOFLAGS=")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("go %s: %v\n%s", strings.Join(args, " "), err, out)
				}
			}
		})
	}
}

// A toolchain that no checksum database knows, or that it knows otherwise, is
// refused, whatever the user has set; the same toolchain is accepted when the
// database knows it, by the same go.
func TestInstallVerifies(t *testing.T) {
	const v = "go1.22.99"
	for _, tt := range realSpecs {
		t.Run(tt.name, func(t *testing.T) {
			downloader := realGo(t, tt.spec).Go
			p := newFakeProxy(t)
			files := "GOPROXY=file://" + p.dir
			hostile := []string{
				"GONOSUMDB=" + modPath, "GOPRIVATE=*", "GONOPROXY=*", "GOINSECURE=*", "GONOSUMCHECK=1", "GOFLAGS=-insecure",
				"GIT_HTTP_USER_AGENT=" + agentOfAProxy(t),
			}
			goenv := write(t, filepath.Join(t.TempDir(), "goenv"), "GONOSUMDB="+modPath+"\nGOPRIVATE=*\nGOINSECURE=*\n")
			tests := []struct {
				name   string
				env    []string
				reason string
			}{
				{"unknown", nil, "verifying"},
				{"unknown, private", hostile, "verifying"},
				{"unknown, by go env -w", []string{"GOENV=" + goenv}, "verifying"},
				{"unknown, no database", append(hostile, "GOSUMDB=off"), "verifying"},
				{"unknown, no database by go env -w", []string{"GOSUMDB=", "GOENV=" + write(t, filepath.Join(t.TempDir(), "goenv"), "GOSUMDB=off\n")}, "verifying"},
				{"unknown, from files", []string{files}, "verifying"},
				{"unknown, from files, direct", append(hostile, files+",direct"), "verifying"},
				{"unknown, from files, no database", append(hostile, files, "GOSUMDB=off"), "verifying"},
			}
			p.add(v, toolchainFiles(v), false)
			refuse := func(t *testing.T, env []string, reason string) {
				t.Helper()
				tc := p.store(env...)
				tc.Go = downloader
				_, err := tc.Install(t.Context(), v)
				wantError(t, err, "go 1.22.99: not to be had from GOPROXY=", reason, "gox -p mirror toolchain install 1.22.99")
				onlyInstalled(t, tc)
			}
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) { refuse(t, tt.env, tt.reason) })
			}
			accept := func(t *testing.T, env ...string) {
				t.Helper()
				tc := p.store(env...)
				tc.Go = downloader
				x, err := tc.Install(t.Context(), v)
				if err != nil {
					t.Fatal(err)
				}
				works(t, x)
				onlyInstalled(t, tc, v)
			}
			p.add(v, toolchainFiles(v), true)
			t.Run("known", func(t *testing.T) { accept(t) })
			t.Run("known, private", func(t *testing.T) { accept(t, hostile...) })
			t.Run("known, from files", func(t *testing.T) { accept(t, files) })
			evil := toolchainFiles(v)
			evil["bin/go"] = "#!/bin/sh\necho owned\n"
			p.add(v, evil, false)
			t.Run("tampered", func(t *testing.T) { refuse(t, hostile, "SECURITY ERROR") })
			t.Run("tampered, from files", func(t *testing.T) { refuse(t, append(hostile, files), "checksum mismatch") })
		})
	}
}

// agentOfAProxy returns the user agent for which go does without the checksum
// database: one that names the host of go's own default module proxy.
func agentOfAProxy(t *testing.T) string {
	t.Helper()
	env, err := EnvJSON(t.Context(), goInPath(t), t.TempDir(), []string{"GOENV=off"}, "GOPROXY")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(env["GOPROXY"], ",")
	return strings.TrimPrefix(first, "https://")
}

// What Install refuses plain go takes, by two exceptions that it makes for
// GOSUMDB=off: a go that made them elsewhere too would be seen above.
func TestGoMakesExceptions(t *testing.T) {
	newest := realGo(t, "").Go
	p := newFakeProxy(t)
	p.add("go1.22.99", toolchainFiles("go1.22.99"), false)
	tests := []struct {
		name string
		env  string
		ok   bool
	}{
		{"neither", "A=B", false},
		{"one file URL", "GOPROXY=file://" + p.dir, true},
		{"user agent", "GIT_HTTP_USER_AGENT=" + agentOfAProxy(t), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command(newest, "mod", "download", "-json", modPath+"@v0.0.1-go1.22.99"+platform)
			cmd.Dir = t.TempDir()
			cmd.Env = p.env("GOTOOLCHAIN=local", "GOFLAGS=-modcacherw", "GOSUMDB=off", tt.env)
			if out, err := cmd.Output(); (err == nil) != tt.ok {
				t.Errorf("go mod download: %v\n%s", err, out)
			}
		})
	}
}

func TestInstall(t *testing.T) {
	const v = "go1.22.99"
	p := newFakeProxy(t)
	p.add(v, toolchainFiles(v), true)
	tc := p.store("GOPROXY=" + p.url + ",direct")
	var reports []Progress
	tc.Progress = func(pr Progress) { reports = append(reports, pr) }
	x, err := tc.Install(t.Context(), "1.22.99")
	if err != nil {
		t.Fatal(err)
	}
	onlyInstalled(t, tc, v)
	works(t, x)
	for name, want := range map[string]fs.FileMode{
		"bin/go": 0o555, "bin/gofmt": 0o555, "pkg/tool/a_b/compile": 0o555, "lib/wasm/go_js_wasm_exec": 0o555,
		"lib/time/update.bash": 0o444, "src/_go.mod": 0o444, "src/go.mod": 0o444, "src/cmd/go.mod": 0o444, "src/cmd/main.go": 0o444,
	} {
		fi, err := os.Stat(filepath.Join(x.GOROOT, name))
		if err != nil {
			t.Error(err)
		} else if fi.Mode()&0o555 != want { // the umask may take more
			t.Errorf("%s has mode %v, want %v", name, fi.Mode(), want)
		}
	}
	var size int64
	for name, data := range toolchainFiles(v) {
		size += int64(len(data))
		if strings.HasSuffix(name, "_go.mod") {
			size += int64(len(data))
		}
	}
	if x.Size != size {
		t.Errorf("Size = %d, want %d", x.Size, size)
	}
	m, err := owned.Read(tc.dir(v))
	if err != nil {
		t.Fatal(err)
	}
	if m.Kind != kind || m.Name != v || m.Info["h1"] != x.H1 || !strings.HasPrefix(x.H1, "h1:") ||
		m.Info["goproxy"] != p.url+",direct" || !strings.HasPrefix(m.Info["gosumdb"], "sum.example+") || !strings.HasPrefix(m.Info["downloader"], "go1.") {
		t.Errorf("marker: %+v", m)
	}
	if first, last := reports[0], reports[len(reports)-1]; first.Phase != Downloading || first.About == 0 || last != (Progress{Version: v, Phase: Done}) {
		t.Errorf("progress: %v", reports)
	}
	// Again: nothing to do, nobody to ask.
	n := len(p.asked)
	again, err := (&Toolchains{Dir: tc.Dir}).Install(t.Context(), v)
	if again != x || err != nil || len(p.asked) != n {
		t.Errorf("second Install = %+v, %v after %d requests", again, err, len(p.asked)-n)
	}
	// Where there is no other go, the store's own downloads.
	const w = "go1.22.100"
	p.add(w, toolchainFiles(w), true)
	write(t, filepath.Join(x.GOROOT, "bin", "new"), "#!/bin/sh\nexec '"+goInPath(t)+"' \"$@\"\n")
	if err := os.Rename(filepath.Join(x.GOROOT, "bin", "new"), x.Go); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Toolchains{Dir: tc.Dir, Env: tc.Env}).Install(t.Context(), w); err != nil {
		t.Errorf("with the store's go: %v", err)
	}
	onlyInstalled(t, tc, w, v)
}

// Without HOME there is no GOPATH, where go keeps what it knows of the
// checksum database.
func TestInstallNoHome(t *testing.T) {
	p := newFakeProxy(t)
	p.add("go1.22.99", toolchainFiles("go1.22.99"), true)
	tc := p.store("HOME=", "GOENV=")
	if _, err := tc.Install(t.Context(), "1.22.99"); err != nil {
		t.Error(err)
	}
}

func TestInstallErrors(t *testing.T) {
	p := newFakeProxy(t)
	p.add("go1.22.98", toolchainFiles("go1.22.97"), true)
	file := write(t, filepath.Join(t.TempDir(), "file"), "")
	dead := "http://127.0.0.1:1"
	user := "https://user:" + secret + "@127.0.0.1:1/x"
	tests := []struct {
		name    string
		change  func(*Toolchains)
		version string
		want    []string
	}{
		{name: "unknown", version: "1.99.1",
			want: []string{"go 1.99.1: not to be had from GOPROXY=" + p.url + ": reading " + p.url, "404 Not Found", "\n\tserver response: not found", "\n\tto try another source: gox -p mirror toolchain install 1.99.1"}},
		{name: "unknown, direct after", version: "1.99.1",
			change: func(tc *Toolchains) { tc.Env = append(tc.Env, "GOPROXY="+p.url+",direct") },
			want:   []string{"GOPROXY=" + p.url + ",direct: reading", "404 Not Found"}},
		{name: "dead proxy", version: "1.22.99",
			change: func(tc *Toolchains) { tc.Env = append(tc.Env, "GOPROXY="+dead) },
			want:   []string{"go 1.22.99: not to be had from GOPROXY=" + dead, "connection refused"}},
		{name: "password", version: "1.22.99",
			change: func(tc *Toolchains) { tc.Env = append(tc.Env, "GOPROXY="+user) },
			want:   []string{"GOPROXY=https://xxxxx@127.0.0.1:1/x", "connection refused"}},
		{name: "direct", version: "1.22.99",
			change: func(tc *Toolchains) { tc.Env = append(tc.Env, "GOPROXY=direct") },
			want:   []string{"go 1.22.99: GOPROXY=direct names no module proxy", "\n\tgox -p mirror toolchain install 1.22.99"}},
		{name: "off", version: "1.22.99",
			change: func(tc *Toolchains) { tc.Env = append(tc.Env, "GOPROXY=off") },
			want:   []string{"GOPROXY=off names no module proxy"}},
		{name: "another release inside", version: "1.22.98",
			want: []string{"go 1.22.98: not installed: what GOPROXY=" + p.url + ` serves is "go1.22.97"`}},
		{name: "no go", version: "1.22.99",
			change: func(tc *Toolchains) { tc.Go = "" },
			want:   []string{"go 1.22.99: there is no go to download it with\n\tinstall go, or set GOX_GO"}},
		{name: "no such go", version: "1.22.99",
			change: func(tc *Toolchains) { tc.Go = "/nowhere/go" },
			want:   []string{"go 1.22.99: /nowhere/go: no such file or directory"}},
		{name: "go that fails", version: "1.22.99",
			change: func(tc *Toolchains) { tc.Go = script(t, "go", "echo 'go: no luck' >&2; exit 1") },
			want:   []string{"go 1.22.99: ", "env -json GOPROXY GOSUMDB GOPATH GOVERSION: exit code 1\n\tgo: no luck"}},
		{name: "download without an answer", version: "1.22.99",
			change: func(tc *Toolchains) {
				tc.Go = script(t, "go", `[ "$1" != env ] || exec '`+goInPath(t)+`' "$@"; echo 'go: no https://u:`+secret+`@a.example luck' >&2; exit 1`)
			},
			want: []string{"go 1.22.99: not to be had from", "exit code 1\n\tgo: no https://xxxxx@a.example luck"}},
		{name: "disk full", version: "1.22.99",
			change: func(tc *Toolchains) {
				tc.Go = script(t, "go", `[ "$1" != env ] || exec '`+goInPath(t)+`' "$@"; echo '{"Error": "write /x: no space left on device"}'; exit 1`)
			},
			want: []string{"go 1.22.99: ", ": no space left on device\n\trun gox cache prune, or set GOX_CACHE to a directory with room"}},
		{name: "no database", version: "1.22.99",
			change: func(tc *Toolchains) {
				tc.Go = script(t, "go", `echo '{"GOPROXY": "https://a.example", "GOSUMDB": "off"}'`)
			},
			want: []string{"knows no checksum database", "\n\tset GOSUMDB"}},
		{name: "store is a file", version: "1.22.99",
			change: func(tc *Toolchains) { tc.Dir = file },
			want:   []string{file + ": not a directory\n\tset GOX_CACHE"}},
		{name: "store in a file", version: "1.22.99",
			change: func(tc *Toolchains) { tc.Dir = filepath.Join(file, "x") },
			want:   []string{file + ": not a directory\n\tset GOX_CACHE"}},
		{name: "something in its place", version: "1.22.99",
			change: func(tc *Toolchains) { write(t, filepath.Join(tc.dir("go1.22.99"), "go", "bin", "go"), "") },
			want:   []string{"go1.22.99" + platform + ": it stands there already, without a gox marker file\n\tmove it away"}},
		{name: "a minor version", version: "1.22", want: []string{`"1.22": not a release of go`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tc := p.store()
			if tt.change != nil {
				tt.change(tc)
			}
			_, err := tc.Install(t.Context(), tt.version)
			wantError(t, err, tt.want...)
			if names, _ := filepath.Glob(filepath.Join(tc.Dir, workPrefix+"*")); len(names) > 0 {
				t.Errorf("left behind: %q", names)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	p := newFakeProxy(t)
	var listed []string
	for _, v := range []string{"go1.20", "go1.20.2", "go1.22.9", "go1.22.12", "go1.21.13", "go1.23rc2", "go1.23.0", "go1.24rc1", "go1.9rc1"} {
		listed = append(listed, "v0.0.1-"+v+platform, "v0.0.1-"+v+".plan9-mips")
	}
	p.list(append(listed, "v0.0.1-go1.22.13.plan9-mips", "v0.0.1-go1.22.14-x"+platform)...)
	tc := p.store()
	var phases []Phase
	tc.Progress = func(pr Progress) { phases = append(phases, pr.Phase) }
	all, err := tc.Available(t.Context())
	if got := strings.Join(all, " "); got != "go1.9rc1 go1.20 go1.20.2 go1.21.13 go1.22.9 go1.22.12 go1.23rc2 go1.23.0 go1.24rc1" || err != nil {
		t.Errorf("Available: %s, %v", got, err)
	}
	if !slices.Equal(phases, []Phase{Listing}) {
		t.Errorf("phases: %v", phases)
	}
	if got := strings.Join(p.asked, " "); got != "/golang.org/toolchain/@v/list" {
		t.Errorf("a list costs more than one request: %s", got)
	}
	onlyInstalled(t, tc)
	tests := []struct{ spec, want, err string }{
		{spec: "1.22", want: "go1.22.12"},
		{spec: "1.20..1.23", want: "go1.20.2 go1.21.13 go1.22.12 go1.23.0"},
		{spec: "1.23,1.20..1.22,1.22.9,1.22", want: "go1.20.2 go1.21.13 go1.22.9 go1.22.12 go1.23.0"},
		{spec: "1.24", err: "go 1.24: no release of it for " + platform[1:] + " at GOPROXY=" + p.url + "\n\tthe newest there is 1.24rc1"},
		{spec: "1.19..1.22", err: "go 1.19: no release"},
		{spec: "1.22..1.99999999", err: "go 1.24: no release"},
		{spec: "1.x", err: `"1.x": not a go version`},
	}
	for _, tt := range tests {
		t.Run(tt.spec, func(t *testing.T) {
			got, err := tc.Resolve(t.Context(), tt.spec)
			if tt.err != "" {
				wantError(t, err, tt.err)
			} else if s := strings.Join(got, " "); s != tt.want || err != nil {
				t.Errorf("Resolve = %s, %v; want %s", s, err, tt.want)
			}
		})
	}
	t.Run("in full, nobody asked", func(t *testing.T) {
		got, err := (&Toolchains{}).Resolve(t.Context(), "1.22.12,1.20.0,1.23rc1")
		if s := strings.Join(got, " "); s != "go1.20 go1.22.12 go1.23rc1" || err != nil {
			t.Errorf("Resolve = %s, %v", s, err)
		}
	})
	t.Run("a go.mod further up", func(t *testing.T) {
		tc := p.store()
		write(t, filepath.Join(filepath.Dir(tc.Dir), "go.mod"), "module m\n\ngo 1.99.0\n")
		if _, err := tc.Available(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("dead proxy", func(t *testing.T) {
		_, err := p.store("GOPROXY=http://127.0.0.1:1").Resolve(t.Context(), "1.22")
		wantError(t, err, "go releases: not to be listed from GOPROXY=http://127.0.0.1:1: Get", "connection refused", "gox -p mirror")
	})
	t.Run("none", func(t *testing.T) {
		p := newFakeProxy(t)
		p.list("v0.0.1-go1.22.9.plan9-mips")
		_, err := p.store().Available(t.Context())
		wantError(t, err, "go releases: none for "+platform[1:]+" at GOPROXY="+p.url)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Error("the error is not fs.ErrNotExist")
		}
	})
}

// Two releases, each wanted by several processes and goroutines at once.
func TestInstallConcurrent(t *testing.T) {
	p := newFakeProxy(t)
	versions := []string{"go1.22.98", "go1.22.99"}
	for _, v := range versions {
		p.add(v, toolchainFiles(v), true)
	}
	tc := p.store()
	var wg sync.WaitGroup
	for _, v := range versions {
		for range 4 {
			wg.Go(func() {
				cmd := helperCmd(t, "install", tc.Dir, tc.Go, v)
				cmd.Env = append(slices.Clone(tc.Env), helperVar+"=install")
				if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != tc.toolchain(v).Go {
					t.Errorf("%s in a process: %s%v", v, out, err)
				}
			})
		}
		for range 2 {
			wg.Go(func() {
				if _, err := tc.Install(t.Context(), v); err != nil {
					t.Errorf("%s in a goroutine: %v", v, err)
				}
			})
		}
	}
	wg.Wait()
	for _, v := range versions {
		if n := p.count(v + platform + ".zip"); n != 1 {
			t.Errorf("%s was downloaded %d times", v, n)
		}
		x, err := tc.Lookup(v[2:])
		if err != nil {
			t.Fatal(err)
		}
		works(t, x)
	}
	onlyInstalled(t, tc, versions...)
}

func TestInstallWaits(t *testing.T) {
	const v = "go1.22.99"
	p := newFakeProxy(t)
	p.add(v, toolchainFiles(v), true)
	tc := p.store()
	if err := os.MkdirAll(tc.Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	lock := flock.New(tc.lock(v))
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	defer lock.Close()

	ctx, cancel := context.WithCancel(t.Context())
	tc.Progress = func(pr Progress) {
		if pr != (Progress{Version: v, Phase: Waiting}) {
			t.Errorf("progress: %v", pr)
		}
		cancel()
	}
	_, err := tc.Install(ctx, v)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("waiting, then cancelled: %v", err)
	}
	var phases []Phase
	tc.Progress = func(pr Progress) {
		if phases = append(phases, pr.Phase); pr.Phase == Waiting {
			lock.Unlock()
		}
	}
	if _, err := tc.Install(t.Context(), v); err != nil || phases[0] != Waiting || phases[1] != Downloading {
		t.Errorf("Install: %v, phases %v", err, phases)
	}
}

func TestInstallProgress(t *testing.T) {
	const v = "go1.22.99"
	p := newFakeProxy(t)
	files := toolchainFiles(v)
	files["lib/big"] = strings.Repeat("0123456789abcdef", 1<<16)
	p.add(v, files, true)
	seen := make(chan struct{})
	p.stall = func(r *http.Request) {
		select {
		case <-seen:
		case <-r.Context().Done():
		}
	}
	tc := p.store()
	var bytes int64
	tc.Progress = func(pr Progress) {
		if pr.Phase == Downloading && pr.Bytes > 0 && bytes == 0 {
			bytes = pr.Bytes
			close(seen)
		}
	}
	if _, err := tc.Install(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if bytes == 0 || bytes > 1<<20 {
		t.Errorf("half-way %d bytes were reported", bytes)
	}
}

func TestInstallCancelled(t *testing.T) {
	const v = "go1.22.99"
	p := newFakeProxy(t)
	p.add(v, toolchainFiles(v), true)
	ctx, cancel := context.WithCancel(t.Context())
	p.stall = func(r *http.Request) {
		cancel()
		<-r.Context().Done() // go is gone
	}
	tc := p.store()
	_, err := tc.Install(ctx, v)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Install: %v", err)
	}
	onlyInstalled(t, tc)
}

// An install that is killed leaves no toolchain, and what it does leave is
// gone after the next one.
func TestInstallKilled(t *testing.T) {
	for _, whole := range []bool{false, true} {
		name := map[bool]string{false: "gox alone", true: "gox and its go"}[whole]
		t.Run(name, func(t *testing.T) {
			const v, other = "go1.22.99", "go1.22.98"
			p := newFakeProxy(t)
			p.add(v, toolchainFiles(v), true)
			p.add(other, toolchainFiles(other), true)
			tc := p.store()
			reached, done := make(chan struct{}), make(chan struct{})
			p.stall = func(r *http.Request) {
				close(reached)
				<-done
				panic(http.ErrAbortHandler)
			}
			// Its descriptor 3 goes down to go, so that its end is theirs.
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd := helperCmd(t, "install", tc.Dir, tc.Go, v)
			cmd.Env = append(slices.Clone(tc.Env), helperVar+"=install")
			cmd.ExtraFiles = []*os.File{w}
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Close()
			<-reached
			pid := cmd.Process.Pid
			if whole {
				pid = -pid
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			if _, err := tc.Lookup(v); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("half a toolchain is installed: %v", err)
			}
			if left, _ := filepath.Glob(filepath.Join(tc.Dir, workPrefix+v+"-*")); len(left) != 1 {
				t.Errorf("left behind: %q; want what this test is about", left)
			}
			p.stall = nil
			// While a go that survived may still be at it.
			if _, err := tc.Install(t.Context(), v); err != nil {
				t.Fatal(err)
			}
			close(done)
			io.Copy(io.Discard, r)
			if _, err := tc.Install(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			onlyInstalled(t, tc, other, v)
		})
	}
}

// At whichever moment an install is killed, a toolchain stands whole or not at
// all. The go here takes no time, so that most kills hit gox's own work.
func TestInstallKilledAnyTime(t *testing.T) {
	const v = "go1.22.99"
	module := t.TempDir()
	write(t, filepath.Join(module, "VERSION"), v)
	for i := range 60 {
		write(t, filepath.Join(module, strconv.Itoa(i), "_go.mod"), "module m\n")
	}
	tc := &Toolchains{Dir: filepath.Join(t.TempDir(), "toolchain"), Env: os.Environ()}
	tc.Go = script(t, "go", `case $1 in
env) echo '{"GOPROXY": "https://a.example", "GOSUMDB": "sum.example", "GOPATH": "/x", "GOVERSION": "go1.22"}' ;;
mod) mkdir -p "$GOMODCACHE/golang.org" && cp -r '`+module+`' "$GOMODCACHE/$4" && echo '{"Sum": "h1:x="}' ;;
esac`)
	began := time.Now()
	if _, err := tc.Install(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	whole, took := tree(t, tc.dir(v)), time.Since(began)
	if whole < 120 {
		t.Fatalf("a whole toolchain has %d files", whole)
	}
	if err := tc.Remove(v); err != nil {
		t.Fatal(err)
	}
	stood := 0
	for range 25 {
		cmd := helperCmd(t, "install", tc.Dir, tc.Go, v)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(rand.N(2*took), func() { cmd.Process.Kill() })
		cmd.Wait()
		kill.Stop()
		if _, err := tc.Lookup(v); err != nil {
			continue
		}
		stood++
		if n := tree(t, tc.dir(v)); n != whole {
			t.Fatalf("a toolchain of %d files stands, of %d", n, whole)
		}
		if err := tc.Remove(v); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d of 25 came to an end before they were killed; one takes %v", stood, took)
	if _, err := tc.Install(t.Context(), v); err != nil {
		t.Fatal(err)
	}
}

// tree returns the number of files in dir.
func tree(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// As somebody for whom file modes count, which the tests' user may not be.
func TestInstallAsUser(t *testing.T) {
	const v = "go1.22.99"
	p := newFakeProxy(t)
	p.add(v, toolchainFiles(v), true)
	dir, err := os.MkdirTemp("", "gox-gocmd-user-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "gocmd.test") // go test's own directory is closed to others
	copyFile(t, self(t), bin)
	store, closed := filepath.Join(dir, "store"), filepath.Join(dir, "closed")
	for _, d := range []string{store, closed, filepath.Join(dir, "home")} {
		if err := os.Mkdir(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	var cred *syscall.Credential
	if os.Getuid() == 0 {
		const nobody = 65534
		cred = &syscall.Credential{Uid: nobody, Gid: nobody}
		for _, d := range []string{dir, store, filepath.Join(dir, "home")} {
			if err := os.Chown(d, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chmod(closed, 0o555); err != nil {
		t.Fatal(err)
	}
	install := func(store string) (string, error) {
		cmd := exec.CommandContext(t.Context(), bin, store, goInPath(t), v)
		cmd.Env = p.env(helperVar+"=install", "HOME="+filepath.Join(dir, "home"), "GOENV=off", "TMPDIR="+dir)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
		out, err := cmd.Output()
		return string(out), err
	}
	out, err := install(store)
	tc := &Toolchains{Dir: store}
	if err != nil || strings.TrimSpace(out) != tc.toolchain(v).Go {
		t.Fatalf("%s%v", out, err)
	}
	onlyInstalled(t, tc, v)
	for _, d := range []string{closed, filepath.Join(closed, "toolchain")} {
		out, err := install(d)
		if want := ": permission denied\n\tset GOX_CACHE to a directory that you may write to\n"; err == nil || !strings.HasSuffix(out, want) {
			t.Errorf("%s: %q, %v; want %q", d, out, err, want)
		}
	}
}
