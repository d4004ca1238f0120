//go:build unix

package cmd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/gox/internal/gateway"
)

// Ctrl-C in the middle of a download: gox ends as go does, nothing of it runs
// on, and the log holds whole records only.
func TestInterruptedDownload(t *testing.T) {
	reached := make(chan bool, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, ".info"):
			fmt.Fprint(w, `{"Version":"v1.0.0"}`)
		case strings.HasSuffix(r.URL.Path, ".mod"):
			fmt.Fprint(w, "module example.test/a\n")
		default:
			w.Header().Set("Content-Length", "100000")
			w.Write(make([]byte, 50000))
			http.NewResponseController(w).Flush()
			reached <- true
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	on(t, func(t *testing.T, goPath string) {
		want := ""
		for _, test := range []struct {
			name   string
			argv   []string
			signal syscall.Signal
		}{
			{"go", []string{"go"}, unix.SIGINT},
			{"profile", []string{"gox", "-p", "audit"}, unix.SIGINT},
			{"trace", []string{"gox", "-p", "audit", "trace"}, unix.SIGINT},
			{"killed", []string{"gox", "-p", "audit"}, unix.SIGKILL},
		} {
			p := newPlace(t, goPath, map[string]string{"profiles.toml": "[profile.audit]\ngoproxy = \"" + server.URL + "\"\nrecord = \"audit.jsonl\"\nmodcache = \"shared\"\n"})
			temp := t.TempDir()
			p.env = append(p.env, "GOPROXY="+server.URL, "TMPDIR="+temp)
			p.run(t, "gox", "profile", "allow")
			cmd := p.command(append(test.argv, "mod", "download", "example.test/a@v1.0.0")...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a shell does
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			cmd.WaitDelay = 20 * time.Second
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-reached
			if test.signal == unix.SIGKILL {
				cmd.Process.Signal(test.signal) // gox alone; its go finds nobody at the gateway's address
			} else {
				syscall.Kill(-cmd.Process.Pid, test.signal)
			}
			status := end(t, cmd.Wait())
			switch {
			case want == "":
				want = status
			case test.signal == unix.SIGKILL:
				if status != "SIGKILL" {
					t.Errorf("%s: status %s", test.name, status)
				}
			case status != want && !(want == "SIGINT" && status == "130"):
				t.Errorf("%s: status %s, and go's is %s\n%s", test.name, status, want, &stderr)
			}
			for left := 0; syscall.Kill(-cmd.Process.Pid, 0) == nil; left++ {
				if left == 400 {
					syscall.Kill(-cmd.Process.Pid, unix.SIGKILL)
					t.Errorf("%s: a process is left", test.name)
				}
				time.Sleep(25 * time.Millisecond)
			}
			if test.name == "go" {
				continue
			}
			data, err := os.ReadFile(filepath.Join(p.dir, "audit.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			var last gateway.Record
			for line := range bytes.Lines(data) {
				last = gateway.Record{}
				if err := json.Unmarshal(line, &last); err != nil || line[len(line)-1] != '\n' {
					t.Errorf("%s: %q: %v", test.name, line, err)
				}
			}
			if test.signal == unix.SIGINT && (last.File != gateway.Zip || last.Found() || last.Error == "" || last.SHA256 != "") {
				t.Errorf("%s: the last record is %+v", test.name, last)
			}
			if test.name == "trace" {
				if !strings.Contains(stderr.String(), "gox trace: go mod download example.test/a@v1.0.0: exit code ") {
					t.Errorf("no report: %s", &stderr)
				}
				if left, _ := filepath.Glob(filepath.Join(temp, "gox-git-*")); left != nil {
					t.Errorf("left behind: %q", left)
				}
			}
		}
	})
}
