package profiles

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestProxies(t *testing.T) {
	for _, tt := range []struct{ list, joined, entries string }{
		{"", "", ""},
		{"direct", "direct", "direct"},
		{"a;b;direct", "a,b,direct", "a b direct"},
		{"a;|;b;direct", "a|b,direct", "a b direct"},
		{"a;,;b", "a,b", "a b"},
		{"a;|;,;b", "a,b", "a b"},
		{"|;a;|", "a", "a"},
		{" a ; | ;;\tb\t", "a|b", "a b"},
		{"a,b;|;c|d", "a,b|c|d", "a b c d"},
		{"a,;b", "a,,b", "a b"},
	} {
		joined := joinProxies(strings.Split(tt.list, ";"))
		if joined != tt.joined {
			t.Errorf("%q: joined %q, want %q", tt.list, joined, tt.joined)
		}
		if got := strings.Join(splitProxies(joined), " "); got != tt.entries {
			t.Errorf("%q: entries %q, want %q", joined, got, tt.entries)
		}
	}
}

func FuzzProxies(f *testing.F) {
	for _, seed := range []string{"https://a.example,|direct", "a|b,c", " , ", "\u00a0a", "||", "a;|;b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		entries := splitProxies(value)
		for _, entry := range entries {
			if entry == "" || strings.ContainsAny(entry, ",|") || strings.TrimSpace(entry) != entry {
				t.Errorf("%q: %q is no entry", value, entry)
			}
		}
		if again := splitProxies(joinProxies(entries)); !slices.Equal(again, entries) {
			t.Errorf("%q joined and split is %q", entries, again)
		}
		// Any list means the entries of its elements, in their order.
		list := strings.Split(value, ";")
		var want []string
		for _, element := range list {
			want = append(want, splitProxies(element)...)
		}
		if got := splitProxies(joinProxies(list)); !slices.Equal(got, want) {
			t.Errorf("%q joined and split is %q, want %q", list, got, want)
		}
		for _, fault := range checkProxies(value) {
			if fault[0] == "" {
				t.Errorf("%q: a fault without a text", value)
			}
		}
	})
}

// The go command asks the entries that splitProxies returns, in their order,
// as far as checkProxies says that it reads them.
func TestProxiesAgainstGo(t *testing.T) {
	var mu sync.Mutex
	var asked []string // the first elements of the paths, each once in a row
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		name, status := r.URL.Path, http.StatusNotFound
		if r.Method == http.MethodConnect || r.URL.Host != "" {
			name = "direct" // through HTTPS_PROXY
			status = http.StatusForbidden
		} else {
			name, _, _ = strings.Cut(strings.TrimPrefix(name, "/"), "/")
			if strings.HasPrefix(name, "bad") {
				status = http.StatusInternalServerError
			}
		}
		if len(asked) == 0 || asked[len(asked)-1] != name {
			asked = append(asked, name)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	gos := realGos(t)
	for _, tt := range []struct {
		name  string
		value string // U/x is the proxy x; those whose name begins with bad say 500
		list  string // or the list form, parted by blanks
		want  string // whom go asks; "" says that it refuses the value
	}{
		{name: "one", value: "U/a", want: "a"},
		{name: "comma", value: "U/a,U/b", want: "a b"},
		{name: "bar", value: "U/a|U/b", want: "a b"},
		{name: "comma stops at an error", value: "U/bad,U/b", want: "bad"},
		{name: "bar does not", value: "U/bad|U/b", want: "bad b"},
		{name: "list", list: "U/a U/b", want: "a b"},
		{name: "list with a comma written out", list: "U/bad , U/b", want: "bad"},
		{name: "list with a bar", list: "U/bad | U/b", want: "bad b"},
		{name: "list with two bars", list: "U/bad | U/bad2 | U/c", want: "bad bad2 c"},
		{name: "list, bar then comma", list: "U/bad | U/bad2 U/c", want: "bad bad2"},
		{name: "list with text in it", list: "U/bad|U/b U/c", want: "bad b c"},
		{name: "blanks", value: " U/a ,\tU/b ", want: "a b"},
		{name: "line feed", value: "U/a\n,U/b", want: "a b"},
		{name: "odd blanks", value: "\u00a0U/a\u2003|\vU/b", want: "a b"},
		{name: "empty entries", value: ",U/a,,|U/b,", want: "a b"},
		{name: "the separator after an entry is its own, then comma", value: "U/bad,|U/b", want: "bad"},
		{name: "the separator after an entry is its own, then bar", value: "U/bad|,U/b", want: "bad b"},
		{name: "direct", value: "U/a,direct", want: "a direct"},
		{name: "after direct", value: "U/a,direct,U/b", want: "a direct"},
		{name: "direct with blanks", value: "U/a, direct ,U/b", want: "a direct"},
		{name: "off", value: "U/a,off", want: "a"},
		{name: "after off", value: "U/a,off|U/b", want: "a"},
		{name: "no scheme", value: "H/a", want: "direct"}, // https://H/a, by HTTPS_PROXY
		{name: "bare word", value: "U/a,proxy,U/b"},
		{name: "upper case", value: "U/a,DIRECT"},
		{name: "separators alone", value: ",|,"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fill := strings.NewReplacer("U", server.URL, "H", "h.example")
			value := fill.Replace(tt.value)
			if tt.list != "" {
				value = joinProxies(strings.Fields(fill.Replace(tt.list)))
			}
			// What is read here.
			var entries []string
			for _, entry := range splitProxies(value) {
				name := strings.TrimPrefix(entry, server.URL+"/")
				if name == "h.example/a" {
					name = "direct"
				}
				if name == "off" {
					break
				}
				entries = append(entries, name)
				if name == "direct" {
					break
				}
			}
			refused := false
			for _, fault := range checkProxies(value) {
				refused = refused || !strings.HasPrefix(fault[0], "entry after")
			}
			if refused != (tt.want == "") {
				t.Errorf("checkProxies: %q", checkProxies(value))
			}
			// A "," after a failing entry ends the walk, which is no matter of splitProxies.
			if got := strings.Join(entries, " "); !refused && !strings.HasPrefix(got+" ", tt.want+" ") {
				t.Errorf("splitProxies: %q, want %q", got, tt.want)
			}
			for _, g := range gos {
				dir := t.TempDir()
				mu.Lock()
				asked = nil
				mu.Unlock()
				stdout, stderr, err := g.run(t, dir, []string{
					"GOPROXY=" + value, "GOMODCACHE=" + filepath.Join(dir, "mod"), "GOFLAGS=-modcacherw", "GOVCS=*:off",
					"HTTPS_PROXY=" + server.URL, "https_proxy=", "NO_PROXY=", "no_proxy=",
				}, "mod", "download", "-json", "example.test/m@v1.0.0")
				if err == nil {
					t.Fatalf("%s: downloaded: %s", g.version, stdout)
				}
				var answer struct{ Error string }
				json.Unmarshal([]byte(stdout), &answer)
				mu.Lock()
				got := strings.Join(slices.Compact(asked), " ")
				mu.Unlock()
				if got != tt.want {
					t.Errorf("%s asked %q, want %q\n%s%s", g.version, got, tt.want, fmt.Sprint(answer.Error), stderr)
				}
			}
		})
	}
}
