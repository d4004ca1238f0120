//go:build !gox_launcher

// Command gox puts one word in front of go: it runs a go command under a named
// profile, in a module cache of its own. See the README, or gox --help.
package main

import (
	"os"

	"example.com/gox/cmd"
	_ "example.com/gox/cmd/gox/early"
	_ "example.com/gox/cmd/gox/helper"
)

func main() { os.Exit(cmd.Main(cmd.System())) }
