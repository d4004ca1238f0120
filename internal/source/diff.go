package source

import (
	"cmp"
	"slices"
	"strings"
)

// A Difference is a module that two reports tell different things of.
type Difference struct {
	Path   string  `json:"path"`
	Before *Module `json:"before,omitempty"` // nil where only the second has it
	After  *Module `json:"after,omitempty"`  // nil where only the first has it
}

// Diff compares two reports about the same directory, say under two profiles:
// which modules come from elsewhere, in another version, or would be asked of
// others. Two module caches are no difference, if both have the module.
func Diff(before, after *Report) []Difference {
	var all []Difference
	find := func(r *Report, path string) *Module {
		if i := slices.IndexFunc(r.Modules, func(m Module) bool { return m.Path == path }); i >= 0 {
			return &r.Modules[i]
		}
		return nil
	}
	paths := slices.Concat(before.paths(), after.paths())
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		a, b := find(before, path), find(after, path)
		if a == nil || b == nil || !same(a, b) {
			all = append(all, Difference{path, a, b})
		}
	}
	return all
}

func same(a, b *Module) bool {
	place := func(m *Module) string {
		if m.Source == ModCache || m.Source == Unknown {
			return ""
		}
		return m.Dir
	}
	replace := func(m *Module) string {
		if m.Replace == nil {
			return ""
		}
		return m.Replace.String()
	}
	return a.Version == b.Version && a.Source == b.Source && place(a) == place(b) && replace(a) == replace(b) &&
		Walk(a.Ask) == Walk(b.Ask) && (a.Filled == nil || b.Filled == nil || a.Filled.Upstream == b.Filled.Upstream)
}

// Words says in few words what differs, from what to what.
func (d Difference) Words() (before, after string) {
	words := func(m *Module) string {
		if m == nil {
			return "not in the build list"
		}
		text := m.Words()
		if m.Source == ModCache && d.Before != nil && d.After != nil && d.Before.Source == d.After.Source {
			text += ", else " + cmp.Or(Walk(m.Ask), "nobody") // what differs is behind it
		}
		return strings.TrimSpace(m.Version + " " + text)
	}
	return words(d.Before), words(d.After)
}
