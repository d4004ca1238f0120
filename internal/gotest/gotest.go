// Package gotest gives tests the Go toolchains that they are about. The go
// that builds a test is not the go that it tests.
package gotest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"example.com/gox/internal/gocmd"
)

// Toolchain returns the go command of the toolchain that version means, such
// as "1.18" or "1.18.10", out of the cache that gox itself uses (GOX_CACHE).
// Where none is installed there it installs one, and so tests need the network
// once; under -short it skips the test instead.
func Toolchain(t testing.TB, version string) string {
	t.Helper()
	root := os.Getenv("GOX_CACHE")
	if root == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		root = filepath.Join(dir, "gox")
	}
	store := gocmd.Toolchains{Dir: filepath.Join(root, "toolchain"), Env: os.Environ()}
	toolchain, err := store.Lookup(version)
	if err == nil {
		return toolchain.Go
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if testing.Short() {
		t.Skipf("go %s is not installed, and -short\n\tgox toolchain install %[1]s", version)
	}
	found, err := gocmd.Find(os.Getenv("PATH"), "")
	if err != nil {
		t.Fatal(err)
	}
	store.Go = found.Path
	versions, err := store.Resolve(t.Context(), version)
	if err != nil {
		t.Fatal(err)
	}
	toolchain, err = store.Install(t.Context(), versions[len(versions)-1])
	if err != nil {
		t.Fatal(err)
	}
	return toolchain.Go
}
