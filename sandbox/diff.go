package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"example.com/gox/internal/gocmd"
)

// Diff writes what has changed in the workspace since the sandbox was made, as
// a patch that `git apply` and `patch -p1` take at the root of the origin. It
// reports whether anything has.
func (s *Sandbox) Diff(ctx context.Context, w io.Writer) (changed bool, err error) {
	git := findGit()
	if git == "" {
		return false, fmt.Errorf("there is no git in %s to make a patch with\n\tinstall git", strings.Join(systemPath(), " or "))
	}
	if _, err := s.origin(); err != nil {
		return false, err
	}
	var errs bytes.Buffer
	code, err := gocmd.Run(ctx, gocmd.Cmd{
		Path: git, Dir: s.dir, Env: append(gitEnviron(), "GIT_CEILING_DIRECTORIES="+s.dir), Stdout: w, Stderr: &errs,
		Args: []string{"diff", "--no-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--binary", "--no-prefix", originDir + "/", treeDir + "/"}, // through the link
	})
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && code > 1 {
		err = errors.New(fmt.Sprintf("git diff: exit code %d\n\t", code) + strings.ReplaceAll(strings.TrimSpace(errs.String()), "\n", "\n\t"))
	}
	return code == 1, err
}
