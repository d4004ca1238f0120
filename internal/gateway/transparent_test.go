package gateway

import (
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/gox/internal/gotest"
)

var everything = flag.Bool("everything", false, "cross all shapes of GOPROXY with all faults")

func discard() *log.Logger { return log.New(io.Discard, "", 0) }

// A run behind the gateway ends as the run without it: same exit code, same
// go.mod, go.sum and module cache, and the same words but for the URL.
func TestTransparent(t *testing.T) {
	for _, version := range []string{"1.18", "1.22", "1.27"} {
		goPath := gotest.Toolchain(t, version)
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			testTransparent(t, version, goPath)
		})
	}
}

func testTransparent(t *testing.T, version, goPath string) {
	// A speaks HTTP/2, H does not; they fail. B is there to be asked after them.
	a, h, b, c, bad := newSite(t, true), newSite(t, false), newSite(t, false), newSite(t, true), untrusted(t)
	dir := filepath.Join(t.TempDir(), "mirror")
	for name, data := range a.files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"SSL_CERT_FILE=" + a.certificate(t), "SSL_CERT_DIR=" + t.TempDir()}
	words := strings.NewReplacer(
		"NOSCHEME", strings.TrimPrefix(a.URL, "https://"), "UNTRUSTED", bad.URL, "REFUSED", "https://127.0.0.1:1",
		"NOWHERE", "https://nowhere.test", "USER", "https://gopher:secret@"+strings.TrimPrefix(a.URL, "https://"),
		"PLAIN", "http://gopher:secret@"+strings.TrimPrefix(b.URL, "http://"),
		"EMPTYDIR", "file://"+filepath.ToSlash(t.TempDir()), "FILE", "file://"+filepath.ToSlash(dir), "DIR", dir,
		"A", a.URL, "B", b.URL, "C", c.URL, "H", h.URL)
	shapes := []string{
		"H,B", "H|B", "A,B", "A|B", "A", "A,B|C", "A|B,C", "A,direct", "A|direct", "A,off", "A|off",
		" A , B ", ",A,,B,", "A/", "A/base/path,B", "A?key=value", "NOSCHEME", "USER|B", "PLAIN,B", "FILE,A",
		"off", "direct", "A,direct,B", "word,A", "A,word", "ftp://x.test,A", "DIR,A", "file:relative", "FILE", "EMPTYDIR,B", "EMPTYDIR",
		"REFUSED,B", "REFUSED|B", "REFUSED,direct", "UNTRUSTED,B", "UNTRUSTED|B", "NOWHERE,B", "NOWHERE|B", "https://%zz,A", ",",
	}
	gosum := sumOf(t, a.files)
	kinds := faults()
	trials := 0
	for _, shape := range shapes {
		for _, fault := range slices.Sorted(maps.Keys(kinds)) {
			fails := regexp.MustCompile(`\b[AH]\b|NOSCHEME|USER`).MatchString(shape)
			few := fault == "fine" || fails && slices.Contains([]string{"404", "403"}, fault)
			many := shape == "H,B" ||
				shape == "H|B" && slices.Contains([]string{"500", "closed", "truncated", "nothing-of-body", "altered", "html"}, fault) ||
				slices.Contains([]string{"A,B", "A|B"}, shape) && slices.Contains([]string{"truncated", "closed", "redirect", "599"}, fault)
			if version == "1.22" {
				few, many = fault == "fine", false
			}
			if !few && !many && !(fails && *everything) {
				continue
			}
			trials++
			list := words.Replace(shape)
			attempt := func(goproxy string) (goRun, []string) {
				a.fail(kinds[fault])
				h.fail(kinds[fault])
				b.fail(nil)
				run := runGo(t, goPath, append(env, "GOPROXY="+goproxy), gosum, "get", "example.com/dep@v1.0.0")
				return run, slices.Concat(a.requests(), h.requests(), b.requests())
			}
			without, want := attempt(list)
			g, records := start(t, Config{GOPROXY: list, GoVersion: "go" + version, Environ: append(goEnviron(t.TempDir()), env...)})
			with, got := attempt(g.GOPROXY())
			g.Close()
			with.stderr = g.plain(with.stderr)
			what := fmt.Sprintf("GOPROXY=%s, fault %s", shape, fault)
			if diff := differ(without, with); diff != "" {
				t.Errorf("%s: %s\nrecords: %s", what, diff, show(records()))
			}
			if without.code != 0 {
				// go looks for a module at all prefixes of a path at once. If it
				// dies of one, the others may not have been asked for yet.
				above := func(request string) bool { return strings.Contains(request, "/example.com/@v/") }
				want, got = slices.DeleteFunc(want, above), slices.DeleteFunc(got, above)
			}
			if !slices.Equal(want, got) {
				t.Errorf("%s: asked\n%q\nbehind the gateway\n%q", what, want, got)
			}
			if strings.Contains(with.stderr, "secret") || strings.Contains(show(records()), "secret") {
				t.Errorf("%s: a password is told: %s%s", what, with.stderr, show(records()))
			}
			for name, data := range with.files {
				if strings.Contains(data, g.token) || strings.Contains(data, g.address) {
					t.Errorf("%s: %s holds the gateway's address", what, name)
				}
			}
		}
	}
	t.Logf("%d trials", trials)
}

// differ tells in what two runs differ, "" if in nothing that counts.
func differ(without, with goRun) string {
	var diff []string
	if without.code != with.code {
		diff = append(diff, fmt.Sprintf("exit code %d, behind the gateway %d", without.code, with.code))
	}
	if want, got := loose(without.stderr), loose(with.stderr); want != got {
		diff = append(diff, fmt.Sprintf("it says\n%s\nbehind the gateway\n%s", want, got))
	}
	for name := range maps.Keys(without.files) {
		if _, ok := with.files[name]; !ok {
			diff = append(diff, "not there behind the gateway: "+name)
		} else if without.files[name] != with.files[name] {
			diff = append(diff, "another behind the gateway: "+name)
		}
	}
	for name := range maps.Keys(with.files) {
		if _, ok := without.files[name]; !ok {
			diff = append(diff, "there only behind the gateway: "+name)
		}
	}
	return strings.Join(diff, "\n")
}

// loose takes out of go's words what cannot be the same: how an error of a
// connection is dressed, and port numbers.
func loose(text string) string {
	for _, r := range [][2]string{
		// The gateway hands an error of its connection on in a 502.
		{`reading \S+: 502 Bad Gateway\n\tserver response: `, ""},
		{`reading (\S+): 404 Not Found\n\tserver response: no such file or directory`, "reading $1: no such file or directory"},
		{`(read tcp )[0-9.:]+->[0-9.:]+`, "$1"},
		// Of the URL: a query, which is masked, and a slash at its end.
		{`\?(key=value|xxxxx)`, ""},
		{`(from proxy "[^"]*)/"`, `$1"`},
		// HTTP/2 has other words for a body that breaks off than HTTP/1.1, in
		// which the gateway speaks to go.
		{`stream error: stream ID \d+; INTERNAL_ERROR; received from peer`, "unexpected EOF"},
	} {
		text = regexp.MustCompile(r[0]).ReplaceAllString(text, r[1])
	}
	return text
}

func TestEntries(t *testing.T) {
	tests := []struct{ list, want string }{
		{"https://a.test", "P/0-a.test"},
		{"https://a.test/x/", "P/0-a.test"},
		{"a.test:8080/x", "P/0-a.test"},
		{"https://a.test,https://b.test|https://c.test", "P/0-a.test,P/1-b.test|P/2-c.test"},
		{" https://a.test , | , https://b.test ", "P/0-a.test, | ,P/1-b.test"},
		{"https://a.test,direct", "P/0-a.test,direct"},
		{"https://a.test,off", "P/0-a.test,off"},
		{"https://a.test,direct,https://b.test", "P/0-a.test,direct,https://b.test"},
		{"off", "off"},
		{"direct", "direct"},
		{"word,https://a.test", "word,P/1-a.test"},
		{"http://a.test", "P/0-a.test"},
		{"http://u:p@a.test", "http://u:p@a.test"}, // go's to refuse
		{"https://u:p@a.test", "P/0-a.test"},
		{"file:///dir", "P/0-file"},
		{"file://host/dir", "file://host/dir"},
		{"file:dir", "file:dir"},
		{"ftp://a.test", "ftp://a.test"},
		{"/dir", "/dir"},
		{"https://[::1]:80", "P/0---1"},
		{"", ""},
		{",", ","},
	}
	for _, test := range tests {
		if got, _ := entries(test.list, "P/"); got != test.want {
			t.Errorf("%q: %q, want %q", test.list, got, test.want)
		}
	}
}

func TestTarget(t *testing.T) {
	tests := []struct{ base, below, want string }{
		{"https://a.test", "/x/@v/list", "/x/@v/list"},
		{"https://a.test/", "/github.com/!burnt/@v/list", "/github.com/%21burnt/@v/list"},
		{"https://a.test/base", "/github.com/!burnt/@v/list", "/base/github.com/%21burnt/@v/list"},
		{"https://a.test/base//x", "/m/@v/list", "/base/x/m/@v/list"},
		{"https://a.test", "/sumdb/sum.test/lookup/github.com/!burnt@v1.0.0", "/sumdb/sum.test/lookup/github.com/!burnt@v1.0.0"},
		{"https://a.test/base?k=v", "/m/@v/list", "/base/m/@v/list?k=v"},
	}
	for _, test := range tests {
		u, err := url.Parse(test.base)
		if err != nil {
			t.Fatal(err)
		}
		up := &upstream{url: u}
		if got := up.target(test.below).RequestURI(); got != test.want {
			t.Errorf("%s%s: %q, want %q", test.base, test.below, got, test.want)
		}
	}
}
