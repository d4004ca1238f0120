// Command execgo does what any program in front of go must do, and nothing
// else. The benchmark sets gox against it.
package main

import (
	"os"
	"os/exec"
	"syscall"
)

func main() {
	path, err := exec.LookPath("go")
	if err == nil {
		err = syscall.Exec(path, append([]string{"go"}, os.Args[1:]...), os.Environ())
	}
	os.Stderr.WriteString(err.Error() + "\n")
	os.Exit(127)
}
