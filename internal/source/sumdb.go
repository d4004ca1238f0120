package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/module"

	"example.com/gox/internal/gocmd"
)

// A SumDB is what a checksum database says of a module version.
type SumDB struct {
	Name    string `json:"name"`
	ModHash string `json:"modHash,omitempty"`
	ZipHash string `json:"zipHash,omitempty"`
}

// askSumDB fills in what the checksum database says of those modules that an
// upstream serves and that GONOSUMDB does not keep from it.
//
// go asks, for it has the key. It looks each go.mod up in a module cache that is
// thrown away, and leaves there what it has verified (Lookup in
// golang.org/x/mod/sumdb writes nothing else). Of the database's tree it keeps
// what it has seen in GOPATH, as ever.
func (p *prober) askSumDB(ctx context.Context, goproxy string, modules []*Module) error {
	s := p.r.settings
	if s.gosumdb == "off" {
		p.r.Notes = append(p.r.Notes, "GOSUMDB=off, so that no checksum database is asked")
		return nil
	}
	modules = slices.DeleteFunc(slices.Clone(modules), func(m *Module) bool {
		served := slices.ContainsFunc(m.Probe, func(a Answer) bool { return a.Outcome == Serves })
		return !served || module.MatchPrefixPatterns(s.gonosumdb, m.Content().Path)
	})
	if len(modules) == 0 {
		return nil
	}
	dir, err := os.MkdirTemp(p.dir, "sumdb-")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*p.o.Timeout)
	defer cancel()
	// One go asks for one module after the other, so that there are several.
	env := p.apart(dir, "GOPROXY="+goproxy)
	var wg sync.WaitGroup
	errs := make([]error, cap(p.slots))
	for i := range errs {
		args := []string{"list", "-e", "-m", "-json", "--"}
		none := len(args)
		for j := i; j < len(modules); j += len(errs) {
			args = append(args, modules[j].Content().String())
		}
		if len(args) == none {
			break
		}
		wg.Go(func() {
			// Where it fails, or has no time left, it has asked for fewer.
			_, errs[i] = run(ctx, gocmd.Cmd{Path: p.q.Go, Args: args, Env: env, Dir: dir})
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil && ctx.Err() == nil {
		return err
	}
	said := map[string]SumDB{}
	if err := readLookups(filepath.Join(dir, "mod", "cache", "download", "sumdb"), said); err != nil {
		return err
	}
	unsaid := 0
	for _, m := range modules {
		if db, ok := said[m.Content().String()]; ok {
			m.SumDB = &db
		} else {
			unsaid++
		}
	}
	if unsaid > 0 {
		p.r.Notes = append(p.r.Notes, fmt.Sprintf("the checksum database said nothing of %d of %d modules", unsaid, len(modules)))
	}
	return nil
}

// readLookups reads what go keeps of the answers of checksum databases in root,
// NAME/lookup/MODULE@VERSION, by module and version.
func readLookups(root string, said map[string]SumDB) error {
	return filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		name, _, ok := strings.Cut(filepath.ToSlash(strings.TrimPrefix(file, root+string(filepath.Separator))), "/lookup/")
		if err != nil || d.IsDir() || !ok {
			if file == root {
				return nil // nothing was asked
			}
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) != 3 {
				continue // the number of the record, the signed tree
			}
			version, ofMod := strings.CutSuffix(f[1], "/go.mod")
			db := said[f[0]+"@"+version]
			if db.Name = name; ofMod {
				db.ModHash = f[2]
			} else {
				db.ZipHash = f[2]
			}
			said[f[0]+"@"+version] = db
		}
		return nil
	})
}

// disputed returns what is alarming where upstreams or go.sum say something else
// than the checksum database.
func (r *Report) disputed(m *Module) (alarms []Alarm) {
	if m.SumDB == nil {
		return nil
	}
	content := m.Content()
	add := func(who, what, theirs, right string) {
		if theirs != "" && right != "" && theirs != right {
			alarms = append(alarms, Alarm{SumDiffers, content.Path, content.Version,
				who + " says that " + what + " is " + theirs + ", and the checksum database " + m.SumDB.Name + " that it is " + right,
				"believe the checksum database, and find out who changed it"})
		}
	}
	for _, a := range m.Probe {
		if a.Outcome == Serves {
			add(a.Upstream, "its go.mod", a.ModHash, m.SumDB.ModHash)
			add(a.Upstream, "its content", a.ZipHash, m.SumDB.ZipHash)
		}
	}
	for _, hash := range r.files.hashes[content.Path+" "+content.Version+"/go.mod"] {
		add("go.sum", "its go.mod", hash, m.SumDB.ModHash)
	}
	for _, hash := range r.files.hashes[content.Path+" "+content.Version] {
		add("go.sum", "its content", hash, m.SumDB.ZipHash)
	}
	return alarms
}
