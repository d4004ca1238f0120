package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// copied copies root as New does.
func copied(t *testing.T, ctx context.Context, root string) (string, error) {
	t.Helper()
	dst, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	src := source{root: root, git: findGit(), log: func(string, ...any) {}, told: map[string]bool{}}
	return dst.Name(), src.copyTo(ctx, dst)
}

// A copy is of one moment: of two files that are written one after the other,
// over and over, no copy has the second newer than the first. Where the writing
// does not pause, there is no copy.
func TestCopyWhileWritten(t *testing.T) {
	root := t.TempDir()
	first, last := filepath.Join(root, "z"), filepath.Join(root, "a")
	for i := range 50 {
		write(t, filepath.Join(root, "m", strconv.Itoa(i)), "x")
	}
	writing := func(ctx context.Context) <-chan struct{} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := 0; ctx.Err() == nil; n++ {
				for _, file := range []string{first, last} {
					// Of another length each time, as the clock of files is coarse.
					os.WriteFile(root+".tmp", []byte(strings.Repeat("x", n)), 0o666)
					os.Rename(root+".tmp", file)
				}
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
			}
		}()
		return done
	}
	write(t, first, "")
	write(t, last, "")
	ctx, cancel := context.WithCancel(t.Context())
	done := writing(ctx)
	good := 0
	for range 30 {
		dir, err := copied(t, t.Context(), root)
		if err != nil {
			if !strings.Contains(err.Error(), "it changes while it is copied\n\ttry again") {
				t.Error(err)
			}
			continue
		}
		good++
		a, err1 := os.Stat(filepath.Join(dir, "z"))
		b, err2 := os.Stat(filepath.Join(dir, "a"))
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if n := a.Size() - b.Size(); n != 0 && n != 1 {
			t.Errorf("a copy with %d and %d", a.Size(), b.Size())
		}
	}
	cancel()
	<-done
	if good == 0 {
		t.Log("no copy in any pause: a slow machine")
	}

	if _, err := copied(t, meddler{t.Context(), last}, root); err == nil || !strings.Contains(err.Error(), root+": it changes while it is copied") {
		t.Errorf("without a pause: %v", err)
	}
	if _, err := copied(t, t.Context(), root); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A meddler is a context that writes to a file whenever it is asked, as it is
// before each file.
type meddler struct {
	context.Context
	file string
}

func (m meddler) Err() error {
	f, err := os.OpenFile(m.file, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		f.WriteString("x")
		err = f.Close()
	}
	return err
}

func TestCopyCancelled(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "a"), "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := copied(t, ctx, root); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Modes and odd names come along; set-user-id does not.
func TestCopyModesAndNames(t *testing.T) {
	root := t.TempDir()
	files := map[string]fs.FileMode{
		"plain": 0o644, "x": 0o755, "private": 0o600, "readonly": 0o444, "suid": 0o755 | fs.ModeSetuid,
		" a b ": 0o644, "new\nline": 0o644, `"quoted"`: 0o644, "ünï": 0o644, "-dash": 0o644, "deep/er/f": 0o640,
	}
	for name, mode := range files {
		write(t, filepath.Join(root, name), name)
		if err := os.Chmod(filepath.Join(root, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := copied(t, t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range files {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != mode.Perm() {
			t.Errorf("%q: %v %v, want %v", name, info, err, mode.Perm())
		}
		if data, err := os.ReadFile(filepath.Join(dir, name)); string(data) != name {
			t.Errorf("%q: %q %v", name, data, err)
		}
	}
	a, ta, erra := sums(root, nil, nil)
	b, tb, errb := sums(dir, nil, nil)
	if erra != nil || errb != nil || string(a) != string(b) || ta != tb || ta.Files != len(files) {
		t.Errorf("sums of the original:\n%s%v %v\nof the copy:\n%s%v %v", a, ta, erra, b, tb, errb)
	}
}

func TestCompare(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"gone", "new\nline", "same", "x", "link"} {
		write(t, filepath.Join(root, name), name)
	}
	before, _, err := sums(root, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "new\nline"), "other")
	write(t, filepath.Join(root, "added"), "")
	if err := errors.Join(
		os.Remove(filepath.Join(root, "gone")), os.Chmod(filepath.Join(root, "x"), 0o755),
		os.Remove(filepath.Join(root, "link")), os.Symlink("link", filepath.Join(root, "link")),
		os.Mkdir(filepath.Join(root, "empty"), 0o777), os.Chmod(filepath.Join(root, "same"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	after, _, err := sums(root, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(compare(before, after))
	if want := `[{"new\nline" differs} {added is new} {gone is gone} {link differs} {x differs}]`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// What the index knows is what is there: the tree hashes the same with and
// without it, and a file that was written to since is read.
func TestIndex(t *testing.T) {
	root, dst := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{"a.go": "package a\n", "b/go.mod": "module b\n", "b/data": "data", "empty": "", "big": strings.Repeat("x", indexLimit+1)} {
		write(t, filepath.Join(root, name), content)
	}
	to, err := os.OpenRoot(dst)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	x := &index{}
	src := source{root: root, index: x, told: map[string]bool{}}
	if err := src.all(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if len(x.files) != 3 { // neither the go.mod nor the big one
		t.Errorf("%d files in the index", len(x.files))
	}
	equal := func(what string) {
		t.Helper()
		with, _, err := sums(dst, nil, x)
		without, _, werr := sums(dst, nil, nil)
		if err != nil || werr != nil || string(with) != string(without) {
			t.Errorf("%s: %v %v\n%s\nwithout an index:\n%s", what, err, werr, with, without)
		}
	}
	equal("copied")
	known := x.files["b/data"]
	known.sum[0]++
	x.files["b/data"] = known
	if with, _, _ := sums(dst, nil, x); !strings.Contains(string(with), fmt.Sprintf("%x - b/data", known.sum)) {
		t.Error("control: the index is not used")
	}
	write(t, filepath.Join(dst, "b/data"), "other")
	equal("written to")
	x.forget("a.go")
	equal("forgotten")
}
