// Package prelude makes the initialisation of other packages, and the run that
// follows, cheaper. It needs time alone, and so is initialised before them: see
// package early for the order. Together it takes a tenth off what gox adds to
// go; nothing but that depends on it.
package prelude

import "time"

// local is the process's own time zone, until Restore.
var local = time.Local

func init() {
	// The TOML library asks for the local zone when it is initialised, for dates
	// that name none, which no file of gox's has. To find it, go reads
	// /etc/localtime.
	time.Local = time.UTC
	grow(0)
}

// Restore gives the process its own time zone.
func Restore() { time.Local = local }

// grow makes the goroutine's stack large enough for a wrapped run, now, where
// it holds next to nothing. It would double three times on the way, and each
// time every frame on it is looked up and moved.
//
//go:noinline
func grow(n int) byte {
	if n == 0 {
		return 0 // the frame is what counts
	}
	var frame [14 << 10]byte
	fill(frame[:])
	return frame[n]
}

//go:noinline
func fill(b []byte) {
	for i := range b {
		b[i] = byte(i)
	}
}
