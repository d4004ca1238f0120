package testscripts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"example.com/gox/internal/gocmd"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// A repo is a git repository that a script brings along: one commit on its
// branch main per version, in the order of the file, tagged where the version
// is one.
type repo struct {
	root     string // host/path
	versions []string
	files    map[string][]file // by version
}

// addToRepo puts a file, called root@version/file, into a repository.
func (s *Script) addToRepo(name string, data []byte) error {
	m, name, err := splitModule(name)
	if err != nil || m.Version == "" {
		return errors.New("not of the form host/path@version/file")
	}
	i := slices.IndexFunc(s.repos, func(r *repo) bool { return r.root == m.Path })
	if i < 0 {
		i = len(s.repos)
		s.repos = append(s.repos, &repo{root: m.Path, files: map[string][]file{}})
	}
	r := s.repos[i]
	if r.files[m.Version] == nil {
		r.versions = append(r.versions, m.Version)
	}
	r.files[m.Version] = append(r.files[m.Version], file{name, data})
	return nil
}

// tags returns those of a version: its own, and one for each nested module.
func (r *repo) tags(version string) []string {
	if !semver.IsValid(version) {
		return nil
	}
	tags := []string{version}
	for _, f := range r.files[version] {
		if dir, base := path.Split(f.name); base == "go.mod" && dir != "" {
			tags = append(tags, dir+version)
		}
	}
	return tags
}

// depot returns the modules of a repository as a module proxy would have them.
func (r *repo) depot() *depot {
	d := newDepot()
	for _, v := range r.versions {
		for _, f := range r.files[v] {
			d.add(module.Version{Path: r.root, Version: v}, f.name, f.data)
		}
	}
	return d
}

// stream returns the repository for git fast-import.
func (r *repo) stream() []byte {
	var b bytes.Buffer
	data := func(p []byte) { fmt.Fprintf(&b, "data %d\n%s\n", len(p), p) }
	when := commitTime().Unix()
	for i, v := range r.versions {
		fmt.Fprintf(&b, "commit refs/heads/main\nmark :%d\ncommitter gox <gox@example.com> %d +0000\n", i+1, when)
		data([]byte(v))
		b.WriteString("deleteall\n")
		for _, f := range r.files[v] {
			fmt.Fprintf(&b, "M 100644 inline %s\n", f.name)
			data(f.data)
		}
		for _, tag := range r.tags(v) {
			fmt.Fprintf(&b, "reset refs/tags/%s\nfrom :%d\n", tag, i+1)
		}
	}
	return b.Bytes()
}

// A forge serves the git repositories of one host, and the pages that tell go
// where they are.
type forge struct {
	host  string
	repos []*repo
	git   http.Handler
}

// newForge makes the repositories of a host below dir. The program git runs
// under env.
func newForge(ctx context.Context, host, dir, git string, env []string, repos []*repo) (*forge, error) {
	f := &forge{host: host}
	for _, r := range repos {
		under, ok := strings.CutPrefix(r.root, host+"/")
		if !ok {
			continue
		}
		f.repos = append(f.repos, r)
		bare := filepath.Join(dir, filepath.FromSlash(under)+".git")
		if err := os.MkdirAll(bare, 0o777); err != nil {
			return nil, err
		}
		for _, c := range []struct {
			args  []string
			stdin []byte
		}{
			{[]string{"init", "--bare", "--quiet", "--initial-branch=main", "--template="}, nil},
			{[]string{"fast-import", "--quiet"}, r.stream()},
		} {
			var out bytes.Buffer
			code, err := gocmd.Run(ctx, gocmd.Cmd{Path: git, Args: c.args, Env: env, Dir: bare, Stdin: bytes.NewReader(c.stdin), Stdout: &out, Stderr: &out})
			if err == nil && code != 0 {
				err = fmt.Errorf("git %s: exit code %d\n%s", c.args[0], code, out.String())
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.root, err)
			}
		}
	}
	f.git = &cgi.Handler{
		Path: git, Args: []string{"http-backend"}, Root: "/", Dir: dir,
		Env:    append(slices.Clone(env), "GIT_PROJECT_ROOT="+dir, "GIT_HTTP_EXPORT_ALL=1"),
		Logger: discardLog(), Stderr: io.Discard,
	}
	return f, nil
}

// repo returns the repository that a URL path is in, or below; rest is what
// follows its root.
func (f *forge) repo(urlPath string) (r *repo, rest string) {
	for _, r := range f.repos {
		if rest, ok := strings.CutPrefix(f.host+urlPath, r.root); ok && (rest == "" || rest[0] == '/' || strings.HasPrefix(rest, ".git/")) {
			return r, rest
		}
	}
	return nil, ""
}

func (f *forge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	repo, rest := f.repo(r.URL.Path)
	switch {
	case repo == nil:
		http.Error(w, "no repository here", http.StatusNotFound)
	case r.URL.Query().Get("go-get") == "1":
		root := html.EscapeString(repo.root)
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		fmt.Fprintf(w, "<!DOCTYPE html>\n<meta name=\"go-import\" content=\"%s git https://%[1]s.git\">\n", root)
	default:
		rest = strings.TrimPrefix(rest, ".git")
		r.URL.Path = strings.TrimPrefix(repo.root, f.host) + ".git" + rest
		f.git.ServeHTTP(w, r)
	}
}
