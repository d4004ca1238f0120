//go:build !unix

package profiles

// foreignOwner returns -1: here files have no owner that os.Stat could tell.
func foreignOwner(string, int) int { return -1 }
