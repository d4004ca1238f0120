package profiles

import (
	"bytes"
	"errors"

	"github.com/BurntSushi/toml"
)

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

// defaultLine finds the line of the key default.
type defaultLine struct{ file *File }

func (d defaultLine) line() int { return d.file.lineAt("default") }
