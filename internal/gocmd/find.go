package gocmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// modulePath is gox's own, by which Find tells a copy of gox from a go.
const modulePath = "example.com/gox"

// Find returns the first executable called go in pathList, the value of PATH,
// that is not gox itself under that name: neither the file self (a path, or ""
// for unknown), by whatever links, nor a copy of gox of any version. Scripts
// (version managers' shims) are taken for go. Like os/exec, Find ignores the
// entries of PATH that are not absolute: a repository must not bring its own
// go.
//
// The error is a *FindError.
func Find(pathList, self string) (Go, error) {
	var selfInfo fs.FileInfo
	if self != "" {
		selfInfo, _ = os.Stat(self)
	}
	notFound := &FindError{}
	for _, dir := range filepath.SplitList(pathList) {
		if !filepath.IsAbs(dir) {
			continue
		}
		path, err := exec.LookPath(filepath.Join(dir, "go")) // knows PATHEXT
		switch {
		case err == nil:
			g, resolved := at(path)
			if !g.isGox(resolved, selfInfo) {
				return g, nil
			}
			if notFound.Self == "" {
				notFound.Self = path
			}
		case errors.Is(err, fs.ErrPermission) && notFound.Denied == "":
			notFound.Denied = filepath.Join(dir, "go")
		}
	}
	return Go{}, notFound
}

// isGox reports whether g, whose path without links is resolved, is gox, whose
// file is self.
func (g Go) isGox(resolved string, self fs.FileInfo) bool {
	if self != nil {
		if info, err := os.Stat(g.Path); err == nil && os.SameFile(info, self) {
			return true
		}
	}
	// To look into a file costs time; a go in a GOROOT, as it nearly always is,
	// needs no look.
	if g.GOROOT != "" || resolved == "" {
		return false
	}
	return isOurs(resolved)
}

// isOurs reports whether the program at path was built from a package of gox's
// module, by the build information that go puts into a program as text
// (runtime/debug.BuildInfo, since go1.18). debug/buildinfo would read it without
// a search, but it links readers of ELF, Mach-O, PE and DWARF, whose
// initialisation a wrapped run would pay for at each start.
func isOurs(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [2]byte
	if _, err := io.ReadFull(f, head[:]); err != nil || string(head[:]) == "#!" {
		return false // a version manager's script
	}
	data, err := io.ReadAll(f)
	return err == nil && bytes.Contains(data, []byte("path\t"+modulePath+"/"))
}

// goroot returns the GOROOT whose bin/go the file at path is, "" if none. path
// holds no links.
func goroot(path string) string {
	bin := filepath.Dir(path)
	if filepath.Base(bin) != "bin" {
		return ""
	}
	root := filepath.Dir(bin)
	for _, name := range []string{"VERSION", "pkg"} {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			return ""
		}
	}
	return root
}

// A FindError tells that Find found no go.
type FindError struct {
	Self   string // the gox that stands in PATH as go, if any
	Denied string // the go that may not be executed, if any
}

func (e *FindError) Error() string {
	const mend = "install go, set GOX_GO to a go program, or name an installed toolchain: gox --go VERSION"
	switch {
	case e.Denied != "":
		return fmt.Sprintf("%s: permission denied\n\tchmod +x %[1]s", e.Denied)
	case e.Self != "":
		return fmt.Sprintf("go: only gox itself found in PATH, as %s\n\t%s", e.Self, mend)
	}
	return "go: not found in PATH\n\t" + mend
}

// Is makes errors.Is(err, fs.ErrNotExist) hold where there is no go in PATH,
// and errors.Is(err, fs.ErrPermission) where there is one that may not be
// executed.
func (e *FindError) Is(target error) bool {
	if e.Denied != "" {
		return target == fs.ErrPermission
	}
	return target == fs.ErrNotExist
}

// ExitCode returns the code to exit with, as execvp's callers choose it: 126
// where a go is there but may not be executed, else 127.
func (e *FindError) ExitCode() int {
	if e.Denied != "" {
		return 126
	}
	return 127
}

// A Go is a go command and what its place tells about it.
type Go struct {
	Path    string // as given to At
	GOROOT  string // "" where unknown, as for a version manager's shim
	Version string // as in "go1.22.12"; "" where unknown
}

// At describes the go command at path without running it.
func At(path string) Go {
	g, _ := at(path)
	return g
}

// at is At, and returns path without links too, "" where it leads nowhere.
func at(path string) (g Go, resolved string) {
	g.Path = path
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return g, ""
	}
	if g.GOROOT = goroot(resolved); g.GOROOT != "" {
		g.Version = versionOf(g.GOROOT)
	}
	return g, resolved
}

// versionOf returns the first line of a GOROOT's VERSION file. Since Go 1.21 a
// second one holds the time.
func versionOf(goroot string) string {
	data, _ := os.ReadFile(filepath.Join(goroot, "VERSION"))
	line, _, _ := bytes.Cut(data, []byte("\n"))
	return strings.TrimSpace(string(line))
}
