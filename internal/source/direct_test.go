package source

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.com/gox/internal/gateway"
	"example.com/gox/internal/gotest"
)

// A module that go fetches with git: before, after, and what a probe says. Its
// path names the repository, so that go asks for no page, and git is told to
// look for that on disk.
func TestDirect(t *testing.T) {
	for _, version := range []string{"1.18", "1.27"} {
		t.Run("go"+version, func(t *testing.T) {
			goPath := gotest.Toolchain(t, version)
			w := newWorld(t, goPath)
			root := t.TempDir()
			repo := filepath.Join(root, "repo")
			write(t, filepath.Join(repo, "go.mod"), "module git.test/dep.git\n")
			write(t, filepath.Join(repo, "dep.go"), "package dep\n")
			git := func(args ...string) string {
				c := exec.Command("git", append([]string{"-C", repo, "-c", "user.name=x", "-c", "user.email=x@git.test"}, args...)...)
				c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
				out, err := c.CombinedOutput()
				if err != nil {
					t.Fatalf("git %v: %v\n%s", args, err, out)
				}
				return strings.TrimSpace(string(out))
			}
			git("init", "-q")
			git("add", ".")
			git("commit", "-q", "-m", "x")
			git("tag", "v1.0.0")
			commit := git("rev-parse", "HEAD")

			dir := filepath.Join(root, "m")
			write(t, filepath.Join(dir, "go.mod"), "module m\n\ngo 1.18\n\nrequire git.test/dep.git v1.0.0\n")
			write(t, filepath.Join(dir, "m.go"), "package m\n\nimport _ \"git.test/dep.git\"\n")
			q := Query{Go: goPath, Dir: dir, Env: append(w.environ(),
				"GOPROXY="+w.url+"/a,direct", "GOPRIVATE=git.test", "GOMODCACHE="+filepath.Join(root, "mod"),
				"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
				"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url."+fileURL(repo)+".insteadOf", "GIT_CONFIG_VALUE_0=https://git.test/dep")}
			run := func(args ...string) {
				w.run(t, goPath, dir, append(q.Env, "GOFLAGS=-mod=mod -modcacherw"), args...)
			}
			list := func() Module {
				t.Helper()
				r, err := List(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.Probe(t.Context(), q, ProbeOptions{Gateway: gateway.Config{Environ: q.Env, Dir: dir}}); err != nil {
					t.Fatal(err)
				}
				if len(r.Modules) != 2 || len(r.Alarms) > 0 || r.Fault != "" {
					t.Fatalf("%+v, alarms %v, %s", r.Modules, r.Alarms, r.Fault)
				}
				return r.Modules[1]
			}

			run("mod", "download", "git.test/dep.git")
			if err := os.RemoveAll(filepath.Join(root, "mod")); err != nil {
				t.Fatal(err)
			}
			w.requests()
			if m := list(); m.Source != Ask || Walk(m.Ask) != "direct (GONOPROXY)" || m.Answers() != "direct serves" || m.Probe[0].ModHash == "" {
				t.Errorf("before: %+v", m)
			}
			run("list", "./...", "git.test/dep.git")
			run("mod", "download")
			m := list()
			if m.Source != ModCache || m.Filled != nil {
				t.Errorf("after: %+v", m)
			}
			if m.Origin == nil != (version == "1.18") || m.Origin != nil && (m.Origin.Hash != commit || m.Origin.URL != "https://git.test/dep") {
				t.Errorf("origin %+v, want %s", m.Origin, commit)
			}
			q.Isolated = []string{"GOPROXY=" + w.url + "/a,direct", "GOPRIVATE=git.test"}
			if m := list(); m.Filled == nil || m.Filled.Upstream != direct || m.Filled.By != ByIsolation {
				t.Errorf("isolated: %+v", m.Filled)
			}
			if asked := w.requests(); len(asked) > 0 {
				t.Errorf("proxies were asked: %q", asked)
			}
		})
	}
}
