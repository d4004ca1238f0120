// Package early runs a wrapped go command before the packages that only gox's
// verbs need are initialised.
//
// A Go program initialises its packages in the order of their import paths,
// each as soon as those that it imports are ready ("Program initialization" in
// the language's specification, since Go 1.21). This one needs little, and so
// its turn comes before that of net/http, crypto/tls and urfave/cli, whose
// tables would cost a wrapped run half a millisecond. A run that is for a verb,
// or that needs those packages, goes on to main, which begins again.
package early

import (
	"os"

	_ "example.com/gox/cmd/gox/prelude"
	"example.com/gox/cmd/gox/zone"
	"example.com/gox/internal/wrap"
)

func init() {
	zone.Restore()
	if _, code, done := wrap.Main(wrap.System()); done {
		os.Exit(code)
	}
}
