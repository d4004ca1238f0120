package profiles

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// A Scope says whose word a profiles file is.
type Scope int

const (
	BuiltIn Scope = iota // shipped with gox
	User                 // the user's own file in the user's config directory
	Project              // anybody's: a file found in a repository, or named by --profiles
)

func (s Scope) String() string {
	return [...]string{"built-in", "user", "project"}[s]
}

// A File is one parsed profiles file.
type File struct {
	Path  string // absolute; "built-in" for the profiles shipped with gox
	Scope Scope
	// Owner is the user id of somebody else whom the file or its directory
	// belongs to, -1 where it is the user's own (or root's, or unknown).
	Owner int
	// Digest is the SHA-256 of path and content, in hex: what `gox profile
	// allow` remembers.
	Digest string

	defaultName *Value
	profiles    map[string]*section

	data []byte // and what the decoder made of it, to find lines
	meta toml.MetaData
	top  map[string]toml.Primitive
}

// A section is one [profile.NAME] table.
type section struct {
	file    *File
	name    string
	pos     Position
	values  map[string]*Value // by key; env and git entries as "env.NAME", "git.section.key"
	lineNo  int               // this and those of the values once they are located
	located bool
}

// A Value is one setting as it stands in a file.
type Value struct {
	Key     string
	Profile string // the profile in whose table it stands
	Pos     Position
	Scope   Scope

	raw    any // string, []string, bool or int64
	in     *section
	lineNo int // once in is located
}

// String returns the value in one line, lists joined as go wants them.
func (v *Value) String() string {
	switch raw := v.raw.(type) {
	case string:
		return raw
	case []string:
		if v.Key == "goproxy" {
			return joinProxies(raw)
		}
		if v.Key == "goauth" {
			return strings.Join(raw, "; ")
		}
		if v.Key == "goflags" {
			return strings.Join(raw, " ")
		}
		return strings.Join(raw, ",")
	default:
		return fmt.Sprint(raw)
	}
}

// list returns the entries of a list, or nil.
func (v *Value) list() []string {
	l, _ := v.raw.([]string)
	return l
}

func (v *Value) problem(text, mend string) *Problem {
	return newProblem(v.Pos, v.Profile, v.Key, text, mend)
}

// kinds of values that a key takes
const (
	text       = iota // a string
	textOrList        // a string in go's own form, or a list
	truth             // a boolean
	number            // an integer, not negative
)

// A key is one of the keys of a profile. variable is the go environment
// variable that it sets straight, "" where it does something else.
type key struct {
	name     string
	kind     int
	variable string
}

// keys lists every key of a profile but env, git and hosts, in the order in
// which they are documented and printed.
var keys = []key{
	{"description", text, ""},
	{"extends", text, ""},
	{"go", text, ""},
	{"goproxy", textOrList, "GOPROXY"},
	{"gosumdb", text, "GOSUMDB"},
	{"goprivate", textOrList, "GOPRIVATE"},
	{"gonoproxy", textOrList, "GONOPROXY"},
	{"gonosumdb", textOrList, "GONOSUMDB"},
	{"goinsecure", textOrList, "GOINSECURE"},
	{"govcs", textOrList, "GOVCS"},
	{"goauth", textOrList, "GOAUTH"},
	{"gotoolchain", text, "GOTOOLCHAIN"},
	{"gocache", text, "GOCACHE"},
	{"gowork", text, ""},
	{"modfile", text, ""},
	{"mod", text, ""},
	{"modcache", text, ""},
	{"goflags", textOrList, ""},
	{"clean", truth, ""},
	{"record", text, ""},
	{"retry", number, ""},
	{"breaker", number, ""},
	{"timeout", text, ""}, // or a table
	{"resolver", text, ""},
	{"cafile", text, ""},
}

// tableNames lists the tables of a profile.
func tableNames() []string { return []string{"env", "git", "hosts", "timeout"} }

func keyNamed(name string) (key, bool) {
	for _, k := range keys {
		if k.name == name {
			return k, true
		}
	}
	return key{}, false
}

// keyFor returns the name of the key that decides the variable, "" where an
// env table may set it.
func keyFor(variable string) string {
	switch variable {
	case "GOFLAGS":
		return "goflags"
	case "GOWORK":
		return "gowork"
	case "GOMODCACHE":
		return "modcache"
	}
	for _, k := range keys {
		if k.variable == variable {
			return k.name
		}
	}
	return ""
}

// read parses the file at path. A missing file is fs.ErrNotExist.
func read(path string, scope Scope, uid int) (*File, error) {
	data, err := readFile(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		mend := ""
		if errors.Is(err, fs.ErrPermission) {
			mend = "chmod u+r " + path
		}
		return nil, newProblem(Position{File: path}, "", "", "cannot be read: "+err.Error(), mend)
	}
	f, err := parse(path, scope, data)
	if err != nil {
		return nil, err
	}
	f.Owner = foreignOwner(path, uid)
	return f, nil
}

// maxSize is more than a profiles file needs. The decoder recurses: 5 MB of "["
// are too deep for a goroutine's stack and end the process.
const maxSize = 64 << 10

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data := bytes.NewBuffer(make([]byte, 0, min(fi.Size(), maxSize)+bytes.MinRead))
	_, err = data.ReadFrom(io.LimitReader(f, maxSize+1))
	if data.Len() > maxSize {
		return nil, fmt.Errorf("larger than %d kB, and so no profiles file", maxSize>>10)
	}
	return data.Bytes(), err
}

// ValidName reports whether name can name a profile: it becomes part of the
// name of a directory and of a comma separated list.
func ValidName(name string) bool {
	for i, c := range name {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return name != "" && len(name) <= 64
}

// dir is the directory that relative paths in v start from.
func (v *Value) dir() string { return filepath.Dir(v.Pos.File) }

// Names returns the profiles of f, sorted.
func (f *File) Names() []string {
	return slices.SortedFunc(maps.Keys(f.profiles), cmp.Compare[string])
}
