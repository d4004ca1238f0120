package testscripts

import (
	"crypto/rand"
	"io/fs"
	"net/http"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/note"
)

// newSumDB returns a checksum database called name, its handler and its
// verifier key. It knows what the depots hold, the first that has a version
// being right.
func newSumDB(name string, depots []*depot) (h http.Handler, key string, err error) {
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return nil, "", err
	}
	return sumdb.NewServer(sumdb.NewTestServer(skey, func(path, version string) ([]byte, error) {
		m := module.Version{Path: path, Version: version}
		for _, d := range depots {
			if _, ok := d.modules[m]; ok {
				return d.sums(m)
			}
		}
		// The server looks for this type only.
		return nil, &fs.PathError{Op: "lookup", Path: m.String(), Err: fs.ErrNotExist}
	})), vkey, nil
}

// moduleProxy serves a depot, and checksum databases below /sumdb/NAME.
type moduleProxy struct {
	depot *depot
	dbs   map[string]http.Handler // by name
}

func (p *moduleProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/sumdb/"); ok {
		name, rest, _ := strings.Cut(rest, "/")
		if db := p.dbs[name]; db != nil {
			if rest == "supported" {
				return // 200
			}
			r.URL.Path = "/" + rest
			db.ServeHTTP(w, r)
			return
		}
	}
	status, contentType, body, err := p.depot.serve(r.URL.Path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	w.Write(body)
}
