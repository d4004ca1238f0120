//go:build unix

package cmd_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/goproxytest"

	"example.com/gox/internal/gocmd"
)

// Two hundred runs at once fill one isolated cache that was empty, and each
// succeeds. So it is when forty of them are killed at random: what they leave
// hinders nobody, and the cache holds what was downloaded and nothing else.
func TestConcurrent(t *testing.T) {
	for _, test := range []struct {
		name        string
		runs, kills int
	}{
		{"all live", 200, 0},
		{"some are killed", 200, 40},
	} {
		t.Run(test.name, func(t *testing.T) { testConcurrent(t, test.runs, test.kills) })
	}
}

func testConcurrent(t *testing.T, runs, kills int) {
	// Whenever one has started, asked the proxy for a file, or ended, chance
	// decides whether another, of those that may be, is killed.
	var mu sync.Mutex
	mortal := rand.Perm(runs)[:kills]
	var victims []*os.Process
	kill := func() {
		mu.Lock()
		defer mu.Unlock()
		if len(victims) > 0 && rand.IntN(8) == 0 {
			i := rand.IntN(len(victims))
			victims[i].Kill()
			victims = slices.Delete(victims, i, i+1)
		}
	}
	p, requests := downloads(t, kill)
	commands := [][]string{
		{"gox", "-p", "isolated", "list", "-m", "all"},
		{"gox", "-p", "isolated", "list", "-deps", "./..."},
	}
	var answers []string
	for _, command := range commands {
		// go itself says what is right, with a module cache of its own.
		status, stdout, stderr := p.run(t, append([]string{"go"}, command[3:]...)...)
		if status != "0" {
			t.Fatalf("go: status %s\n%s", status, stderr)
		}
		answers = append(answers, stdout)
	}

	before := requests.Load()
	said, errs := make([]strings.Builder, runs), make([]strings.Builder, runs)
	ends := make([]string, runs)
	var ended sync.WaitGroup
	for i := range runs {
		cmd := p.command(commands[i%len(commands)]...)
		cmd.Stdout, cmd.Stderr = &said[i], &errs[i]
		mu.Lock()
		err := cmd.Start()
		if err == nil && slices.Contains(mortal, i) {
			victims = append(victims, cmd.Process)
		}
		mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		kill()
		ended.Go(func() {
			err := cmd.Wait()
			var exit *exec.ExitError
			if errors.As(err, &exit); exit == nil && err != nil {
				ends[i] = err.Error()
			} else {
				ends[i] = statusOf(exit)
			}
			kill()
		})
	}
	ended.Wait()

	killed := 0
	for i := range runs {
		switch {
		case ends[i] == "SIGKILL" && slices.Contains(mortal, i):
			killed++
		case ends[i] != "0" || said[i].String() != answers[i%len(answers)] || !onlyDownloads(errs[i].String()):
			t.Errorf("run %d: status %s, %q\n%s", i, ends[i], &said[i], &errs[i])
		}
	}
	t.Logf("%d killed, %d requests", killed, requests.Load()-before)
	if killed < kills/2 {
		t.Errorf("%d of %d were killed before they ended, want half of them at least", killed, kills)
	}
	if requests.Load() == before {
		t.Error("nothing was downloaded")
	}

	for i, command := range commands {
		if status, stdout, stderr := p.run(t, command...); status != "0" || stdout != answers[i] || stderr != "" {
			t.Errorf("afterwards %q: status %s, %q %q", command, status, stdout, stderr)
		}
	}
	if status, stdout, stderr := p.run(t, "gox", "cache", "verify"); status != "0" || strings.Count(stdout, "\n") != 1 || !strings.HasSuffix(stdout, ": all as downloaded\n") {
		t.Errorf("gox cache verify: status %s, %q %q", status, stdout, stderr)
	}

	// Those that were killed while they made the cache left it half made. An
	// hour later nobody can be at it any more.
	halves, err := filepath.Glob(filepath.Join(p.cache, "mod", ".*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, half := range halves {
		if err := os.Chtimes(half, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if status, stdout, stderr := p.run(t, "gox", "cache", "prune"); status != "0" || stdout != "" || stderr != "" {
		t.Errorf("gox cache prune: status %s, %q %q", status, stdout, stderr)
	}
	if entries, err := os.ReadDir(filepath.Join(p.cache, "mod")); err != nil || len(entries) != 1 {
		t.Errorf("in the directory of caches: %v %v, want one", entries, err)
	}
}

// onlyDownloads reports whether stderr holds no more than go's news of what it
// downloads.
func onlyDownloads(stderr string) bool {
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "go: downloading example.test/") {
			return false
		}
	}
	return true
}

// downloads returns a place with a main module that requires a dozen others,
// the profile "isolated" and a proxy, which calls onRequest before it answers.
func downloads(t *testing.T, onRequest func()) (place, *atomic.Int64) {
	found, err := gocmd.Find(os.Getenv("PATH"), "")
	if err != nil {
		t.Fatal(err)
	}
	goPath := found.Path
	files := map[string]string{"m.go": "package m\n\n"}
	for n := range 12 {
		name := fmt.Sprint("example.test/d", n)
		dir := "../modules/" + strings.ReplaceAll(name, "/", "_") + "_v1.0.0"
		files["go.mod"] += "require " + name + " v1.0.0\n"
		files["m.go"] += "import _ \"" + name + "\"\n"
		files[dir+"/go.mod"] = "module " + name + "\n"
		files[dir+"/d.go"] = "package d\n"
		for data := range 20 {
			files[fmt.Sprintf("%s/data/%d", dir, data)] = strings.Repeat(name, 1000)
		}
	}
	p := newPlace(t, goPath, files)
	root := filepath.Dir(p.dir)
	t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", root).Run() }) // module caches are read-only

	modules, err := url.Parse(goproxytest.NewTestServer(t, filepath.Join(root, "modules"), "127.0.0.1:0").URL)
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(modules)
	proxy.ErrorLog = log.New(io.Discard, "", 0) // it would tell of each that is killed while it downloads
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		onRequest()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.env = append(p.env, "GOPROXY="+server.URL)
	profile := fmt.Sprintf("[profile.isolated]\ngoproxy = %q\nmodcache = \"isolated\"\n", server.URL)
	if err := os.WriteFile(filepath.Join(p.dir, "profiles.toml"), []byte(profile), 0o666); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := p.run(t, "go", "mod", "tidy"); status != "0" {
		t.Fatalf("go mod tidy: status %s\n%s", status, stderr)
	}
	return p, &requests
}
