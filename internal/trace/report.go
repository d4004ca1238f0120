// Package trace makes a report of what one go command asked for and where its
// modules came from: from the gateway's records, and for what the gateway
// cannot see, from go.mod, go.work, the vendor directory, the module cache, and
// what git says of itself. What nothing proves is unknown.
package trace

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"example.com/gox/internal/gateway"
)

// A Report tells about one go command. It holds no secrets.
type Report struct {
	Command   []string  `json:"command"`
	Profile   string    `json:"profile"`
	GoVersion string    `json:"goVersion,omitempty"`
	GOPROXY   string    `json:"goproxy"` // as without the gateway, redacted
	Start     time.Time `json:"start"`
	Millis    float64   `json:"millis"`
	ExitCode  int       `json:"exitCode"`

	Modules   []Module   `json:"modules"`
	Upstreams []Upstream `json:"upstreams"`
	Git       []Git      `json:"git,omitempty"` // what git was run for
	// Unseen says what the report cannot know, in sentences.
	Unseen []string `json:"unseen,omitempty"`

	Records []gateway.Record `json:"-"` // in the order in which go asked
}

// Where a module came from, in Module.Source.
const (
	Proxy     = "proxy"     // in this run, From a module proxy
	Direct    = "direct"    // in this run, from its repository
	Cache     = "cache"     // it was in the module cache already
	Vendor    = "vendor"    // the vendor directory From
	Workspace = "workspace" // the directory From, which go.work names
	Replace   = "replace"   // the directory From, which a replace directive names
	NotFound  = "not found" // it was asked for, and nobody had it
	Unknown   = "unknown"
)

// A Module is one version of a module, or with no Version what was asked to
// choose one.
type Module struct {
	Path     string   `json:"path"`
	Version  string   `json:"version,omitempty"`
	Source   string   `json:"source"`
	From     string   `json:"from,omitempty"`
	Evidence string   `json:"evidence,omitempty"`
	Files    []string `json:"files,omitempty"` // of the protocol, that were served: info, mod, zip, list, latest
	Bytes    int64    `json:"bytes,omitempty"`
	Millis   float64  `json:"millis,omitempty"` // of all requests for it
	Before   []Hop    `json:"before,omitempty"` // what was asked in vain, as often as it differed
}

// A Hop is an upstream that did not serve what it was asked for.
type Hop struct {
	Upstream string `json:"upstream"`
	File     string `json:"file"`
	Status   int    `json:"status,omitempty"` // 0 where there was none
	Error    string `json:"error,omitempty"`
}

// An Upstream is one entry of GOPROXY, with all that was asked of it.
type Upstream struct {
	Name     string  `json:"name"` // redacted
	Requests int     `json:"requests"`
	Found    int     `json:"found"`
	Missing  int     `json:"missing"` // 404 and 410
	Failed   int     `json:"failed"`  // everything else
	SumDB    int     `json:"sumdb"`   // of the requests
	Again    int     `json:"again"`   // requests made once more, by go's rule or the profile's
	Bytes    int64   `json:"bytes"`
	Median   float64 `json:"median"` // milliseconds of a request
	Slowest  float64 `json:"slowest"`
}

// Add works the records into the report.
func (r *Report) Add(records []gateway.Record) {
	r.Records = slices.Clone(records)
	slices.SortStableFunc(r.Records, func(a, b gateway.Record) int { return a.Time.Compare(b.Time) })
	r.Modules, r.Upstreams = []Module{}, []Upstream{}
	modules := map[[2]string]*Module{}
	order := [][2]string{}
	upstreams := map[int]*Upstream{}
	times := map[int][]float64{}
	for _, rec := range r.Records {
		up := upstreams[rec.Index]
		if up == nil {
			up = &Upstream{Name: rec.Upstream}
			upstreams[rec.Index] = up
		}
		up.Requests++
		up.Again += len(rec.Tries)
		up.Bytes += rec.Bytes
		times[rec.Index] = append(times[rec.Index], rec.Phases.Total)
		switch {
		case rec.Found():
			up.Found++
		case rec.Missing():
			up.Missing++
		default:
			up.Failed++
		}
		if rec.File == gateway.SumDB {
			up.SumDB++
			continue
		}
		if rec.Module == "" {
			continue
		}
		key := [2]string{rec.Module, rec.Version}
		m := modules[key]
		if m == nil {
			m = &Module{Path: rec.Module, Version: rec.Version, Source: NotFound}
			modules[key] = m
			order = append(order, key)
		}
		m.Millis += rec.Phases.Total
		if !rec.Found() {
			hop := Hop{Upstream: rec.Upstream, File: rec.File, Status: rec.Status, Error: rec.Error}
			if rec.Source == gateway.FromGateway {
				hop.Status = 0 // the gateway's own 502 says nothing
			}
			if !slices.Contains(m.Before, hop) {
				m.Before = append(m.Before, hop)
			}
			continue
		}
		m.Bytes += rec.Bytes
		if !slices.Contains(m.Files, rec.File) {
			m.Files = append(m.Files, rec.File)
		}
		// Each file walks the list anew; the zip is the module.
		if m.From == "" || rec.File == gateway.Zip {
			m.Source, m.From = Proxy, rec.Upstream
		} else if m.From != rec.Upstream && !slices.Contains(m.Files, gateway.Zip) {
			m.Evidence = "its files come from several upstreams"
		}
	}
	for _, key := range order {
		r.Modules = append(r.Modules, *modules[key])
	}
	for index, up := range upstreams {
		slices.Sort(times[index])
		up.Median, up.Slowest = times[index][len(times[index])/2], times[index][len(times[index])-1]
	}
	indexes := []int{}
	for index := range upstreams {
		indexes = append(indexes, index)
	}
	slices.Sort(indexes)
	for _, index := range indexes {
		r.Upstreams = append(r.Upstreams, *upstreams[index])
	}
	r.sort()
}

func (r *Report) sort() {
	slices.SortStableFunc(r.Modules, func(a, b Module) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Version, b.Version))
	})
}

// find returns the module of the report, nil where it is not in it.
func (r *Report) find(path, version string) *Module {
	for i := range r.Modules {
		if r.Modules[i].Path == path && r.Modules[i].Version == version {
			return &r.Modules[i]
		}
	}
	return nil
}

// Count returns how many modules have the source. Those of which only the
// versions were asked for do not count.
func (r *Report) Count(source string) int {
	n := 0
	for _, m := range r.Modules {
		if m.Source == source && m.Version != "" {
			n++
		}
	}
	return n
}
