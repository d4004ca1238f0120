package source

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/module"

	"example.com/gox/internal/redact"
)

// cached is what a module cache has of a module.
type cached struct {
	dir, zip bool
	path     string // of the directory, there or not
}

func (c cached) any() bool { return c.dir || c.zip }

// cached looks into the module cache, by the rules of DownloadDir in
// cmd/go/internal/modfetch/cache.go: a directory counts unless its extraction
// was interrupted, or its hash is lost. Then it is unpacked anew, if its zip is
// there.
func (s settings) cached(m module.Version) cached {
	file, err := s.download(m)
	if err != nil {
		return cached{}
	}
	path, _ := module.EscapePath(m.Path)
	version, _ := module.EscapeVersion(m.Version)
	c := cached{path: filepath.Join(s.modcache, filepath.FromSlash(path)+"@"+version)}
	info, err := os.Stat(c.path)
	c.dir = err == nil && info.IsDir() && !exists(file+".partial") && exists(file+".ziphash")
	c.zip = exists(file + ".zip")
	return c
}

// download returns the place of a module's files in the download cache, to
// which ".info" and the like come.
func (s settings) download(m module.Version) (string, error) {
	path, err := module.EscapePath(m.Path)
	if err != nil {
		return "", err
	}
	version, err := module.EscapeVersion(m.Version)
	if err != nil {
		return "", err
	}
	return filepath.Join(s.modcache, "cache", "download", filepath.FromSlash(path), "@v", version), nil
}

// Filled says who filled the module cache with a module.
type Filled struct {
	Upstream string `json:"upstream,omitempty"` // a proxy's URL, redacted, or "direct"
	By       string `json:"by"`                 // what proves it: ByRecord or ByIsolation

	// Of a record: its file, and when go asked.
	File string    `json:"file,omitempty"`
	Time time.Time `json:"time,omitzero"`
}

// What proves who filled the module cache.
const (
	// A record of the gateway's: this upstream served these very bytes, at the
	// time at which they entered the module cache.
	ByRecord = "record"
	// The module cache is one that only the profile's sources fill, and of those
	// only one is asked for this module.
	ByIsolation = "isolated cache"
)

// filled returns who filled the module cache, as far as the cache itself
// proves it. Origin in an .info file does not: a proxy that has it passes it on
// (cmd/go/internal/modfetch/proxy.go keeps what the proxy's .info says).
func (s settings) filled(m module.Version) *Filled {
	if s.isolated == nil {
		return nil
	}
	entries, fault := s.isolated.ask(m.Path)
	if fault != "" || len(entries) != 1 {
		return nil
	}
	return &Filled{Upstream: entries[0].URL, By: ByIsolation}
}

// An Origin is a place in version control.
type Origin struct {
	VCS  string `json:"vcs,omitempty"`
	URL  string `json:"url"` // redacted
	Ref  string `json:"ref,omitempty"`
	Hash string `json:"hash,omitempty"`
}

// origin reads what the .info file says, nil for nothing.
func (s settings) origin(m module.Version) *Origin {
	file, err := s.download(m)
	if err != nil {
		return nil
	}
	data, err := os.ReadFile(file + ".info")
	if err != nil {
		return nil
	}
	var info struct{ Origin *Origin }
	if json.Unmarshal(data, &info) != nil || info.Origin == nil || info.Origin.URL == "" {
		return nil
	}
	info.Origin.URL = redact.Text(info.Origin.URL)
	return info.Origin
}
