// Package testscripts proves claims about where go takes modules from, by
// running scripts against any go command from 1.18 on.
//
// Each script runs in an environment of its own, which nothing enters from
// outside and which no request leaves: module proxies, checksum databases and
// git servers that the script describes answer on the loopback interface, an
// HTTP proxy leads every host name to them or to nowhere, and all that go asks
// is recorded. How a script is written is said in README.md.
//
//	scripts, err := testscripts.All()
//	…
//	r := testscripts.Runner{Go: "/usr/local/go/bin/go", GOCACHE: cache, Environ: environ}
//	result := r.Run(ctx, scripts[0])
package testscripts

import (
	"embed"
	"errors"
	"io"
	"io/fs"
	"log"
)

//go:embed */*.txtar
var embedded embed.FS

// Embedded returns the scripts that gox ships: one folder for each topic.
func Embedded() fs.FS { return embedded }

// All loads the scripts that gox ships, by topic and name. The error joins
// those of all scripts that are wrong; the others are returned all the same.
func All() ([]*Script, error) {
	names, err := fs.Glob(embedded, "*/*.txtar")
	errs := []error{err}
	var all []*Script
	for _, name := range names {
		s, err := Load(embedded, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, s)
	}
	return all, errors.Join(errs...)
}

// discardLog is for servers whose faults are on purpose.
func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }
