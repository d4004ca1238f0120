package testscripts

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/gox/profiles"
)

// Choose returns the scripts that args name: topics, claims and files that gox
// ships, and the user's own files and folders of them, seen from dir. All that
// gox ships where there are none. The error joins what is wrong with each.
func Choose(dir string, args []string) ([]*Script, error) {
	shipped, err := All()
	if err != nil || len(args) == 0 {
		return shipped, err
	}
	absolute := func(name string) string {
		if filepath.IsAbs(name) {
			return filepath.Clean(name)
		}
		return filepath.Join(dir, name)
	}
	var chosen []*Script
	var errs []error
	loaded := map[string]bool{} // the user's own, by path
	own := func(shown string) {
		path := absolute(shown)
		if loaded[path] {
			return
		}
		loaded[path] = true
		s, err := LoadOwn(path, shown)
		if err != nil {
			errs = append(errs, err)
			return
		}
		chosen = append(chosen, s)
	}
	for _, arg := range args {
		matches := ofShipped(shipped, arg)
		info, statErr := os.Stat(absolute(arg))
		// A word is a topic or a claim before it is a folder: ./vendor is the folder.
		isPath := statErr == nil && (matches == nil || strings.ContainsAny(arg, `/\`) || filepath.Ext(arg) == ".txtar")
		switch {
		case isPath && info.IsDir():
			files, err := txtarFiles(arg, absolute(arg))
			if err == nil && len(files) == 0 {
				err = fmt.Errorf("script: %s: no .txtar file in this folder", arg)
			}
			if err != nil {
				errs = append(errs, err)
			}
			for _, name := range files {
				own(name)
			}
		case isPath:
			own(arg)
		case matches != nil:
			for _, s := range matches {
				if !slices.Contains(chosen, s) {
					chosen = append(chosen, s)
				}
			}
		default:
			errs = append(errs, unknownScript(shipped, arg))
		}
	}
	return chosen, errors.Join(errs...)
}

// ofShipped returns the scripts that a topic, a claim or a file's name means.
func ofShipped(shipped []*Script, arg string) []*Script {
	name := strings.TrimSuffix(filepath.ToSlash(arg), ".txtar") + ".txtar"
	var matches []*Script
	for _, s := range shipped {
		if s.Topic == arg || s.File == name || slices.ContainsFunc(s.Claims, func(c Claim) bool { return c.ID == arg }) {
			matches = append(matches, s)
		}
	}
	return matches
}

// txtarFiles returns the scripts below a folder, whose path is shown as the
// user gave it. Hidden folders are left out.
func txtarFiles(shown, dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != dir && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !d.IsDir() && filepath.Ext(name) == ".txtar":
			rel, err := filepath.Rel(dir, name)
			if err != nil {
				return err
			}
			files = append(files, filepath.Join(shown, rel))
		}
		return nil
	})
	return files, err
}

func unknownScript(shipped []*Script, arg string) error {
	what, known := fmt.Sprintf("no topic, claim, file or folder %q", arg), []string{}
	isFile := strings.ContainsAny(arg, `/\`) || filepath.Ext(arg) == ".txtar"
	if isFile {
		what = "no file " + arg
	}
	for _, s := range shipped {
		if isFile {
			known = append(known, s.File)
			continue
		}
		known = append(known, s.Topic)
		for _, c := range s.Claims {
			known = append(known, c.ID)
		}
	}
	return fmt.Errorf("script: %s\n\tgox script %s", what, cmp.Or(profiles.Nearest(arg, known), "--list"))
}
