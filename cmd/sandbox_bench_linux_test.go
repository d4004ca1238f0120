package cmd_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"example.com/gox/internal/gotest"
	"example.com/gox/internal/owned"
)

// BenchmarkSandbox closes one version of prometheus, 246 modules, with an empty
// cache and then again and again, by the whole of gox sandbox create. In turn with
// it the same files are copied by cp, which is what such a sandbox takes at least,
// and with it are compared: the cold one, the time of a removal, the disk.
//
//	go test ./cmd -run '^$' -bench Sandbox -benchtime 10x
func BenchmarkSandbox(b *testing.B) {
	const module = "github.com/prometheus/prometheus@v0.312.0"
	tmp := b.TempDir()
	run := func(dir string, env []string, argv ...string) []byte {
		c := exec.Command(argv[0], argv[1:]...)
		c.Dir, c.Env, c.Stderr = dir, append(os.Environ(), env...), b.Output()
		out, err := c.Output()
		if err != nil {
			b.Fatalf("%q: %v\n%s", argv, err, out)
		}
		return out
	}
	goEnv := []string{"GOMODCACHE=" + filepath.Join(tmp, "published"), "GOFLAGS=-modcacherw", "GOWORK=off", "GOTOOLCHAIN=local"}
	if err := os.WriteFile(filepath.Join(tmp, "go.mod"), []byte("module main.test\n"), 0o666); err != nil {
		b.Fatal(err)
	}
	var answer struct{ Dir string }
	if err := json.Unmarshal(run(tmp, goEnv, "go", "mod", "download", "-json", module), &answer); err != nil {
		b.Fatal(err)
	}
	toolchains := gotest.Toolchain(b, sandboxGo) // <cache>/toolchain/<version>/go/bin/go
	for range 4 {
		toolchains = filepath.Dir(toolchains)
	}
	// cached returns a cache directory with toolchains and nothing else.
	cached := func(name string) (cache string, env []string) {
		cache = filepath.Join(tmp, "gox-"+name)
		if err := errors.Join(os.Mkdir(cache, 0o777), os.Symlink(toolchains, filepath.Join(cache, "toolchain"))); err != nil {
			b.Fatal(err)
		}
		return cache, []string{"GOX_CACHE=" + cache, "GOMODCACHE=" + filepath.Join(tmp, "none"), "GOFLAGS=", "GOWORK="}
	}
	gox := filepath.Join(bin, "gox")
	copies := filepath.Join(tmp, "copies")
	if err := os.Mkdir(copies, 0o777); err != nil {
		b.Fatal(err)
	}
	owned.Spread(copies) // as the directory of sandboxes is

	// What is published has a go.work, of modules that are not.
	for kind, work := range map[string]string{"module": "", "workspace": "go 1.25.0\n\nuse .\n"} {
		b.Run(kind, func(b *testing.B) {
			cache, env := cached(kind)
			tree := filepath.Join(tmp, kind)
			run(tmp, nil, "cp", "-r", "--no-preserve=mode", answer.Dir, tree)
			err := os.Remove(filepath.Join(tree, "go.work"))
			if work != "" {
				err = os.WriteFile(filepath.Join(tree, "go.work"), []byte(work), 0o666)
			}
			if err != nil {
				b.Fatal(err)
			}
			create := func(name string) (linked int, took time.Duration) {
				start := time.Now()
				out := run(tree, env, gox, "sandbox", "create", "--json", "--go", sandboxGo, name)
				took = time.Since(start)
				var v struct{ Warmth struct{ Linked int } }
				if err := json.Unmarshal(out, &v); err != nil {
					b.Fatal(err)
				}
				return v.Warmth.Linked, took
			}
			_, cold := create(kind + "-cold")
			syscall.Sync() // else the next ones pay for it
			var warm, copied, beside, removed []float64
			linked := 0
			i := 0
			for b.Loop() {
				var took time.Duration
				linked, took = create(fmt.Sprint(kind, i))
				warm = append(warm, float64(took.Microseconds())/1000)
				start := time.Now()
				run(tmp, nil, "cp", "-r", tree, filepath.Join(copies, fmt.Sprint(kind, i)))
				copied = append(copied, float64(time.Since(start).Microseconds())/1000)
				i++
			}
			box := filepath.Join(cache, "sandbox", kind+"0")
			all, inTree := onDisk(b, box), onDisk(b, filepath.Join(box, "tree"))
			for i := range warm { // after all were made: see owned.Spread
				start := time.Now()
				run(tree, env, gox, "sandbox", "remove", fmt.Sprint(kind, i))
				removed = append(removed, float64(time.Since(start).Microseconds())/1000)
			}
			median := func(list []float64) float64 {
				list = slices.Sorted(slices.Values(list))
				return list[len(list)/2]
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(cold.Milliseconds()), "ms-cold")
			b.ReportMetric(median(warm), "ms-warm")
			b.ReportMetric(slices.Min(warm), "ms-best")
			b.ReportMetric(slices.Min(warm)-slices.Min(copied), "ms-best-beside-cp")
			b.ReportMetric(median(copied), "ms-cp")
			for i := range warm {
				beside = append(beside, warm[i]-copied[i])
			}
			b.ReportMetric(median(beside), "ms-beside-cp")
			b.ReportMetric(float64(cold.Milliseconds())/median(warm), "times-faster")
			b.ReportMetric(median(removed), "ms-removal")
			b.ReportMetric(float64(linked), "modules")
			b.ReportMetric(float64(inTree)/1e6, "MB-tree")
			b.ReportMetric(float64(all-inTree)/1e6, "MB-beside")
		})
	}
}

// onDisk returns how many bytes the tree at dir takes on disk.
func onDisk(tb testing.TB, dir string) (bytes int64) {
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err == nil {
			bytes += fi.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return bytes
}
