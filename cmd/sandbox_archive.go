package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"example.com/gox/internal/wrap"
	"example.com/gox/sandbox"
)

// netFlags are --net and --allow, of the verbs that run commands inside.
func netFlags() []cli.Flag {
	return []cli.Flag{&cli.StringFlag{Name: "net", Value: "sources", Usage: "what commands inside can reach: none, only what they listen on themselves; sources, besides, the module proxies, checksum database and private hosts of the profile; host"},
		&cli.StringSliceFlag{Name: "allow", Usage: "under --net sources, let this `HOST` (or HOST:PORT) be reached too; repeatable"},
	}
}

func (g *gox) sandboxExportCommand() *cli.Command {
	return &cli.Command{
		Name: "export", Usage: "write an archive that another machine can import", ArgsUsage: "NAME [FILE]",
		Description: `The archive holds the manifest, the workspace as it is now, and a module proxy
with the module versions of the build list and no others. The same sandbox gives
the same bytes. FILE is NAME.tar.gz if it is not named.

--txtar writes a text file instead, for a bug report: the workspace, the go
command, and modules that are small. gox sandbox import reads it too.

   gox sandbox export bug42
   gox sandbox export --with-toolchain bug42 /media/usb/bug42.tar.gz
   gox sandbox export --txtar --command "go vet ./..." bug42`,
		Flags: []cli.Flag{
			jsonFlag(),
			boolFlag("with-toolchain", "take the pinned toolchain along, so that importing needs none and no network"),
			boolFlag("txtar", "write a minimal text reproducer instead"),
			&cli.StringFlag{Name: "command", Usage: "with --txtar, the `COMMAND` that shows the bug"},
		},
		Action: g.sandboxExport,
	}
}

func (g *gox) sandboxExport(c *cli.Context) error {
	args, err := arguments(c, 1, 2)
	if err != nil {
		return err
	}
	text := c.Bool("txtar")
	switch {
	case text && c.Bool("with-toolchain"):
		return usagef("sandbox export: --with-toolchain and --txtar exclude one another\n\tgox sandbox export --with-toolchain %s", args[0])
	case !text && c.IsSet("command"):
		return usagef("sandbox export: --command goes with --txtar\n\tgox sandbox export --txtar --command %q %s", c.String("command"), args[0])
	}
	file := args[0] + ".tar.gz"
	if text {
		file = args[0] + ".txtar"
	}
	if len(args) == 2 {
		file = args[1]
	}
	return g.inSandbox(c, args[0], func(ctx context.Context, s *sandbox.Sandbox) error {
		return g.exportTo(ctx, c, s, file)
	})
}

// exportTo writes the archive or the text that sandboxExport is asked for.
func (g *gox) exportTo(ctx context.Context, c *cli.Context, s *sandbox.Sandbox, file string) (err error) {
	at := wrap.Absolute(file, g.Dir)
	var left []string
	if c.Bool("txtar") {
		left, err = s.ExportTextFile(ctx, at, c.String("command"))
	} else {
		err = s.ExportFile(ctx, at, sandbox.ExportOptions{Toolchain: c.Bool("with-toolchain")})
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(at)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return g.printJSON(map[string]any{"file": at, "size": info.Size(), "leftOut": append([]string{}, left...)})
	}
	for _, what := range left {
		fmt.Fprintln(g.Stderr, "gox: left out: "+g.Plain(what))
	}
	fmt.Fprintf(g.Stdout, "%s, %s\n", file, wrap.Size(info.Size()))
	return nil
}

func (g *gox) sandboxImportCommand() *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "make a sandbox of an archive, without a network", ArgsUsage: "FILE NAME",
		Description: `Every file is compared with the archive's list, the workspace with the manifest,
and each module with go.sum. An archive that fails in any of it leaves nothing.

   gox sandbox import bug42.tar.gz bug42`,
		Flags:  []cli.Flag{jsonFlag()},
		Action: g.sandboxImport,
	}
}

func (g *gox) sandboxImport(c *cli.Context) error {
	args, err := arguments(c, 2, 2)
	if err != nil {
		return err
	}
	if err := sandbox.CheckName(args[1]); err != nil {
		return &wrap.ExitError{Code: wrap.ExitUsage, Err: err}
	}
	if err := g.CheckCacheDir(); err != nil {
		return err
	}
	f, err := os.Open(wrap.Absolute(args[0], g.Dir))
	if err != nil {
		if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
			err = fmt.Errorf("%s: %w", args[0], pe.Err)
		}
		return err
	}
	defer f.Close()
	ctx, cancel := interruptible(c.Context)
	defer cancel()
	s, err := sandbox.Import(ctx, sandbox.Config{
		Name: args[1], Cache: g.CacheDir, Environ: g.Environ, Helper: g.Executable,
		Log: func(line string) { fmt.Fprintln(g.Stderr, "gox: "+g.Plain(line)) },
	}, f)
	if err != nil {
		return sandboxFault(err)
	}
	defer s.Close()
	return g.printSandbox(c, args[1], s)
}

// printUses answers with what went through the door of a sandbox.
func (g *gox) printUses(c *cli.Context, s *sandbox.Sandbox) error {
	uses, err := s.Uses()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return g.printJSON(append([]sandbox.Use{}, uses...))
	}
	var rows [][]string
	for _, u := range uses {
		state := fmt.Sprintf("%s out, %s in", wrap.Size(u.Sent), wrap.Size(u.Received))
		switch {
		case !u.Allowed:
			state = "refused"
		case u.Failure != "":
			state = u.Failure
		}
		rows = append(rows, []string{u.Time.Format(time.DateTime), u.Addr, state})
	}
	table(g.Stdout, rows)
	return nil
}
