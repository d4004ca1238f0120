package sandbox

import "context"

// TB is what ForTest needs of a *testing.T or *testing.B. That package itself
// is not for programs to link.
type TB interface {
	Helper()
	Cleanup(func())
	Context() context.Context
	Failed() bool
	Fatal(args ...any)
	Error(args ...any)
	Logf(format string, args ...any)
}

// KeepVariable names the variable of the environment under which ForTest leaves
// its sandboxes where they are, and logs where: "1" all, "failed" those of
// tests that failed.
const KeepVariable = "GOX_SANDBOX_KEEP"

// ForTest makes a sandbox that is gone when the test has ended, unless c.Keep or
// KeepVariable says otherwise. What goes wrong ends the test.
func ForTest(t TB, c Config) *Sandbox {
	t.Helper()
	if c.Log == nil {
		c.Log = func(line string) { t.Logf("%s", line) }
	}
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	keep := c.getenv(KeepVariable)
	t.Cleanup(func() {
		if s.name == "" && (keep == "failed" && t.Failed() || keep != "" && keep != "0" && keep != "failed") {
			s.keep = true
		}
		if s.keep {
			t.Logf("the sandbox is kept: %s", s.Dir())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
