package source

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"

	"example.com/gox/internal/redact"
	"example.com/gox/profiles"
)

// choose leaves the modules that the arguments name.
func (r *Report) choose(ctx context.Context, g *quietGo, args []string) error {
	if len(args) == 0 {
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
		i := slices.IndexFunc(r.Modules, func(m Module) bool { return m.Path == path })
		if i < 0 {
			return false
		}
		m := r.Modules[i]
		m.Packages = packages
		chosen = append(chosen, m)
		return true
	}
	var rest []string
	for _, arg := range args {
		if !take(arg) {
			rest = append(rest, arg)
		}
	}
	if len(rest) > 0 {
		std, err := r.packages(ctx, g, rest, take)
		if err != nil {
			return err
		}
		chosen = append(chosen, std...)
	}
	r.Modules = chosen
	left := r.paths()
	r.Edges = slices.DeleteFunc(r.Edges, func(e [2]string) bool { return !slices.Contains(left, e[0]) || !slices.Contains(left, e[1]) })
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
func (r *Report) packages(ctx context.Context, g *quietGo, args []string, take func(string, ...string) bool) (std []Module, err error) {
	if r.Fault != "" {
		return nil, &ArgumentError{Argument: args[0], Cause: "go does not list packages here: " + firstLine(r.Fault)}
	}
	mode := []string{"list", "-e", "-find", "-json"}
	if r.VendorDir == "" {
		mode = append(mode, "-mod=readonly")
	}
	var stdout bytes.Buffer
	fault, err := g.run(ctx, &stdout, append(append(mode, "--"), args...)...)
	if err != nil {
		return nil, err
	}
	if fault != "" {
		wrong := &ArgumentError{Argument: strings.Join(args, " "), Cause: firstLine(fault)}
		if strings.Contains(fault, "GOPROXY=off") && r.GoProxy != "off" && !g.q.Download {
			wrong.Cause = "no module is called so, and packages go finds only with all go.mod files: " + wrong.Cause
			wrong.Mend = cmp.Or(r.near(args[0]), "let go fetch them: gox source --download "+wrong.Argument)
		}
		return nil, wrong
	}
	all, err := decode[goPackage](&stdout)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		switch {
		case p.Standard && p.Dir != "":
			m := r.settings.standard(p.ImportPath, p.Dir)
			if i := slices.IndexFunc(std, func(have Module) bool { return have.Path == m.Path && have.Version == m.Version }); i >= 0 {
				std[i].Packages = append(std[i].Packages, p.ImportPath)
				continue
			}
			std = append(std, m)
		case p.Module != nil && take(p.Module.Path, p.ImportPath):
		case r.byPrefix(p.ImportPath, take):
		default:
			cause := "no module of the build list has this package"
			if p.Error != nil && !strings.Contains(p.Error.Err, "-mod=readonly") { // which is gox's doing
				cause = firstLine(redact.Text(g.plain(p.Error.Err)))
			}
			return nil, &ArgumentError{p.ImportPath, cause, r.near(p.ImportPath)}
		}
	}
	return std, nil
}

// near asks whether another module was meant: the one a typing error away, or
// the only one whose path goes on from there or ends with it.
func (r *Report) near(path string) string {
	meant := profiles.Nearest(path, r.paths())
	if meant == "" {
		longer := slices.DeleteFunc(r.paths(), func(p string) bool { return !strings.HasPrefix(p, path) && !strings.HasSuffix(p, "/"+path) })
		if len(longer) == 1 {
			meant = longer[0]
		}
	}
	if meant == "" {
		return ""
	}
	return "did you mean " + meant + "?"
}

// byPrefix takes the modules that may have a package that go does not find
// here, because they have not been downloaded.
func (r *Report) byPrefix(pkg string, take func(string, ...string) bool) bool {
	found := false
	for _, m := range r.Modules {
		// What is here has been looked into.
		if (m.Source == Ask || m.Source == Nowhere || m.Source == GoMod) && (pkg == m.Path || strings.HasPrefix(pkg, m.Path+"/")) {
			found = take(m.Path, pkg) || found
		}
	}
	return found
}
