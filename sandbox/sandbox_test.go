package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/gox/internal/gotest"
)

// hello is a module without requirements.
var hello = map[string]string{
	"go.mod":         "module example.test/hello\n\ngo 1.18\n",
	"main.go":        "package main\n\nimport \"example.test/hello/word\"\n\nfunc main() { println(word.Word) }\n",
	"word/word.go":   "package word\n\nconst Word = \"hello\"\n",
	"word/w_test.go": "package word\n\nimport \"testing\"\n\nfunc TestWord(t *testing.T) {\n\tif Word != \"hello\" {\n\t\tt.Error(Word)\n\t}\n}\n",
}

// newest is the toolchain that most tests pin.
const newest = "1.26"

// config is one whose toolchain is installed.
func config(t *testing.T) Config {
	t.Helper()
	gotest.Toolchain(t, newest)
	return Config{Go: newest, Dir: filepath.Join(t.TempDir(), "box")}
}

func TestNew(t *testing.T) {
	c := config(t)
	c.Files = hello
	s := ForTest(t, c)
	out, err := s.Go(t.Context(), "test", "./...")
	if err != nil || !strings.Contains(out, "ok  \texample.test/hello/word") {
		t.Errorf("go test: %v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(s.Dir(), manifestFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", data)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if exists(s.Dir()) {
		t.Errorf("%s stands after Close", s.Dir())
	}
}
