package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"example.com/gox/internal/redact"
	"example.com/gox/internal/wrap"
	"example.com/gox/profiles"
)

func (g *gox) explainCommand() *cli.Command {
	return &cli.Command{
		Name: "explain", Usage: "tell where the value of each variable comes from, and what it overrode",
		ArgsUsage: "[VARIABLE…]",
		Description: `Without arguments: the variables that decide where modules come from, and
whatever the profile, the environment or the file of "go env -w" sets.
What counts, from the top: gox's flags, -e, the profile (the last layer, then
what it extends), the environment, the go env file, GOROOT/go.env, go's default.
Variables of the environment whose names look misspelt are pointed out.

   gox -p office explain GOPROXY
   gox explain --json | jq .variables`,
		Flags:  []cli.Flag{jsonFlag()},
		Action: g.explain,
	}
}

// An explanation is what `gox explain` tells.
type explanation struct {
	Profile   string                 `json:"profile"`
	Chosen    string                 `json:"chosenBy,omitempty"`
	Go        string                 `json:"go"`
	GoVersion string                 `json:"goVersion,omitempty"`
	Variables []variable             `json:"variables"`
	Gateway   []setting              `json:"gateway,omitempty"` // what go stands behind gox's gateway for
	Misspelt  []profiles.Misspelling `json:"misspelt,omitempty"`
	Warnings  profiles.Problems      `json:"warnings,omitempty"`

	unknown []profiles.Misspelling // of those asked for
}

// A setting is a key of a profile.
type setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin origin `json:"origin"`

	text string
}

// A variable is one of them, with its history.
type variable struct {
	Name      string     `json:"name"`
	Value     string     `json:"value"`
	Unset     bool       `json:"unset,omitempty"`
	Origin    origin     `json:"origin"`
	Overrides []override `json:"overrides,omitempty"`

	text string // the origin, for people
}

// An override is a value that did not count.
type override struct {
	Value  string `json:"value"`
	Unset  bool   `json:"unset,omitempty"`
	Origin origin `json:"origin"`

	text string
}

func (g *gox) explain(c *cli.Context) error {
	names, err := arguments(c, 0, -1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == "" {
			return usagef("explain: %q is no name of a variable\n\tgox explain --help", name)
		}
		if strings.Contains(name, "=") {
			return usagef("explain: %q is no name of a variable\n\tgox -e %s explain %s", name, name, name[:strings.Index(name, "=")])
		}
	}
	pl, err := g.Plan(c.Context, g.Dir, false)
	if err != nil {
		return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	if err := g.ForeseeCache(pl); err != nil {
		return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	e := explanation{
		Profile: pl.Profile.Name, Chosen: pl.Chosen, Go: pl.Go.Path, GoVersion: pl.Go.Version,
		Misspelt: profiles.Misspelt(g.Environ), Warnings: pl.Caution,
	}
	for _, m := range profiles.Misspelt(names) {
		if len(pl.Env.History(m.Name)) == 0 { // else it is told of, and whoever sets it may know why
			e.unknown = append(e.unknown, m)
		}
	}
	if pl.Missing != "" {
		e.Go = pl.Missing + " (not installed yet)"
	}
	if len(names) == 0 {
		names = telling(pl.Env)
	}
	if slices.Contains(names, "GOPROXY") {
		for _, v := range pl.Profile.Relayed() {
			o := v.Origin()
			e.Gateway = append(e.Gateway, setting{v.Key, redact.Variable(v.Key, v.String()), originOf(o), o.String()})
		}
	}
	said, err := g.Ask(c.Context, pl)
	if err != nil {
		g.Report(fmt.Errorf("go did not tell its own values, so those it finds by itself are missing: %w", err), 0)
	}
	for _, name := range names {
		e.Variables = append(e.Variables, explainOne(pl.Env, name, said))
	}
	if c.Bool("json") {
		return g.printJSON(e)
	}
	g.printExplanation(&e)
	return nil
}

// explainOne tells of one variable. Its value is the one that go itself states
// where go knows the variable.
func explainOne(env *profiles.Env, name string, said map[string]string) variable {
	counts, history := env.Lookup(name), env.History(name)
	if counts.Origin.Layer == profiles.Default && len(history) > 0 && history[0].Unset && !slices.Contains(profiles.Variables(), name) {
		counts = history[0] // go has no default for it, and so there is none
	}
	effective := counts
	if value, ok := said[name]; ok {
		effective.Value = value
	}
	v := variable{Name: name, Value: effective.Shown(), Unset: counts.Unset, Origin: originOf(counts.Origin), text: counts.Origin.String()}
	for _, s := range history {
		if s == counts {
			continue
		}
		v.Overrides = append(v.Overrides, override{s.Shown(), s.Unset, originOf(s.Origin), s.Origin.String()})
	}
	return v
}

// telling returns the names worth telling when none is asked for: those that
// decide about sources, and those that something sets.
func telling(env *profiles.Env) []string {
	names := []string{
		"GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOVCS",
		"GOWORK", "GOFLAGS", "GOMODCACHE", "GOTOOLCHAIN", "GOENV",
	}
	for _, name := range profiles.Variables() {
		if len(env.History(name)) > 0 {
			names = append(names, name)
		}
	}
	for _, s := range env.Decided() {
		names = append(names, s.Name)
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(names, func(name string) bool {
		twice := seen[name]
		seen[name] = true
		return twice
	})
}

func (g *gox) printExplanation(e *explanation) {
	by := ""
	if e.Chosen != "" {
		by = " (" + g.Plain(e.Chosen) + ")"
	}
	out := fmt.Sprintf("profile %s%s\n%s\n", e.Profile, by, strings.TrimSpace("go "+e.Go+" "+e.GoVersion))
	for _, v := range e.Variables {
		value := "=" + wrap.ShellQuote(wrap.Spell(v.Value, ""))
		if v.Unset {
			value = " unset"
		}
		out += fmt.Sprintf("\n%s%s\n\t%s\n", v.Name, value, g.Plain(v.text))
		for _, o := range v.Overrides {
			if o.Unset {
				out += fmt.Sprintf("\tunset by %s\n", g.Plain(o.text))
				continue
			}
			out += fmt.Sprintf("\toverrides %s, from %s\n", wrap.ShellQuote(wrap.Spell(o.Value, "")), g.Plain(o.text))
		}
	}
	if e.Gateway != nil {
		out += "\ngateway, whose address go finds in GOPROXY\n"
	}
	for _, s := range e.Gateway {
		out += fmt.Sprintf("\t%s = %s\n\t\t%s\n", s.Key, wrap.Spell(s.Value, ""), g.Plain(s.text))
	}
	fmt.Fprint(g.Stdout, out)
	for _, w := range e.Warnings {
		g.Report(w, 0)
	}
	for _, m := range e.unknown {
		fmt.Fprintf(g.Stderr, "gox: nothing sets %s, and go does not read it\n\tdid you mean %s?\n", wrap.ShellQuote(m.Name), m.Meant)
	}
	for _, m := range e.Misspelt {
		fmt.Fprintf(g.Stderr, "gox: %s in the environment is not read by go: did you mean %s?\n", wrap.ShellQuote(m.Name), m.Meant)
	}
}
