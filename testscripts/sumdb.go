package testscripts

import (
	"crypto/rand"
	"io/fs"
	"net/http"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/note"
)

// A sumDB is a checksum database.
type sumDB struct {
	http.Handler
	name       string // as in the notes that it signs
	skey, vkey string // to sign with, and to verify
}

// newSumDB returns a checksum database called name. It knows what the depots
// hold, the first that has a version being right. Where forked is not nil, it has
// the name and the key of that one, and a history of its own.
func newSumDB(name string, depots []*depot, forked *sumDB) (*sumDB, error) {
	db := &sumDB{name: name}
	if forked != nil {
		db.name, db.skey, db.vkey = forked.name, forked.skey, forked.vkey
	} else {
		var err error
		if db.skey, db.vkey, err = note.GenerateKey(rand.Reader, name); err != nil {
			return nil, err
		}
	}
	db.Handler = sumdb.NewServer(sumdb.NewTestServer(db.skey, func(path, version string) ([]byte, error) {
		m := module.Version{Path: path, Version: version}
		for _, d := range depots {
			if _, ok := d.modules[m]; ok {
				return d.sums(m)
			}
		}
		// The server looks for this type only.
		return nil, &fs.PathError{Op: "lookup", Path: m.String(), Err: fs.ErrNotExist}
	}))
	return db, nil
}
