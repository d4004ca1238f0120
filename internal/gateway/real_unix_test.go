//go:build unix

package gateway

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/gox/internal/gotest"
)

// Behind the gateway and without it, against servers that nobody here wrote.

// program returns the path of a program that a Debian package brings.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	text := name + ": not found in PATH\n\tapt-get install " + name
	if os.Getenv("CI") == "true" {
		t.Fatal(text)
	}
	t.Skip(text)
	return ""
}

// ownAddress returns an address of this machine that go does not except from
// HTTP proxies, as it does the loopback interface's.
func ownAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast() {
			return ip.IP.String()
		}
	}
	t.Skip("this machine has no address but the loopback interface's")
	return ""
}

// freePort returns an address at which nobody listens.
func freePort(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// background starts a server and waits for it to listen.
func background(t *testing.T, address, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		timer := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		timer.Stop()
	})
	for range 200 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("%s does not listen at %s: %s", name, address, &out)
}

// certificateFor writes a certificate that signs itself, and its key.
func certificateFor(t *testing.T, dir, address string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gox test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, IPAddresses: []net.IP{net.ParseIP(address)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	data, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: data}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// compare runs go with and without the gateway, and returns the run behind it.
func compare(t *testing.T, goPath, version, list, gosum string, env []string, args ...string) (goRun, []Record) {
	t.Helper()
	without := runGo(t, goPath, append(slices.Clone(env), "GOPROXY="+list), gosum, args...)
	g, records := start(t, Config{GOPROXY: list, GoVersion: "go" + version, Environ: append(goEnviron(t.TempDir()), env...)})
	with := runGo(t, goPath, append(slices.Clone(env), "GOPROXY="+g.GOPROXY()), gosum, args...)
	g.Close()
	with.stderr = g.plain(with.stderr)
	if diff := differ(without, with); diff != "" {
		t.Errorf("go%s, GOPROXY=%s, go %s: %s\nrecords: %s", version, list, strings.Join(args, " "), diff, show(records()))
	}
	return with, records()
}

// nginx serves the files over TLS and HTTP/2 to who has the password that
// ~/.netrc has, and tinyproxy and squid lead there.
func TestRealNginxAndProxies(t *testing.T) {
	address := ownAddress(t)
	nginx := program(t, "nginx")
	dir := t.TempDir()
	files := protocol(t, modules()...)
	for name, data := range files {
		path := filepath.Join(dir, "root", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := certificateFor(t, dir, address)
	site := freePort(t, address)
	// gopher:secret, as crypt(3) with {PLAIN} does not hash it.
	os.WriteFile(filepath.Join(dir, "users"), []byte("gopher:{PLAIN}secret\n"), 0o644)
	temp, user := "", ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("%s_temp_path %s/temp;\n", kind, dir)
	}
	if os.Getuid() == 0 {
		user = "user root;\n"
	}
	config := filepath.Join(dir, "nginx.conf")
	os.WriteFile(config, fmt.Appendf(nil, `%sdaemon off;
pid %s/pid;
error_log %[2]s/error.log;
events {}
http {
%[3]saccess_log off;
server {
	listen %[4]s ssl http2;
	ssl_certificate %[5]s;
	ssl_certificate_key %[6]s;
	auth_basic "modules";
	auth_basic_user_file %[2]s/users;
	root %[2]s/root;
}
}
`, user, dir, temp, site, cert, key), 0o600)
	background(t, site, nginx, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", config)

	netrc := filepath.Join(dir, "netrc")
	os.WriteFile(netrc, fmt.Appendf(nil, "machine %s login gopher password secret\nmachine %s login gopher password secret\n", address, site), 0o600)
	gosum := sumOf(t, files)
	proxies := map[string]func() string{
		"": func() string { return "" },
		"tinyproxy": func() string {
			at := freePort(t, "127.0.0.1")
			host, port, _ := net.SplitHostPort(at)
			path := filepath.Join(dir, "tinyproxy.conf")
			os.WriteFile(path, fmt.Appendf(nil, "Port %s\nListen %s\nTimeout 60\nMaxClients 50\nLogLevel Error\nBasicAuth me hidden\n", port, host), 0o600)
			background(t, at, program(t, "tinyproxy"), "-d", "-c", path)
			return "http://me:hidden@" + at
		},
		"squid": func() string {
			at := freePort(t, "127.0.0.1")
			path := filepath.Join(dir, "squid.conf")
			os.WriteFile(path, fmt.Appendf(nil, "http_port %s\nhttp_access allow all\ncache deny all\naccess_log none\ncache_log /dev/null\npid_filename none\ncoredump_dir %s\nshutdown_lifetime 0 seconds\nvisible_hostname squid.test\n", at, dir), 0o600)
			background(t, at, program(t, "squid"), "-N", "-f", path)
			return "http://" + at
		},
	}
	for _, name := range slices.Sorted(maps.Keys(proxies)) {
		t.Run("by "+name, func(t *testing.T) {
			proxy := proxies[name]()
			for _, version := range []string{"1.18", "1.27"} {
				goPath := gotest.Toolchain(t, version)
				env := []string{"SSL_CERT_FILE=" + cert, "SSL_CERT_DIR=" + t.TempDir(), "NETRC=" + netrc, "HTTPS_PROXY=" + proxy}
				run, records := compare(t, goPath, version, "https://"+site, gosum, env, "get", "example.com/dep@v1.0.0")
				if run.code != 0 {
					t.Fatal(run.stderr)
				}
				i := slices.IndexFunc(records, func(r Record) bool { return r.File == Zip })
				if i < 0 || !records[i].Found() || records[i].Protocol != "HTTP/2.0" || records[i].TLSIssuer != "CN=gox test" {
					t.Errorf("records: %s", show(records))
				}
				if text := show(records); strings.Contains(text, "secret") || strings.Contains(text, "hidden") {
					t.Errorf("a password in %s", text)
				}
				// The control: without the password nginx says no.
				run, records = compare(t, goPath, version, "https://"+site, gosum, append(env, "NETRC="+os.DevNull), "get", "example.com/dep@v1.0.0")
				if run.code != 1 || len(records) == 0 || records[0].Status != 401 {
					t.Errorf("without a password: exit code %d, records %s", run.code, show(records))
				}
			}
		})
	}
}

// A real module proxy, the one of package testscripts' tests.
func TestRealModuleProxy(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the proxy has to be built first")
	}
	dir := t.TempDir()
	files := protocol(t, modules()...)
	for name, data := range files {
		path := filepath.Join(dir, "root", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	proxy := filepath.Join(dir, "goproxy")
	build := exec.Command("go", "build", "-o", proxy, ".")
	build.Dir = filepath.Join("..", "..", "testscripts", "testdata", "goproxy")
	build.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(proxy, filepath.Join(dir, "root"))
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		t.Fatal("it prints no URL")
	}
	go func() {
		for lines.Scan() {
		}
	}()
	url := lines.Text()
	for _, version := range []string{"1.18", "1.27"} {
		goPath := gotest.Toolchain(t, version)
		for _, what := range []string{"example.com/dep@v1.0.0", "example.com/dep@latest", "example.com/Upper/Case@v1.2.3-RC.1", "example.com/none@latest"} {
			compare(t, goPath, version, url, sumOf(t, files), nil, "get", what)
		}
	}
}

// The module proxy and the checksum database of the network, whichever they
// are.
func TestRealNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: this asks the network")
	}
	for _, version := range []string{"1.18", "1.27"} {
		goPath := gotest.Toolchain(t, version)
		cmd := exec.Command(goPath, "env", "GOPROXY", "GOSUMDB")
		cmd.Env = append(goEnviron(t.TempDir()), "GOPROXY=", "GOSUMDB=")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		defaults := strings.Fields(string(out))
		env := []string{"GOSUMDB=" + defaults[1]}
		for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"} {
			env = append(env, name+"="+os.Getenv(name))
		}
		run, records := compare(t, goPath, version, defaults[0], "", env, "get", "golang.org/x/sync@v0.1.0")
		if run.code != 0 {
			t.Error(run.stderr)
		}
		lookups := slices.DeleteFunc(records, func(r Record) bool { return r.File != SumDB })
		if !slices.ContainsFunc(lookups, func(r Record) bool { return r.Module == "golang.org/x/sync" && r.Found() }) {
			t.Errorf("no lookup in the checksum database: %s", show(records))
		}
	}
}
