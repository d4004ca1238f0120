package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"example.com/gox/internal/modcache"
	"example.com/gox/internal/modstore"
	"example.com/gox/internal/wrap"
	"example.com/gox/profiles"
)

func (g *gox) cacheCommand() *cli.Command {
	return &cli.Command{
		Name: "cache", Usage: "list, verify and remove the module caches of profiles",
		Description: `Each profile downloads into a module cache of its own, at a path that changes
with the profile's sources. gox removes only what it made; the module cache
that go uses without gox is never touched.

   gox cache list
   gox cache prune --unused-for 30d`,
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list the caches with their size and last use",
				Description: "   gox cache list --json",
				Flags:       []cli.Flag{jsonFlag()},
				Action:      g.cacheList,
			},
			{
				Name: "path", Usage: "print the module cache that a run would use",
				Description: "   gox -p office cache path",
				Flags:       []cli.Flag{jsonFlag()},
				Action:      g.cachePath,
			},
			{
				Name: "prune", Usage: "remove caches that were not used for long, and what killed runs left",
				Description: "   gox cache prune --unused-for 2w --dry-run",
				Flags: []cli.Flag{
					jsonFlag(),
					&cli.StringFlag{Name: "unused-for", Value: "30d", Usage: "remove caches unused for this `TIME`: 12h, 30d, 8w; 0 for leftovers only"},
					boolFlag("dry-run", "only say what would go"),
				},
				Action: g.cachePrune,
			},
			{
				Name: "remove", Usage: "remove caches", ArgsUsage: "KEY…",
				Description: "KEY as gox cache list prints it.\n\n   gox cache remove office-3f2a91c07b1d",
				Flags:       []cli.Flag{jsonFlag()},
				Action:      g.cacheRemove,
			},
			{
				Name: "verify", Usage: "compare what caches hold with what was downloaded", ArgsUsage: "[KEY…]",
				Description: `Every module is hashed and compared with the hash that go noted when it
downloaded it. Without KEY, all caches.

   gox cache verify --json`,
				Flags:  []cli.Flag{jsonFlag()},
				Action: g.cacheVerify,
			},
		},
	}
}

func (g *gox) modules() modstore.Store { return modstore.Store{Root: g.CacheDir} }

func (g *gox) cacheList(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	if err := g.CheckCacheDir(); err != nil {
		return err
	}
	entries, err := g.modules().List(c.Context)
	if err != nil {
		return err
	}
	return g.printEntries(c, entries)
}

// printEntries answers with caches: as JSON where asked for, else as a table.
func (g *gox) printEntries(c *cli.Context, entries []modcache.Entry) error {
	if c.Bool("json") {
		return g.printJSON(append([]modcache.Entry{}, entries...))
	}
	var rows [][]string
	for _, e := range entries {
		state := "used " + ago(time.Since(e.LastUse))
		if e.InUse {
			state = "in use"
		}
		rows = append(rows, []string{e.Key, e.Kind, wrap.Size(e.Size), strconv.Itoa(e.Modules) + " modules", state})
	}
	table(g.Stdout, rows)
	return nil
}

// ago writes how long something is past.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

func (g *gox) cachePath(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	pl, err := g.Plan(c.Context, g.Dir, false)
	if err != nil {
		return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	if pl.Cache.Mode == profiles.Fresh && !pl.Pinned {
		return errors.New("a fresh module cache has no path before its run\n\tgox -p " + pl.Profile.Name + " env GOMODCACHE")
	}
	if err := g.ForeseeCache(pl); err != nil {
		return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	said, err := g.Ask(c.Context, pl)
	if err != nil {
		return err
	}
	path := said["GOMODCACHE"]
	if path == "" {
		path = pl.Env.Value("GOMODCACHE")
	}
	if c.Bool("json") {
		return g.printJSON(map[string]string{"mode": pl.Cache.Mode.String(), "path": path})
	}
	fmt.Fprintln(g.Stdout, path)
	return nil
}

func (g *gox) cachePrune(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	unused, err := parseAge(c.String("unused-for"))
	if err != nil {
		return usagef("cache prune --unused-for: %v\n\tgox cache prune --unused-for 30d", err)
	}
	if err := g.CheckCacheDir(); err != nil {
		return err
	}
	removed, err := g.modules().Prune(c.Context, modcache.PruneOptions{UnusedFor: unused, DryRun: c.Bool("dry-run")})
	if err != nil {
		return err
	}
	return g.printEntries(c, removed)
}

// parseAge reads a time such as 12h, 30d or 8w.
func parseAge(s string) (time.Duration, error) {
	for unit, day := range map[string]int{"d": 1, "w": 7} {
		if number, ok := strings.CutSuffix(s, unit); ok {
			n, err := strconv.ParseUint(number, 10, 16)
			if err != nil {
				return 0, fmt.Errorf("%q is no time", s)
			}
			return time.Duration(n) * time.Duration(day) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no time", s)
	}
	return d, nil
}

func (g *gox) cacheRemove(c *cli.Context) error {
	keys, err := arguments(c, 1, -1)
	if err != nil {
		return err
	}
	if err := g.CheckCacheDir(); err != nil {
		return err
	}
	return g.removeEach(c, keys, func(key string) error {
		if err := g.modules().Remove(key); err != nil {
			return g.unknownCache(c, key, err)
		}
		return nil
	})
}

// unknownCache adds the nearest name to the error of a key that is not there.
func (g *gox) unknownCache(c *cli.Context, key string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, listErr := g.modules().List(c.Context)
	if listErr != nil {
		return err
	}
	var known []string
	for _, e := range entries {
		known = append(known, e.Key)
	}
	if near := profiles.Nearest(key, known); near != "" {
		return fmt.Errorf("no module cache %q\n\tdid you mean %s?", key, near)
	}
	return fmt.Errorf("no module cache %q\n\tgox cache list", key)
}

func (g *gox) cacheVerify(c *cli.Context) error {
	keys, err := arguments(c, 0, -1)
	if err != nil {
		return err
	}
	if err := g.CheckCacheDir(); err != nil {
		return err
	}
	if len(keys) == 0 {
		entries, err := g.modules().List(c.Context)
		if err != nil {
			return err
		}
		for _, e := range entries {
			keys = append(keys, e.Key)
		}
	}
	type result struct {
		Key    string           `json:"key"`
		Faults []modstore.Fault `json:"faults"`
	}
	results := []result{}
	found := false
	var failed []error
	for _, key := range keys {
		faults, err := g.modules().Verify(c.Context, key)
		if err != nil {
			failed = append(failed, g.unknownCache(c, key, err))
			continue
		}
		found = found || len(faults) > 0
		results = append(results, result{key, append([]modstore.Fault{}, faults...)})
		if c.Bool("json") {
			continue
		}
		for _, f := range faults {
			fmt.Fprintf(g.Stdout, "%s: %v\n", key, f)
		}
		if len(faults) == 0 {
			fmt.Fprintf(g.Stdout, "%s: all as downloaded\n", key)
		}
	}
	if c.Bool("json") {
		if err := g.printJSON(results); err != nil {
			return err
		}
	}
	if failed == nil && found {
		return &wrap.ExitError{Code: wrap.ExitFindings}
	}
	return errors.Join(failed...)
}
