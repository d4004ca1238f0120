package testscripts

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"example.com/gox/internal/gocmd"
)

// The commands that set a script's stage: servers, faults, and what go has of
// them already.

// serverName returns an error unless name is good for a variable too.
func serverName(name string) error {
	if !regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`).MatchString(name) {
		return usagef("%q: a server's name is upper-case letters", name)
	}
	return nil
}

func checkCert(kind string) error {
	if kind != "" && !slices.Contains(certKinds, kind) {
		return usagef("-cert %s: one of %s", kind, strings.Join(certKinds, ", "))
	}
	return nil
}

func (p *play) proxy(c *call) error {
	var host, cert, auth, dir string
	args, err := c.parse(1, -1, func(f *flag.FlagSet) {
		f.StringVar(&host, "host", "", "")
		f.StringVar(&cert, "cert", "", "")
		f.StringVar(&auth, "auth", "", "")
		f.StringVar(&dir, "dir", "", "")
	})
	if err == nil {
		err = checkCert(cert)
	}
	if err != nil {
		return err
	}
	if host != "" && len(args) > 1 {
		return usagef("-host %s: for one proxy only", host)
	}
	if dir != "" {
		dir = c.MkAbs(dir)
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return usagef("-dir %s: no such directory", dir)
		}
	}
	if host == "default" {
		if host, err = p.defaultProxy(); err != nil {
			return err
		}
	}
	if host != "" && cert == "" {
		cert = "good"
	}
	for _, name := range args {
		if err := serverName(name); err != nil {
			return err
		}
		d := p.script.proxies[name]
		if d == nil {
			d = newDepot() // has nothing
		}
		url, err := p.world.open(&server{name: name, cert: cert, auth: auth, depot: d, content: &moduleProxy{depot: d, dir: dir, dbs: map[string]http.Handler{}}}, host)
		if err != nil {
			return usageError{err}
		}
		p.set(c, name, url)
	}
	return nil
}

// defaultProxy returns the host of the first module proxy that the go under
// test uses when nobody tells it.
func (p *play) defaultProxy() (string, error) {
	env, err := gocmd.EnvJSON(p.ctx, p.Go, p.work, append(slices.Clone(p.env), "GOENV=off", "GOTOOLCHAIN=local"), "GOPROXY")
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(env["GOPROXY"], ",")
	host, ok := strings.CutPrefix(first, "https://")
	if !ok {
		return "", fmt.Errorf("go's own GOPROXY begins with %q", first)
	}
	return host, nil
}

func (p *play) sumdb(c *call) error {
	var host, cert, via, fork string
	args, err := c.parse(2, -1, func(f *flag.FlagSet) {
		f.StringVar(&fork, "fork", "", "")
		f.StringVar(&host, "host", "", "")
		f.StringVar(&cert, "cert", "", "")
		f.StringVar(&via, "via", "", "")
	})
	if err == nil {
		err = errors.Join(checkCert(cert), serverName(args[0]))
	}
	if err != nil {
		return err
	}
	depots, err := p.depots(args[1:])
	if err != nil {
		return err
	}
	// By name: with a URL in GOSUMDB, go would not look for the database at
	// the proxies.
	if host == "" {
		host = strings.ToLower(args[0]) + ".sumdb.test"
	}
	if cert == "" {
		cert = "good"
	}
	var forked *sumDB
	if fork != "" {
		s, err := p.world.server(fork)
		if err != nil {
			return usageError{err}
		}
		var ok bool
		if forked, ok = s.content.(*sumDB); !ok {
			return usagef("-fork %s: not a checksum database", fork)
		}
	}
	db, err := newSumDB(host, depots, forked)
	if err != nil {
		return err
	}
	if via != "" {
		for proxy := range strings.SplitSeq(via, ",") {
			s, err := p.world.server(proxy)
			if err != nil {
				return usageError{err}
			}
			mp, ok := s.content.(*moduleProxy)
			if !ok {
				return usagef("-via %s: not a module proxy", proxy)
			}
			p.world.mu.Lock()
			mp.dbs[db.name] = db
			p.world.mu.Unlock()
		}
	}
	if _, err := p.world.open(&server{name: args[0], cert: cert, content: db}, host); err != nil {
		return usageError{err}
	}
	gosumdb := db.vkey
	if forked != nil {
		gosumdb += " https://" + host // by its name go would ask the other
	}
	p.set(c, args[0], gosumdb)
	return nil
}

// depots returns the modules that servers have.
func (p *play) depots(names []string) ([]*depot, error) {
	var depots []*depot
	for _, name := range names {
		s, err := p.world.server(name)
		if err != nil {
			return nil, usageError{err}
		}
		switch content := s.content.(type) {
		case *moduleProxy:
			depots = append(depots, content.depot)
		case *forge:
			for _, r := range content.repos {
				depots = append(depots, r.depot())
			}
		default:
			return nil, usagef("%s serves no modules", name)
		}
	}
	return depots, nil
}

func (p *play) gosum(c *call) error {
	args, err := c.parse(1, -1, noFlags)
	if err != nil {
		return err
	}
	name := "go.sum"
	if last := len(args) - 1; last > 0 && strings.HasSuffix(args[last], ".sum") {
		name, args = args[last], args[:last]
	}
	depots, err := p.depots(args)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.MkAbs(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, d := range depots {
		for m := range d.modules {
			lines, err := d.sums(m)
			if err != nil {
				return err
			}
			if _, err := f.Write(lines); err != nil {
				return err
			}
		}
	}
	return f.Close()
}

func (p *play) vcs(c *call) error {
	var cert string
	args, err := c.parse(1, -1, func(f *flag.FlagSet) { f.StringVar(&cert, "cert", "good", "") })
	if err == nil {
		err = checkCert(cert)
	}
	if err != nil {
		return err
	}
	git, err := lookPath("git", p.path)
	if err != nil {
		return err
	}
	for _, host := range args {
		if !strings.Contains(host, ".") {
			return usagef("%q: not a host name", host)
		}
		f, err := newForge(p.ctx, host, filepath.Join(p.work, ".vcs", host), git, p.env, p.script.repos)
		if err != nil {
			return err
		}
		if err := p.world.add(&server{name: host, cert: cert, content: f}, host); err != nil {
			return usageError{err}
		}
	}
	return nil
}

func (p *play) tree(c *call) error {
	args, err := c.parse(2, 2, noFlags)
	if err != nil {
		return err
	}
	d := p.script.proxies[args[0]]
	if d == nil {
		return usagef("no folder proxy/%s in this script", args[0])
	}
	files, err := d.tree()
	if err != nil {
		return err
	}
	dir := c.MkAbs(args[1])
	for name, data := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o666); err != nil {
			return err
		}
	}
	return nil
}

func (p *play) fault(c *call) error {
	f := &fault{times: -1, header: http.Header{}}
	args, err := c.parse(2, 3, func(fs *flag.FlagSet) {
		fs.IntVar(&f.times, "times", -1, "")
		fs.Func("body", "", func(s string) error { f.body = &s; return nil })
		fs.Func("header", "", func(s string) error {
			k, v, ok := strings.Cut(s, ": ")
			if !ok {
				return errors.New(`not of the form "key: value"`)
			}
			f.header.Set(k, v)
			return nil
		})
	})
	if err != nil {
		return err
	}
	s, err := p.world.server(args[0])
	if err != nil {
		return usageError{err}
	}
	pattern := ""
	if len(args) == 3 {
		pattern = args[1]
	}
	if f.pattern, err = regexp.Compile(pattern); err != nil {
		return usageError{err}
	}
	if err := f.parseEffect(args[len(args)-1]); err != nil {
		return usageError{err}
	}
	p.world.addFault(s, f)
	return nil
}

func (p *play) reset(c *call) error {
	args, err := c.parse(0, -1, noFlags)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"requests", "faults", "modcache"}
	}
	for _, what := range args {
		switch what {
		case "requests":
			p.world.forgetRequests()
		case "faults":
			p.world.forgetFaults()
		case "modcache":
			dir := gomodcache(c)
			if rel, err := filepath.Rel(p.work, dir); err != nil || rel == "." || !filepath.IsLocal(rel) {
				return usagef("the module cache is %s, which is not in $WORK: it stays", dir)
			}
			if err := removeAll(dir); err != nil {
				return err
			}
		default:
			return usagef("%q: one of requests, faults, modcache", what)
		}
	}
	return nil
}

// gomodcache returns the module cache of the script. A relative path is one in
// the script's directory, as it is for the programs that it runs.
func gomodcache(c *call) string {
	if dir := c.Getenv("GOMODCACHE"); dir != "" {
		return c.MkAbs(dir)
	}
	first := filepath.SplitList(c.Getenv("GOPATH"))
	return c.MkAbs(filepath.Join(append(first[:min(1, len(first))], "pkg", "mod")...))
}
