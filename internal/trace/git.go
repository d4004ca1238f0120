package trace

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"example.com/gox/internal/redact"
)

// GitVariable is the variable by which git, since 2.22, writes what it does to
// a file, as JSON: Documentation/technical/api-trace2.
const GitVariable = "GIT_TRACE2_EVENT"

// GitNames is the variable that names others whose values git writes down as
// well, and GitDirectories its value: go says there where git works.
const (
	GitNames       = "GIT_TRACE2_ENV_VARS"
	GitDirectories = "GIT_DIR,PWD"
)

// A Git is one command of git's that go ran.
type Git struct {
	Time       time.Time `json:"time"`
	Args       []string  `json:"args"` // redacted
	Repository string    `json:"repository,omitempty"`
	Millis     float64   `json:"millis"`
	ExitCode   int       `json:"exitCode"` // -1 where it did not end by itself
}

// ReadGit adds what git wrote to the file. Repositories that go keeps below
// GOMODCACHE are named by the address that go notes beside them.
func (r *Report) ReadGit(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	commands := map[string]*Git{}
	var order []*Git
	for line := range bytes.Lines(data) {
		var e struct {
			Event, SID, Param, Value string
			Time                     time.Time
			Argv                     []string
			TAbs                     float64 `json:"t_abs"`
			Code                     int
		}
		// Other commands of git's that git itself runs have a "/" in their id.
		if json.Unmarshal(line, &e) != nil || strings.Contains(e.SID, "/") {
			continue
		}
		c := commands[e.SID]
		switch {
		case e.Event == "start" && c == nil:
			c = &Git{Time: e.Time, ExitCode: -1}
			for _, arg := range e.Argv {
				c.Args = append(c.Args, redact.Text(arg))
			}
			commands[e.SID] = c
			order = append(order, c)
		case c == nil:
		case e.Event == "def_param" && (e.Param == "PWD" && c.Repository == "" || e.Param == "GIT_DIR"):
			if address := repository(e.Value); address != "" {
				c.Repository = address
			}
		case e.Event == "exit":
			c.ExitCode, c.Millis = e.Code, e.TAbs*1000
		}
	}
	slices.SortStableFunc(order, func(a, b *Git) int { return a.Time.Compare(b.Time) })
	for _, c := range order {
		if c.Repository == "" {
			for _, arg := range c.Args {
				if strings.Contains(arg, "://") {
					c.Repository = arg
				}
			}
		}
		r.Git = append(r.Git, *c)
	}
	return nil
}

// repository returns the address of the repository in a directory of
// GOMODCACHE/cache/vcs, where go notes it in DIR.info as "git3:ADDRESS", and ""
// for any other directory.
func repository(dir string) string {
	if dir == "" {
		return ""
	}
	data, err := os.ReadFile(filepath.Clean(dir) + ".info")
	if err != nil {
		return ""
	}
	_, address, _ := strings.Cut(strings.TrimSpace(string(data)), ":")
	return redact.Text(address)
}

// Remote reports whether the command asks the repository, and does not only
// look at the copy that is here.
func (g *Git) Remote() bool {
	return slices.ContainsFunc(g.Args, func(arg string) bool {
		return arg == "fetch" || arg == "ls-remote" || arg == "clone"
	})
}
