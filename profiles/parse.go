package profiles

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"example.com/gox/internal/redact"
)

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
