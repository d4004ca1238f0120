package sandbox_test

import (
	"context"
	"fmt"
	"log"
	"testing"

	"example.com/gox/sandbox"
)

func Example() {
	ctx := context.Background()
	s, err := sandbox.New(ctx, sandbox.Config{
		Go: "1.26",
		Files: map[string]string{
			"go.work":    "go 1.26\n\nuse (\n\t./app\n\t./lib\n)\n",
			"lib/go.mod": "module lib.test/lib\n\ngo 1.26\n",
			"lib/lib.go": "package lib\n\nconst Word = \"hello\"\n",
			"app/go.mod": "module app.test/app\n\ngo 1.26\n",
			"app/app.go": "package main\n\nimport (\n\t\"os\"\n\n\t\"lib.test/lib\"\n)\n\nfunc main() { os.Stdout.WriteString(lib.Word) }\n",
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	out, err := s.Go(ctx, "run", "app.test/app")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out)
	// Output: hello
}

// Verify tells whether what is built depends on where it is built.
func ExampleSandbox_Verify() {
	ctx := context.Background()
	s, err := sandbox.New(ctx, sandbox.Config{
		Go: "1.26",
		Files: map[string]string{
			"go.mod":  "module app.test/app\n\ngo 1.26\n",
			"main.go": "package main\n\nfunc main() { println(\"hello\") }\n",
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	v, err := s.Verify(ctx, sandbox.VerifyOptions{Cached: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(v.Binaries), "binary, difference:", v.Difference)
	// Output: 1 binary, difference: <nil>
}

// In a test: a sandbox that goes away with it, or stays for a look where
// GOX_SANDBOX_KEEP=failed is set and the test fails.
func ExampleForTest() {
	test := func(t *testing.T) {
		s := sandbox.ForTest(t, sandbox.Config{
			Go:    "1.26",
			Files: map[string]string{"go.mod": "module my.test/module\n"},
		})
		out, err := s.Go(t.Context(), "list", "-m")
		if err != nil || out != "my.test/module\n" {
			t.Errorf("go list -m: %q, %v", out, err)
		}
	}
	_ = test
}
