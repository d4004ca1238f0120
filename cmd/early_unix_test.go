//go:build unix

package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"example.com/gox/internal/inside"
)

// The helper of sandboxes, which every command inside waits for, comes before
// nearly everything. It is no task to be gox started under its own name.
func TestHelperIsFirst(t *testing.T) {
	trace := func(name string) string {
		cmd := exec.Command(filepath.Join(bin, "gox"))
		cmd.Args = []string{name, "--help"}
		cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	for _, late := range []string{"unicode", "encoding/json", "regexp", "net/http"} {
		line := "init " + late + " @"
		if helper := trace(inside.Name); strings.Contains(helper, line) || !strings.Contains(helper, "init os @") {
			t.Errorf("%s is initialised before the helper is one:\n%s", late, helper)
		}
		if !strings.Contains(trace("gox"), line) {
			t.Errorf("control: %s is not initialised at all", late)
		}
	}
}

// The TOML library reads no time zone when it is initialised: package zone
// comes before it. Reading one takes 4 kB.
func TestZone(t *testing.T) {
	cmd := exec.Command(filepath.Join(bin, "gox"), "--help")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1", "TZ=America/New_York")
	out, _ := cmd.CombinedOutput()
	m := regexp.MustCompile(`(?m)^init github.com/BurntSushi/toml/internal @.* clock, (\d+) bytes`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no trace of initialisation:\n%s", out)
	}
	if n, _ := strconv.Atoi(string(m[1])); n > 2000 {
		t.Errorf("%s", m[0])
	}
}

// A wrapped run happens before what only the verbs need is initialised, which
// is a matter of import paths (see package early). A verb is the control.
func TestEarly(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		args []string
		late bool
	}{
		{[]string{"-p", "mirror", "-n", "version"}, false},
		{[]string{"-p", "nosuch", "version"}, false},
		{[]string{"profile", "--help"}, true},
		{[]string{"--help"}, true},
	} {
		cmd := exec.Command(filepath.Join(bin, "gox"), tt.args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
		out, _ := cmd.CombinedOutput()
		initialised := map[string]bool{}
		for _, m := range regexp.MustCompile(`(?m)^init (\S+) @`).FindAllSubmatch(out, -1) {
			initialised[string(m[1])] = true
		}
		if !initialised["os"] {
			t.Errorf("%q: no trace of initialisation:\n%s", tt.args, out)
		}
		for _, heavy := range []string{"net/http", "text/template", "regexp", "github.com/russross/blackfriday/v2", "github.com/urfave/cli/v2"} {
			if initialised[heavy] != tt.late {
				t.Errorf("%q: %s initialised: %v, want %v", tt.args, heavy, initialised[heavy], tt.late)
			}
		}
	}
}
