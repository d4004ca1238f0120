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
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/module"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/redact"
	"example.com/gox/profiles"
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
type ArgumentError struct{ Argument, Cause, Near string }

func (e *ArgumentError) Error() string {
	mend := "gox source lists what there is"
	if e.Near != "" {
		mend = "did you mean " + e.Near + "?"
	}
	return fmt.Sprintf("%s: %s\n\t%s", e.Argument, e.Cause, mend)
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
	w := &worker{q: q, r: r, s: s}
	defer w.close()
	if err := w.list(ctx); err != nil {
		return nil, err
	}
	if q.Graph {
		if err := w.graph(ctx); err != nil {
			return nil, err
		}
	}
	if err := w.choose(ctx); err != nil {
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

// A worker answers one query.
type worker struct {
	q      Query
	r      *Report
	s      settings
	temp   string   // "" until it is needed
	spare  []string // GOWORK, for the copy
	caches []string // GOPROXY and GOMODCACHE, where the go.mod files are elsewhere
}

func (w *worker) close() {
	if w.temp != "" && w.q.Scratch == nil {
		discard(w.temp)
	}
}

// discard removes a directory, with what go has made read-only in it.
func discard(dir string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	os.RemoveAll(dir)
}

// scratch returns a directory that goes away.
func (w *worker) scratch() (string, error) {
	if w.temp != "" {
		return w.temp, nil
	}
	parent := ""
	if w.q.Scratch != nil {
		var err error
		if parent, err = w.q.Scratch(); err != nil {
			parent, w.q.Scratch = "", nil
		}
	}
	dir, err := os.MkdirTemp(parent, "gox-source-")
	w.temp = dir
	return dir, err
}

// listed is what is read here of what go list -json prints.
type listed struct {
	Path, Version, Dir, GoMod string
	Main                      bool
	Replace                   *listed
	Error                     *struct{ Err string }
}

// list fills in the modules.
func (w *worker) list(ctx context.Context) error {
	defer w.r.usedTwice()
	vendor, reason := w.s.vendorMode(w.r.files)
	if vendor != "" {
		return w.listVendored(ctx, vendor)
	}
	all, err := w.listAll(ctx)
	if err != nil {
		return err
	}
	for _, l := range all {
		w.r.Modules = append(w.r.Modules, w.r.module(l))
	}
	switch {
	case w.r.Fault != "":
		w.r.unknown(w.r.Fault)
	case w.r.Incomplete != "":
		w.r.unknown("go cannot tell without the module graph")
	}
	if reason != nil {
		for i := range w.r.Modules {
			w.r.Modules[i].Beats = append(w.r.Modules[i].Beats, w.r.vendoredCopy(&w.r.Modules[i], *reason)...)
		}
	}
	return nil
}

// usedTwice looks for content that is to supply two module paths, which go
// refuses as soon as it has loaded the module graph (checkMultiplePaths in
// cmd/go/internal/modload/load.go), and listing modules does not tell.
func (r *Report) usedTwice() {
	if r.VendorDir != "" {
		return // there go minds nothing
	}
	type content struct{ path, version string }
	first := map[content]int{}
	for i := range r.Modules {
		m := &r.Modules[i]
		c := content{m.Content().Path, m.Content().Version}
		switch {
		case m.Source == Main || m.Source == Use || m.Source == Unknown:
			continue
		case m.Replace != nil && m.Replace.Version == "":
			c = content{cmp.Or(m.Dir, m.Replace.Path), ""}
		}
		j, twice := first[c]
		first[c] = i
		if !twice {
			continue
		}
		why := fmt.Sprintf("go: %s used for two different module paths (%s and %s)", strings.TrimSuffix(c.path+"@"+c.version, "@"), r.Modules[j].Path, m.Path)
		for _, k := range []int{j, i} {
			r.Modules[k].Source, r.Modules[k].Note, r.Modules[k].Dir, r.Modules[k].Rules = Unknown, why, "", nil
		}
		named := r.files.required()
		if r.GoWork != "" || len(r.files.mains) == 0 || !r.files.mains[0].pruned() || slices.Contains(named, r.Modules[j].Path) && slices.Contains(named, m.Path) {
			r.Fault = why // the graph is needed, or both are among what go loads first
		}
	}
}

// listAll lists the build list outside vendor mode. Where go.mod files of the
// module graph are not in the module cache it tries those of other caches, and
// then what the main module itself names, which is all that a module of go 1.17
// or newer needs. Where it lists less, Report.Fault or Report.Incomplete says why.
func (w *worker) listAll(ctx context.Context) ([]listed, error) {
	said, err := w.goListAll(ctx)
	if err != nil {
		return nil, err
	}
	if said.lacks() && !w.q.Download && len(w.q.Caches) > 0 {
		if err := w.otherCaches(); err != nil {
			return nil, err
		}
		elsewhere, err := w.goListAll(ctx)
		if err != nil {
			return nil, err
		}
		if elsewhere.lacks() {
			w.caches = nil
		} else {
			said = elsewhere
		}
	}
	switch {
	case said.load != "" && (w.q.Download || !said.lacks()) && w.s.mod == "mod" && w.s.gowork == "":
		w.r.Incomplete = "with -mod=mod go would change go.mod first: " + said.load
		return nil, nil
	case said.load != "" && (w.q.Download || !said.lacks()):
		w.r.Fault = said.load
		return nil, nil
	case said.load == "" && said.graph == "":
		return said.all, nil
	}
	w.r.Incomplete = cmp.Or(said.load, said.graph)
	// The main modules are certain, without any graph.
	mains := slices.DeleteFunc(said.all, func(l listed) bool { return !l.Main })
	if said.load != "" || w.s.mod == "mod" || len(w.r.files.mains) != 1 || w.s.gowork != "" || !w.r.files.mains[0].pruned() {
		return mains, nil
	}
	named := append(w.r.files.mainPaths(), w.r.files.required()...)
	all, fault, err := w.goList(ctx, append([]string{"-e", "-json", "-m", "--"}, named...)...)
	if fault != "" || err != nil {
		return mains, err
	}
	w.r.Enough = true
	return all, nil
}

// A saying is what go says of the build list.
type saying struct {
	all   []listed
	graph string // why it cannot load the whole module graph, "" if it can
	load  string // why it refuses to load any package
}

// lacks reports whether what go complains of is that it may not download. The
// words are those of GOPROXY=off, which is gox's doing and not the user's.
func (s saying) lacks() bool {
	return strings.Contains(s.load, "GOPROXY=off") || s.load == "" && strings.Contains(s.graph, "GOPROXY=off")
}

// goListAll asks go thrice at a time. With -e alone go would hide that the
// module graph is incomplete, and without it would fail for a missing .info file
// that nobody needs. The pattern matches no module, but makes go load the graph;
// the package makes it compare go.mod with what it needs.
func (w *worker) goListAll(ctx context.Context) (s saying, err error) {
	if err := w.prepare(); err != nil {
		return s, err
	}
	var wg sync.WaitGroup
	var errs [3]error
	wg.Go(func() {
		var fault string
		if s.all, fault, errs[0] = w.goList(ctx, "-e", "-json", "-m", "all"); fault != "" && errs[0] == nil {
			s.all = nil
		}
	})
	wg.Go(func() { _, s.graph, errs[1] = w.goList(ctx, "-json", "-m", "gox.invalid/...") })
	wg.Go(func() {
		args := []string{"list", "-find", "errors"}
		if w.s.gowork == "" {
			args = slices.Insert(args, 1, "-mod=readonly")
		} // else go is to say what it thinks of the -mod in GOFLAGS
		s.load, errs[2] = w.run(ctx, io.Discard, args, true)
	})
	wg.Wait()
	if s.all == nil && s.graph == "" {
		s.graph = "go list -m all fails"
	}
	return s, errors.Join(errs[:]...)
}

// otherCaches lets go find go.mod files in the other module caches, into a
// module cache of its own, so that nothing enters the profile's.
func (w *worker) otherCaches() error {
	dir, err := w.scratch()
	if err != nil {
		return err
	}
	var urls []string
	for _, cache := range append([]string{w.s.modcache}, w.q.Caches...) {
		download := filepath.Join(cache, "cache", "download")
		if info, err := os.Stat(download); err == nil && info.IsDir() {
			urls = append(urls, fileURL(download))
		}
	}
	w.caches = []string{"GOPROXY=" + strings.Join(urls, "|") + ",off", "GOMODCACHE=" + filepath.Join(dir, "mod")}
	if len(urls) == 0 {
		w.caches[0] = "GOPROXY=off"
	}
	return nil
}

// goList runs go list with args, which have -json, so that it changes nothing. fault is
// what go said where it refused.
func (w *worker) goList(ctx context.Context, args ...string) (all []listed, fault string, err error) {
	var stdout bytes.Buffer
	fault, err = w.run(ctx, &stdout, append([]string{"list", "-mod=readonly"}, args...), true)
	if err != nil || fault != "" {
		return nil, fault, err
	}
	all, err = decode[listed](&stdout)
	return all, "", err
}

// decode reads objects that follow one another.
func decode[T any](r io.Reader) (all []T, err error) {
	for d := json.NewDecoder(r); ; {
		var one T
		if err := d.Decode(&one); err == io.EOF {
			return all, nil
		} else if err != nil {
			return all, fmt.Errorf("go list -json: output is not JSON: %w", err)
		}
		all = append(all, one)
	}
}

// prepare makes what run needs.
func (w *worker) prepare() (err error) {
	if w.s.gowork != "" && w.spare == nil {
		work, err := w.spareWork()
		if err != nil {
			return err
		}
		if work != "" {
			w.spare = []string{"GOWORK=" + work}
		}
	}
	if !exists(w.s.modcache) && !w.q.Download {
		_, err = w.scratch()
	}
	return err
}

// run runs go, with the copy of go.work where spare is true. fault is what it
// says where it fails.
func (w *worker) run(ctx context.Context, stdout io.Writer, args []string, spare bool) (fault string, err error) {
	env := slices.Clone(w.q.Env)
	if w.q.Download {
		env = append(env, w.q.DownloadEnv...)
	} else {
		env = append(env, offline()...)
	}
	env = append(env, w.caches...)
	if spare {
		env = append(env, w.spare...)
	}
	if w.temp != "" && !exists(w.s.modcache) && !w.q.Download && w.caches == nil {
		env = append(env, "GOMODCACHE="+filepath.Join(w.temp, "mod")) // go makes it
	}
	var stderr bytes.Buffer
	code, err := gocmd.Run(ctx, gocmd.Cmd{Path: w.q.Go, Args: args, Env: env, Dir: w.q.Dir, Stdout: stdout, Stderr: &stderr})
	if err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if code != 0 {
		return cmp.Or(w.plain(stderr.String()), fmt.Sprintf("go %s: exit code %d", strings.Join(args, " "), code)), nil
	}
	return "", nil
}

// plain makes what go said fit to be shown: the copy of go.work under the name
// of what it is a copy of, without secrets.
func (w *worker) plain(text string) string {
	if w.temp != "" {
		text = strings.ReplaceAll(text, filepath.Join(w.temp, "go.work"), w.s.gowork)
	}
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(text), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "warning: ") // of the pattern that matches nothing
	})
	return redact.Text(strings.Join(lines, "\n"))
}

// offline is what keeps go off the network. GOPROXY=off alone does not: it
// leaves open what GOPRIVATE names (the claim private-off).
func offline() []string { return []string{"GOPROXY=off", "GONOPROXY=none"} }

// unknown adds what the files name and go does not list.
func (r *Report) unknown(why string) {
	for _, path := range append(r.files.mainPaths(), r.files.required()...) {
		if !slices.ContainsFunc(r.Modules, func(m Module) bool { return m.Path == path }) {
			r.Modules = append(r.Modules, Module{Path: path, Source: Unknown, Note: firstLine(why), Evidence: r.files.requires(path, "")})
		}
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// module tells of one that go listed, outside vendor mode.
func (r *Report) module(l listed) Module {
	m := Module{Path: l.Path, Version: l.Version, Dir: l.Dir}
	switch {
	case l.Main && r.GoWork != "":
		m.Source = Use
		r.byUse(&m)
		return m
	case l.Main:
		m.Source = Main
		m.Evidence = r.files.moduleLine(l.Path)
		m.Rules = rules("order-module")
		return m
	case l.Replace != nil && l.Replace.Version == "":
		m.Source, m.Dir = Directory, l.Replace.Dir
		m.Replace = &Replacement{Path: m.Dir}
		m.Rules = rules("replace-dir-over-cache", "replace-dir-no-net")
		r.byReplace(&m)
		if !exists(filepath.Join(m.Dir, "go.mod")) {
			m.Source, m.Note = Nowhere, "there is no go.mod in the directory that replaces it: "+m.Dir
			m.Dir, m.Rules = "", append(m.Rules, rules("replace-dir-needs-gomod")...)
		}
		return m
	case l.Replace != nil:
		m.Replace = &Replacement{l.Replace.Path, l.Replace.Version}
		m.Rules = rules("replace-module")
		r.byReplace(&m)
	default:
		m.Evidence = r.files.requires(l.Path, l.Version)
		r.idle(&m)
	}
	m.Dir = ""
	r.fromOutside(&m)
	return m
}

// fromOutside tells of a module whose content is in the module cache or has to
// come from elsewhere.
func (r *Report) fromOutside(m *Module) {
	var fault string
	content := m.Content()
	m.Ask, fault = r.settings.ask(content.Path)
	if r.GoWork == "" && r.settings.mod != "mod" && r.files.hashes != nil && len(r.files.hashes[content.Path+" "+content.Version]) == 0 {
		m.Source, m.Rules = GoMod, append(m.Rules, rules("missing-gosum")...)
		m.Note = "go.sum has no hash of the module itself, so that go refuses to build packages of it"
		return
	}
	if have := r.settings.cached(content); have.dir || have.zip {
		m.Source, m.Dir = ModCache, have.path
		m.Rules = append(m.Rules, rules("cache-over-proxy")...)
		switch {
		case !have.dir:
			m.Note = "only its zip is in the module cache: go unpacks it"
			m.Rules = append(m.Rules, rules("cache-unpack-anew")...)
		case !have.zip:
			m.Rules = append(m.Rules, rules("cache-without-zip")...)
		}
		m.Filled, m.Origin = r.settings.filled(content), r.settings.origin(content)
		if m.Filled == nil {
			m.Rules = append(m.Rules, rules("order-cache-forgets")...)
		}
		return
	}
	switch {
	case fault != "":
		m.Source, m.Note = Nowhere, fault
	case len(m.Ask) == 0:
		m.Source, m.Note = Nowhere, "GOPROXY=off"
		m.Rules = append(m.Rules, rules("off-uses-cache")...)
	default:
		m.Source = Ask
		for i, e := range m.Ask {
			if i > 0 && e.raw != direct && module.MatchPrefixPatterns(r.settings.goprivate, content.Path) && !r.settings.meant(content.Path, e.URL) {
				r.Notes = append(r.Notes, fmt.Sprintf("GOPRIVATE matches %s, and yet %s would be asked for it where %s does not have it", content.Path, e.URL, m.Ask[0].URL))
				break
			}
		}
		if r.files.hashes != nil && len(r.files.hashes[content.Path+" "+content.Version]) == 0 {
			m.Note = "perhaps no package of it is needed: no go.sum knows more than its go.mod"
		}
		m.Rules = append(m.Rules, r.settings.askRules(content.Path, m.Ask)...)
	}
}

// choose leaves the modules that the arguments name.
func (w *worker) choose(ctx context.Context) error {
	if len(w.q.Arguments) == 0 {
		return nil
	}
	var chosen []Module
	take := func(path string, packages ...string) bool {
		for i := range chosen {
			if chosen[i].Path == path {
				chosen[i].Packages = append(chosen[i].Packages, packages...)
				return true
			}
		}
		i := slices.IndexFunc(w.r.Modules, func(m Module) bool { return m.Path == path })
		if i < 0 {
			return false
		}
		m := w.r.Modules[i]
		m.Packages = packages
		chosen = append(chosen, m)
		return true
	}
	var rest []string
	for _, arg := range w.q.Arguments {
		if !take(arg) {
			rest = append(rest, arg)
		}
	}
	if len(rest) > 0 {
		std, err := w.packages(ctx, rest, take)
		if err != nil {
			return err
		}
		chosen = append(chosen, std...)
	}
	w.r.Modules = chosen
	left := w.r.paths()
	w.r.Edges = slices.DeleteFunc(w.r.Edges, func(e [2]string) bool { return !slices.Contains(left, e[0]) || !slices.Contains(left, e[1]) })
	return nil
}

// A goPackage is what is read here of a package that go lists.
type goPackage struct {
	ImportPath, Dir string
	Standard        bool
	Module          *listed
	Error           *struct{ Err string }
}

// packages hands the modules of packages to take, and returns those of the
// standard library.
func (w *worker) packages(ctx context.Context, args []string, take func(string, ...string) bool) (std []Module, err error) {
	if w.r.Fault != "" {
		return nil, &ArgumentError{Argument: args[0], Cause: "go does not list packages here: " + firstLine(w.r.Fault)}
	}
	mode := []string{"list", "-e", "-find", "-json"}
	if w.r.VendorDir == "" {
		mode = append(mode, "-mod=readonly")
	}
	var stdout bytes.Buffer
	fault, err := w.run(ctx, &stdout, append(append(mode, "--"), args...), w.r.VendorDir == "")
	if err != nil {
		return nil, err
	}
	if fault != "" {
		return nil, &ArgumentError{Argument: strings.Join(args, " "), Cause: firstLine(fault)}
	}
	all, err := decode[goPackage](&stdout)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		switch {
		case p.Standard && p.Dir != "":
			m := w.s.standard(p.ImportPath, p.Dir)
			if i := slices.IndexFunc(std, func(have Module) bool { return have.Path == m.Path && have.Version == m.Version }); i >= 0 {
				std[i].Packages = append(std[i].Packages, p.ImportPath)
				continue
			}
			std = append(std, m)
		case p.Module != nil && take(p.Module.Path, p.ImportPath):
		default:
			if !w.byPrefix(p.ImportPath, take) {
				cause := "no module of the build list has this package"
				if p.Error != nil && !strings.Contains(p.Error.Err, "-mod=readonly") { // which is gox's doing
					cause = firstLine(w.plain(p.Error.Err))
				}
				return nil, &ArgumentError{p.ImportPath, cause, profiles.Nearest(p.ImportPath, w.r.paths())}
			}
		}
	}
	return std, nil
}

// byPrefix takes the modules that may have a package that go does not find
// here, because they have not been downloaded.
func (w *worker) byPrefix(pkg string, take func(string, ...string) bool) bool {
	found := false
	for _, m := range w.r.Modules {
		// What is here has been looked into.
		if (m.Source == Ask || m.Source == Nowhere || m.Source == GoMod) && (pkg == m.Path || strings.HasPrefix(pkg, m.Path+"/")) {
			found = take(m.Path, pkg) || found
		}
	}
	return found
}

func (r *Report) paths() []string {
	var paths []string
	for _, m := range r.Modules {
		paths = append(paths, m.Path)
	}
	return paths
}

// graph fills in the edges. In vendor mode go knows none.
func (w *worker) graph(ctx context.Context) error {
	if w.r.VendorDir != "" || w.r.Fault != "" {
		w.r.Notes = append(w.r.Notes, "go tells no graph of modules here")
		return nil
	}
	if err := w.prepare(); err != nil {
		return err
	}
	var stdout bytes.Buffer
	fault, err := w.run(ctx, &stdout, []string{"mod", "graph"}, true)
	if err != nil {
		return err
	}
	if fault != "" {
		w.r.Notes = append(w.r.Notes, "go tells no graph of modules here: "+fault)
		return nil
	}
	nodes := map[string]string{} // paths, by path and version
	paths := map[string]bool{}
	for _, m := range w.r.Modules {
		nodes[strings.TrimSuffix(m.Path+"@"+m.Version, "@")], paths[m.Path] = m.Path, true
	}
	seen := map[[2]string]bool{}
	for line := range strings.Lines(stdout.String()) {
		from, to, ok := strings.Cut(strings.TrimSpace(line), " ")
		path, _, _ := strings.Cut(to, "@")
		edge := [2]string{nodes[from], path}
		if ok && edge[0] != "" && paths[path] && edge[0] != path && !seen[edge] {
			seen[edge] = true
			w.r.Edges = append(w.r.Edges, edge)
		}
	}
	return nil
}
