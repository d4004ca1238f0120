//go:build !linux

package owned

// Spread asks the file system to keep apart on disk what stands in the
// directory dir. Here it does nothing.
func Spread(dir string) {}
