package sandbox

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/gox/internal/modstore"

	"example.com/gox/internal/gotest"
)

// bulky is dependent with a file that takes some time to write.
func bulky(t testing.TB, cache string) (s *Sandbox, archive []byte) {
	t.Helper()
	s = dependent(t, cache, "one")
	data := make([]byte, 4<<20)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	if err := os.WriteFile(filepath.Join(s.Tree(), "bulk"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	return s, export(t, s, ExportOptions{})
}

// killed starts the test binary in a role, kills it after a random part of how
// long it takes, and reports whether it was still at work.
func killed(t *testing.T, within time.Duration, role_ string, args ...string) bool {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), role+"="+role_, "GORACE=atexit_sleep_ms=0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Duration(rand.Int64N(int64(within))))
	cmd.Process.Kill()
	return cmd.Wait() != nil
}

// took returns how long a process of the test binary takes that nobody kills.
func took(t *testing.T, role_ string, args ...string) time.Duration {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), role+"="+role_, "GORACE=atexit_sleep_ms=0")
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return time.Since(start)
}

func TestExportKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("many processes")
	}
	here := cache(t)
	_, archive := bulky(t, here)
	file := filepath.Join(t.TempDir(), "x.tar.gz")
	within := took(t, "export", here, "one", file)
	early := 0
	for range 20 {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if killed(t, within, "export", here, "one", file) {
			early++
		}
		if data, err := os.ReadFile(file); err == nil && !bytes.Equal(data, archive) {
			t.Fatal("half an archive under the name of a whole one")
		}
	}
	took(t, "export", here, "one", file)
	if data, err := os.ReadFile(file); err != nil || !bytes.Equal(data, archive) {
		t.Errorf("the next export: %v", err)
	}
	if left, _ := filepath.Glob(file + ".*"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	t.Logf("%d of 20 kills came in time", early)
}

func TestImportKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("many processes")
	}
	_, archive := bulky(t, cache(t))
	there := cache(t)
	file := filepath.Join(t.TempDir(), "x.tar.gz")
	write(t, file, string(archive))
	within := took(t, "import", there, "two", file)
	c := Config{Cache: there, Name: "two"}
	store := modstore.Store{Root: there}
	early := 0
	for range 40 {
		if err := Remove(c); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if early%4 == 0 { // the modules anew, too
			if err := store.Remove("verified"); err != nil && !errors.Is(err, fs.ErrNotExist) && !strings.Contains(err.Error(), "has links into it") {
				t.Fatal(err)
			}
		}
		if killed(t, within, "import", there, "two", file) {
			early++
		}
		s, err := Open(t.Context(), c)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatalf("neither there nor whole: %v", err)
		}
		if again := export(t, s, ExportOptions{}); !bytes.Equal(again, archive) {
			t.Error("half an import taken for whole")
		}
		s.Close()
	}
	if err := Remove(c); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	took(t, "import", there, "two", file)
	if faults, err := store.Verify(t.Context(), "verified"); err != nil || len(faults) > 0 {
		t.Errorf("store: %v, %v", faults, err)
	}
	left, _ := filepath.Glob(filepath.Join(there, kind, newPrefix+"*"))
	if len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	t.Logf("%d of 40 kills came in time", early)
}

// On a full disk nothing half made is left, and there is a mend.
func TestArchiveDiskFull(t *testing.T) {
	disk := gotest.Disk(t, "2m")
	here := cache(t)
	s, archive := bulky(t, here)
	file := filepath.Join(disk, "x.tar.gz")
	if err := s.ExportFile(t.Context(), file, ExportOptions{}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Export: %v", err)
	}
	if left, _ := os.ReadDir(disk); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	full := filepath.Join(disk, "cache")
	if err := os.Mkdir(full, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"toolchain", "build"} {
		if err := os.Symlink(filepath.Join(here, name), filepath.Join(full, name)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Import(t.Context(), Config{Cache: full, Name: "two"}, bytes.NewReader(archive))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "\n\trun gox cache prune, or set GOX_CACHE") {
		t.Errorf("Import: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Join(full, kind)); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
