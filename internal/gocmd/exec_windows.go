package gocmd

import (
	"os"
	"os/exec"
)

// exe ends the name of a program.
const exe = ".exe"

// Exec runs the program at path with the standard streams of gox, and returns
// its exit code; the error is a *StartError. argv starts with the name that
// the program is to see, "go". Windows cannot replace a process, as Exec does
// elsewhere.
func Exec(path string, argv, env []string) (code int, err error) {
	// The one place below cmd that knows these streams: they are what an
	// execve would pass on.
	return run(&exec.Cmd{
		Path: path, Args: argv, Env: append([]string{}, env...),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	})
}

// forwarded are the signals that must not end gox before its child.
var forwarded = []os.Signal{os.Interrupt}

// forward does nothing: the console has told every process already.
func forward(*os.Process, os.Signal) {}

// interrupt kills p: one process cannot interrupt another on Windows.
func interrupt(p *os.Process) error { return p.Kill() }

func exitCode(ps *os.ProcessState) int { return ps.ExitCode() }
