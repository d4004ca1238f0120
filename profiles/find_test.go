package profiles

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// tree writes files below a new directory and returns it. A name that ends in
// "/" is a directory.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		dir := filepath.Dir(path)
		if strings.HasSuffix(name, "/") {
			dir = path
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if dir == path {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestLoad(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files string // each holds a profile called as it is
		dir   string
		named string
		home  string
		user  string
		want  string // what Project returns
	}{
		{name: "none", files: "a/b/", dir: "a/b"},
		{name: "no directory to begin in", files: "profiles.toml"},
		{name: "in the directory", files: "a/profiles.toml profiles.toml", dir: "a", want: "a/profiles.toml"},
		{name: "above", files: "a/b/c/ profiles.toml", dir: "a/b/c", want: "profiles.toml"},
		{name: "the nearest", files: "a/b/c/ a/profiles.toml profiles.toml", dir: "a/b/c", want: "a/profiles.toml"},
		{name: "at the root of the repository", files: "a/b/ a/.git/ a/profiles.toml", dir: "a/b", want: "a/profiles.toml"},
		{name: "not above the repository", files: "a/b/ a/.git/ profiles.toml", dir: "a/b"},
		{name: "not above a worktree", files: "a/b/ a/.git profiles.toml", dir: "a/b"},
		{name: "not above a Mercurial repository", files: "a/b/ a/.hg/ profiles.toml", dir: "a/b"},
		{name: "at home", files: "a/b/ a/profiles.toml", dir: "a/b", home: "a", want: "a/profiles.toml"},
		{name: "not above home", files: "a/b/ profiles.toml", dir: "a/b", home: "a"},
		{name: "above, where home is elsewhere", files: "a/b/ profiles.toml", dir: "a/b", home: "h", want: "profiles.toml"},
		{name: "local overlay", files: "a/ profiles.toml profiles.local.toml", dir: "a", want: "profiles.local.toml profiles.toml"},
		{name: "local overlay alone is none", files: "a/ profiles.local.toml", dir: "a"},
		{name: "a directory is no overlay", files: "profiles.toml profiles.local.toml/", dir: ".", want: "profiles.toml"},
		{name: "a directory is no file", files: "a/profiles.toml/ profiles.toml", dir: "a", want: "profiles.toml"},
		{name: "named", files: "a/ profiles.toml x.toml", dir: "a", named: "x.toml", want: "x.toml"},
		{name: "named has no overlay", files: "x.toml profiles.local.toml", named: "x.toml", want: "x.toml"},
		{name: "named profiles.toml has its overlay", files: "a/profiles.toml a/profiles.local.toml", named: "a/profiles.toml", want: "a/profiles.local.toml a/profiles.toml"},
		{name: "the user's is no project's", files: "a/profiles.toml profiles.toml", dir: "a", user: "a/profiles.toml"},
		{name: "the user's, named", files: "a/profiles.toml profiles.toml", named: "a/profiles.toml", user: "a/profiles.toml"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{}
			for _, name := range strings.Fields(tt.files) {
				files[name] = "[profile.\"" + strings.ReplaceAll(name, "/", ".") + "\"]"
			}
			root := tree(t, files)
			at := func(rel string) string {
				if rel == "" {
					return ""
				}
				return filepath.Join(root, filepath.FromSlash(rel))
			}
			set, err := Load(Search{File: at(tt.named), Dir: at(tt.dir), Home: at(tt.home), UserFile: at(tt.user), UID: os.Getuid()})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range set.Project() {
				rel, err := filepath.Rel(root, f.Path)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, filepath.ToSlash(rel))
				if f.Scope != Project || f.Owner != -1 || len(f.Digest) != 64 {
					t.Errorf("%s: scope %v, owner %d, digest %q", rel, f.Scope, f.Owner, f.Digest)
				}
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			all, err := set.All()
			if err != nil {
				t.Fatal(err)
			}
			scopes := ""
			for _, f := range all[len(got):] {
				scopes += f.Scope.String() + " "
			}
			want := "built-in "
			if tt.user != "" {
				want = "user built-in "
			}
			if scopes != want {
				t.Errorf("beyond the project: %q, want %q", scopes, want)
			}
		})
	}
}

func TestLoadFaults(t *testing.T) {
	root := tree(t, map[string]string{
		"bad/profiles.toml":         "mod = 1",
		"worse/profiles.toml":       "[profile.x]",
		"worse/profiles.local.toml": "[profile.x",
		"dir/":                      "",
	})
	for _, tt := range []struct {
		name   string
		search Search
		want   string
	}{
		{"faulty", Search{Dir: "bad"}, "bad/profiles.toml:1: mod: unknown key"},
		{"faulty overlay", Search{Dir: "worse"}, "worse/profiles.local.toml:1: "},
		{"missing", Search{File: "none.toml"}, "none.toml: no such profiles file\n\twrite one with: gox profile init"},
		{"missing, in no directory", Search{File: "none/none.toml"}, "none/none.toml: no such profiles file"},
		{"missing, the user's", Search{File: "none.toml", UserFile: "none.toml"}, "none.toml: no such profiles file"},
		{"a directory", Search{File: "dir"}, "dir: cannot be read: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.search
			for _, path := range []*string{&s.File, &s.Dir, &s.UserFile} {
				if *path != "" {
					*path = filepath.Join(root, filepath.FromSlash(*path))
				}
			}
			_, err := Load(s)
			if problemsOf(err) == nil {
				t.Fatalf("got %v, want a Problem", err)
			}
			got := filepath.ToSlash(strings.ReplaceAll(err.Error(), root+string(filepath.Separator), ""))
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("got:\n%s\nwant at the beginning:\n%s", got, tt.want)
			}
			if strings.Contains(got, "chmod") {
				t.Errorf("chmod does not mend it:\n%s", got)
			}
		})
	}
}

// The user's file is read when something is looked for in it, and not before.
func TestUserFileIsReadLate(t *testing.T) {
	root := tree(t, map[string]string{"profiles.toml": "[profile.x]", "user.toml": "[profile"})
	set, err := Load(Search{Dir: root, UserFile: filepath.Join(root, "user.toml"), UID: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Resolve("x"); err != nil {
		t.Errorf("the project's profile: %v", err)
	}
	if _, err := set.Resolve("y"); err == nil || !strings.Contains(err.Error(), "user.toml:1: ") {
		t.Errorf("another profile: %v", err)
	}
	if _, _, err := set.Default(); err == nil || !strings.Contains(err.Error(), "user.toml:1: ") {
		t.Errorf("the default: %v", err)
	}
}

func TestLoadFollowsLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("not everybody may make symbolic links on Windows")
	}
	root := tree(t, map[string]string{"real/p.toml": "[profile.x]", "a/b/": "", "c/": ""})
	if err := os.Symlink("../real/p.toml", filepath.Join(root, "a", FileName)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere.toml", filepath.Join(root, "c", FileName)); err != nil {
		t.Fatal(err)
	}
	set, err := Load(Search{Dir: filepath.Join(root, "a", "b"), UID: os.Getuid()})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Project()) != 1 || set.Project()[0].Path != filepath.Join(root, "a", FileName) {
		t.Errorf("link: %+v", set.Project())
	}
	set, err = Load(Search{Dir: filepath.Join(root, "c"), Home: root, UID: os.Getuid()})
	if err != nil || len(set.Project()) != 0 {
		t.Errorf("link to nowhere: %+v, %v", set, err)
	}
}
