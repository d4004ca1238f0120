package source

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"example.com/gox/internal/redact"
	"golang.org/x/mod/module"
)

// An Entry is one of those whom go would ask.
type Entry struct {
	URL string `json:"url"` // redacted; "direct" for the module's own repository
	// Always says that whatever goes wrong with this one the next is asked, as
	// behind "|"; else only after "not found".
	Always bool `json:"always,omitempty"`
	// Why says what decided where it is not GOPROXY.
	Why string `json:"why,omitempty"`

	raw   string // the URL as go asks it, with its credentials
	index int    // in GOPROXY, as Record.Index counts
}

const direct = "direct"

// ask returns whom go would ask for a module, or how it would refuse. It
// follows proxyList and TryProxies in cmd/go/internal/modfetch/proxy.go, which
// are alike from 1.18 to 1.27.
func (s settings) ask(path string) (entries []Entry, fault string) {
	list := proxyEntries(s.goproxy)
	if len(list) == 0 {
		return nil, "GOPROXY names no source"
	}
	for _, e := range list {
		if !strings.ContainsAny(e.raw, ".:/") && e.raw != direct && e.raw != "off" {
			return nil, "GOPROXY: " + e.URL + " is neither a URL nor direct or off" // whatever else is in it: noscheme-word
		}
		if u, err := url.Parse(e.raw); err != nil || e.raw != direct && e.raw != "off" && !slices.Contains([]string{"https", "http", "file"}, u.Scheme) {
			return nil, "GOPROXY: " + e.URL + " is not a URL that go takes"
		}
	}
	if list[0].raw != direct && module.MatchPrefixPatterns(s.gonoproxy, path) {
		return []Entry{{URL: direct, raw: direct, Why: "GONOPROXY"}}, ""
	}
	if last := len(list) - 1; list[last].raw == "off" {
		list = list[:last]
	}
	return list, ""
}

// proxyEntries reads a GOPROXY list, up to what ends it.
func proxyEntries(list string) []Entry {
	var entries []Entry
	for list != "" {
		e := Entry{index: len(entries)}
		if i := strings.IndexAny(list, ",|"); i >= 0 {
			e.raw, e.Always, list = list[:i], list[i] == '|', list[i+1:]
		} else {
			e.raw, list = list, ""
		}
		if e.raw = strings.TrimSpace(e.raw); e.raw == "" {
			continue
		}
		if strings.ContainsAny(e.raw, ".:/") && !strings.Contains(e.raw, ":/") && !filepath.IsAbs(e.raw) {
			e.raw = "https://" + e.raw
		}
		e.URL = redact.Text(e.raw)
		entries = append(entries, e)
		if e.raw == direct || e.raw == "off" {
			break
		}
	}
	if len(entries) > 0 {
		entries[len(entries)-1].Always = false
	}
	return entries
}

// askClaims are the claims about why the entries are asked, and in which order.
func (s settings) askClaims(path string, entries []Entry) []string {
	if entries[0].Why != "" {
		if module.MatchPrefixPatterns(s.goprivate, path) {
			return []string{"order-private-proxy", "noproxy-falls-back"}
		}
		return []string{"noproxy-glob", "noproxy-falls-back"}
	}
	claims := []string{"order-module"}
	if s.gowork != "" {
		claims = []string{"order-workspace"}
	}
	var comma, pipe bool
	for _, e := range entries[:len(entries)-1] {
		comma, pipe = comma || !e.Always, pipe || e.Always
	}
	if comma {
		claims = append(claims, "comma-404", "comma-503")
	}
	if pipe {
		claims = append(claims, "pipe-any")
	}
	return claims
}
