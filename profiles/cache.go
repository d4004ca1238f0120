package profiles

import (
	"slices"
	"strings"
)

// A CacheMode says which module cache a profile's runs use.
type CacheMode int

const (
	Shared    CacheMode = iota // the one that go would use anyway
	Isolated                   // one for this profile and its sources alone
	Fresh                      // a new one for each run
	Directory                  // the one at Cache.Dir
)

func (m CacheMode) String() string {
	return [...]string{"shared", "isolated", "fresh", "directory"}[m]
}

// A Cache is the module cache that a profile asks for.
type Cache struct {
	Mode CacheMode
	Dir  string // with Directory, absolute
	// With Isolated: the name that the cache goes by, and the sources that
	// alone may fill it, one NAME=value each. A change to a source asks for
	// another cache, so that a stale answer cannot hide a dead proxy.
	Name    string
	Sources []string
	Origin  Origin // of the choice
}

// sourceKeys are the keys that say where modules come from and what proves
// them.
func sourceKeys() []string {
	return []string{"goproxy", "gonoproxy", "goprivate", "gosumdb", "gonosumdb", "goinsecure", "govcs"}
}

// Cache returns the module cache for a run of p in the environment e. Where p
// does not say, it is Isolated, and Shared for a profile that sets nothing.
//
// An isolated cache goes by the profile that chose the sources. So a profile
// that extends another and only takes go.work out, or only turns the network
// off, uses the other's cache: GOPROXY=off is no source, nor is the GONOPROXY=none
// beside it, without which go still fetches private modules (the claim
// private-off). Where only "off" is said and nothing lies beneath, the cache is
// Shared.
func (p *Profile) Cache(e *Env, home string) Cache {
	if p.Empty() {
		return Cache{Origin: Origin{Layer: Default}}
	}
	v := p.value("modcache")
	names := p.choosers()
	c := Cache{Mode: Isolated, Name: strings.Join(names, "+")}
	top := p.tables()[0]
	c.Origin = Origin{InProfile, top.pos, top.name, "modcache = isolated, as none is given"}
	if v != nil {
		c.Origin = v.Origin()
		switch v.String() {
		case "shared":
			return Cache{Origin: c.Origin}
		case "fresh":
			return Cache{Mode: Fresh, Origin: c.Origin}
		case "isolated":
		default:
			return Cache{Mode: Directory, Dir: v.Path(home), Origin: c.Origin}
		}
	}
	if len(names) == 0 {
		if v == nil && p.value("goproxy") != nil {
			return Cache{Origin: Origin{Layer: Default}} // off, and nothing beneath
		}
		c.Name = p.Name // the sources are those of the user's own settings
	}
	for _, key := range sourceKeys() {
		name := strings.ToUpper(key)
		c.Sources = append(c.Sources, name+"="+p.source(e, name))
	}
	for _, key := range p.keysUnder("git.url.") {
		c.Sources = append(c.Sources, key+"="+p.values(key)[0].String())
	}
	// Who answers under another address, or by another certificate, is another.
	for _, key := range append(p.keysUnder("hosts."), "resolver", "cafile") {
		if v := p.value(key); v != nil {
			value := v.String()
			if key == "cafile" {
				value = v.Path(home)
			}
			c.Sources = append(c.Sources, key+"="+value)
		}
	}
	return c
}

// choosers returns the profiles that chose p's sources: of each layer the
// nearest one with a source that counts, the lowest layer first.
func (p *Profile) choosers() []string {
	counts := map[*Value]bool{}
	for _, key := range append(sourceKeys(), p.keysUnder("git.url.")...) {
		for _, v := range p.values(key) {
			if v.raw == "" {
				break // this and what it extends are taken back
			}
			if !p.closes(v) {
				counts[v] = true
				break
			}
		}
	}
	var names []string
	for _, l := range slices.Backward(p.layers) {
		i := slices.IndexFunc(l.tables, func(t *section) bool {
			for _, v := range t.values {
				if counts[v] {
					return true
				}
			}
			return false
		})
		if i >= 0 && !slices.Contains(names, l.tables[i].name) {
			names = append(names, l.tables[i].name)
		}
	}
	return names
}

// closes reports whether v only takes sources away: goproxy = "off", and
// gonoproxy = "none" in the same table.
func (p *Profile) closes(v *Value) bool {
	switch v.Key {
	case "goproxy":
		return v.String() == "off"
	case "gonoproxy":
		t := p.tables()[slices.IndexFunc(p.tables(), func(t *section) bool { return t.values[v.Key] == v })]
		return oneOf(v.String(), "none", "") && t.values["goproxy"] != nil && p.closes(t.values["goproxy"])
	}
	return false
}

// source returns the value of a variable that decides about sources, as a
// digest wants it: "" for go's own default, whatever the go version, and what
// only takes sources away passed over.
func (p *Profile) source(e *Env, name string) string {
	closed := map[Position]bool{} // the places of settings that close
	for _, key := range []string{"goproxy", "gonoproxy"} {
		for _, v := range p.values(key) {
			closed[v.Pos] = p.closes(v)
		}
	}
	off := slices.ContainsFunc(e.decided["GOPROXY"], func(s Setting) bool { return s.Origin.Layer == Override && s.Value == "off" })
	var history []Setting
	for _, s := range e.History(name) {
		switch {
		case s.Origin.Layer == GorootEnv:
		case name == "GOPROXY" && s.Value == "off":
		case name == "GONOPROXY" && s.Value == "none" && (off && s.Origin.Layer == Override || s.Origin.Layer == InProfile && closed[s.Origin.Pos]):
		default:
			history = append(history, s)
		}
	}
	return effective(history).Value
}
