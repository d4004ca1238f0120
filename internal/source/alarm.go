package source

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/net/publicsuffix"

	"example.com/gox/internal/gateway"
)

// An AlarmKind is what is wrong.
type AlarmKind string

const (
	// Differ: two upstreams serve one version with different bytes.
	Differ AlarmKind = "differ"
	// Leak: a path that GOPRIVATE matches was asked for at somebody else's.
	Leak AlarmKind = "leak"
	// Confusion: somebody else's upstream has a module that GOPRIVATE matches,
	// so that it can stand in for the private one.
	Confusion AlarmKind = "confusion"
	// Unserved: the module cache has a module that no upstream has any more.
	Unserved AlarmKind = "unserved"
	// SumDiffers: the checksum database says something else than an upstream or
	// go.sum.
	SumDiffers AlarmKind = "sumdb"
	// SumUnknown: go.sum has a hash that no upstream's content has.
	SumUnknown AlarmKind = "sum"
)

// An Alarm is a finding.
type Alarm struct {
	Kind    AlarmKind `json:"kind"`
	Module  string    `json:"module"`
	Version string    `json:"version,omitempty"`
	Text    string    `json:"text"` // a sentence, without the module
	Mend    string    `json:"mend"`
}

func (a Alarm) String() string {
	return strings.TrimSpace(a.Module+" "+a.Version) + ": " + a.Text + "\n\t" + a.Mend
}

// alarm adds alarms, the worst first.
func (r *Report) alarm(alarms ...Alarm) {
	r.Alarms = append(r.Alarms, alarms...)
	order := []AlarmKind{SumDiffers, Differ, Confusion, Leak, SumUnknown, Unserved}
	slices.SortStableFunc(r.Alarms, func(a, b Alarm) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind)), cmp.Compare(a.Module, b.Module))
	})
}

// alarming returns what is alarming about records, one alarm for each module
// and upstream.
func (s settings) alarming(records []logged) (alarms []Alarm) {
	seen := map[string]bool{}
	add := func(key string, a Alarm) {
		if key = string(a.Kind) + " " + a.Module + " " + key; !seen[key] {
			seen[key] = true
			alarms = append(alarms, a)
		}
	}
	type answer struct{ upstream, hash string }
	mods := map[module.Version][]answer{}
	// From the newest on, whose time is told.
	for _, rec := range slices.Backward(records) {
		if rec.Module == "" {
			continue
		}
		m := module.Version{Path: rec.Module, Version: rec.Version}
		when := rec.Time.UTC().Format("2006-01-02 15:04:05 MST")
		if rec.File == gateway.Mod && rec.Found() && rec.SHA256 != "" {
			for _, other := range mods[m] {
				if other.upstream != rec.Upstream && other.hash != rec.SHA256 {
					add(rec.Upstream+other.upstream, Alarm{Differ, m.Path, m.Version,
						fmt.Sprintf("%s and %s have served different go.mod files (%s)", rec.Upstream, other.upstream, rec.file), "compare them: gox source --probe " + m.Path})
				}
			}
			mods[m] = append(mods[m], answer{rec.Upstream, rec.SHA256})
		}
		if !module.MatchPrefixPatterns(s.goprivate, rec.Module) {
			continue
		}
		who := rec.Upstream
		if rec.File == gateway.SumDB {
			who = "the checksum database " + rec.SumDB
		} else if s.meant(rec.Module, rec.Upstream) {
			continue
		}
		switch {
		case rec.File != gateway.SumDB && rec.Found():
			add(who, Alarm{Confusion, m.Path, m.Version,
				fmt.Sprintf("GOPRIVATE matches it, and yet %s has served it, on %s (%s)", who, when, rec.file),
				"look whether it is yours, and keep it from there: goprivate without gonoproxy"})
		default:
			add(who, Alarm{Leak, m.Path, "",
				fmt.Sprintf("GOPRIVATE matches it, and yet %s was asked for it, on %s (%s)", who, when, rec.file),
				"keep private paths from there: goprivate without gonoproxy and gonosumdb, or one proxy of your own alone"})
		}
	}
	return alarms
}

// meant reports whether an upstream, by its redacted URL, is meant to serve a
// module that GOPRIVATE matches: it is the first of GOPROXY, and GONOPROXY does
// not keep the module from it, so that somebody has decided so; or it is of
// the same domain as what GOPRIVATE names, or of the user's own network.
func (s settings) meant(path, upstream string) bool {
	if !module.MatchPrefixPatterns(s.gonoproxy, path) {
		if list := proxyEntries(s.goproxy); len(list) > 0 && list[0].URL == upstream {
			return true
		}
	}
	u, err := url.Parse(upstream)
	if err != nil || u.Scheme == "file" {
		return err == nil
	}
	host := u.Hostname()
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
	}
	if !strings.Contains(host, ".") {
		return true // known to the own network alone
	}
	for pattern := range strings.SplitSeq(s.goprivate, ",") {
		domain, _, _ := strings.Cut(pattern, "/")
		for strings.ContainsAny(domain, "*?[") { // to what the pattern leaves open
			_, rest, ok := strings.Cut(domain, ".")
			if !ok {
				domain = ""
				break
			}
			domain = rest
		}
		mine, err := publicsuffix.EffectiveTLDPlusOne(domain)
		theirs, terr := publicsuffix.EffectiveTLDPlusOne(host)
		if err == nil && terr == nil && mine == theirs {
			return true
		}
	}
	return false
}

// compare returns what is alarming about the answers for a module.
func (r *Report) compare(m *Module) (alarms []Alarm) {
	if len(m.Probe) == 0 {
		return nil
	}
	content := m.Content()
	add := func(kind AlarmKind, mend, format string, args ...any) {
		alarms = append(alarms, Alarm{kind, content.Path, content.Version, fmt.Sprintf(format, args...), mend})
	}
	const look = "find out which is right, and take the other out of GOPROXY"
	missing, failed := 0, 0
	var first *Answer // that serves
	for i := range m.Probe {
		a := &m.Probe[i]
		switch a.Outcome {
		case Missing:
			missing++
		case Failed:
			if a.Upstream != direct {
				failed++ // of a repository, go does not say in which way
			}
		case Serves:
			if first == nil {
				first = a
				break
			}
			switch {
			case first.ModHash != a.ModHash:
				add(Differ, look, "%s and %s serve different go.mod files: %s, %s", first.Upstream, a.Upstream, first.ModHash, a.ModHash)
			case first.ZipHash != a.ZipHash && first.ZipHash != "" && a.ZipHash != "":
				add(Differ, look, "%s and %s serve different content: %s, %s", first.Upstream, a.Upstream, first.ZipHash, a.ZipHash)
			case first.Commit != a.Commit && first.Commit != "" && a.Commit != "":
				add(Differ, look, "%s and %s say that it is of different commits: %s, %s", first.Upstream, a.Upstream, first.Commit, a.Commit)
			}
		}
	}
	if module.MatchPrefixPatterns(r.settings.goprivate, content.Path) {
		alarms = append(alarms, r.strayed(m)...)
	}
	if first == nil && failed == 0 && missing+1 >= len(m.Probe) && !slices.ContainsFunc(m.Probe, func(a Answer) bool { return a.Outcome == Unasked }) &&
		(m.Source == ModCache || m.Source == Vendor) {
		why := ""
		if last := m.Probe[len(m.Probe)-1]; last.Outcome == Failed {
			why = " (" + last.Error + ")"
		}
		add(Unserved, "keep a copy: the module cache's cache/download can be a file:// entry of GOPROXY", "it is here, and no source of GOPROXY has it any more%s", why)
	}
	for _, sum := range []struct {
		suffix, what string
		of           func(Answer) string
	}{
		{"/go.mod", "its go.mod", func(a Answer) string { return a.ModHash }},
		{"", "its content", func(a Answer) string { return a.ZipHash }},
	} {
		known := r.files.hashes[content.Path+" "+content.Version+sum.suffix]
		var got []string
		match := false
		for _, a := range m.Probe {
			if hash := sum.of(a); a.Outcome == Serves && hash != "" {
				got = append(got, hash)
				match = match || slices.Contains(known, hash)
			}
		}
		if len(known) > 0 && len(got) > 0 && !match {
			add(SumUnknown, "go.sum was written from other content: find out which is right before you go mod tidy", "go.sum says that %s is %s, and the sources have %s",
				sum.what, strings.Join(known, ", "), strings.Join(slices.Compact(got), ", "))
		}
	}
	return alarms
}

// strayed returns what is alarming about the answers for a module that
// GOPRIVATE matches.
func (r *Report) strayed(m *Module) (alarms []Alarm) {
	content := m.Content()
	entries, _ := r.settings.ask(content.Path)
	for i, a := range m.Probe {
		if i == 0 || a.Upstream == direct || r.settings.meant(content.Path, a.Upstream) {
			continue
		}
		before := m.Probe[i-1]
		moves := before.Outcome == Missing || before.Outcome == Failed && entries[i-1].Always
		switch {
		case a.Outcome == Serves:
			alarms = append(alarms, Alarm{Confusion, content.Path, content.Version,
				fmt.Sprintf("GOPRIVATE matches it, and %s has one too, which go takes where %s does not answer for it", a.Upstream, m.Probe[0].Upstream),
				"keep it from there: goprivate without gonoproxy, or one proxy of your own alone"})
		case moves:
			alarms = append(alarms, Alarm{Leak, content.Path, content.Version,
				fmt.Sprintf("GOPRIVATE matches it, %s does not serve it, and so go asks %s for it", before.Upstream, a.Upstream),
				"keep it from there: goprivate without gonoproxy, or one proxy of your own alone"})
		}
	}
	return alarms
}
