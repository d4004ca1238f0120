package testscripts

import (
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLoopback runs scripts of every kind where there is no network but the
// loopback interface.
func TestLoopback(t *testing.T) {
	const inside = "TESTSCRIPTS_LOOPBACK"
	if os.Getenv(inside) == "" {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		newest(t) // installs it, if need be
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestLoopback$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
		out, err := cmd.CombinedOutput()
		if _, exited := err.(*exec.ExitError); err != nil && !exited {
			t.Skipf("no network namespace to be had: %v", err)
		}
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	up(t)
	if conn, err := net.Dial("udp", "192.0.2.1:53"); err == nil {
		conn.Close()
		t.Fatal("there is a way out")
	}
	r := newest(t)
	ran := 0
	for _, name := range []string{"goproxy/comma_not_found.txtar", "direct/comma_direct.txtar", "http/tls.txtar", "sumdb/mismatch.txtar", "work/use_first.txtar"} {
		s, err := Load(Embedded(), name)
		if err != nil {
			t.Fatal(err)
		}
		res := r.Run(t.Context(), s)
		if res.Err != nil {
			t.Errorf("%v\n%s", res.Err, res.Transcript)
		}
		if res.Skipped == "" {
			ran++
		}
	}
	if ran == 0 {
		t.Error("no script ran")
	}
}

// up brings the loopback interface up, which in a new namespace is down.
func up(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		t.Fatal(err)
	}
}
