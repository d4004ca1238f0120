//go:build unix

package sandbox

import (
	"os"
	"path/filepath"
	"syscall"
)

// linked reports whether a sandbox has a link to the origin at dir.
func linked(dir string) bool {
	fi, err := os.Lstat(filepath.Join(dir, originUsed))
	if err != nil {
		return false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return !ok || st.Nlink > 1
}
