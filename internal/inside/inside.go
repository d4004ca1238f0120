// Package inside is the helper between confine.Run and the command that it
// confines: the same program, started once more in new namespaces. It is a
// package of its own because it is a part of every such command's start, and
// needs nothing of what serves the door on the other side. What it needs is
// initialised before it, and so it does with errors, strconv and syscall (strings
// would wait for unicode): see cmd/gox/helper.
package inside

import (
	"strconv"
	"syscall"
)

// Name is what the program is started as to be the helper: then it must call
// Main before anything else, and exit with what Main returns.
const Name = "gox-confine"

// DoorAddr is where the door is in the command's network. Nothing else wants
// port 1, and a constant is the same in every run.
const DoorAddr = "127.0.0.1:1"

// A Task is what the helper is told.
type Task struct {
	Net      bool     // a network of its own
	Door     bool     // and the door into it
	Umask    int      // the command's; 0 is that of the helper
	Listen   []string // further addresses for Run to serve: IPv4:PORT, or [::1]:PORT
	ReadOnly []string // directories
	Path     string   // the command
	Args     []string // what it is told, beginning with its name
}

// Words returns t as the arguments of the helper, without its name.
func (t Task) Words() []string {
	words := []string{strconv.FormatBool(t.Net), strconv.FormatBool(t.Door), strconv.Itoa(t.Umask), t.Path}
	for _, list := range [][]string{t.Listen, t.ReadOnly, t.Args} {
		words = append(append(words, strconv.Itoa(len(list))), list...)
	}
	return words
}

// parseTask undoes Words.
func parseTask(words []string) (t Task, ok bool) {
	if len(words) < 4 {
		return t, false
	}
	umask, err := strconv.Atoi(words[2])
	t = Task{Net: words[0] == "true", Door: words[1] == "true", Umask: umask, Path: words[3]}
	words = words[4:]
	for _, list := range []*[]string{&t.Listen, &t.ReadOnly, &t.Args} {
		if len(words) == 0 {
			return t, false
		}
		n, nerr := strconv.Atoi(words[0])
		if nerr != nil || n < 0 || n > len(words)-1 {
			return t, false
		}
		*list, words = words[1:1+n:1+n], words[1+n:]
	}
	return t, err == nil && len(words) == 0 && len(t.Args) > 0
}

// A Report is what the helper tells of itself, with its listeners: the door
// and then those of Task.Listen that it could make. There is another one if the
// command could not be started.
type Report struct {
	Failure string // why the policy cannot be enforced
	Listens []string
	Start   syscall.Errno // why the command could not be started
}

// marshal returns r as one message: a line each.
func (r Report) marshal() []byte {
	text := r.Failure + "\n" + strconv.Itoa(int(r.Start))
	for _, at := range r.Listens {
		text += "\n" + at
	}
	return []byte(text)
}

// ParseReport reads what the helper has sent.
func ParseReport(data []byte) (Report, bool) {
	lines := split(string(data), '\n')
	if len(lines) < 2 {
		return Report{}, false
	}
	errno, err := strconv.Atoi(lines[1])
	return Report{Failure: lines[0], Listens: lines[2:], Start: syscall.Errno(errno)}, err == nil
}

// split is strings.Split.
func split(text string, sep byte) (parts []string) {
	begin := 0
	for i := range len(text) {
		if text[i] == sep {
			parts, begin = append(parts, text[begin:i]), i+1
		}
	}
	return append(parts, text[begin:])
}
