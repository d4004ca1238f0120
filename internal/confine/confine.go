// Package confine runs a command that can reach no more of the network than it
// needs, and cannot write where it must not. The kernel sees to it, not the
// command's good will, and no privileges are needed.
//
//	p := confine.Policy{Net: confine.None, Helper: exe}
//	code, err := confine.Run(ctx, p, cmd)
//
// On Linux the command gets user, network and mount namespaces of its own. In
// its network there is a loopback and nothing else; under Sources, one door
// besides: an HTTP proxy on that loopback whose other end is in this process,
// which lets through what the policy allows and records each use.
//
// Between Run and the command stands a helper: a program, as a rule the same,
// that calls inside.Main when it is started as inside.Name.
package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"example.com/gox/internal/gocmd"
)

// Net is how much of the network a command can reach.
type Net string

const (
	None    Net = "none"    // its own loopback: what it listens on itself
	Sources Net = "sources" // that, and what Policy.Allow says
	Host    Net = "host"    // what gox can reach
)

// ParseNet reads the value of --net.
func ParseNet(s string) (Net, error) {
	switch n := Net(s); n {
	case None, Sources, Host:
		return n, nil
	}
	return "", fmt.Errorf("--net %q: not one of none, sources, host\n\t--net sources", s)
}

// A Policy says what a command may do. The zero Policy, whose Net is "",
// allows nothing but to ask for one.
type Policy struct {
	Net Net

	// Allow is what can be reached under Sources: see Door. SourcesOf has it
	// for the environment of a go command.
	Allow []string

	// Environ says how the world is reached from outside: by the HTTPS_PROXY,
	// HTTP_PROXY and NO_PROXY in it. Without them it is reached directly.
	Environ []string

	// ReadOnly are directories, absolute paths, into which the command cannot
	// write whoever owns them. Under Host this is done where the system can.
	ReadOnly []string

	// Umask, if not 0, is the command's, instead of that of this process.
	Umask fs.FileMode

	// Helper is the path of a program that calls inside.Main when it is started
	// as inside.Name. gox is one.
	Helper string

	// Record is told of each use of the door, from several goroutines. Nil is
	// nobody.
	Record func(Use)
}

// masked returns c, which no helper will start, with the umask of p. Only a
// process itself can set its own, and this one's is not ours to set: a shell does.
func (p Policy) masked(c gocmd.Cmd) gocmd.Cmd {
	if p.Umask == 0 {
		return c
	}
	c.Args = append([]string{"-c", fmt.Sprintf(`umask %03o && exec "$0" "$@"`, p.Umask), c.Path}, c.Args...)
	c.Path, c.Name = "/bin/sh", ""
	return c
}

// Use is one use of the door.
type Use struct {
	Time     time.Time `json:"time"`              // when it began
	Addr     string    `json:"addr"`              // host:port
	Allowed  bool      `json:"allowed"`           // whether the policy does
	Sent     int64     `json:"sent"`              // bytes out
	Received int64     `json:"received"`          // bytes in
	Failure  string    `json:"failure,omitempty"` // what went wrong outside
}

// unsupported is the error of a system that cannot enforce a policy.
func unsupported(n Net, err error) error {
	return &unsupportedError{n, err}
}

type unsupportedError struct {
	net Net
	err error
}

func (e *unsupportedError) Error() string {
	return fmt.Sprintf("--net %s: this system cannot enforce it: %v\n\tto go without: --net host", e.net, e.err)
}

func (e *unsupportedError) Unwrap() error { return e.err }

// Is makes errors.Is(err, errors.ErrUnsupported) hold.
func (e *unsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }
