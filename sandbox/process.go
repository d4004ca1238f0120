package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
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
func (c *Config) getenv(name string) string {
	for _, entry := range slices.Backward(c.environ()) {
		if n, value, _ := strings.Cut(entry, "="); n == name || runtime.GOOS == "windows" && strings.EqualFold(n, name) {
			return value
		}
	}
	return ""
}

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
