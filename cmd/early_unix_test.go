//go:build unix

package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

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
		for _, heavy := range []string{"net/http", "text/template", "github.com/urfave/cli/v2"} {
			if initialised[heavy] != tt.late {
				t.Errorf("%q: %s initialised: %v, want %v", tt.args, heavy, initialised[heavy], tt.late)
			}
		}
	}
}
