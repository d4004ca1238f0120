//go:build unix

package gateway

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/gox/internal/gotest"
)

// Whatever GOAUTH says, the proxy is asked the same behind the gateway, with the
// same credentials, and go ends the same.
func TestGOAUTHAgainstGo(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git")
	}
	a := newSite(t, true)
	host := strings.TrimPrefix(a.URL, "https://")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	command := write("auth", fmt.Sprintf("#!/bin/sh\n[ $# = 0 ] && exit\ngrep -q 401 && printf 'https://%s\\n\\nAuthorization: Basic Y21kOnB3\\n\\n'\n", host))
	// It answers for the URL that it is given, or for all of the host as that URL
	// names it. The one in GOPROXY has a password then, and a wrong one.
	same := write("same", "#!/bin/sh\n[ $# = 0 ] || printf '%s\\n\\nAuthorization: Basic Y21kOnB3\\n\\n' \"$1\"\n")
	whole := write("whole", "#!/bin/sh\n[ $# = 0 ] || printf '%s\\n\\nAuthorization: Basic Y21kOnB3\\n\\n' \"${1%%/example.com/*}\"\n")
	nonsense := write("nonsense", "#!/bin/sh\necho nonsense\n")
	netrc := write("netrc", "machine "+host+" login netrc password n\nmachine 127.0.0.1 login old password o\n")
	env := []string{
		"SSL_CERT_FILE=" + a.certificate(t), "SSL_CERT_DIR=" + dir, "GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=credential.helper", "GIT_CONFIG_VALUE_0=!f() { test \"$1\" = get && printf 'username=g\\npassword=gpw\\n'; }; f",
	}
	gosum := sumOf(t, a.files)
	for _, version := range []string{"1.18", "1.22", "1.24", "1.27"} {
		goPath := gotest.Toolchain(t, version)
		for _, goauth := range []string{"", "off", "netrc", "git " + dir, command, same, whole, `"` + command + `"`, nonsense, "/nowhere", command + "; netrc", "netrc;git " + dir, ";", "off;netrc", "git relative"} {
			for _, right := range []string{"netrc:n", "old:o", "g:gpw", "cmd:pw"} {
				if version < "1.24" && goauth != "" && goauth != "off" {
					continue // it is not read
				}
				if (goauth == same || goauth == whole || goauth == nonsense || goauth == "/nowhere" || strings.HasPrefix(goauth, `"`)) && right != "cmd:pw" {
					continue
				}
				if (goauth == ";" || strings.HasPrefix(goauth, "off") || goauth == "git relative") && right != "netrc:n" {
					continue
				}
				attempt := func(goproxy string) (goRun, []string) {
					a.fail(func(w http.ResponseWriter, r *http.Request) bool {
						if name, password, _ := r.BasicAuth(); name+":"+password != right {
							http.Error(w, "who are you?", http.StatusUnauthorized)
							return true
						}
						return false
					})
					run := runGo(t, goPath, append(slices.Clone(env), "NETRC="+netrc, "GOAUTH="+goauth, "GOPROXY="+goproxy), gosum, "mod", "download", "example.com/dep@v1.0.0") // one request after another
					// git's answer is tried with a HEAD beside the requests, which go does not wait for.
					return run, slices.DeleteFunc(a.requests(), func(s string) bool { return strings.HasPrefix(s, "HEAD ") })
				}
				goproxy := a.URL
				if goauth == same || goauth == whole {
					goproxy = "https://wrong:se%2Fcret@" + host
				}
				without, want := attempt(goproxy)
				g, records := start(t, Config{GOPROXY: goproxy, GOAUTH: goauth, GoVersion: "go" + version, Dir: dir, Environ: slices.Concat(goEnviron(t.TempDir()), env, []string{"NETRC=" + netrc})})
				with, got := attempt(g.GOPROXY())
				g.Close()
				what := fmt.Sprintf("go%s, GOAUTH=%s, %s", version, goauth, right)
				if without.code != with.code || !slices.Equal(want, got) {
					t.Errorf("%s: exit code %d, asked\n%q\nbehind the gateway %d\n%q\n%s\n%s", what, without.code, want, with.code, got, without.stderr, with.stderr)
				}
				if text := show(records()); strings.Contains(text, "gpw") || strings.Contains(text, ":n") && strings.Contains(text, "netrc:n") {
					t.Errorf("%s: a password in %s", what, text)
				}
			}
		}
	}
}
