package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
)

// listed is what is read here of what go list -json prints.
type listed struct {
	Path, Version, Dir string
	Main               bool
	Replace            *listed
}

// list fills in the modules.
func (r *Report) list(ctx context.Context, g *quietGo) error {
	defer r.usedTwice()
	vendor, reason := r.settings.vendorMode(r.files)
	if vendor != "" {
		return r.listVendored(ctx, g, vendor)
	}
	all, err := r.listAll(ctx, g)
	if err != nil {
		return err
	}
	for _, l := range all {
		r.Modules = append(r.Modules, r.module(l))
	}
	switch {
	case r.Fault != "":
		r.unknown("go refuses to build here")
	case r.Incomplete != "":
		r.unknown("go cannot tell without the module graph")
	}
	if reason != nil {
		for i := range r.Modules {
			r.Modules[i].Beats = append(r.Modules[i].Beats, r.vendoredCopy(&r.Modules[i], *reason)...)
		}
	}
	return nil
}

// listAll lists the build list outside vendor mode. Where go.mod files of the
// module graph are not in the module cache it tries those of other caches, and
// then what the main module itself names, which is all that a module of go 1.17
// or newer needs. Where it lists less, Report.Fault or Report.Incomplete says why.
func (r *Report) listAll(ctx context.Context, g *quietGo) ([]listed, error) {
	if err := g.spareWork(r.files); err != nil {
		return nil, err
	}
	said, err := g.listAll(ctx, r.GoWork != "")
	if err != nil {
		return nil, err
	}
	if said.lacks() && !g.q.Download && len(g.q.Caches) > 0 {
		if err := g.elsewhere(); err != nil {
			return nil, err
		}
		elsewhere, err := g.listAll(ctx, r.GoWork != "")
		if err != nil {
			return nil, err
		}
		if elsewhere.lacks() {
			g.caches = nil
		} else {
			said = elsewhere
		}
	}
	switch {
	case said.load != "" && (g.q.Download || !said.lacks()) && r.settings.mod == "mod" && r.GoWork == "":
		r.Incomplete = "with -mod=mod go would change go.mod first: " + said.load
		return nil, nil
	case said.load != "" && (g.q.Download || !said.lacks()):
		r.Fault = said.load
		return nil, nil
	case said.load == "" && said.graph == "":
		return said.all, nil
	}
	r.Incomplete = cmp.Or(said.load, said.graph)
	// The main modules are certain, without any graph.
	mains := slices.DeleteFunc(said.all, func(l listed) bool { return !l.Main })
	if said.load != "" || r.settings.mod == "mod" || len(r.files.mains) != 1 || r.GoWork != "" || !r.files.mains[0].pruned() {
		return mains, nil
	}
	named := append(r.files.mainPaths(), r.files.required()...)
	all, fault, err := g.list(ctx, append([]string{"-e", "-json", "-m", "--"}, named...)...)
	if fault != "" || err != nil {
		return mains, err
	}
	r.Enough = true
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

// listAll asks go thrice at a time. With -e alone go would hide that the
// module graph is incomplete, and without it would fail for a missing .info file
// that nobody needs. The pattern matches no module, but makes go load the graph;
// the package makes it compare go.mod with what it needs.
func (g *quietGo) listAll(ctx context.Context, workspace bool) (s saying, err error) {
	var wg sync.WaitGroup
	var errs [3]error
	var fault string
	wg.Go(func() { s.all, fault, errs[0] = g.list(ctx, "-e", "-json", "-m", "all") })
	wg.Go(func() { _, s.graph, errs[1] = g.list(ctx, "-json", "-m", "gox.invalid/...") })
	wg.Go(func() {
		args := []string{"list", "-find", "errors"}
		if !workspace {
			args = slices.Insert(args, 1, "-mod=readonly")
		} // else go is to say what it thinks of the -mod in GOFLAGS
		s.load, errs[2] = g.run(ctx, nil, args...)
	})
	wg.Wait()
	s.graph = cmp.Or(s.graph, fault)
	return s, errors.Join(errs[:]...)
}

func (r *Report) paths() []string {
	var paths []string
	for _, m := range r.Modules {
		paths = append(paths, m.Path)
	}
	return paths
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// graph fills in the edges. In vendor mode go knows none.
func (r *Report) graph(ctx context.Context, g *quietGo) error {
	if r.VendorDir != "" || r.Fault != "" {
		r.Notes = append(r.Notes, "go tells no graph of modules here")
		return nil
	}
	var stdout bytes.Buffer
	fault, err := g.run(ctx, &stdout, "mod", "graph")
	if err != nil {
		return err
	}
	if fault != "" {
		r.Notes = append(r.Notes, "go tells no graph of modules here: "+fault)
		return nil
	}
	nodes := map[string]string{} // paths, by path and version
	paths := map[string]bool{}
	for _, m := range r.Modules {
		nodes[strings.TrimSuffix(m.Path+"@"+m.Version, "@")], paths[m.Path] = m.Path, true
	}
	seen := map[[2]string]bool{}
	for line := range strings.Lines(stdout.String()) {
		from, to, ok := strings.Cut(strings.TrimSpace(line), " ")
		path, _, _ := strings.Cut(to, "@")
		edge := [2]string{nodes[from], path}
		if ok && edge[0] != "" && paths[path] && edge[0] != path && !seen[edge] {
			seen[edge] = true
			r.Edges = append(r.Edges, edge)
		}
	}
	return nil
}
