//go:build unix

// Package cmd_test runs the gox command as its users do: the real binary, in
// scripts. testdata/script/README.md describes them.
package cmd_test

import (
	"errors"
	"fmt"
	"go/version"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/goproxytest"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/gotest"
)

// bin is the directory that holds the gox under test, and nothing else.
var bin string

func TestMain(m *testing.M) {
	// Under nohup, or in the background of a shell, these are ignored, and so
	// they would be by every program that a test signals. A handler here makes
	// such programs begin with the default.
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gox-test-")
		if err == nil {
			defer os.RemoveAll(dir)
			os.Setenv("GOTMPDIR", dir) // where testscript works: of a filtered run it leaves directories
			bin = filepath.Join(dir, "bin")
			err = errors.Join(
				buildGox(filepath.Join(bin, "gox")),
				os.WriteFile(fidelityProfiles(), []byte("[profile.fresh]\nmodcache = \"fresh\"\n"), 0o666),
			)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// fidelityProfiles is a file with a profile "fresh", under which gox waits for
// go instead of becoming it.
func fidelityProfiles() string { return filepath.Join(filepath.Dir(bin), "profiles.toml") }

// buildGox builds gox as file, whatever the tests were built with.
func buildGox(file string, flags ...string) error {
	args := append([]string{"build", "-buildvcs=false", "-o", file}, flags...)
	build := exec.Command("go", append(args, "example.com/gox/cmd/gox")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build gox: %w\n%s", err, out)
	}
	return nil
}

// The go that the tests themselves run under is the one in PATH.
func TestScript(t *testing.T) {
	found, err := gocmd.Find(os.Getenv("PATH"), "")
	if err != nil {
		t.Fatal(err)
	}
	goPath := found.Path
	testscript.Run(t, params(t, "testdata/script", goPath))
}

// fidelityVersions are the oldest and the newest go.
var fidelityVersions = []string{"1.18", "1.27"}

// Nobody can tell gox from go.
func TestFidelity(t *testing.T) {
	for _, v := range fidelityVersions {
		t.Run("go"+v, func(t *testing.T) {
			t.Parallel()
			testscript.Run(t, params(t, "testdata/script/fidelity", gotest.Toolchain(t, v)))
		})
	}
}

// gox script runs other toolchains than the one in PATH, out of the user's
// store, in which they are installed first.
func TestClaims(t *testing.T) {
	var program string
	for _, v := range fidelityVersions {
		program = gotest.Toolchain(t, v)
	}
	p := params(t, "testdata/script/claims", program)
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		store := program // <cache>/toolchain/<version>/go/bin/go
		for range 5 {
			store = filepath.Dir(store)
		}
		err := setup(env)
		env.Vars = append(env.Vars, "GOX_CACHE="+store)
		return err
	}
	testscript.Run(t, p)
}

// params are those for the scripts in dir, about the go command at goPath.
func params(t *testing.T, dir, goPath string) testscript.Params {
	cmds := map[string]func(*testscript.TestScript, bool, []string){}
	for _, c := range commands {
		name, _, _ := strings.Cut(c.usage, " ")
		cmds[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg || !c.run(ts, args) {
				ts.Fatalf("usage: %s", c.usage) // under ! as well
			}
		}
	}
	environ := scriptEnv(t, goPath)
	return testscript.Params{
		Dir:                dir,
		Cmds:               cmds,
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			var vars []string
			for _, v := range env.Vars {
				switch name, _, _ := strings.Cut(v, "="); name {
				case "HOME", "PATH", "GOTRACEBACK", "GOCOVERDIR", "GORACE":
				default:
					vars = append(vars, v)
				}
			}
			// A dot keeps these out of ./...
			home := filepath.Join(env.WorkDir, ".home")
			env.Vars = append(vars, append(slices.Clone(environ),
				"HOME="+home,
				"GOPATH="+filepath.Join(env.WorkDir, ".gopath"),
				"GOX_CACHE="+filepath.Join(env.WorkDir, ".gox"),
			)...)
			env.Values[tbKey{}] = env.T()
			return os.Mkdir(home, 0o777)
		},
		Condition: func(cond string) (bool, error) {
			if minimum, ok := strings.CutPrefix(cond, "go>="); ok && version.IsValid("go"+minimum) {
				return version.Compare(gocmd.At(goPath).Version, "go"+minimum) >= 0, nil
			}
			switch cond {
			case "root":
				return os.Getuid() == 0, nil
			case "mount":
				// Root may, and elsewhere it is the kernel's settings that say.
				return exec.Command("unshare", "-rm", "mount", "-t", "tmpfs", "none", os.TempDir()).Run() == nil, nil
			}
			return false, errors.New("unknown condition")
		},
	}
}

// tbKey is the key of a script's testing.TB among its values.
type tbKey struct{}

// scriptEnv is what gox and go need of the environment: nothing of the user's
// but PATH and the build cache. goPath comes right behind gox in PATH.
func scriptEnv(t *testing.T, goPath string) []string {
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	return []string{
		"PATH=" + strings.Join([]string{bin, filepath.Dir(goPath), os.Getenv("PATH")}, string(os.PathListSeparator)),
		"GOCACHE=" + strings.TrimSpace(string(out)),
		"GOX=" + filepath.Join(bin, "gox"),
		"GOTOOLCHAIN=local",
		"GOFLAGS=",
		"GOPROXY=off",
		"GOSUMDB=off",
	}
}

// A command is one that scripts have beyond testscript's own. run returns
// false where the usage is wrong.
type command struct {
	usage string
	run   func(ts *testscript.TestScript, args []string) bool
}

// commands are at most a dozen. testdata/script/README.md describes them.
var commands = []command{
	{"status CODE program [arg...]", status},
	{"unchanged CODE program [arg...]", unchanged},
	{"same [-stdin FILE] [-exec] CODE [arg...]", same},
	{"proxy NAME DIR|STATUS", proxy},
}

// status runs a program and checks the exact way it ends.
func status(ts *testscript.TestScript, args []string) bool {
	if len(args) < 2 || !isStatus(args[0]) {
		return false
	}
	if got := run(ts, args[1:]...); got != args[0] {
		ts.Fatalf("%s: status %s, want %s", args[1], got, args[0])
	}
	return true
}

func isStatus(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && 0 <= n && n <= 255 || unix.SignalNum(s) != 0
}

// run runs a program and returns its exit code, or the name of the signal that
// it died of.
func run(ts *testscript.TestScript, argv ...string) string {
	err := ts.Exec(argv[0], argv[1:]...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%s: %v", argv[0], err)
	}
	return statusOf(exit)
}

func statusOf(exit *exec.ExitError) string {
	if exit == nil {
		return "0"
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return unix.SignalName(ws.Signal())
	}
	return strconv.Itoa(exit.ExitCode())
}

// same runs go, and gox in each of the ways in which it runs go, with the same
// arguments, and compares all that a caller sees.
func same(ts *testscript.TestScript, args []string) bool {
	var prefix []string
	if len(args) > 2 && args[0] == "-stdin" {
		prefix = []string{"sh", "-c", `in=$1; shift; cat "$in" | "$@"`, "sh", ts.MkAbs(args[1])}
		args = args[2:]
	}
	ways := [][]string{{"gox"}, {"gox", "go"}, {"gox", "-p", "default"}, {"gox", "--profiles", fidelityProfiles(), "-p", "fresh"}}
	if len(args) > 0 && args[0] == "-exec" {
		ways, args = ways[:3], args[1:]
	}
	if len(args) == 0 || !isStatus(args[0]) {
		return false
	}
	want := args[0]
	args = args[1:]
	look := func(way []string) (code, stdout, stderr string) {
		code = run(ts, slices.Concat(prefix, way, args)...)
		return code, steady(ts.ReadFile("stdout")), steady(ts.ReadFile("stderr"))
	}
	goCode, goOut, goErr := look([]string{"go"})
	if goCode != want {
		ts.Fatalf("go: status %s, want %s", goCode, want)
	}
	for _, way := range ways {
		switch code, stdout, stderr := look(way); {
		case code != goCode:
			ts.Fatalf("%s: status %s, but go's is %s", way, code, goCode)
		case stdout != goOut:
			ts.Fatalf("%s: stdout differs\n%s", way, diff.Diff("go", []byte(goOut), "gox", []byte(stdout)))
		case stderr != goErr:
			ts.Fatalf("%s: stderr differs\n%s", way, diff.Diff("go", []byte(goErr), "gox", []byte(stderr)))
		}
	}
	return true
}

// unsteady is what differs between any two runs of go: the name of its
// temporary directory, and how long a test and its package took.
var unsteady = regexp.MustCompile(`/go-build\d+|\(\d+\.\d\ds\)|\t\d+\.\d\d\ds\b`)

func steady(text string) string { return unsteady.ReplaceAllString(text, "<unsteady>") }

// proxy starts a module proxy.
func proxy(ts *testscript.TestScript, args []string) bool {
	if len(args) != 2 {
		return false
	}
	tb := ts.Value(tbKey{}).(testing.TB)
	var handler http.Handler
	if code, err := strconv.Atoi(args[1]); err == nil {
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "this proxy always says "+args[1], code)
		})
	} else {
		modules, err := url.Parse(goproxytest.NewTestServer(tb, ts.MkAbs(args[1]), "127.0.0.1:0").URL)
		ts.Check(err)
		handler = httputil.NewSingleHostReverseProxy(modules)
	}
	log, err := os.Create(filepath.Join(ts.Getenv("WORK"), args[0]+".log"))
	ts.Check(err)
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		fmt.Fprintln(log, r.URL.Path)
		mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	ts.Defer(func() {
		server.Close()
		log.Close()
	})
	ts.Setenv(args[0], server.URL)
	return true
}

// Each script says what it asserts before it does anything.
func TestScriptHeaders(t *testing.T) {
	var scripts []string
	for _, pattern := range []string{"testdata/script/*", "testdata/script/fidelity/*", "testdata/script/claims/*", "testdata/script/sandbox/*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, found...)
	}
	named := regexp.MustCompile(`^[a-z]+(_[a-z0-9]+)+\.txtar$`)
	checked := 0
	for _, script := range scripts {
		if name := filepath.Base(script); name == "README.md" || name == "fidelity" || name == "claims" || name == "sandbox" {
			continue
		}
		checked++
		if !named.MatchString(filepath.Base(script)) {
			t.Errorf("%s: not called <topic>_<claim>.txtar", script)
		}
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		header, _, ok := strings.Cut(string(text), "\n\n")
		if !ok || len(header) < 20 || slices.ContainsFunc(strings.Split(header, "\n"), func(line string) bool { return !strings.HasPrefix(line, "# ") }) {
			t.Errorf("%s: does not begin with a comment, of its own, that says what it asserts", script)
		}
	}
	if checked == 0 {
		t.Error("no scripts")
	}
}

// The README's rows are the commands there are.
func TestScriptCommandsAreDocumented(t *testing.T) {
	if len(commands) > 12 {
		t.Errorf("%d commands, want at most a dozen", len(commands))
	}
	text, err := os.ReadFile("testdata/script/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		rows = append(rows, strings.ReplaceAll(m[1], `\|`, "|"))
	}
	var usages []string
	for _, c := range commands {
		usages = append(usages, c.usage)
	}
	if !slices.Equal(rows, usages) {
		t.Errorf("README.md has\n%q\nwant\n%q", rows, usages)
	}
}
