//go:build unix

package gocmd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestRunExitCode(t *testing.T) {
	tests := []struct {
		name, script string
		want         int
	}{
		{"success", "exit 0", 0},
		{"failure", "exit 1", 1},
		{"usage", "exit 2", 2},
		{"high", "exit 255", 255},
		{"interrupted", "kill -INT $$", 130},
		{"killed", "kill -KILL $$", 137},
		{"terminated", "kill -TERM $$", 143},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, err := Run(t.Context(), Cmd{Path: "/bin/sh", Args: []string{"-c", tt.script}})
			if code != tt.want || err != nil {
				t.Errorf("Run = %d, %v; want %d", code, err, tt.want)
			}
		})
	}
}

func TestStartError(t *testing.T) {
	dir := t.TempDir()
	plain := write(t, filepath.Join(dir, "plain"), "#")
	format := write(t, filepath.Join(dir, "format"), "\x00\x01\x02\x03")
	if err := os.Chmod(format, 0o777); err != nil {
		t.Fatal(err)
	}
	interpreter := write(t, filepath.Join(dir, "interpreter"), "#!/nowhere/sh\n")
	done, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name      string
		ctx       context.Context
		path, dir string
		want      int
		reason    string
	}{
		{name: "missing", path: dir + "/missing", want: 127, reason: dir + "/missing: no such file or directory"},
		{name: "missing interpreter", path: interpreter, want: 127, reason: interpreter + ": no such file"},
		{name: "no lookup", path: "sh", want: 127, reason: "sh: no such file"},
		{name: "not executable", path: plain, want: 126, reason: plain + ": permission denied"},
		{name: "wrong format", path: format, want: 126, reason: format + ": exec format error"},
		{name: "directory", path: dir, want: 126, reason: dir + ": permission denied"},
		{name: "no such Dir", path: "/bin/sh", dir: dir + "/missing", want: 125, reason: dir + "/missing: no such file"},
		{name: "context done", ctx: done, path: "/bin/sh", want: 125, reason: "context canceled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := tt.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			_, err := Run(ctx, Cmd{Path: tt.path, Dir: tt.dir})
			var se *StartError
			if !errors.As(err, &se) || se.ExitCode() != tt.want {
				t.Fatalf("Run: %v; want exit code %d", err, tt.want)
			}
			wantError(t, err, tt.reason)
			if tt.ctx != nil || tt.dir != "" {
				return
			}
			// Exec must see the same, except that it never looks like a script.
			cmd := helperCmd(t, "exec", tt.path, "go")
			cmd.Stderr = nil
			out, err := cmd.Output()
			var ee *exec.ExitError
			if !errors.As(err, &ee) || ee.ExitCode() != tt.want || !strings.Contains(string(ee.Stderr), tt.reason) {
				t.Errorf("Exec: %v, output %s; want exit code %d", err, out, tt.want)
			}
		})
	}
}

func TestRunEnvironment(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	run := func(c Cmd) string {
		t.Helper()
		out.Reset()
		c.Stdout = &out
		if code, err := Run(t.Context(), c); code != 0 || err != nil {
			t.Fatalf("Run = %d, %v", code, err)
		}
		return out.String()
	}
	args := []string{"a b", "", "c\nd", `"`}
	got := run(Cmd{Path: self(t), Args: args, Env: helperEnv("show", "PWD=/wrong"), Dir: dir})
	if want := fmt.Sprintf("%s %q %s %s\n", filepath.Base(self(t)), args, dir, dir); got != want {
		t.Errorf("with Dir: got %s, want %s", got, want)
	}
	// The shell sets a PWD of its own; a Go program shows what it was given.
	got = run(Cmd{Path: self(t), Env: []string{helperVar + "=env", "A=1", "A=2"}})
	if want := helperVar + "=env\nA=2\n"; got != want {
		t.Errorf("environment is %q, want %q", got, want)
	}
	t.Setenv("GOCMD_TEST_LEAK", "1")
	if got := run(Cmd{Path: "/bin/sh", Args: []string{"-c", "echo $GOCMD_TEST_LEAK"}}); got != "\n" {
		t.Errorf("nil Env: the child has the environment of gox")
	}
	if got := run(Cmd{Path: "/bin/cat", Stdin: strings.NewReader("in")}); got != "in" {
		t.Errorf("stdin: got %q", got)
	}
}

// start starts cmd in a process group of its own and returns what it prints,
// after a first line "ready".
func start(t *testing.T, cmd *exec.Cmd) *bufio.Reader {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(pipe)
	if line, err := r.ReadString('\n'); line != "ready\n" {
		t.Fatalf("helper says %q, %v", line, err)
	}
	return r
}

func TestRunForwardsSignals(t *testing.T) {
	for _, s := range forwarded {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			cmd := helperCmd(t, "run", "wait")
			out := start(t, cmd)
			// To gox alone, not to its group.
			if err := cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			rest, _ := io.ReadAll(out)
			err := cmd.Wait()
			if string(rest) != s.String()+"\n" || cmd.ProcessState.ExitCode() != 7 {
				t.Errorf("child got %q, gox ends with %v; want %q and 7", rest, err, s)
			}
		})
	}
	t.Run("to the group", func(t *testing.T) {
		t.Parallel()
		cmd := helperCmd(t, "run", "wait")
		out := start(t, cmd)
		// As a terminal does.
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(out)
		cmd.Wait()
		if string(rest) != "interrupt\n" || cmd.ProcessState.ExitCode() != 7 {
			t.Errorf("child got %q, gox ends with %v", rest, cmd.ProcessState)
		}
	})
	t.Run("ignored stays ignored", func(t *testing.T) {
		t.Parallel()
		cmd := exec.Command("/bin/sh", "-c", `trap "" HUP; exec "$0" "$@"`, self(t), "ignored")
		cmd.Env = helperEnv("run")
		out, err := cmd.Output()
		if string(out) != "true\n" {
			t.Errorf("under nohup the child says ignored = %q, %v", out, err)
		}
	})
}

func TestRunContext(t *testing.T) {
	tests := []struct {
		mode string
		want int
	}{
		{"wait", 7},       // it is interrupted, and may clean up
		{"stubborn", 137}, // it is killed in the end
	}
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r, w := io.Pipe()
			go func() {
				bufio.NewReader(r).ReadString('\n') // ready
				cancel()
				io.Copy(io.Discard, r)
			}()
			code, err := Run(ctx, Cmd{Path: self(t), Env: helperEnv(tt.mode), Stdout: w})
			w.Close()
			if code != tt.want || err != nil {
				t.Errorf("Run = %d, %v; want %d", code, err, tt.want)
			}
		})
	}
}

func TestInheritedDescriptor(t *testing.T) {
	for _, args := range [][]string{{"run", "fd3"}, {"exec", "/bin/sh", "sh", "-c", "printf through >&3"}} {
		t.Run(args[0], func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			cmd := helperCmd(t, args[0], args[1:]...)
			cmd.ExtraFiles = []*os.File{w}
			err = cmd.Run()
			w.Close()
			if got, _ := io.ReadAll(r); string(got) != "through" {
				t.Errorf("descriptor 3 got %q, %v", got, err)
			}
		})
	}
}

func TestExec(t *testing.T) {
	cmd := helperCmd(t, "exec", "/bin/sh", "go", "-c", `echo $0 $$ "$@"; kill -TERM $$`, "go", "a b")
	out, err := cmd.Output()
	if want := fmt.Sprintf("go %d a b\n", cmd.Process.Pid); string(out) != want {
		t.Errorf("got %q, want %q: the same process, called go", out, want)
	}
	// Not 143: the signal itself, as go's own parent would see it.
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGTERM {
		t.Errorf("ends with %v", err)
	}
}

func TestEnvJSON(t *testing.T) {
	dir := t.TempDir()
	env := append(os.Environ(), "GOFLAGS=-tags=x,y")
	got, err := EnvJSON(t.Context(), goInPath(t), dir, env, "GOFLAGS", "GOMOD")
	if err != nil || got["GOFLAGS"] != "-tags=x,y" || len(got) != 2 {
		t.Errorf("EnvJSON = %v, %v", got, err)
	}
	tests := []struct{ name, script, want string }{
		{"failure", "echo 'go: parsing https://u:" + secret + "@a.example/x: bad' >&2; exit 2", "exit code 2\n\tgo: parsing https://xxxxx@a.example/x: bad"},
		{"no JSON", "echo GOFLAGS=", "output is not JSON"},
		{"silent", "exit 3", "exit code 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := script(t, "go", tt.script)
			_, err := EnvJSON(t.Context(), path, dir, os.Environ(), "GOFLAGS")
			wantError(t, err, path+" env -json GOFLAGS: "+tt.want)
		})
	}
}
