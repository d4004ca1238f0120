package trace

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"example.com/gox/internal/gateway"
)

// WriteText writes the report for people: what was asked for, module by module,
// and what was not asked for in numbers.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "gox trace: go %s: exit code %d after %s\n", strings.Join(r.Command, " "), r.ExitCode, seconds(r.Millis))
	rows := [][]string{}
	graph := 0
	for _, m := range r.Modules {
		if m.Source == Proxy && m.Version != "" && !slices.Contains(m.Files, gateway.Zip) {
			graph++
		} else if row := m.row(); row != nil {
			rows = append(rows, row)
		}
	}
	if len(rows) > 0 {
		b.WriteString("\n")
		columns(&b, append([][]string{{"module", "from", "files", "bytes", "time", "before"}}, rows...))
	}
	if len(r.Upstreams) > 0 {
		b.WriteString("\n")
		rows := [][]string{{"proxy", "requests", "served", "not there", "failed", "bytes", "median", "slowest"}}
		for _, u := range r.Upstreams {
			requests := strconv.Itoa(u.Requests)
			if u.SumDB > 0 {
				requests += fmt.Sprintf(" (%d sumdb)", u.SumDB)
			}
			if u.Again > 0 {
				requests += fmt.Sprintf(" +%d again", u.Again)
			}
			rows = append(rows, []string{u.Name, requests, strconv.Itoa(u.Found), strconv.Itoa(u.Missing), strconv.Itoa(u.Failed), Size(u.Bytes), seconds(u.Median), seconds(u.Slowest)})
		}
		columns(&b, rows)
	}
	local := 0
	for i, g := range r.Git {
		if i == 0 {
			b.WriteString("\n")
		}
		if !g.Remote() {
			local++
			continue
		}
		args := slices.Clone(g.Args)
		if strings.HasSuffix(args[0], "git") {
			args[0] = "git"
		}
		fmt.Fprintf(&b, "%s: exit code %d, %s%s\n", strings.Join(args, " "), g.ExitCode, seconds(g.Millis), within(g))
	}
	if local > 0 {
		fmt.Fprintf(&b, "%s besides, which asked nobody\n", several(local, "git command"))
	}
	b.WriteString("\n")
	if len(r.Records) == 0 {
		b.WriteString("no proxy was asked for anything\n")
	}
	if graph > 0 {
		fmt.Fprintf(&b, "%s of which only go.mod or .info was asked for, to choose versions\n", several(graph, "module"))
	}
	for _, line := range r.numbers() {
		b.WriteString(line + "\n")
	}
	for _, line := range r.Unseen {
		b.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, clean(b.String()))
	return err
}

// row is what is told of a module by itself, nil for one that only counts.
func (m *Module) row() []string {
	name := m.Path
	if m.Version != "" {
		name += "@" + m.Version
	}
	from := m.From
	switch m.Source {
	case Cache, Vendor, Unknown:
		return nil
	case Direct, Replace, Workspace, NotFound:
		from = strings.TrimSpace(m.Source + " " + m.From)
	}
	bytes, millis := "", ""
	if m.Files != nil || m.Before != nil {
		bytes, millis = Size(m.Bytes), seconds(m.Millis)
	}
	return []string{name, from, strings.Join(m.Files, " "), bytes, millis, m.before()}
}

// before tells in one line what was asked in vain: for each upstream and
// outcome the files.
func (m *Module) before() string {
	var keys []string
	files := map[string][]string{}
	for _, h := range m.Before {
		key := h.Upstream + " " + h.outcome()
		if files[key] == nil {
			keys = append(keys, key)
		}
		if !slices.Contains(files[key], h.File) {
			files[key] = append(files[key], h.File)
		}
	}
	for i, key := range keys {
		keys[i] = key + " (" + strings.Join(files[key], " ") + ")"
	}
	return strings.Join(keys, "; ")
}

// outcome is the status, or what went wrong, without the URL that net/http's
// errors repeat.
func (h *Hop) outcome() string {
	text := h.Error
	if i := strings.LastIndex(text, "\": "); i >= 0 {
		text = text[i+len("\": "):]
	}
	if h.Status != 0 {
		text = strings.TrimSpace(strconv.Itoa(h.Status) + " " + text)
	}
	return text
}

// numbers says in sentences how many modules came from where.
func (r *Report) numbers() []string {
	var all []string
	say := func(source, text string) {
		if n := r.Count(source); n > 0 {
			all = append(all, several(n, "module")+" "+text)
		}
	}
	say(Proxy, "from proxies in this run, in whole or in part")
	say(Direct, "from repositories in this run")
	say(NotFound, "not found")
	say(Cache, "of go.mod in the module cache already")
	say(Vendor, "of go.mod from the vendor directory")
	say(Replace, "from directories that replace directives name")
	say(Unknown, "of go.mod neither asked for nor in the module cache: unknown, or not needed")
	if n := len(slices.DeleteFunc(slices.Clone(r.Modules), func(m Module) bool { return m.Source != Workspace })); n > 0 {
		all = append(all, fmt.Sprintf("%d of the workspace", n))
	}
	return all
}

// several writes a number of things.
func several(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

func within(g Git) string {
	if g.Repository == "" || slices.Contains(g.Args, g.Repository) {
		return ""
	}
	return ", " + g.Repository
}

// seconds writes milliseconds for people.
func seconds(millis float64) string {
	switch {
	case millis < 10:
		return fmt.Sprintf("%.1f ms", millis)
	case millis < 1000:
		return fmt.Sprintf("%.0f ms", millis)
	}
	return fmt.Sprintf("%.1f s", millis/1000)
}

// Size writes a number of bytes for people.
func Size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// columns writes rows, two blanks between the cells.
func columns(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			line += cell + strings.Repeat(" ", widths[i]-len([]rune(cell))+2)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// clean takes out what a terminal would obey.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f || 0x80 <= r && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
