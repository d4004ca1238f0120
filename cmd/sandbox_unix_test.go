//go:build unix

package cmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/gox/internal/gotest"
)

// sandboxGo is the toolchain that the sandboxes of tests pin.
const sandboxGo = "1.26"

// linkStores gives the cache directory root the user's toolchains, and the
// user's build cache for that of sandboxes.
func linkStores(t *testing.T, root string) error {
	store := gotest.Toolchain(t, sandboxGo) // <cache>/toolchain/<version>/go/bin/go
	for range 4 {
		store = filepath.Dir(store)
	}
	build := ""
	for _, entry := range scriptEnv(t, "") {
		if dir, ok := strings.CutPrefix(entry, "GOCACHE="); ok {
			build = dir
		}
	}
	if err := os.MkdirAll(root, 0o777); err != nil {
		return err
	}
	if err := os.Symlink(store, filepath.Join(root, "toolchain")); err != nil {
		return err
	}
	return os.Symlink(build, filepath.Join(root, "build"))
}

// The go that makes sandboxes is the one in PATH; the one inside is sandboxGo.
func TestSandbox(t *testing.T) {
	program := gotest.Toolchain(t, sandboxGo)
	p := params(t, "testdata/script/sandbox", program)
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		if err := setup(env); err != nil {
			return err
		}
		env.Vars = append(env.Vars, "GOCACHE=", "GOROOT="+filepath.Dir(filepath.Dir(program)))
		return linkStores(t, filepath.Join(env.WorkDir, ".gox"))
	}
	testscript.Run(t, p)
}
