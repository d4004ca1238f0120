// Package source tells which source supplies each module of a build list: a
// use line, a replace directive, the vendor directory, the module cache, or
// those of GOPROXY who would be asked, in their order; and the evidence for it.
//
//	r, err := source.List(ctx, source.Query{Go: path, Dir: dir, Env: environ})
//	…
//	for _, m := range r.Modules {
//		fmt.Println(m.Path, m.Version, m.Source, m.Evidence)
//	}
//
// The build list, and whether a module is replaced, is go's own answer, never
// worked out here. What go does not tell, which line decided and which lines
// lost, is found in the files by go's rules and believed only where it leads to
// go's answer. Where nothing proves an answer it is Unknown, never a guess.
//
// Asking downloads nothing and changes nothing: go runs without a network, and
// in a workspace, where go list would write go.work.sum, on a copy of go.work.
package source

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/module"

	"example.com/gox/internal/redact"
)

// A Kind is what supplies a module's packages.
type Kind string

const (
	Main      Kind = "main"      // the main module, in module mode
	Use       Kind = "use"       // a directory that go.work uses
	Directory Kind = "directory" // a directory that a replace directive names
	Vendor    Kind = "vendor"    // the vendor directory
	Std       Kind = "std"       // the standard library, with what is vendored there
	ModCache  Kind = "modcache"  // the module cache, which has it
	GoMod     Kind = "go.mod"    // nothing: only its go.mod has a say, in choosing versions
	Ask       Kind = "ask"       // not here: the entries of Module.Ask would be asked
	Nowhere   Kind = "nowhere"   // not here, and nobody would be asked
	Unknown   Kind = "unknown"   // Module.Note says why
)

// A Query is what List is asked.
type Query struct {
	Go  string   // the path of the go command
	Dir string   // where it is to work, absolute
	Env []string // its whole environment, as the profile makes it

	// Arguments are modules of the build list, packages, or patterns of them.
	// None means the whole build list.
	Arguments []string

	// Download lets go fetch the go.mod files that the build list needs. Else
	// only what is here counts, and the list may be Incomplete.
	Download bool
	// DownloadEnv is added to Env where go may download.
	DownloadEnv []string

	// Caches are other module caches of the user's. Where the one of Env lacks
	// go.mod files, those in them may answer for them: go holds them against
	// go.sum.
	Caches []string

	// Isolated, where the module cache is one that only the profile's sources
	// fill, are the settings of those sources, NAME=value each.
	Isolated []string

	// Graph asks for Report.Edges.
	Graph bool

	// Scratch returns a directory for what is not to stay; whoever gave it removes
	// it after List and Probe. With nil, and where it fails, they make one and
	// remove it, which a kill -9 prevents.
	Scratch func() (string, error)

	// Records are files of records, as package gateway writes them.
	Records []string
}

// A Report is the answer.
type Report struct {
	Go        string `json:"go"`
	GoVersion string `json:"goVersion"`
	GoMod     string `json:"goMod,omitempty"`  // the main module's; with -modfile that file
	GoWork    string `json:"goWork,omitempty"` // "" in module mode
	VendorDir string `json:"vendorDir,omitempty"`
	ModCache  string `json:"modCache"`
	GoProxy   string `json:"goProxy"` // redacted

	Modules []Module `json:"modules"`

	// Edges are pairs of paths of Modules, of which the first, at its selected
	// version, requires the second.
	Edges [][2]string `json:"edges,omitempty"`

	// Fault is what go says where it refuses to build anything here.
	Fault string `json:"fault,omitempty"`
	// Incomplete says why modules may be missing.
	Incomplete string `json:"incomplete,omitempty"`
	// Enough says that where the list is incomplete only modules are missing
	// that no package of the main module needs.
	Enough bool `json:"enough,omitempty"`
	// Notes are about the whole.
	Notes []string `json:"notes,omitempty"`
	// Alarms are findings. See Alarm.
	Alarms []Alarm `json:"alarms,omitempty"`

	settings settings
	files    *files
}

// A Module is one module of the build list, and what supplies it.
type Module struct {
	Path     string   `json:"path"`
	Version  string   `json:"version,omitempty"` // the selected one; "" for main modules
	Packages []string `json:"packages,omitempty"`

	Source  Kind         `json:"source"`
	Dir     string       `json:"dir,omitempty"`     // where the packages are
	Replace *Replacement `json:"replace,omitempty"` // what is there in its place

	// Evidence begins with the line that decides.
	Evidence []Evidence `json:"evidence,omitempty"`
	// Beats are the lines and places that would count if those did not.
	Beats []Evidence `json:"beats,omitempty"`
	// Ask are the upstreams that go would ask, in order: of a module that is not
	// here, and of one in the module cache if it were not there. URLs are
	// redacted.
	Ask []Entry `json:"ask,omitempty"`
	// Filled says who filled the module cache, where that is proved.
	Filled *Filled `json:"filled,omitempty"`
	// Origin is what the .info file in the module cache says of where the module
	// is from. It does not prove that go fetched it from there: a proxy that says
	// so is believed and passed on.
	Origin *Origin `json:"origin,omitempty"`
	// Probe is what the upstreams answered, where they were asked.
	Probe []Answer `json:"probe,omitempty"`
	// SumDB is what the checksum database said, where it was asked.
	SumDB *SumDB `json:"sumDB,omitempty"`
	// Rules are those that decided, in the order of their weight.
	Rules []Rule `json:"rules,omitempty"`
	Note  string `json:"note,omitempty"`
}

// Content is the path and version under which the module's content is stored
// and fetched: the replacement's where a module replaces it.
func (m *Module) Content() module.Version {
	if m.Replace != nil && m.Replace.Version != "" {
		return module.Version{Path: m.Replace.Path, Version: m.Replace.Version}
	}
	return module.Version{Path: m.Path, Version: m.Version}
}

// A Replacement is another module, or with an empty Version a directory.
type Replacement struct {
	Path    string `json:"path"`
	Version string `json:"version,omitempty"`
}

func (r *Replacement) String() string { return strings.TrimSpace(r.Path + " " + r.Version) }

// Evidence is a line of a file, or with Line 0 the file or directory itself.
type Evidence struct {
	File  string `json:"file"`
	Line  int    `json:"line,omitempty"`
	Text  string `json:"text,omitempty"`  // what stands there
	Why   string `json:"why,omitempty"`   // with Beats: why it does not count
	Claim string `json:"claim,omitempty"` // the claim that proves that
}

func (e Evidence) String() string {
	if e.Line == 0 {
		return e.File
	}
	return fmt.Sprintf("%s:%d", e.File, e.Line)
}

// A NoModuleError tells that there is no build list to speak of.
type NoModuleError struct{ Dir, Cause string }

func (e *NoModuleError) Error() string {
	return fmt.Sprintf("%s: %s\n\tgo to a module's directory, or name one: gox -C DIR source", e.Dir, e.Cause)
}

// An ArgumentError tells of an argument that names nothing.
type ArgumentError struct{ Argument, Cause, Mend string }

func (e *ArgumentError) Error() string {
	return fmt.Sprintf("%s: %s\n\t%s", e.Argument, e.Cause, cmp.Or(e.Mend, "gox source lists what there is"))
}

// List answers q. Where go refuses to build anything, Report.Fault says why and
// the modules that are known by name are Unknown. The error is a
// *NoModuleError where there is neither go.mod nor go.work, an *ArgumentError, or
// that of a go command that cannot run.
func List(ctx context.Context, q Query) (*Report, error) {
	s, err := readSettings(ctx, q)
	if err != nil {
		return nil, err
	}
	switch {
	case s.gomod == "" && s.gowork == "":
		return nil, &NoModuleError{q.Dir, "GO111MODULE=off, so that there are no modules"}
	case s.gomod == os.DevNull && s.gowork == "":
		return nil, &NoModuleError{q.Dir, "neither a go.mod nor a go.work here or above"}
	}
	r := &Report{
		Go: q.Go, GoVersion: s.version, GoWork: s.gowork, ModCache: s.modcache, GoProxy: redact.Text(s.goproxy),
		settings: s,
	}
	if s.gowork == "" {
		r.GoMod = cmp.Or(s.modfile, s.gomod)
	}
	if r.files, err = readFiles(s); err != nil {
		// go says it better, and first.
		r.Notes = append(r.Notes, redact.Text(err.Error()))
	}
	g, err := quiet(q, s)
	defer g.scratch.close()
	if err != nil {
		return nil, err
	}
	if err := r.list(ctx, g); err != nil {
		return nil, err
	}
	if q.Graph {
		if err := r.graph(ctx, g); err != nil {
			return nil, err
		}
	}
	if err := r.choose(ctx, g, q.Arguments); err != nil {
		return nil, err
	}
	if len(q.Records) > 0 {
		records, err := readRecords(q.Records)
		if err != nil {
			return nil, err
		}
		r.heed(records)
	}
	return r, nil
}
