package confine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/inside"
)

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
		return gocmd.Run(ctx, p.masked(c))
	}
	code, err = p.run(ctx, c)
	if p.Net == Host && errors.Is(err, errors.ErrUnsupported) {
		return gocmd.Run(ctx, p.masked(c))
	}
	return code, err
}

func (p Policy) run(ctx context.Context, c gocmd.Cmd) (code int, err error) {
	t := inside.Task{
		Net: p.Net != Host, Door: p.Net == Sources, Umask: int(p.Umask), ReadOnly: p.ReadOnly,
		Path: c.Path, Args: append([]string{cmp.Or(c.Name, filepath.Base(c.Path))}, c.Args...),
	}
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
			c.Env = append(c.Env[:len(c.Env):len(c.Env)], name+"=http://"+inside.DoorAddr)
		}
		c.Env = append(c.Env, "NO_PROXY=", "no_proxy=", "ALL_PROXY=", "all_proxy=")
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

	c.Path, c.Name, c.Args = p.Helper, inside.Name, t.Words()
	c.Files = append([]*os.File{theirs}, c.Files...)
	c.Sys = namespaces(p.Net)

	d := newDoor(p)
	var last inside.Report
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for {
			r, files, err := receive(ours)
			if err != nil {
				return
			}
			if r.Failure != "" || r.Start != 0 {
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
	case last.Start != 0:
		return 0, &gocmd.StartError{Path: t.Path, Err: &fs.PathError{Op: "exec", Path: t.Path, Err: last.Start}}
	case errors.As(err, &se) && !errors.Is(err, fs.ErrNotExist):
		// What starts any other program has failed: the namespaces.
		return 0, unsupported(p.Net, noNamespace(se.Err))
	}
	return code, err
}

// namespaces returns what the helper is to be started in: with the same user
// and group, and as much power over its own namespaces as the helper needs.
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

// noNamespace says why there was none. What the kernel says of a limit would be
// taken for a full disk.
func noNamespace(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EUSERS) {
		return errors.New("no user namespace: the limit user.max_user_namespaces is reached")
	}
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("no user namespace: %w", err)
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
func receive(c *net.UnixConn) (inside.Report, []*os.File, error) {
	data, oob := make([]byte, 16<<10), make([]byte, 4<<10)
	n, oobn, _, _, err := c.ReadMsgUnix(data, oob)
	if err != nil || n == 0 {
		return inside.Report{}, nil, errors.Join(err, errors.New("end"))
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
	r, ok := inside.ParseReport(data[:n])
	if !ok {
		err = errors.Join(err, errors.New("not a report"))
	}
	return r, files, err
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
		if listens[i] == inside.DoorAddr {
			d.proxy(l)
		}
		for j, at := range listen {
			if at == listens[i] {
				d.forward(l, forwards[j])
			}
		}
	}
}
