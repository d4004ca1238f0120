package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"

	"example.com/gox/internal/gateway"
	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/redact"
)

// ProbeOptions say how Probe asks.
type ProbeOptions struct {
	// Gateway is how go's requests reach the upstreams: with which credentials,
	// certificates, proxies. Probe fills in GOPROXY.
	Gateway gateway.Config
	// Timeout is for one file of one upstream; 0 is 20 s.
	Timeout time.Duration
	// Zip compares the modules themselves too, and not only their go.mod files.
	Zip bool
	// Sums also compares the other module versions that go.sum names. They get
	// no answers in the report, but alarms.
	Sums bool
	// SumDB has go ask the checksum database too, and compares.
	SumDB bool
	// All asks everybody, also for what GOPRIVATE matches, and the repositories
	// of modules that a proxy has.
	All bool
	// Progress is told how many answers are there. May be nil.
	Progress func(done, all int)
}

// What became of asking an upstream, in Answer.Outcome.
const (
	Serves  = "serves"
	Missing = "missing" // 404 or 410: go asks the next
	Failed  = "failed"  // Answer.Error says how
	Unasked = "not asked"
)

// An Answer is what an upstream says of a module version.
type Answer struct {
	Upstream string `json:"upstream"` // redacted; "direct"
	Outcome  string `json:"outcome"`
	Status   int    `json:"status,omitempty"` // of the file that did not come
	Error    string `json:"error,omitempty"`  // redacted; with Unasked why not
	Commit   string `json:"commit,omitempty"` // Origin.Hash of its .info
	ModHash  string `json:"modHash,omitempty"`
	ZipHash  string `json:"zipHash,omitempty"`
}

func (a Answer) String() string {
	switch {
	case a.Outcome == Serves && a.ZipHash != "":
		return a.Upstream + " has it, " + a.ZipHash
	case a.Outcome == Serves:
		return a.Upstream + " has it, its go.mod is " + a.ModHash
	case a.Outcome == Missing:
		return fmt.Sprintf("%s does not have it (%d)", a.Upstream, a.Status)
	case a.Outcome == Unasked:
		return a.Upstream + " was not asked: " + a.Error
	}
	return a.Upstream + " failed: " + a.Error
}

// Probe asks the upstreams which of them would serve the modules of r that
// come from outside, all at a time, and compares what they have: their .info and
// .mod files, and with Zip the modules. It fills in Module.Probe, and adds alarms.
//
// It leaves the module cache alone, and unless SumDB the checksum database
// unasked. A module
// that GOPRIVATE matches is asked for at the first entry only, lest its name get
// about, and the repository of one that a proxy has is left alone; unless All.
func (r *Report) Probe(ctx context.Context, q Query, o ProbeOptions) error {
	o.Gateway.GOPROXY = r.settings.goproxy
	o.Gateway.GoVersion = r.GoVersion
	if o.Timeout == 0 {
		o.Timeout = 20 * time.Second
	}
	g, err := gateway.Start(ctx, o.Gateway)
	if err != nil {
		return err
	}
	defer g.Close()
	p := &prober{q: q, r: r, o: o, slots: make(chan struct{}, 16), client: &http.Client{Transport: &http.Transport{
		Proxy: nil, MaxIdleConnsPerHost: 16, DisableCompression: true,
	}}}
	defer p.client.CloseIdleConnections()
	for _, e := range proxyEntries(g.GOPROXY()) {
		p.urls = append(p.urls, strings.TrimSuffix(e.raw, "/"))
	}
	temp := scratch{parent: q.Scratch}
	defer temp.close()
	if p.dir, err = temp.dir(); err != nil {
		return err
	}

	var modules []*Module
	for i := range r.Modules {
		if m := &r.Modules[i]; m.fromOutside() {
			modules = append(modules, m)
		}
	}
	if o.Sums {
		modules = append(modules, r.summed(modules)...)
	}
	p.all = len(modules)
	var wg sync.WaitGroup
	for _, m := range modules {
		wg.Go(func() { p.probe(ctx, m) })
	}
	wg.Wait()
	if o.SumDB {
		if err := p.askSumDB(ctx, g.GOPROXY(), modules); err != nil {
			return err
		}
	}
	for _, m := range modules {
		r.alarm(r.compare(m)...)
		r.alarm(r.disputed(m)...)
	}
	return ctx.Err()
}

// summed returns the module versions that go.sum names and modules lack.
func (r *Report) summed(modules []*Module) (more []*Module) {
	seen := map[module.Version]bool{}
	for _, m := range modules {
		seen[m.Content()] = true
	}
	for of := range r.files.hashes {
		path, version, _ := strings.Cut(strings.TrimSuffix(of, "/go.mod"), " ")
		if m := (module.Version{Path: path, Version: version}); !seen[m] {
			seen[m] = true
			more = append(more, &Module{Path: path, Version: version, Source: GoMod})
		}
	}
	slices.SortFunc(more, func(a, b *Module) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Version, b.Version))
	})
	return more
}

// fromOutside reports whether the content of m is or was an upstream's.
func (m *Module) fromOutside() bool {
	switch m.Source {
	case ModCache, Ask, GoMod, Nowhere, Vendor:
		return m.Content().Version != "" && (m.Replace == nil || m.Replace.Version != "")
	}
	return false
}

type prober struct {
	q      Query
	r      *Report
	o      ProbeOptions
	client *http.Client
	urls   []string // the gateway's, by place in GOPROXY; "direct"
	dir    string
	slots  chan struct{}

	mu        sync.Mutex
	done, all int
}

// probe asks for one module.
func (p *prober) probe(ctx context.Context, m *Module) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.done++
		if p.o.Progress != nil {
			p.o.Progress(p.done, p.all)
		}
	}()
	content := m.Content()
	entries, fault := p.r.settings.ask(content.Path)
	if len(entries) == 0 {
		m.Probe = []Answer{{Upstream: p.r.GoProxy, Outcome: Unasked, Error: cmp.Or(fault, "GOPROXY=off")}}
		return
	}
	private := module.MatchPrefixPatterns(p.r.settings.goprivate, content.Path)
	m.Probe = make([]Answer, len(entries))
	var wg sync.WaitGroup
	for i, e := range entries {
		a := &m.Probe[i]
		*a = Answer{Upstream: e.URL}
		switch {
		case i > 0 && private && !p.o.All:
			a.Outcome, a.Error = Unasked, "GOPRIVATE matches it"
		case e.raw == direct: // below
		default:
			wg.Go(func() { p.proxy(ctx, p.urls[e.index], content, a) })
		}
	}
	wg.Wait()
	if last := &m.Probe[len(entries)-1]; entries[len(entries)-1].raw == direct && last.Outcome == "" {
		served := slices.ContainsFunc(m.Probe, func(a Answer) bool { return a.Outcome == Serves })
		if served && !p.o.All {
			last.Outcome, last.Error = Unasked, "a proxy has it"
		} else {
			p.repository(ctx, content, last)
		}
	}
}

// proxy asks a module proxy.
func (p *prober) proxy(ctx context.Context, base string, m module.Version, a *Answer) {
	path, err := module.EscapePath(m.Path)
	version, verr := module.EscapeVersion(m.Version)
	if err := errors.Join(err, verr); err != nil {
		a.Outcome, a.Error = Failed, err.Error()
		return
	}
	url := base + "/" + path + "/@v/" + version
	var info struct {
		Version string
		Origin  *struct{ Hash string }
	}
	ok := p.get(ctx, url+".info", a, func(body io.Reader) error {
		if err := json.NewDecoder(io.LimitReader(body, 1<<20)).Decode(&info); err != nil {
			return fmt.Errorf(".info is not JSON: %w", err)
		}
		if info.Version != m.Version {
			return fmt.Errorf(".info is about version %q", info.Version)
		}
		return nil
	})
	if !ok {
		return
	}
	if info.Origin != nil {
		a.Commit = info.Origin.Hash
	}
	ok = p.get(ctx, url+".mod", a, func(body io.Reader) error {
		data, err := io.ReadAll(io.LimitReader(body, 16<<20)) // go's own limit
		if err == nil {
			a.ModHash, err = hashMod(data)
		}
		return err
	})
	if ok && p.o.Zip {
		ok = p.get(ctx, url+".zip", a, func(body io.Reader) (err error) {
			a.ZipHash, err = p.hashZip(body)
			return err
		})
	}
	if ok {
		a.Outcome = Serves
	}
}

// get fetches a file, and reports whether it came.
func (p *prober) get(ctx context.Context, url string, a *Answer, read func(io.Reader) error) bool {
	p.slots <- struct{}{}
	defer func() { <-p.slots }()
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	fail := func(err error) bool {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = fmt.Errorf("no answer in %v", p.o.Timeout)
		}
		a.Outcome, a.Error = Failed, redact.Text(err.Error())
		return false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fail(err)
	}
	res, err := p.client.Do(req)
	if err != nil {
		return fail(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		a.Status, a.Outcome, a.Error = res.StatusCode, Failed, res.Status
		if res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusGone {
			a.Outcome, a.Error = Missing, ""
			return false
		}
		if text, err := io.ReadAll(io.LimitReader(res.Body, 512)); err == nil && strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
			a.Error = redact.Text(firstLine(strings.TrimSpace(string(text))))
		}
		return false
	}
	if err := read(res.Body); err != nil {
		return fail(err)
	}
	return true
}

// hashZip hashes a module, by way of a file.
func (p *prober) hashZip(body io.Reader) (string, error) {
	f, err := os.CreateTemp(p.dir, "*.zip")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, body)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return dirhash.HashZip(f.Name(), dirhash.Hash1)
}

// apart is the environment for a go that works in dir, outside all modules, with
// a module cache of its own.
func (p *prober) apart(dir string, more ...string) []string {
	return slices.Concat(p.q.Env, []string{"GOWORK=off", "GOFLAGS=-modcacherw", "GO111MODULE=on",
		"GOTOOLCHAIN=local", "GOMODCACHE=" + filepath.Join(dir, "mod"), "GIT_TERMINAL_PROMPT=0"}, more)
}

// repository lets go ask the module's own repository, into a module cache that
// is thrown away.
func (p *prober) repository(ctx context.Context, m module.Version, a *Answer) {
	p.slots <- struct{}{}
	defer func() { <-p.slots }()
	dir, err := os.MkdirTemp(p.dir, "direct-")
	if err != nil {
		a.Outcome, a.Error = Failed, err.Error()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*p.o.Timeout) // the host, the tags, the commit
	defer cancel()
	args := []string{"list", "-m", "-json", "--", m.String()}
	if p.o.Zip {
		args = []string{"mod", "download", "-json", "--", m.String()}
	}
	var out strings.Builder
	fault, err := run(ctx, gocmd.Cmd{Path: p.q.Go, Args: args, Env: p.apart(dir, "GOPROXY=direct", "GOSUMDB=off"), Dir: dir, Stdout: &out})
	var said struct {
		Version, GoMod, GoModSum, Sum, Error string
		Origin                               *struct{ Hash string }
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		a.Outcome, a.Error = Failed, fmt.Sprintf("no answer in %v", 3*p.o.Timeout)
		return
	case err == nil && fault == "":
		err = json.Unmarshal([]byte(out.String()), &said)
	case err == nil:
		err = errors.New(firstLine(fault))
	}
	if err == nil && said.Error != "" {
		err = errors.New(firstLine(said.Error))
	}
	if err != nil {
		a.Outcome, a.Error = Failed, redact.Text(err.Error())
		return
	}
	a.Outcome, a.ModHash, a.ZipHash = Serves, said.GoModSum, said.Sum
	if data, err := os.ReadFile(said.GoMod); err == nil {
		a.ModHash, _ = hashMod(data)
	}
	if said.Origin != nil {
		a.Commit = said.Origin.Hash
	}
}
