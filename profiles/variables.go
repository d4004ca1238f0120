package profiles

import (
	"go/version"
	"slices"
	"strings"

	"example.com/gox/internal/envvar"
)

// older reports whether go version v is older than other. The empty version
// is unknown and taken for the newest.
func older(v, other string) bool {
	return v != "" && version.Compare(v, other) < 0
}

// Variables returns the names of the environment variables that configure go:
// those that any go from 1.18 to 1.27 lists as its own (src/internal/cfg,
// KnownEnv) or prints by `go env`, and those that its runtime and tools read.
// It is used to clean an environment and to find misspelt names; a variable
// that is missing here still works. A test compares it with `go env -json`.
func Variables() []string {
	return strings.Fields(`
		AR CC CXX FC GCCGO PKG_CONFIG
		CGO_CFLAGS CGO_CFLAGS_ALLOW CGO_CFLAGS_DISALLOW
		CGO_CPPFLAGS CGO_CPPFLAGS_ALLOW CGO_CPPFLAGS_DISALLOW
		CGO_CXXFLAGS CGO_CXXFLAGS_ALLOW CGO_CXXFLAGS_DISALLOW
		CGO_ENABLED
		CGO_FFLAGS CGO_FFLAGS_ALLOW CGO_FFLAGS_DISALLOW
		CGO_LDFLAGS CGO_LDFLAGS_ALLOW CGO_LDFLAGS_DISALLOW
		GO111MODULE GO386 GOAMD64 GOARCH GOARM GOARM64 GOAUTH GOBIN GOCACHE
		GOCACHEPROG GOENV GOEXE GOEXPERIMENT GOFIPS140 GOFLAGS GOGCCFLAGS
		GOHOSTARCH GOHOSTOS GOINSECURE GOMIPS GOMIPS64 GOMODCACHE GONOPROXY
		GONOSUMDB GOOS GOPACKAGESDRIVER GOPATH GOPPC64 GOPRIVATE GOPROXY GORISCV64 GOROOT
		GOSUMDB GOTMPDIR GOTOOLCHAIN GOTOOLDIR GOVCS GOWASM GOWORK
		GO_EXTLINK_ENABLED
		GOMOD GOVERSION GOTELEMETRY GOTELEMETRYDIR
		GOCOVERDIR GODEBUG GOGC GOMAXPROCS GOMEMLIMIT GORACE GOTRACEBACK
	`)
}

// known reports whether name is one of Variables.
func known(name string) bool {
	return slices.ContainsFunc(Variables(), func(v string) bool { return envvar.Same(v, name) })
}

// told reports whether name is one of Variables that only go sets, to tell of
// itself.
func told(name string) bool {
	return oneOf(name, "GOEXE", "GOGCCFLAGS", "GOHOSTARCH", "GOHOSTOS", "GOMOD", "GOTELEMETRY", "GOTELEMETRYDIR", "GOTOOLDIR", "GOVERSION")
}

// inGoEnv reports whether go takes name from the file of `go env -w` and from
// GOROOT/go.env. It does not take what the runtime or another program reads, which
// know nothing of those files, and GOENV, which names one of them.
func inGoEnv(name string) bool {
	return known(name) && !told(name) && !oneOf(name, "GOENV", "GOCOVERDIR", "GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOPACKAGESDRIVER", "GORACE", "GOTRACEBACK")
}

// A Misspelling is a variable of the environment that go does not read, with
// the name that was most likely meant.
type Misspelling struct {
	Name  string `json:"name"`
	Meant string `json:"meant"`
}

// Misspelt finds the variables of environ that look like one of go's but are
// none: GO_PROXY, "GO SUMDB", GOPROXYS, goproxy.
func Misspelt(environ []string) []Misspelling {
	var found []Misspelling
	names := Variables()
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		bare := bareName(name)
		if !strings.HasPrefix(bare, "GO") && !strings.HasPrefix(bare, "CGO") || strings.HasPrefix(bare, "GOX") || known(name) {
			continue
		}
		if name == "GO_ENV" {
			continue // a web framework's own
		}
		for _, v := range names {
			if told(v) {
				continue // GO_VERSION is another's
			}
			// One letter off is a slip in a long name; in a short one (GOGC,
			// GOOS, GOARM) it is as likely another variable.
			if bareName(v) == bare || len(v) >= 6 && v[0] == bare[0] && distance(v, strings.ToUpper(name)) == 1 {
				found = append(found, Misspelling{name, v})
				break
			}
		}
	}
	return found
}

func bareName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return -1
	}, name)
}
