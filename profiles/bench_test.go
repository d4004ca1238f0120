package profiles

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a plain wrapped run does with a file of ten profiles: it must stay far
// below the 2 ms that gox may add to go.
func BenchmarkRun(b *testing.B) {
	var text strings.Builder
	for i := range 10 {
		fmt.Fprintf(&text, "[profile.p%d]\n# A comment.\ndescription = \"number %[1]d\"\ngoproxy = [\"https://a.example\", \"|\", \"direct\"]\n"+
			"gosumdb = \"sum.golang.org\"\ngoprivate = [\"git.corp.example\"]\ngowork = \"off\"\ngoflags = [\"-trimpath\"]\n"+
			"[profile.p%[1]d.env]\nA = \"1\"\nB = \"2\"\n\n", i)
	}
	root := tree(b, map[string]string{FileName: text.String(), "m/go.mod": "module m"})
	environ := os.Environ()
	b.ReportAllocs()
	for b.Loop() {
		set, err := Load(Search{Dir: filepath.Join(root, "m"), UID: os.Getuid()})
		if err != nil {
			b.Fatal(err)
		}
		p, err := set.Resolve("p5")
		if err != nil {
			b.Fatal(err)
		}
		if len(p.Dangers()) > 0 {
			b.Fatal(p.Dangers())
		}
		env, problems := p.Env(Inputs{Environ: environ, Dir: filepath.Join(root, "m"), GoVersion: "go1.26.0"})
		if err := problems.Err(); err != nil {
			b.Fatal(err)
		}
		p.Cache(env, "")
		env.Environ()
	}
}
