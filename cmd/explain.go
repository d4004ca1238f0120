package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"example.com/gox/internal/gocmd"
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
	Misspelt  []profiles.Misspelling `json:"misspelt,omitempty"`
	Warnings  profiles.Problems      `json:"warnings,omitempty"`
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
	pl, err := g.plan(c.Context, g.Dir, false)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	if err := g.foreseeCache(pl); err != nil {
		return &exitError{exitUsage, err}
	}
	e := explanation{
		Profile: pl.profile.Name, Chosen: pl.chosen, Go: pl.go_.Path, GoVersion: pl.go_.Version,
		Misspelt: profiles.Misspelt(g.Environ), Warnings: pl.caution,
	}
	if pl.missing != "" {
		e.Go = pl.missing + " (not installed yet)"
	}
	if len(names) == 0 {
		names = telling(pl.env)
	}
	said, err := g.ask(c.Context, pl)
	if err != nil {
		g.report(fmt.Errorf("go did not tell its own values, so those it finds by itself are missing: %w", err), 0)
	}
	for _, name := range names {
		e.Variables = append(e.Variables, explainOne(pl.env, name, said))
	}
	if c.Bool("json") {
		return g.printJSON(e)
	}
	g.printExplanation(&e)
	return nil
}

// ask returns what go itself says of its variables in the plan's environment.
func (g *gox) ask(ctx context.Context, pl *plan) (map[string]string, error) {
	if pl.go_.Path == "" {
		return nil, nil
	}
	return gocmd.EnvJSON(ctx, pl.go_.Path, pl.dir, pl.env.Environ())
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

// foreseeCache sets GOMODCACHE to what a run would use, and touches nothing.
func (g *gox) foreseeCache(pl *plan) error {
	switch {
	case pl.pinned || pl.cache.Mode == profiles.Shared:
	case pl.cache.Mode == profiles.Directory:
		pl.setCache(pl.cache.Dir)
	case g.CacheDir == "":
		return errNoCache
	case pl.cache.Mode == profiles.Isolated:
		pl.setCache(g.modcaches().Path(pl.cacheKey()))
	case pl.cache.Mode == profiles.Fresh:
		pl.setCache(absolute("fresh/NEW/mod", g.CacheDir))
	}
	return nil
}

func (g *gox) printExplanation(e *explanation) {
	by := ""
	if e.Chosen != "" {
		by = " (" + g.plain(e.Chosen) + ")"
	}
	out := fmt.Sprintf("profile %s%s\n%s\n", e.Profile, by, strings.TrimSpace("go "+e.Go+" "+e.GoVersion))
	for _, v := range e.Variables {
		value := "=" + shellQuote(spell(v.Value, ""))
		if v.Unset {
			value = " unset"
		}
		out += fmt.Sprintf("\n%s%s\n\t%s\n", v.Name, value, g.plain(v.text))
		for _, o := range v.Overrides {
			if o.Unset {
				out += fmt.Sprintf("\tunset by %s\n", g.plain(o.text))
				continue
			}
			out += fmt.Sprintf("\toverrides %s, from %s\n", shellQuote(spell(o.Value, "")), g.plain(o.text))
		}
	}
	fmt.Fprint(g.Stdout, out)
	for _, w := range e.Warnings {
		g.report(w, 0)
	}
	for _, m := range e.Misspelt {
		fmt.Fprintf(g.Stderr, "gox: %s in the environment is not read by go: did you mean %s?\n", shellQuote(m.Name), m.Meant)
	}
}
