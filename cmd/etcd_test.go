//go:build unix

package cmd_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/gox/internal/source"
)

// A real workspace, made of etcd's modules as published, is built under every
// kind of profile. Needs the network, and half a minute of two processors.
func TestEtcdUnderEachProfile(t *testing.T) {
	dir := assembleEtcd(t)
	server := filepath.Join(dir, "server")
	cache := filepath.Join(t.TempDir(), "gox")
	own := filepath.Join(t.TempDir(), "gopath")
	t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", cache).Run() })

	// -trimpath lets one compilation serve all: without it a package is compiled
	// again wherever it stands.
	environ := append(os.Environ(), "GOX_CACHE="+cache, "GOPATH="+own, "GOMODCACHE=", "GOFLAGS=-trimpath", "GOWORK=", "GOENV=off")
	gox := func(t *testing.T, dir string, args ...string) string {
		t.Helper()
		c := exec.Command(filepath.Join(bin, "gox"), args...)
		c.Dir, c.Env = dir, environ
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("gox %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	where := func(t *testing.T, module string, args ...string) string {
		t.Helper()
		return strings.TrimSpace(gox(t, server, append(args, "list", "-f", "{{.Dir}}", module)...))
	}
	modcache := func(t *testing.T, profile string) string {
		t.Helper()
		return strings.TrimSpace(gox(t, server, "-p", profile, "env", "GOMODCACHE"))
	}

	const api, zap = "go.etcd.io/etcd/api/v3", "go.uber.org/zap"
	// sources asks gox source, and compares the answer with go's.
	sources := func(t *testing.T, profile, dir string, patterns ...string) map[string]source.Module {
		t.Helper()
		return sourcesOf(t, func(dir string, args ...string) string {
			return gox(t, dir, append([]string{"-p", profile}, args...)...)
		}, dir, patterns...)
	}

	t.Run("proxy", func(t *testing.T) {
		gox(t, dir, "-p", "proxy", "build", "./server/...", "./client/v3/...")
		if got := where(t, "go.etcd.io/etcd/api/v3/version", "-p", "proxy"); got != filepath.Join(dir, "api", "version") {
			t.Errorf("api is taken from %s, want the workspace", got)
		}
		if got := where(t, "go.uber.org/zap", "-p", "proxy"); !strings.HasPrefix(got, modcache(t, "proxy")) {
			t.Errorf("zap is taken from %s, want the profile's own module cache", got)
		}
		found := sources(t, "proxy", dir, "./server/...", "./client/v3/...")
		wantSource(t, found[api], source.Use, dir, "go.work")
		wantSource(t, found[zap], source.ModCache, dir, "client/pkg/go.mod", "client/v3/go.mod", "pkg/go.mod", "server/go.mod")
	})
	t.Run("go.work replace", func(t *testing.T) {
		own := filepath.Join(dir, "zap")
		if err := os.CopyFS(own, os.DirFS(where(t, zap, "-p", "proxy"))); err != nil {
			t.Fatal(err)
		}
		gox(t, dir, "-p", "proxy", "work", "edit", "-replace="+zap+"=./zap")
		wantSource(t, sources(t, "proxy", dir, "./server/...")[zap], source.Directory, dir, "go.work")
		gox(t, dir, "-p", "proxy", "work", "edit", "-dropreplace="+zap)
		if err := os.RemoveAll(own); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("gowork off", func(t *testing.T) {
		gox(t, server, "-p", "alone", "build", "./...")
		if got := gox(t, server, "-p", "alone", "env", "GOWORK"); got != "off\n" {
			t.Errorf("GOWORK=%s", got)
		}
		wantSource(t, sources(t, "alone", server, "./...")[api], source.Directory, dir, "server/go.mod")
	})
	t.Run("modfile", func(t *testing.T) {
		gox(t, server, "-p", "alt", "build", "./...")
		if got := where(t, "go.etcd.io/etcd/api/v3/version", "-p", "alt"); !strings.HasPrefix(got, modcache(t, "alt")) {
			t.Errorf("api is taken from %s, want the module cache, as go.alt.mod says", got)
		}
		wantSource(t, sources(t, "alt", server, "./...")[api], source.ModCache, dir, "server/go.alt.mod")
	})
	t.Run("offline after that", func(t *testing.T) {
		gox(t, dir, "-p", "train", "build", "./server/...")
		gox(t, server, "-p", "alt,train", "build", "./...")
		if got := gox(t, server, "-p", "train", "env", "GOPROXY"); got != "off\n" {
			t.Errorf("GOPROXY=%s", got)
		}
		if a, b := modcache(t, "proxy"), modcache(t, "train"); a != b {
			t.Errorf("train uses %s, want proxy's %s", b, a)
		}
	})
	t.Run("a script of one's own", func(t *testing.T) {
		script, err := filepath.Abs("../testscripts/etcd.txtar")
		if err != nil {
			t.Fatal(err)
		}
		c := exec.Command(filepath.Join(bin, "gox"), "script", "--repo", dir, script)
		c.Env = append(slices.Clone(environ), "GOMODCACHE="+modcache(t, "proxy"))
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("vendor", func(t *testing.T) {
		gox(t, server, "-p", "alone", "mod", "vendor")
		gox(t, server, "-p", "vendor", "build", "./...")
		if got := where(t, "go.uber.org/zap", "-p", "vendor"); got != filepath.Join(server, "vendor", "go.uber.org", "zap") {
			t.Errorf("zap is taken from %s, want vendor/", got)
		}
		found := sources(t, "vendor", server, "./...")
		wantSource(t, found[zap], source.Vendor, dir, "server/vendor/modules.txt")
		wantSource(t, found[api], source.Vendor, dir, "server/vendor/modules.txt") // not the directory that go.mod names
		if err := os.RemoveAll(filepath.Join(server, "vendor")); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("workspace vendor", func(t *testing.T) {
		gox(t, dir, "-p", "proxy", "-e", "GOFLAGS=", "work", "vendor")
		gox(t, dir, "-p", "work-vendor", "build", "./server/...", "./client/v3/...")
		if got := where(t, "go.uber.org/zap", "-p", "work-vendor"); got != filepath.Join(dir, "vendor", "go.uber.org", "zap") {
			t.Errorf("zap is taken from %s, want vendor/ of the workspace", got)
		}
		found := sources(t, "work-vendor", dir, "./server/...", "./client/v3/...")
		wantSource(t, found[zap], source.Vendor, dir, "vendor/modules.txt")
		wantSource(t, found[api], source.Use, dir, "go.work")
	})
	t.Run("caches", func(t *testing.T) {
		if out := gox(t, dir, "cache", "verify"); !strings.Contains(out, "all as downloaded") || strings.Contains(out, "altered") {
			t.Errorf("cache verify:\n%s", out)
		}
		// Two profiles chose sources: proxy, and vendor, which has none.
		entries, err := os.ReadDir(filepath.Join(cache, "mod"))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			name, _, _ := strings.Cut(e.Name(), "-")
			names = append(names, name)
		}
		if slices.Sort(names); !slices.Equal(slices.Compact(names), []string{"proxy", "vendor", "work"}) {
			t.Errorf("caches of %q", names)
		}
		// go keeps the checksum database's state in GOPATH, for all module caches.
		if _, err := os.Stat(filepath.Join(own, "pkg", "mod")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the user's own module cache was touched: %v", err)
		}
	})
}
