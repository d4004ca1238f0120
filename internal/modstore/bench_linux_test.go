package modstore

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/gox/internal/owned"
)

// BenchmarkWarm puts the modules that one version of prometheus needs into a
// cold module cache by go, and then into warm ones:
//
//	go test ./internal/modcache -run '^$' -bench Warm -benchtime 10x
func BenchmarkWarm(b *testing.B) {
	const module = "github.com/prometheus/prometheus@v0.312.0"
	goCmd, err := exec.LookPath("go")
	if err != nil {
		b.Fatal(err)
	}
	tmp, cold := b.TempDir(), filepath.Join(b.TempDir(), "cold")
	run := func(dir string, args ...string) []byte {
		cmd := exec.Command(goCmd, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOMODCACHE="+cold, "GOFLAGS=-modcacherw", "GOWORK=off", "GOTOOLCHAIN=local")
		cmd.Stderr = b.Output()
		out, err := cmd.Output()
		if err != nil {
			b.Fatal(err)
		}
		return out
	}
	write(b, filepath.Join(tmp, "go.mod"), "module main.example\n")
	var answer struct{ Dir string }
	if err := json.Unmarshal(run(tmp, "mod", "download", "-json", module), &answer); err != nil {
		b.Fatal(err)
	}
	tree := filepath.Join(tmp, "tree")
	if err := os.CopyFS(tree, os.DirFS(answer.Dir)); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	run(tree, "mod", "download")
	download := time.Since(start)

	sums, err := ParseSums("go.sum", []byte(read(b, filepath.Join(tree, "go.sum"))))
	if err != nil {
		b.Fatal(err)
	}
	s := Store{Root: filepath.Join(tmp, "gox")}
	owned.Spread(tmp) // as the directory of sandboxes is
	first := warm(b, s, Warming{Dir: filepath.Join(tmp, "first"), Sums: sums, From: []string{cold}})
	syscall.Sync() // else the next ones pay for it

	// First all of them are made, and then all removed: see owned.Spread.
	var all []time.Duration
	for i := 0; b.Loop(); i++ {
		got := warm(b, s, Warming{Dir: filepath.Join(tmp, fmt.Sprint("warm", i)), Sums: sums})
		if got.Modules != first.Modules {
			b.Fatalf("%+v", got)
		}
		all = append(all, got.Took)
	}
	disk := blocks(b, filepath.Join(tmp, "warm0"))
	start = time.Now()
	for i := range b.N {
		if err := os.RemoveAll(filepath.Join(tmp, fmt.Sprint("warm", i))); err != nil {
			b.Fatal(err)
		}
	}
	removal := time.Since(start)
	slices.Sort(all)
	took, best := all[len(all)/2], all[0]
	n := time.Duration(b.N)
	report := func(v float64, unit string) { b.ReportMetric(v, unit) }
	report(float64(download.Milliseconds()), "ms/cold")
	report(float64(first.Took.Milliseconds()), "ms/first")
	report(float64(took.Microseconds())/1000, "ms/warm")
	report(float64(best.Microseconds())/1000, "ms/best")
	report(float64((removal/n).Microseconds())/1000, "ms/removal")
	report(float64(download)/float64(took), "times-faster")
	report(float64(disk)/1e6, "MB/cache")
	report(float64(first.Modules), "modules")
	report(0, "ns/op")
	fmt.Fprintln(b.Output(), strings.TrimSpace(fmt.Sprintf("%+v", struct{ Modules, GoMods, Missing int }{first.Modules, first.GoMods, len(first.Missing)})))
}

// blocks returns how many bytes the tree at dir takes on disk.
func blocks(t testing.TB, dir string) (bytes int64) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		bytes += fi.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}
