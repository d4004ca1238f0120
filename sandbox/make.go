package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"example.com/gox/internal/envvar"
	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/owned"
	"example.com/gox/internal/redact"
)

// mend returns err with what the user can do about it where the disk is full,
// nil where it is not.
func mend(dir string, err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, full) || strings.Contains(err.Error(), full.Error()) {
			return owned.Mend(filepath.Dir(dir), full)
		}
	}
	return nil
}

// make fills the directory of s.
func (s *Sandbox) make(ctx context.Context, c *Config) error {
	vars, err := c.variables(ctx, s.toolchain)
	if err != nil {
		return err
	}
	s.manifest = Manifest{
		Format: manifestFormat, Gox: gox(), Variables: vars, Dir: path.Clean("/" + c.WorkDir)[1:],
		Go:   GoVersion{Version: s.toolchain.Version, OS: runtime.GOOS, Arch: runtime.GOARCH, Sum: s.toolchain.h1},
		Main: []Main{}, Modules: []Module{},
	}
	s.variables = vars
	if c.Profile != nil {
		s.manifest.Profile = c.Profile.Name
		// The gateway is a process beside a run of gox's; inside there is none.
		for _, v := range c.Profile.Relayed() {
			c.log("%s: it does nothing in a sandbox, where there is no gateway", v.Origin())
		}
	}
	if err := s.furnish(); err != nil {
		return err
	}
	if err := s.defaults(ctx); err != nil {
		return err
	}
	if filepath.IsAbs(c.Go) {
		if err := os.WriteFile(filepath.Join(s.dir, gorootFile), []byte(c.Go), 0o644); err != nil {
			return err
		}
	}
	s.index = &index{}
	if err := s.fill(ctx, c); err != nil {
		return err
	}
	if err := s.assemble(ctx, c); err != nil {
		return err
	}
	if err := s.modules(ctx, c.moduleCaches(s.cache)); err != nil {
		return err
	}
	if s.manifest.Go.CC, err = s.compiler(ctx); err != nil {
		return err
	}
	return s.note(ctx)
}

// furnish makes what is in a sandbox besides the workspace.
func (s *Sandbox) furnish() error {
	for _, dir := range []string{treeDir, "home", "tmp", "gopath", "mod"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(s.build, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "home", ".gitconfig"), nil, 0o644); err != nil {
		return err
	}
	// Telemetry would count, and since go1.23 start a process that goes on writing
	// into HOME after its go has ended. Its mode stands in a file.
	for _, config := range []string{".config", "Library/Application Support"} { // os.UserConfigDir
		dir := filepath.Join(s.dir, "home", config, "go", "telemetry")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "mode"), []byte("off"), 0o644); err != nil {
			return err
		}
		if runtime.GOOS != "darwin" {
			break
		}
	}
	// go looks for a go.mod as far as the root of the file system.
	return os.WriteFile(filepath.Join(s.dir, guardFile), []byte("module sandbox.invalid\n\ngo 1.18\n"), 0o644)
}

// compiler returns the C compiler and the hash of its file where cgo is on.
func (s *Sandbox) compiler(ctx context.Context) (string, error) {
	env := s.Environ("")
	if envvar.Get(env, "CGO_ENABLED") != "1" {
		return "", nil
	}
	out, err := s.output(ctx, s.Tree(), env, "env", "CC")
	if err != nil {
		return "", err
	}
	name := strings.TrimSpace(string(out))
	program, _, _ := strings.Cut(name, " ")
	file, err := s.lookup(program, s.Tree(), env)
	if err != nil {
		return "", fmt.Errorf("CGO_ENABLED=1, and the C compiler %s: %w", name, err)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s sha256:%x", name, h.Sum(nil)), nil
}

// note writes down what the workspace is, and keeps it as it is now.
func (s *Sandbox) note(ctx context.Context) error {
	list, tree, err := sums(s.Tree(), nil, s.index)
	if err = cmp.Or(ctx.Err(), err); err != nil {
		return err
	}
	s.manifest.Tree = tree
	if err := os.WriteFile(filepath.Join(s.dir, sumsFile), list, 0o644); err != nil {
		return err
	}
	if err := s.keepOrigin(list); err != nil {
		return err
	}
	s.index = nil // from now on others write, too
	return s.manifest.write(s.dir)
}

// quietly runs go with args in dir; what it prints is in the error.
func (s *Sandbox) quietly(ctx context.Context, dir string, env []string, args ...string) error {
	_, err := s.output(ctx, dir, env, args...)
	return err
}

// output runs go with args in dir and returns its standard output.
func (s *Sandbox) output(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	var out, errs bytes.Buffer
	code, err := s.run(ctx, s.net.fetching(), gocmd.Cmd{Path: s.toolchain.Path, Args: args, Dir: dir, Env: env, Stdout: &out, Stderr: &errs})
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && code != 0 {
		err = &ExitError{Args: args, Code: code, Stderr: redact.Text(errs.String())}
	}
	return out.Bytes(), err
}
