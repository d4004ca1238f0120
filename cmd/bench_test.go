//go:build unix

package cmd_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkOverhead runs plain go and wrappers around it in turn, doing the
// same work, and reports medians, what each wrapper adds, and the median of the
// pairwise ratios. It assembles and builds a real workspace first, for which it
// needs the network.
//
//	go test ./cmd -run '^$' -bench Overhead -benchtime 200x
func BenchmarkOverhead(b *testing.B) {
	dir := assembleEtcd(b)
	dist := b.TempDir()
	buildRelease(b, filepath.Join(dist, "built"))
	release, copied, cgo, execgo := filepath.Join(dist, "gox"), filepath.Join(dist, "copied"), filepath.Join(dist, "cgo"), filepath.Join(dist, "execgo")
	gox := filepath.Join(bin, "gox")
	// A release is unpacked, which is to be copied. It matters: what the linker
	// has written through a memory map lies in the page cache in single pages, and
	// to map those takes longer, up to a millisecond for all of gox.
	copyFile(b, filepath.Join(dist, "built", "gox"), release)
	copyFile(b, gox, copied)
	floor := exec.Command("go", "build", "-o", execgo, "./testdata/execgo")
	floor.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := floor.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	// Without CGO_ENABLED=0 a C compiler at hand makes a dynamic program of it.
	build := exec.Command("go", "build", "-o", cgo, "./gox")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		b.Logf("no gox with cgo: %v\n%s", err, out)
	}
	environ := append(os.Environ(), "GOX_CACHE="+filepath.Join(b.TempDir(), "cache"), "GOWORK=", "GOFLAGS=", "GOTOOLCHAIN=local")
	start := func(argv ...string) *exec.Cmd {
		c := exec.Command(argv[0], argv[1:]...)
		c.Dir, c.Env = dir, environ
		return c
	}
	// Plain go works with what the profile proxy sets, so that only the way
	// there differs. Its build fills the caches.
	for _, name := range []string{"GOMODCACHE", "GOPROXY"} {
		out, err := start(gox, "-p", "proxy", "env", name).Output()
		if err != nil {
			b.Fatal(err)
		}
		environ = append(environ, name+"="+strings.TrimSpace(string(out)))
	}
	environ = append(environ, "GOFLAGS=-mod=readonly")
	if out, err := start("go", "build", "work").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	// direnv and mise are to set the same variables as the profile.
	set := ""
	mise := "[env]\n"
	for _, v := range environ[len(environ)-3:] {
		name, value, _ := strings.Cut(v, "=")
		set += fmt.Sprintf("export %s='%s'\n", name, value)
		mise += fmt.Sprintf("%s = '%s'\n", name, value)
	}
	for name, text := range map[string]string{".envrc": set, "mise.toml": mise} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			b.Fatal(err)
		}
	}
	environ = append(environ, "XDG_DATA_HOME="+b.TempDir(), "MISE_TRUSTED_CONFIG_PATHS="+dir)
	if _, err := exec.LookPath("direnv"); err == nil {
		if out, err := start("direnv", "allow", dir).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	type wrapper struct {
		name string
		argv []string
	}
	wrappers := []wrapper{
		{"execgo", []string{execgo}},
		{"installed", []string{gox, "-p", "default"}},
		{"installed-profile", []string{gox, "-p", "proxy"}},
		{"installed-copied-profile", []string{copied, "-p", "proxy"}},
		{"installed-cgo-profile", []string{cgo, "-p", "proxy"}},
		{"release", []string{release, "-p", "default"}},
		{"release-profile", []string{release, "-p", "proxy"}},
		{"direnv", []string{"direnv", "exec", dir, "go"}},
		{"mise", []string{"mise", "exec", "--", "go"}},
	}
	wrappers = slices.DeleteFunc(wrappers, func(w wrapper) bool {
		_, err := exec.LookPath(w.argv[0])
		return err != nil // not installed
	})
	for _, args := range [][]string{{"version"}, {"env", "GOPROXY"}, {"build", "work"}} {
		b.Run(args[0], func(b *testing.B) {
			pairs, wrappers := rounds(), wrappers
			if args[0] == "build" { // about a second each; how they start makes no odds
				pairs = min(pairs, 40)
				wrappers = slices.DeleteFunc(slices.Clone(wrappers), func(w wrapper) bool {
					return strings.HasPrefix(w.name, "installed") || w.name == "release"
				})
			}
			// All in turn: the machine's moods are the same for each.
			var plain []float64
			took := make([][]float64, len(wrappers))
			for range pairs {
				plain = append(plain, elapsed(b, start(append([]string{"go"}, args...)...)))
				for i, w := range wrappers {
					took[i] = append(took[i], elapsed(b, start(slices.Concat(w.argv, args)...)))
				}
			}
			for i, w := range wrappers {
				b.Run(w.name, func(b *testing.B) { report(b, plain, took[i]) })
			}
		})
	}
}

// rounds is how often a benchmark is asked for, 100 where a time is.
func rounds() int {
	n, err := strconv.Atoi(strings.TrimSuffix(flag.Lookup("test.benchtime").Value.String(), "x"))
	if err != nil {
		return 100
	}
	return n
}

func copyFile(tb testing.TB, from, to string) {
	tb.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o777)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// compare runs the two in turn.
func compare(b *testing.B, pairs int, plain, wrapped func() *exec.Cmd) {
	var plains, wrappeds []float64
	for range pairs {
		plains, wrappeds = append(plains, elapsed(b, plain())), append(wrappeds, elapsed(b, wrapped()))
	}
	report(b, plains, wrappeds)
}

// report reports the medians of two lists of milliseconds, and that of the
// ratios of each pair.
func report(b *testing.B, plain, wrapped []float64) {
	var ratios []float64
	for i, p := range plain {
		ratios = append(ratios, wrapped[i]/p)
	}
	b.ReportMetric(0, "ns/op") // of no meaning here
	b.ReportMetric(median(plain), "plain-ms")
	b.ReportMetric(median(wrapped), "wrapped-ms")
	b.ReportMetric(median(wrapped)-median(plain), "added-ms")
	b.ReportMetric(median(ratios), "ratio")
}

func elapsed(b *testing.B, c *exec.Cmd) float64 {
	began := time.Now()
	if err := c.Run(); err != nil {
		b.Fatalf("%s: %v", c, err)
	}
	return float64(time.Since(began).Microseconds()) / 1000
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// assembleEtcd returns a workspace made of etcd's modules as published.
func assembleEtcd(tb testing.TB) string {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short: this downloads etcd's modules")
	}
	dir := filepath.Join(tb.TempDir(), "etcd")
	script, err := filepath.Abs("../testscripts/etcd.sh")
	if err != nil {
		tb.Fatal(err)
	}
	if out, err := exec.Command("sh", script, dir).CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	return dir
}
