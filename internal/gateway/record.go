package gateway

import (
	"path"
	"strings"
	"time"

	"golang.org/x/mod/module"
)

// Kinds of files that go asks a module proxy for, in Record.File.
const (
	List   = "list"   // MODULE/@v/list
	Latest = "latest" // MODULE/@latest
	Info   = "info"   // MODULE/@v/VERSION.info
	Mod    = "mod"    // MODULE/@v/VERSION.mod
	Zip    = "zip"    // MODULE/@v/VERSION.zip
	SumDB  = "sumdb"  // anything below /sumdb/NAME/
)

// A Record is one request of go's to one upstream. It holds no secrets: of
// URLs the userinfo and the query are masked, and no header is kept.
//
// A file of records has one of them on each line, as JSON. Fields may be added;
// none changes its meaning.
type Record struct {
	Time    time.Time `json:"time"` // when go asked
	Run     string    `json:"run"`  // the same for all requests of one gateway, and no other's
	Profile string    `json:"profile,omitempty"`

	// What was asked for. Module is the module path as people write it; Version
	// is a version, or what go puts in its place to learn one: a branch, a
	// commit. Both are empty where the request is about no module.
	Module  string `json:"module,omitempty"`
	Version string `json:"version,omitempty"`
	File    string `json:"file,omitempty"`  // one of the kinds; "" for anything else
	SumDB   string `json:"sumdb,omitempty"` // the name of the checksum database, with File "sumdb"
	Path    string `json:"path"`            // below the upstream's URL, unescaped

	Upstream string `json:"upstream"` // its URL, redacted
	Index    int    `json:"index"`    // its place in GOPROXY, counted from 0 as go counts: without empty entries

	// What go was given. Status is 0 where there was no answer for go. Source
	// says whose answer it is: "upstream", or "gateway" where none came from
	// there and Error says why. Bytes and SHA256 are of the body as relayed; the
	// hash is there only where go was given all of it, with status 200.
	Status int    `json:"status"`
	Source string `json:"source"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256,omitempty"`
	Error  string `json:"error,omitempty"` // also where the body broke off

	Phases    Phases     `json:"phases"`
	Protocol  string     `json:"protocol,omitempty"`   // "HTTP/2.0"
	Remote    string     `json:"remote,omitempty"`     // the address that was talked to, perhaps a proxy's
	TLSIssuer string     `json:"tls_issuer,omitempty"` // who signed the upstream's certificate
	Redirects []Redirect `json:"redirects,omitempty"`
	Tries     []Try      `json:"tries,omitempty"` // those before the one that counts
}

// The two values of Record.Source.
const (
	FromUpstream = "upstream"
	FromGateway  = "gateway"
)

// Phases say how long a request took, in milliseconds, those of the try that
// counts. DNS, Connect and TLS are 0 where a connection was used again.
type Phases struct {
	DNS       float64 `json:"dns,omitempty"`
	Connect   float64 `json:"connect,omitempty"`
	TLS       float64 `json:"tls,omitempty"`
	FirstByte float64 `json:"first_byte,omitempty"` // from the request sent to the answer's first byte
	Total     float64 `json:"total"`                // from go's request to the last byte, all tries
}

// A Redirect is one that the gateway followed, as go would have.
type Redirect struct {
	Status int    `json:"status"`
	URL    string `json:"url"` // where to, redacted
}

// A Try is a request to the upstream whose answer go was not given.
type Try struct {
	Status int     `json:"status,omitempty"`
	Error  string  `json:"error,omitempty"`
	Why    string  `json:"why"`    // of the next one: RetryGOAUTH, RetryProfile
	Millis float64 `json:"millis"` // until the next one began
}

// Why a request was made again, in Try.Why.
const (
	// Since go1.24 go itself asks an https server once more after any 4xx.
	RetryGOAUTH = "goauth"
	// The profile says retry.
	RetryProfile = "retry"
)

// Found reports whether the upstream had what go asked for.
func (r *Record) Found() bool {
	return r.Source == FromUpstream && r.Status == 200 && r.Error == ""
}

// Missing reports whether go took the answer for "not here", after which it
// goes on to the next entry of GOPROXY whatever the separator.
func (r *Record) Missing() bool { return r.Status == 404 || r.Status == 410 }

// ask fills in what is asked for from the path below an upstream's URL. A path
// that go would not send leaves all but Path empty.
func (r *Record) ask(below string) {
	r.Path = below
	below = strings.TrimPrefix(below, "/")
	if rest, ok := strings.CutPrefix(below, "sumdb/"); ok {
		r.File = SumDB
		// The name of a database may have a path of its own; what the
		// protocol asks for says where it ends.
		for _, what := range []string{"/supported", "/latest", "/tile/", "/lookup/"} {
			name, asked, ok := strings.Cut(rest, what)
			if !ok {
				continue
			}
			r.SumDB = name
			escaped, version, ok := strings.Cut(asked, "@")
			if m := unescape(escaped, version); ok && what == "/lookup/" {
				r.Module, r.Version = m.Path, m.Version
			}
			break
		}
		return
	}
	if escaped, ok := strings.CutSuffix(below, "/@latest"); ok {
		r.named(escaped, "", Latest)
		return
	}
	escaped, file, ok := strings.Cut(below, "/@v/")
	switch ext := path.Ext(file); {
	case !ok:
	case file == "list":
		r.named(escaped, "", List)
	case ext == ".info" || ext == ".mod" || ext == ".zip":
		r.named(escaped, strings.TrimSuffix(file, ext), ext[1:])
	}
}

func (r *Record) named(path, version, file string) {
	if m := unescape(path, version); m.Path != "" {
		r.Module, r.Version, r.File = m.Path, m.Version, file
	}
}

// unescape undoes the escaping of capital letters. The zero Version says that
// it cannot be done.
func unescape(path, version string) module.Version {
	p, err := module.UnescapePath(path)
	if err != nil {
		return module.Version{}
	}
	if version != "" {
		if version, err = module.UnescapeVersion(version); err != nil {
			return module.Version{}
		}
	}
	return module.Version{Path: p, Version: version}
}
