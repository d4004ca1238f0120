package profiles

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"example.com/gox/internal/redact"
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

// errLocated makes the decoder tell where a value stands: the position of a
// key is public only in the error of a failing Unmarshaler.
var errLocated = errors.New("located")

// located takes any TOML value and fails on purpose, see errLocated.
type located struct{}

func (*located) UnmarshalTOML(any) error { return errLocated }

// lineOf returns the line of prim's key. A table that only its entries imply
// ([profile.x] of [profile.x.env]) is where the first of them is.
func (f *File) lineOf(prim toml.Primitive) int {
	var where toml.ParseError
	if errors.As(f.meta.PrimitiveDecode(prim, &located{}), &where) && where.Position.Line > 0 {
		// Position.Line is where a string over several lines ends.
		return 1 + bytes.Count(f.data[:where.Position.Start], []byte("\n"))
	}
	first := 0 // it stays so for a key with an empty name, which the decoder forgets
	for _, entry := range f.entries(prim) {
		if line := f.lineOf(entry); first == 0 || line > 0 && line < first {
			first = line
		}
	}
	return first
}

// value returns the value of prim as the decoder made it.
func (f *File) value(prim toml.Primitive) any {
	var v any
	f.meta.PrimitiveDecode(prim, &v) // into an interface nothing can fail
	return v
}

// entries returns the entries of prim, none where it is no table.
func (f *File) entries(prim toml.Primitive) map[string]toml.Primitive {
	var entries map[string]toml.Primitive
	if _, ok := f.value(prim).(map[string]any); ok {
		f.meta.PrimitiveDecode(prim, &entries) // a table cannot fail either
	}
	return entries
}

// lineAt returns the line of the key that the names lead to.
func (f *File) lineAt(names ...string) int {
	prim := f.top[names[0]]
	for _, name := range names[1:] {
		prim = f.entries(prim)[name]
	}
	return f.lineOf(prim)
}

// locate finds the lines of s and its values. That costs the decoder several
// walks through the file, more than all that a wrapped run does with it.
func (s *section) locate() {
	if s.located {
		return
	}
	s.located = true
	table := s.file.entries(s.file.top["profile"])[s.name]
	s.lineNo = s.file.lineOf(table)
	s.locateUnder(table, "")
}

// locateUnder finds the lines of the values in table, whose keys begin with
// prefix.
func (s *section) locateUnder(table toml.Primitive, prefix string) {
	for name, prim := range s.file.entries(table) {
		if v := s.values[prefix+name]; v != nil {
			v.lineNo = s.file.lineOf(prim)
		} else {
			s.locateUnder(prim, prefix+name+".")
		}
	}
}

func (s *section) line() int {
	s.locate()
	return s.lineNo
}

func (v *Value) line() int {
	if v.in == nil {
		return v.lineNo
	}
	v.in.locate()
	return v.lineNo
}

// A parser collects what is wrong with one file.
type parser struct {
	file     *File
	problems Problems
}

func parse(path string, scope Scope, data []byte) (*File, error) {
	digest := sha256.New()
	io.WriteString(digest, path+"\x00")
	digest.Write(data)
	f := &File{
		Path: path, Scope: scope, Owner: -1, Digest: hex.EncodeToString(digest.Sum(nil)),
		profiles: map[string]*section{},
		// Without the byte order mark, which the decoder does not count.
		data: bytes.TrimPrefix(data, []byte("\ufeff")),
	}
	p := &parser{file: f}
	var err error
	if f.meta, err = toml.Decode(string(f.data), &f.top); err != nil {
		problem := newProblem(Position{File: path}, "", "", err.Error(), "the format is TOML; see: gox profile --help")
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			// Its own line is one too far where a line ends too early.
			end := max(0, min(syntax.Position.Start, len(data)))
			problem.Pos.line, problem.Text = 1+bytes.Count(data[:end], []byte("\n")), syntaxText(syntax.Message)
		}
		return nil, problem
	}
	for name, prim := range f.top {
		switch name {
		case "default":
			p.defaultName(f.value(prim))
		case "profile":
			p.profiles(f.value(prim))
		default:
			p.report([]string{name}, "", name, "unknown key", hint(name, []string{"default", "profile"}, "a file has the key default and the tables [profile.NAME]"))
		}
	}
	if p.problems != nil {
		slices.SortFunc(p.problems, byPosition)
		return nil, p.problems
	}
	return f, nil
}

// syntaxText returns what the decoder says without the values that it quotes,
// which may be secrets: it quotes 123_ of TOKEN = 123_.
func syntaxText(message string) string {
	if strings.HasPrefix(message, "Key '") {
		return redact.Text(message)
	}
	if _, rest, ok := strings.Cut(message, " is out of range"); ok {
		return "a number is out of range" + rest
	}
	var b strings.Builder
	for {
		start := strings.IndexAny(message, `"'`)
		if start < 0 {
			break
		}
		quoted, rest, ok := strings.Cut(message[start+1:], message[start:start+1])
		if !ok {
			break
		}
		if utf8.RuneCountInString(quoted) > 2 && strings.Trim(quoted, `"'`) != "" && !(len(quoted) == 4 && strings.HasPrefix(quoted, "0x")) {
			quoted = "…"
		}
		b.WriteString(message[:start+1] + quoted + message[start:start+1])
		message = rest
	}
	return redact.Text(b.String() + message)
}

// report notes what is wrong at the key that the names in path lead to.
func (p *parser) report(path []string, profile, key, text, mend string) {
	at := Position{File: p.file.Path, line: p.file.lineAt(path...)}
	p.problems = append(p.problems, newProblem(at, profile, key, text, mend))
}

// keep puts v, which stands at path, where it belongs, and holds it against the
// rules.
func (p *parser) keep(v *Value, path []string) {
	v.in.values[v.Key] = v
	for _, problem := range v.check() {
		problem.Pos.line, problem.Pos.of = p.file.lineAt(path...), nil
		p.problems = append(p.problems, problem)
	}
}

func hint(word string, known []string, otherwise string) string {
	if near := Nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return otherwise
}

func (p *parser) defaultName(value any) {
	name, ok := value.(string)
	if !ok {
		p.report([]string{"default"}, "", "default", "wants a string, has "+tomlType(value), `write: default = "NAME"`)
		return
	}
	v := &Value{Key: "default", Pos: Position{File: p.file.Path}, Scope: p.file.Scope, raw: name}
	v.Pos.of = defaultLine{p.file}
	p.file.defaultName = v
}

// defaultLine finds the line of the key default.
type defaultLine struct{ file *File }

func (d defaultLine) line() int { return d.file.lineAt("default") }

func (p *parser) profiles(value any) {
	table, ok := value.(map[string]any)
	if !ok {
		p.report([]string{"profile"}, "", "profile", "wants tables, has "+tomlType(value), "write: [profile.NAME]")
		return
	}
	for name, value := range table {
		p.profile(name, value)
	}
}

func (p *parser) profile(name string, value any) {
	path := []string{"profile", name}
	table, ok := value.(map[string]any)
	if !ok {
		p.report(path, name, "", "wants a table, has "+tomlType(value), fmt.Sprintf("write: [profile.%s]", name))
		return
	}
	if !ValidName(name) {
		p.report(path, name, "", fmt.Sprintf("%q is no name for a profile", name), "names are made of letters, digits, '.', '_' and '-', and begin with a letter or digit")
	}
	if name == DefaultName && p.file.Scope != BuiltIn {
		p.report(path, name, "", `"default" is built in and changes nothing`, `give the profile another name and write, at the top of the file: default = "NAME"`)
	}
	s := &section{file: p.file, name: name, values: make(map[string]*Value, len(table))}
	s.pos = Position{File: p.file.Path, of: s}
	p.file.profiles[name] = s
	for key, value := range table {
		_, nested := value.(map[string]any)
		if oneOf(key, tableNames()...) && (nested || key != "timeout") {
			p.table(s, key, value)
		} else {
			p.value(s, key, value)
		}
	}
}

func (p *parser) value(s *section, name string, raw any) {
	path := []string{"profile", s.name, name}
	k, ok := keyNamed(name)
	if !ok {
		known := tableNames()
		for _, k := range keys {
			known = append(known, k.name)
		}
		mend := "a variable without a key of its own goes into [profile." + s.name + ".env]"
		if _, table := raw.(map[string]any); table {
			mend = fmt.Sprintf("a name with a dot stands in quotes: [profile.\"%s.%s\"]", s.name, name)
		}
		mend = hint(name, known, mend)
		p.report(path, s.name, name, "unknown key", mend)
		return
	}
	v := p.newValue(s, name)
	switch k.kind {
	case text:
		v.raw, ok = raw.(string)
		if !ok {
			p.report(path, s.name, name, "wants a string, has "+tomlType(raw), fmt.Sprintf("write: %s = \"…\"", name))
			return
		}
	case truth:
		v.raw, ok = raw.(bool)
		if !ok {
			p.report(path, s.name, name, "wants true or false, has "+tomlType(raw), fmt.Sprintf("write: %s = true", name))
			return
		}
	case number:
		v.raw, ok = raw.(int64)
		if !ok {
			p.report(path, s.name, name, "wants a number, has "+tomlType(raw), fmt.Sprintf("write: %s = 3", name))
			return
		}
	case textOrList:
		switch raw := raw.(type) {
		case string:
			v.raw = raw
		case []any:
			list, odd := stringList(raw)
			if odd != "" {
				p.report(path, s.name, name, "wants strings in its list, has "+odd, fmt.Sprintf("write: %s = [\"…\", \"…\"]", name))
				return
			}
			v.raw = list
		default:
			p.report(path, s.name, name, "wants a string or a list of strings, has "+tomlType(raw), fmt.Sprintf("write: %s = [\"…\", \"…\"]", name))
			return
		}
	}
	p.keep(v, path)
}

func (p *parser) newValue(s *section, key string) *Value {
	v := &Value{Key: key, Profile: s.name, Pos: Position{File: p.file.Path}, Scope: p.file.Scope, in: s}
	v.Pos.of = v
	return v
}

// stringList returns a list of strings; where an entry is none, what it is.
func stringList(raw []any) (list []string, odd string) {
	list = make([]string, len(raw))
	for i, entry := range raw {
		s, ok := entry.(string)
		if !ok {
			return nil, tomlType(entry)
		}
		list[i] = s
	}
	return list, ""
}

// table reads [profile.NAME.env] and its kin. In git's and hosts', nested
// tables are dotted keys: [profile.NAME.git] http.sslCAInfo = "…" and
// url."ssh://git@h.example/".insteadOf = "https://h.example/" are both git's
// own names.
func (p *parser) table(s *section, table string, value any) {
	path := []string{"profile", s.name, table}
	entries, ok := value.(map[string]any)
	if !ok {
		p.report(path, s.name, table, "wants a table, has "+tomlType(value), fmt.Sprintf("write: [profile.%s.%s]", s.name, table))
		return
	}
	for name, raw := range entries {
		p.entry(s, append(path[:3:3], name), raw)
	}
}

// entry reads the value at path, which leads from the top of the file into a
// table.
func (p *parser) entry(s *section, path []string, raw any) {
	table, name := path[2], strings.Join(path[3:], ".")
	v := p.newValue(s, table+"."+name)
	fault := func(text, mend string) { p.report(path, s.name, v.Key, text, mend) }
	wants := "wants a string"
	if table == "env" {
		wants += ", or false to unset it"
	}
	switch raw := raw.(type) {
	case string:
		v.raw = raw
	case bool:
		if table == "env" && raw {
			fault(wants, fmt.Sprintf("write: %s = \"true\"", name))
			return
		}
		if table != "env" && table != "git" {
			fault(wants+", has a boolean", fmt.Sprintf("write: %s = \"…\"", name))
			return
		}
		v.raw = raw
	case map[string]any:
		if table == "env" || table == "timeout" {
			fault(wants+", has a table", "")
			return
		}
		for sub, raw := range raw {
			p.entry(s, append(path[:len(path):len(path)], sub), raw)
		}
		return
	case []any:
		if table != "git" {
			fault(wants+", has a list", fmt.Sprintf("write: %s = \"…\"", name))
			return
		}
		list, odd := stringList(raw)
		if odd != "" {
			fault("wants strings in its list, has "+odd, "")
			return
		}
		v.raw = list // a git key may have several values
	default:
		fault("wants a string, has "+tomlType(raw), fmt.Sprintf("write: %s = %q", name, redact.Variable(name, fmt.Sprint(raw))))
		return
	}
	p.keep(v, path)
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
