// Package gocmd is one run of one go command: which go to run, how to run it
// so that nobody can tell gox was there, which exit code to leave with, and a
// store of Go toolchains to choose from.
//
// The shortest use replaces gox by go:
//
//	found, err := gocmd.Find(pathList, self)
//	…
//	code, err := gocmd.Exec(found.Path, append([]string{"go"}, args...), env)
//
// Nothing here reads the environment of the process: what a run needs is
// handed in.
package gocmd

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.com/gox/internal/redact"
)

// grace is how long an interrupted child may take to end before it is killed,
// and how long its output may stay open after it has ended.
const grace = 5 * time.Second

// A Cmd is a command for Run.
type Cmd struct {
	Path string   // the program: a path, never looked up
	Args []string // the arguments, without the program's name
	Env  []string // the whole environment; of duplicates the last counts; nil is an empty one
	Dir  string   // an absolute path, which PWD will hold too; "" is the current directory

	// Nil is the null device. A *os.File is handed through as it is, so that a
	// terminal stays a terminal.
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	Name  string               // what the program is told that it was started as; "" is the last element of Path
	Files []*os.File           // its further open files, from descriptor 3 on
	Sys   *syscall.SysProcAttr // nil asks nothing more of the system
}

// Run runs c as a child in the same process group and returns its exit code:
// 128+n where it died of signal n. While it runs, signals that ask gox to end
// or to act (interrupt, terminate, hang-up, quit, user 1 and 2) go to the
// child and no longer end gox; it is for the child to decide.
//
// When ctx is done the child is interrupted, and killed after a few seconds;
// its exit code is returned as ever. Only the child itself is killed, as only
// it is known. Descriptors that gox inherited, and that are not close-on-exec,
// the child inherits too.
//
// The error is a *StartError where the command did not start, and nil else.
func Run(ctx context.Context, c Cmd) (code int, err error) {
	cmd := exec.CommandContext(ctx, c.Path)
	cmd.Path, cmd.Err = c.Path, nil // CommandContext has looked up a bare name
	cmd.Args = append([]string{cmp.Or(c.Name, filepath.Base(c.Path))}, c.Args...)
	cmd.Env = append([]string{}, c.Env...)
	if cmd.Dir = c.Dir; filepath.IsAbs(c.Dir) {
		cmd.Env = append(cmd.Env, "PWD="+c.Dir)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	cmd.ExtraFiles, cmd.SysProcAttr = c.Files, c.Sys
	cmd.Cancel = func() error { return interrupt(cmd.Process) }
	cmd.WaitDelay = grace
	return run(cmd)
}

// run starts cmd, forwards signals to it, and returns its exit code.
func run(cmd *exec.Cmd) (int, error) {
	// Caught from before the start: none is lost, none ends gox alone. What
	// gox was started to ignore (nohup) stays ignored, for the child too.
	signals := make(chan os.Signal, 8)
	caught := slices.DeleteFunc(slices.Clone(forwarded), signal.Ignored)
	if len(caught) > 0 {
		signal.Notify(signals, caught...)
	}
	if err := cmd.Start(); err != nil {
		signal.Stop(signals)
		return 0, &StartError{cmd.Path, err}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range signals {
			forward(cmd.Process, s)
		}
	}()
	err := cmd.Wait()
	signal.Stop(signals)
	close(signals)
	<-done
	if cmd.ProcessState == nil {
		return 0, &StartError{cmd.Path, err}
	}
	// The exit code says all there is to say, also where err is the context's
	// or that of a reader or writer of the caller's.
	return exitCode(cmd.ProcessState), nil
}

// A StartError tells that a program could not be started.
type StartError struct {
	Path string
	Err  error
}

func (e *StartError) Error() string {
	var pe *fs.PathError
	if errors.As(e.Err, &pe) {
		if pe.Op == "chdir" {
			return fmt.Sprintf("%s: %v", pe.Path, pe.Err)
		}
		return fmt.Sprintf("%s: %v", e.Path, pe.Err)
	}
	return fmt.Sprintf("%s: %v", e.Path, e.Err)
}

func (e *StartError) Unwrap() error { return e.Err }

// ExitCode returns the code to exit with, as env(1) and timeout(1) choose it:
// 127 where there is no such program, 126 where it is there but cannot be
// executed, 125 where the fault is not the program's.
func (e *StartError) ExitCode() int {
	var pe *fs.PathError
	switch {
	case errors.As(e.Err, &pe) && pe.Op == "chdir",
		errors.Is(e.Err, context.Canceled), errors.Is(e.Err, context.DeadlineExceeded):
		return 125
	case errors.Is(e.Err, fs.ErrNotExist):
		return 127
	}
	return 126
}

// EnvJSON returns what `go env -json names…` of the go at goPath says in dir
// under env, which is the whole environment. It is the way to ask for sure
// what At may not know.
func EnvJSON(ctx context.Context, goPath, dir string, env []string, names ...string) (map[string]string, error) {
	var values map[string]string
	if err := runJSON(ctx, &values, Cmd{Path: goPath, Args: append([]string{"env", "-json"}, names...), Env: env, Dir: dir}); err != nil {
		return nil, err
	}
	return values, nil
}

// runJSON runs c and decodes its standard output into v. What comes as JSON is
// the answer, whatever the exit code: with -json go reports its errors there.
func runJSON(ctx context.Context, v any, c Cmd) error {
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	code, err := Run(ctx, c)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err = json.Unmarshal(stdout.Bytes(), v)
	if err == nil {
		return nil
	}
	command := strings.Join(append([]string{c.Path}, c.Args...), " ")
	if code == 0 {
		return fmt.Errorf("%s: output is not JSON: %w", command, err)
	}
	return fmt.Errorf("%s: exit code %d%s", command, code, detail(stderr.String()))
}

// detail returns text as the further lines of an error: redacted, each
// indented by a tab, none empty.
func detail(text string) string {
	var b strings.Builder
	for line := range strings.Lines(redact.Text(text)) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString("\n\t" + line)
		}
	}
	return b.String()
}
