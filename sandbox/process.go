package sandbox

import (
	"errors"
	"os"
	"path/filepath"

	"example.com/gox/internal/envvar"
)

// This file is where the process's own environment is read: a zero Config
// means it, and those who use the package have no gox above them to hand it in.

func (c *Config) environ() []string {
	if c.Environ != nil {
		return c.Environ
	}
	return os.Environ()
}

// getenv returns the value of a variable of the host, "" where it is not set.
func (c *Config) getenv(name string) string { return envvar.Get(c.environ(), name) }

// cache returns gox's cache directory.
func (c *Config) cache() (string, error) {
	if c.Cache != "" {
		return filepath.Clean(c.Cache), nil
	}
	if dir := c.getenv("GOX_CACHE"); filepath.IsAbs(dir) {
		return filepath.Clean(dir), nil
	}
	if dir, err := os.UserCacheDir(); err == nil && filepath.IsAbs(dir) {
		return filepath.Join(dir, "gox"), nil
	}
	return "", errors.New("no cache directory is known\n\tset HOME, XDG_CACHE_HOME or GOX_CACHE")
}
