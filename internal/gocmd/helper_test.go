package gocmd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// helperVar makes the test binary a helper program: its value is the mode, the
// arguments are the mode's.
const helperVar = "GOCMD_TEST_HELPER"

func TestMain(m *testing.M) {
	if mode := os.Getenv(helperVar); mode != "" {
		os.Exit(helper(mode, os.Args[1:]))
	}
	// As in cmd's tests: nohup must not make the programs under test deaf.
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	dir, err := os.MkdirTemp("", "gox-gocmd-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	sharedDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// sharedDir is for what several tests share: real toolchains.
var sharedDir string

func helper(mode string, args []string) int {
	switch mode {
	case "exit":
		n, _ := strconv.Atoi(args[0])
		return n
	case "wait": // until a signal comes
		c := make(chan os.Signal, 1)
		signal.Notify(c, forwarded...)
		fmt.Println("ready")
		fmt.Println((<-c).String())
		return 7
	case "stubborn": // for ever
		signal.Notify(make(chan os.Signal, 1), forwarded...)
		fmt.Println("ready")
		select {}
	case "ignored":
		fmt.Println(signal.Ignored(syscall.SIGHUP))
	case "show":
		wd, _ := os.Getwd()
		fmt.Printf("%s %q %s %s\n", os.Args[0], args, wd, os.Getenv("PWD"))
	case "env":
		fmt.Println(strings.Join(os.Environ(), "\n"))
	case "fd3":
		f := os.NewFile(3, "fd3")
		if _, err := f.WriteString("through"); err != nil {
			return 1
		}
	case "run": // as gox would: MODE ARGS…
		code, err := Run(context.Background(), Cmd{
			Path: os.Args[0], Args: args[1:], Env: helperEnv(args[0]),
			Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 125
		}
		return code
	case "exec": // PATH ARGV…
		code, err := Exec(args[0], args[1:], os.Environ())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return err.(*StartError).ExitCode()
		}
		return code
	case "install": // STORE GO VERSION
		t := &Toolchains{Dir: args[0], Go: args[1], Env: os.Environ()}
		tc, err := t.Install(context.Background(), args[2])
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(tc.Go)
	default:
		panic(mode)
	}
	return 0
}

// helperEnv is the environment that makes the test binary a helper.
func helperEnv(mode string, env ...string) []string {
	return append(append(os.Environ(), helperVar+"="+mode), env...)
}

// helperCmd is a command that runs the test binary as a helper.
func helperCmd(t *testing.T, mode string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), self(t), args...)
	cmd.Env = helperEnv(mode)
	cmd.Stderr = os.Stderr
	return cmd
}

func self(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// goInPath is the go command that the tests are run by.
func goInPath(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	if path, err = filepath.Abs(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// write writes a file, and its directories; content that starts with #! makes
// it a program.
func write(t testing.TB, file, content string) string {
	t.Helper()
	mode := os.FileMode(0o666)
	if strings.HasPrefix(content, "#!") {
		mode = 0o777
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return file
}

// script writes a shell script called name, in a directory of its own.
func script(t testing.TB, name, body string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), name), "#!/bin/sh\n"+body+"\n")
}

// wantError fails unless err has each of parts in its text, and never the secret.
func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error lacks %q:\n%v", part, err)
		}
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("error tells the secret:\n%v", err)
	}
}

// secret is a password that no error may show.
const secret = "s3cr3t"
