package profiles

import (
	"fmt"
	"strings"

	"example.com/gox/internal/redact"
)

// splitProxies returns the entries of a GOPROXY value as go reads it
// (cmd/go/internal/modfetch/proxy.go, proxyList, alike from 1.18 to 1.27):
// blanks around an entry are trimmed and empty entries fall out. What follows
// "off" or "direct" go never reads; here it is kept, so that it can be
// pointed at.
func splitProxies(value string) []string {
	var entries []string
	for _, entry := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == '|' }) {
		if entry = strings.TrimSpace(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	return entries
}

// joinProxies writes the list form of goproxy as go's own. An entry "|" or
// "," sets the separator between its neighbours; without one it is ",".
func joinProxies(list []string) string {
	var b strings.Builder
	separator := ""
	for _, entry := range list {
		switch entry = strings.TrimSpace(entry); entry {
		case "|", ",":
			separator = entry
		case "":
		default:
			if b.Len() > 0 {
				if separator == "" {
					separator = ","
				}
				b.WriteString(separator)
			}
			b.WriteString(entry)
			separator = ""
		}
	}
	return b.String()
}

// checkProxies holds a GOPROXY value against go's rules and returns each
// fault as text and mend.
func checkProxies(value string) (faults [][2]string) {
	entries := splitProxies(value)
	if len(entries) == 0 {
		return [][2]string{{"is empty, and go takes an empty GOPROXY for an unset one", `write "off" for no source at all, or "direct" for version control only`}}
	}
	end := ""
	for _, entry := range entries {
		switch {
		case end != "":
			faults = append(faults, [2]string{fmt.Sprintf("entry after %q is never used: %s", end, redact.Text(entry)), fmt.Sprintf("%q ends the list; move it last", end)})
		case entry == "direct" || entry == "off":
			end = entry
		case entry == "default":
			if len(entries) > 1 {
				faults = append(faults, [2]string{`"default" stands alone: it means all of go's own default list`, "write out the list instead"})
			}
		case !strings.ContainsAny(entry, ".:/"):
			faults = append(faults, [2]string{fmt.Sprintf("entry %q is neither a URL nor direct or off", entry), "write https://" + entry})
		}
	}
	return faults
}
