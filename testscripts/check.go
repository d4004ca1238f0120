package testscripts

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A checker reads the commands of a script, and its header.
type checker struct {
	script *Script
	errs   []error
	line   int // from 1

	noServed bool // the header says why nothing is served
}

func (c *checker) errorf(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s:%d: %w", c.script.File, c.line, fmt.Errorf(format, args...)))
}

// assertions are the commands that can tell one outcome from another.
var assertions = []string{"cmp", "cmpenv", "exec", "exists", "exit", "grep", "requests", "served", "stderr", "stdout"}

func (c *checker) check(lines []string) {
	rest := c.header(lines)
	asked := map[string]bool{} // "holds:ID" and "!holds:ID", in an assertion
	controls, inControl := 0, false
	last := ""
	comment := false // the line before was one
	for i, text := range lines[rest:] {
		c.line = rest + i + 1
		if strings.HasPrefix(text, "#") {
			if strings.HasPrefix(text, "# control: ") {
				if inControl {
					c.errorf("the control before asserts nothing")
				}
				inControl = true
				controls++
			} else if !comment && inControl {
				c.errorf("the control before asserts nothing")
				inControl = false
			}
			comment = true
			continue
		}
		comment = false
		cmd, conds := c.command(text)
		if cmd == "" || !slices.Contains(assertions, cmd) {
			continue
		}
		inControl = false
		last = cmd
		for _, cond := range conds {
			asked[cond] = true
		}
	}
	c.line = len(lines)
	if c.script.own {
		c.checkOwn(last, asked)
		return
	}
	if controls == 0 {
		c.errorf(`no phase that begins with "# control: …" and shows the other outcome`)
	}
	if inControl {
		c.errorf("the control asserts nothing")
	}
	for _, claim := range c.script.Claims {
		for _, cond := range []string{"holds:" + claim.ID, "!holds:" + claim.ID} {
			if !asked[cond] {
				c.errorf("no assertion under [%s]: the script must say what is seen in either case", cond)
			}
		}
	}
	switch about := last == "served" || last == "requests"; {
	case about && c.noServed:
		c.errorf(`the last assertion is %s: remove "# served: not applicable"`, last)
	case !about && !c.noServed:
		c.errorf(`the last assertion is %q, not served or requests: say what was served, or why nothing is: "# served: not applicable (reason)"`, last)
	}
}

// checkOwn looks for what the user's script lacks. last is its last assertion,
// asked are the claims that some assertion is about.
func (c *checker) checkOwn(last string, asked map[string]bool) {
	if last == "" {
		c.errorf("nothing is asserted, so that it cannot fail\n\tend it with what must be so, as in: served example.com/dep@v1.0.0 A")
	}
	for _, claim := range c.script.Claims {
		if claim.Holds.text == "all" {
			continue
		}
		for _, cond := range []string{"holds:" + claim.ID, "!holds:" + claim.ID} {
			if asked[cond] {
				continue
			}
			short := cond
			if len(c.script.Claims) == 1 {
				short, _, _ = strings.Cut(cond, ":")
			}
			c.errorf("%s holds for %s, but no assertion stands under [%s]\n\tadd one, as in: [%[3]s] exec go list ./...", claim.ID, claim.Holds, short)
		}
	}
}

// command returns the command on a line and its conditions, [holds] being
// [holds:ID].
func (c *checker) command(text string) (cmd string, conds []string) {
	fields := strings.Fields(text)
	for len(fields) > 0 && strings.HasPrefix(fields[0], "[") {
		cond := strings.Trim(fields[0], "[]")
		fields = fields[1:]
		not := ""
		if rest, ok := strings.CutPrefix(cond, "!"); ok {
			not, cond = "!", rest
		}
		cond = c.script.canonical(cond)
		if err := c.script.checkCondition(cond); err != nil {
			c.errorf("[%s]: %w", cond, err)
		}
		conds = append(conds, not+cond)
	}
	if len(fields) > 0 && fields[0] == "!" {
		fields = fields[1:]
	}
	if len(fields) == 0 {
		return "", nil
	}
	return fields[0], conds
}

// canonical turns [holds] and [na] of a script with one claim into the form
// with an id.
func (s *Script) canonical(cond string) string {
	if (cond == "holds" || cond == "na") && len(s.Claims) == 1 {
		return cond + ":" + s.Claims[0].ID
	}
	return cond
}

// conditions are those of testscript that depend neither on the program that
// runs the script nor on its environment.
var conditions = []string{"unix", "linux", "darwin", "windows", "freebsd", "openbsd", "netbsd", "amd64", "arm64", "386", "symlink", "link"}

func (s *Script) checkCondition(cond string) error {
	kind, arg, _ := strings.Cut(cond, ":")
	switch kind {
	case "holds", "na":
		if s.claim(arg) == nil {
			return fmt.Errorf("no claim %q in the header", arg)
		}
	case "go":
		if _, err := ParseVersions("go" + arg + ".."); err != nil {
			return err
		}
	case "exec":
	default:
		if strings.HasPrefix(cond, "go1") {
			return fmt.Errorf("this is about the go that built the engine\n\tuse [go:%s]", cond[len("go"):])
		}
		if !slices.Contains(conditions, cond) {
			return errors.New("unknown condition")
		}
	}
	return nil
}
