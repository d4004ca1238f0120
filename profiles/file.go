package profiles

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
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
}

// A section is one [profile.NAME] table.
type section struct {
	name   string
	pos    Position
	values map[string]*Value // by key; env and git entries as "env.NAME", "git.section.key"
}

// A Value is one setting as it stands in a file.
type Value struct {
	Key     string
	Profile string // the profile in whose table it stands
	Pos     Position
	Scope   Scope

	raw any // string, []string or bool
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
	return &Problem{Pos: v.Pos, Profile: v.Profile, Key: v.Key, Text: text, Mend: mend}
}

// kinds of values that a key takes
const (
	text       = iota // a string
	textOrList        // a string in go's own form, or a list
	truth             // a boolean
)

// A key is one of the keys of a profile. variable is the go environment
// variable that it sets straight, "" where it does something else.
type key struct {
	name     string
	kind     int
	variable string
}

// keys lists every key of a profile but env and git, in the order in which
// they are documented and printed.
func keys() []key {
	return []key{
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
	}
}

func keyNamed(name string) (key, bool) {
	for _, k := range keys() {
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
	for _, k := range keys() {
		if k.variable == variable {
			return k.name
		}
	}
	return ""
}

// read parses the file at path. A missing file is fs.ErrNotExist.
func read(path string, scope Scope, uid int) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return nil, &Problem{Pos: Position{File: path}, Text: "cannot be read: " + err.Error(), Mend: "chmod u+r " + path}
	}
	f, err := parse(path, scope, data)
	if err != nil {
		return nil, err
	}
	f.Owner = foreignOwner(path, uid)
	return f, nil
}

// errLocated makes the decoder tell where a value stands: the position of a
// key is public only in the error of a failing Unmarshaler.
var errLocated = errors.New("located")

// located takes any TOML value and fails on purpose, see errLocated.
type located struct{ value any }

func (l *located) UnmarshalTOML(v any) error {
	l.value = v
	return errLocated
}

// A parser collects what is wrong with one file.
type parser struct {
	file     *File
	meta     toml.MetaData
	problems Problems
}

func parse(path string, scope Scope, data []byte) (*File, error) {
	sum := sha256.Sum256(append([]byte(path+"\x00"), data...))
	p := &parser{file: &File{
		Path: path, Scope: scope, Owner: -1, Digest: hex.EncodeToString(sum[:]),
		profiles: map[string]*section{},
	}}
	var top map[string]toml.Primitive
	meta, err := toml.Decode(string(data), &top)
	if err != nil {
		problem := &Problem{Pos: Position{File: path}, Text: err.Error(), Mend: "the format is TOML; see: gox profile --help"}
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			problem.Pos.Line, problem.Text = syntax.Position.Line, syntax.Message
		}
		return nil, problem
	}
	p.meta = meta
	for name, prim := range top {
		switch name {
		case "default":
			p.defaultName(prim)
		case "profile":
			p.profiles(prim)
		default:
			_, line := p.at(prim)
			p.report(line, "", name, "unknown key", hint(name, []string{"default", "profile"}, "a file has the key default and the tables [profile.NAME]"))
		}
	}
	if p.problems != nil {
		slices.SortFunc(p.problems, byPosition)
		return nil, p.problems
	}
	return p.file, nil
}

// at returns the value of prim and the line of its key.
func (p *parser) at(prim toml.Primitive) (any, int) {
	var l located
	var where toml.ParseError
	if errors.As(p.meta.PrimitiveDecode(prim, &l), &where) {
		return l.value, where.Position.Line
	}
	return l.value, 0
}

func (p *parser) report(line int, profile, key, text, mend string) {
	p.problems = append(p.problems, &Problem{
		Pos: Position{p.file.Path, line}, Profile: profile, Key: key, Text: text, Mend: mend,
	})
}

func hint(word string, known []string, otherwise string) string {
	if near := Nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return otherwise
}

func (p *parser) defaultName(prim toml.Primitive) {
	value, line := p.at(prim)
	name, ok := value.(string)
	if !ok {
		p.report(line, "", "default", "wants a string, has "+tomlType(value), `write: default = "NAME"`)
		return
	}
	p.file.defaultName = &Value{Key: "default", Pos: Position{p.file.Path, line}, Scope: p.file.Scope, raw: name}
}

func (p *parser) profiles(prim toml.Primitive) {
	value, line := p.at(prim)
	if _, ok := value.(map[string]any); !ok {
		p.report(line, "", "profile", "wants tables, has "+tomlType(value), "write: [profile.NAME]")
		return
	}
	var byName map[string]toml.Primitive
	if err := p.meta.PrimitiveDecode(prim, &byName); err != nil {
		p.report(line, "", "profile", err.Error(), "")
		return
	}
	for name, prim := range byName {
		p.profile(name, prim)
	}
}

func (p *parser) profile(name string, prim toml.Primitive) {
	value, line := p.at(prim)
	if _, ok := value.(map[string]any); !ok {
		p.report(line, name, "", "wants a table, has "+tomlType(value), fmt.Sprintf("write: [profile.%s]", name))
		return
	}
	if !ValidName(name) {
		p.report(line, name, "", fmt.Sprintf("%q is no name for a profile", name), "names are made of letters, digits, '.', '_' and '-', and begin with a letter or digit")
	}
	if name == DefaultName && p.file.Scope != BuiltIn {
		p.report(line, name, "", `"default" is built in and changes nothing`, `give the profile another name and write, at the top of the file: default = "NAME"`)
	}
	s := &section{name: name, pos: Position{p.file.Path, line}, values: map[string]*Value{}}
	p.file.profiles[name] = s
	var byKey map[string]toml.Primitive
	if err := p.meta.PrimitiveDecode(prim, &byKey); err != nil {
		p.report(line, name, "", err.Error(), "")
		return
	}
	for key, prim := range byKey {
		switch key {
		case "env", "git":
			p.table(s, key, prim)
		default:
			p.value(s, key, prim)
		}
	}
}

func (p *parser) value(s *section, name string, prim toml.Primitive) {
	raw, line := p.at(prim)
	k, ok := keyNamed(name)
	if !ok {
		known := []string{"env", "git"}
		for _, k := range keys() {
			known = append(known, k.name)
		}
		mend := hint(name, known, "a variable without a key of its own goes into [profile."+s.name+".env]")
		p.report(line, s.name, name, "unknown key", mend)
		return
	}
	v := &Value{Key: name, Profile: s.name, Pos: Position{p.file.Path, line}, Scope: p.file.Scope}
	switch k.kind {
	case text:
		v.raw, ok = raw.(string)
		if !ok {
			p.report(line, s.name, name, "wants a string, has "+tomlType(raw), fmt.Sprintf("write: %s = \"…\"", name))
			return
		}
	case truth:
		v.raw, ok = raw.(bool)
		if !ok {
			p.report(line, s.name, name, "wants true or false, has "+tomlType(raw), fmt.Sprintf("write: %s = true", name))
			return
		}
	case textOrList:
		switch raw := raw.(type) {
		case string:
			v.raw = raw
		case []any:
			list := make([]string, len(raw))
			for i, entry := range raw {
				if list[i], ok = entry.(string); !ok {
					p.report(line, s.name, name, fmt.Sprintf("wants strings in its list, has %s", tomlType(entry)), fmt.Sprintf("write: %s = [\"…\", \"…\"]", name))
					return
				}
			}
			v.raw = list
		default:
			p.report(line, s.name, name, "wants a string or a list of strings, has "+tomlType(raw), fmt.Sprintf("write: %s = [\"…\", \"…\"]", name))
			return
		}
	}
	s.values[name] = v
	p.problems = append(p.problems, v.check()...)
}

// table reads [profile.NAME.env] and [profile.NAME.git]. In git's, nested
// tables are dotted keys: [profile.NAME.git] http.sslCAInfo = "…" and
// "url.ssh://git@h.example/.insteadOf" = "https://h.example/" are both git's
// own names.
func (p *parser) table(s *section, table string, prim toml.Primitive) {
	value, line := p.at(prim)
	if _, ok := value.(map[string]any); !ok {
		p.report(line, s.name, table, "wants a table, has "+tomlType(value), fmt.Sprintf("write: [profile.%s.%s]", s.name, table))
		return
	}
	var entries map[string]toml.Primitive
	if err := p.meta.PrimitiveDecode(prim, &entries); err != nil {
		p.report(line, s.name, table, err.Error(), "")
		return
	}
	for name, prim := range entries {
		p.entry(s, table, name, prim)
	}
}

func (p *parser) entry(s *section, table, name string, prim toml.Primitive) {
	raw, line := p.at(prim)
	full := table + "." + name
	v := &Value{Key: full, Profile: s.name, Pos: Position{p.file.Path, line}, Scope: p.file.Scope}
	switch raw := raw.(type) {
	case string:
		v.raw = raw
	case bool:
		if table == "env" && raw {
			p.report(line, s.name, full, "wants a string, or false to unset it", fmt.Sprintf("write: %s = \"true\"", name))
			return
		}
		v.raw = raw
	case map[string]any:
		if table == "git" {
			var entries map[string]toml.Primitive
			if err := p.meta.PrimitiveDecode(prim, &entries); err != nil {
				p.report(line, s.name, full, err.Error(), "")
				return
			}
			for sub, prim := range entries {
				p.entry(s, table, name+"."+sub, prim)
			}
			return
		}
		p.report(line, s.name, full, "wants a string, or false to unset it, has a table", "")
		return
	case []any:
		list := make([]string, len(raw))
		ok := table == "git"
		for i, entry := range raw {
			if list[i], ok = entry.(string); !ok {
				break
			}
		}
		if !ok {
			p.report(line, s.name, full, "wants a string, has a list", fmt.Sprintf("write: %s = \"…\"", name))
			return
		}
		v.raw = list // a git key may have several values
	default:
		p.report(line, s.name, full, "wants a string, has "+tomlType(raw), fmt.Sprintf("write: %s = \"%v\"", name, raw))
		return
	}
	s.values[full] = v
	p.problems = append(p.problems, v.check()...)
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

func tomlType(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	default:
		return "a date"
	}
}

// dir is the directory that relative paths in v start from.
func (v *Value) dir() string { return filepath.Dir(v.Pos.File) }

// Names returns the profiles of f, sorted.
func (f *File) Names() []string {
	return slices.SortedFunc(maps.Keys(f.profiles), cmp.Compare[string])
}
