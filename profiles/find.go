package profiles

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed builtin.toml
var builtin []byte

// builtinName stands for the path of builtin.
const builtinName = "built-in"

// Search says where profiles are looked for. The zero Search finds the
// built-in ones only.
type Search struct {
	// File is the profiles file that the user named (--profiles or
	// GOX_PROFILES); it takes the place of the search. "" searches.
	File string
	// Dir is the absolute directory in which the search upward begins; "" for
	// no project file.
	Dir string
	// Home is where the search stops, besides the root of a repository.
	Home string
	// UserFile is the user's own profiles file; it need not exist.
	UserFile string
	// UID is the user whom a project's file must belong to, -1 where files
	// have no such owner.
	UID int
}

// A Set holds the profiles within reach. The user's file and the built-in one
// are read when they are first needed. A Set is for one goroutine.
type Set struct {
	search   Search
	project  []*File // the local overlay before the file
	user     *File
	userRead bool
	builtin  *File
}

// Load finds and parses the project's profiles file and its local overlay. The
// user's file and the built-in profiles are read when a name is first looked
// for in them, so that a plain wrapped run reads one file. An error is a
// Problem or Problems.
func Load(s Search) (*Set, error) {
	set := &Set{search: s}
	path := s.File
	if path == "" {
		path = findUp(s.Dir, s.Home)
	}
	if path == "" {
		return set, nil
	}
	noFile := &Problem{Pos: Position{File: path}, Text: "no such profiles file", Mend: "write one with: gox profile init"}
	if path == s.UserFile {
		if _, err := os.Stat(path); s.File != "" && errors.Is(err, fs.ErrNotExist) {
			return nil, noFile
		}
		return set, nil
	}
	f, err := read(path, Project, s.UID)
	if errors.Is(err, fs.ErrNotExist) {
		if s.File == "" {
			return set, nil // gone since findUp saw it
		}
		return nil, noFile
	}
	if err != nil {
		return nil, err
	}
	set.project = []*File{f}
	overlay := filepath.Join(filepath.Dir(path), LocalFileName)
	if filepath.Base(path) == FileName && isFile(overlay) {
		local, err := read(overlay, Project, s.UID)
		if err == nil {
			set.project = []*File{local, f}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return set, nil
}

// findUp returns the nearest profiles file at dir or above it, as far as the
// root of the repository or home, both included; "" where there is none.
func findUp(dir, home string) string {
	if dir == "" {
		return ""
	}
	for {
		path := filepath.Join(dir, FileName)
		if isFile(path) {
			return path
		}
		parent := filepath.Dir(dir)
		if parent == dir || dir == home || isRepositoryRoot(dir) {
			return ""
		}
		dir = parent
	}
}

// isFile reports whether path is neither a directory nor a pipe, on which
// reading would wait for ever.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func isRepositoryRoot(dir string) bool {
	for _, name := range []string{".git", ".hg", ".jj", ".svn", ".fslckout", ".bzr"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// userFile returns the user's file, nil where there is none.
func (s *Set) userFile() (*File, error) {
	if !s.userRead && s.search.UserFile != "" {
		f, err := read(s.search.UserFile, User, -1)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		s.user = f
	}
	s.userRead = true
	return s.user, nil
}

func (s *Set) builtinFile() (*File, error) {
	if s.builtin == nil {
		f, err := parse(builtinName, BuiltIn, builtin)
		if err != nil {
			return nil, err
		}
		f.profiles[DefaultName] = plain()
		s.builtin = f
	}
	return s.builtin, nil
}

// plain is the profile DefaultName, which no file may define anew.
func plain() *section {
	at := Position{File: builtinName}
	return &section{name: DefaultName, pos: at, values: map[string]*Value{
		"description": {Key: "description", Profile: DefaultName, Pos: at, raw: "plain go: changes nothing"},
	}}
}

// Project returns the project's file, with the local overlay before it where
// there is one; nil where the project has none.
func (s *Set) Project() []*File { return s.project }

// All returns every file within reach, nearest first, the built-in last.
func (s *Set) All() ([]*File, error) {
	files := slices.Clone(s.project)
	user, err := s.userFile()
	if err != nil {
		return nil, err
	}
	if user != nil {
		files = append(files, user)
	}
	b, err := s.builtinFile()
	if err != nil {
		return nil, err
	}
	return append(files, b), nil
}

// Names returns the names of all profiles within reach, sorted.
func (s *Set) Names() ([]string, error) {
	files, err := s.All()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Names()...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Default returns the name that the nearest file with the key default gives,
// with its place; DefaultName where none has it.
func (s *Set) Default() (string, Position, error) {
	for _, f := range s.project {
		if v := f.defaultName; v != nil && v.raw != "" {
			return v.String(), v.Pos, nil
		}
	}
	user, err := s.userFile()
	if err != nil {
		return "", Position{}, err
	}
	if user != nil && user.defaultName != nil && user.defaultName.raw != "" {
		return user.defaultName.String(), user.defaultName.Pos, nil
	}
	return DefaultName, Position{}, nil
}

// sections returns the tables of the profile called name in the nearest place
// that has it, the local overlay's before the file's.
func (s *Set) sections(name string) ([]*section, error) {
	if name == DefaultName {
		return []*section{plain()}, nil // and no file is read for it
	}
	var found []*section
	for _, f := range s.project {
		if t := f.profiles[name]; t != nil {
			found = append(found, t)
		}
	}
	if found != nil {
		return found, nil
	}
	user, err := s.userFile()
	if err != nil {
		return nil, err
	}
	if user != nil && user.profiles[name] != nil {
		return []*section{user.profiles[name]}, nil
	}
	b, err := s.builtinFile()
	if err != nil {
		return nil, err
	}
	if b.profiles[name] != nil {
		return []*section{b.profiles[name]}, nil
	}
	return nil, nil
}

// unknown returns the problem of a profile that does not exist, told at v, nil
// where the name came from the command line or the environment.
func (s *Set) unknown(name string, v *Value) error {
	names, err := s.Names()
	if err != nil {
		return err
	}
	if v == nil {
		v = &Value{}
	}
	return v.problem(
		fmt.Sprintf("unknown profile %q (known: %s)", name, strings.Join(names, ", ")),
		hint(name, names, "see them all with: gox profile list"))
}
