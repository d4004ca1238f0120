// Package helper makes gox the helper of sandboxes when it is started as one,
// before anything else that gox links is initialised: each command inside waits
// for it. For the order see package early; so that its turn is the first, it
// needs next to nothing.
package helper

import (
	"os"

	"example.com/gox/internal/inside"
)

func init() {
	if os.Args[0] == inside.Name {
		os.Exit(inside.Main(os.Args, os.Environ()))
	}
}
