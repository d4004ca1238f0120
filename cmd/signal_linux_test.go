package cmd_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a new pseudo-terminal: what is written to
// keyboard is typed at screen.
func openTerminal(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	return keyboard, screen
}

// Ctrl-C at a terminal goes to all of its foreground processes. gox neither
// outlives the rest nor ends before it, and takes its fresh cache with it.
func TestInterruptAtTerminal(t *testing.T) {
	on(t, func(t *testing.T, goPath string) {
		for _, way := range [][]string{{"go"}, {"gox"}, {"gox", "-p", "fresh"}} {
			for _, graceful := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s,graceful=%t", way, graceful), func(t *testing.T) {
					p := newPlace(t, goPath, map[string]string{"main.go": linger, "profiles.toml": freshProfile})
					args := append(append([]string{}, way...), "run", ".")
					if graceful {
						args = append(args, "graceful")
					}
					keyboard, screen := openTerminal(t)
					cmd := p.command(args...)
					cmd.ExtraFiles = []*os.File{screen}
					cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
					r := p.start(t, cmd)
					if _, err := keyboard.WriteString("\x03"); err != nil {
						t.Fatal(err)
					}
					text, rest := "signal: interrupt\n", ""
					if graceful {
						r.says(t, "interrupted")
						if left := p.fresh(t); len(way) == 3 && len(left) != 2 {
							t.Errorf("fresh caches: %q, want one as long as go runs", left)
						}
						r.hold.Close()
						text, rest = "", "done\n"
					}
					// An interrupted go ends with 1, whatever the program says; with
					// the program's 0 where, on a busy machine, the program ends before
					// go has noted the signal (seen with go1.18, in plain go's process).
					if got := end(t, r.Wait()); got != "1" && !(graceful && got == "0") {
						t.Errorf("status %s, want 1", got)
					}
					if got := r.rest(t); got != rest {
						t.Errorf("then %q, want %q", got, rest)
					}
					if got := r.errors(t); got != text {
						t.Errorf("stderr %q, want %q", got, text)
					}
					if left := p.fresh(t); left != nil {
						t.Errorf("fresh caches: %q, want none", left)
					}
				})
			}
		}
	})
}
