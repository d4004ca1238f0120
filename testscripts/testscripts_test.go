package testscripts

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/gox/internal/gotest"
)

var (
	goFlag   = flag.String("go", "1.18,1.27", "test on these versions of go, as in 1.18..1.27")
	liesFlag = flag.Bool("lies", false, "turn round every claim on every version of -go, not only a few")
	keepFlag = flag.Bool("keep", false, "keep the work directories")
)

// runners returns one for each version of -go.
func runners(t *testing.T) []*Runner {
	t.Helper()
	var rs []*Runner
	for elem := range strings.SplitSeq(*goFlag, ",") {
		versions := []string{elem}
		if from, to, ok := strings.Cut(elem, ".."); ok {
			minor := func(s string) int {
				n, err := strconv.Atoi(strings.TrimPrefix(s, "1."))
				if err != nil {
					t.Fatalf("-go %s: %v", *goFlag, err)
				}
				return n
			}
			versions = nil
			for n := minor(from); n <= minor(to); n++ {
				versions = append(versions, "1."+strconv.Itoa(n))
			}
		}
		for _, v := range versions {
			rs = append(rs, &Runner{Go: gotest.Toolchain(t, v), GOCACHE: goCache(t), Environ: os.Environ(), Verbose: testing.Verbose(), Keep: *keepFlag})
		}
	}
	return rs
}

// goCache is shared with all other tests: who else compiles std anew?
func goCache(t *testing.T) string {
	if dir := os.Getenv("GOCACHE"); filepath.IsAbs(dir) {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "go-build")
}

// interruptible returns a context that an interrupt ends. Without it the
// programs that are running would get the signal, and the test go on.
func interruptible(t *testing.T) context.Context {
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	t.Cleanup(stop)
	return ctx
}

// each runs f for each script, in a subtest TOPIC/NAME. One that is wrong fails
// there, and leaves the others alone.
func each(t *testing.T, f func(*testing.T, *Script)) {
	names, err := fs.Glob(Embedded(), "*/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d scripts, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(name, ".txtar"), func(t *testing.T) {
			s, err := Load(Embedded(), name)
			if err != nil {
				t.Fatal(err)
			}
			f(t, s)
		})
	}
}

func versionOf(t *testing.T, r *Runner) string {
	t.Helper()
	v, err := r.GoVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestScripts(t *testing.T) {
	for _, r := range runners(t) {
		t.Run(versionOf(t, r), func(t *testing.T) {
			n := 0
			each(t, func(t *testing.T, s *Script) {
				if n++; testing.Short() && n%8 != 0 {
					t.Skip("-short: only every eighth script")
				}
				t.Parallel()
				res := r.Run(interruptible(t), s)
				if res.Err != nil {
					t.Error(res.Err)
				}
				if res.Err != nil || testing.Verbose() {
					t.Logf("%s%s", res.Transcript, res.WorkDir)
				}
				if res.Skipped != "" {
					t.Skip(res.Skipped)
				}
			})
		})
	}
}

// TestHeaders says what is wrong with the scripts before any of them runs.
func TestHeaders(t *testing.T) {
	ids := map[string]string{}
	each(t, func(t *testing.T, s *Script) {
		for _, c := range s.Claims {
			if other := ids[c.ID]; other != "" {
				t.Errorf("claim %s is proved by %s already", c.ID, other)
			}
			ids[c.ID] = s.File
		}
	})
}

// TestLies turns claims round, each for one version: its script must fail
// there and must not elsewhere.
func TestLies(t *testing.T) {
	rs := runners(t)
	for _, r := range rs {
		// A lie about a server that hangs may show by waiting for it.
		r.Timeout = 20 * time.Second
	}
	n := 0
	each(t, func(t *testing.T, s *Script) {
		for _, c := range s.Claims {
			if n++; !*liesFlag && n%16 != 0 {
				continue
			}
			t.Run(c.ID, func(t *testing.T) {
				t.Parallel()
				for i, r := range rs {
					v := versionOf(t, r)
					if c.Verdict(v) == NotApplicable {
						continue
					}
					res := r.Run(interruptible(t), s.lie(c.ID, v))
					if !errors.Is(res.Err, ErrDeviates) && res.Skipped == "" {
						t.Errorf("%s: the header says the contrary, and %v\n%s", v, res.Err, res.Transcript)
					}
					if got := res.Outcome(c.ID); got != Deviates && res.Skipped == "" {
						t.Errorf("%s: %s, but it is this claim that deviates (line %d: %s)", v, got, res.Line, res.Fault)
					}
					if len(rs) < 2 {
						continue
					}
					if res := rs[(i+1)%len(rs)].Run(interruptible(t), s.lie(c.ID, v)); res.Err != nil {
						t.Errorf("%s, though the lie is about %s: %v\n%s", res.Version, v, res.Err, res.Transcript)
					}
				}
			})
		}
	})
}
