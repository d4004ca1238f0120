package source

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"strings"
)

//go:embed page.html
var pageText string

// WriteHTML writes r as one page that needs nothing else: the modules in a table
// that can be filtered, each with its explanation behind it. #q=WORDS in its
// address filters at once.
func (r *Report) WriteHTML(w io.Writer) error {
	root := filepath.Dir(cmp.Or(r.GoWork, r.GoMod)) + string(filepath.Separator)
	short := func(text string) string { return strings.ReplaceAll(text, root, "") }
	t, err := template.New("page").Funcs(template.FuncMap{
		"class":  func(k Kind) string { return strings.ReplaceAll(string(k), ".", "-") },
		"counts": r.counts,
		"place":  func(e Evidence) string { return short(e.String()) },
		"short":  short,
		"lower":  strings.ToLower,
	}).Parse(pageText)
	if err != nil {
		return err
	}
	return t.Execute(w, r)
}

// A count is how many modules a source supplies.
type count struct {
	Kind Kind
	N    int
}

func (r *Report) counts() []count {
	var all []count
	for _, k := range []Kind{Main, Use, Directory, Vendor, ModCache, Ask, GoMod, Std, Nowhere, Unknown} {
		n := 0
		for _, m := range r.Modules {
			if m.Source == k {
				n++
			}
		}
		if n > 0 {
			all = append(all, count{k, n})
		}
	}
	return all
}

// WriteDOT writes the modules as a graph for graphviz, coloured by source. An
// arrow leads to what a module requires, where Query.Graph was set.
func (r *Report) WriteDOT(w io.Writer) error {
	var b strings.Builder
	b.WriteString("digraph modules {\n\trankdir=LR\n\tnode [shape=box, style=filled, fontname=\"sans-serif\"]\n")
	for _, m := range r.Modules {
		label := m.Path
		if m.Version != "" {
			label += "\n" + m.Version
		}
		label += "\n" + m.Words()
		fmt.Fprintf(&b, "\t%s [label=%s, fillcolor=%s]\n", quoteDOT(m.Path), quoteDOT(label), quoteDOT(m.Source.colour()))
	}
	for _, e := range r.Edges {
		fmt.Fprintf(&b, "\t%s -> %s\n", quoteDOT(e[0]), quoteDOT(e[1]))
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// colour is that of a source in a graph.
func (k Kind) colour() string {
	switch k {
	case Main:
		return "#c7d7f5"
	case Use:
		return "#bfe3c8"
	case Directory:
		return "#f7d9a8"
	case Vendor:
		return "#e3ccef"
	case ModCache:
		return "#e8e8e8"
	case Ask:
		return "#fff3b0"
	case Nowhere, Unknown:
		return "#f5b7b1"
	}
	return "#ffffff"
}

// quoteDOT writes a string as graphviz reads it.
func quoteDOT(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
