package cmd_test

import (
	"archive/zip"
	"bytes"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// spy is a program that writes down its command line and its environment,
// beside itself and by the name of who started it, and then does what it stands
// for: git, a compiler, or as a program of GOAUTH nothing.
const spy = `#!/bin/sh
seen=$(dirname "$0")/seen
self=$seen/$(basename "$0")-of-$(cat /proc/$PPID/comm)
tr '\0' '\n' </proc/$$/cmdline >>"$self.line"
tr '\0' '\n' </proc/$$/environ >>"$self.environ"
case $(basename "$0") in
git) exec "$GIT" "$@" ;;
tool) exec "$@" ;;
esac
`

// No password that gox or go knows shows in the command line of any process of a
// run behind the gateway, nor in the environment of what go starts there.
func TestProcessesShowNoSecrets(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("there is no git")
	}
	const secret = "pa55word"
	var mu sync.Mutex
	var group int      // of processes that are looked at
	var lines []string // their command lines
	look := func() {
		mu.Lock()
		defer mu.Unlock()
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, stat := range stats {
			data, _ := os.ReadFile(stat)
			_, rest, _ := strings.Cut(string(data), ") ") // state, parent, group
			if f := strings.Fields(rest); len(f) > 2 && f[2] == strconv.Itoa(group) {
				line, _ := os.ReadFile(filepath.Join(filepath.Dir(stat), "cmdline"))
				lines = append(lines, strings.ReplaceAll(string(line), "\x00", " "))
			}
		}
	}
	var module bytes.Buffer
	z := zip.NewWriter(&module)
	for name, text := range map[string]string{"go.mod": "module example.test/a\n", "a.go": "package a\n"} {
		f, err := z.Create("example.test/a@v1.0.0/" + name)
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte(text))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var asked []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		look()
		name, password, _ := r.BasicAuth()
		mu.Lock()
		asked = append(asked, name)
		mu.Unlock()
		switch {
		case name != "netrc" || password != secret:
			http.Error(w, "who are you?", http.StatusUnauthorized)
		case strings.HasSuffix(r.URL.Path, ".info"):
			fmt.Fprint(w, `{"Version":"v1.0.0"}`)
		case strings.HasSuffix(r.URL.Path, ".mod"):
			fmt.Fprint(w, "module example.test/a\n")
		default:
			w.Write(module.Bytes())
		}
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "https://")
	on(t, func(t *testing.T, goPath string) {
		p := newPlace(t, goPath, map[string]string{
			"main.go":       "package main\n\nimport _ \"example.test/a\"\n\nfunc main() {}\n",
			"go.mod":        "require example.test/a v1.0.0\n",
			"profiles.toml": "[profile.plain]\ngoproxy = \"https://user:" + secret + "@" + host + "|" + server.URL + "\"\nmodcache = \"fresh\"\n[profile.audit]\nextends = \"plain\"\nrecord = \"audit.jsonl\"\n",
			"netrc":         "machine " + host + " login netrc password " + secret + "\nmachine 127.0.0.1 login netrc password " + secret + "\n",
			"cert.pem":      string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
			"spies/git":     spy, "spies/tool": spy, "spies/auth": spy, "spies/seen/.keep": "",
		})
		spies := filepath.Join(p.dir, "spies")
		for _, name := range []string{"git", "tool", "auth"} {
			if err := os.Chmod(filepath.Join(spies, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		p.env = append(p.env,
			"PATH="+spies+":"+strings.TrimPrefix(p.env[0], "PATH="), "GIT="+git,
			"NETRC="+filepath.Join(p.dir, "netrc"), "SSL_CERT_FILE="+filepath.Join(p.dir, "cert.pem"),
			"GOAUTH=netrc; "+filepath.Join(spies, "auth")+"; git "+p.dir, "GOFLAGS=-mod=mod -toolexec="+filepath.Join(spies, "tool"),
		)
		for _, argv := range [][]string{{git, "init", "-q"}, {"gox", "profile", "allow"}} {
			if status, stdout, stderr := p.run(t, argv...); status != "0" {
				t.Fatalf("%q: %s %s%s", argv, status, stdout, stderr)
			}
		}
		for _, run := range [][]string{{"gox", "-p", "plain"}, {"gox", "-p", "audit"}, {"gox", "-p", "plain", "trace"}} {
			t.Run(strings.Join(run[2:], " "), func(t *testing.T) {
				if err := os.RemoveAll(filepath.Join(spies, "seen")); err != nil {
					t.Fatal(err)
				}
				if err := os.Mkdir(filepath.Join(spies, "seen"), 0o777); err != nil {
					t.Fatal(err)
				}
				cmd := p.command(append(slices.Clone(run), "build", "-o", filepath.Join(t.TempDir(), "m"), ".")...)
				cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
				var out strings.Builder
				cmd.Stdout, cmd.Stderr = &out, &out
				mu.Lock()
				lines, asked = nil, nil
				err := cmd.Start()
				if err == nil {
					group = cmd.Process.Pid
				}
				mu.Unlock()
				if err != nil {
					t.Fatal(err)
				}
				if status := end(t, cmd.Wait()); status != "0" {
					t.Fatalf("status %s\n%s", status, &out)
				}
				if !slices.Contains(asked, "netrc") || len(lines) == 0 {
					t.Fatalf("%d command lines, asked by %q: is this what was to be looked at?", len(lines), asked)
				}
				inLines, inEnvirons := strings.Contains(strings.Join(lines, "\n"), secret), false
				files, err := filepath.Glob(filepath.Join(spies, "seen", "*"))
				if err != nil {
					t.Fatal(err)
				}
				byGo := 0
				for _, file := range files {
					data, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					found := strings.Contains(string(data), secret)
					switch {
					case strings.HasSuffix(file, ".line"):
						inLines = inLines || found
						if strings.HasSuffix(file, "-of-go.line") {
							byGo++
						}
					case strings.HasSuffix(file, "-of-go.environ"):
						inEnvirons = inEnvirons || found
					}
				}
				if byGo == 0 {
					t.Errorf("go has started nothing that was seen: %q", files)
				}
				// Without the gateway go itself tells a program of GOAUTH.
				control := !slices.Contains(run, "audit") && !slices.Contains(run, "trace")
				if want := control && strings.Contains(goPath, "go1.27"); inLines != want {
					t.Errorf("a password in a command line: %t\n%s", inLines, strings.Join(lines, "\n"))
				}
				if inEnvirons != control {
					t.Errorf("a password in the environment of what go starts: %t", inEnvirons)
				}
			})
		}
	})
}
