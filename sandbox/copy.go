package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/mod/modfile"

	"example.com/gox/internal/gocmd"
)

// rounds is how often a source that changes while it is copied is looked at
// again before it is given up.
const rounds = 5

// A source is a folder to be copied.
type source struct {
	root  string
	git   string   // the git command, "" for none
	host  []string // the host's environment
	avoid []string // directories that are never copied: gox's cache, and the sandbox itself
	log   func(format string, args ...any)
	told  map[string]bool // what has been logged
	index *index          // of the copy; nil for none
}

func (s *source) say(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); !s.told[line] {
		s.told[line] = true
		s.log("%s", line)
	}
}

// copyTo copies the source into dst. The copy is of one moment: no file has
// changed between the time it was copied and the time all were.
func (s *source) copyTo(ctx context.Context, dst *os.Root) error {
	have := map[string]fs.FileInfo{}
	for range rounds {
		files, err := s.files(ctx)
		if err != nil {
			return err
		}
		changed := ""
		for _, name := range slices.Sorted(mapKeys(have)) {
			if files[name] == nil {
				changed = name
				if err := dst.RemoveAll(filepath.FromSlash(name)); err != nil {
					return err
				}
				delete(have, name)
			}
		}
		var list []string
		for _, name := range slices.Sorted(mapKeys(files)) {
			if before := have[name]; before == nil || !same(before, files[name]) {
				list = append(list, name)
				delete(have, name)
			}
		}
		copied, err := s.copyFiles(ctx, dst, list, files)
		if err != nil {
			return err
		}
		for i, name := range list {
			changed = name
			if copied[i] {
				have[name] = files[name]
			}
		}
		if changed == "" {
			return escapes(dst, have)
		}
	}
	return fmt.Errorf("%s: it changes while it is copied\n\ttry again when nothing writes to it", s.root)
}

// all copies everything into dst, from a folder that nobody writes to.
func (s *source) all(ctx context.Context, dst *os.Root) error {
	files := map[string]fs.FileInfo{}
	if err := s.walk(ctx, "", files); err != nil {
		return err
	}
	list := slices.Sorted(mapKeys(files))
	copied, err := s.copyFiles(ctx, dst, list, files)
	if i := slices.Index(copied, false); err == nil && i >= 0 {
		return fmt.Errorf("%s: %w", list[i], errChanged)
	}
	return err
}

// copyFiles copies the files and symbolic links that list names, and reports
// for each whether it was what files says.
func (s *source) copyFiles(ctx context.Context, dst *os.Root, list []string, files map[string]fs.FileInfo) (copied []bool, err error) {
	// By directories, each opened once: a path costs an open file for each element.
	dirs := map[string][]int{}
	for i, name := range list {
		dirs[path.Dir(name)] = append(dirs[path.Dir(name)], i)
	}
	order := slices.Sorted(maps.Keys(dirs))
	for _, dir := range order {
		if err := mkdirAll(dst, filepath.FromSlash(dir)); err != nil {
			return nil, err
		}
	}
	copied = make([]bool, len(list))
	return copied, each(len(order), func(d int) error {
		into, err := dst.OpenRoot(filepath.FromSlash(order[d]))
		if err != nil {
			return err
		}
		defer into.Close()
		for _, i := range dirs[order[d]] {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := s.copyFile(into, list[i], files[list[i]])
			if copied[i] = err == nil; err != nil && !errors.Is(err, errChanged) {
				return fmt.Errorf("%s: %w", list[i], err)
			}
		}
		return nil
	})
}

func mapKeys(m map[string]fs.FileInfo) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range m {
			if !yield(name) {
				return
			}
		}
	}
}

// same reports whether a and b are of one file that did not change.
func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Mode() == b.Mode() && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

var errChanged = errors.New("changed while it was copied")

// copyFile copies one file or symbolic link into the directory dst.
// errors.Is(err, errChanged) holds where it is not what info says.
func (s *source) copyFile(dst *os.Root, name string, info fs.FileInfo) error {
	from, to := filepath.Join(s.root, filepath.FromSlash(name)), path.Base(name)
	if info.Mode().Type() == fs.ModeSymlink {
		target, err := os.Readlink(from)
		if err != nil {
			return errors.Join(errChanged, err)
		}
		if err := dst.RemoveAll(to); err != nil {
			return err
		}
		return dst.Symlink(target, to)
	}
	// Not to hang where a named pipe has taken the file's place meanwhile.
	in, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return errChanged
	}
	if err != nil {
		return err
	}
	defer in.Close()
	if now, err := in.Stat(); err != nil || !same(info, now) {
		return errChanged
	}
	out, err := create(dst, to, info.Mode())
	if err != nil {
		return err
	}
	if err = clone(out, in); err != nil {
		var done bool
		if done, err = s.index.copy(name, out, in, info.Size()); !done {
			_, err = io.Copy(out, in)
		}
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if now, err := in.Stat(); err != nil || !same(info, now) {
		return errChanged
	}
	return nil
}

// create makes a file to write to, in place of what may be there. It has the
// permissions of mode whatever the umask, and can be read; no set-user-id.
func create(dst *os.Root, name string, mode fs.FileMode) (*os.File, error) {
	perm := mode.Perm() | 0o400
	out, err := dst.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if errors.Is(err, fs.ErrExist) {
		if err = dst.RemoveAll(name); err == nil {
			out, err = dst.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		}
	}
	if err != nil {
		return nil, err
	}
	if fi, err := out.Stat(); err != nil || fi.Mode().Perm() != perm {
		if err := out.Chmod(perm); err != nil {
			out.Close()
			return nil, err
		}
	}
	return out, nil
}

// mkdirAll makes a directory and its parents with the same mode whatever the
// umask.
func mkdirAll(dst *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	err := dst.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		if err := mkdirAll(dst, filepath.Dir(dir)); err != nil {
			return err
		}
		err = dst.Mkdir(dir, 0o755)
	}
	if errors.Is(err, fs.ErrExist) {
		if fi, err := dst.Lstat(dir); err == nil && fi.IsDir() {
			return nil
		}
		// A file, where the source now has a directory.
		if err = dst.Remove(dir); err == nil {
			err = dst.Mkdir(dir, 0o755)
		}
	}
	if err != nil {
		return err
	}
	return dst.Chmod(dir, 0o755)
}

// escapes returns an error where a symbolic link of the copy leads out of it:
// what runs inside could write outside through it.
func escapes(dst *os.Root, files map[string]fs.FileInfo) error {
	var out []string
	for _, name := range slices.Sorted(mapKeys(files)) {
		if files[name].Mode().Type() != fs.ModeSymlink {
			continue
		}
		_, err := dst.Stat(filepath.FromSlash(name))
		if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENOTDIR) {
			continue
		}
		target, _ := dst.Readlink(filepath.FromSlash(name))
		out = append(out, fmt.Sprintf("%s -> %s", name, target))
	}
	if out != nil {
		return fmt.Errorf("symbolic links that lead out of it:\n\t%s\n\tremove them, let git ignore them, or name with --from a folder that holds both ends", strings.Join(out, "\n\t"))
	}
	return nil
}

// files lists what is to be copied: regular files and symbolic links, by their
// slash-separated paths.
func (s *source) files(ctx context.Context) (map[string]fs.FileInfo, error) {
	files := map[string]fs.FileInfo{}
	if err := s.list(ctx, "", files); err != nil {
		return nil, err
	}
	return files, s.alsoRead(ctx, files)
}

// add notes one file down.
func (s *source) add(files map[string]fs.FileInfo, name string) error {
	info, err := os.Lstat(filepath.Join(s.root, filepath.FromSlash(name)))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR): // git knows it, and it is gone
		return nil
	case err != nil:
		return err
	case info.Mode().IsRegular(), info.Mode().Type() == fs.ModeSymlink:
		files[name] = info
	case !info.IsDir():
		s.say("%s: left out: neither a file, a directory nor a symbolic link", name)
	}
	return nil
}

// list lists the directory dir: what git says where it is in a checkout of
// its own, or is the root and in one; else everything.
func (s *source) list(ctx context.Context, dir string, files map[string]fs.FileInfo) error {
	at := filepath.Join(s.root, filepath.FromSlash(dir))
	checkout := exists(filepath.Join(at, ".git"))
	for up := at; !checkout && dir == "" && up != filepath.Dir(up); up = filepath.Dir(up) {
		checkout = exists(filepath.Join(filepath.Dir(up), ".git"))
	}
	if checkout {
		names, err := s.gitFiles(ctx, at)
		if err != nil {
			return err
		}
		for _, name := range names {
			nested := strings.HasSuffix(name, "/")
			full := path.Join(dir, name)
			if fi, err := os.Lstat(filepath.Join(s.root, filepath.FromSlash(full))); err == nil && fi.IsDir() {
				nested = true // a submodule
			}
			if nested {
				err = s.list(ctx, full, files)
			} else {
				err = s.add(files, full)
			}
			if err != nil {
				return err
			}
		}
		if len(names) > 0 || exists(filepath.Join(at, ".git")) {
			return nil
		}
		s.say("%s: git ignores all of it, so that all of it is copied", s.root)
	}
	return s.walk(ctx, dir, files)
}

// walk lists all of a directory that is in no checkout.
func (s *source) walk(ctx context.Context, dir string, files map[string]fs.FileInfo) error {
	at := filepath.Join(s.root, filepath.FromSlash(dir))
	if slices.Contains(s.avoid, at) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(at)
	if errors.Is(err, fs.ErrNotExist) && dir != "" {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case e.Name() == ".git":
		case e.IsDir() && exists(filepath.Join(at, e.Name(), ".git")):
			err = s.list(ctx, name, files)
		case e.IsDir():
			err = s.walk(ctx, name, files)
		default:
			err = s.add(files, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// gitFiles returns what git tracks in dir, and what is there besides that it
// does not ignore. Nothing of the host's git configuration counts, and nothing
// of the checkout's runs a program. A name that ends in a slash is another
// checkout's directory.
func (s *source) gitFiles(ctx context.Context, dir string) ([]string, error) {
	if s.git == "" {
		return nil, fmt.Errorf("%s: a git checkout, and there is no git in %s to list it\n\tinstall git", dir, strings.Join(systemPath(), " or "))
	}
	code, out, errs, err := s.runGit(ctx, dir, nil)
	if err == nil && code != 0 {
		// git refuses the checkout of somebody else, unless its user has said
		// otherwise: the one thing of the user's configuration that counts.
		if safe := s.safeDirectories(ctx); safe != nil {
			code, out, errs, err = s.runGit(ctx, dir, safe)
		}
	}
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, fmt.Errorf("%s: git ls-files: exit code %d\n\t%s", dir, code, strings.ReplaceAll(strings.TrimSpace(errs), "\n", "\n\t"))
	}
	names := strings.Split(out, "\x00")
	slices.Sort(names)
	names = slices.Compact(names) // a file in conflict stands there several times
	return slices.DeleteFunc(names, func(name string) bool { return name == "" }), nil
}

func (s *source) runGit(ctx context.Context, dir string, safe []string) (code int, stdout, stderr string, err error) {
	args := []string{"-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"}
	for _, dir := range safe {
		args = append(args, "-c", "safe.directory="+dir)
	}
	var out, errs bytes.Buffer
	code, err = gocmd.Run(ctx, gocmd.Cmd{
		Path: s.git, Dir: dir, Env: gitEnviron(), Stdout: &out, Stderr: &errs,
		Args: append(args, "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
	})
	if err == nil {
		err = ctx.Err()
	}
	return code, out.String(), errs.String(), err
}

// safeDirectories returns what the user's and the system's configuration of git
// say of whose checkouts to trust.
func (s *source) safeDirectories(ctx context.Context) []string {
	env := slices.DeleteFunc(slices.Clone(s.host), func(entry string) bool { return strings.HasPrefix(entry, "GIT_DIR=") })
	var out bytes.Buffer
	code, err := gocmd.Run(ctx, gocmd.Cmd{Path: s.git, Dir: "/", Env: env, Stdout: &out, Args: []string{"config", "-z", "--get-all", "safe.directory"}})
	if err != nil || code != 0 || out.Len() == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\x00"), "\x00")
}

// gitEnviron is the environment of the git that looks at a source.
func gitEnviron() []string {
	return []string{
		"PATH=" + strings.Join(systemPath(), string(filepath.ListSeparator)), "HOME=/nonexistent", "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0",
	}
}

// findGit returns the system's git, "" where there is none.
func findGit() string {
	for _, dir := range systemPath() {
		if fi, err := os.Stat(filepath.Join(dir, "git")); err == nil && fi.Mode()&0o111 != 0 {
			return filepath.Join(dir, "git")
		}
	}
	return ""
}

// alsoRead adds what git ignores and go reads all the same: the workspace as it
// stands is with its go.work, what that uses, sums, and vendor directories.
func (s *source) alsoRead(ctx context.Context, files map[string]fs.FileInfo) error {
	take := func(name string) error {
		if files[name] != nil {
			return nil
		}
		err := s.add(files, name)
		if err == nil && files[name] != nil {
			s.say("%s: copied, though git ignores it: go reads it", name)
		}
		return err
	}
	if err := take("go.work"); err != nil {
		return err
	}
	if files["go.work"] != nil {
		file := filepath.Join(s.root, "go.work")
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		work, err := modfile.ParseWork(file, data, nil)
		if err != nil {
			return err
		}
		for _, use := range work.Use {
			dir := path.Clean(filepath.ToSlash(use.Path))
			if filepath.IsAbs(use.Path) || !filepath.IsLocal(use.Path) || dir == "." || files[path.Join(dir, "go.mod")] != nil {
				continue
			}
			if err := s.list(ctx, dir, files); err != nil {
				return err
			}
			if files[path.Join(dir, "go.mod")] != nil {
				s.say("%s: copied, though git ignores it: go.work uses it", dir)
			}
		}
	}
	dirs := map[string]bool{}
	for name := range files {
		if base := path.Base(name); base == "go.mod" || base == "go.work" {
			dirs[path.Dir(name)] = true
		}
	}
	for dir := range dirs {
		for _, name := range []string{"go.mod", "go.sum", "go.work.sum"} {
			if err := take(path.Join(dir, name)); err != nil {
				return err
			}
		}
		vendor := path.Join(dir, "vendor")
		if files[path.Join(vendor, "modules.txt")] == nil && exists(filepath.Join(s.root, filepath.FromSlash(vendor), "modules.txt")) {
			if err := s.walk(ctx, vendor, files); err != nil {
				return err
			}
			s.say("%s: copied, though git ignores it: go reads it", vendor)
		}
	}
	return nil
}
