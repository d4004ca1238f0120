package testscripts

import (
	"bufio"
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

func (s *Script) claim(id string) *Claim {
	i := slices.IndexFunc(s.Claims, func(c Claim) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	return &s.Claims[i]
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
