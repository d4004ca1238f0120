package gateway

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRecordAsk(t *testing.T) {
	tests := []struct {
		path string
		want string // module version file sumdb
	}{
		{"/example.com/dep/@v/list", "example.com/dep  list "},
		{"/example.com/dep/@latest", "example.com/dep  latest "},
		{"/example.com/dep/@v/v1.0.0.info", "example.com/dep v1.0.0 info "},
		{"/example.com/dep/@v/v1.0.0.mod", "example.com/dep v1.0.0 mod "},
		{"/example.com/dep/@v/v1.0.0.zip", "example.com/dep v1.0.0 zip "},
		{"/example.com/dep/@v/main.info", "example.com/dep main info "},
		{"/github.com/!burnt!sushi/toml/@v/v1.0.0-!r!c1.mod", "github.com/BurntSushi/toml v1.0.0-RC1 mod "},
		{"/gopkg.in/yaml.v3/@v/v3.0.1.zip", "gopkg.in/yaml.v3 v3.0.1 zip "},
		{"/sumdb/sum.golang.org/supported", "  sumdb sum.golang.org"},
		{"/sumdb/sum.golang.org/latest", "  sumdb sum.golang.org"},
		{"/sumdb/sum.golang.org/tile/8/0/x001/234", "  sumdb sum.golang.org"},
		{"/sumdb/sum.golang.org/lookup/github.com/!burnt!sushi/toml@v1.0.0", "github.com/BurntSushi/toml v1.0.0 sumdb sum.golang.org"},
		{"/sumdb/sum.example/path/lookup/example.com/dep@v1.0.0", "example.com/dep v1.0.0 sumdb sum.example/path"},
		{"/example.com/Dep/@v/list", "   "}, // a capital letter is never sent
		{"/example.com/dep/@v/v1.0.0.txt", "   "},
		{"/example.com/dep", "   "},
		{"/", "   "},
		{"", "   "},
		{"/@v/list", "   "},
		{"/@latest", "   "},
		{"/sumdb/", "  sumdb "},
	}
	for _, test := range tests {
		var r Record
		r.ask(test.path)
		if got := strings.Join([]string{r.Module, r.Version, r.File, r.SumDB}, " "); got != test.want || r.Path != test.path {
			t.Errorf("%s: %q, want %q", test.path, got, test.want)
		}
	}
}

func TestLogOfManyRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "log.jsonl")
	const runs, each = 8, 20
	var wg sync.WaitGroup
	for run := range runs {
		wg.Go(func() {
			l := Log{Path: path}
			for i := range each {
				if err := l.Append(Record{Time: time.Now(), Run: fmt.Sprint(run), Index: i}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	next := map[string]int{}
	if err := ReadLog(path, func(r Record) bool {
		if r.Index != next[r.Run] {
			t.Errorf("run %s: record %d, want %d", r.Run, r.Index, next[r.Run])
		}
		next[r.Run]++
		return true
	}); err != nil {
		t.Fatal(err)
	}
	for run := range runs {
		if n := next[fmt.Sprint(run)]; n != each {
			t.Errorf("run %d: %d records, want %d", run, n, each)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the log: %v %v", info.Mode(), err)
	}
}

func TestLogRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := Log{Path: path, Limit: 1000}
	const n = 30
	for i := range n {
		if err := l.Append(Record{Time: time.Now(), Index: i, Error: strings.Repeat("x", 150)}); err != nil {
			t.Fatal(err)
		}
	}
	var got []int
	if err := ReadLog(path, func(r Record) bool { got = append(got, r.Index); return true }); err != nil {
		t.Fatal(err)
	}
	if len(got) == 0 || len(got) == n {
		t.Errorf("%d of %d records are there; some should have been rotated away", len(got), n)
	}
	for i, index := range got {
		if index != n-len(got)+i {
			t.Fatalf("records %v: want the last ones in order", got)
		}
	}
	for _, name := range []string{path, path + ".1", path + ".3"} {
		if info, err := os.Stat(name); err != nil || info.Size() > l.Limit {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if _, err := os.Stat(path + ".4"); err == nil {
		t.Error("a fourth file was set aside")
	}
}

func TestLogAfterATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := Log{Path: path}
	if err := l.Append(Record{Time: time.Now(), Index: 1}); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"time":"2026-`)
	f.Close()
	if err := l.Append(Record{Time: time.Now(), Index: 2}); err != nil {
		t.Fatal(err)
	}
	var got []int
	if err := ReadLog(path, func(r Record) bool { got = append(got, r.Index); return true }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != "[1 2]" {
		t.Errorf("records %v, want 1 and 2", got)
	}
}

func TestReadLogOfNothing(t *testing.T) {
	if err := ReadLog(filepath.Join(t.TempDir(), "none"), func(Record) bool { t.Error("a record"); return true }); err != nil {
		t.Error(err)
	}
}
