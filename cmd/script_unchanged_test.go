//go:build unix

package cmd_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/testscript"
)

// unchanged is status for a program that must leave no trace.
func unchanged(ts *testscript.TestScript, args []string) bool {
	before := listing(ts)
	ok := status(ts, args)
	if after := listing(ts); after != before {
		ts.Fatalf("%s changed files\n%s", args[1], diff.Diff("before", []byte(before), "after", []byte(after)))
	}
	return ok
}

// listing returns a line for everything below $WORK, with mode and content.
func listing(ts *testscript.TestScript) string {
	var b strings.Builder
	work := ts.Getenv("WORK")
	ts.Check(filepath.WalkDir(work, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) {
			return fs.SkipDir // a directory that is listed, and closed
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(work, path)
		if name == ".home/.config/go/telemetry" {
			return fs.SkipDir // go's own, which counts its runs
		}
		fmt.Fprintf(&b, "%v %s", info.Mode(), name)
		switch {
		case info.Mode().IsRegular() && info.Mode().Perm()&0o400 != 0:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %x", sha256.Sum256(data))
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " -> %s", target)
		}
		b.WriteByte('\n')
		return nil
	}))
	return b.String()
}
