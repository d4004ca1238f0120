//go:build unix

package gocmd

import (
	"os"
	"syscall"
)

// exe ends the name of a program.
const exe = ""

// Exec runs the program at path in place of gox: same process, same terminal,
// same parent, so that go is what whoever started gox sees and signals. argv
// starts with the name that the program is to see, "go". On Unix it returns
// only where it failed, with a *StartError; elsewhere the program is a child,
// and its exit code is returned.
func Exec(path string, argv, env []string) (code int, err error) {
	return 0, &StartError{path, syscall.Exec(path, argv, env)}
}

// forwarded are the signals that Run hands on.
var forwarded = []os.Signal{
	syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
}

// forward hands s on to p. A terminal's interrupt reaches p twice then; that
// does no harm, for go takes notice of the first only.
func forward(p *os.Process, s os.Signal) { p.Signal(s) }

func interrupt(p *os.Process) error { return p.Signal(os.Interrupt) }

func exitCode(ps *os.ProcessState) int {
	if ws, ok := ps.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ps.ExitCode()
}
