// Package redact takes secrets out of text that a person or a machine will
// read: errors, reports, `gox -n`. What it cannot prove harmless in a URL's
// userinfo or query it hides whole; the host and the path stay, because they
// are what a reader needs.
package redact

import "strings"

// Mask stands where a secret stood.
const Mask = "xxxxx"

// Text returns s with the userinfo and the query of every URL in it masked,
// and user:password@host without a scheme too, which in GOPROXY is one. s need
// not be a URL: a GOPROXY list, a line of go's output and a sentence are all
// fine. Text with neither "://" nor "@" comes back as it is.
func Text(s string) string {
	if !strings.Contains(s, "://") && !strings.Contains(s, "@") {
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
		// Not git@host.example:path, and not module/path@version.
		if at := strings.LastIndexByte(word, '@'); at >= 0 && strings.Index(word[:at], ":") > 0 && !strings.Contains(word[:at], "/") {
			return Mask + word[at:]
		}
		return word
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 && oddPort(rest) {
		rest = Mask + rest[at:] // a raw "/", "?" or "#" in the password, which go would refuse
	}
	masked := scheme + "://"
	rest, _, query := strings.Cut(rest, "?")
	for i, part := range strings.Split(rest, "://") {
		if i > 0 {
			masked += "://"
		}
		authority := len(part)
		if slash := strings.IndexAny(part, "/#"); slash >= 0 {
			authority = slash
		}
		if at := strings.LastIndexByte(part[:authority], '@'); at >= 0 && !isLogin(scheme, part[:at]) {
			part = Mask + part[at:]
		}
		masked += part
	}
	if query {
		masked += "?" + Mask
	}
	return masked
}

// isLogin reports whether the userinfo of an address is the name of an account
// to log in to, as in ssh://git@host.example, which is no secret.
func isLogin(scheme, userinfo string) bool {
	return strings.HasSuffix(scheme, "ssh") && !strings.ContainsAny(userinfo, ":@")
}

// oddPort reports whether the authority that rest begins with ends in what
// looks like a port and is no number.
func oddPort(rest string) bool {
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	_, port, ok := strings.Cut(rest[strings.LastIndexByte(rest, ']')+1:], ":")
	return ok && !strings.Contains(rest, "@") && strings.Trim(port, "0123456789") != ""
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
