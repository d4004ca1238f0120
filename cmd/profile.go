package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/redact"
	"example.com/gox/internal/wrap"
	"example.com/gox/profiles"
)

func (g *gox) profileCommand() *cli.Command {
	return &cli.Command{
		Name: "profile", Usage: "list, show, check and write profiles, and allow those of a project",
		Description: `Profiles stand in the nearest profiles.toml, with profiles.local.toml laid over
it, then in the user's own file, then in gox.

   [profile.office]
   goproxy  = ["https://goproxy.corp.example", "|", "direct"]
   goprivate = ["git.corp.example"]
   gowork   = "off"         # auto | off | a go.work file
   modfile  = "go.alt.mod"  # implies gowork = "off"
   mod      = "vendor"      # readonly | mod | vendor
   modcache = "isolated"    # isolated | shared | fresh | a directory
   goflags  = ["-trimpath"]
   go       = "1.22"        # local | 1.22 | 1.22.12 | a GOROOT
   extends  = "base"
   clean    = false         # true: nothing of the environment's go settings
   [profile.office.env]     # any other variable; false unsets it
   CGO_ENABLED = "0"
   [profile.office.git]     # git configuration for this run alone
   url."ssh://git@git.corp.example/".insteadOf = "https://git.corp.example/"

Further keys, each setting the variable of its name: gosumdb, gonoproxy,
gonosumdb, goinsecure, govcs, goauth, gotoolchain, gocache.

What go cannot do by itself, gox's gateway does, before which go then finds its
proxies: record = "FILE" (each request, one JSON object a line), retry = 3,
breaker = 3, timeout = "30s" (or a table of connect, tls, first_byte, idle),
resolver = "tls://…" or "https://…", cafile = "FILE", and [profile.NAME.hosts].

   gox profile init
   gox profile show office`,
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list the profiles within reach",
				Description: "The profile that a run would use is marked with *.\n\n   gox profile list --json",
				Flags:       []cli.Flag{jsonFlag()},
				Action:      g.profileList,
			},
			{
				Name: "show", Usage: "show what a profile sets, and where", ArgsUsage: "[NAME…]",
				Description: "Several names are laid above one another, as with -p. Without a name: the\nprofile that a run would use.\n\n   gox profile show office",
				Flags:       []cli.Flag{jsonFlag()},
				Action:      g.profileShow,
			},
			{
				Name: "check", Usage: "check profiles against the rules, the directory and the go version", ArgsUsage: "[NAME…]",
				Description: "Without a name: every profile of the project and of the user.\n\n   gox profile check --json",
				Flags:       []cli.Flag{jsonFlag()},
				Action:      g.profileCheck,
			},
			{
				Name: "init", Usage: "write a commented profiles.toml fitted to this repository",
				Description: "   gox profile init --stdout",
				Flags: []cli.Flag{
					jsonFlag(),
					boolFlag("stdout", "print it instead"),
					boolFlag("user", "write the user's own file"),
				},
				Action: g.profileInit,
			},
			{
				Name: "allow", Usage: "allow the settings of a project's file that can run code or weaken verification", ArgsUsage: "[FILE]",
				Description: "The permission is for the file as it stands: an edit asks again.\n\n   gox profile allow",
				Flags:       []cli.Flag{jsonFlag()},
				Action:      func(c *cli.Context) error { return g.profileAllow(c, true) },
			},
			{
				Name: "deny", Usage: "take that permission back", ArgsUsage: "[FILE]",
				Description: "   gox profile deny",
				Flags:       []cli.Flag{jsonFlag()},
				Action:      func(c *cli.Context) error { return g.profileAllow(c, false) },
			},
		},
	}
}

// reach loads the profiles for a verb that looks at them.
func (g *gox) reach() (*profiles.Set, error) {
	set, err := g.Load(g.Dir)
	if err != nil {
		return nil, &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	return set, nil
}

func (g *gox) profileList(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	set, err := g.reach()
	if err != nil {
		return err
	}
	asked, _, err := g.Names(set)
	if err != nil {
		return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	names, err := set.Names()
	if err != nil {
		return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	type row struct {
		Name        string `json:"name"`
		Description string `json:"description,omitempty"`
		File        string `json:"file,omitempty"`
		Line        int    `json:"line,omitempty"`
		InForce     bool   `json:"inForce,omitempty"`
		Error       string `json:"error,omitempty"`
	}
	rows := []row{}
	var lines [][]string
	for _, name := range names {
		r := row{Name: name, InForce: slices.Contains(asked, name)}
		var place profiles.Position
		profile, err := set.Resolve(name)
		if err != nil {
			r.Error = redact.Text(err.Error())
		} else {
			r.Description = redact.Text(profile.Description())
			place = profile.Pos()
			r.File, r.Line = place.File, place.Line()
		}
		mark := " "
		if r.InForce {
			mark = "*"
		}
		rows = append(rows, r)
		description := r.Description
		if r.Error != "" {
			description, _, _ = strings.Cut(r.Error, "\n")
		}
		lines = append(lines, []string{mark + " " + name, g.Plain(place.String()), g.Plain(description)})
	}
	if c.Bool("json") {
		return g.printJSON(rows)
	}
	table(g.Stdout, lines)
	return nil
}

func (g *gox) profileShow(c *cli.Context) error {
	names, err := arguments(c, 0, -1)
	if err != nil {
		return err
	}
	set, err := g.reach()
	if err != nil {
		return err
	}
	if len(names) > 0 {
		g.Opts.Profiles = names
	}
	profile, _, err := g.Resolve(set)
	if err != nil {
		return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	type setting struct {
		Key    string `json:"key"`
		Value  string `json:"value"`
		Origin origin `json:"origin"`
	}
	settings := []setting{}
	var rows [][]string
	for _, v := range profile.Values() {
		key := redact.Text(v.Key)
		s := setting{key, redact.Variable(v.Key, v.String()), origin{profiles.InProfile.String(), v.Pos.File, v.Pos.Line(), v.Profile, key}}
		settings = append(settings, s)
		rows = append(rows, []string{s.Key, "= " + wrap.ShellQuote(s.Value), "# " + g.Plain(v.Pos.String()) + " [profile." + v.Profile + "]"})
	}
	if c.Bool("json") {
		return g.printJSON(map[string]any{"name": profile.Name, "settings": settings})
	}
	fmt.Fprintf(g.Stdout, "[profile.%s]\n", profile.Name)
	table(g.Stdout, rows)
	return nil
}

func (g *gox) profileCheck(c *cli.Context) error {
	names, err := arguments(c, 0, -1)
	if err != nil {
		return err
	}
	var found profiles.Problems
	set, err := g.Load(g.Dir)
	if err == nil {
		found, err = g.check(set, names)
	}
	if err != nil {
		var ps profiles.Problems
		var p *profiles.Problem
		var exit *wrap.ExitError
		switch {
		case errors.As(err, &exit):
			return err
		case errors.As(err, &ps):
			found = append(found, ps...)
		case errors.As(err, &p):
			found = append(found, p)
		default:
			return err
		}
	}
	if c.Bool("json") {
		for _, p := range found {
			p.Key, p.Text, p.Mend = redact.Text(p.Key), redact.Text(p.Text), redact.Text(p.Mend)
		}
		if err := g.printJSON(append(profiles.Problems{}, found...)); err != nil {
			return err
		}
	} else {
		for _, p := range found {
			fmt.Fprintln(g.Stdout, g.Plain(redact.Text(p.Error())))
		}
	}
	if found.Err() != nil {
		return &wrap.ExitError{Code: wrap.ExitFindings}
	}
	return nil
}

// check applies the named profiles, or all that are not built in, and returns
// what is wrong with them.
func (g *gox) check(set *profiles.Set, names []string) (profiles.Problems, error) {
	found, err := checkDefault(set)
	if err != nil {
		return nil, err
	}
	all := len(names) == 0
	if all {
		if names, err = written(set); err != nil {
			return nil, err
		}
	}
	pl := &wrap.Plan{Set: set, Dir: g.Dir}
	if found, err := g.FindGo(); err == nil {
		pl.Go = found
	}
	here := pl.Go
	var dangers []profiles.Danger
	for _, name := range names {
		profile, err := set.Resolve(name)
		if err != nil {
			var p *profiles.Problem
			if !errors.As(err, &p) {
				return nil, err
			}
			if p.Pos.File == "" {
				return nil, &wrap.ExitError{Code: wrap.ExitUsage, Err: err} // there is no such profile
			}
			found = append(found, p)
			continue
		}
		dangers = append(dangers, profile.Dangers()...)
		pl.Profile, pl.Go = profile, here
		if v := profile.Go(); v != nil && !v.IsPath() {
			// What it says must hold for the toolchain that it asks for.
			pl.Go = gocmd.Go{Path: here.Path, Version: "go" + strings.TrimPrefix(v.String(), "go")}
		}
		_, problems := profile.Env(g.Inputs(pl))
		found = append(append(found, problems...), misspelt(profile)...)
	}
	for _, f := range set.Project() {
		if all {
			dangers = f.Dangers() // in a profile that cannot be resolved as well
		}
		if !g.Trust().Allowed(f) {
			found = append(found, asks(f, dangers)...)
		}
	}
	// What a profile inherits is a problem of each that extends it.
	var once profiles.Problems
	for _, p := range found {
		if !slices.ContainsFunc(once, func(q *profiles.Problem) bool { return *p == *q }) {
			once = append(once, p)
		}
	}
	return once, nil
}

// checkDefault returns what is wrong with the profile that is used when none is
// named.
func checkDefault(set *profiles.Set) (profiles.Problems, error) {
	name, pos, err := set.Default()
	if err != nil {
		return nil, err
	}
	_, err = set.Resolve(name)
	if pos.File == "" || err == nil {
		return nil, nil
	}
	var p *profiles.Problem
	if !errors.As(err, &p) {
		return nil, err
	}
	if p.Pos.File != "" {
		return nil, nil // the profile's own, of which its check tells
	}
	return profiles.Problems{{Pos: pos, Key: "default", Text: p.Text, Mend: p.Mend}}, nil
}

// written returns the names of the profiles that are not built in.
func written(set *profiles.Set) (names []string, err error) {
	files, err := set.All()
	for _, f := range files {
		if f.Scope != profiles.BuiltIn {
			names = append(names, f.Names()...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// misspelt warns of variables that p sets and that look like one of go's.
func misspelt(p *profiles.Profile) (found profiles.Problems) {
	for _, v := range p.Values() {
		name, ok := strings.CutPrefix(v.Key, "env.")
		if !ok {
			continue
		}
		for _, m := range profiles.Misspelt([]string{name}) {
			found = append(found, &profiles.Problem{Pos: v.Pos, Profile: v.Profile, Key: v.Key, Warning: true, Text: "go does not read it", Mend: "did you mean " + m.Meant + "?"})
		}
	}
	return found
}

// asks returns what in a file that is not allowed has no effect before it is:
// of dangers those that stand in it.
func asks(f *profiles.File, dangers []profiles.Danger) (found profiles.Problems) {
	if f.Owner >= 0 {
		found = append(found, wrap.Foreign(f))
	}
	for _, d := range dangers {
		if v := d.Value; v.Pos.File == f.Path {
			found = append(found, &profiles.Problem{Pos: v.Pos, Profile: v.Profile, Key: v.Key, Warning: true, Text: d.Why, Mend: "it takes effect after: gox profile allow"})
		}
	}
	return found
}

func (g *gox) profileInit(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	if g.Dir == "" {
		return usagef("the working directory is gone\n\tcd to another one")
	}
	r, err := profiles.Survey(g.Dir)
	if err != nil {
		return err
	}
	set, err := profiles.Load(profiles.Search{})
	if err != nil {
		return err
	}
	nothing, err := set.Resolve()
	if err != nil {
		return err
	}
	env, _ := nothing.Env(profiles.Inputs{Environ: g.Environ, Dir: g.Dir, Home: g.Home, ConfigDir: g.ConfigDir})
	r.GOPRIVATE, r.GOPROXY = env.Value("GOPRIVATE"), env.Value("GOPROXY")
	text := profiles.Scaffold(r)
	if c.Bool("stdout") {
		fmt.Fprint(g.Stdout, text)
		return nil
	}
	path := filepath.Join(g.Dir, profiles.FileName)
	if c.Bool("user") {
		if g.ConfigDir == "" {
			return usagef("there is no configuration directory\n\tset HOME or XDG_CONFIG_HOME")
		}
		path = filepath.Join(g.ConfigDir, "gox", profiles.FileName)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
	}
	if err := writeNew(path, text); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: it is there already, and stays as it is\n\tgox profile init --stdout", path)
		}
		return err
	}
	if c.Bool("json") {
		return g.printJSON(map[string]string{"file": path})
	}
	fmt.Fprintln(g.Stdout, path)
	return nil
}

// writeNew writes a file that must not be there yet, whole or not at all.
func writeNew(path, text string) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".gox-*")
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return fmt.Errorf("%s: %w", path, pathErr.Err)
	}
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(text)
	if err = errors.Join(err, temp.Chmod(0o644), temp.Close()); err != nil {
		return err
	}
	return os.Link(temp.Name(), path)
}

func (g *gox) profileAllow(c *cli.Context, allow bool) error {
	args, err := arguments(c, 0, 1)
	if err != nil {
		return err
	}
	if len(args) == 1 {
		g.Opts.File = args[0]
	}
	set, err := g.reach()
	if err != nil {
		return err
	}
	files := set.Project()
	if len(files) == 0 {
		return usagef("there is no %s here or above, so there is nothing to %s\n\tgox profile init", profiles.FileName, c.Command.Name)
	}
	trust := g.Trust()
	type result struct {
		File     string   `json:"file"`
		Allowed  bool     `json:"allowed"`
		Settings []string `json:"settings"`
	}
	results := []result{}
	for _, f := range files {
		r := result{File: f.Path, Allowed: allow, Settings: []string{}}
		if allow {
			err = trust.Allow(f)
		} else {
			_, err = trust.Deny(f)
		}
		if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
			err = fmt.Errorf("%s: %w\n\tset XDG_STATE_HOME to a directory that you may write to", pathErr.Path, pathErr.Err)
		}
		if err != nil {
			return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
		}
		for _, d := range f.Dangers() {
			r.Settings = append(r.Settings, d.String())
		}
		results = append(results, r)
	}
	if c.Bool("json") {
		return g.printJSON(results)
	}
	word := "denied"
	if allow {
		word = "allowed"
	}
	for _, r := range results {
		fmt.Fprintf(g.Stdout, "%s %s\n", word, r.File)
		for _, s := range r.Settings {
			fmt.Fprintf(g.Stdout, "\t%s\n", g.Plain(s))
		}
	}
	return nil
}
