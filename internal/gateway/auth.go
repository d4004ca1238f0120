package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/version"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"example.com/gox/internal/envvar"
	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/redact"
)

// An authenticator knows the credentials that go would send. Credentials go to
// https URLs only. The user and password of a URL are not its concern: the HTTP
// client sends them where the authenticator has set none.
//
// Up to go1.23 the first entry of ~/.netrc for the host counts, up to go1.19 for
// the host without its port. Since go1.24
// GOAUTH says where credentials come from, they are kept by prefix of the URL,
// and after any 4xx they are sought anew and the request is made once more
// (cmd/go/internal/auth; the claims goproxy/credentials and http/credentials).
type authenticator struct {
	goVersion string
	goauth    string
	environ   []string
	dir       string
	client    *http.Client // that validates what git says

	netrc func() []login

	mu    sync.Mutex
	begun bool
	fatal error                  // what go would have died of
	known map[string]http.Header // by prefix of the URL, without "https://"
	tasks sync.WaitGroup
}

// A login is one entry of ~/.netrc.
type login struct{ machine, name, password string }

func newAuthenticator(c Config, transport http.RoundTripper) *authenticator {
	a := &authenticator{
		goVersion: c.GoVersion, goauth: c.GOAUTH, environ: c.Environ, dir: c.Dir,
		client: &http.Client{Transport: transport}, known: map[string]http.Header{},
	}
	if a.goauth == "" {
		a.goauth = "netrc"
	}
	a.netrc = sync.OnceValue(func() []login { return readNetrc(c.Environ) })
	return a
}

// older reports whether the go that runs is older than other.
func (a *authenticator) older(other string) bool {
	return a.goVersion != "" && version.Compare(a.goVersion, other) < 0
}

// twice reports whether go would make its request a second time.
func (a *authenticator) twice(u *url.URL, status int) bool {
	return u.Scheme == "https" && 400 <= status && status < 500 && !a.older("go1.24")
}

// header returns what is to be sent with a request for u. failed is the answer
// to the first request where this is the second one, nil else. An error is what
// go would end with.
func (a *authenticator) header(ctx context.Context, u *url.URL, failed *http.Response) (http.Header, error) {
	if u.Scheme != "https" {
		return nil, nil
	}
	if a.older("go1.24") {
		host := u.Host
		if a.older("go1.20") {
			host = u.Hostname()
		}
		for _, l := range a.netrc() {
			if l.machine == host {
				return basic(l.name, l.password), nil
			}
		}
		return nil, nil
	}
	if a.goauth == "off" {
		return nil, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.begun {
		a.begun = true
		a.fatal = a.gather(ctx, "", failed)
	}
	if failed != nil && a.fatal == nil {
		a.fatal = a.gather(ctx, u.String(), failed)
	}
	if a.fatal != nil {
		return nil, a.fatal
	}
	return a.lookup(u.String()), nil
}

// gather asks the commands of GOAUTH for credentials, for one URL where it is
// not empty. The first command counts most, so that it is asked last. A command
// that fails is passed over, as it is by go.
func (a *authenticator) gather(ctx context.Context, target string, failed *http.Response) error {
	commands := strings.Split(a.goauth, ";")
	for _, command := range slices.Backward(commands) {
		command = strings.TrimSpace(command)
		words := strings.Fields(command)
		switch {
		case len(words) == 0:
			return fmt.Errorf("GOAUTH encountered an empty command (GOAUTH=%s)", a.goauth)
		case words[0] == "off":
			return fmt.Errorf("GOAUTH=off cannot be combined with other authentication commands (GOAUTH=%s)", a.goauth)
		case words[0] == "netrc":
			for _, l := range slices.Backward(a.netrc()) {
				a.store(l.machine, basic(l.name, l.password))
			}
		case words[0] == "git":
			if len(words) != 2 || !filepath.IsAbs(words[1]) {
				return errors.New("GOAUTH=git dir method requires an absolute path to the git working directory")
			}
			if info, err := os.Stat(words[1]); err != nil || !info.IsDir() {
				return fmt.Errorf("GOAUTH=git: %s is no directory", words[1])
			}
			if target != "" {
				a.git(ctx, words[1], target)
			}
		default:
			a.command(ctx, command, target, failed)
		}
	}
	return nil
}

func basic(name, password string) http.Header {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(name, password)
	return r.Header
}

func (a *authenticator) store(prefix string, header http.Header) {
	prefix = strings.TrimPrefix(prefix, "https://")
	if !a.older("go1.25") {
		prefix = strings.TrimSuffix(prefix, "/")
	}
	if len(header) == 0 {
		delete(a.known, prefix)
		return
	}
	a.known[prefix] = header
}

// lookup returns the credentials of the longest prefix of target, by whole
// elements. go1.24 tried the whole URL and the host, and nothing between.
func (a *authenticator) lookup(target string) http.Header {
	prefix := strings.TrimPrefix(target, "https://")
	if a.older("go1.25") {
		if header, ok := a.known[prefix]; ok {
			return header
		}
		prefix, _, _ = strings.Cut(prefix, "/")
		return a.known[prefix]
	}
	prefix = strings.TrimSuffix(prefix, "/")
	for {
		if header, ok := a.known[prefix]; ok {
			return header
		}
		i := strings.LastIndexByte(prefix, '/')
		if i < 0 {
			return nil
		}
		prefix = prefix[:i]
	}
}

// run runs a program of GOAUTH as go would and returns its output, "" where it
// fails.
func (a *authenticator) run(ctx context.Context, dir, input string, words ...string) string {
	path := lookPath(words[0], a.dir, a.environ)
	if path == "" {
		return ""
	}
	var out bytes.Buffer
	code, err := gocmd.Run(ctx, gocmd.Cmd{
		Path: path, Args: words[1:], Env: a.environ, Dir: dir,
		Stdin: strings.NewReader(input), Stdout: &out,
	})
	if err != nil || code != 0 {
		return ""
	}
	return out.String()
}

// lookPath finds a program as package os/exec does in the given environment.
func lookPath(name, dir string, environ []string) string {
	if strings.ContainsAny(name, `/\`) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return name
	}
	suffixes := []string{""}
	if runtime.GOOS == "windows" {
		suffixes = []string{".exe", ".bat", ".cmd", ".com"}
	}
	for _, d := range filepath.SplitList(envvar.Get(environ, "PATH")) {
		if !filepath.IsAbs(d) {
			continue // os/exec does not run what it finds by a relative path
		}
		for _, suffix := range suffixes {
			path := filepath.Join(d, name+suffix)
			if info, err := os.Stat(path); err == nil && !info.IsDir() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0) {
				return path
			}
		}
	}
	return ""
}

// command runs one that the user wrote. It is given the URL and the answer that
// asked for credentials, and prints URLs and headers (go help goauth). The secrets
// in the URL, which go shows in the program's command line to all (the claim
// goauth-argument-password), are masked there, and what it prints of such a URL is
// taken for the one without the mask.
func (a *authenticator) command(ctx context.Context, command, target string, failed *http.Response) {
	words, ok := splitQuoted(command)
	if !ok || len(words) == 0 {
		return
	}
	unmask := strings.NewReplacer()
	if target != "" {
		shown := redact.Text(target)
		words = append(words, shown)
		if u, err := url.Parse(target); err == nil && u.User != nil {
			unmask = strings.NewReplacer(shown, target, "//"+redact.Mask+"@", "//"+u.User.String()+"@")
		}
	}
	var input strings.Builder
	if failed != nil {
		fmt.Fprintf(&input, "%s %s\n", failed.Proto, failed.Status)
		for name, values := range failed.Header {
			fmt.Fprintf(&input, "%s: %s\n", name, strings.Join(values, ", "))
		}
		input.WriteString("\n")
	}
	for prefix, header := range parseCredentials(a.run(ctx, a.dir, input.String(), words...)) {
		a.store(unmask.Replace(prefix), header)
	}
}

// splitQuoted parts words at blanks; quotes may stand around a whole word, and
// there are no escapes (cmd/internal/quoted).
func splitQuoted(s string) (words []string, ok bool) {
	for {
		s = strings.TrimLeft(s, " \t\n\r")
		if s == "" {
			return words, true
		}
		if quote := s[0]; quote == '"' || quote == '\'' {
			word, rest, ok := strings.Cut(s[1:], string(quote))
			if !ok {
				return nil, false
			}
			words, s = append(words, word), rest
			continue
		}
		end := strings.IndexAny(s, " \t\n\r")
		if end < 0 {
			end = len(s)
		}
		words, s = append(words, s[:end]), s[end:]
	}
}

// parseCredentials reads what a command of GOAUTH prints: blocks of URLs, an
// empty line, headers, an empty line. Output that is not in this form holds
// nothing.
func parseCredentials(out string) map[string]http.Header {
	all := map[string]http.Header{}
	for out != "" {
		var urls []string
		header := http.Header{}
		for inHeader := false; ; {
			line, rest, ok := strings.Cut(out, "\n")
			if !ok {
				return nil
			}
			out = rest
			switch {
			case line == "" && inHeader:
				for _, u := range urls {
					all[u] = header.Clone()
				}
			case line == "":
				inHeader = true
				continue
			case !inHeader:
				u, err := url.ParseRequestURI(line)
				if err != nil {
					return nil
				}
				urls = append(urls, u.String())
				continue
			default:
				name, value, ok := strings.Cut(line, ": ")
				if !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isToken(r) }) {
					return nil
				}
				header.Add(name, strings.TrimSpace(value))
				continue
			}
			break
		}
	}
	return all
}

// isToken reports whether r may stand in the name of a header.
func isToken(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// git asks git's credential helpers, and tells them whether what they said was
// right, as go does.
func (a *authenticator) git(ctx context.Context, dir, target string) {
	out := a.run(ctx, dir, "url="+target+"\n", "git", "credential", "fill")
	u := &url.URL{}
	var name, password string
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "protocol":
			u.Scheme = value
		case "host":
			u.Host = value
		case "path":
			u.Path = value
		case "username":
			name = value
		case "password":
			password = value
		case "url":
			if parsed, err := url.ParseRequestURI(value); err == nil {
				u = parsed
			}
		}
	}
	prefix := u.String()
	if prefix == "" || !strings.HasPrefix(target, prefix) {
		return
	}
	header := basic(name, password)
	a.store(prefix, header)
	a.tasks.Go(func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, prefix, nil)
		if err != nil {
			return
		}
		req.Header = header
		res, err := a.client.Do(req)
		if err != nil {
			return
		}
		res.Body.Close()
		switch res.StatusCode {
		case http.StatusOK:
			a.run(ctx, "", out, "git", "credential", "approve")
		case http.StatusUnauthorized:
			a.run(ctx, "", out, "git", "credential", "reject")
		}
	})
}

// wait returns when what git is told is told.
func (a *authenticator) wait() { a.tasks.Wait() }

// readNetrc returns the entries of the file that NETRC names, else of ~/.netrc,
// nil where it cannot be read.
func readNetrc(environ []string) []login {
	path := envvar.Get(environ, "NETRC")
	if path == "" {
		home := envvar.Get(environ, "HOME")
		if runtime.GOOS == "windows" {
			home = envvar.Get(environ, "USERPROFILE")
		}
		if home == "" {
			return nil
		}
		path = filepath.Join(home, ".netrc")
		if legacy := filepath.Join(home, "_netrc"); runtime.GOOS == "windows" {
			if _, err := os.Stat(legacy); err == nil {
				path = legacy
			}
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return parseNetrc(string(data))
}

// parseNetrc reads a netrc file as go does (cmd/go/internal/auth, parseNetrc):
// words in pairs, line by line; an entry needs machine, login and password; a
// macro ends with an empty line; of default go takes no notice but to let the
// pair be.
func parseNetrc(data string) []login {
	var all []login
	var l login
	macro := false
	for line := range strings.SplitSeq(data, "\n") {
		if macro {
			macro = line != ""
			continue
		}
		words := strings.Fields(line)
		i := 0
		for ; i+1 < len(words); i += 2 {
			switch value := words[i+1]; words[i] {
			case "machine":
				l = login{machine: value}
			case "login":
				l.name = value
			case "password":
				l.password = value
			case "macdef":
				macro = true
			}
			if l.machine != "" && l.name != "" && l.password != "" {
				all = append(all, l)
				l = login{}
			}
		}
		if i < len(words) && words[i] == "default" {
			break
		}
	}
	return all
}
