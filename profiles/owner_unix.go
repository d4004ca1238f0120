//go:build unix

package profiles

import (
	"os"
	"path/filepath"
	"syscall"
)

// foreignOwner returns the user whom the file, or the directory that it
// stands in, belongs to, where that is neither uid nor root; else -1. Whoever
// owns the directory can put another file in the place of this one. Of a
// symbolic link, the same goes for the link and for what it leads to.
func foreignOwner(path string, uid int) int {
	if uid < 0 {
		return -1
	}
	places := []string{path, filepath.Dir(path)}
	if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
		places = append(places, real, filepath.Dir(real))
	}
	for _, place := range places {
		info, err := os.Lstat(place)
		if err != nil {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != uid {
			return int(stat.Uid)
		}
	}
	return -1
}
