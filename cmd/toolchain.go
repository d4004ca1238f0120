package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/wrap"
	"example.com/gox/profiles"
)

func (g *gox) toolchainCommand() *cli.Command {
	const versions = `A version is 1.22 (the newest patch), 1.22.12, a range such as 1.18..1.22 (the
newest patch of each), or several joined by commas.`
	return &cli.Command{
		Name: "toolchain", Usage: "install, list and remove Go versions",
		Description: `Toolchains are fetched as versions of the module golang.org/toolchain, through
the profile's proxies, and verified by the checksum database whatever the
profile says. They stand in gox's own store and run without any go.mod's
toolchain line having a say.

   gox toolchain install 1.18..1.22
   gox --go 1.20 test ./...`,
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list the installed toolchains", ArgsUsage: "[VERSION…]",
				Description: "   gox toolchain list --available",
				Flags: []cli.Flag{
					jsonFlag(),
					boolFlag("available", "ask the proxies what there is, besides"),
				},
				Action: g.toolchainList,
			},
			{
				Name: "install", Usage: "install toolchains", ArgsUsage: "VERSION…",
				Description: versions + "\n\n   gox -p office toolchain install 1.18..1.20,1.26",
				Flags:       []cli.Flag{jsonFlag()},
				Action:      g.toolchainInstall,
			},
			{
				Name: "remove", Usage: "remove installed toolchains", ArgsUsage: "VERSION…",
				Description: "   gox toolchain remove 1.18.10",
				Flags:       []cli.Flag{jsonFlag()},
				Action:      g.toolchainRemove,
			},
			{
				Name: "path", Usage: "print the GOROOT of an installed toolchain", ArgsUsage: "VERSION",
				Description: "   gox toolchain path 1.22",
				Flags:       []cli.Flag{jsonFlag()},
				Action:      g.toolchainPath,
			},
			{
				Name: "which", Usage: "print the go command that a run would use",
				Description: "   gox -p office toolchain which",
				Flags:       []cli.Flag{jsonFlag()},
				Action:      g.toolchainWhich,
			},
		},
	}
}

// ownToolchains is toolchains for the verbs.
func (g *gox) ownToolchains() (*gocmd.Toolchains, error) {
	if err := g.CheckCacheDir(); err != nil {
		return nil, err
	}
	return g.Toolchains()
}

// A toolchainView is one toolchain as --json shows it.
type toolchainView struct {
	Version   string    `json:"version"`
	GOROOT    string    `json:"goroot,omitempty"`
	Go        string    `json:"go,omitempty"`
	H1        string    `json:"h1,omitempty"`
	Size      int64     `json:"size,omitempty"`
	Installed time.Time `json:"installed,omitzero"`
}

func view(t gocmd.Toolchain) toolchainView {
	return toolchainView{t.Version, t.GOROOT, t.Go, t.H1, t.Size, t.Installed}
}

func (g *gox) toolchainList(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	store, err := g.ownToolchains()
	if err != nil {
		return err
	}
	installed, err := store.Installed()
	if err != nil {
		return err
	}
	views := []toolchainView{}
	for _, t := range installed {
		views = append(views, view(t))
	}
	if c.Bool("available") {
		versions, err := g.available(c.Context, store)
		if err != nil {
			return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
		}
		views = merge(views, versions)
	}
	if c.Bool("json") {
		return g.printJSON(views)
	}
	if len(views) == 0 {
		fmt.Fprintln(g.Stderr, "gox: no toolchains installed\n\tgox toolchain install 1.22")
		return nil
	}
	var rows [][]string
	for _, v := range views {
		row := []string{v.Version, "not installed"}
		if v.GOROOT != "" {
			row = []string{v.Version, wrap.Size(v.Size), v.GOROOT}
		}
		rows = append(rows, row)
	}
	table(g.Stdout, rows)
	return nil
}

// available asks the profile's proxies for the releases that they have.
func (g *gox) available(ctx context.Context, store *gocmd.Toolchains) ([]string, error) {
	pl, err := g.planSources()
	if err != nil {
		return nil, err
	}
	stop, err := g.Fetching(pl, store)
	if err != nil {
		return nil, err
	}
	defer stop()
	return store.Available(ctx)
}

// planSources is a plan as far as fetching needs it: the profile, without the
// toolchain that it may ask for.
func (g *gox) planSources() (*wrap.Plan, error) {
	set, err := g.Load(g.Dir)
	if err != nil {
		return nil, &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	profile, by, err := g.Resolve(set)
	if err != nil {
		return nil, &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	if err := g.CheckTrust(set, profile); err != nil {
		return nil, &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	return &wrap.Plan{Set: set, Profile: profile, Chosen: by, Dir: g.Dir}, nil
}

// merge adds to the installed toolchains those that are only available.
// versions are sorted from old to new.
func merge(installed []toolchainView, versions []string) []toolchainView {
	have := map[string]toolchainView{}
	for _, v := range installed {
		have[v.Version] = v
	}
	var all []toolchainView
	for _, version := range versions {
		v, ok := have[version]
		if !ok {
			v = toolchainView{Version: version}
		}
		all = append(all, v)
		delete(have, version)
	}
	for _, v := range installed {
		if _, left := have[v.Version]; left {
			all = append(all, v)
		}
	}
	return all
}

func (g *gox) toolchainInstall(c *cli.Context) error {
	specs, err := arguments(c, 1, -1)
	if err != nil {
		return err
	}
	for _, spec := range specs {
		if err := gocmd.CheckSpec(spec); err != nil {
			return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
		}
	}
	store, err := g.ownToolchains()
	if err != nil {
		return err
	}
	pl, err := g.planSources()
	if err != nil {
		return err
	}
	stop, err := g.Fetching(pl, store)
	if err != nil {
		return err
	}
	defer stop()
	ctx, cancel := signal.NotifyContext(c.Context, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	views := []toolchainView{}
	var failed []error
	for _, spec := range specs {
		versions, err := store.Resolve(ctx, spec)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		for _, version := range versions {
			t, err := store.Install(ctx, version)
			if err != nil {
				failed = append(failed, err)
				continue
			}
			views = append(views, view(t))
			if !c.Bool("json") {
				stop()
				fmt.Fprintln(g.Stdout, t.Version, t.GOROOT)
			}
		}
	}
	if c.Bool("json") {
		if err := g.printJSON(views); err != nil {
			return err
		}
	}
	if failed != nil {
		return &wrap.ExitError{Code: wrap.ExitUsage, Err: errors.Join(failed...)}
	}
	return nil
}

func (g *gox) toolchainRemove(c *cli.Context) error {
	versions, err := arguments(c, 1, -1)
	if err != nil {
		return err
	}
	store, err := g.ownToolchains()
	if err != nil {
		return err
	}
	for _, version := range versions {
		if err := gocmd.CheckSpec(version); err != nil {
			return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
		}
	}
	return g.removeEach(c, versions, store.Remove)
}

func (g *gox) toolchainPath(c *cli.Context) error {
	args, err := arguments(c, 1, 1)
	if err != nil {
		return err
	}
	if !profiles.IsGoVersion(args[0]) {
		return usagef("toolchain path: %q is no Go version\n\tgox toolchain list", args[0])
	}
	store, err := g.ownToolchains()
	if err != nil {
		return err
	}
	t, err := store.Lookup(args[0])
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("go %s is not installed\n\tgox toolchain install %s", args[0], args[0])
	}
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return g.printJSON(view(t))
	}
	fmt.Fprintln(g.Stdout, t.GOROOT)
	return nil
}

func (g *gox) toolchainWhich(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	pl, err := g.Plan(c.Context, g.Dir, false)
	if err != nil {
		return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	if pl.Missing != "" {
		return fmt.Errorf("go %s is not installed yet\n\tgox toolchain install %s", pl.Missing, pl.Missing)
	}
	if c.Bool("json") {
		return g.printJSON(toolchainView{Version: pl.Go.Version, GOROOT: pl.Go.GOROOT, Go: pl.Go.Path})
	}
	fmt.Fprintln(g.Stdout, pl.Go.Path)
	return nil
}
