package testscripts

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/mod/module"
)

// A Script is one txtar file: claims about go, the commands that prove them,
// and the files that these need.
type Script struct {
	Name   string // without folder and suffix
	Topic  string // the name of the folder, "" where there is none
	File   string // as given to Load
	Claims []Claim
	Text   string // the whole file

	own     bool           // the user's
	archive *txtar.Archive // without the servers' folders
	proxies map[string]*depot
	repos   []*repo
}

// A Claim is one statement about go, with the versions of go that it is true
// for.
type Claim struct {
	ID        string
	Says      string
	Holds     Versions
	NA        Versions // where the statement has no meaning
	Reason    string   // why, where NA is not empty
	Reference string   // where go says so

	lie string // a version for which Verdict answers the contrary
}

// A Verdict says what a claim is worth on one version of go.
type Verdict string

const (
	Holds         Verdict = "holds"
	Refuted       Verdict = "refuted"
	NotApplicable Verdict = "n/a"
)

// Verdict returns the verdict that the header gives for the version goVersion,
// as in "go1.22.12".
func (c Claim) Verdict(goVersion string) Verdict {
	switch {
	case c.NA.Contain(goVersion):
		return NotApplicable
	case c.Holds.Contain(goVersion) != (c.lie != "" && compare(goVersion, c.lie) == 0):
		return Holds
	}
	return Refuted
}

// lie returns a copy of s whose header gives the contrary for one claim on one
// version. A script that passes all the same proves nothing.
func (s *Script) lie(id, goVersion string) *Script {
	liar := *s
	liar.Claims = slices.Clone(s.Claims)
	for i := range liar.Claims {
		if liar.Claims[i].ID == id {
			liar.Claims[i].lie = goVersion
		}
	}
	return &liar
}

// Load reads the script name from fsys. The error, which may join several,
// names each fault with its line.
func Load(fsys fs.FS, name string) (*Script, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	return parse(name, data, false)
}

// LoadOwn reads a script of the user's from the file at path, which is absolute. It must assert
// something, and what it claims only for some versions it must tell apart from
// the others; all else that Load insists on may be left out. A file without a
// header makes one claim, which is called like the file, says what the comment
// at its top says, and holds for all versions.
//
// The script's File is shown: path as the user knows it. Its Topic is the name
// of its folder.
func LoadOwn(path, shown string) (*Script, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := parse(filepath.ToSlash(shown), data, true)
	if s != nil && s.Topic == "" {
		s.Topic = filepath.Base(filepath.Dir(path))
	}
	return s, err
}

// WantsRepo reports whether the script is the user's own and speaks of $REPO,
// which Runner.Repo gives it.
func (s *Script) WantsRepo() bool {
	return s.own && (strings.Contains(s.Text, "$REPO") || strings.Contains(s.Text, "${REPO"))
}

// parse reads a script; own is whether it is the user's.
func parse(name string, data []byte, own bool) (*Script, error) {
	n := 0
	for line := range strings.Lines(string(data)) {
		// txtar of go-internal v1.16.0 panics at it.
		if n++; strings.TrimSpace(line) == "-- --" {
			return nil, fmt.Errorf("%s:%d: a file without a name", name, n)
		}
	}
	archive := txtar.Parse(data)
	s := &Script{
		Name:    strings.TrimSuffix(path.Base(name), path.Ext(name)),
		File:    name,
		Text:    string(data),
		own:     own,
		archive: &txtar.Archive{Comment: archive.Comment},
		proxies: map[string]*depot{},
	}
	if dir := path.Dir(name); dir != "." {
		s.Topic = path.Base(dir)
	}
	c := checker{script: s}
	c.check(strings.Split(string(archive.Comment), "\n"))
	for _, f := range archive.Files {
		var err error
		switch top, rest, _ := strings.Cut(f.Name, "/"); top {
		case "proxy":
			err = s.addToProxy(rest, f.Data)
		case "vcs":
			err = s.addToRepo(rest, f.Data)
		default:
			s.archive.Files = append(s.archive.Files, f)
		}
		if err != nil {
			c.errs = append(c.errs, fmt.Errorf("%s: %s: %w", name, f.Name, err))
		}
	}
	return s, errors.Join(c.errs...)
}

// addToProxy puts a file into the depots of some proxies. Its name is
// NAME[,NAME…]/module@version/file, or NAME[,NAME…]/module/@v/list and the like
// for what is to be served as it is.
func (s *Script) addToProxy(name string, data []byte) error {
	names, rest, _ := strings.Cut(name, "/")
	mod, file, err := splitModule(rest)
	if err == nil && mod.Version != "" {
		err = module.CheckPath(mod.Path)
	}
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(names, ",") {
		if s.proxies[name] == nil {
			s.proxies[name] = newDepot()
		}
		if mod.Version == "" {
			s.proxies[name].static["/"+rest] = data
			continue
		}
		s.proxies[name].add(mod, file, data)
	}
	return nil
}

// splitModule splits module@version/file. The version is "" where name is that
// of a file below @v, or of @latest.
func splitModule(name string) (mod module.Version, file string, err error) {
	segments := strings.Split(name, "/")
	for i, seg := range segments {
		if strings.HasPrefix(seg, "@") {
			return module.Version{}, name, nil
		}
		last, version, ok := strings.Cut(seg, "@")
		if !ok {
			continue
		}
		mod.Path = path.Join(path.Join(segments[:i]...), last)
		mod.Version = strings.ReplaceAll(version, "GOOS-GOARCH", runtime.GOOS+"-"+runtime.GOARCH)
		if file = path.Join(segments[i+1:]...); file != "" && mod.Version != "" {
			return mod, file, nil
		}
	}
	return mod, "", errors.New("not of the form module@version/file")
}

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

func (s *Script) claim(id string) *Claim {
	i := slices.IndexFunc(s.Claims, func(c Claim) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	return &s.Claims[i]
}

// header reads the comment lines at the head of the file and returns how many
// there are.
func (c *checker) header(lines []string) int {
	s := c.script
	type field struct {
		line       int
		key, value string
	}
	var fields []field
	var text []string // of an own script, what is not "# key: value"
	n := 0
	for ; n < len(lines) && strings.HasPrefix(lines[n], "#"); n++ {
		c.line = n + 1
		line := lines[n][1:]
		switch {
		case strings.TrimSpace(line) == "":
			continue
		case strings.HasPrefix(line, "  ") && len(fields) > 0:
			fields[len(fields)-1].value += " " + strings.TrimSpace(line)
			continue
		}
		key, value, ok := strings.Cut(line, ": ")
		if c.script.own && !(ok && slices.Contains(headerKeys, strings.TrimPrefix(key, " "))) {
			text = append(text, strings.TrimSpace(line))
			continue
		}
		if !ok || !strings.HasPrefix(key, " ") {
			c.errorf("%q: a header line is \"# key: value\", and goes on with \"#   more\"", lines[n])
			continue
		}
		fields = append(fields, field{n + 1, key[1:], strings.TrimSpace(value)})
	}
	if c.script.own && !slices.ContainsFunc(fields, func(f field) bool { return f.key == "claim" }) {
		fields = slices.Insert(fields, 0, field{1, "claim", claimID(s.Name)})
	}
	// A file with several claims may give one reference for all.
	shared := ""
	for _, f := range fields {
		c.line = f.line
		if f.value == "" {
			c.errorf("%s: empty", f.key)
		}
		switch f.key {
		case "claim":
			if !validID(f.value) {
				c.errorf("claim: %q: an id is lower-case words with dashes", f.value)
			}
			if s.claim(f.value) != nil {
				c.errorf("claim: %s stands here twice", f.value)
			}
			s.Claims = append(s.Claims, Claim{ID: f.value})
			continue
		case "served":
			if !strings.HasPrefix(f.value, "not applicable (") || !strings.HasSuffix(f.value, ")") {
				c.errorf(`served: %q: not of the form "not applicable (reason)"`, f.value)
			}
			c.noServed = true
			continue
		}
		if len(s.Claims) == 0 {
			c.errorf("%s: before the first claim", f.key)
			continue
		}
		claim := &s.Claims[len(s.Claims)-1]
		var to *string
		var err error
		switch f.key {
		case "says":
			to = &claim.Says
		case "reference":
			to, shared = &claim.Reference, f.value
		case "holds":
			if claim.Holds.text != "" {
				err = errors.New("given twice")
			} else {
				claim.Holds, err = ParseVersions(f.value)
			}
		case "n/a":
			versions, reason, ok := strings.Cut(f.value, " (")
			to = &claim.Reason
			if claim.NA, err = ParseVersions(versions); err == nil && (!ok || !strings.HasSuffix(reason, ")") || claim.NA.Empty()) {
				err = errors.New(`not of the form "..go1.20 (reason)"`)
			}
			f.value = strings.TrimSuffix(reason, ")")
		default:
			err = errors.New("unknown key")
		}
		if to != nil {
			if *to != "" {
				err = errors.New("given twice")
			}
			*to = f.value
		}
		if err != nil {
			c.errorf("%s: %w", f.key, err)
		}
	}
	c.line = 1
	if len(s.Claims) == 0 {
		c.errorf(`no claim: the file begins with "# claim: some-id"`)
	}
	for i := range s.Claims {
		claim := &s.Claims[i]
		if claim.Reference == "" {
			claim.Reference = shared
		}
		if c.script.own {
			if claim.Says == "" {
				claim.Says = cmp.Or(strings.Join(text, " "), s.Name)
			}
			if claim.Holds.text == "" {
				claim.Holds, _ = ParseVersions("all")
			}
			continue
		}
		for _, f := range []struct{ key, value string }{{"says", claim.Says}, {"holds", claim.Holds.text}, {"reference", claim.Reference}} {
			if f.value == "" {
				c.errorf("claim %s: no %s", claim.ID, f.key)
			}
		}
	}
	return n
}

// headerKeys are those of the header.
var headerKeys = []string{"claim", "says", "holds", "n/a", "reference", "served"}

// claimID makes an id of the name of a file.
func claimID(name string) string {
	return strings.Map(func(r rune) rune {
		if validID(string(r)) {
			return r
		}
		return '-'
	}, strings.ToLower(name))
}

func validID(id string) bool {
	return id != "" && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// commands returns the script for testscript. What asks whether a claim holds
// does not run where the claim is not applicable.
func (s *Script) commands() []byte {
	var b strings.Builder
	lines := bufio.NewScanner(strings.NewReader(string(s.archive.Comment)))
	lines.Buffer(nil, len(s.archive.Comment)+1)
	for lines.Scan() {
		line := lines.Text()
		for field := range strings.FieldsSeq(line) {
			if !strings.HasPrefix(field, "[") {
				break
			}
			cond := s.canonical(strings.TrimPrefix(strings.Trim(field, "[]"), "!"))
			if id, ok := strings.CutPrefix(cond, "holds:"); ok && !s.claim(id).NA.Empty() {
				line = "[!na:" + id + "] " + line
				break
			}
		}
		b.WriteString(line + "\n")
	}
	return txtar.Format(&txtar.Archive{Comment: []byte(b.String()), Files: s.archive.Files})
}

// environNames returns the names of the variables that the script may set.
func (s *Script) environNames() []string {
	var names []string
	for line := range strings.Lines(string(s.archive.Comment)) {
		_, after, ok := strings.Cut(" "+line, " env ")
		if !ok {
			continue
		}
		for field := range strings.FieldsSeq(after) {
			if name, _, ok := strings.Cut(strings.TrimPrefix(field, "'"), "="); ok {
				names = append(names, name)
			}
		}
	}
	return names
}

// number is strconv.Atoi for counts.
func number(s string) (n int, ok bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0
}
