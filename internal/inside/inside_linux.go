package inside

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"example.com/gox/internal/gocmd"
)

// DoorAddr is where the door is in the command's network. Nothing else wants
// port 1, and a constant is the same in every run.
const DoorAddr = "127.0.0.1:1"

// A Task is what the helper is told, as its first argument.
type Task struct {
	Net      bool     // a network of its own
	Door     bool     // and the door into it
	Listen   []string // further addresses for Run to serve
	ReadOnly []string
	Path     string // the command; its arguments follow
}

// A Report is what the helper tells of itself, with its listeners: the door
// and then those of Task.Listen. There is another one if the command could not
// be started.
type Report struct {
	Failure string // why the policy cannot be enforced
	Listens []string
	Start   string // why the command could not be started
	Errno   syscall.Errno
}

// Main is the helper between Run and the command: it sets up the namespaces
// that it was started in, gives up all power over them, and becomes the
// command. args and environ are those of the process. It returns only if
// something failed, which it has told Run then.
func Main(args, environ []string) (code int) {
	const gox = 125
	const channel = 3
	var t Task
	if len(args) < 3 || json.Unmarshal([]byte(args[1]), &t) != nil {
		return gox
	}
	// The command must not have it; an exec that fails must.
	unix.CloseOnExec(channel)
	say := func(r Report, fds ...int) error {
		data, err := json.Marshal(r)
		if err != nil {
			return err
		}
		var rights []byte
		if len(fds) > 0 {
			rights = unix.UnixRights(fds...)
		}
		return unix.Sendmsg(channel, data, rights, nil, 0)
	}
	// Capabilities are a thread's: the one that execs must have dropped them.
	runtime.LockOSThread()
	fds, listens, err := t.prepare()
	if err == nil {
		err = drop()
	}
	if err != nil {
		say(Report{Failure: err.Error()})
		return gox
	}
	if len(fds) > 0 {
		if err := say(Report{Listens: listens}, fds...); err != nil {
			return gox
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
	_, err = gocmd.Exec(t.Path, args[2:], environ)
	se := (*gocmd.StartError)(nil)
	if !errors.As(err, &se) {
		return gox
	}
	r := Report{Start: err.Error()}
	errors.As(err, &r.Errno)
	say(r)
	return se.ExitCode()
}

// prepare sets up the namespaces, and returns the listeners that Run is to
// serve, with their addresses.
func (t Task) prepare() (fds []int, listens []string, err error) {
	if t.Net {
		if err := raiseLoopback(); err != nil {
			return nil, nil, fmt.Errorf("no loopback of its own: %w", err)
		}
	}
	if len(t.ReadOnly) > 0 {
		// What is mounted here must not be seen outside.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return nil, nil, fmt.Errorf("no mounts of its own: %w", err)
		}
	}
	for _, dir := range t.ReadOnly {
		if err := mountReadOnly(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("%s: not mounted read-only: %w", dir, err)
		}
	}
	if !t.Door {
		return nil, nil, nil
	}
	for _, at := range append([]string{DoorAddr}, t.Listen...) {
		fd, err := listen(at)
		if err != nil {
			if at != DoorAddr {
				continue // without IPv6 there is no ::1
			}
			return nil, nil, fmt.Errorf("no listener in it: %w", err)
		}
		fds, listens = append(fds, fd), append(listens, at)
	}
	return fds, listens, nil
}

func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

// mountReadOnly mounts dir over itself, read-only. Flags that it has already
// cannot be taken back here, and must be named.
func mountReadOnly(dir string) error {
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return err
	}
	const kept = unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC | unix.ST_NOATIME | unix.ST_NODIRATIME | unix.ST_RELATIME
	return unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|mountFlags(uintptr(st.Flags)&kept), "")
}

// mountFlags translates what statfs says into what mount takes.
func mountFlags(st uintptr) (flags uintptr) {
	for _, f := range []struct{ st, ms uintptr }{
		{unix.ST_NOSUID, unix.MS_NOSUID}, {unix.ST_NODEV, unix.MS_NODEV}, {unix.ST_NOEXEC, unix.MS_NOEXEC},
		{unix.ST_NOATIME, unix.MS_NOATIME}, {unix.ST_NODIRATIME, unix.MS_NODIRATIME}, {unix.ST_RELATIME, unix.MS_RELATIME},
	} {
		if st&f.st != 0 {
			flags |= f.ms
		}
	}
	return flags
}

// listen returns a listening socket at addr, an IP address and a port. It is
// a bare descriptor, because it is only handed on.
func listen(addr string) (fd int, err error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 0, err
	}
	var sa unix.Sockaddr
	family := unix.AF_INET
	if ip := at.Addr().Unmap(); ip.Is4() {
		sa = &unix.SockaddrInet4{Port: int(at.Port()), Addr: ip.As4()}
	} else {
		family = unix.AF_INET6
		sa = &unix.SockaddrInet6{Port: int(at.Port()), Addr: ip.As16()}
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err = unix.Bind(fd, sa); err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	if err != nil {
		unix.Close(fd)
	}
	return fd, err
}

// drop gives up every capability for good, in this thread and what it execs:
// also where the user is root, who would get them back with an exec.
func drop() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("ambient capabilities: %w", err)
	}
	for c := uintptr(0); ; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) && c > unix.CAP_SETPCAP {
			break // the kernel knows no more
		}
		if err != nil {
			return fmt.Errorf("capability %d: %w", c, err)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	return nil
}
