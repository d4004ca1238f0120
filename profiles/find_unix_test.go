//go:build unix

package profiles

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A user who is neither root nor the one who runs the tests.
const somebody = 1000

func asRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can give a file to somebody else")
	}
}

func TestForeignOwner(t *testing.T) {
	asRoot(t)
	for _, tt := range []struct {
		name  string
		uid   int
		give  string // to somebody
		want  int
		named string
	}{
		{name: "one's own", uid: somebody, give: "a/b a/b/profiles.toml", want: -1},
		{name: "root's", uid: somebody, want: -1},
		{name: "the file", uid: somebody + 1, give: "a/b/profiles.toml", want: somebody},
		{name: "the directory", uid: somebody + 1, give: "a/b", want: somebody},
		{name: "a directory further up", uid: somebody + 1, give: "a", want: -1},
		{name: "the file, to root", uid: 0, give: "a/b/profiles.toml", want: somebody},
		{name: "no owners", uid: -1, give: "a/b/profiles.toml", want: -1},
		{name: "the link", uid: somebody + 1, give: "link/profiles.toml", named: "link/profiles.toml", want: somebody},
		{name: "the link's directory", uid: somebody + 1, give: "link", named: "link/profiles.toml", want: somebody},
		{name: "what the link leads to", uid: somebody + 1, give: "a/b/profiles.toml", named: "link/profiles.toml", want: somebody},
		{name: "the directory that the link leads to", uid: somebody + 1, give: "a/b", named: "link/profiles.toml", want: somebody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := tree(t, map[string]string{"a/b/profiles.toml": "[profile.x]", "link/": ""})
			if err := os.Symlink("../a/b/profiles.toml", filepath.Join(root, "link", FileName)); err != nil {
				t.Fatal(err)
			}
			for _, name := range strings.Fields(tt.give) {
				if err := os.Lchown(filepath.Join(root, name), somebody, somebody); err != nil {
					t.Fatal(err)
				}
			}
			named := tt.named
			if named == "" {
				named = "a/b/profiles.toml"
			}
			set, err := Load(Search{File: filepath.Join(root, named), UID: tt.uid})
			if err != nil {
				t.Fatal(err)
			}
			if got := set.Project()[0].Owner; got != tt.want {
				t.Errorf("Owner is %d, want %d", got, tt.want)
			}
		})
	}
}

// The user's own file needs no owner: whoever can write into the user's
// configuration directory needs no profiles.
func TestUserFileHasNoForeignOwner(t *testing.T) {
	asRoot(t)
	root := tree(t, map[string]string{"profiles.toml": "[profile.x]"})
	if err := os.Chown(filepath.Join(root, FileName), somebody, somebody); err != nil {
		t.Fatal(err)
	}
	set, err := Load(Search{UserFile: filepath.Join(root, FileName), UID: 0})
	if err != nil {
		t.Fatal(err)
	}
	all, err := set.All()
	if err != nil {
		t.Fatal(err)
	}
	if all[0].Scope != User || all[0].Owner != -1 {
		t.Errorf("scope %v, owner %d", all[0].Scope, all[0].Owner)
	}
}

// Root can read everything, so that the test runs itself as somebody else.
func TestUnreadableFile(t *testing.T) {
	const want = "cannot be read: permission denied\n\tchmod u+r "
	if path := os.Getenv("PROFILES_TEST_UNREADABLE"); path != "" || os.Getuid() != 0 {
		if path == "" {
			path = filepath.Join(tree(t, map[string]string{"profiles.toml": ""}), FileName)
			if err := os.Chmod(path, 0); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Load(Search{Dir: filepath.Dir(path), UID: os.Getuid()})
		if err == nil || err.Error() != path+": "+want+path {
			t.Errorf("got %v, want %s", err, want)
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// A place that everybody can reach.
	root, err := os.MkdirTemp("/tmp", "profiles-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	binary := filepath.Join(root, "self")
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, FileName)
	if err := os.WriteFile(binary, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.run=^TestUnreadableFile$", "-test.v")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "PROFILES_TEST_UNREADABLE="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: somebody, Gid: somebody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestUnreadableFile") {
		t.Errorf("as user %d: %v\n%s", somebody, err, out)
	}
}

func TestPipeIsNoProfilesFile(t *testing.T) {
	root := tree(t, map[string]string{"a/": "", "profiles.toml": "[profile.x]"})
	if err := syscall.Mkfifo(filepath.Join(root, "a", FileName), 0o666); err != nil {
		t.Fatal(err)
	}
	set, err := Load(Search{Dir: filepath.Join(root, "a"), UID: os.Getuid()})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Project()) != 1 || set.Project()[0].Path != filepath.Join(root, FileName) {
		t.Errorf("got %+v", set.Project())
	}
}
