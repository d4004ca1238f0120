//go:build gox_launcher

package main

import (
	"os"

	_ "example.com/gox/cmd/gox/prelude"
	"example.com/gox/cmd/gox/zone"
	"example.com/gox/internal/wrap"
)

// A release is two programs in one directory, made by .ci/release: this one,
// which holds the wrapped run alone and so starts sooner, and gox-verbs, which
// is all of gox.
func main() {
	zone.Restore()
	p := wrap.System()
	_, code, done := wrap.Main(p)
	if !done {
		code = p.Become("gox-verbs")
	}
	os.Exit(code)
}
