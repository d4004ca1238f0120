package profiles

import (
	"fmt"
	"slices"
	"strings"
)

// A Profile is what go is to run under: one or more profiles laid above one
// another, each with the profiles that it extends.
type Profile struct {
	Name   string // "office", or "office+ci" for layers
	layers []layer
}

// A layer is one profile asked for by name, with its extends chain.
type layer struct {
	name   string
	tables []*section // what stands nearer comes first
}

// Resolve lays the named profiles above one another, the last on top. No name
// at all is DefaultName; of a name that stands twice the last one counts.
func (s *Set) Resolve(names ...string) (*Profile, error) {
	if len(names) == 0 {
		names = []string{DefaultName}
	}
	var once []string
	for i, name := range names {
		if !slices.Contains(names[i+1:], name) {
			once = append(once, name)
		}
	}
	p := &Profile{Name: strings.Join(once, "+")}
	for _, name := range once {
		l, err := s.layer(name)
		if err != nil {
			return nil, err
		}
		p.layers = append([]layer{l}, p.layers...)
	}
	return p, nil
}

// layer follows the extends chain of name.
func (s *Set) layer(name string) (layer, error) {
	l := layer{name: name}
	var extends *Value
	path := []string{}
	for {
		if slices.Contains(path, name) {
			return l, extends.problem(
				fmt.Sprintf("goes in a circle: %s", strings.Join(append(path, name), " extends ")),
				"take the extends out of one of them")
		}
		path = append(path, name)
		tables, err := s.sections(name)
		if err != nil {
			return l, err
		}
		if tables == nil {
			return l, s.unknown(name, extends)
		}
		l.tables = append(l.tables, tables...)
		extends = nil
		for _, t := range tables {
			if extends = t.values["extends"]; extends != nil {
				break
			}
		}
		if extends == nil || extends.raw == "" {
			return l, nil
		}
		name = extends.String()
	}
}

// tables returns all tables of p, the one that counts most first.
func (p *Profile) tables() []*section {
	var all []*section
	for _, l := range p.layers {
		all = append(all, l.tables...)
	}
	return all
}

// values returns every setting of the key, the one that counts first.
func (p *Profile) values(key string) []*Value {
	var all []*Value
	for _, t := range p.tables() {
		if v := t.values[key]; v != nil {
			all = append(all, v)
		}
	}
	return all
}

// value returns the setting of the key that counts, nil where there is none.
// A key set to "" is not set: that is how a profile takes back what the one
// it extends says.
func (p *Profile) value(key string) *Value {
	if all := p.values(key); len(all) > 0 && all[0].raw != "" {
		return all[0]
	}
	return nil
}

// keysUnder returns the keys that begin with prefix ("env.", "git."), sorted.
func (p *Profile) keysUnder(prefix string) []string {
	var found []string
	for _, t := range p.tables() {
		for key := range t.values {
			if strings.HasPrefix(key, prefix) {
				found = append(found, key)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// Empty reports whether p sets nothing: then go runs as it would without gox.
func (p *Profile) Empty() bool {
	for _, t := range p.tables() {
		for key := range t.values {
			if key != "description" && key != "extends" {
				return false
			}
		}
	}
	return true
}

// Values returns the settings of p that count, in the order of the keys.
func (p *Profile) Values() []*Value {
	var all []*Value
	for _, k := range keys {
		if v := p.value(k.name); v != nil {
			all = append(all, v)
		}
	}
	for _, table := range tableNames() {
		for _, key := range p.keysUnder(table + ".") {
			all = append(all, p.values(key)[0])
		}
	}
	return all
}

// Relayed returns the settings that Relay is made of.
func (p *Profile) Relayed() []*Value {
	return slices.DeleteFunc(p.Values(), func(v *Value) bool { return !v.relayed() || v.raw == "" || v.raw == int64(0) })
}

// Pos returns the place of the profile's table, of the top layer's where there
// are several.
func (p *Profile) Pos() Position { return p.tables()[0].pos }

// Description returns the profile's description, "" where it has none.
func (p *Profile) Description() string {
	if v := p.value("description"); v != nil {
		return v.String()
	}
	return ""
}

// Go returns the setting of the key go, nil where the profile leaves it open.
// "local" is leaving it open.
func (p *Profile) Go() *Value {
	if v := p.value("go"); v != nil && v.String() != "local" {
		return v
	}
	return nil
}

// Path returns the absolute path that a value names: relative paths start
// from the directory of the profiles file, "~/" from home.
func (v *Value) Path(home string) string { return resolvePath(v.String(), v.dir(), home) }

// IsPath reports whether the value of the key go names a GOROOT and not a
// version.
func (v *Value) IsPath() bool { return looksLikePath(v.String()) }
