// Package zone keeps the local time zone unread while packages are initialised.
//
// The TOML library asks for it then, for dates that name no zone of their own,
// which no file of gox's has; and to find it, go reads /etc/localtime, for a
// twentieth of what gox adds to go. This package comes before the library: it
// needs time alone, and see package early.
package zone

import "time"

// local is the process's own time zone, until Restore.
var local = time.Local

func init() { time.Local = time.UTC }

// Restore gives the process its own time zone.
func Restore() { time.Local = local }
