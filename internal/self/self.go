// Package self tells a copy of gox from every other program.
package self

import (
	"debug/buildinfo"
	"strings"
)

// modulePath is gox's own.
const modulePath = "example.com/gox"

// IsGox reports whether the program at file, which is no link, was built from
// gox's module, of whatever version: it reads the build information that go
// puts into a program.
func IsGox(file string) bool {
	info, err := buildinfo.ReadFile(file)
	return err == nil && (info.Main.Path == modulePath || strings.HasPrefix(info.Path, modulePath+"/"))
}
