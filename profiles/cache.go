package profiles

import "strings"

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

// Cache returns the module cache for a run of p in the environment e. Where p
// does not say, it is Isolated, and Shared for a profile that sets nothing.
//
// Going offline keeps the cache: GOPROXY=off is no source, so a profile, a
// layer or an -e that only turns the network off uses the cache of what it
// lies above, and the shared one where there is nothing beneath.
func (p *Profile) Cache(e *Env, home string) Cache {
	v := p.value("modcache")
	if p.Empty() {
		return Cache{}
	}
	c := Cache{Mode: Isolated, Name: p.Name}
	t := p.tables()[0]
	c.Origin = Origin{InProfile, t.pos, t.name, "modcache = isolated, as none is given"}
	names := p.fillers()
	if len(names) > 0 {
		c.Name = strings.Join(names, "+")
	}
	if v != nil {
		c.Origin = v.origin()
		switch v.String() {
		case "shared":
			return Cache{Origin: c.Origin}
		case "fresh":
			return Cache{Mode: Fresh, Origin: c.Origin}
		case "isolated":
		default:
			return Cache{Mode: Directory, Dir: v.Path(home), Origin: c.Origin}
		}
	} else if len(names) == 0 {
		return Cache{}
	}
	for _, name := range []string{"GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOVCS"} {
		c.Sources = append(c.Sources, name+"="+e.source(name))
	}
	for _, key := range p.keysUnder("git.url.") {
		c.Sources = append(c.Sources, key+"="+p.values(key)[0].String())
	}
	return c
}

// fillers returns the names of the profiles that can fill a cache: each layer
// by its own name, one that turns GOPROXY off by the name of the profile that
// it extends and that has a source, or not at all.
func (p *Profile) fillers() []string {
	var names []string
	for _, l := range p.layers {
		name := l.name
		for _, t := range l.tables {
			v := t.values["goproxy"]
			if v == nil || v.raw == "" {
				continue
			}
			if v.String() == "off" {
				name = ""
				continue
			}
			if name == "" {
				name = t.name
			}
			break
		}
		if name != "" {
			names = append([]string{name}, names...)
		}
	}
	return names
}

// source returns the value of a variable that decides about sources, as a
// digest wants it: "" for go's own default, whatever the go version, and
// GOPROXY=off passed over.
func (e *Env) source(name string) string {
	var history []Setting
	for _, s := range e.History(name) {
		if s.Origin.Layer != GorootEnv && (name != "GOPROXY" || s.Value != "off") {
			history = append(history, s)
		}
	}
	return effective(history).Value
}
