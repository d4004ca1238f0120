package testscripts

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// account says for a message what was served from where, and what was asked,
// since the last reset of requests.
func (w *world) account() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.records) == 0 {
		return "no server was asked for anything" + w.idle()
	}
	var b strings.Builder
	served := w.served()
	if len(served) == 0 {
		b.WriteString("no server served a module\n")
	} else {
		b.WriteString("served from where:\n")
	}
	for _, line := range served {
		b.WriteString("\t" + line + "\n")
	}
	shown := w.records
	b.WriteString("what was asked:")
	if len(shown) > manyRequests {
		// Those in the middle that were answered are of the least use.
		shown = slices.DeleteFunc(slices.Clone(shown[:len(shown)-manyRequests/2]), func(r *record) bool { return r.status == "200" })
		shown = append(shown, w.records[len(w.records)-manyRequests/2:]...)
		fmt.Fprintf(&b, " %d requests, of which those not answered with 200, and the last", len(w.records))
	}
	for _, r := range shown {
		b.WriteString("\n\t" + r.String())
	}
	return b.String() + w.idle()
}

// manyRequests is how many a message lists at least before it leaves some out.
const manyRequests = 60

// served returns a line for each module version and each repository of which a
// server sent something: what, and the server that did so last.
func (w *world) served() []string {
	kinds := map[string][]string{} // by module
	from := map[string]*record{}   // by module and kind
	var modules []string
	for _, r := range w.records {
		what, kind := "", r.asked.kind
		switch {
		case r.status != "200":
		case kind == "zip" || kind == "mod":
			what = r.asked.Version.String()
		case strings.HasSuffix(r.url, "/git-upload-pack"):
			what, kind = strings.TrimSuffix(r.url, "/git-upload-pack"), "git"
		}
		if what == "" {
			continue
		}
		if kinds[what] == nil {
			modules = append(modules, what)
		}
		if from[what+" "+kind] == nil {
			kinds[what] = append(kinds[what], kind)
		}
		from[what+" "+kind] = r
	}
	var lines []string
	graph := map[string]int{} // how many modules only the go.mod was sent of, by server
	for _, m := range modules {
		if len(modules) > manyRequests && slices.Equal(kinds[m], []string{"mod"}) {
			graph[from[m+" mod"].server]++
			continue
		}
		by := map[string][]string{} // the kinds, by server
		for _, kind := range kinds[m] {
			s := from[m+" "+kind].server
			by[s] = append(by[s], kind)
		}
		for _, s := range slices.Sorted(maps.Keys(by)) {
			where := ""
			if url := w.servers[s].url; url != "" {
				where = " at " + url
			}
			lines = append(lines, fmt.Sprintf("%s (%s) from %s%s", m, strings.Join(by[s], ", "), s, where))
		}
	}
	for _, s := range slices.Sorted(maps.Keys(graph)) {
		lines = append(lines, fmt.Sprintf("the go.mod of %d more from %s", graph[s], s))
	}
	return lines
}

// idle names the servers that nobody asked.
func (w *world) idle() string {
	asked := map[string]bool{unknown: true}
	for _, r := range w.records {
		asked[r.server] = true
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(w.servers)), func(name string) bool { return asked[name] })
	if len(names) == 0 {
		return ""
	}
	return "\nnever asked: " + strings.Join(names, ", ")
}
