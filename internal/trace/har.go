package trace

import (
	"encoding/json"
	"io"
	"strings"
	"time"

	"example.com/gox/internal/gateway"
)

// WriteHAR writes the requests as an HTTP archive, version 1.2, which the
// developer tools of browsers open. It has neither bodies nor headers; names
// that begin with "_" are gox's own.
func (r *Report) WriteHAR(w io.Writer) error {
	type pair struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	type timings struct {
		Blocked float64 `json:"blocked"`
		DNS     float64 `json:"dns"`
		Connect float64 `json:"connect"` // with ssl, as the format wants it
		SSL     float64 `json:"ssl"`
		Send    float64 `json:"send"`
		Wait    float64 `json:"wait"`
		Receive float64 `json:"receive"`
	}
	type entry struct {
		Pageref string         `json:"pageref"`
		Started time.Time      `json:"startedDateTime"`
		Time    float64        `json:"time"`
		Request map[string]any `json:"request"`
		Answer  map[string]any `json:"response"`
		Cache   struct{}       `json:"cache"`
		Timings timings        `json:"timings"`
		Remote  string         `json:"serverIPAddress,omitempty"`
		Record  gateway.Record `json:"_record"`
	}
	entries := []entry{}
	for _, rec := range r.Records {
		p := rec.Phases
		t := timings{Blocked: -1, DNS: -1, Connect: -1, SSL: -1, Wait: p.FirstByte}
		used := p.FirstByte
		if p.DNS > 0 {
			t.DNS = p.DNS
			used += p.DNS
		}
		if p.Connect > 0 {
			t.Connect = p.Connect + p.TLS
			used += t.Connect
			if p.TLS > 0 {
				t.SSL = p.TLS
			}
		}
		if rest := p.Total - used; rec.Source == gateway.FromUpstream && rec.Tries == nil {
			t.Receive = max(0, rest)
		} else if rest > 0 {
			t.Blocked = rest // pauses, and tries that do not count
		}
		host, _, _ := strings.Cut(rec.Remote, "]")
		if i := strings.LastIndexByte(host, ':'); i > 0 && !strings.HasPrefix(host, "[") {
			host = host[:i]
		}
		text := ""
		if rec.Source == gateway.FromGateway {
			text = rec.Error
		}
		entries = append(entries, entry{
			Pageref: "run", Started: rec.Time, Time: p.Total, Timings: t, Remote: strings.TrimPrefix(host, "["), Record: rec,
			Request: map[string]any{
				"method": "GET", "url": address(rec), "httpVersion": protocol(rec.Protocol),
				"cookies": []pair{}, "headers": []pair{}, "queryString": []pair{}, "headersSize": -1, "bodySize": 0,
			},
			Answer: map[string]any{
				"status": rec.Status, "statusText": text, "httpVersion": protocol(rec.Protocol), "cookies": []pair{}, "headers": []pair{},
				"content":     map[string]any{"size": rec.Bytes, "mimeType": mimeType(rec.File)},
				"redirectURL": "", "headersSize": -1, "bodySize": rec.Bytes, "_error": rec.Error,
			},
		})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	e.SetEscapeHTML(false)
	return e.Encode(map[string]any{"log": map[string]any{
		"version": "1.2",
		"creator": map[string]string{"name": "gox trace", "version": ""},
		"pages": []map[string]any{{
			"startedDateTime": r.Start, "id": "run", "title": "go " + strings.Join(r.Command, " "),
			"pageTimings": map[string]any{"onLoad": r.Millis},
		}},
		"entries": entries,
	}})
}

// address returns the URL that was asked, redacted.
func address(rec gateway.Record) string {
	base, query, ok := strings.Cut(rec.Upstream, "?")
	url := strings.TrimSuffix(base, "/") + rec.Path
	if ok {
		url += "?" + query
	}
	return url
}

func protocol(p string) string {
	if p == "" {
		return "unknown"
	}
	return p
}

// mimeType is what the protocol says that a file is.
func mimeType(file string) string {
	switch file {
	case gateway.Zip:
		return "application/zip"
	case gateway.Info, gateway.Latest:
		return "application/json"
	}
	return "text/plain"
}
