package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"example.com/gox/internal/confine"
	"example.com/gox/internal/envvar"
	"example.com/gox/internal/gocmd"
)

// usesFile is where each use of the door is noted, a line of JSON each.
const usesFile = "net.jsonl"

// A Use is one use of the door through which commands inside reach the sources
// of the profile.
type Use = confine.Use

// A network is how much of it commands inside can reach.
type network struct {
	net    confine.Net // "" is not decided
	helper string
	allow  []string // besides the sources
	host   []string // the host's environment
}

func (c *Config) network() network {
	n := network{confine.Net(c.Net), c.Helper, c.Allow, c.environ()}
	if n.net == "" {
		if n.net = confine.Host; c.Helper != "" {
			n.net = confine.Sources
		}
	}
	return n
}

// fetching is n for the commands that make a sandbox.
func (n network) fetching() network {
	if n.net == confine.None {
		n.net = confine.Sources
	}
	return n
}

// run runs a command in the network that n is, where it can write neither into
// the store of verified modules, the toolchain nor the workspaces as they were,
// and with a fixed umask.
func (s *Sandbox) run(ctx context.Context, n network, c gocmd.Cmd) (code int, err error) {
	p := confine.Policy{Net: cmp.Or(n.net, confine.Host), Helper: n.helper, Umask: 0o022}
	if n.helper == "" {
		p.Net = confine.Host
		return confine.Run(ctx, p, c)
	}
	p.ReadOnly = []string{s.store().Verified(), s.toolchain.GOROOT, origins(s.cache)}
	if p.Net == confine.Sources {
		if p.Allow, err = confine.SourcesOf(func(name string) string { return envvar.Get(c.Env, name) }); err != nil {
			return 0, err
		}
		p.Allow = append(p.Allow, n.allow...)
		// How the world is reached is for the profile to say, else for the host.
		if p.Environ = c.Env; envvar.Get(c.Env, "HTTPS_PROXY")+envvar.Get(c.Env, "https_proxy")+envvar.Get(c.Env, "HTTP_PROXY")+envvar.Get(c.Env, "http_proxy") == "" {
			p.Environ = n.host
		}
		var mu sync.Mutex
		p.Record = func(u Use) {
			mu.Lock()
			defer mu.Unlock()
			s.noteUse(u)
		}
	}
	return confine.Run(ctx, p, c)
}

// noteUse notes a use, as well as it can: a full disk must not end the command.
func (s *Sandbox) noteUse(u Use) {
	line, err := json.Marshal(u)
	if err != nil {
		return
	}
	f, err := os.OpenFile(filepath.Join(s.dir, usesFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return
	}
	f.Write(append(line, '\n')) // in one call: other commands append too
	f.Close()
}

// Uses returns what commands inside have asked the network for, since the
// sandbox was made: under "sources" what went through the door, and what it
// refused.
func (s *Sandbox) Uses() ([]Use, error) {
	data, err := os.ReadFile(filepath.Join(s.dir, usesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []Use
	for line := range bytes.Lines(data) {
		var u Use
		if json.Unmarshal(line, &u) == nil { // else a killed command's last
			all = append(all, u)
		}
	}
	return all, err
}
