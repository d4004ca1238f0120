package trace

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/gox/internal/gateway"
)

//go:embed page.html
var pageHTML string

// A bar is one request in the waterfall, in percent of the span.
type bar struct {
	gateway.Record
	What                   string // "golang.org/x/text@v0.14.0 zip"
	Class                  string // served, missing, failed
	Left                   string
	Parts                  []part
	At, Took, Size, Answer string
	Filter                 string
	Title                  string
}

// A part is a phase of a request.
type part struct {
	Class, Width string
}

// WriteHTML writes the report as one page that needs nothing beside it: totals,
// modules, and the requests as a waterfall. Without JavaScript there is no
// filter and no sorting, and all the rest. After "#q=" the page's address may
// say which requests to show: "#q=zip failed".
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"size": Size, "seconds": seconds, "join": strings.Join,
		"before": func(m Module) string { return m.before() },
		"name": func(m Module) string {
			if m.Version == "" {
				return m.Path
			}
			return m.Path + "@" + m.Version
		},
		"class": func(source string) string { return strings.ReplaceAll(source, " ", "-") },
		"git":   func(g Git) string { return strings.Join(g.Args, " ") },
	}).Parse(pageHTML)
	if err != nil {
		return err
	}
	page := struct {
		*Report
		Title   string
		Numbers []string
		Bars    []bar
		Ticks   []tick
		Total   int64
	}{Report: r, Title: "go " + strings.Join(r.Command, " "), Numbers: r.numbers(), Bars: r.bars(), Ticks: r.ticks()}
	for _, u := range r.Upstreams {
		page.Total += u.Bytes
	}
	return t.Execute(w, page)
}

func percent(part, whole float64) string {
	if whole <= 0 {
		return "0"
	}
	return fmt.Sprintf("%.3f", min(100, max(0, 100*part/whole)))
}

// span is how long the requests took, from the start of the run to the end of
// the last of them, in milliseconds: what comes after it is go's own work.
func (r *Report) span() float64 {
	span := 1.0
	for _, rec := range r.Records {
		span = max(span, since(r.Start, rec.Time)+rec.Phases.Total)
	}
	return span
}

// A tick is a mark on the axis of time.
type tick struct{ Left, Label string }

func (r *Report) ticks() []tick {
	span, step := r.span(), 1.0
	for _, next := range []float64{2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 60000, 300000} {
		if span/step > 8 {
			step = next
		}
	}
	var all []tick
	for at := 0.0; at < span; at += step {
		label := fmt.Sprintf("%g ms", at)
		if step >= 1000 {
			label = fmt.Sprintf("%g s", at/1000)
		}
		all = append(all, tick{percent(at, span), label})
	}
	return all
}

func (r *Report) bars() []bar {
	span := r.span()
	var all []bar
	for _, rec := range r.Records {
		b := bar{Record: rec, What: rec.Path, At: seconds(since(r.Start, rec.Time)), Took: seconds(rec.Phases.Total), Size: Size(rec.Bytes)}
		switch {
		case rec.Module != "" && rec.Version != "":
			b.What = rec.Module + "@" + rec.Version
		case rec.Module != "":
			b.What = rec.Module
		}
		switch {
		case rec.Found():
			b.Class, b.Answer = "served", strconv.Itoa(rec.Status)
		case rec.Missing():
			b.Class, b.Answer = "missing", strconv.Itoa(rec.Status)
		case rec.Source == gateway.FromGateway:
			b.Class, b.Answer = "failed", "none"
		default:
			b.Class, b.Answer = "failed", strconv.Itoa(rec.Status)
		}
		b.Left = percent(since(r.Start, rec.Time), span)
		p := rec.Phases
		rest := p.Total - p.DNS - p.Connect - p.TLS - p.FirstByte
		tried := 0.0
		for _, try := range rec.Tries {
			tried += try.Millis
		}
		tried = min(tried, max(0, rest))
		last := "body"
		if b.Class == "failed" {
			last = "lost"
		}
		for _, phase := range []struct {
			class string
			took  float64
		}{{"tried", tried}, {"dns", p.DNS}, {"connect", p.Connect}, {"tls", p.TLS}, {"wait", p.FirstByte}, {last, max(0, rest-tried)}} {
			if phase.took > 0 {
				b.Parts = append(b.Parts, part{phase.class, percent(phase.took, span)})
			}
		}
		lines := []string{address(rec)}
		for _, redirect := range rec.Redirects {
			lines = append(lines, fmt.Sprintf("%d to %s", redirect.Status, redirect.URL))
		}
		for _, try := range rec.Tries {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("before (%s): %d %s", try.Why, try.Status, try.Error)))
		}
		lines = append(lines, fmt.Sprintf("names %.1f, connection %.1f, TLS %.1f, first byte %.1f, all %.1f ms", p.DNS, p.Connect, p.TLS, p.FirstByte, p.Total))
		lines = append(lines, slices.DeleteFunc([]string{rec.Protocol, rec.Remote, rec.TLSIssuer, rec.Error}, func(s string) bool { return s == "" })...)
		b.Title = strings.Join(lines, "\n")
		b.Filter = strings.ToLower(strings.Join([]string{b.What, rec.File, rec.Upstream, b.Answer, b.Class}, " "))
		all = append(all, b)
	}
	return all
}

func since(start, t time.Time) float64 { return float64(t.Sub(start).Microseconds()) / 1000 }
