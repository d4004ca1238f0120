//go:build unix

package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"example.com/gox/internal/gocmd"
)

// startScript starts gox script in a process group of its own, with a script
// that waits, and returns when it does. left tells what there is of work
// directories.
func startScript(t *testing.T) (p place, cmd *exec.Cmd, stderr *strings.Builder, left func() []string) {
	t.Helper()
	goPath, err := gocmd.Find(os.Getenv("PATH"), "")
	if err != nil {
		t.Fatal(err)
	}
	ready := filepath.Join(t.TempDir(), "ready")
	if err := unix.Mkfifo(ready, 0o600); err != nil {
		t.Fatal(err)
	}
	p = newPlace(t, goPath.Path, map[string]string{
		"waits.txtar": "exec sh -c 'echo ready >" + ready + "'\nexit never=60s sleep 60\n",
		"quick.txtar": "exec go version\n",
	})
	temp := t.TempDir()
	p.env = append(p.env, "TMPDIR="+temp)
	stderr = new(strings.Builder)
	cmd = p.command("gox", "script", "waits.txtar", "quick.txtar", "-j", "1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			cmd.Wait()
		}
	})
	if _, err := os.ReadFile(ready); err != nil {
		t.Fatal(err)
	}
	return p, cmd, stderr, func() []string {
		q := p
		q.cache = filepath.Join(temp, "gox-script-"+strconv.Itoa(os.Getuid()))
		return q.fresh(t)
	}
}

// Interrupted, by a terminal or alone, gox script leaves nothing behind.
func TestScriptInterrupted(t *testing.T) {
	for name, whom := range map[string]int{"group": -1, "gox alone": 1} {
		t.Run(name, func(t *testing.T) {
			_, cmd, stderr, left := startScript(t)
			if len(left()) == 0 {
				t.Fatal("there is no work directory to be removed")
			}
			if err := syscall.Kill(whom*cmd.Process.Pid, syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			if status := end(t, cmd.Wait()); status != "130" || stderr.String() != "gox: interrupted\n" {
				t.Errorf("status %s, %q", status, stderr)
			}
			if names := left(); len(names) > 0 {
				t.Errorf("left behind: %q", names)
			}
		})
	}
}

// What a killed run leaves, the next one removes.
func TestScriptKilled(t *testing.T) {
	p, cmd, _, left := startScript(t)
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if status := end(t, cmd.Wait()); status != "SIGKILL" {
		t.Fatal(status)
	}
	if len(left()) == 0 {
		t.Error("nothing is left that could be removed")
	}
	// What is killed may take a moment to be gone, and its locks with it.
	for range 100 {
		if status, stdout, errs := p.run(t, "gox", "script", "quick.txtar"); status != "0" {
			t.Fatalf("status %s\n%s%s", status, stdout, errs)
		}
		if len(left()) == 0 {
			break
		}
	}
	if names := left(); len(names) > 0 {
		t.Errorf("left behind: %q", names)
	}
}
