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
	"golang.org/x/mod/module"
)

// The commands that assert something.

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
		entries, err := modcache.Store{Root: c.Getenv("GOX_CACHE")}.Entries()
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
	if errors.Is(err, context.Canceled) && context.Cause(ctx) == errElapsed {
		return p.exitNever(c, 2*d, args) // the time had passed before the program began
	}
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
