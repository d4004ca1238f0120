package profiles

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseGoEnv(t *testing.T) {
	for _, tt := range []struct{ name, data, want string }{
		{"nothing", "", ""},
		{"one", "GOPROXY=off", "1 GOPROXY=off"},
		{"several", "GOPROXY=off\nGOFLAGS=-v -x\n", "2 GOFLAGS=-v -x|1 GOPROXY=off"},
		{"empty value", "GOPROXY=\n", "1 GOPROXY="},
		{"equals signs", "GOFLAGS=-tags=a=b\n", "1 GOFLAGS=-tags=a=b"},
		{"the last one counts", "GOPROXY=a\nGOPROXY=b\n", "2 GOPROXY=b"},
		{"no quoting", `GOFLAGS="-v"`, `1 GOFLAGS="-v"`},
		{"comments and blank lines", "# GOPROXY=a\n\n\nGOPROXY=b\n", "4 GOPROXY=b"},
		{"lower case", "goproxy=a\nGOPROXY=b", "2 GOPROXY=b"},
		{"blank before the name", " GOPROXY=a", ""},
		{"blank after the name", "GOPROXY =a", "1 GOPROXY =a"},
		{"no equals sign", "GOPROXY", ""},
		{"no name", "=x", ""},
		{"carriage return", "GOPROXY=a\r\nGOFLAGS=-v", "2 GOFLAGS=-v|1 GOPROXY=a\r"},
		{"byte order mark", "\ufeffGOPROXY=a", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var all []string
			for name, a := range parseGoEnv("/env", tt.data) {
				all = append(all, fmt.Sprintf("%d %s=%s", a.pos.Line(), name, a.value))
				if a.pos.File != "/env" {
					t.Errorf("%s stands in %q", name, a.pos.File)
				}
			}
			slices.SortFunc(all, func(a, b string) int { return strings.Compare(a[2:], b[2:]) })
			if got := strings.Join(all, "|"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestGoEnvFile(t *testing.T) {
	abs, err := filepath.Abs("x")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, goenv, config, want string }{
		{"unset", "", "/config", "/config/go/env"},
		{"no configuration directory", "", "", ""},
		{"off", "off", "/config", ""},
		{"absolute", abs, "/config", filepath.ToSlash(abs)},
		{"relative", "sub/env", "/config", "/dir/sub/env"},
	} {
		if got := filepath.ToSlash(goEnvFile(tt.goenv, tt.config, "/dir")); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if readGoEnv("") != nil || readGoEnv(filepath.Join(t.TempDir(), "none")) != nil {
		t.Error("a file that is not there has something in it")
	}
}

func FuzzParseGoEnv(f *testing.F) {
	for _, seed := range []string{"GOPROXY=off\nGOFLAGS=-v", "=\n==\n", "A", "A=\r\n\x00=", "\ufeffA=b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		lines := strings.Split(data, "\n")
		for name, a := range parseGoEnv("/env", data) {
			if got := lines[a.pos.Line()-1]; got != name+"="+a.value || strings.Contains(name, "=") {
				t.Errorf("line %d of %q is %q, not %q=%q", a.pos.Line(), data, got, name, a.value)
			}
		}
	})
}

// envJSON returns what go says of its variables in environ.
func (g *realGo) envJSON(t *testing.T, dir string, environ ...string) map[string]string {
	t.Helper()
	stdout, stderr, err := g.run(t, dir, environ, "env", "-json")
	said := map[string]string{}
	if err == nil {
		err = json.Unmarshal([]byte(stdout), &said)
	}
	if err != nil {
		t.Fatalf("go env -json: %v\n%s", err, stderr)
	}
	return said
}

// The go env file means to go what it means here, and so does a variable that
// is empty or absent in the file and in the environment.
func TestGoEnvAgainstGo(t *testing.T) {
	gos := realGos(t)
	for _, tt := range []struct{ name, data, environ string }{
		{name: "nothing"},
		{name: "plain", data: "GOPROXY=https://file.example\nGOFLAGS=-v\nGOPRIVATE=git.corp.example\n"},
		{name: "no line feed at the end", data: "GOPROXY=https://file.example"},
		{name: "environment above", data: "GOPROXY=https://file.example\nGOSUMDB=off\n", environ: "GOPROXY=https://env.example"},
		{name: "empty in the environment", data: "GOPROXY=https://file.example\nGOFLAGS=-v\n", environ: "GOPROXY=|GOFLAGS="},
		{name: "empty in the file", data: "GOPROXY=\nGOFLAGS=\nGOSUMDB=\nGOPRIVATE=\n"},
		{name: "empty in both", data: "GOPROXY=\nGOSUMDB=\n", environ: "GOPROXY=|GOSUMDB="},
		{name: "empty in the environment alone", environ: "GOPROXY=|GOSUMDB=|GOPRIVATE="},
		{name: "twice", data: "GOPROXY=https://first.example\nGOPROXY=https://last.example\n"},
		{name: "twice, the last empty", data: "GOPROXY=https://first.example\nGOPROXY=\n"},
		{name: "comments", data: "# GOPROXY=https://no.example\n#\n\n  GOSUMDB=no\nGOPROXY=https://file.example\n"},
		{name: "lower case", data: "goproxy=https://no.example\n"},
		{name: "blanks", data: "GOPROXY = https://no.example\nGOFLAGS= -v \n GOPRIVATE=no\n"},
		{name: "quotes", data: "GOFLAGS=\"-v\"\nGOPRIVATE='x'\n"},
		{name: "equals signs", data: "GOFLAGS=-tags=a=b\n=x\nGOPRIVATE\n"},
		{name: "carriage returns", data: "GOPROXY=https://file.example\r\nGOFLAGS=-v\r\n"},
		{name: "byte order mark", data: "\ufeffGOPROXY=https://no.example\nGOFLAGS=-v\n"},
		{name: "none of go's", data: "FOO=x\nHOME=/elsewhere\nGOX_GO=x\n"},
		{name: "of the runtime", data: "GODEBUG=x=1\nGOGC=off\n"},
		{name: "itself", data: "GOENV=off\nGOPROXY=https://file.example\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, g := range gos {
				g.environ = slices.DeleteFunc(slices.Clone(g.environ), func(entry string) bool {
					name, _, _ := strings.Cut(entry, "=")
					return oneOf(name, "GOPROXY", "GOSUMDB", "GOENV")
				})
				dir := t.TempDir()
				file := filepath.Join(dir, "env")
				if err := os.WriteFile(file, []byte(tt.data), 0o666); err != nil {
					t.Fatal(err)
				}
				environ := []string{"GOENV=" + file}
				if tt.environ != "" {
					environ = append(environ, strings.Split(tt.environ, "|")...)
				}
				byDefault := g.envJSON(t, dir, "GOENV=off")
				said := g.envJSON(t, dir, environ...)
				env, problems := resolved(t, "").Env(Inputs{Environ: append(slices.Clone(g.environ), environ...), Dir: dir, GOROOT: byDefault["GOROOT"], GoVersion: g.version})
				if err := problems.Err(); err != nil {
					t.Fatal(err)
				}
				for _, name := range []string{"GOENV", "GOPROXY", "GOSUMDB", "GOFLAGS", "GOPRIVATE", "GONOPROXY", "GOVCS", "GODEBUG"} {
					got, ok := said[name]
					if !ok {
						continue // GODEBUG, before go1.21
					}
					s := env.Lookup(name)
					want := s.Value
					switch {
					case want != "":
					case name == "GONOPROXY":
						want = env.Value("GOPRIVATE")
					case s.Origin.Layer == Default || older(g.version, "go1.21"):
						want = byDefault[name] // go1.18 takes an empty value for none, even in the file
					}
					if got != want {
						t.Errorf("%s: %s is %q to go, and %q here (%v)", g.version, name, got, want, s.Origin)
					}
				}
			}
		})
	}
}

// Go has no variable that Variables does not list, and takes from its env file
// those of inGoEnv and no other.
func TestVariablesAgainstGo(t *testing.T) {
	for _, version := range toolchains {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			g := newRealGo(t, version)
			dir := t.TempDir()
			file := filepath.Join(dir, "env")
			var data strings.Builder
			// The others must have values that mean something, or the environment
			// of the test has them.
			odd := strings.Fields("GOOS GOARCH GO386 GOAMD64 GOARM GOARM64 GOMIPS GOMIPS64 GOPPC64 GORISCV64 GOWASM GOFIPS140 GOEXPERIMENT CGO_ENABLED GO111MODULE GOROOT GOWORK GOTOOLCHAIN GOFLAGS GOENV GOPROXY GOSUMDB GOCACHE")
			for _, name := range Variables() {
				if !slices.Contains(odd, name) {
					fmt.Fprintf(&data, "%s=%s\n", name, dir)
				}
			}
			if err := os.WriteFile(file, []byte(data.String()), 0o666); err != nil {
				t.Fatal(err)
			}
			said := g.envJSON(t, dir, "GOENV="+file)
			if len(said) < 30 {
				t.Fatalf("go says only %v", said)
			}
			for name, value := range said {
				if !known(name) {
					t.Errorf("%s is missing in Variables", name)
				}
				if slices.Contains(odd, name) {
					continue
				}
				if (value == dir) != inGoEnv(name) {
					t.Errorf("%s is %q, and inGoEnv says %v", name, value, inGoEnv(name))
				}
			}
		})
	}
}
