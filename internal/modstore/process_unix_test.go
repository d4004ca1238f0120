//go:build unix

package modstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/gox/internal/modcache"
)

// The test binary is also the process that is killed: the one that is started
// with role set in its environment.
const role = "MODSTORE_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(role) == "" {
		os.Exit(m.Run())
	}
	if err := play(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// play waits for the end of its input, and fills the cache dir from another,
// with what a go.sum names.
func play(root, dir, from, goSum string) error {
	_, err := io.Copy(io.Discard, os.Stdin)
	data, rerr := os.ReadFile(goSum)
	sums, perr := ParseSums(goSum, data)
	if err := errors.Join(err, rerr, perr); err != nil {
		return err
	}
	_, err = Store{Root: root}.Warm(context.Background(), Warming{Dir: dir, Sums: sums, From: []string{from}})
	return err
}

// Whenever Warm is killed, nothing half made counts, and the next call makes
// all of it whole.
func TestWarmKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("many processes")
	}
	root, from, work := filepath.Join(t.TempDir(), "gox"), t.TempDir(), t.TempDir()
	s := Store{Root: root}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var goSum strings.Builder
	files := map[string]string{}
	for i := range 40 {
		files[fmt.Sprintf("d%d/f.go", i)] = "package d\n" + strings.Repeat("// text\n", 1000)
	}
	const modules = 8
	var sums []Sum
	for i := range modules {
		for _, sum := range stock(t, from, fmt.Sprintf("a.example/m%d", i), "v1.0.0", files) {
			path, v, _ := strings.Cut(sum.String(), "@")
			fmt.Fprintln(&goSum, path, v, sum.H1)
			sums = append(sums, sum)
		}
	}
	file := filepath.Join(work, "go.sum")
	write(t, file, goSum.String())
	cut := 0 // killed before all was there
	const kills = 24
	for i := range kills {
		dir := filepath.Join(work, fmt.Sprint("mod", i))
		cmd := exec.Command(exe, root, dir, from, file)
		cmd.Env = append(os.Environ(), role+"=warm")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stdin.Close() // go
		time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		have := 0
		for _, sum := range sums {
			if s.Has(sum) {
				have++
			}
		}
		if have < len(sums) {
			cut++
		} else if faults, err := s.Verify(t.Context(), "verified"); err != nil || len(faults) > 0 {
			t.Fatalf("after kill %d: %v, %v", i, faults, err)
		} else if _, err := s.Prune(t.Context(), modcache.PruneOptions{}); err != nil {
			t.Fatal(err)
		} else if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 { // from the beginning
			if got := warm(t, s, Warming{Dir: dir, Sums: sums, From: []string{from}}); got.Modules != modules || got.GoMods != modules {
				t.Fatalf("not completed: %+v", got)
			}
			checkStore(t, s)
			for j := range i + 1 {
				if err := os.RemoveAll(filepath.Join(work, fmt.Sprint("mod", j))); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Remove("verified"); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d of %d kills came before all was there", cut, kills)
	if cut == 0 {
		t.Error("no kill came in time to prove anything")
	}
}
