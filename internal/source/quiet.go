package source

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/redact"
)

// A quietGo is a go command that changes nothing where it works, and unless the
// query lets it download has no network.
type quietGo struct {
	q        Query
	modcache string   // the profile's
	work     string   // the go.work of which spare is a copy, "" for none
	scratch  scratch  // for what go is to write
	spare    []string // GOWORK, for a copy that go may change
	stand    []string // GOMODCACHE, for one that is not there
	caches   []string // GOPROXY and GOMODCACHE, where the go.mod files are elsewhere
}

// quiet prepares a quietGo.
func quiet(q Query, s settings) (*quietGo, error) {
	g := &quietGo{q: q, modcache: s.modcache, scratch: scratch{parent: q.Scratch}}
	if exists(s.modcache) || q.Download {
		return g, nil
	}
	dir, err := g.scratch.dir()
	g.stand = []string{"GOMODCACHE=" + filepath.Join(dir, "mod")} // go makes it
	return g, err
}

// spareWork gives go a copy of go.work to change, where there is one.
func (g *quietGo) spareWork(f *files) error {
	if f.work == nil {
		return nil
	}
	dir, err := g.scratch.dir()
	if err != nil {
		return err
	}
	g.work, g.spare = f.workPath, []string{"GOWORK=" + filepath.Join(dir, "go.work")}
	return f.copyWork(dir)
}

// run runs go. fault is what it says where it fails.
func (g *quietGo) run(ctx context.Context, stdout io.Writer, args ...string) (fault string, err error) {
	add := append(offline(), g.stand...)
	if g.q.Download {
		add = g.q.DownloadEnv
	}
	env := slices.Concat(g.q.Env, add, g.caches, g.spare)
	fault, err = run(ctx, gocmd.Cmd{Path: g.q.Go, Args: args, Env: env, Dir: g.q.Dir, Stdout: stdout})
	return g.plain(fault), err
}

// list runs go list with args, which have -json.
func (g *quietGo) list(ctx context.Context, args ...string) (all []listed, fault string, err error) {
	var stdout bytes.Buffer
	fault, err = g.run(ctx, &stdout, append([]string{"list", "-mod=readonly"}, args...)...)
	if err != nil || fault != "" {
		return nil, fault, err
	}
	all, err = decode[listed](&stdout)
	return all, "", err
}

// plain shows the copy of go.work under the name of what it is a copy of.
func (g *quietGo) plain(text string) string {
	if g.work == "" {
		return text
	}
	_, spare, _ := strings.Cut(g.spare[0], "=")
	return strings.ReplaceAll(text, spare, g.work)
}

// elsewhere lets go find go.mod files in the user's other module caches, into
// one of its own, so that nothing enters the profile's.
func (g *quietGo) elsewhere() error {
	dir, err := g.scratch.dir()
	if err != nil {
		return err
	}
	var urls []string
	for _, cache := range append([]string{g.modcache}, g.q.Caches...) {
		download := filepath.Join(cache, "cache", "download")
		if isDir(download) {
			urls = append(urls, fileURL(download))
		}
	}
	g.caches = []string{"GOPROXY=" + strings.Join(urls, "|") + ",off", "GOMODCACHE=" + filepath.Join(dir, "mod")}
	return nil
}

// offline is what keeps go off the network. GOPROXY=off alone does not: it
// leaves open what GOPRIVATE names (the claim private-off).
func offline() []string { return []string{"GOPROXY=off", "GONOPROXY=none"} }

// run runs go. fault is what it says where it fails, without secrets, never ""
// then.
func run(ctx context.Context, cmd gocmd.Cmd) (fault string, err error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	code, err := gocmd.Run(ctx, cmd)
	if err := cmp.Or(err, ctx.Err()); err != nil {
		return "", err
	}
	if code == 0 {
		return "", nil
	}
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(stderr.String()), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "warning: ") // of a pattern that matches nothing
	})
	said := redact.Text(strings.Join(lines, "\n"))
	return cmp.Or(said, fmt.Sprintf("go %s: exit code %d", strings.Join(cmd.Args, " "), code)), nil
}

// decode reads objects that follow one another.
func decode[T any](r io.Reader) (all []T, err error) {
	for d := json.NewDecoder(r); ; {
		var one T
		if err := d.Decode(&one); err == io.EOF {
			return all, nil
		} else if err != nil {
			return all, fmt.Errorf("go list -json: output is not JSON: %w", err)
		}
		all = append(all, one)
	}
}

// A scratch is a directory for what is not to stay. It is made when it is first
// asked for.
type scratch struct {
	parent func() (string, error) // as Query.Scratch; nil, and where it fails, for the system's
	path   string
	own    bool // no other than we removes it
}

func (s *scratch) dir() (string, error) {
	if s.path != "" {
		return s.path, nil
	}
	parent := ""
	if s.parent != nil {
		parent, _ = s.parent()
	}
	dir, err := os.MkdirTemp(parent, "gox-source-")
	s.path, s.own = dir, parent == ""
	return dir, err
}

func (s *scratch) close() {
	if s.path != "" && s.own {
		discard(s.path)
	}
}

// discard removes a directory, with what go has made read-only in it.
func discard(dir string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	os.RemoveAll(dir)
}

// copyWork writes a copy of go.work into dir, with its sums beside it. It says
// the same, in absolute paths.
func (f *files) copyWork(dir string) error {
	home := filepath.Dir(f.workPath)
	var b bytes.Buffer
	for _, stmt := range f.work.Syntax.Stmt {
		line := func(word string, tokens []string) {
			// What is neither use nor replace names no path.
			switch {
			case word == "use" && len(tokens) > 0:
				fmt.Fprintf(&b, "use %s\n", modfile.AutoQuote(absolute(unquote(tokens[0]), home)))
				return
			case word == "replace":
				if i := slices.Index(tokens, "=>"); i >= 0 && i+2 == len(tokens) {
					tokens = append(slices.Clone(tokens[:i+1]), modfile.AutoQuote(absolute(unquote(tokens[i+1]), home)))
				}
			}
			fmt.Fprintln(&b, word, strings.Join(tokens, " "))
		}
		switch stmt := stmt.(type) {
		case *modfile.Line:
			line(stmt.Token[0], stmt.Token[1:])
		case *modfile.LineBlock:
			for _, l := range stmt.Line {
				line(strings.Join(stmt.Token, " "), l.Token)
			}
		}
	}
	file := filepath.Join(dir, "go.work")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		return err
	}
	sums, err := os.ReadFile(f.workPath + ".sum")
	if err == nil {
		err = os.WriteFile(file+".sum", sums, 0o600)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// unquote undoes modfile.AutoQuote.
func unquote(token string) string {
	if len(token) >= 2 && (token[0] == '"' || token[0] == '`') && token[len(token)-1] == token[0] {
		if token[0] == '`' {
			return token[1 : len(token)-1]
		}
		var s string
		if _, err := fmt.Sscanf(token, "%q", &s); err == nil {
			return s
		}
	}
	return token
}

// fileURL is the URL of an absolute path.
func fileURL(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}
