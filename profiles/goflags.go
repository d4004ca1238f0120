package profiles

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// quotingSince is the first go that reads quotes in GOFLAGS
// (cmd/go/internal/base/goflags.go: quoted.Split instead of strings.Fields).
const quotingSince = "go1.20"

// SplitGOFLAGS reads GOFLAGS as the go command of that version does: words
// parted by blanks, and from go1.20 on a word may be wrapped whole in ' or ".
// There are no escapes. The empty version stands for the newest go.
func SplitGOFLAGS(value, version string) ([]string, error) {
	if older(version, quotingSince) {
		return strings.Fields(value), nil
	}
	var words []string
	for {
		value = strings.TrimLeft(value, " \t\n\r")
		if value == "" {
			return words, nil
		}
		if quote := value[0]; quote == '"' || quote == '\'' {
			word, rest, ok := strings.Cut(value[1:], string(quote))
			if !ok {
				return nil, fmt.Errorf("unterminated %c string", quote)
			}
			words, value = append(words, word), rest
			continue
		}
		end := strings.IndexAny(value, " \t\n\r")
		if end < 0 {
			end = len(value)
		}
		words, value = append(words, value[:end]), value[end:]
	}
}

// JoinGOFLAGS writes words so that SplitGOFLAGS, and go of that version,
// reads them back. Its error says which word cannot be written.
func JoinGOFLAGS(words []string, version string) (string, error) {
	quoting := !older(version, quotingSince)
	var b strings.Builder
	for i, word := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		single, double := strings.Contains(word, "'"), strings.Contains(word, `"`)
		blank := strings.ContainsAny(word, " \t\n\r")
		if !quoting {
			blank = strings.ContainsFunc(word, unicode.IsSpace) // strings.Fields parts at all of them
		}
		leading := strings.HasPrefix(word, "'") || strings.HasPrefix(word, `"`)
		switch {
		case word == "":
			return "", errors.New("an empty entry")
		case !blank && (!leading || !quoting):
			b.WriteString(word)
		case !quoting:
			return "", fmt.Errorf("%s: entry %q holds a blank, which GOFLAGS can carry only from %s on", version, word, quotingSince)
		case !single:
			b.WriteString("'" + word + "'")
		case !double:
			b.WriteString(`"` + word + `"`)
		default:
			return "", fmt.Errorf("entry %q holds blanks and both kinds of quotes, which GOFLAGS cannot carry", word)
		}
	}
	return b.String(), nil
}

// flagName returns the name of a GOFLAGS entry: "modfile" of --modfile=x.
func flagName(word string) string {
	name, _, _ := strings.Cut(word, "=")
	return strings.TrimPrefix(strings.TrimPrefix(name, "-"), "-")
}

// mergeFlags lays the entries of over above those of under: a flag that over
// names is taken out of under, everything else stays where it was. A flag that
// stands twice in over stays twice, as -gcflags may.
func mergeFlags(under, over []string) []string {
	merged := withoutFlags(under, over)
	return append(merged, over...)
}

// withoutFlags returns the entries of words whose flag none of names has.
func withoutFlags(words, names []string) []string {
	var kept []string
	for _, word := range words {
		named := false
		for _, n := range names {
			named = named || flagName(n) == flagName(word)
		}
		if !named {
			kept = append(kept, word)
		}
	}
	return kept
}
