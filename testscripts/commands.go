package testscripts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/modcache"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/mod/module"
)

// A play is one run of one script.
type play struct {
	*Runner
	script  *Script
	version string
	world   *world
	ctx     context.Context

	work  string
	path  string          // PATH
	env   []string        // for git servers
	names map[string]bool // of variables that the script may have set
}

// A command is one that the engine adds to those of testscript.
type command struct {
	name, args, summary string
	negatable           bool
	run                 func(*play, *call) error
}

// commandTable lists the commands by name. README.md shows it.
var commandTable = []command{
	{"exit", "CODE|never=DURATION PROGRAM [ARG…]", "run a program, which exits with this code, or still runs after that time and is killed then", false, (*play).exit},
	{"fault", "[-times N] [-body TEXT] [-header 'K: V'] SERVER [PATTERN] EFFECT", "make a server misbehave where PATTERN matches the URL; the last fault that matches counts", false, (*play).fault},
	{"gosum", "SERVER… [FILE]", "add the hashes of all modules that these servers have to go.sum, or to FILE, whose name ends in .sum", false, (*play).gosum},
	{"proxy", "[-host NAME] [-cert KIND] [-auth USER:PASSWORD] [-dir DIR] NAME…", "start module proxies that serve the folders proxy/NAME, and set $NAME to their URLs", false, (*play).proxy},
	{"requests", "[-header PATTERN] [-count=N] SERVER [N|PATTERN…]", "assert what a server was asked: how often, or in which order; without either print it to stdout", true, (*play).requests},
	{"reset", "[requests|faults|modcache]…", "begin anew: forget requests and faults and empty the module cache, or only some of these", false, (*play).reset},
	{"served", "[-mod] MODULE@VERSION SERVER", "assert that the zip (or go.mod) in the module cache is what this server sent last", true, (*play).served},
	{"sumdb", "[-host NAME] [-cert KIND] [-via PROXY,…] [-fork SUMDB] NAME SERVER…", "start a checksum database that knows the modules of these servers, and set $NAME to its GOSUMDB", false, (*play).sumdb},
	{"tree", "PROXY DIR", "write what a module proxy serves to a directory, as for file:// or a plain file server", false, (*play).tree},
	{"vcs", "[-cert KIND] HOST…", "serve the git repositories vcs/HOST/… over https and http, with go-import pages", false, (*play).vcs},
}

// A call is one line that runs a command.
type call struct {
	*testscript.TestScript
	neg  bool
	args []string
	def  command
}

// A usageError is never what "!" asks for.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errNot is that an assertion does not hold.
type errNot struct{ error }

func notf(format string, args ...any) error { return errNot{fmt.Errorf(format, args...)} }

func (p *play) commands() map[string]func(*testscript.TestScript, bool, []string) {
	p.names = map[string]bool{}
	cmds := map[string]func(*testscript.TestScript, bool, []string){}
	for _, def := range commandTable {
		cmds[def.name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg && !def.negatable {
				ts.Fatalf("unsupported: ! %s", def.name)
			}
			err := def.run(p, &call{ts, neg, args, def})
			switch {
			case errors.As(err, new(usageError)):
				ts.Fatalf("%v\nusage: %s %s", err, def.name, def.args)
			case errors.As(err, new(errNot)):
				if !neg {
					ts.Fatalf("%v", err)
				}
				ts.Logf("as expected: %v", err)
			case err != nil:
				ts.Fatalf("%s: %v", def.name, err)
			case neg:
				ts.Fatalf("%s %s: unexpectedly so", def.name, strings.Join(args, " "))
			}
		}
	}
	return cmds
}

// parse reads the flags that define makes, and returns the other arguments:
// min of them at least, and max at most where that is not negative.
func (c *call) parse(min, max int, define func(*flag.FlagSet)) ([]string, error) {
	flags := flag.NewFlagSet(c.def.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	define(flags)
	if err := flags.Parse(c.args); err != nil {
		return nil, usageError{err}
	}
	args := flags.Args()
	if len(args) < min || max >= 0 && len(args) > max {
		return nil, usagef("%d arguments", len(args))
	}
	return args, nil
}

func noFlags(*flag.FlagSet) {}

// set sets a variable of the script.
func (p *play) set(c *call, name, value string) {
	c.Setenv(name, value)
	p.names[name] = true
	c.Logf("%s=%s", name, value)
}

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

// lookPath finds a program in the directories of path.
func lookPath(name, path string) (string, error) {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if fi, err := os.Stat(file); err == nil && fi.Mode().IsRegular() && (runtime.GOOS == "windows" || fi.Mode()&0o111 != 0) {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s: not found in PATH", name)
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

func (p *play) requests(c *call) error {
	var header string
	count := -1
	args, err := c.parse(1, -1, func(f *flag.FlagSet) {
		f.StringVar(&header, "header", "", "")
		f.IntVar(&count, "count", -1, "")
	})
	if err != nil {
		return err
	}
	records, err := p.world.of(args[0])
	if err != nil {
		return usageError{err}
	}
	if header != "" {
		re, err := regexp.Compile(`(?m)` + header)
		if err != nil {
			return usageError{err}
		}
		records = slices.DeleteFunc(records, func(r *record) bool { return !re.MatchString(headerText(r.header)) })
	}
	var patterns []*regexp.Regexp
	total, isTotal := 0, false
	if len(args) == 2 {
		total, isTotal = number(args[1])
		if isTotal && total >= 100 && total <= 599 && len(args[1]) == 3 {
			return usagef("%s: is that how many requests, or a status?\n\twrite -count=%[1]s '' for the number, ' %[1]s$' for the status", args[1])
		}
	}
	if !isTotal {
		for _, arg := range args[1:] {
			re, err := regexp.Compile(arg)
			if err != nil {
				return usageError{err}
			}
			patterns = append(patterns, re)
		}
	}
	switch {
	case count >= 0 && len(patterns) != 1:
		return usagef("-count: with one pattern")
	case count >= 0:
		n := 0
		for _, r := range records {
			if patterns[0].MatchString(r.String()) {
				n++
			}
		}
		if n != count {
			return notf("%s: %d requests match %#q, want %d", args[0], n, patterns[0], count)
		}
	case isTotal:
		if len(records) != total {
			return notf("%s: %d requests, want %d", args[0], len(records), total)
		}
	case len(patterns) == 0 && header != "":
		if len(records) == 0 {
			return notf("%s: no request with a header like %#q%s", args[0], header, p.headers(args[0]))
		}
	case len(patterns) == 0:
		if c.neg {
			return usagef("! requests prints nothing")
		}
		out := c.Stdout()
		for _, r := range records {
			fmt.Fprintln(out, r)
		}
	default:
		for _, re := range patterns {
			i := slices.IndexFunc(records, func(r *record) bool { return re.MatchString(r.String()) })
			if i < 0 {
				return notf("%s: no request like %#q (in this order)", args[0], re)
			}
			records = records[i+1:]
		}
	}
	return nil
}

// headers lists the headers of all requests to a server, for a message.
func (p *play) headers(name string) string {
	records, _ := p.world.of(name)
	var b strings.Builder
	for _, r := range records {
		b.WriteString("\n" + r.String() + "\n\t" + strings.ReplaceAll(strings.TrimSpace(headerText(r.header)), "\n", "\n\t"))
	}
	return b.String()
}

// headerText writes headers one to a line, as "Key: value".
func headerText(h http.Header) string {
	var lines []string
	for k, values := range h {
		for _, v := range values {
			lines = append(lines, k+": "+v+"\n")
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func (p *play) served(c *call) error {
	var mod bool
	args, err := c.parse(2, 2, func(f *flag.FlagSet) { f.BoolVar(&mod, "mod", false, "") })
	if err != nil {
		return err
	}
	path, version, ok := strings.Cut(args[0], "@")
	if !ok || path == "" || version == "" {
		return usagef("%q: not of the form module@version", args[0])
	}
	m := module.Version{Path: path, Version: strings.ReplaceAll(version, "GOOS-GOARCH", runtime.GOOS+"-"+runtime.GOARCH)}
	s, err := p.world.server(args[1])
	if err != nil {
		return usageError{err}
	}
	kind := "zip"
	if mod {
		kind = "mod"
	}
	cached, err := p.cached(c, m, kind)
	if err != nil {
		return err
	}
	if cached == nil {
		return notf("%s: the module cache has no %s of it", m, kind)
	}
	if f, ok := s.content.(*forge); ok {
		return p.servedByGit(f, s, m, kind, cached)
	}
	records, _ := p.world.of(allServers)
	sum := sha256.Sum256(cached)
	by := "" // who sent the bytes last
	for _, r := range records {
		if r.asked == (request{m, kind}) && r.status == "200" && r.sum == sum {
			by = r.server
		}
	}
	switch {
	case by == s.name:
		return nil
	case by == "":
		return notf("%s: the %s in the module cache came from no server", m, kind)
	}
	return notf("%s: served by %s, not by %s", m, by, s.name)
}

// cached returns the zip (or go.mod) of a module in the module cache, nil if
// there is none. Where gox may have put it into the cache of a profile, the
// one that was written last counts.
func (p *play) cached(c *call, m module.Version, kind string) ([]byte, error) {
	dirs := []string{gomodcache(c)}
	if p.Gox != "" && p.script.own {
		entries, err := modcache.Store{Root: c.Getenv("GOX_CACHE")}.List(p.ctx)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			dirs = append(dirs, e.Dir)
		}
	}
	var data []byte
	var newest time.Time
	for _, dir := range dirs {
		d, written, err := readCached(dir, m, kind)
		if err != nil {
			return nil, err
		}
		if d != nil && (data == nil || written.After(newest)) {
			data, newest = d, written
		}
	}
	return data, nil
}

// readCached returns a file of the download cache, and when it was written; nil
// if there is none.
func readCached(dir string, m module.Version, kind string) ([]byte, time.Time, error) {
	path, err := module.EscapePath(m.Path)
	if err != nil {
		return nil, time.Time{}, usageError{err}
	}
	version, err := module.EscapeVersion(m.Version)
	if err != nil {
		return nil, time.Time{}, usageError{err}
	}
	name := filepath.Join(dir, "cache", "download", filepath.FromSlash(path), "@v", version+"."+kind)
	info, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	data, err := os.ReadFile(name)
	return data, info.ModTime(), err
}

// servedByGit asserts that a module in the module cache was fetched from a
// forge: by its content, for go itself makes the zip, and as git went there.
func (p *play) servedByGit(f *forge, s *server, m module.Version, kind string, cached []byte) error {
	records, _ := p.world.of(s.name)
	if !slices.ContainsFunc(records, func(r *record) bool { return r.status == "200" && strings.HasSuffix(r.url, "/git-upload-pack") }) {
		return notf("%s: git fetched nothing from %s", m, s.name)
	}
	for _, r := range f.repos {
		d := r.depot()
		if _, ok := d.modules[m]; !ok {
			continue
		}
		if kind == "mod" {
			if bytes.Equal(d.goMod(m), cached) {
				return nil
			}
			continue
		}
		want, err := d.zip(m)
		if err != nil {
			return err
		}
		wantHash, err := hashZip(want)
		if err != nil {
			return err
		}
		if hash, err := hashZip(cached); err == nil && hash == wantHash {
			return nil
		}
	}
	return notf("%s: %s has no module of this content", m, s.name)
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

func (p *play) exit(c *call) error {
	args, err := c.parse(2, -1, noFlags)
	if err != nil {
		return err
	}
	if after, ok := strings.CutPrefix(args[0], "never="); ok {
		d, err := time.ParseDuration(after)
		if err != nil || d <= 0 {
			return usagef("never=%s: not a duration", after)
		}
		return p.exitNever(c, d, args[1:])
	}
	want, ok := number(args[0])
	if !ok {
		return usagef("%q: not an exit code", args[0])
	}
	code := 0
	if err := c.Exec(args[1], args[2:]...); err != nil {
		var exited interface{ ExitCode() int }
		if !errors.As(err, &exited) {
			return err
		}
		code = exited.ExitCode()
	}
	if code != want {
		return notf("exit code %d, want %d", code, want)
	}
	return nil
}

// exitNever runs a program that is expected to be running still after d. Where
// a server is not to answer, d begins when the first request hangs: how soon
// go gets there is not in question.
func (p *play) exitNever(c *call, d time.Duration, args []string) error {
	program, err := lookPath(args[0], c.Getenv("PATH"))
	if err != nil {
		return usageError{err}
	}
	// Files, not pipes: the program's children may keep them open.
	var out [2]*os.File
	for i := range out {
		if out[i], err = os.CreateTemp(filepath.Join(p.work, ".tmp"), "exit"); err != nil {
			return err
		}
		defer out[i].Close()
	}
	ctx, cancel := context.WithCancelCause(p.ctx)
	defer cancel(nil)
	waits := p.world.hangs()
	select {
	case <-p.world.hung: // of an earlier program
	default:
	}
	go func() {
		if waits {
			select {
			case <-p.world.hung:
			case <-ctx.Done():
				return
			}
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(errElapsed)
		case <-ctx.Done():
		}
	}()
	code, err := gocmd.Run(ctx, gocmd.Cmd{Path: program, Args: args[1:], Dir: c.MkAbs(""), Env: p.environ(c.TestScript), Stdout: out[0], Stderr: out[1]})
	if err != nil {
		return err
	}
	for i, w := range []io.Writer{c.Stdout(), c.Stderr()} {
		data, err := os.ReadFile(out[i].Name())
		if err != nil {
			return err
		}
		w.Write(data)
	}
	switch {
	case context.Cause(ctx) == errElapsed:
		return nil
	case p.ctx.Err() != nil:
		return p.ctx.Err()
	}
	return notf("exit code %d before %v had passed", code, d)
}

var errElapsed = errors.New("time has passed")
