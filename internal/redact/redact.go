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
	// Whatever stands between two blanks, quotes or list separators is looked
	// at as one address, with all the "://" that are in it.
	var b strings.Builder
	for s != "" {
		end := strings.IndexAny(s, ",| \t\r\n\"'`<>\\")
		switch {
		case end < 0:
			end = len(s)
		case end == 0:
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		b.WriteString(address(s[:end]))
		s = s[end:]
	}
	return b.String()
}

// address masks the userinfo after each "://" of a word, and the query after
// the first.
func address(word string) string {
	scheme, rest, ok := strings.Cut(word, "://")
	if !ok {
		return word
	}
	masked := scheme + "://"
	rest, _, query := strings.Cut(rest, "?")
	for i, part := range strings.Split(rest, "://") {
		if i > 0 {
			masked += "://"
		}
		// A raw "/" in a password is no URL that go would accept.
		authority := len(part)
		if slash := strings.IndexAny(part, "/#"); slash >= 0 {
			authority = slash
		}
		if at := strings.LastIndexByte(part[:authority], '@'); at >= 0 {
			part = Mask + part[at:]
		}
		masked += part
	}
	if query {
		masked += "?" + Mask
	}
	return masked
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
