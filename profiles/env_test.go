package profiles

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/gox/internal/envvar"
)

// history writes the history of name in one line: where each value is from, and the value.
func history(env *Env, name string) string {
	var all []string
	for _, s := range env.History(name) {
		value := s.Value
		if s.Unset {
			value = "-"
		}
		where := s.Origin.Layer.String()
		if s.Origin.Profile != "" {
			where = s.Origin.Profile
		}
		all = append(all, where+"="+value)
	}
	return strings.Join(all, " < ")
}

func TestPrecedence(t *testing.T) {
	root := tree(t, map[string]string{
		"config/go/env": "GOPROXY=https://file.example\nGOSUMDB=\n",
		"goroot/go.env": "# comment\nGOPROXY=https://goroot.example\nGOSUMDB=goroot.example\nGOTOOLCHAIN=auto\n",
		"goenv/env":     "GOPROXY=https://other.example\n",
	})
	const text = `
[profile.base]
goproxy = "https://base.example"
[profile.office]
extends = "base"
goproxy = "https://office.example"
[profile.ci]
goproxy = "https://ci.example"
[profile.back]
extends = "office"
goproxy = ""
[profile.none]
goprivate = []
gonoproxy = []
gonosumdb = []
goinsecure = []
govcs = []
goauth = []
[profile.clean]
clean = true
[profile.cleanoffice]
clean = true
goproxy = "https://office.example"
[profile.cleanoffice.env]
GOENV = "/elsewhere"
[profile.vars.env]
FOO = "profile"
BAR = false
EMPTY = ""
GOENV = "GOENVFILE"
[profile.unclean]
extends = "clean"
clean = false
`
	for _, tt := range []struct {
		name      string
		layers    string
		environ   []string
		overrides []string
		add       []Setting // as package cmd adds them
		variable  string
		history   string
		value     string
		layer     Layer
	}{
		{name: "default", variable: "GONOSUMDB", layer: Default},
		{name: "GOROOT/go.env", variable: "GOTOOLCHAIN", history: "GOROOT/go.env=auto", value: "auto", layer: GorootEnv},
		{name: "go env file", variable: "GOPROXY", history: "go env file=https://file.example < GOROOT/go.env=https://goroot.example", value: "https://file.example", layer: GoEnvFile},
		{name: "empty in the go env file", variable: "GOSUMDB", history: "go env file= < GOROOT/go.env=goroot.example", value: "", layer: GoEnvFile},
		{name: "environment", environ: []string{"GOPROXY=env"}, variable: "GOPROXY", history: "environment=env < go env file=https://file.example < GOROOT/go.env=https://goroot.example", value: "env", layer: Environment},
		{name: "empty in the environment", environ: []string{"GOPROXY="}, variable: "GOPROXY", history: "environment= < go env file=https://file.example < GOROOT/go.env=https://goroot.example", value: "https://file.example", layer: GoEnvFile},
		{name: "GOENV=off", environ: []string{"GOENV=off"}, variable: "GOPROXY", history: "GOROOT/go.env=https://goroot.example", value: "https://goroot.example", layer: GorootEnv},
		{name: "GOENV elsewhere", environ: []string{"GOENV=ROOT/goenv/env"}, variable: "GOPROXY", history: "go env file=https://other.example < GOROOT/go.env=https://goroot.example", value: "https://other.example", layer: GoEnvFile},
		{name: "GOENV relative", environ: []string{"GOENV=../goenv/env"}, variable: "GOPROXY", history: "go env file=https://other.example < GOROOT/go.env=https://goroot.example", value: "https://other.example", layer: GoEnvFile},
		{name: "profile", layers: "ci", environ: []string{"GOENV=off", "GOPROXY=env"}, variable: "GOPROXY", history: "ci=https://ci.example < environment=env < GOROOT/go.env=https://goroot.example", value: "https://ci.example", layer: InProfile},
		{name: "profile and chain", layers: "office", environ: []string{"GOENV=off", "GOPROXY=env"}, variable: "GOPROXY", history: "office=https://office.example < base=https://base.example < environment=env < GOROOT/go.env=https://goroot.example", value: "https://office.example", layer: InProfile},
		{name: "last layer, then its chain, then the others", layers: "ci office", environ: []string{"GOENV=off"}, variable: "GOPROXY", history: "office=https://office.example < base=https://base.example < ci=https://ci.example < GOROOT/go.env=https://goroot.example", value: "https://office.example", layer: InProfile},
		{name: "taken back", layers: "back", environ: []string{"GOENV=off", "GOPROXY=env"}, variable: "GOPROXY", history: "environment=env < GOROOT/go.env=https://goroot.example", value: "env", layer: Environment},
		{name: "-e", layers: "ci", environ: []string{"GOENV=off", "GOPROXY=env"}, overrides: []string{"GOPROXY=first", "GOPROXY=over"}, variable: "GOPROXY", history: "-e=over < -e=first < ci=https://ci.example < environment=env < GOROOT/go.env=https://goroot.example", value: "over", layer: Override},
		{name: "-e with an equals sign", overrides: []string{"X=a=b"}, variable: "X", history: "-e=a=b", value: "a=b", layer: Override},
		{name: "-e with nothing", layers: "ci", environ: []string{"GOPROXY=env"}, overrides: []string{"GOPROXY="}, variable: "GOPROXY", history: "-e= < ci=https://ci.example < environment=env < go env file=https://file.example < GOROOT/go.env=https://goroot.example", value: "https://file.example", layer: GoEnvFile},
		{name: "-e with nothing, of another's variable", environ: []string{"X=env"}, overrides: []string{"X="}, variable: "X", history: "-e= < environment=env", value: "", layer: Override},
		{name: "flag", layers: "ci", environ: []string{"GOTOOLCHAIN=go1.20"}, overrides: []string{"GOTOOLCHAIN=path"}, add: []Setting{{Name: "GOTOOLCHAIN", Value: "local", Origin: Origin{Layer: Flag}}}, variable: "GOTOOLCHAIN", history: "flag=local < -e=path < environment=go1.20 < GOROOT/go.env=auto", value: "local", layer: Flag},
		{name: "goprivate = []", layers: "none", environ: []string{"GOPRIVATE=env"}, variable: "GOPRIVATE", history: "none=none < environment=env", value: "none", layer: InProfile},
		{name: "gonoproxy = []", layers: "none", variable: "GONOPROXY", history: "none=none", value: "none", layer: InProfile},
		{name: "gonosumdb = []", layers: "none", variable: "GONOSUMDB", history: "none=none", value: "none", layer: InProfile},
		{name: "goinsecure = []", layers: "none", variable: "GOINSECURE", history: "none=none", value: "none", layer: InProfile},
		{name: "govcs = []", layers: "none", variable: "GOVCS", history: "none=*:off", value: "*:off", layer: InProfile},
		{name: "goauth = []", layers: "none", variable: "GOAUTH", history: "none=off", value: "off", layer: InProfile},
		{name: "clean", layers: "clean", environ: []string{"GOPROXY=env"}, variable: "GOPROXY", history: "clean=- < environment=env < GOROOT/go.env=https://goroot.example", value: "https://goroot.example", layer: GorootEnv},
		{name: "clean, GOENV", layers: "clean", environ: []string{"GOENV=ROOT/goenv/env"}, variable: "GOENV", history: "clean=off < clean=- < environment=ROOT/goenv/env", value: "off", layer: InProfile},
		{name: "clean, another's variable", layers: "clean", environ: []string{"X=env"}, variable: "X", history: "environment=env", value: "env", layer: Environment},
		{name: "clean, of the runtime", layers: "clean", environ: []string{"GODEBUG=x=1"}, variable: "GODEBUG", history: "clean=- < environment=x=1", value: "", layer: Default},
		{name: "clean beside a setting", layers: "cleanoffice", environ: []string{"GOPROXY=env"}, variable: "GOPROXY", history: "cleanoffice=https://office.example < cleanoffice=- < environment=env < GOROOT/go.env=https://goroot.example", value: "https://office.example", layer: InProfile},
		{name: "clean beside -e", layers: "clean", environ: []string{"GOPROXY=env"}, overrides: []string{"GOPROXY=over"}, variable: "GOPROXY", history: "-e=over < clean=- < environment=env < GOROOT/go.env=https://goroot.example", value: "over", layer: Override},
		{name: "clean beside what cmd adds", layers: "clean", environ: []string{"GOMODCACHE=env"}, add: []Setting{{Name: "GOMODCACHE", Value: "own", Origin: Origin{Layer: InProfile, Profile: "clean"}}}, variable: "GOMODCACHE", history: "clean=own < clean=- < environment=env", value: "own", layer: InProfile},
		{name: "clean taken back", layers: "unclean", environ: []string{"GOPROXY=env"}, variable: "GOPROXY", history: "environment=env < go env file=https://file.example < GOROOT/go.env=https://goroot.example", value: "env", layer: Environment},
		{name: "env", layers: "vars", environ: []string{"FOO=env"}, variable: "FOO", history: "vars=profile < environment=env", value: "profile", layer: InProfile},
		{name: "env, unset", layers: "vars", environ: []string{"BAR=env"}, variable: "BAR", history: "vars=- < environment=env", value: "", layer: Default},
		{name: "env, empty", layers: "vars", environ: []string{"EMPTY=env"}, variable: "EMPTY", history: "vars= < environment=env", value: "", layer: InProfile},
		{name: "env, GOENV", layers: "vars", variable: "GOPROXY", history: "GOROOT/go.env=https://goroot.example", value: "https://goroot.example", layer: GorootEnv},
		{name: "the last duplicate", environ: []string{"X=1", "X=2"}, variable: "X", history: "environment=2", value: "2", layer: Environment},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := resolved(t, text, strings.Fields(tt.layers)...)
			environ := slices.Clone(tt.environ)
			for i := range environ {
				environ[i] = strings.ReplaceAll(environ[i], "ROOT", root)
			}
			env, problems := p.Env(Inputs{
				Environ: environ, Overrides: tt.overrides, Dir: filepath.Join(root, "m"), Home: "/home/me",
				ConfigDir: filepath.Join(root, "config"), GOROOT: filepath.Join(root, "goroot"), GoVersion: "go1.26.0",
			})
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			for _, s := range tt.add {
				env.Add(s)
			}
			got := strings.ReplaceAll(history(env, tt.variable), root, "ROOT")
			if got != tt.history {
				t.Errorf("history:\n got %s\nwant %s", got, tt.history)
			}
			s := env.Lookup(tt.variable)
			if s.Value != tt.value || s.Origin.Layer != tt.layer || s.Name != tt.variable {
				t.Errorf("Lookup: %q=%q from %v, want %q from %v", s.Name, s.Value, s.Origin.Layer, tt.value, tt.layer)
			}
		})
	}
}

func TestEnviron(t *testing.T) {
	const text = `
[profile.x]
goproxy = "https://x.example"
gowork  = "auto"
[profile.x.env]
FOO  = "x"
GONE = false
[profile.clean]
clean = true
goproxy = "https://x.example"
`
	environ := []string{"A=1", "FOO=1", "GOPROXY=a", "A=2", "=C:=x", "GOWORK=off", "odd", "FOO=2", "GONE=1", "CC=gcc", "GOPROXY=b", "GODEBUG=x"}
	for _, tt := range []struct {
		name, layers string
		overrides    []string
		want         string
	}{
		{name: "profile", layers: "x", want: "A=1 A=2 =C:=x odd CC=gcc GODEBUG=x FOO=x GOPROXY=https://x.example"},
		{name: "-e alone", overrides: []string{"A=3"}, want: "FOO=1 GOPROXY=a =C:=x GOWORK=off odd FOO=2 GONE=1 CC=gcc GOPROXY=b GODEBUG=x A=3"},
		{name: "-e above a profile", layers: "x", overrides: []string{"FOO=e", "GONE=e", "GOWORK="}, want: "A=1 A=2 =C:=x odd CC=gcc GODEBUG=x FOO=e GONE=e GOPROXY=https://x.example GOWORK="},
		{name: "clean", layers: "clean", want: "A=1 FOO=1 A=2 =C:=x odd FOO=2 GONE=1 GOENV=off GOPROXY=https://x.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := slices.Clone(environ)
			env, problems := resolved(t, text, strings.Fields(tt.layers)...).Env(Inputs{Environ: environ, Overrides: tt.overrides, Dir: "/nowhere"})
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if got := strings.Join(env.Environ(), " "); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
			if !slices.Equal(environ, before) {
				t.Errorf("the caller's slice is changed: %q", environ)
			}
		})
	}
}

// The default profile changes nothing at all: not even a copy is made.
func TestEnvironOfDefault(t *testing.T) {
	environ := []string{"A=1", "GOPROXY=a", "A=2"}
	env, problems := resolved(t, "").Env(Inputs{Environ: environ, Dir: "/nowhere"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if got := env.Environ(); len(got) != len(environ) || &got[0] != &environ[0] {
		t.Errorf("got another slice: %q", got)
	}
	if got := env.Decided(); len(got) != 0 {
		t.Errorf("decided %v", got)
	}
}

func TestDefaultSources(t *testing.T) {
	root := tree(t, map[string]string{"new/go.env": "GOPROXY=https://goroot.example\nGOSUMDB=sum.example\n", "old/": ""})
	failing := func(name string) (string, error) {
		return "", errors.New("cannot ask for " + name + "\n\tnor https://u:s3cr3t@h.example")
	}
	for _, tt := range []struct {
		name, goroot string
		ask          func(string) (string, error)
		want, err    string
	}{
		{name: "since go1.21", goroot: "new", ask: failing, want: "https://goroot.example sum.example"},
		{name: "before", goroot: "old", ask: func(name string) (string, error) { return "of " + name, nil }, want: "of GOPROXY of GOSUMDB"},
		{name: "cannot be asked", goroot: "old", ask: failing, err: "built-in:5: [profile.mirror] goproxy: cannot ask for GOPROXY\n\tnor https://xxxxx@h.example\n\twrite the value out instead of \"default\"\n" +
			"built-in:6: [profile.mirror] gosumdb: cannot ask for GOSUMDB\n\tnor https://xxxxx@h.example\n\twrite the value out instead of \"default\""},
		{name: "nobody to ask", goroot: "old", err: "built-in:5: [profile.mirror] goproxy: go's own default of GOPROXY is not known here\n\twrite the value out instead of \"default\"\n" +
			"built-in:6: [profile.mirror] gosumdb: go's own default of GOSUMDB is not known here\n\twrite the value out instead of \"default\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env, problems := resolved(t, "", "mirror").Env(Inputs{Environ: []string{"GOPROXY=off", "GOSUMDB=off"}, Dir: "/nowhere", GOROOT: filepath.Join(root, tt.goroot), Default: tt.ask})
			if tt.err != "" {
				if got := problems.Error(); got != tt.err {
					t.Errorf("\n got %s\nwant %s", got, tt.err)
				}
				return
			}
			if got := env.Value("GOPROXY") + " " + env.Value("GOSUMDB"); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// A run of a profile in a tree of files: what it decides, or what is wrong.
func TestDirectory(t *testing.T) {
	root := tree(t, map[string]string{
		"m/go.mod": "module m", "m/go.alt.mod": "module m", "m/sub/": "", "m/sub/go.sub.mod": "module m", "away/x.mod": "module m",
		"m/dir.mod/":  "",
		"w18/go.work": "go 1.18\n", "w18/m/go.mod": "module m", "w18/m/go.alt.mod": "module m",
		"w22/go.work": "go 1.22\n", "w22/m/go.mod": "module m",
		"wtool/go.work": "go 1.21\ntoolchain go1.22.3\n", "wtool/m/go.mod": "module m",
		"wdefault/go.work": "go 1.21\ntoolchain default\n", "wdefault/m/go.mod": "module m",
		"other/x.work":  "go 1.22\n",
		"go21/go.env":   "GOTOOLCHAIN=auto\n",
		"config/go/env": "",
		"empty/":        "",
	})
	for _, tt := range []struct {
		name      string
		text      string // of the profile x, which may extend y
		dir       string
		environ   string
		overrides string
		version   string
		noHome    bool
		want      string
	}{
		{name: "gowork off", text: `gowork = "off"`, dir: "w18/m", want: "GOWORK=off"},
		{name: "gowork auto", text: `gowork = "auto"`, dir: "w18/m", environ: "GOWORK=off", want: "-GOWORK"},
		{name: "gowork file", text: `gowork = "other/x.work"`, dir: "m", want: "GOWORK=ROOT/other/x.work"},
		{name: "gowork file, taken back", text: "extends = 'y'\ngowork = ''\n[profile.y]\ngowork = 'other/x.work'", dir: "m", want: ""},
		{name: "gowork file, overridden and missing", text: "extends = 'y'\ngowork = 'off'\n[profile.y]\ngowork = 'other/none.work'", dir: "m", want: "GOWORK=off"},
		{name: "gowork missing", text: `gowork = "other/none.work"`, dir: "m", want: "ROOT/profiles.toml:2: [profile.x] gowork: no such file: ROOT/other/none.work\n\tmake it with: GOWORK=ROOT/other/none.work go work init"},
		{name: "gowork under a file", text: `gowork = "m/go.mod/x.work"`, dir: "m", want: "ROOT/profiles.toml:2: [profile.x] gowork: ROOT/m/go.mod/x.work: not a directory"},

		{name: "modfile", text: `modfile = "go.alt.mod"`, dir: "m", want: "GOFLAGS=-modfile=ROOT/m/go.alt.mod GOWORK=off"},
		{name: "modfile from below", text: `modfile = "go.alt.mod"`, dir: "m/sub", want: "GOFLAGS=-modfile=ROOT/m/go.alt.mod GOWORK=off"},
		{name: "modfile in a folder", text: `modfile = "sub/go.sub.mod"`, dir: "m/sub", want: "GOFLAGS=-modfile=ROOT/m/sub/go.sub.mod GOWORK=off"},
		{name: "modfile elsewhere", text: `modfile = "ROOT/away/x.mod"`, dir: "m", want: "GOFLAGS=-modfile=ROOT/away/x.mod GOWORK=off"},
		{name: "modfile at home", text: `modfile = "~/x.mod"`, dir: "m", want: "GOFLAGS=-modfile=ROOT/away/x.mod GOWORK=off"},
		{name: "modfile at no home", text: `modfile = "~/x.mod"`, dir: "m", noHome: true, want: "ROOT/profiles.toml:2: [profile.x] modfile: \"~/x.mod\" begins with the home directory, and there is none\n\tset HOME, or write the path out"},
		{name: "modfile in a workspace", text: `modfile = "go.alt.mod"`, dir: "w18/m", want: "GOFLAGS=-modfile=ROOT/w18/m/go.alt.mod GOWORK=off"},
		{name: "modfile and gowork off", text: "modfile = 'go.alt.mod'\ngowork = 'off'", dir: "w18/m", want: "GOFLAGS=-modfile=ROOT/w18/m/go.alt.mod GOWORK=off"},
		{name: "modfile in place of another", text: "extends = 'y'\nmodfile = 'go.alt.mod'\n[profile.y]\nmodfile = 'none.mod'", dir: "m", want: "GOFLAGS=-modfile=ROOT/m/go.alt.mod GOWORK=off"},
		{name: "modfile taken back", text: "extends = 'y'\nmodfile = ''\n[profile.y]\nmodfile = 'none.mod'", dir: "m", want: ""},
		{name: "modfile missing", text: `modfile = "none.mod"`, dir: "m/sub", want: "ROOT/profiles.toml:2: [profile.x] modfile: no such file: ROOT/m/none.mod\n\tmake it with: cp ROOT/m/go.mod ROOT/m/none.mod"},
		{name: "modfile elsewhere, missing", text: `modfile = "ROOT/away/none.mod"`, dir: "m", want: "ROOT/profiles.toml:2: [profile.x] modfile: no such file: ROOT/away/none.mod"},
		{name: "modfile outside a module", text: `modfile = "go.alt.mod"`, dir: "empty", want: "ROOT/profiles.toml:2: [profile.x] modfile: there is no go.mod in ROOT/empty or above it for go.alt.mod to stand beside\n\trun gox inside a module, or with -C DIR"},
		{name: "modfile with gowork", text: "modfile = 'go.alt.mod'\ngowork = 'auto'", dir: "m", want: "ROOT/profiles.toml:3: [profile.x] gowork: gowork = \"auto\" does not go with modfile = \"go.alt.mod\" (ROOT/profiles.toml:2): go refuses -modfile in a workspace\n\ttake one of them back: gowork = \"off\" or modfile = \"\""},
		{name: "modfile with a farther gowork", text: "extends = 'y'\nmodfile = 'go.alt.mod'\n[profile.y]\ngowork = 'auto'", dir: "m", want: "GOFLAGS=-modfile=ROOT/m/go.alt.mod GOWORK=off"},
		{name: "modfile with a nearer gowork", text: "extends = 'y'\ngowork = 'other/x.work'\n[profile.y]\nmodfile = 'go.alt.mod'", dir: "m", want: "ROOT/profiles.toml:3: [profile.x] gowork: gowork = \"other/x.work\" does not go with modfile = \"go.alt.mod\" (ROOT/profiles.toml:5): go refuses -modfile in a workspace\n\ttake one of them back: gowork = \"off\" or modfile = \"\""},
		{name: "modfile with a blank, old go", text: `modfile = "ROOT/away/x y.mod"`, dir: "m", version: "go1.18.10", want: "ROOT/profiles.toml:2: [profile.x] modfile: go1.18.10: entry \"-modfile=ROOT/away/x y.mod\" holds a blank, which GOFLAGS can carry only from go1.20 on\nROOT/profiles.toml:2: [profile.x] modfile: no such file: ROOT/away/x y.mod"},

		{name: "mod", text: `mod = "vendor"`, dir: "m", want: "GOFLAGS=-mod=vendor"},
		{name: "mod taken back", text: "extends = 'y'\nmod = ''\n[profile.y]\nmod = 'vendor'", dir: "m", want: ""},
		{name: "mod=readonly in a workspace", text: `mod = "readonly"`, dir: "w18/m", version: "go1.18.10", want: "GOFLAGS=-mod=readonly"},
		{name: "mod=mod in a workspace", text: `mod = "mod"`, dir: "w18/m", want: "ROOT/profiles.toml:2: [profile.x] mod: go refuses -mod=mod in a workspace (ROOT/w18/go.work)\n\twrite gowork = \"off\""},
		{name: "mod=mod beside a workspace", text: "mod = 'mod'\ngowork = 'off'", dir: "w18/m", want: "GOFLAGS=-mod=mod GOWORK=off"},
		{name: "mod=vendor in a workspace, go1.21", text: `mod = "vendor"`, dir: "w18/m", version: "go1.21.13", want: "ROOT/profiles.toml:2: [profile.x] mod: go1.21.13 refuses -mod=vendor in a workspace (ROOT/w18/go.work); go1.22 was the first to take it\n\twrite gowork = \"off\", or go = \"1.22\" or newer"},
		{name: "mod=vendor in a workspace by gowork, go1.21", text: "mod = 'vendor'\ngowork = 'other/x.work'", dir: "m", version: "go1.21.13", environ: "GOTOOLCHAIN=local", want: "ROOT/profiles.toml:2: [profile.x] mod: go1.21.13 refuses -mod=vendor in a workspace (ROOT/other/x.work); go1.22 was the first to take it\n\twrite gowork = \"off\", or go = \"1.22\" or newer"},
		{name: "mod=vendor in a workspace by the environment, go1.21", text: "mod = 'vendor'", dir: "m", version: "go1.21.13", environ: "GOWORK=ROOT/w18/go.work", want: "ROOT/profiles.toml:2: [profile.x] mod: go1.21.13 refuses -mod=vendor in a workspace (ROOT/w18/go.work); go1.22 was the first to take it\n\twrite gowork = \"off\", or go = \"1.22\" or newer"},
		{name: "mod=vendor in no workspace by the environment, go1.21", text: "mod = 'vendor'", dir: "w18/m", version: "go1.21.13", environ: "GOWORK=off", want: "GOFLAGS=-mod=vendor"},
		{name: "mod=vendor in no workspace by -e, go1.21", text: "mod = 'vendor'", dir: "w18/m", version: "go1.21.13", overrides: "GOWORK=off", want: "GOFLAGS=-mod=vendor GOWORK=off"},
		{name: "mod=vendor in a workspace, go1.22", text: `mod = "vendor"`, dir: "w18/m", version: "go1.22.0", want: "GOFLAGS=-mod=vendor"},
		{name: "mod=vendor in a workspace, unknown go", text: `mod = "vendor"`, dir: "w18/m", want: "GOFLAGS=-mod=vendor"},
		{name: "mod=vendor, go.work asks for go1.22", text: `mod = "vendor"`, dir: "w22/m", version: "go1.21.13", want: "GOFLAGS=-mod=vendor"},
		{name: "mod=vendor, go.work asks for go1.22, of go1.20", text: `mod = "vendor"`, dir: "w22/m", version: "go1.20.14", environ: "GOTOOLCHAIN=auto", want: "ROOT/profiles.toml:2: [profile.x] mod: go1.20.14 refuses -mod=vendor in a workspace (ROOT/w22/go.work); go1.22 was the first to take it\n\twrite gowork = \"off\", or go = \"1.22\" or newer"},
		{name: "mod=vendor, go.work asks for go1.22, local", text: `mod = "vendor"`, dir: "w22/m", version: "go1.21.13", environ: "GOTOOLCHAIN=local", want: "ROOT/profiles.toml:2: [profile.x] mod: go1.21.13 refuses -mod=vendor in a workspace (ROOT/w22/go.work); go1.22 was the first to take it\n\twrite gowork = \"off\", or go = \"1.22\" or newer"},
		{name: "mod=vendor, go.work asks for go1.22, local by the profile", text: "mod = 'vendor'\ngotoolchain = 'local'", dir: "w22/m", version: "go1.21.13", want: "ROOT/profiles.toml:2: [profile.x] mod: go1.21.13 refuses -mod=vendor in a workspace (ROOT/w22/go.work); go1.22 was the first to take it\n\twrite gowork = \"off\", or go = \"1.22\" or newer"},
		{name: "mod=vendor, go.work asks for go1.22, local or newer", text: `mod = "vendor"`, dir: "w22/m", version: "go1.21.13", environ: "GOTOOLCHAIN=local+auto", want: "GOFLAGS=-mod=vendor"},
		{name: "mod=vendor, go.work asks for go1.22, from PATH", text: `mod = "vendor"`, dir: "w22/m", version: "go1.21.13", environ: "GOTOOLCHAIN=path", want: "GOFLAGS=-mod=vendor"},
		{name: "mod=vendor, go.work asks for go1.22, another named", text: `mod = "vendor"`, dir: "w22/m", version: "go1.21.13", environ: "GOTOOLCHAIN=go1.21.1", want: "ROOT/profiles.toml:2: [profile.x] mod: go1.21.13 refuses -mod=vendor in a workspace (ROOT/w22/go.work); go1.22 was the first to take it\n\twrite gowork = \"off\", or go = \"1.22\" or newer"},
		{name: "mod=vendor, a newer go is named", text: `mod = "vendor"`, dir: "w18/m", version: "go1.21.13", environ: "GOTOOLCHAIN=go1.23.1", want: "GOFLAGS=-mod=vendor"},
		{name: "mod=vendor, a newer go is the least", text: `mod = "vendor"`, dir: "w18/m", version: "go1.21.13", environ: "GOTOOLCHAIN=go1.23.1+auto", want: "GOFLAGS=-mod=vendor"},
		{name: "mod=vendor, toolchain line", text: `mod = "vendor"`, dir: "wtool/m", version: "go1.21.13", want: "GOFLAGS=-mod=vendor"},
		{name: "mod=vendor, toolchain default", text: `mod = "vendor"`, dir: "wdefault/m", version: "go1.21.13", want: "ROOT/profiles.toml:2: [profile.x] mod: go1.21.13 refuses -mod=vendor in a workspace (ROOT/wdefault/go.work); go1.22 was the first to take it\n\twrite gowork = \"off\", or go = \"1.22\" or newer"},
		{name: "mod=vendor, go.work asks for go1.22, profile for 1.21", text: "mod = 'vendor'\ngo = '1.21'", dir: "w22/m", version: "go1.21.13", want: "ROOT/profiles.toml:2: [profile.x] mod: go1.21.13 refuses -mod=vendor in a workspace (ROOT/w22/go.work); go1.22 was the first to take it\n\twrite gowork = \"off\", or go = \"1.22\" or newer"},

		{name: "gotoolchain, old go", text: `gotoolchain = "local"`, dir: "m", version: "go1.20.14", want: "ROOT/profiles.toml:2: [profile.x] gotoolchain: warning: go1.20.14 does not read it; go1.21 was the first"},
		{name: "gotoolchain, new go", text: `gotoolchain = "local"`, dir: "m", version: "go1.21rc1", want: "GOTOOLCHAIN=local"},
		{name: "off, and private modules", text: "goproxy = \"off\"\ngoprivate = [\"git.corp.example\"]", dir: "m", want: `ROOT/profiles.toml:2: [profile.x] goproxy: warning: go still fetches what GOPRIVATE names (git.corp.example, from ROOT/profiles.toml:3 [profile.x] goprivate)` + "\n\tfor no network at all write besides: gonoproxy = \"none\""},
		{name: "off, and none", text: "goproxy = \"off\"\ngonoproxy = \"none\"\ngoprivate = [\"git.corp.example\"]", dir: "m", want: "GONOPROXY=none GOPRIVATE=git.corp.example GOPROXY=off"},
		{name: "goauth, old go", text: `goauth = "off"`, dir: "m", version: "go1.23.4", want: "ROOT/profiles.toml:2: [profile.x] goauth: warning: go1.23.4 does not read it; go1.24 was the first"},
		{name: "gotoolchain and go", text: "gotoolchain = 'local'\ngo = '1.22'", dir: "m", want: "ROOT/profiles.toml:2: [profile.x] gotoolchain: warning: go = \"1.22\" (ROOT/profiles.toml:3) runs that toolchain itself, and no other\n\ttake one of them out"},
		{name: "gosumdb and go", text: "gosumdb = 'off'\ngo = '1.22'", dir: "m", want: "ROOT/profiles.toml:2: [profile.x] gosumdb: warning: a toolchain that must be fetched for go = \"1.22\" is verified by the checksum database all the same"},
		{name: "gosumdb and a GOROOT", text: "gosumdb = 'off'\ngo = './goroot'", dir: "m", want: "GOSUMDB=off"},

		{name: "gocache", text: `gocache = "./cache"`, dir: "m", want: "GOCACHE=ROOT/cache"},
		{name: "gocache at home", text: `gocache = "~/cache"`, dir: "m", want: "GOCACHE=ROOT/away/cache"},
		{name: "gocache off", text: `gocache = "off"`, dir: "m", want: "GOCACHE=off"},
		{name: "gocache at no home", text: `gocache = "~"`, dir: "m", noHome: true, want: "ROOT/profiles.toml:2: [profile.x] gocache: \"~\" begins with the home directory, and there is none\n\tset HOME, or write the path out"},
		{name: "-e without a value", text: "", dir: "m", overrides: "GOPROXY", want: "-e \"GOPROXY\" is not of the form NAME=VALUE\n\twrite: gox -e NAME=VALUE"},
		{name: "-e without a name", text: "", dir: "m", overrides: "=x", want: "-e \"=x\" is not of the form NAME=VALUE\n\twrite: gox -e NAME=VALUE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fill := func(s string) string { return strings.ReplaceAll(s, "ROOT", filepath.ToSlash(root)) }
			f, err := parse(filepath.Join(root, FileName), Project, []byte("[profile.x]\n"+fill(tt.text)))
			if err != nil {
				t.Fatal(err)
			}
			p, err := (&Set{project: []*File{f}}).Resolve("x")
			if err != nil {
				t.Fatal(err)
			}
			in := Inputs{
				Environ: strings.Fields(fill(tt.environ)), Overrides: strings.Fields(tt.overrides), Dir: filepath.Join(root, filepath.FromSlash(tt.dir)),
				Home: filepath.Join(root, "away"), GOROOT: filepath.Join(root, "go21"), GoVersion: tt.version,
			}
			if tt.noHome {
				in.Home = ""
			}
			env, problems := p.Env(in)
			var got []string
			for _, problem := range problems {
				got = append(got, problem.Error())
			}
			if got == nil {
				line := ""
				for _, s := range env.Decided() {
					if s.Unset {
						line += " -" + s.Name
					} else {
						line += " " + s.Name + "=" + s.Value
					}
				}
				got = []string{strings.TrimSpace(line)}
			}
			if got, want := filepath.ToSlash(strings.Join(got, "\n")), fill(tt.want); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestGOFLAGS(t *testing.T) {
	root := tree(t, map[string]string{"config/go/env": "GOFLAGS=-v '-tags=of file'\n", "m/go.mod": "module m", "m/alt.mod": "module m"})
	const text = `
[profile.x]
goflags = ["-trimpath", "-tags=x y"]
[profile.text]
goflags = "-v '-tags=a b'"
[profile.base]
goflags = ["-tags=base", "-race", "-gcflags=a=-N", "-gcflags=b=-l"]
mod     = "mod"
[profile.over]
extends = "base"
goflags = ["--tags=over", "-gcflags=c=-S"]
mod     = "readonly"
[profile.nomod]
extends = "base"
mod     = ""
goflags = ""
[profile.alt]
modfile = "alt.mod"
[profile.none]
goflags = []
[profile.clean]
clean   = true
goflags = ["-v"]
[profile.blank]
goflags = ["-tags=it's \"both\""]
`
	const file = "go env file=-v '-tags=of file'"
	for _, tt := range []struct {
		name      string
		layers    string
		environ   string // GOFLAGS there; "-" for none
		overrides []string
		version   string
		history   string
		err       string
	}{
		{name: "default", environ: "-", history: file},
		{name: "over nothing", layers: "x", environ: "GOENV=off", history: "x=-trimpath '-tags=x y'"},
		{name: "over the go env file", layers: "x", environ: "-", history: "x=-v -trimpath '-tags=x y' < " + file},
		{name: "over the environment", layers: "x", environ: "-race -tags=env -mod=mod", history: "x=-race -mod=mod -trimpath '-tags=x y' < environment=-race -tags=env -mod=mod < " + file},
		{name: "over an empty environment", layers: "x", environ: "", history: "x=-v -trimpath '-tags=x y' < environment= < " + file},
		{name: "quoted entries are kept", layers: "over", environ: `"-ldflags=-X 'a=b c'" '-gcflags=all=-N -l' -tags='`, history: `over="-ldflags=-X 'a=b c'" -race --tags=over -gcflags=c=-S -mod=readonly < over="-ldflags=-X 'a=b c'" -race --tags=over -gcflags=c=-S < base="-ldflags=-X 'a=b c'" -tags=base -race -gcflags=a=-N -gcflags=b=-l < environment="-ldflags=-X 'a=b c'" '-gcflags=all=-N -l' -tags=' < ` + file},
		{name: "as a text", layers: "text", environ: "-x", history: "text=-x -v '-tags=a b' < environment=-x < " + file},
		{name: "taken back", layers: "nomod", environ: "-x", history: "base=-x -tags=base -race -gcflags=a=-N -gcflags=b=-l < environment=-x < " + file},
		{name: "layers", layers: "base x", environ: "-x", history: "x=-x -race -gcflags=a=-N -gcflags=b=-l -mod=mod -trimpath '-tags=x y' < base=-x -tags=base -race -gcflags=a=-N -gcflags=b=-l -mod=mod < base=-x -tags=base -race -gcflags=a=-N -gcflags=b=-l < environment=-x < " + file},
		{name: "modfile", layers: "alt", environ: "-modfile=other.mod -v", history: "alt=-v -modfile=ROOT/m/alt.mod < environment=-modfile=other.mod -v < " + file},
		{name: "none", layers: "none", environ: "-x", history: "environment=-x < " + file},
		{name: "clean", layers: "clean", environ: "-x", history: "clean=-v < clean=- < environment=-x"},
		{name: "-e replaces", layers: "x", environ: "-x", overrides: []string{"GOFLAGS=-n"}, history: "-e=-n < x=-x -trimpath '-tags=x y' < environment=-x < " + file},
		{name: "old go: the environment by blanks alone", layers: "text", environ: "'-x -y'", version: "go1.18.10", err: "/repo/profiles.toml:5: [profile.text] goflags: go1.18.10: entry \"-tags=a b\" holds a blank, which GOFLAGS can carry only from go1.20 on"},
		{name: "old go: quotes are letters", layers: "over", environ: "'-x -y'", version: "go1.18.10", history: "over='-x -y' -race --tags=over -gcflags=c=-S -mod=readonly < over='-x -y' -race --tags=over -gcflags=c=-S < base='-x -y' -tags=base -race -gcflags=a=-N -gcflags=b=-l < environment='-x -y' < go env file=-v '-tags=of file'"},
		{name: "both kinds of quotes", layers: "blank", environ: "-", err: "/repo/profiles.toml:25: [profile.blank] goflags: entry \"-tags=it's \\\"both\\\"\" holds blanks and both kinds of quotes, which GOFLAGS cannot carry"},
		{name: "unclosed in the environment", layers: "x", environ: "-v '-tags=a", err: "GOFLAGS from the environment: unterminated ' string\n\tmend its quotes"},
		{name: "empty entry in the environment", layers: "x", environ: "-v ''", err: "GOFLAGS from the environment: an empty entry is no flag\n\tmend its quotes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var environ []string
			switch {
			case strings.HasPrefix(tt.environ, "GOENV="):
				environ = []string{tt.environ}
			case tt.environ != "-":
				environ = []string{"GOFLAGS=" + tt.environ}
			}
			env, problems := resolved(t, text, strings.Fields(tt.layers)...).Env(Inputs{
				Environ: environ, Overrides: tt.overrides, Dir: filepath.Join(root, "m"), ConfigDir: filepath.Join(root, "config"), GoVersion: tt.version,
			})
			if err := problems.Err(); err != nil {
				if got := err.Error(); got != tt.err {
					t.Errorf("\n got %s\nwant %s", got, tt.err)
				}
				return
			}
			if tt.err != "" {
				t.Errorf("no error, want %s", tt.err)
			}
			if got := filepath.ToSlash(strings.ReplaceAll(history(env, "GOFLAGS"), root, "ROOT")); got != tt.history {
				t.Errorf("\n got %s\nwant %s", got, tt.history)
			}
		})
	}
}

func TestGit(t *testing.T) {
	const text = `
[profile.base.git]
url."ssh://git@h.example/".insteadOf = ["https://h.example/", "http://h.example/"]
http.sslCAInfo = "/base.pem"
[profile.x]
extends = "base"
[profile.x.git]
http.sslCAInfo    = "/x.pem"
http.sslVerify    = true
credential.helper = ""
`
	const all = "0: credential.helper=\n1: http.sslCAInfo=/x.pem\n2: http.sslVerify=true\n3: url.ssh://git@h.example/.insteadOf=https://h.example/\n4: url.ssh://git@h.example/.insteadOf=http://h.example/\n"
	for _, tt := range []struct {
		name, layers       string
		environ, overrides []string
		want               string
	}{
		{name: "none", layers: "offline", environ: []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=a.b", "GIT_CONFIG_VALUE_0=c"}, want: "0: a.b=c\n"},
		{name: "alone", layers: "x", want: all},
		{name: "after those of the environment", layers: "base", environ: []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=a.b", "GIT_CONFIG_VALUE_0=c"},
			want: "0: a.b=c\n1: http.sslCAInfo=/base.pem\n2: url.ssh://git@h.example/.insteadOf=https://h.example/\n3: url.ssh://git@h.example/.insteadOf=http://h.example/\n"},
		{name: "after those of -e", layers: "base", overrides: []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=a.b", "GIT_CONFIG_VALUE_0=c"},
			want: "0: a.b=c\n1: http.sslCAInfo=/base.pem\n2: url.ssh://git@h.example/.insteadOf=https://h.example/\n3: url.ssh://git@h.example/.insteadOf=http://h.example/\n"},
		{name: "over a count that is none", layers: "x", environ: []string{"GIT_CONFIG_COUNT=many"}, want: all},
		{name: "over a count below nothing", layers: "x", environ: []string{"GIT_CONFIG_COUNT=-3"}, want: all},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env, problems := resolved(t, text, tt.layers).Env(Inputs{Environ: tt.environ, Overrides: tt.overrides, Dir: "/nowhere"})
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			environ := env.Environ()
			count, _ := envvar.Lookup(environ, "GIT_CONFIG_COUNT")
			got := ""
			for i := 0; fmt.Sprint(i) != count; i++ {
				key, ok := envvar.Lookup(environ, fmt.Sprint("GIT_CONFIG_KEY_", i))
				value, ok2 := envvar.Lookup(environ, fmt.Sprint("GIT_CONFIG_VALUE_", i))
				if !ok || !ok2 {
					t.Fatalf("count %s, and nothing at %d of %q", count, i, environ)
				}
				got += fmt.Sprintf("%d: %s=%s\n", i, key, value)
			}
			if got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestOriginString(t *testing.T) {
	pos := Position{File: "/f", line: 3}
	for _, tt := range []struct {
		o    Origin
		want string
	}{
		{Origin{Layer: Flag, Key: "--go 1.22"}, "--go 1.22"},
		{Origin{Layer: Override}, "-e"},
		{Origin{InProfile, pos, "x", "goproxy"}, "/f:3 [profile.x] goproxy"},
		{Origin{Layer: InProfile, Profile: "x", Key: "goproxy"}, "[profile.x] goproxy"},
		{Origin{Layer: Environment}, "environment"},
		{Origin{Layer: GoEnvFile, Pos: pos}, "go env file /f:3"},
		{Origin{Layer: GorootEnv, Pos: pos}, "GOROOT/go.env /f:3"},
		{Origin{Layer: Default}, "default"},
	} {
		if got := tt.o.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
