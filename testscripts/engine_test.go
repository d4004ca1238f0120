package testscripts

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/gox/internal/gotest"
)

// newest runs on the newest go of -go's default: what is tested here is the
// engine.
func newest(t *testing.T) *Runner {
	return &Runner{Go: gotest.Toolchain(t, "1.27"), GOCACHE: goCache(t), Environ: os.Environ()}
}

// script makes a script of commands and files, with a header and what else the
// checks want.
func script(t *testing.T, body string) *Script {
	t.Helper()
	commands, files, _ := strings.Cut(body, "\n-- ")
	s, err := parse("topic/case.txtar", []byte(`# claim: x
# says: X.
# holds: all
# reference: here
# served: not applicable (a test of the engine)

# control: nothing
[holds] exists go.mod
[!holds] ! exists go.mod

# test
`+commands+`
[holds] exists go.mod

-- go.mod --
module example.com/main
-- proxy/A,B/example.com/dep@v1.0.0/go.mod --
module example.com/dep
-- proxy/A,B/example.com/dep@v1.0.0/dep.go --
package dep
-- `+files), false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCommands(t *testing.T) {
	tests := []struct {
		name, script string
		fails        string // a part of the transcript; "" where the script passes
	}{
		{"proxy", `
			proxy A
			env GOPROXY=$A
			exec go mod download example.com/dep@v1.0.0
			requests A .info.200 .mod.200 .zip.200
			requests A 3
			requests -count=1 A \.zip
			! requests A .zip .mod
			! requests A 2
			served example.com/dep@v1.0.0 A
			served -mod example.com/dep@v1.0.0 A
			requests A
			cmp stdout want
-- want --
A GET /example.com/dep/@v/v1.0.0.info 200
A GET /example.com/dep/@v/v1.0.0.mod 200
A GET /example.com/dep/@v/v1.0.0.zip 200
`, ""},
		{"list and latest", `
			proxy A
			env GOPROXY=$A
			exec go list -m -versions example.com/many
			stdout '^example.com/many v1.0.0 v1.1.0-rc.1$'
			exec go list -m example.com/many@latest
			stdout v1.0.0$
			exec go list -m example.com/made-up@v1.2.3
			! exec go list -m example.com/none@latest
			stderr 'not found: module example.com/none'
-- proxy/A/example.com/many@v1.0.0/x.go --
package many
-- proxy/A/example.com/many@v1.1.0-rc.1/x.go --
package many
-- proxy/A/example.com/many@v1.1.1-0.20200101000000-123456789012/x.go --
package many
-- proxy/A/example.com/made-up@v1.2.3/x.go --
package x
`, ""},
		{"capital letters", `
			proxy A
			env GOPROXY=$A
			exec go mod download example.com/Big@v1.0.0
			requests A '/example.com/!big/@v/v1.0.0.zip'
			served example.com/Big@v1.0.0 A
-- proxy/A/example.com/Big@v1.0.0/x.go --
package x
`, ""},
		{"own list", `
			proxy A
			env GOPROXY=$A
			exec go list -m -versions example.com/raw
			stdout '^example.com/raw v9.9.9$'
			requests A .v9.9.9.info.200
			exec go list -m example.com/raw2@latest
			stdout v0.0.9$
-- proxy/A/example.com/raw/@v/list --
v9.9.9
-- proxy/A/example.com/raw/@v/v9.9.9.info --
{"Version":"v9.9.9"}
-- proxy/A/example.com/raw/@v/v9.9.9.mod --
module example.com/raw
-- proxy/A/example.com/raw2/@v/list --
-- proxy/A/example.com/raw2/@latest --
{"Version":"v0.0.9"}
-- proxy/A/example.com/raw2/@v/v0.0.9.info --
{"Version":"v0.0.9"}
-- proxy/A/example.com/raw2/@v/v0.0.9.mod --
module example.com/raw2
`, ""},
		{"served by the last sender", `
			proxy A B
			env GOPROXY=$A
			exec go mod download example.com/dep@v1.0.0
			reset modcache
			env GOPROXY=$B
			exec go mod download example.com/dep@v1.0.0
			served example.com/dep@v1.0.0 B
			! served example.com/dep@v1.0.0 A
			reset requests
			served example.com/dep@v1.0.0 B
`, "came from no server"},
		{"served, not in the cache", `
			proxy A
			served example.com/dep@v1.0.0 A
`, "the module cache has no zip of it"},
		{"hang", `
			proxy A
			env GOPROXY=$A
			fault A hang
			exit never=200ms go mod download example.com/dep@v1.0.0
			requests A 'info hang'
			! served example.com/dep@v1.0.0 A
`, ""},
		{"never, but at once", `
			exit never=10s go env GOPROXY
`, "exit code 0 before 10s had passed"},
		{"reset", `
			proxy A B
			env GOPROXY=$A|$B
			fault A reset
			exec go mod download example.com/dep@v1.0.0
			requests all 'A .* reset' 'B .* 200'
			served example.com/dep@v1.0.0 B
`, ""},
		{"truncate", `
			proxy A
			env GOPROXY=$A
			fault A \.zip truncate
			exit 1 go mod download example.com/dep@v1.0.0
			stderr 'unexpected EOF'
			requests A 'zip truncated'
`, ""},
		{"corrupt", `
			proxy A
			env GOPROXY=$A
			fault A \.zip corrupt
			exit 1 go mod download example.com/dep@v1.0.0
			stderr 'not a valid zip'
`, ""},
		{"alter and repack", `
			proxy A
			env GOPROXY=$A
			exec go mod download -json example.com/dep@v1.0.0
			cp stdout before
			reset
			fault A \.zip repack
			exec go mod download -json example.com/dep@v1.0.0
			cmp stdout before
			served example.com/dep@v1.0.0 A
			reset
			fault A \.zip alter
			exec go mod download -json example.com/dep@v1.0.0
			! cmp stdout before
			exists .modcache/example.com/dep@v1.0.0/ALTERED
			served example.com/dep@v1.0.0 A
`, ""},
		{"html", `
			proxy A
			env GOPROXY=$A
			fault A html
			exit 1 go mod download example.com/dep@v1.0.0
			stderr 'invalid character ''<'''
`, ""},
		{"redirects", `
			proxy A B
			env GOPROXY=$A
			fault A redirect=9
			exec go mod download example.com/dep@v1.0.0
			requests A '/-hop/8/.*info 302' '/-hop/0/.*info 200'
			served example.com/dep@v1.0.0 A
			reset
			fault A redirect=10
			exit 1 go mod download example.com/dep@v1.0.0
			stderr 'stopped after 10 redirects'
			reset
			fault A redirect=$B
			exec go mod download example.com/dep@v1.0.0
			served example.com/dep@v1.0.0 B
			requests A -302
`, "no request like `-302`"},
		{"reset of a relative directory", `
			mkdir cache sub/cache
			cp go.mod cache/go.mod
			cp go.mod sub/cache/go.mod
			cd sub
			env GOMODCACHE=cache
			reset
			! exists cache
			exists ../cache/go.mod
			cd ..
`, ""},
		{"proxy with a directory", `
			tree A files
			rm files/example.com/dep/@latest
			proxy -dir files C
			env GOPROXY=$C
			exec go list -m example.com/dep@latest
			stdout v1.0.0$
			exec go mod download example.com/dep@v1.0.0 example.com/Own@v1.0.0
			served example.com/dep@v1.0.0 C
			served example.com/Own@v1.0.0 C
			exit 1 go mod download example.com/dep@v1.0.1
			stderr 'not found: example.com/dep@v1.0.1'
			requests C /example.com/../../x
-- proxy/C/example.com/Own@v1.0.0/x.go --
package x
`, "no request like"},
		{"an account of what was served", `
			proxy A B C
			env GOPROXY=$A,$B
			fault A .zip 404
			exec go mod download example.com/dep@v1.0.0
			served -mod example.com/dep@v1.0.0 A
			requests C 1
`, "C: 0 requests, want 1\n\nserved from where:\n\texample.com/dep@v1.0.0 (mod) from A at http://127.0.0.1:"},
		{"an account where nothing was served", `
			proxy A
			requests A 1
`, "no server was asked for anything\nnever asked: A\n"},
		{"faults in order, and times", `
			proxy A
			env GOPROXY=$A
			fault A 503
			fault A . ok
			fault -times 1 -body 'go away' -header 'X-Y: z' A \.info 403
			exit 1 go mod download example.com/dep@v1.0.0
			stderr 'server response: go away'
			exec go mod download example.com/dep@v1.0.0
			requests A 'info 403' 'info 200' 'zip 200'
`, ""},
		{"slow", `
			proxy A
			env GOPROXY=$A
			fault A slow=10ms
			exec go mod download example.com/dep@v1.0.0
			served example.com/dep@v1.0.0 A
`, ""},
		{"refused", `
			env GOPROXY=$REFUSED
			exit 1 go mod download example.com/dep@v1.0.0
			stderr 'connection refused'
			requests all 0
`, ""},
		{"password", `
			proxy -host proxy.test -auth me:secret A
			env GOPROXY=$A
			exit 1 go mod download example.com/dep@v1.0.0
			stderr '401 Unauthorized'
			env GOPROXY=https://me:secret@proxy.test
			exec go mod download example.com/dep@v1.0.0
			requests -header '^Authorization: Basic' A 3
			served example.com/dep@v1.0.0 A
`, ""},
		{"netrc", `
			proxy -host proxy.test -auth me:secret A
			env GOPROXY=$A
			cp netrc $HOME/.netrc
			exec go mod download example.com/dep@v1.0.0
			served example.com/dep@v1.0.0 A
-- netrc --
machine proxy.test login me password secret
`, ""},
		{"headers", `
			proxy A
			env GOPROXY=$A
			exec go mod download example.com/dep@v1.0.0
			requests -header '^User-Agent: ' A
			! requests -header '^X-Nothing: ' A
			requests -header '^If-None-Match: ' A
`, "no request with a header like"},
		{"header of an answer", `
			proxy A
			env GOPROXY=$A
			fault -header 'X-Go-Module-Redirect: https://other.test' A ok
			exec go mod download -x example.com/dep@v1.0.0
			requests net 0
			served example.com/dep@v1.0.0 A
`, ""},
		{"certificates", `
			[windows] stop
			[darwin] stop
			proxy -cert good A
			env GOPROXY=$A
			exec go mod download example.com/dep@v1.0.0
			served example.com/dep@v1.0.0 A
			proxy -cert expired C
			env GOPROXY=$C
			! exec go mod download example.com/x@v1.0.0
			stderr 'certificate has expired'
			proxy -cert self-signed D
			env GOPROXY=$D
			! exec go mod download example.com/x@v1.0.0
			stderr 'certificate signed by unknown authority'
			proxy -cert wrong-host E
			env GOPROXY=$E
			! exec go mod download example.com/x@v1.0.0
			stderr 'certificate'
			proxy -cert no-chain F
			env GOPROXY=$F
			! exec go mod download example.com/x@v1.0.0
			stderr 'certificate signed by unknown authority'
			requests D 0
`, ""},
		{"unknown names", `
			env GOPROXY=https://nobody.test
			! exec go mod download example.com/dep@v1.0.0
			stderr 502
			requests net 'net GET https://nobody.test/example.com/dep/@v/v1.0.0.info 502'
			requests nobody.test 1
			requests other.test 0
			env GOPROXY=http://plain.test
			! exec go mod download example.com/dep@v1.0.0
			requests plain.test 'GET http://plain.test/'
`, ""},
		{"default proxy", `
			proxy -host default A
			env GOPROXY=
			exec go mod download example.com/dep@v1.0.0
			served example.com/dep@v1.0.0 A
`, ""},
		{"checksum database", `
			proxy A B
			sumdb S A
			env GOPROXY=$A GOSUMDB=$S
			exec go mod download example.com/dep@v1.0.0
			requests A /sumdb/s.sumdb.test/supported.404
			requests S 'https://s.sumdb.test/lookup/example.com/dep@v1.0.0 200'
			reset
			sumdb -via B -host sum.golang.org T A
			env GOPROXY=$B GOSUMDB=$T
			exec go mod download example.com/dep@v1.0.0
			requests T 0
			requests B '/sumdb/sum.golang.org/lookup/example.com/dep@v1.0.0 200'
			reset
			fault B \.zip alter
			env GONOSUMDB=none GOFLAGS=-modcacherw
			! exec go mod download example.com/dep@v1.0.0
			stderr 'SECURITY ERROR'
			reset
			fault T /lookup/ 404
			fault B /supported 410
			! exec go mod download example.com/dep@v1.0.0
			stderr '404 Not Found'
			requests T /lookup/.*404
`, ""},
		{"git", `
			vcs git.test
			env GOPROXY=direct
			exec go list -m -versions git.test/team/dep
			stdout 'v1.0.0 v1.1.0$'
			exec go mod download git.test/team/dep@v1.0.0 git.test/team/dep/sub@v1.1.0
			served git.test/team/dep@v1.0.0 git.test
			served -mod git.test/team/dep@v1.0.0 git.test
			! served git.test/team/dep@v1.1.0 git.test
			exec go list -m git.test/team/dep@main
			requests git.test 'https://git.test/team/dep.go-get=1 200' 'POST .*/git-upload-pack 200'
			requests net 0
			! exec go mod download git.test/nothing@v1.0.0
			fault git.test go-get 500
			! exec go mod download git.test/team/dep@v1.1.0
-- vcs/git.test/team/dep@v1.0.0/go.mod --
module git.test/team/dep
-- vcs/git.test/team/dep@v1.0.0/dep.go --
package dep
-- vcs/git.test/team/dep@v1.1.0/go.mod --
module git.test/team/dep
-- vcs/git.test/team/dep@v1.1.0/sub/go.mod --
module git.test/team/dep/sub
-- vcs/git.test/team/dep@v1.1.0/sub/sub.go --
package sub
`, ""},
		{"git, bad certificate", `
			vcs -cert self-signed git.test
			env GOPROXY=direct
			! exec go mod download git.test/dep@v1.0.0
			stderr certificate
			requests git.test 0
-- vcs/git.test/dep@v1.0.0/dep.go --
package dep
`, ""},
		{"a well-known forge", `
			vcs github.com
			env GOPROXY=direct
			exec go mod download github.com/team/dep@v1.0.0
			served github.com/team/dep@v1.0.0 github.com
			! requests github.com go-get
-- vcs/github.com/team/dep@v1.0.0/dep.go --
package dep
`, ""},
		{"tree", `
			tree A served
			env GOPROXY=file:///$WORK/served
			exec go mod download example.com/dep@v1.0.0
			exists served/example.com/dep/@v/list served/example.com/dep/@latest
			requests all 0
`, ""},
		{"toolchain", `
			[windows] stop
			proxy A
			sumdb S A
			env GOPROXY=$A GOSUMDB=$S GOTOOLCHAIN=go1.99.0
			exec go version
			stdout 'a fake'
			served golang.org/toolchain@v0.0.1-go1.99.0.GOOS-GOARCH A
-- proxy/A/golang.org/toolchain@v0.0.1-go1.99.0.GOOS-GOARCH/bin/go --
#!/bin/sh
echo a fake
`, ""},
		{"gosum", `
			proxy A
			env GOPROXY=$A
			cd app
			! exec go list -deps
			stderr 'missing go.sum entry'
			gosum A
			exec go list -deps
			served example.com/dep@v1.0.0 A
			rm go.sum
			cd ..
			gosum A app/go.sum
			grep '^example.com/dep v1.0.0/go.mod h1:' app/go.sum
-- app/go.mod --
module example.com/app
go 1.18
require example.com/dep v1.0.0
-- app/app.go --
package app
import _ "example.com/dep"
`, ""},
		{"exit", `
			exit 0 go env GOPROXY
			exit 2 go bogus
			stderr 'unknown command'
			exit 1 go bogus
`, "exit code 2, want 1"},
		{"environment", `
			exec go env GOENV GOFLAGS GOPROXY GOSUMDB GOTOOLCHAIN GOWORK GONOPROXY
			cmp stdout want
			! exists proxy vcs
			exists $GOCACHE
-- want --


off
off
local


`, ""},

		// Wrong usage fails, whatever is hoped for.
		{"usage: served", `! served example.com/dep A`, "usage: served "},
		{"usage: unknown server", `! served example.com/dep@v1.0.0 X`, "no server X"},
		{"usage: requests of nobody", `! requests X 0`, "no server X"},
		{"usage: requests without", `! requests`, "usage: requests"},
		{"usage: requests, printing", "proxy A\n! requests A", "prints nothing"},
		{"usage: requests, pattern", "proxy A\n! requests A (", "usage: requests"},
		{"usage: requests, flag", "proxy A\n! requests -no A 1", "flag provided but not defined"},
		{"usage: requests, a status", "proxy A\n! requests A 404", "how many requests, or a status?"},
		{"usage: reset elsewhere", "env GOMODCACHE=$WORK/../elsewhere\nreset", "not in $WORK: it stays"},
		{"usage: reset all", "env GOMODCACHE=$WORK\nreset modcache", "it stays"},
		{"usage: fork", "proxy A\nsumdb -fork A S A", "not a checksum database"},
		{"usage: count", "proxy A\n! requests -count=2 A x y", "with one pattern"},
		{"usage: not to be negated", `! exit 1 go bogus`, "unsupported: ! exit"},
		{"usage: exit", `exit go bogus`, "not an exit code"},
		{"usage: exit, nothing", `exit 1`, "usage: exit"},
		{"usage: exit, no such program", `exit 1 no-such-program`, "not found"},
		{"usage: never", `exit never=soon go env`, "not a duration"},
		{"usage: proxy name", `proxy a`, "upper-case"},
		{"usage: proxy directory", `proxy -dir nowhere A`, "no such directory"},
		{"usage: proxy twice", "proxy A\nproxy A", "there is one already"},
		{"usage: host twice", "proxy -host a.test A\nproxy -host a.test B", "A answers for it already"},
		{"usage: proxy certificate", `proxy -cert bad A`, "one of good, expired"},
		{"usage: fault", "proxy A\nfault A . explode", "unknown effect"},
		{"usage: fault, status", "proxy A\nfault A 99", "unknown effect"},
		{"usage: fault, server", `fault A 404`, "no server A"},
		{"usage: redirect", "proxy A\nfault A redirect=0", "redirect=HOPS"},
		{"usage: slow", "proxy A\nfault A slow=", "slow=DURATION"},
		{"usage: argument", "proxy A\nfault A hang=2s", "takes no argument"},
		{"usage: reset", `reset everything`, "one of requests, faults, modcache"},
		{"usage: sumdb", `sumdb S`, "usage: sumdb"},
		{"usage: sumdb of nobody", `sumdb S X`, "no server X"},
		{"usage: sumdb of a sumdb", "proxy A\nsumdb S A\nsumdb T S", "serves no modules"},
		{"usage: via", "proxy A\nsumdb S A\nsumdb -via S T A", "not a module proxy"},
		{"usage: gosum", `gosum go.sum`, "no server go.sum"},
		{"usage: vcs", `vcs git`, "not a host name"},
		{"usage: tree", `tree X dir`, "no folder proxy/X"},
	}
	r := newest(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res := r.Run(t.Context(), script(t, strings.ReplaceAll(tt.script, "\n\t\t\t", "\n")))
			if tt.fails == "" {
				if res.Err != nil || res.Skipped != "" {
					t.Errorf("%v %s\n%s", res.Err, res.Skipped, res.Transcript)
				}
				return
			}
			if !errors.Is(res.Err, ErrDeviates) || !strings.Contains(res.Transcript, tt.fails) {
				t.Errorf("want a failure with %q, have %v\n%s", tt.fails, res.Err, res.Transcript)
			}
		})
	}
}

// A server that never answers does not hold up the run.
func TestTimeout(t *testing.T) {
	s := script(t, `
proxy A
vcs git.test
env GOPROXY=direct
fault git.test git-upload hang
exec go mod download git.test/dep@v1.0.0
-- vcs/git.test/dep@v1.0.0/dep.go --
package dep
`)
	r := newest(t)
	r.Timeout = time.Second
	res := r.Run(t.Context(), s)
	if !errors.Is(res.Err, context.DeadlineExceeded) || !errors.Is(res.Err, ErrDeviates) {
		t.Errorf("%v\n%s", res.Err, res.Transcript)
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if res := r.Run(ctx, s); !errors.Is(res.Err, context.Canceled) || errors.Is(res.Err, ErrDeviates) {
			t.Errorf("%v\n%s", res.Err, res.Transcript)
		}
	})
}

func TestKeep(t *testing.T) {
	r := newest(t)
	r.Dir, r.Keep = t.TempDir(), true
	res := r.Run(t.Context(), script(t, "cp go.mod kept\n"))
	if _, err := os.Stat(filepath.Join(res.WorkDir, "kept")); err != nil || res.Err != nil {
		t.Errorf("%v, %v", res.Err, err)
	}
	r.Dir, r.Keep = t.TempDir(), false
	if res := r.Run(t.Context(), script(t, "cp go.mod kept\n")); res.Err != nil || res.WorkDir != "" {
		t.Errorf("%v, %q", res.Err, res.WorkDir)
	}
	if left, err := os.ReadDir(r.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestExampleInREADME(t *testing.T) {
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(data), "\n## An example\n")
	text, _, ok := strings.Cut(text, "\n## ")
	if !ok {
		t.Fatal("no example in README.md")
	}
	s, err := parse("README.md", []byte(strings.ReplaceAll(strings.TrimPrefix(text, "\n"), "\t", "")), false)
	if err != nil {
		t.Fatal(err)
	}
	r := newest(t)
	if res := r.Run(t.Context(), s); res.Err != nil || res.Skipped != "" {
		t.Errorf("%v %s\n%s", res.Err, res.Skipped, res.Transcript)
	}
	if res := r.Run(t.Context(), s.lie("comma-404", "go1.27")); !errors.Is(res.Err, ErrDeviates) {
		t.Errorf("with a lie: %v\n%s", res.Err, res.Transcript)
	}
}

func TestRepoAndGox(t *testing.T) {
	repo := t.TempDir()
	for name, data := range map[string]string{"go.mod": "module example.com/team\n", "sub/x.go": "package sub\n", ".git/config": ""} {
		file := filepath.Join(repo, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	r := newest(t)
	// Any program does.
	r.Repo, r.Gox = repo, filepath.Join(filepath.Dir(r.Go), "gofmt")
	s := script(t, `
exec gox -l $REPO/sub/x.go
! stdout .
cd $REPO
exec go list ./...
stdout example.com/team/sub
cp go.mod sub/x.go
! exists .git
cd ..
`)
	s.own = true // gox's own scripts have neither
	res := r.Run(t.Context(), s)
	if res.Err != nil {
		t.Errorf("%v\n%s", res.Err, res.Transcript)
	}
	if data, err := os.ReadFile(filepath.Join(repo, "sub", "x.go")); err != nil || string(data) != "package sub\n" {
		t.Errorf("the script has changed the original: %q, %v", data, err)
	}
}

// A variable called path is another's where names have cases.
func TestInherited(t *testing.T) {
	r := Runner{Environ: []string{"path=/wrong", "PATH=/right", "path=/wrong", "Other=x"}}
	want := []string{"PATH=/right"}
	if runtime.GOOS == "windows" {
		want = []string{"PATH=/wrong", "PATH=/right", "PATH=/wrong"}
	}
	if got := r.inherited(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
