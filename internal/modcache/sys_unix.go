//go:build unix

package modcache

import (
	"io/fs"
	"syscall"
)

// fileID identifies a file that has more than one name.
type fileID struct{ dev, ino uint64 }

// linked returns the identity of fi's file if it has several hard links.
func linked(fi fs.FileInfo) (fileID, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || st.Nlink < 2 {
		return fileID{}, false
	}
	return fileID{uint64(st.Dev), uint64(st.Ino)}, true
}
