// Package envvar looks into an environment that is not the process's own, or
// not yet: a list of NAME=VALUE as os.Environ gives it.
package envvar

import (
	"runtime"
	"slices"
	"strings"
)

// Lookup returns the value of name, and whether it is set at all. Of a name that
// stands twice the last one counts, as it does for os/exec.
func Lookup(environ []string, name string) (value string, ok bool) {
	for _, entry := range slices.Backward(environ) {
		if n, value, ok := strings.Cut(entry, "="); ok && Same(n, name) {
			return value, true
		}
	}
	return "", false
}

// Get returns the value of name, "" where it is not set.
func Get(environ []string, name string) string {
	value, _ := Lookup(environ, name)
	return value
}

// Same reports whether two names are of one variable. On Windows case does not
// count.
func Same(a, b string) bool {
	return a == b || runtime.GOOS == "windows" && strings.EqualFold(a, b)
}
