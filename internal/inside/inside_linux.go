package inside

import (
	"errors"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"
)

// What package syscall has no names for.
const (
	capSetPCap         = 8 // linux/capability.h
	capVersion3        = 0x20080522
	prSetNoNewPrivs    = 38 // linux/prctl.h
	prCapAmbient       = 47
	prCapAmbientClear  = 4
	stNoSuid, stNoDev  = 2, 4 // statfs(2)
	stNoExec           = 8
	stNoAtime          = 1024
	stNoDirAtime       = 2048
	stRelAtime         = 4096
	channel            = 3   // the descriptor by which Main tells Run
	failed             = 125 // the exit code of a helper that is no command
	listenQueue        = 4096
	capabilitySetWords = 6 // two of each kind
)

// Main is the helper between Run and the command: it sets up the namespaces
// that it was started in, gives up all power over them, and becomes the
// command. args and environ are those of the process. It returns only if
// something failed, which it has told Run then.
func Main(args, environ []string) (code int) {
	t, ok := parseTask(args[1:])
	if !ok {
		return failed
	}
	// The command must not have it; an exec that fails must.
	syscall.CloseOnExec(channel)
	// Capabilities are a thread's: the one that execs must have dropped them.
	runtime.LockOSThread()
	fds, listens, err := t.prepare()
	if err == nil {
		err = drop()
	}
	if err != nil {
		say(Report{Failure: err.Error()})
		return failed
	}
	if len(fds) > 0 {
		if err := say(Report{Listens: listens}, fds...); err != nil {
			return failed
		}
		for _, fd := range fds {
			syscall.Close(fd)
		}
	}
	if t.Umask != 0 {
		syscall.Umask(t.Umask)
	}
	err = syscall.Exec(t.Path, t.Args, environ)
	r := Report{}
	if !errors.As(err, &r.Start) {
		r.Start = syscall.EINVAL // a NUL in an argument
	}
	say(r)
	return failed
}

// say sends r and descriptors to Run.
func say(r Report, fds ...int) error {
	var rights []byte
	if len(fds) > 0 {
		rights = syscall.UnixRights(fds...)
	}
	return syscall.Sendmsg(channel, r.marshal(), rights, nil, 0)
}

// because returns err, nil for none, with what it is about before it.
func because(what string, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(what + ": " + err.Error())
}

// prepare sets up the namespaces, and returns the listeners that Run is to
// serve, with their addresses.
func (t Task) prepare() (fds []int, listens []string, err error) {
	if t.Net {
		if err := raiseLoopback(); err != nil {
			return nil, nil, because("no loopback of its own", err)
		}
	}
	if len(t.ReadOnly) > 0 {
		// What is mounted here must not be seen outside.
		if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			return nil, nil, because("no mounts of its own", err)
		}
	}
	for _, dir := range t.ReadOnly {
		if err := mountReadOnly(dir); err != nil && err != syscall.ENOENT {
			return nil, nil, because(strconv.Quote(dir)+" not mounted read-only", err) // a line
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
			return nil, nil, because("no listener in it", err)
		}
		fds, listens = append(fds, fd), append(listens, at)
	}
	return fds, listens, nil
}

func raiseLoopback() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	req := struct { // netdevice(7)
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	copy(req.name[:], "lo")
	return call(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&req)))
}

func call(number, a, b, c uintptr) error {
	if _, _, errno := syscall.RawSyscall6(number, a, b, c, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// mountReadOnly mounts dir over itself, read-only. Flags that it has already
// cannot be taken back here, and must be named.
func mountReadOnly(dir string) error {
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
		return err
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return err
	}
	return syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY|mountFlags(uintptr(st.Flags)), "")
}

// mountFlags translates what statfs says into what mount takes.
func mountFlags(st uintptr) (flags uintptr) {
	for _, f := range []struct{ st, ms uintptr }{
		{stNoSuid, syscall.MS_NOSUID}, {stNoDev, syscall.MS_NODEV}, {stNoExec, syscall.MS_NOEXEC},
		{stNoAtime, syscall.MS_NOATIME}, {stNoDirAtime, syscall.MS_NODIRATIME}, {stRelAtime, syscall.MS_RELATIME},
	} {
		if st&f.st != 0 {
			flags |= f.ms
		}
	}
	return flags
}

// listen returns a listening socket at addr, as in Task.Listen. It is a bare
// descriptor, because it is only handed on.
func listen(addr string) (fd int, err error) {
	sa, family, err := socketAddr(addr)
	if err != nil {
		return 0, err
	}
	fd, err = syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err = syscall.Bind(fd, sa); err == nil {
		err = syscall.Listen(fd, listenQueue)
	}
	if err != nil {
		syscall.Close(fd)
	}
	return fd, err
}

// socketAddr reads an address of Task.Listen. (Package netip would let half of
// what gox links be initialised before.)
func socketAddr(addr string) (syscall.Sockaddr, int, error) {
	bad := errors.New(addr + ": not an address")
	parts := split(addr, ':')
	port, err := strconv.ParseUint(parts[len(parts)-1], 10, 16)
	if err != nil {
		return nil, 0, bad
	}
	if addr == "[::1]:"+parts[len(parts)-1] {
		return &syscall.SockaddrInet6{Port: int(port), Addr: [16]byte{15: 1}}, syscall.AF_INET6, nil
	}
	sa := &syscall.SockaddrInet4{Port: int(port)}
	dotted := split(parts[0], '.')
	if len(parts) != 2 || len(dotted) != len(sa.Addr) {
		return nil, 0, bad
	}
	for i, part := range dotted {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return nil, 0, bad
		}
		sa.Addr[i] = byte(n)
	}
	return sa, syscall.AF_INET, nil
}

// drop gives up every capability for good, in this thread and what it execs:
// also where the user is root, who would get them back with an exec.
func drop() error {
	if err := call(syscall.SYS_PRCTL, prCapAmbient, prCapAmbientClear, 0); err != nil {
		return because("ambient capabilities", err)
	}
	for c := uintptr(0); ; c++ {
		err := call(syscall.SYS_PRCTL, syscall.PR_CAPBSET_DROP, c, 0)
		if err == syscall.EINVAL && c > capSetPCap {
			break // the kernel knows no more
		}
		if err != nil {
			return because("capability "+strconv.Itoa(int(c)), err)
		}
	}
	header := struct {
		version uint32
		pid     int32
	}{version: capVersion3}
	var none [capabilitySetWords]uint32
	if err := call(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none)), 0); err != nil {
		return because("capset", err)
	}
	if err := call(syscall.SYS_PRCTL, prSetNoNewPrivs, 1, 0); err != nil {
		return because("no_new_privs", err)
	}
	return nil
}
