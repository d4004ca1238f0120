// Package redact takes secrets out of text that a person or a machine will
// read: errors, reports, `gox -n`. What it cannot prove harmless in a URL's
// userinfo or query it hides whole; the host and the path stay, because they
// are what a reader needs.
package redact

import "strings"

// Mask stands where a secret stood.
const Mask = "xxxxx"

// Text returns s with the userinfo and the query of every URL in it masked.
// s need not be a URL: a GOPROXY list, a line of go's output and a sentence
// are all fine. Text without "://" comes back as it is.
func Text(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "://")
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i+3])
		s = s[i+3:]
		// The userinfo may hold any character but these; a password with a
		// raw "/" is not a URL that go would accept.
		end := strings.IndexAny(s, "/?#,| \t\n\"'`<>\\")
		if end < 0 {
			end = len(s)
		}
		if at := strings.LastIndexByte(s[:end], '@'); at >= 0 {
			b.WriteString(Mask)
			s, end = s[at:], end-at
		}
		b.WriteString(s[:end])
		s = s[end:]
		rest := strings.IndexAny(s, ",| \t\n\"'`<>\\")
		if rest < 0 {
			rest = len(s)
		}
		if q := strings.IndexByte(s[:rest], '?'); q >= 0 {
			b.WriteString(s[:q+1] + Mask)
			s = s[rest:]
		}
	}
}

// Variable returns the value of the environment variable name as it may be
// shown: masked whole where the name says that it is a secret, as Text does
// otherwise.
func Variable(name, value string) string {
	if value == "" {
		return ""
	}
	upper := strings.ToUpper(name)
	for _, word := range []string{"TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "APIKEY", "API_KEY", "PRIVATE_KEY", "ACCESS_KEY", "EXTRAHEADER"} {
		if strings.Contains(upper, word) {
			return Mask
		}
	}
	return Text(value)
}
