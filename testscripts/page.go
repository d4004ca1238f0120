package testscripts

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
)

//go:embed page.html
var pageHTML string

// WriteHTML writes the report as one page that needs nothing beside it: the
// claims by topic, with a box to filter them, and the scripts, each behind the
// rows of its claims. Without JavaScript there is no filter, and all the rest.
//
// After "#" the page's address may say what to show: "#q=vendor" the rows with
// this word, "#changes" those that change between versions, "#fails" those that
// deviate, "#q=vendor&changes" both.
func (r Report) WriteHTML(w io.Writer) error {
	type script struct {
		*Script
		Anchor string
		Rows   []Row
		Failed []Result
	}
	type topic struct {
		Name    string
		Claims  int
		Scripts []script
	}
	page := struct {
		Title, Summary      string
		Heads               []string
		Columns             int
		Ran, Fails, Changes bool
		Missing             []Missing
		Topics              []topic
	}{Title: "Verdicts on go", Heads: r.Headings(), Columns: len(r.Versions) + 1, Ran: r.Results != nil, Missing: r.Missing}
	var n counts
	for _, t := range r.Topics() {
		page.Topics = append(page.Topics, topic{Name: t.Name, Claims: len(t.Rows)})
		to := &page.Topics[len(page.Topics)-1]
		for _, row := range t.Rows {
			n.add(row)
			last := len(to.Scripts) - 1
			if last < 0 || to.Scripts[last].Script != row.Script {
				to.Scripts = append(to.Scripts, script{Script: row.Script, Anchor: anchor(row.Script.File)})
				last++
				for _, res := range r.Results {
					if res.Script == row.Script && res.Err != nil {
						to.Scripts[last].Failed = append(to.Scripts[last].Failed, res)
					}
				}
			}
			to.Scripts[last].Rows = append(to.Scripts[last].Rows, row)
		}
	}
	page.Summary, page.Fails, page.Changes = n.String(), n.deviate > 0, n.change > 0
	t, err := template.New("page").Funcs(template.FuncMap{
		"word":  Cell.word,
		"class": Cell.class,
		"code":  codeSpans,
	}).Parse(pageHTML)
	if err != nil {
		return err
	}
	return t.Execute(w, page)
}

// word returns the cell's text without the arrow, which the page draws.
func (c Cell) word() string {
	c.Changed = false
	return c.Text()
}

// class returns the cell's classes in the page's style.
func (c Cell) class() string {
	class := string(c.Verdict)
	if c.Verdict == NotApplicable {
		class = "na"
	}
	if c.Changed {
		class += " changed"
	}
	return class
}

// anchor makes an id within the page of the name of a file.
func anchor(file string) string {
	return "s-" + strings.Map(func(r rune) rune {
		if r == '/' || r == '.' || validID(strings.ToLower(string(r))) {
			return r
		}
		return '_'
	}, file)
}

// A span is a piece of a sentence, code where it stands between backquotes.
type textSpan struct {
	Code bool
	Text string
}

func codeSpans(s string) []textSpan {
	var spans []textSpan
	for i, part := range strings.Split(s, "`") {
		if part != "" {
			spans = append(spans, textSpan{i%2 == 1, part})
		}
	}
	return spans
}
