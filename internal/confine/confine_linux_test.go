package confine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/inside"
)

// The test binary is also the helper, and the command that is confined.
const role = "CONFINE_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Args[0] == inside.Name {
		os.Exit(inside.Main(os.Args, os.Environ()))
	}
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "try":
		for _, what := range os.Args[1:] {
			fmt.Println(try(what))
		}
	case "none": // Run, where there is nothing to run it with
		_, err := Run(context.Background(), policy(None), self("try", "listen"))
		fmt.Println(err)
		if !errors.Is(err, errors.ErrUnsupported) {
			os.Exit(1)
		}
	}
}

// try does one thing and says how it went: "ok", or why not.
func try(what string) string {
	verb, arg, _ := strings.Cut(what, "=")
	var err error
	switch verb {
	case "listen":
		var l net.Listener
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err == nil {
			defer l.Close()
			return try("tcp=" + l.Addr().String())
		}
	case "tcp", "unix", "udp":
		var c net.Conn
		if c, err = net.DialTimeout(verb, arg, 5*time.Second); err == nil {
			defer c.Close()
			if verb == "udp" {
				c.SetDeadline(time.Now().Add(300 * time.Millisecond))
				if _, err = c.Write([]byte("?")); err == nil {
					_, err = c.Read(make([]byte, 8))
				}
			}
		}
	case "get":
		var r *http.Response
		if r, err = http.Get(arg); err == nil {
			data, _ := io.ReadAll(r.Body)
			return fmt.Sprint(r.StatusCode, " ", strings.TrimSpace(string(data)))
		}
	case "write":
		err = os.WriteFile(filepath.Join(arg, "new"), nil, 0o666)
	case "chmod":
		err = os.Chmod(arg, 0o777)
	case "append":
		var f *os.File
		if f, err = os.OpenFile(arg, os.O_WRONLY|os.O_APPEND, 0); err == nil {
			f.Close()
		}
	case "remount": // as one more user namespace would
		out, xerr := exec.Command("unshare", "-Urm", "mount", "-o", "remount,bind,rw", arg).CombinedOutput()
		if err = xerr; err != nil {
			return strings.Join(strings.Fields(string(out)), " ") + ": " + err.Error()
		}
		err = os.WriteFile(filepath.Join(arg, "new"), nil, 0o666)
	case "env":
		return os.Getenv(arg)
	case "fd":
		// The runtime may have opened something there; not a socket.
		if target, _ := os.Readlink("/proc/self/fd/3"); strings.HasPrefix(target, "socket:") {
			return target
		}
	}
	if err != nil {
		return err.Error()
	}
	return "ok"
}

func policy(n Net) Policy {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Policy{Net: n, Helper: exe}
}

func self(r string, args ...string) gocmd.Cmd {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return gocmd.Cmd{Path: exe, Args: args, Env: []string{role + "=" + r, "PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}}
}

// tries runs try for each of what under p.
func tries(t *testing.T, p Policy, what ...string) []string {
	t.Helper()
	var out, stderr bytes.Buffer
	c := self("try", what...)
	c.Stdout, c.Stderr = &out, &stderr
	code, err := Run(t.Context(), p, c)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err) // as in a container that allows none
	}
	if err != nil || code != 0 {
		t.Fatalf("%d, %v\n%s%s", code, err, &out, &stderr)
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

// services starts one service of each kind on the host.
func services(t *testing.T) (web *httptest.Server, what []string) {
	t.Helper()
	web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello", r.Host)
	}))
	t.Cleanup(web.Close)
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { udp.Close() })
	go func() {
		for b := make([]byte, 8); ; {
			_, from, err := udp.ReadFrom(b)
			if err != nil {
				return
			}
			udp.WriteTo([]byte("!"), from)
		}
	}()
	name := "@gox-confine-test-" + udp.LocalAddr().String() // as good as random
	abstract, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { abstract.Close() })
	addr := web.Listener.Addr().String()
	return web, []string{"tcp=" + addr, "udp=" + udp.LocalAddr().String(), "unix=" + name, "get=http://" + addr}
}

func TestNone(t *testing.T) {
	web, what := services(t)
	what = append(what, "listen")
	addr := web.Listener.Addr().String()
	if got := tries(t, policy(Host), what...); !slices.Equal(got, []string{"ok", "ok", "ok", "200 hello " + addr, "ok"}) {
		t.Errorf("host, the control: %q", got)
	}
	for _, n := range []Net{None, Sources} {
		got := tries(t, policy(n), what...)
		if got[4] != "ok" {
			t.Errorf("%s: no loopback: %s", n, got[4])
		}
		for i, word := range []string{"refused", "refused", "refused", "refused"} {
			if !strings.Contains(got[i], word) {
				t.Errorf("%s: %s: %s", n, what[i], got[i])
			}
		}
		if got := tries(t, policy(n), "tcp=192.0.2.1:80"); !strings.Contains(got[0], "unreachable") {
			t.Errorf("%s: a way out: %s", n, got)
		}
	}
}

// uses collects what is recorded.
type uses struct {
	sync.Mutex
	list []Use
}

func (u *uses) record(use Use) {
	u.Lock()
	defer u.Unlock()
	u.list = append(u.list, use)
}

func TestSources(t *testing.T) {
	allowed, _ := services(t)
	other, _ := services(t)
	a, o := allowed.Listener.Addr().String(), other.Listener.Addr().String()
	p := policy(Sources)
	var u uses
	p.Record, p.Allow = u.record, []string{a}
	got := tries(t, p, "get=http://"+a, "get=http://"+o, "get=http://other.example/x", "get=https://other.example:8443/x", "env=HTTPS_PROXY", "fd")
	const refused = `gox: --net sources: "other.example:%s" is not among the sources of the profile, nor named by --allow`
	for i, want := range []string{"200 hello " + a, "connection refused", "403 " + fmt.Sprintf(refused, "80"), fmt.Sprintf(refused, "8443"), "http://127.0.0.1:1", "ok"} {
		if !strings.Contains(got[i], want) {
			t.Errorf("%d: %s, want %s", i, got[i], want)
		}
	}
	// Run has returned: all of it is recorded.
	var said []string
	for _, use := range u.list {
		said = append(said, fmt.Sprint(use.Addr, " ", use.Allowed, " ", use.Received > 0))
	}
	slices.Sort(said)
	if want := []string{a + " true true", "other.example:80 false false", "other.example:8443 false false"}; !slices.Equal(said, want) {
		t.Errorf("recorded: %q, want %q", said, want)
	}
}

// A name that is not a loopback's goes through the proxy, by CONNECT and without.
func TestDoor(t *testing.T) {
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "secure") }))
	defer web.Close()
	plain, _ := services(t)
	for _, dead := range []bool{false, true} {
		var u uses
		d := newDoor(Policy{Allow: []string{"127.0.0.1"}, Record: u.record})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		d.proxy(l)
		client := web.Client()
		client.Transport.(*http.Transport).Proxy = func(*http.Request) (*url.URL, error) {
			return &url.URL{Scheme: "http", Host: l.Addr().String()}, nil
		}
		for at, want := range map[string]string{web.URL: "secure", plain.URL: "hello"} {
			if dead {
				at = strings.ReplaceAll(at, web.Listener.Addr().String(), "127.0.0.1:2")
				if strings.HasPrefix(at, "http:") {
					continue
				}
				want = "gox: 127.0.0.1:2: dial tcp 127.0.0.1:2: connect: connection refused"
			}
			r, err := client.Get(at)
			got := ""
			if err == nil {
				data, _ := io.ReadAll(r.Body)
				r.Body.Close()
				got = string(data)
			} else {
				got = err.Error()
			}
			if !strings.Contains(got, want) {
				t.Errorf("%s: %s, want %s", at, got, want)
			}
		}
		client.CloseIdleConnections()
		d.shut()
		if want := 2; !dead && len(u.list) != want || dead && (len(u.list) != 1 || u.list[0].Failure == "") {
			t.Errorf("recorded: %+v", u.list)
		}
	}
}

// From outside the world may be reached by a proxy only, which wants a password.
func TestDoorBehindProxy(t *testing.T) {
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "secure") }))
	defer web.Close()
	asked := make(chan string, 4)
	// The proxy is a door too, which believes that any name is the server.
	corp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth()
		asked <- r.Method + " " + r.Host + " " + user + ":" + password
		if password != "secret" {
			http.Error(w, "no", http.StatusProxyAuthRequired)
			return
		}
		d := newDoor(Policy{})
		d.connect(w, web.Listener.Addr().String())
		d.shut()
	}))
	defer corp.Close()
	for password, want := range map[string]string{"secret": "secure", "wrong": "gox: far.test:443: the proxy " + corp.Listener.Addr().String() + ": 407 Proxy Authentication Required"} {
		var u uses
		d := newDoor(Policy{Allow: []string{"far.test"}, Record: u.record, Environ: []string{"https_proxy=http://me:" + password + "@" + corp.Listener.Addr().String()}})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		d.proxy(l)
		client := web.Client()
		transport := client.Transport.(*http.Transport).Clone()
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: l.Addr().String()})
		transport.TLSClientConfig.ServerName = "example.com" // which the test's certificate is for
		r, err := (&http.Client{Transport: transport}).Get("https://far.test/")
		got := ""
		if err == nil {
			data, _ := io.ReadAll(r.Body)
			r.Body.Close()
			got = string(data)
		} else {
			got = err.Error()
		}
		if !strings.HasSuffix(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
		if got := <-asked; got != "CONNECT far.test:443 me:"+password {
			t.Errorf("asked: %s", got)
		}
		transport.CloseIdleConnections()
		d.shut()
		if len(u.list) != 1 || strings.Contains(fmt.Sprint(u.list), password) {
			t.Errorf("recorded: %+v", u.list)
		}
	}
}

// go itself comes to its module proxy, on the host's loopback, and to no other,
// and says why not in gox's words.
func TestGo(t *testing.T) {
	goCmd, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/a.example/m/@v/list":
			io.WriteString(w, "v1.0.0\n")
		case "/a.example/m/@v/v1.0.0.info":
			io.WriteString(w, `{"Version":"v1.0.0"}`)
		case "/a.example/m/@v/v1.0.0.mod":
			io.WriteString(w, "module a.example/m\n")
		default:
			http.NotFound(w, r)
		}
	}))
	defer proxy.Close()
	tests := []struct {
		name, goproxy string
		net           Net
		want          string
	}{
		{"allowed", proxy.URL, Sources, "a.example/m v1.0.0"},
		{"another one", "https://proxy.test", Sources, `gox: --net sources: "proxy.test:443" is not among the sources of the profile, nor named by --allow`},
		{"none", proxy.URL, None, "connection refused"},
		{"host", proxy.URL, Host, "a.example/m v1.0.0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := policy(test.net)
			if p.Allow, err = SourcesOf(func(name string) string { return map[string]string{"GOPROXY": proxy.URL, "GOSUMDB": "off"}[name] }); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			c := gocmd.Cmd{Path: goCmd, Args: []string{"list", "-m", "-versions", "a.example/m"}, Dir: t.TempDir(), Stdout: &out, Stderr: &out}
			c.Env = append(os.Environ(), "GOPROXY="+test.goproxy, "GONOSUMDB=*", "GOMODCACHE="+t.TempDir(), "GOFLAGS=-modcacherw", "GOWORK=off", "GOTOOLCHAIN=local")
			if err := os.WriteFile(filepath.Join(c.Dir, "go.mod"), []byte("module x.example\n"), 0o666); err != nil {
				t.Fatal(err)
			}
			if _, err := Run(t.Context(), p, c); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), test.want) {
				t.Errorf("%s, want %s", &out, test.want)
			}
		})
	}
}

// Not even root, who owns it, can write into a read-only directory, nor take
// that back.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	what := []string{"write=" + dir, "append=" + file, "chmod=" + file}
	if got := tries(t, policy(Host), what...); !slices.Equal(got, []string{"ok", "ok", "ok"}) {
		t.Errorf("the control: %q", got)
	}
	if _, err := exec.LookPath("unshare"); err == nil {
		what = append(what, "remount="+dir)
	}
	for _, n := range []Net{None, Sources, Host} {
		p := policy(n)
		p.ReadOnly = []string{dir, filepath.Join(dir, "not there")}
		for i, got := range tries(t, p, what...) {
			if !strings.Contains(got, "read-only file system") && !strings.Contains(got, "permission denied") && !strings.Contains(got, "not permitted") {
				t.Errorf("%s: %s: %s", n, what[i], got)
			}
		}
	}
	// Modes count for root as for anybody.
	if err := os.Chmod(file, 0o444); err != nil {
		t.Fatal(err)
	}
	if got := tries(t, policy(None), "append="+file); !strings.Contains(got[0], "permission denied") {
		t.Errorf("append: %s", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o666); err != nil {
		t.Errorf("outside: %v", err)
	}
}

func TestStart(t *testing.T) {
	for _, n := range []Net{None, Sources, Host} {
		p := policy(n)
		_, err := Run(t.Context(), p, gocmd.Cmd{Path: "/no/such/program"})
		var se *gocmd.StartError
		if !errors.As(err, &se) || se.ExitCode() != 127 || !errors.Is(err, fs.ErrNotExist) || err.Error() != "/no/such/program: no such file or directory" {
			t.Errorf("%s: %v", n, err)
		}
		code, err := Run(t.Context(), p, gocmd.Cmd{Path: "/bin/sh", Args: []string{"-c", "exit 7"}})
		if code != 7 || err != nil {
			t.Errorf("%s: %d, %v", n, code, err)
		}
		code, err = Run(t.Context(), p, gocmd.Cmd{Path: "/bin/sh", Args: []string{"-c", "kill -TERM $$"}})
		if code != 128+15 || err != nil {
			t.Errorf("%s: %d, %v", n, code, err)
		}
	}
	if _, err := Run(t.Context(), Policy{}, gocmd.Cmd{Path: "/bin/true"}); err == nil {
		t.Error("the zero Policy allows something")
	}
}

// Where there are no user namespaces, Run says so, and what to do.
func TestNoNamespaces(t *testing.T) {
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(unshare, "-Ur", "sh", "-c", `echo 0 > /proc/sys/user/max_user_namespaces && exec "$0"`, exe)
	cmd.Env = append(os.Environ(), role+"=none")
	out, err := cmd.CombinedOutput()
	if want := "--net none: this system cannot enforce it: no user namespace: the limit user.max_user_namespaces is reached"; err != nil || !strings.HasPrefix(string(out), want) || !strings.HasSuffix(string(out), "\n\tto go without: --net host\n") {
		t.Errorf("%v: %s", err, out)
	}
}

// Without privileges it is the same.
func TestAsNobody(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("there are none")
	}
	dir := t.TempDir() // below one that nobody may not enter
	dir, err := os.MkdirTemp("/tmp", filepath.Base(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "confine.test")
	if err := errors.Join(os.Chmod(dir, 0o777), os.WriteFile(binary, data, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.run", "^(TestNone|TestSources|TestReadOnly|TestStart)$", "-test.v")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") != 4 {
		t.Errorf("%v\n%s", err, out)
	}
}

// BenchmarkRun runs go version under each policy in turn, with gox as `go install`
// makes it without cgo as the helper, and tells the medians: the time, that of
// processors (user and system, of both sides), and the page faults. What a
// machine does besides shows in the first alone.
//
//	go test ./internal/confine -run '^$' -bench . -benchtime 200x
func BenchmarkRun(b *testing.B) {
	helper := filepath.Join(b.TempDir(), "gox")
	build := exec.Command("go", "build", "-o", helper, "example.com/gox/cmd/gox")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	goCmd, err := exec.LookPath("go")
	if err != nil {
		b.Fatal(err)
	}
	// used returns milliseconds of processors, and page faults, so far.
	used := func() (ms, faults float64) {
		for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
			var u syscall.Rusage
			if err := syscall.Getrusage(who, &u); err != nil {
				b.Fatal(err)
			}
			ms, faults = ms+float64(u.Utime.Nano()+u.Stime.Nano())/1e6, faults+float64(u.Minflt)
		}
		return ms, faults
	}
	nets := []Net{Host, None, Sources}
	samples := map[string][]float64{}
	for b.Loop() {
		for _, n := range nets {
			cpu, faults := used()
			start := time.Now()
			if code, err := Run(b.Context(), Policy{Net: n, Helper: helper}, gocmd.Cmd{Path: goCmd, Args: []string{"version"}, Env: os.Environ()}); code != 0 || err != nil {
				b.Fatal(code, err)
			}
			took := time.Since(start)
			cpuAfter, faultsAfter := used()
			for unit, v := range map[string]float64{"ms": float64(took) / 1e6, "ms-cpu": cpuAfter - cpu, "faults": faultsAfter - faults} {
				samples[string(n)+"-"+unit] = append(samples[string(n)+"-"+unit], v)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for name, all := range samples {
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2], name)
	}
	for _, n := range nets[1:] {
		all, host := samples[string(n)+"-ms"], samples["host-ms"]
		b.ReportMetric(all[len(all)/2]-host[len(host)/2], string(n)+"-added-ms")
	}
}
