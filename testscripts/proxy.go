package testscripts

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// moduleProxy serves a depot, and checksum databases below /sumdb/NAME.
type moduleProxy struct {
	depot *depot
	dir   string                  // a tree to look in for what the depot has not; "" for none
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
	if err == nil && status == http.StatusNotFound {
		var found []byte
		if found, err = p.inDir(r.URL.Path); found != nil {
			status, body = http.StatusOK, found
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	w.Write(body)
}

// inDir returns the file for a URL path, nil if there is none. A module cache
// has no @latest: then it is what the list says.
func (p *moduleProxy) inDir(urlPath string) ([]byte, error) {
	r := parseRequest(urlPath)
	if p.dir == "" || r.kind == "" {
		return nil, nil
	}
	data, err := p.read(urlPath)
	if data != nil || err != nil || r.kind != "latest" {
		return data, err
	}
	base := strings.TrimSuffix(urlPath, "latest") + "v/"
	list, err := p.read(base + "list")
	if v := latest(strings.Fields(string(list))); err == nil && v != "" {
		return p.read(base + v + ".info")
	}
	return nil, err
}

func (p *moduleProxy) read(urlPath string) ([]byte, error) {
	name := filepath.FromSlash(strings.TrimPrefix(urlPath, "/"))
	if !filepath.IsLocal(name) {
		return nil, nil
	}
	data, err := os.ReadFile(filepath.Join(p.dir, name))
	if os.IsNotExist(err) {
		return nil, nil
	}
	return data, err
}
