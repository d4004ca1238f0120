// Package inside is the helper between confine.Run and the command that it
// confines: the same program, started once more in new namespaces. It is a
// package of its own because it is a part of every such command's start, and
// needs nothing of what serves the door on the other side.
package inside

// Name is what the program is started as to be the helper: then it must call
// Main before anything else, and exit with what Main returns.
const Name = "gox-confine"
