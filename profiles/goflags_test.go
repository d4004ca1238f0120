package profiles

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.com/gox/internal/gotest"
)

func TestSplitGOFLAGS(t *testing.T) {
	for _, tt := range []struct {
		value    string
		old, new string // words in brackets, or an error
	}{
		{"", "[]", "[]"},
		{" \t\r\n", "[]", "[]"},
		{"-v -x", `["-v" "-x"]`, `["-v" "-x"]`},
		{"-v\t-x\r\n-n ", `["-v" "-x" "-n"]`, `["-v" "-x" "-n"]`},
		{"-v\v-x\f-n", `["-v" "-x" "-n"]`, `["-v\v-x\f-n"]`},
		{"-v\u00a0-x\u2003-n\u0085-r", `["-v" "-x" "-n" "-r"]`, `["-v\u00a0-x\u2003-n\u0085-r"]`},
		{"'-tags=a b'", `["'-tags=a" "b'"]`, `["-tags=a b"]`},
		{`"-tags=a b" -v`, `["\"-tags=a" "b\"" "-v"]`, `["-tags=a b" "-v"]`},
		{`"it's" 'say "x"'`, `["\"it's\"" "'say" "\"x\"'"]`, `["it's" "say \"x\""]`},
		{"-tags='a b'", `["-tags='a" "b'"]`, `["-tags='a" "b'"]`},
		{"'-v'-x", `["'-v'-x"]`, `["-v" "-x"]`},
		{"'-v''-x'", `["'-v''-x'"]`, `["-v" "-x"]`},
		{"''", `["''"]`, `[""]`},
		{"'-v", `["'-v"]`, "unterminated ' string"},
		{`-v "`, `["-v" "\""]`, `unterminated " string`},
		{`'a\'b'`, `["'a\\'b'"]`, `["a\\" "b'"]`},
	} {
		for _, c := range []struct{ version, want string }{{"go1.18.10", tt.old}, {"go1.19", tt.old}, {"go1.20", tt.new}, {"go1.27.4", tt.new}, {"", tt.new}} {
			words, err := SplitGOFLAGS(tt.value, c.version)
			got := fmt.Sprintf("%+q", words)
			want := strings.NewReplacer("\v", `\v`, "\f", `\f`).Replace(c.want)
			if err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("%q, %s: got %s, want %s", tt.value, c.version, got, want)
			}
		}
	}
}

func TestJoinGOFLAGS(t *testing.T) {
	for _, tt := range []struct {
		words    string // parted by "|"
		old, new string // an error begins with "!"
	}{
		{"", "", ""},
		{"-v|-x", "-v -x", "-v -x"},
		{"-tags=a b", `!go1.19.13: entry "-tags=a b" holds a blank, which GOFLAGS can carry only from go1.20 on`, "'-tags=a b'"},
		{"-X='a b'", `!go1.19.13: entry "-X='a b'" holds a blank, which GOFLAGS can carry only from go1.20 on`, `"-X='a b'"`},
		{`-X='a'"b"`, `-X='a'"b"`, `-X='a'"b"`},
		{`-X='a' "b"`, `!go1.19.13: entry "-X='a' \"b\"" holds a blank, which GOFLAGS can carry only from go1.20 on`, `!entry "-X='a' \"b\"" holds blanks and both kinds of quotes, which GOFLAGS cannot carry`},
		{"'a", "'a", `"'a"`},
		{`"a`, `"a`, `'"a'`},
		{"a\u00a0b", "!go1.19.13: entry \"a\\u00a0b\" holds a blank, which GOFLAGS can carry only from go1.20 on", "a\u00a0b"},
		{"-v|", "!an empty entry", "!an empty entry"},
	} {
		for _, c := range []struct{ version, want string }{{"go1.19.13", tt.old}, {"go1.20", tt.new}, {"", tt.new}} {
			var words []string
			if tt.words != "" {
				words = strings.Split(tt.words, "|")
			}
			got, err := JoinGOFLAGS(words, c.version)
			if err != nil {
				got = "!" + err.Error()
			}
			if got != c.want {
				t.Errorf("%q, %s: got %s, want %s", words, c.version, got, c.want)
			}
		}
	}
}

func TestMergeFlags(t *testing.T) {
	for _, tt := range []struct{ name, under, over, want string }{
		{"nothing", "", "", ""},
		{"over nothing", "", "-v", "-v"},
		{"nothing over", "-v", "", "-v"},
		{"others stay in their order", "-a -b -c", "-d", "-a -b -c -d"},
		{"replaced", "-a=1 -b -c", "-a=2", "-b -c -a=2"},
		{"however many dashes", "-a=1 --b=1", "--a=2 -b=2", "--a=2 -b=2"},
		{"every one of them", "-a=1 -b -a=2", "-a=3", "-b -a=3"},
		{"twice above", "-a=1", "-a=2 -a=3", "-a=2 -a=3"},
		{"with a value and without", "-race=false", "-race", "-race"},
		{"no prefix counts", "-modfile=x -mo=y", "-mod=z", "-modfile=x -mo=y -mod=z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			under, over := strings.Fields(tt.under), strings.Fields(tt.over)
			if got := strings.Join(mergeFlags(under, over), " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := strings.Join(under, " "); got != tt.under {
				t.Errorf("the caller's slice is changed: %q", got)
			}
		})
	}
}

func FuzzGOFLAGS(f *testing.F) {
	for _, seed := range []string{"-v '-tags=a b'", `"a'b c" 'd"e f'`, "\u00a0\v", "''", "'", "-a\r\n\t-b", "\xff \xff"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, value string, old bool) {
		version := "go1.27.0"
		if old {
			version = "go1.18"
		}
		words, err := SplitGOFLAGS(value, version)
		if err != nil {
			if old {
				t.Fatalf("%q: old go takes everything: %v", value, err)
			}
			return
		}
		joined, err := JoinGOFLAGS(words, version)
		if err != nil {
			if !slices.Contains(words, "") {
				t.Fatalf("%q was in GOFLAGS and cannot be written: %v", words, err)
			}
			return
		}
		again, err := SplitGOFLAGS(joined, version)
		if err != nil || !slices.Equal(again, words) {
			t.Errorf("%q: %q, written %q, read %q (%v)", value, words, joined, again, err)
		}
		// What is split at letters that no value has, can be joined or is refused.
		parts := strings.Split(value, "-")
		if joined, err := JoinGOFLAGS(parts, version); err == nil {
			if again, err := SplitGOFLAGS(joined, version); err != nil || !slices.Equal(again, parts) {
				t.Errorf("%q, written %q, read %q (%v)", parts, joined, again, err)
			}
		}
	})
}

// toolchains are the oldest go that gox supports and the newest that it is
// tested with.
var toolchains = []string{"1.18", "1.27"}

// A realGo runs one go command, apart from the user's settings.
type realGo struct {
	path    string
	version string // "go1.18.10"
	environ []string
}

func newRealGo(t *testing.T, version string) *realGo {
	t.Helper()
	g := &realGo{path: gotest.Toolchain(t, version)}
	home := t.TempDir()
	// Else go leaves a child behind, which writes into home for a while.
	for _, config := range []string{".config", "Library/Application Support", "."} {
		dir := filepath.Join(home, config, "go", "telemetry")
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "mode"), []byte("off"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if !known(name) && !oneOf(name, "HOME", "USERPROFILE", "APPDATA", "XDG_CONFIG_HOME", "PWD") {
			g.environ = append(g.environ, entry)
		}
	}
	g.environ = append(g.environ, "HOME="+home, "USERPROFILE="+home, "APPDATA="+home, "GOCACHE="+filepath.Join(home, "cache"), "GOTOOLCHAIN=local", "GOENV=off", "GOPROXY=off", "GOSUMDB=off")
	out, errs, err := g.run(t, home, nil, "env", "GOVERSION")
	if err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	g.version = strings.TrimSpace(out)
	return g
}

// realGos are those of all toolchains, for a test of many cases.
func realGos(t *testing.T) []realGo {
	t.Helper()
	var gos []realGo
	for _, version := range toolchains {
		gos = append(gos, *newRealGo(t, version))
	}
	return gos
}

// run runs go in dir. Of environ and what stands in for the user's environment,
// environ counts.
func (g *realGo) run(t *testing.T, dir string, environ []string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.Command(g.path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	cmd.Env = append(append(slices.Clone(g.environ), environ...), "PWD="+dir)
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// reaction foretells what `go version` says under a GOFLAGS that is read as
// words (cmd/go/internal/base, InitGOFLAGS and SetFromGOFLAGS): of all go's
// commands it is the fastest, and -v is a flag of it.
func reaction(words []string, err error) string {
	if err != nil {
		return "go: parsing $GOFLAGS: " + err.Error()
	}
	for _, word := range words {
		name := flagName(word)
		switch {
		case !strings.HasPrefix(word, "-") || name == "" || strings.HasPrefix(name, "-"):
			return fmt.Sprintf("go: parsing $GOFLAGS: non-flag %q", word)
		case name != "v":
			return "go: parsing $GOFLAGS: unknown flag -" + name
		}
	}
	for _, word := range words {
		if _, value, ok := strings.Cut(word, "="); ok {
			if _, err := strconv.ParseBool(value); err != nil {
				return fmt.Sprintf("go: invalid boolean value %q for flag -v (from $GOFLAGS): parse error", value)
			}
		}
	}
	return ""
}

// The go command reads GOFLAGS as SplitGOFLAGS does, whatever stands in it.
func TestSplitGOFLAGSAgainstGo(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("the message names the variable in another way")
	}
	values := []string{
		"", " ", "-v", "-v -v", "'-v=a b'", `"-v=a b"`, "-v='a b'", "'-v=it' -v", "''", `""`, "'", `"`, "'-v'-v=x", "-v'x'", "'-v=\"'", `"-v='"`, `'-v=a\'b'`,
		"-v\v-v=x", "-v\u00a0-v=x", "-v\u0085-v=x", "-v\u2003-v=x", "-v\ufeff", "\v-v", "\u00a0-v", "-v=\xff", "-v=a\xffb c", "-v=世界", "--v=x", "---v", "-=v", "--", "-", "=",
	}
	pieces := []string{"-v", "-v=", "--v=", "'", "'", `"`, `"`, " ", " ", "\t", "\n", "\r", "\v", "\f", "\u00a0", "\u0085", "\u2003", "世", "\xff", "a", "b c", "1", "=", "-", `\`, "true", " -v ", "zz"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 250 {
		var b strings.Builder
		if random.IntN(2) == 0 {
			b.WriteString([]string{"-v ", "'-v=", `"-v=`, "'-v=true' "}[random.IntN(4)])
		}
		for range 1 + random.IntN(7) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		values = append(values, b.String())
	}
	for _, version := range toolchains {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			g := newRealGo(t, version)
			dir, seen := t.TempDir(), map[string]int{}
			for _, value := range values {
				words, err := SplitGOFLAGS(value, g.version)
				want := reaction(words, err)
				_, stderr, _ := g.run(t, dir, []string{"GOFLAGS=" + value}, "version")
				got, _, _ := strings.Cut(stderr, "\n")
				if got != want {
					t.Errorf("GOFLAGS=%q, read as %q:\n got %s\nwant %s", value, words, got, want)
				}
				seen[strings.Join(strings.Fields(got + " fine fine fine fine")[:4], " ")]++
			}
			// Else the values prove nothing.
			for _, kind := range []string{"fine fine fine fine", "go: parsing $GOFLAGS: non-flag", "go: parsing $GOFLAGS: unknown", "go: invalid boolean value"} {
				if seen[kind] < 5 {
					t.Errorf("too few %q: %v", kind, seen)
				}
			}
		})
	}
}

// Whatever words JoinGOFLAGS can write, go reads back.
func TestJoinGOFLAGSAgainstGo(t *testing.T) {
	values := []string{"x", "a b", "a\tb", "a\nb\r", "it's", `say "x"`, `it's "x"`, `'"`, "'x", "世 界", "a\u00a0b", "a\u2003b", "a\vb", `\`, `a\ b`, " ", "  x  ", "'a' 'b'", "=", "-v", "\xff b"}
	for _, version := range toolchains {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			g := newRealGo(t, version)
			dir, carried := t.TempDir(), 0
			for _, value := range values {
				joined, err := JoinGOFLAGS([]string{"-v", "-v=" + value, "-v"}, g.version)
				if err != nil {
					continue
				}
				carried++
				_, stderr, _ := g.run(t, dir, []string{"GOFLAGS=" + joined}, "version")
				got, _, _ := strings.Cut(stderr, "\n")
				if want := reaction([]string{"-v=" + value}, nil); got != want {
					t.Errorf("%q, written %q:\n got %s\nwant %s", value, joined, got, want)
				}
			}
			if carried < 5 {
				t.Errorf("only %d of %d values could be written", carried, len(values))
			}
		})
	}
}

// What a profile merges into the user's GOFLAGS has the effect that was meant.
func TestMergedGOFLAGSAgainstGo(t *testing.T) {
	root := tree(t, map[string]string{
		"m/go.mod": "module example.test/m\n\ngo 1.18\n", "m/go.alt.mod": "module example.test/m\n\ngo 1.17\n", "m/m.go": "package m\n",
		"m/tagged.go": "//go:build a && b\n\npackage m\n",
	})
	const text = `
[profile.tags]
goflags = ["-tags=a,b"]
[profile.blank]
goflags = ["-tags=a b"]
[profile.suffix]
goflags = ["-installsuffix=x"]
[profile.alt]
modfile = "go.alt.mod"
[profile.none]
goflags = []
`
	gos := realGos(t)
	for _, tt := range []struct {
		name, layers, goflags, since string
		want                         string
	}{
		{name: "the user's alone", layers: "none", goflags: "-tags=u", want: "[u] suffix= go=1.18 m.go"},
		{name: "replaced", layers: "tags", goflags: "-tags=u -installsuffix=s", want: "[a b] suffix=s go=1.18 m.go tagged.go"},
		{name: "replaced, two dashes", layers: "tags", goflags: "--tags=u -installsuffix=s", want: "[a b] suffix=s go=1.18 m.go tagged.go"},
		{name: "kept", layers: "suffix", goflags: "-tags=a,b", want: "[a b] suffix=x go=1.18 m.go tagged.go"},
		{name: "quoted and kept", layers: "suffix", goflags: "'-tags=a b' -v", since: "go1.20", want: "[a b] suffix=x go=1.18 m.go tagged.go"},
		{name: "quoted and replaced", layers: "tags", goflags: "'-tags=u v' -installsuffix=s", since: "go1.20", want: "[a b] suffix=s go=1.18 m.go tagged.go"},
		{name: "a blank in the profile", layers: "blank", goflags: "-v", since: "go1.20", want: "[a b] suffix= go=1.18 m.go tagged.go"},
		{name: "modfile", layers: "alt", goflags: "-tags=u -modfile=nowhere.mod", want: "[u] suffix= go=1.17 m.go"},
		{name: "all", layers: "alt suffix tags", goflags: "-tags=u -modfile=nowhere.mod -installsuffix=s", want: "[a b] suffix=x go=1.17 m.go tagged.go"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, g := range gos {
				if older(g.version, tt.since) {
					continue
				}
				dir := filepath.Join(root, "m")
				env, problems := resolved(t, text, strings.Fields(tt.layers)...).Env(Inputs{Environ: append(slices.Clone(g.environ), "GOFLAGS="+tt.goflags), Dir: dir, GoVersion: g.version})
				if err := problems.Err(); err != nil {
					t.Fatal(err)
				}
				g.environ = env.Environ()
				stdout, stderr, err := g.run(t, dir, nil, "list", "-f", `{{context.BuildTags}} suffix={{context.InstallSuffix}} go={{.Module.GoVersion}} {{join .GoFiles " "}}`)
				if got := strings.TrimSpace(stdout); err != nil || got != tt.want {
					t.Errorf("%s: got %q, want %q (%v)\n%s", g.version, got, tt.want, err, stderr)
				}
			}
		})
	}
}
