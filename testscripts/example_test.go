package testscripts_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"example.com/gox/testscripts"
)

// A script of one's own, from a Go program: what go downloads comes from B where
// A answers 404.
func ExampleRunner() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "fallback.txtar")
	os.WriteFile(file, []byte(`# A proxy that says 404 leaves it to the next.
proxy A B
env GOPROXY=$A,$B
exec go mod download example.com/dep@v1.0.0
served example.com/dep@v1.0.0 A
-- go.mod --
module example.com/main
-- proxy/B/example.com/dep@v1.0.0/dep.go --
package dep
`), 0o666)

	script, err := testscripts.LoadOwn(file, "fallback.txtar")
	if err != nil {
		fmt.Println(err)
		return
	}
	goPath, err := exec.LookPath("go")
	if err != nil {
		fmt.Println(err)
		return
	}
	runner := testscripts.Runner{Go: goPath, Environ: os.Environ()}
	result := runner.Run(context.Background(), script)
	fmt.Println(result.Err)
	fmt.Printf("line %d: %s\n", result.Line, result.Fault)
	fmt.Println(result.Requests[0])
	// Output:
	// fallback.txtar: not as the script says
	// line 5: example.com/dep@v1.0.0: served by B, not by A
	// A GET /example.com/dep/@v/v1.0.0.info 404
}
