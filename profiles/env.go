package profiles

import (
	"fmt"
	"slices"
	"strings"

	"example.com/gox/internal/envvar"
	"example.com/gox/internal/redact"
)

// A Layer is a place that a variable's value can come from. A lower one
// counts more.
type Layer int

const (
	Flag        Layer = iota // a flag of gox: --go
	Override                 // -e NAME=VALUE
	InProfile                // a profile
	Environment              // the environment that gox was started in
	GoEnvFile                // the file of `go env -w`
	GorootEnv                // GOROOT/go.env, since go1.21
	Default                  // go's own default
)

func (l Layer) String() string {
	return [...]string{"flag", "-e", "profile", "environment", "go env file", "GOROOT/go.env", "default"}[l]
}

// An Origin says where a value came from.
type Origin struct {
	Layer   Layer
	Pos     Position // of the setting, where it stands in a file
	Profile string   // with InProfile
	Key     string   // with InProfile, the key or the rule that decided: "goproxy", "modcache = isolated"
}

func (o Origin) String() string {
	switch o.Layer {
	case Flag:
		return o.Key
	case InProfile:
		s := fmt.Sprintf("[profile.%s] %s", o.Profile, o.Key)
		if o.Pos.File != "" {
			s = o.Pos.String() + " " + s
		}
		return s
	case GoEnvFile, GorootEnv:
		return o.Layer.String() + " " + o.Pos.String()
	}
	return o.Layer.String()
}

// Origin returns where the value comes from.
func (v *Value) Origin() Origin {
	return Origin{Layer: InProfile, Pos: v.Pos, Profile: v.Profile, Key: redact.Text(v.Key)}
}

// A Setting is one value of one variable from one place.
type Setting struct {
	Name   string
	Value  string
	Unset  bool // the variable is taken out of the environment
	Origin Origin
}

// Shown returns the value as it may be shown: a secret is masked, which the
// name of the variable gives away or, as git's http.extraHeader, the key that
// sets it.
func (s Setting) Shown() string {
	if value := redact.Variable(s.Origin.Key, s.Value); value == redact.Mask {
		return value
	}
	return redact.Variable(s.Name, s.Value)
}

// An Env is the environment of one go command: each variable with its value,
// its origin, and what it overrode.
type Env struct {
	environ []string
	clean   *Origin              // what takes the environment's go variables out, nil for nothing
	decided map[string][]Setting // by gox: Flag, Override and InProfile, what counts first
	goenv   map[string]assignment
	goroot  map[string]assignment
}

// Add puts a setting of gox's own (Flag, Override or InProfile) below those
// of its layer that are there already.
func (e *Env) Add(s Setting) {
	all := append(e.decided[s.Name], s)
	slices.SortStableFunc(all, func(a, b Setting) int { return int(a.Origin.Layer - b.Origin.Layer) })
	e.decided[s.Name] = all
}

// profileStart returns the index of the first setting of name that comes from
// a profile.
func (e *Env) profileStart(name string) int {
	i := slices.IndexFunc(e.decided[name], func(s Setting) bool { return s.Origin.Layer >= InProfile })
	if i < 0 {
		i = len(e.decided[name])
	}
	return i
}

// History returns every setting of name, the one that counts first. A setting
// that empties the variable counts as unset wherever go takes it so.
func (e *Env) History(name string) []Setting {
	all := slices.Clone(e.decided[name])
	if value, ok := envvar.Lookup(e.environ, name); ok {
		if e.clean != nil && known(name) {
			all = append(all, Setting{Name: name, Unset: true, Origin: *e.clean})
		}
		all = append(all, Setting{Name: name, Value: value, Origin: Origin{Layer: Environment}})
	}
	if a, ok := e.goenv[name]; ok && inGoEnv(name) {
		all = append(all, Setting{Name: name, Value: a.value, Origin: Origin{Layer: GoEnvFile, Pos: a.pos}})
	}
	if a, ok := e.goroot[name]; ok && inGoEnv(name) {
		all = append(all, Setting{Name: name, Value: a.value, Origin: Origin{Layer: GorootEnv, Pos: a.pos}})
	}
	return all
}

// Lookup returns the setting of name that go will obey. Where nothing sets it
// the value is "" and the origin Default.
func (e *Env) Lookup(name string) Setting {
	s := effective(e.History(name))
	s.Name = name
	return s
}

// effective returns the setting that counts in a History, by go's own rule:
// one of go's variables that the environment holds empty falls back to the
// file of `go env -w` and then to GOROOT/go.env, but a name that stands in that
// file, even empty, falls back no further (cmd/go/internal/cfg, Getenv).
func effective(history []Setting) Setting {
	shut := false // what gox decided shuts out the environment
	for _, s := range history {
		switch {
		case s.Origin.Layer >= GoEnvFile:
			return s
		case shut:
		case s.Value != "" || !s.Unset && !known(s.Name):
			return s
		case s.Origin.Layer < Environment:
			shut = true
		}
	}
	return Setting{Origin: Origin{Layer: Default}}
}

// Value returns the value of name that go will obey, "" where nothing sets it.
func (e *Env) Value(name string) string { return e.Lookup(name).Value }

// Decided returns what gox sets or takes out for the go command, sorted by
// name: the difference that the profile makes to the environment.
func (e *Env) Decided() []Setting {
	var all []Setting
	for _, settings := range e.decided {
		all = append(all, settings[0])
	}
	if e.clean != nil {
		for _, name := range Variables() {
			if _, ok := envvar.Lookup(e.environ, name); ok && e.decided[name] == nil {
				all = append(all, Setting{Name: name, Unset: true, Origin: *e.clean})
			}
		}
	}
	slices.SortFunc(all, func(a, b Setting) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Environ returns the environment for the go command. What gox does not
// decide stays as it was, order and duplicates included.
func (e *Env) Environ() []string {
	decided := e.Decided()
	if len(decided) == 0 {
		return e.environ
	}
	environ := make([]string, 0, len(e.environ)+len(decided))
	for _, entry := range e.environ {
		name, _, _ := strings.Cut(entry, "=")
		if !slices.ContainsFunc(decided, func(s Setting) bool { return envvar.Same(s.Name, name) }) {
			environ = append(environ, entry)
		}
	}
	for _, s := range decided {
		if !s.Unset {
			environ = append(environ, s.Name+"="+s.Value)
		}
	}
	return environ
}
