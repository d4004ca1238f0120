//go:build unix

package cmd_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// BenchmarkGateway tells what it costs to stand behind the gateway: a cold
// download of all modules of a real workspace, from the network and from a
// proxy on this machine, where nothing hides the gateway's work, and a build
// that has nothing to do, under gox trace. Each is run in turn with the same
// thing without the gateway.
//
//	go test ./cmd -run '^$' -bench Gateway -benchtime 5x
func BenchmarkGateway(b *testing.B) {
	dir := assembleEtcd(b)
	gox := filepath.Join(bin, "gox")
	profiles := filepath.Join(b.TempDir(), "profiles.toml")
	// The modules as the workspace's own download leaves them are a proxy's tree.
	filled := filepath.Join(b.TempDir(), "filled")
	b.Cleanup(func() { exec.Command("chmod", "-R", "u+w", filled).Run() })
	fill := exec.Command("go", "mod", "download")
	fill.Dir, fill.Env = dir, append(os.Environ(), "GOMODCACHE="+filled, "GOFLAGS=", "GOWORK=")
	if out, err := fill.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(filled, "cache", "download"))))
	defer server.Close()
	text := fmt.Sprintf(`[profile.network]
goproxy = "default"
modcache = "fresh"
[profile.network-behind]
extends = "network"
record = "audit.jsonl"
[profile.near]
goproxy = %q
gosumdb = "off"
modcache = "fresh"
[profile.near-behind]
extends = "near"
record = "audit.jsonl"
[profile.filled]
goproxy = %[1]q
gosumdb = "off"
modcache = %q
`, server.URL, filled)
	if err := os.WriteFile(profiles, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	cache := filepath.Join(b.TempDir(), "cache")
	environ := append(os.Environ(), "GOX_CACHE="+cache, "GOX_PROFILES="+profiles, "XDG_STATE_HOME="+b.TempDir(), "GOWORK=", "GOFLAGS=")
	start := func(argv ...string) *exec.Cmd {
		c := exec.Command(gox, argv...)
		c.Dir, c.Env = dir, environ
		return c
	}
	if out, err := start("profile", "allow").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	for _, where := range []string{"network", "near"} {
		b.Run("download/"+where, func(b *testing.B) {
			var behind []*exec.Cmd
			var plain []*exec.Cmd
			keep := func(list *[]*exec.Cmd, argv ...string) func() *exec.Cmd {
				return func() *exec.Cmd {
					c := start(argv...)
					*list = append(*list, c)
					return c
				}
			}
			compare(b, b.N, keep(&plain, "-p", where, "mod", "download"), keep(&behind, "-p", where+"-behind", "mod", "download"))
			// The processor's time says more than the clock's on a busy machine;
			// it is gox's and go's together.
			cpu := func(list []*exec.Cmd) float64 {
				var all []float64
				for _, c := range list {
					all = append(all, (c.ProcessState.UserTime()+c.ProcessState.SystemTime()).Seconds()*1000)
				}
				return median(all)
			}
			b.ReportMetric(cpu(plain), "plain-cpu-ms")
			b.ReportMetric(cpu(behind), "wrapped-cpu-ms")
			b.ReportMetric(cpu(behind)/cpu(plain), "cpu-ratio")
			// The greater of gox's memory and go's.
			b.ReportMetric(float64(behind[0].ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1024, "gox-or-go-MiB")
		})
	}
	b.Run("memory", func(b *testing.B) {
		// go stays small here, and the gateway has one large body to relay.
		big := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, ".info"):
				fmt.Fprint(w, `{"Version":"v1.0.0"}`)
			case strings.HasSuffix(r.URL.Path, ".mod"):
				fmt.Fprint(w, "module example.test/big\n")
			default:
				block := make([]byte, 1<<20)
				for range 400 {
					w.Write(block)
				}
			}
		}))
		defer big.Close()
		for range b.N {
			c := start("-p", "near-behind", "-e", "GOPROXY="+big.URL, "mod", "download", "example.test/big@v1.0.0")
			c.Run() // the body is no zip
			b.ReportMetric(float64(c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1024, "MiB")
		}
	})
	if out, err := start("-p", "filled", "build", "-trimpath", "-o", os.DevNull, "./server").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	b.Run("trace/nothing to do", func(b *testing.B) {
		compare(b, b.N*4,
			func() *exec.Cmd { return start("-p", "filled", "build", "-trimpath", "-o", os.DevNull, "./server") },
			func() *exec.Cmd {
				return start("-p", "filled", "trace", "build", "-trimpath", "-o", os.DevNull, "./server")
			})
	})
	b.Run("trace/version", func(b *testing.B) {
		compare(b, b.N*10,
			func() *exec.Cmd { return start("-p", "filled", "version") },
			func() *exec.Cmd { return start("-p", "filled", "trace", "version") })
	})
}
