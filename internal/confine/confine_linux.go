package confine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"example.com/gox/internal/gocmd"
)

// doorAddr is where the door is in the command's network. Nothing else wants
// port 1, and a constant is the same in every run.
const doorAddr = "127.0.0.1:1"

// A task is what the helper is told, as its first argument.
type task struct {
	Net      Net
	Listen   []string // further addresses for Run to serve
	ReadOnly []string
	Path     string // the command; its arguments follow
}

// A report is what the helper tells of itself, with its listeners: the door
// and then those of task.Listen. There is another one if the command could not
// be started.
type report struct {
	Failure string // why the policy cannot be enforced
	Listens []string
	Start   string // why the command could not be started
	Errno   syscall.Errno
}

// Run is gocmd.Run for a command that is held to p. Descendants of the command
// are held to it too; those that outlive it have no door any more.
//
// errors.Is(err, errors.ErrUnsupported) holds where this system cannot enforce
// p; the command has not run then.
func Run(ctx context.Context, p Policy, c gocmd.Cmd) (code int, err error) {
	switch p.Net {
	case None, Sources, Host:
	default:
		return 0, fmt.Errorf("network %q: not one of none, sources, host", p.Net)
	}
	if p.Net == Host && len(p.ReadOnly) == 0 {
		return gocmd.Run(ctx, c)
	}
	code, err = p.run(ctx, c)
	if p.Net == Host && errors.Is(err, errors.ErrUnsupported) {
		return gocmd.Run(ctx, c)
	}
	return code, err
}

func (p Policy) run(ctx context.Context, c gocmd.Cmd) (code int, err error) {
	t := task{Net: p.Net, ReadOnly: p.ReadOnly, Path: c.Path}
	var forwards []string // for each of t.Listen, where it leads
	if p.Net == Sources {
		for _, entry := range loopbacks(p.Allow) {
			for _, at := range listenAddrs(entry) {
				t.Listen, forwards = append(t.Listen, at), append(forwards, entry)
			}
		}
		// git's libraries read the lower case, and HTTP_PROXY is in some taken
		// for what a header said.
		for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
			c.Env = append(c.Env[:len(c.Env):len(c.Env)], name+"=http://"+doorAddr)
		}
		c.Env = append(c.Env, "NO_PROXY=", "no_proxy=", "ALL_PROXY=", "all_proxy=")
	}
	told, err := json.Marshal(t)
	if err != nil {
		return 0, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("socketpair: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "helper")
	defer theirs.Close()
	ours, err := unixConn(pair[0])
	if err != nil {
		return 0, err
	}
	defer ours.Close()

	name := filepath.Base(c.Path)
	if c.Name != "" {
		name = c.Name
	}
	c.Args = append([]string{string(told), name}, c.Args...)
	c.Path, c.Name = p.Helper, HelperName
	c.Files = append([]*os.File{theirs}, c.Files...)
	c.Sys = namespaces(p.Net)

	d := newDoor(p)
	var last report
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for {
			r, files, err := receive(ours)
			if err != nil {
				return
			}
			if r.Failure != "" || r.Start != "" {
				last = r
			}
			d.serve(files, r.Listens, t.Listen, forwards)
		}
	}()
	code, err = gocmd.Run(ctx, c)
	theirs.Close() // the helper's end went with it: what it said comes, and then the end
	<-heard
	d.shut()
	switch se := (*gocmd.StartError)(nil); {
	case last.Failure != "":
		return 0, unsupported(p.Net, errors.New(last.Failure))
	case last.Start != "":
		return 0, &gocmd.StartError{Path: t.Path, Err: &fs.PathError{Op: "exec", Path: t.Path, Err: last.Errno}}
	case errors.As(err, &se) && !errors.Is(err, fs.ErrNotExist):
		// What starts any other program has failed: the namespaces.
		return 0, unsupported(p.Net, fmt.Errorf("no user namespace: %w", se.Err))
	}
	return code, err
}

// namespaces returns what the helper is to be started in: with the same user
// and group, and as much power over its own namespaces as Main needs.
func namespaces(n Net) *syscall.SysProcAttr {
	uid, gid := os.Getuid(), os.Getgid()
	a := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_NET_BIND_SERVICE, unix.CAP_SETPCAP},
	}
	if n != Host {
		a.Cloneflags |= syscall.CLONE_NEWNET
	}
	return a
}

func unixConn(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "helper")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return c.(*net.UnixConn), nil
}

// receive returns the next report. Its files are for the caller to close.
func receive(c *net.UnixConn) (report, []*os.File, error) {
	var r report
	data, oob := make([]byte, 64<<10), make([]byte, 4<<10)
	n, oobn, _, _, err := c.ReadMsgUnix(data, oob)
	if err != nil || n == 0 {
		return r, nil, errors.Join(err, errors.New("end"))
	}
	var files []*os.File
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "listener"))
		}
	}
	return r, files, errors.Join(err, json.Unmarshal(data[:n], &r))
}

// serve serves the listeners in files, which listen at listens: the door, and
// those of listen, each to forward to its counterpart in forwards.
func (d *door) serve(files []*os.File, listens, listen, forwards []string) {
	for i, f := range files {
		l, err := net.FileListener(f)
		f.Close()
		if err != nil || i >= len(listens) {
			continue
		}
		if listens[i] == doorAddr {
			d.proxy(l)
		}
		for j, at := range listen {
			if at == listens[i] {
				d.forward(l, forwards[j])
			}
		}
	}
}

// Main is the helper between Run and the command: it sets up the namespaces
// that it was started in, gives up all power over them, and becomes the
// command. args and environ are those of the process. It returns only if
// something failed, which it has told Run then.
func Main(args, environ []string) (code int) {
	const gox = 125
	const channel = 3
	var t task
	if len(args) < 3 || json.Unmarshal([]byte(args[1]), &t) != nil {
		return gox
	}
	// The command must not have it; an exec that fails must.
	unix.CloseOnExec(channel)
	say := func(r report, fds ...int) error {
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
		say(report{Failure: err.Error()})
		return gox
	}
	if len(fds) > 0 {
		if err := say(report{Listens: listens}, fds...); err != nil {
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
	r := report{Start: err.Error()}
	errors.As(err, &r.Errno)
	say(r)
	return se.ExitCode()
}

// prepare sets up the namespaces, and returns the listeners that Run is to
// serve, with their addresses.
func (t task) prepare() (fds []int, listens []string, err error) {
	if t.Net != Host {
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
	if t.Net != Sources {
		return nil, nil, nil
	}
	for _, at := range append([]string{doorAddr}, t.Listen...) {
		fd, err := listen(at)
		if err != nil {
			if at != doorAddr {
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
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return 0, err
	}
	var sa unix.Sockaddr
	family := unix.AF_INET
	if ip4 := tcp.IP.To4(); ip4 != nil {
		sa = &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(ip4)}
	} else {
		family = unix.AF_INET6
		sa = &unix.SockaddrInet6{Port: tcp.Port, Addr: [16]byte(tcp.IP.To16())}
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
