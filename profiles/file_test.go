package profiles

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// parsed parses text as the project's file /repo/profiles.toml.
func parsed(t testing.TB, text string) *File {
	t.Helper()
	f, err := parse("/repo/profiles.toml", Project, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// problemsOf returns the problems that err consists of.
func problemsOf(err error) Problems {
	var many Problems
	var one *Problem
	switch {
	case errors.As(err, &many):
		return many
	case errors.As(err, &one):
		return Problems{one}
	}
	return nil
}

func TestParseEveryKey(t *testing.T) {
	f := parsed(t, `default = "office"
[profile.office]
description = "company proxy"
extends     = "base"
go          = "1.22"
goproxy     = ["https://goproxy.corp.example", "|", "https://b.example", "direct"]
gosumdb     = "sum.golang.google.cn"
goprivate   = ["git.corp.example", "*.git.corp.example"]
gonoproxy   = "none"
gonosumdb   = ["git.corp.example"]
goinsecure  = []
govcs       = ["public:git", "private:all"]
goauth      = ["netrc", "off"]
gotoolchain = "local"
gocache     = "./cache"
gowork      = "off"
modfile     = "go.office.mod"
mod         = "readonly"
modcache    = "isolated"
goflags     = ["-trimpath", "-tags=a b"]
clean       = true
record = "audit.jsonl"
retry = 3
breaker = 5
timeout = "30s"
resolver = "tls://192.0.2.53"
cafile = "ca.pem"
[profile.office.env]
CGO_ENABLED = "0"
GONE        = false
EMPTY       = ""
[profile.office.git]
http.sslCAInfo = "/ca.pem"
http.sslVerify = true
credential.helper = ["", "store"]
[profile.office.hosts]
proxy.corp.example = "192.0.2.7"
`)
	want := []string{
		"3 description company proxy",
		"4 extends base",
		"5 go 1.22",
		"6 goproxy https://goproxy.corp.example|https://b.example,direct",
		"7 gosumdb sum.golang.google.cn",
		"8 goprivate git.corp.example,*.git.corp.example",
		"9 gonoproxy none",
		"10 gonosumdb git.corp.example",
		"11 goinsecure ",
		"12 govcs public:git,private:all",
		"13 goauth netrc; off",
		"14 gotoolchain local",
		"15 gocache ./cache",
		"16 gowork off",
		"17 modfile go.office.mod",
		"18 mod readonly",
		"19 modcache isolated",
		"20 goflags -trimpath -tags=a b",
		"21 clean true",
		"22 record audit.jsonl",
		"23 retry 3",
		"24 breaker 5",
		"25 timeout 30s",
		"26 resolver tls://192.0.2.53",
		"27 cafile ca.pem",
		"29 env.CGO_ENABLED 0",
		"30 env.GONE false",
		"31 env.EMPTY ",
		"33 git.http.sslCAInfo /ca.pem",
		"34 git.http.sslVerify true",
		"35 git.credential.helper ,store",
		"37 hosts.proxy.corp.example 192.0.2.7",
	}
	office := f.profiles["office"]
	if office.pos.Line() != 2 {
		t.Errorf("office stands at %v, want line 2", office.pos)
	}
	if len(office.values) != len(want) {
		t.Errorf("%d values, want %d", len(office.values), len(want))
	}
	for _, w := range want {
		key := strings.Fields(w)[1]
		v := office.values[key]
		if v == nil {
			t.Errorf("no value for %s", key)
			continue
		}
		if got := fmt.Sprintf("%d %s %s", v.Pos.Line(), v.Key, v); got != w {
			t.Errorf("got  %s\nwant %s", got, w)
		}
		if v.Profile != "office" || v.Scope != Project || v.Pos.File != "/repo/profiles.toml" {
			t.Errorf("%s: profile %q, scope %v, file %q", key, v.Profile, v.Scope, v.Pos.File)
		}
	}
	if got := f.defaultName.String(); got != "office" {
		t.Errorf("default is %q", got)
	}
	for _, k := range keys {
		if office.values[k.name] == nil {
			t.Errorf("the test leaves %s out", k.name)
		}
	}
}

func TestLines(t *testing.T) {
	for _, tt := range []struct{ name, text, profile, key, want string }{
		{"table", "\n[profile.x]\n", "x", "", "2"},
		{"key", "[profile.x]\n\nmod = \"mod\"\n", "x", "mod", "3"},
		{"dotted", "profile.x.mod = \"mod\"", "x", "mod", "1"},
		{"dotted table", "profile.x.mod = \"mod\"", "x", "", "1"},
		{"quoted", "[profile.\"x\"]\n'mod' = \"mod\"", "x", "mod", "2"},
		{"name with a dot", "[profile.\"x.y\"]\nmod = \"mod\"", "x.y", "mod", "2"},
		{"inline table", "\nprofile.x = { gowork = \"off\", env = { A = \"1\" } }", "x", "env.A", "2"},
		{"inline profile", "\nprofile.x = { gowork = \"off\" }", "x", "", "2"},
		{"all inline", "\nprofile = { x = { gowork = \"off\" } }", "x", "gowork", "2"},
		{"list over lines", "[profile.x]\ngoproxy = [\n  \"https://a.example\",\n]\n", "x", "goproxy", "2"},
		{"after a list over lines", "[profile.x]\ngoproxy = [\n  \"https://a.example\",\n]\nmod=\"mod\"", "x", "mod", "5"},
		{"text over lines", "[profile.x]\ndescription = \"\"\"\na\nb\n\"\"\"\n", "x", "description", "2"},
		{"after text over lines", "[profile.x]\ndescription = '''\na\nb\n'''\nmod = \"mod\"\n", "x", "mod", "6"},
		{"CRLF", "[profile.x]\r\nmod = \"mod\"\r\n", "x", "mod", "2"},
		{"byte order mark", "\ufeff[profile.x]\nmod = \"mod\"\n", "x", "mod", "2"},
		{"table implied by its env", "\n\n[profile.x.env]\nA = \"1\"\n", "x", "", "3"},
		{"table implied by several", "\n[profile.x.git]\na.b=\"1\"\n[profile.x.env]\nA = \"1\"\n", "x", "", "2"},
		{"git with a URL", "[profile.x.git]\nurl.\"ssh://git@h.example/\".insteadOf = \"https://h.example/\"", "x", "git.url.ssh://git@h.example/.insteadOf", "2"},
		{"git with a table for a URL", "[profile.x.git.url.\"ssh://git@h.example/\"]\ninsteadOf = \"https://h.example/\"", "x", "git.url.ssh://git@h.example/.insteadOf", "2"},
		{"git dotted", "[profile.x]\n\ngit.http.sslCAInfo = \"/x\"", "x", "git.http.sslCAInfo", "3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parsed(t, tt.text)
			s := f.profiles[tt.profile]
			if s == nil {
				t.Fatalf("no profile %q", tt.profile)
			}
			pos := s.pos
			if tt.key != "" {
				if s.values[tt.key] == nil {
					t.Fatalf("no value for %q", tt.key)
				}
				pos = s.values[tt.key].Pos
			}
			if got := fmt.Sprint(pos.Line()); got != tt.want {
				t.Errorf("line %s, want %s", got, tt.want)
			}
		})
	}
}

func TestParseFaults(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"entry after direct",
			strings.Repeat("\n", 12) + "[profile.corp]\ngoproxy = [\"direct\", \"https://a.example\"]",
			"profiles.toml:14: [profile.corp] goproxy: entry after \"direct\" is never used: https://a.example\n\t\"direct\" ends the list; move it last"},
		{"entry after off", "[profile.x]\ngoproxy = \"off,https://a.example\"",
			"profiles.toml:2: [profile.x] goproxy: entry after \"off\" is never used: https://a.example\n\t\"off\" ends the list; move it last"},
		{"two entries after direct", "[profile.x]\ngoproxy = \"direct|b.example,direct\"",
			"profiles.toml:2: [profile.x] goproxy: entry after \"direct\" is never used: b.example\n\t\"direct\" ends the list; move it last\n" +
				"profiles.toml:2: [profile.x] goproxy: entry after \"direct\" is never used: direct\n\t\"direct\" ends the list; move it last"},
		{"bare word", "[profile.x]\ngoproxy = [\"goproxy\"]",
			"profiles.toml:2: [profile.x] goproxy: entry \"goproxy\" is neither a URL nor direct or off\n\twrite https://goproxy"},
		{"default with others", "[profile.x]\ngoproxy = [\"default\", \"direct\"]",
			"profiles.toml:2: [profile.x] goproxy: \"default\" stands alone: it means all of go's own default list\n\twrite out the list instead"},
		{"no entry", "[profile.x]\ngoproxy = []",
			"profiles.toml:2: [profile.x] goproxy: is empty, and go takes an empty GOPROXY for an unset one\n\twrite \"off\" for no source at all, or \"direct\" for version control only"},

		{"unknown key, near", "[profile.x]\ngoprxy = \"off\"",
			"profiles.toml:2: [profile.x] goprxy: unknown key\n\tdid you mean goproxy?"},
		{"unknown key, swapped", "[profile.x]\nmdo = \"mod\"",
			"profiles.toml:2: [profile.x] mdo: unknown key\n\tdid you mean mod?"},
		{"unknown key, upper case", "[profile.x]\nGOPROXY = \"off\"",
			"profiles.toml:2: [profile.x] GOPROXY: unknown key\n\tdid you mean goproxy?"},
		{"unknown key, far", "[profile.x]\ncompiler = \"gc\"",
			"profiles.toml:2: [profile.x] compiler: unknown key\n\ta variable without a key of its own goes into [profile.x.env]"},
		{"unknown table", "[profile.x.environ]\nA = \"1\"",
			"profiles.toml:1: [profile.x] environ: unknown key\n\ta name with a dot stands in quotes: [profile.\"x.environ\"]"},
		{"unknown top-level key, near", "defaults = \"x\"",
			"profiles.toml:1: defaults: unknown key\n\tdid you mean default?"},
		{"unknown top-level table", "[profiles.x]\nmod = \"mod\"",
			"profiles.toml:1: profiles: unknown key\n\tdid you mean profile?"},
		{"unknown top-level key, far", "\nversion = 2",
			"profiles.toml:2: version: unknown key\n\ta file has the key default and the tables [profile.NAME]"},

		{"text: a boolean", "[profile.x]\nextends = true", "profiles.toml:2: [profile.x] extends: wants a string, has a boolean\n\twrite: extends = \"…\""},
		{"text: a float", "[profile.x]\ngo = 1.22", "profiles.toml:2: [profile.x] go: wants a string, has a float\n\twrite: go = \"…\""},
		{"text: a list", "[profile.x]\nmodfile = [\"a.mod\"]", "profiles.toml:2: [profile.x] modfile: wants a string, has a list\n\twrite: modfile = \"…\""},
		{"text: a table", "[profile.x.mod]\na=1", "profiles.toml:1: [profile.x] mod: wants a string, has a table\n\twrite: mod = \"…\""},
		{"text: a date", "[profile.x]\ngocache = 2026-01-01", "profiles.toml:2: [profile.x] gocache: wants a string, has a date\n\twrite: gocache = \"…\""},
		{"truth: a string", "[profile.x]\nclean = \"true\"", "profiles.toml:2: [profile.x] clean: wants true or false, has a string\n\twrite: clean = true"},
		{"list: an integer", "[profile.x]\ngoproxy = 1", "profiles.toml:2: [profile.x] goproxy: wants a string or a list of strings, has an integer\n\twrite: goproxy = [\"…\", \"…\"]"},
		{"list: an integer within", "[profile.x]\ngoflags = [\"-v\", 1]", "profiles.toml:2: [profile.x] goflags: wants strings in its list, has an integer\n\twrite: goflags = [\"…\", \"…\"]"},
		{"list: a list within", "[profile.x]\ngoflags = [[\"-v\"]]", "profiles.toml:2: [profile.x] goflags: wants strings in its list, has a list\n\twrite: goflags = [\"…\", \"…\"]"},
		{"list: tables", "[[profile.x.goflags]]\na=1", "profiles.toml:1: [profile.x] goflags: wants a string or a list of strings, has a list\n\twrite: goflags = [\"…\", \"…\"]"},
		{"env: an integer", "[profile.x.env]\nCGO_ENABLED = 0", "profiles.toml:2: [profile.x] env.CGO_ENABLED: wants a string, has an integer\n\twrite: CGO_ENABLED = \"0\""},
		{"env: true", "[profile.x.env]\nA = true", "profiles.toml:2: [profile.x] env.A: wants a string, or false to unset it\n\twrite: A = \"true\""},
		{"env: a table", "[profile.x.env.A]\nB = \"1\"", "profiles.toml:1: [profile.x] env.A: wants a string, or false to unset it, has a table"},
		{"env: a list", "[profile.x.env]\nA = [\"1\"]", "profiles.toml:2: [profile.x] env.A: wants a string, or false to unset it, has a list\n\twrite: A = \"…\""},
		{"env: no table", "[profile.x]\nenv = \"A=1\"", "profiles.toml:2: [profile.x] env: wants a table, has a string\n\twrite: [profile.x.env]"},
		{"git: no table", "[profile.x]\ngit = []", "profiles.toml:2: [profile.x] git: wants a table, has a list\n\twrite: [profile.x.git]"},
		{"git: an integer", "[profile.x.git]\nhttp.postBuffer = 5", "profiles.toml:2: [profile.x] git.http.postBuffer: wants a string, has an integer\n\twrite: http.postBuffer = \"5\""},
		{"git: an integer within a list", "[profile.x.git]\na.b = [\"x\", 5]", "profiles.toml:2: [profile.x] git.a.b: wants strings in its list, has an integer"},
		{"git: no section", "[profile.x.git]\nuser = \"me\"", "profiles.toml:2: [profile.x] git.user: is no git configuration key\n\twrite section.key, or url.\"BASE\".insteadOf"},
		{"default: a list", "default = [\"x\"]", "profiles.toml:1: default: wants a string, has a list\n\twrite: default = \"NAME\""},
		{"profile: a string", "profile = \"x\"", "profiles.toml:1: profile: wants tables, has a string\n\twrite: [profile.NAME]"},
		{"profile: a list of tables", "[[profile]]\nmod = \"mod\"", "profiles.toml:1: profile: wants tables, has a list\n\twrite: [profile.NAME]"},
		{"a profile: a string", "[profile]\nx = \"off\"", "profiles.toml:2: [profile.x] wants a table, has a string\n\twrite: [profile.x]"},
		{"a profile: a list of tables", "[[profile.x]]\nmod = \"mod\"", "profiles.toml:1: [profile.x] wants a table, has a list\n\twrite: [profile.x]"},

		{"default again", "\n[profile.default]\nmod = \"mod\"", "profiles.toml:2: [profile.default] \"default\" is built in and changes nothing\n\tgive the profile another name and write, at the top of the file: default = \"NAME\""},
		{"default again, implied", "\n[profile.default.env]\nA = \"1\"", "profiles.toml:2: [profile.default] \"default\" is built in and changes nothing\n\tgive the profile another name and write, at the top of the file: default = \"NAME\""},
		{"name with a slash", "[profile.\"a/b\"]", "profiles.toml:1: [profile.a/b] \"a/b\" is no name for a profile\n\tnames are made of letters, digits, '.', '_' and '-', and begin with a letter or digit"},

		{"env with a key of its own", "[profile.x.env]\nGOPROXY = \"off\"", "profiles.toml:2: [profile.x] env.GOPROXY: GOPROXY has a key of its own\n\tin [profile.x] write: goproxy = …"},
		{"env GOFLAGS", "[profile.x.env]\nGOFLAGS = \"-v\"", "profiles.toml:2: [profile.x] env.GOFLAGS: GOFLAGS has a key of its own\n\tin [profile.x] write: goflags = …"},
		{"env GOMODCACHE", "[profile.x.env]\nGOMODCACHE = false", "profiles.toml:2: [profile.x] env.GOMODCACHE: GOMODCACHE has a key of its own\n\tin [profile.x] write: modcache = …"},
		{"env GOWORK", "[profile.x.env]\nGOWORK = \"off\"", "profiles.toml:2: [profile.x] env.GOWORK: GOWORK has a key of its own\n\tin [profile.x] write: gowork = …"},
		{"env GIT_CONFIG", "[profile.x.env]\nGIT_CONFIG_COUNT = \"1\"", "profiles.toml:2: [profile.x] env.GIT_CONFIG_COUNT: gox writes the GIT_CONFIG_ variables itself\n\tuse [profile.x.git]"},
		{"env with no name", "[profile.x.env]\n\"\" = \"1\"", "profiles.toml: [profile.x] env.: is no name for a variable"},
		{"env with an equals sign", "[profile.x.env]\n\"A=B\" = \"1\"", "profiles.toml:2: [profile.x] env.A=B: is no name for a variable"},
		{"env with a NUL", "[profile.x.env]\nA = \"a\\u0000b\"", "profiles.toml:2: [profile.x] env.A: holds a NUL byte, which no environment variable can carry"},
		{"git with a NUL", "[profile.x.git]\na.b = \"a\\u0000b\"", "profiles.toml:2: [profile.x] git.a.b: holds a NUL byte, which no environment variable can carry"},
		{"a NUL", "[profile.x]\ngovcs = \"a\\u0000b\"", "profiles.toml:2: [profile.x] govcs: holds a NUL byte, which no environment variable can carry"},

		{"mod", "[profile.x]\nmod = \"vendored\"", "profiles.toml:2: [profile.x] mod: \"vendored\" is not one of readonly, mod, vendor"},
		{"go", "[profile.x]\ngo = \"1.22.x\"", "profiles.toml:2: [profile.x] go: \"1.22.x\" is no Go version\n\twrite \"1.22\" for the newest patch, \"1.22.12\", \"local\", or the path of a GOROOT"},
		{"modcache", "[profile.x]\nmodcache = \"own\"", "profiles.toml:2: [profile.x] modcache: \"own\" is none of isolated, shared, fresh\n\ta directory is written with a slash, as in ./modcache"},
		{"gowork", "[profile.x]\ngowork = \"on\"", "profiles.toml:2: [profile.x] gowork: \"on\" is none of auto, off, or a file whose name ends in .work"},
		{"modfile", "[profile.x]\nmodfile = \"go.office\"", "profiles.toml:2: [profile.x] modfile: \"go.office\" does not end in .mod, which go demands of -modfile"},
		{"goflags: no flag", "[profile.x]\ngoflags = [\"-tags\", \"a\"]", "profiles.toml:2: [profile.x] goflags: \"a\" is no flag\n\ta value belongs to its flag: -flag=value"},
		{"goflags: three dashes", "[profile.x]\ngoflags = [\"---v\"]", "profiles.toml:2: [profile.x] goflags: \"---v\" is no flag\n\ta value belongs to its flag: -flag=value"},
		{"goflags: dashes alone", "[profile.x]\ngoflags = [\"--\"]", "profiles.toml:2: [profile.x] goflags: \"--\" is no flag\n\ta value belongs to its flag: -flag=value"},
		{"goflags: no name", "[profile.x]\ngoflags = [\"-=v\"]", "profiles.toml:2: [profile.x] goflags: \"-=v\" is no flag\n\ta value belongs to its flag: -flag=value"},
		{"goflags: empty entry", "[profile.x]\ngoflags = [\"\"]", "profiles.toml:2: [profile.x] goflags: \"\" is no flag\n\ta value belongs to its flag: -flag=value"},
		{"goflags: mod", "[profile.x]\ngoflags = \"-v --mod=vendor\"", "profiles.toml:2: [profile.x] goflags: -mod has a key of its own\n\twrite: mod = …"},
		{"goflags: modfile", "[profile.x]\ngoflags = \"-modfile=x.mod\"", "profiles.toml:2: [profile.x] goflags: -modfile has a key of its own\n\twrite: modfile = …"},
		{"goflags: quote", "[profile.x]\ngoflags = \"'-tags=a\"", "profiles.toml:2: [profile.x] goflags: unterminated ' string\n\twrite a list: [\"-tags=a b\", \"-v\"]"},

		{"what a terminal obeys", "[profile.x]\n\"\\u001b[2J\\nx\" = 1\ngoproxy = \"off,\\u001b[2J\"", "profiles.toml:2: [profile.x] \\x1b[2J\\nx: unknown key\n\ta variable without a key of its own goes into [profile.x.env]\n" +
			"profiles.toml:3: [profile.x] goproxy: entry after \"off\" is never used: \\x1b[2J\n\t\"off\" ends the list; move it last"},
		{"syntax", "[profile.x]\nmod = \"mod\"\nmod = = \"vendor\"\n", "profiles.toml:3: expected value but found '=' instead\n\tthe format is TOML; see: gox profile --help"},
		{"syntax: the same key twice", "[profile.x]\nmod = \"mod\"\nmod = \"vendor\"\n", "profiles.toml:3: Key 'profile.x.mod' has already been defined.\n\tthe format is TOML; see: gox profile --help"},
		{"syntax: the same table twice", "[profile.x]\n[profile.x]\n", "profiles.toml:2: Key 'profile.x' has already been defined.\n\tthe format is TOML; see: gox profile --help"},
		{"syntax: quote", "[profile.x]\nmod = \"mod\n", "profiles.toml:2: strings cannot contain newlines\n\tthe format is TOML; see: gox profile --help"},
		{"syntax: list", "[profile.x]\ngoproxy = [\"a\"\n\n", "profiles.toml:3: expected a comma (',') or array terminator (']'), but got end of file\n\tthe format is TOML; see: gox profile --help"},

		{"retry: a string", "[profile.x]\nretry = \"3\"", "profiles.toml:2: [profile.x] retry: wants a number, has a string\n\twrite: retry = 3"},
		{"retry: negative", "[profile.x]\nretry = -1", "profiles.toml:2: [profile.x] retry: -1 is not between 0 and 100"},
		{"breaker: too many", "[profile.x]\nbreaker = 101", "profiles.toml:2: [profile.x] breaker: 101 is not between 0 and 100"},
		{"timeout: no unit", "[profile.x]\ntimeout = \"30\"", "profiles.toml:2: [profile.x] timeout: \"30\" is no length of time\n\twrite it as in \"30s\" or \"1m30s\""},
		{"timeout: a number", "[profile.x]\ntimeout = 30", "profiles.toml:2: [profile.x] timeout: wants a string, has an integer\n\twrite: timeout = \"…\""},
		{"timeout: a phase", "[profile.x.timeout]\nfirst-byte = \"1s\"", "profiles.toml:2: [profile.x] timeout.first-byte: no such phase\n\tdid you mean first_byte?"},
		{"timeout: zero", "[profile.x.timeout]\nidle = \"0s\"", "profiles.toml:2: [profile.x] timeout.idle: \"0s\" is no length of time\n\twrite it as in \"30s\" or \"1m30s\""},
		{"timeout: a table in it", "[profile.x.timeout.idle]\na = \"0s\"", "profiles.toml:1: [profile.x] timeout.idle: wants a string, has a table"},
		{"hosts: a name for a name", "[profile.x.hosts]\na.example = \"b.example\"", "profiles.toml:2: [profile.x] hosts.a.example: \"b.example\" is no address\n\twrite an IP address, as in \"192.0.2.7\", \"192.0.2.7:8443\" or \"[2001:db8::7]:8443\""},
		{"hosts: a URL", "[profile.x.hosts]\n\"https://a.example\" = \"192.0.2.7\"", "profiles.toml:2: [profile.x] hosts.https://a.example: is no name of a host\n\twrite: \"proxy.example\" = \"192.0.2.7\""},
		{"hosts: no table", "[profile.x]\nhosts = \"a\"", "profiles.toml:2: [profile.x] hosts: wants a table, has a string\n\twrite: [profile.x.hosts]"},
		{"hosts: a boolean", "[profile.x.hosts]\na = false", "profiles.toml:2: [profile.x] hosts.a: wants a string, has a boolean\n\twrite: a = \"…\""},
		{"resolver: an address", "[profile.x]\nresolver = \"192.0.2.53\"", "profiles.toml:2: [profile.x] resolver: is no resolver\n\twrite \"https://192.0.2.53/dns-query\" (DNS over HTTPS) or \"tls://192.0.2.53\" (DNS over TLS)"},

		{"several, in the order of their lines",
			"[profile.b]\nmod = 1\ngo = \"x\"\n[profile.a]\nclean = 1\nmodfile = \"x\"\n[other]\n",
			"profiles.toml:2: [profile.b] mod: wants a string, has an integer\n\twrite: mod = \"…\"\n" +
				"profiles.toml:3: [profile.b] go: \"x\" is no Go version\n\twrite \"1.22\" for the newest patch, \"1.22.12\", \"local\", or the path of a GOROOT\n" +
				"profiles.toml:5: [profile.a] clean: wants true or false, has an integer\n\twrite: clean = true\n" +
				"profiles.toml:6: [profile.a] modfile: \"x\" does not end in .mod, which go demands of -modfile\n" +
				"profiles.toml:7: other: unknown key\n\ta file has the key default and the tables [profile.NAME]"},
		{"several in one line", "[profile.x]\nenv = { B = 1, A = 2 }",
			"profiles.toml:2: [profile.x] env.A: wants a string, has an integer\n\twrite: A = \"2\"\n" +
				"profiles.toml:2: [profile.x] env.B: wants a string, has an integer\n\twrite: B = \"1\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse("profiles.toml", Project, []byte(tt.text))
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
			if problemsOf(err) == nil {
				t.Errorf("%T is neither a Problem nor Problems", err)
			}
		})
	}
}

func TestParseTakes(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"nothing", ""},
		{"an empty profile", "[profile.x]"},
		{"settings taken back", "[profile.x]\nextends=\"\"\ngo=\"\"\ngoproxy=\"\"\ngosumdb=\"\"\ngoprivate=\"\"\ngowork=\"\"\nmodfile=\"\"\nmod=\"\"\nmodcache=\"\"\ngoflags=\"\"\n"},
		{"go: two numbers", "[profile.x]\ngo = \"1.22\""},
		{"go: candidate", "[profile.x]\ngo = \"1.23rc1\""},
		{"go: with its name", "[profile.x]\ngo = \"go1.22.12\""},
		{"go: a path", "[profile.x]\ngo = \"~/sdk/go1.22\""},
		{"go: a path of Windows", "[profile.x]\ngo = 'C:\\Go'"},
		{"relay: taken back", "[profile.x]\nretry = 0\nbreaker = 0\ntimeout = \"\"\nrecord = \"\"\ncafile = \"\"\nresolver = \"\"\nhosts.\"a.example\" = \"\""},
		{"hosts: with ports", "[profile.x.hosts]\na.example = \"192.0.2.7:443\"\nb.example = \"[::1]:443\"\nc.example = \"::1\""},
		{"timeout: a table", "[profile.x.timeout]\nconnect = \"1s\"\nidle = \"1m\""},
		{"modcache: a directory", "[profile.x]\nmodcache = \"./mod\""},
		{"gowork: a file", "[profile.x]\ngowork = \"../go.work\""},
		{"goproxy: schemeless", "[profile.x]\ngoproxy = \"goproxy.corp.example\""},
		{"goproxy: a file", "[profile.x]\ngoproxy = \"file:///srv/proxy\""},
		{"goproxy: blanks", "[profile.x]\ngoproxy = \" https://a.example , direct \""},
		{"goproxy: empty entries", "[profile.x]\ngoproxy = \"https://a.example,,|direct,\""},
		{"goflags: quoted", "[profile.x]\ngoflags = \"'-tags=a b' --trimpath\""},
		{"env: lower case", "[profile.x.env]\nhttp_proxy = \"http://h.example\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parse("profiles.toml", Project, []byte(tt.text)); err != nil {
				t.Error(err)
			}
		})
	}
}

// No secret of a file may show in what is said of it.
func TestProblemsKeepSecrets(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"goproxy after direct", "[profile.x]\ngoproxy = [\"direct\", \"https://user:s3cr3t@h.example\"]"},
		{"goproxy after direct, schemeless", "[profile.x]\ngoproxy = [\"direct\", \"user:s3cr3t@h.example\"]"},
		{"goproxy with a slash in the password", "[profile.x]\ngoproxy = [\"direct\", \"https://user:pw/s3cr3t@h.example/x\"]"},
		{"goproxy with a query", "[profile.x]\ngoproxy = [\"direct\", \"https://h.example/?token=s3cr3t\"]"},
		{"goproxy in another key", "[profile.x]\nmod = \"https://user:s3cr3t@h.example\""},
		{"goproxy in modcache", "[profile.x]\nmodcache = \"user:s3cr3t@h\""},
		{"goproxy in goflags", "[profile.x]\ngoflags = \"https://user:s3cr3t@h.example\""},
		{"key of git", "[profile.x.git]\nurl.\"https://user:s3cr3t@h.example/\".insteadOf = 1"},
		{"table of git", "[profile.x.git]\n\"https://user:s3cr3t@h\" = \"1\""},
		{"top-level key", "\"https://user:s3cr3t@h.example\" = 1"},
		{"unknown key", "[profile.x]\n\"https://user:s3cr3t@h.example\" = 1"},
		{"name of a profile", "[profile.\"https://user:s3cr3t@h.example\"]"},
		{"integer in env", "[profile.x.env]\nCI_TOKEN = 80351"},
		{"syntax: unquoted", "[profile.x]\ngoproxy = https://user:s3cr3t@h.example"},
		{"syntax: unquoted word", "[profile.x.env]\nCI_TOKEN = s3cr3t"},
		{"syntax: unquoted word like a boolean", "[profile.x.env]\nCI_TOKEN = trues3cr3t"},
		{"syntax: unquoted integer", "[profile.x.env]\nCI_TOKEN = 80351_"},
		{"syntax: unquoted big integer", "[profile.x.env]\nCI_TOKEN = 8035199999999999999999"},
		{"syntax: unquoted float", "[profile.x.env]\nCI_TOKEN = 80351__1.5"},
		{"syntax: unquoted date", "[profile.x.env]\nCI_TOKEN = 2026-99-99"},
		{"syntax: hexadecimal", "[profile.x.env]\nCI_TOKEN = -0x80351"},
		{"syntax: unclosed", "[profile.x]\ngoproxy = \"https://user:s3cr3t@h.example\nmod = \"mod\""},
		{"syntax: escape", "[profile.x]\ngoproxy = \"https://user:\\s3cr3t@h.example\""},
		{"syntax: list", "[profile.x]\ngoproxy = [\"https://user:s3cr3t@h.example\" \"direct\"]"},
		{"syntax: after the value", "[profile.x]\ngoproxy = \"https://user:s3cr3t@h.example\" s3cr3t"},
		{"syntax: the same key twice", "[profile.x.git]\nurl.\"https://user:s3cr3t@h.example/\".insteadOf = \"a\"\nurl.\"https://user:s3cr3t@h.example/\".insteadOf = \"a\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse("profiles.toml", Project, []byte(tt.text))
			if err == nil {
				t.Fatal("no error")
			}
			for _, p := range problemsOf(err) {
				said := strings.Join([]string{p.Profile, p.Key, p.Text, p.Mend, p.Error()}, "\n")
				for _, secret := range []string{"s3cr3t", "80351", "2026"} {
					if strings.Contains(said, secret) {
						t.Errorf("%q shows in:\n%s", secret, said)
					}
				}
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		string(builtin),
		"default = \"office\"\n[profile.office]\nextends = \"base\"\ngoproxy = [\"https://a.example\", \"|\", \"direct\"]\n[profile.base]\nmod=\"vendor\"\n",
		"[profile.x]\nextends = \"x\"",
		"[profile.x.git]\nurl.\"ssh://git@h.example/\".insteadOf = [\"a\", \"b\"]",
		"[profile.x.env]\nA = false\nB = \"\"",
		"profile = { x = { goflags = \"'-tags=a b' -v\", clean = true, modfile = \"~/x.mod\" } }",
		"[profile.x]\ngoproxy = 1\n[[profile.y]]\n[profile.z.env.A]\n",
		"x = \"\"\"\n\\", "[a.b.c]\n[a]\n", "a = 1_", "\x00", "\ufeff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := parse("/repo/profiles.toml", Project, []byte(text))
		if err != nil {
			problems := problemsOf(err)
			if problems == nil {
				t.Fatalf("%T is no Problem: %v", err, err)
			}
			for i, p := range problems {
				if p.Pos.Line() == 0 && p.Key != "" && !strings.HasSuffix(p.Key, ".") {
					t.Errorf("nobody can tell where: %v", p)
				}
				if i > 0 && problems[i-1].Pos.Line() > p.Pos.Line() {
					t.Errorf("not in the order of their lines: %v", err)
				}
			}
			return
		}
		set := &Set{project: []*File{file}}
		for _, name := range file.Names() {
			profile, err := set.Resolve(name)
			if err != nil {
				if problemsOf(err) == nil {
					t.Errorf("%T is no Problem: %v", err, err)
				}
				continue
			}
			for _, v := range profile.Values() {
				if v.Pos.Line() == 0 && v.Scope == Project {
					t.Errorf("%s of %s has no line", v.Key, name)
				}
			}
			profile.Dangers()
			env, problems := profile.Env(Inputs{Environ: []string{"GOFLAGS=-v '-tags=a b'", "GOPROXY=off"}, Dir: "/nowhere", Home: "/home/me"})
			if problems.Err() == nil {
				for _, entry := range env.Environ() {
					if strings.ContainsRune(entry, 0) || strings.HasPrefix(entry, "=") {
						t.Errorf("%q is no environment entry", entry)
					}
				}
				profile.Cache(env, "/home/me")
			}
		}
		file.Dangers()
	})
}
