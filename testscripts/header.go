package testscripts

import (
	"cmp"
	"errors"
	"slices"
	"strings"
)

// A field is one key of a header, with the line on which it stands.
type field struct {
	line       int
	key, value string
}

// headerKeys are those that there are.
var headerKeys = []string{"claim", "says", "holds", "n/a", "reference", "served"}

// header reads the comment lines at the head of the file into the script's
// claims, and returns how many lines there are.
func (c *checker) header(lines []string) int {
	s := c.script
	fields, text, n := c.fields(lines)
	if s.own && !slices.ContainsFunc(fields, func(f field) bool { return f.key == "claim" }) {
		fields = slices.Insert(fields, 0, field{1, "claim", claimID(s.Name)})
	}
	shared := "" // a file with several claims may give one reference for all
	for _, f := range fields {
		c.line = f.line
		if f.value == "" {
			c.errorf("%s: empty", f.key)
		}
		switch {
		case f.key == "claim":
			c.begin(f.value)
		case f.key == "served":
			if !strings.HasPrefix(f.value, "not applicable (") || !strings.HasSuffix(f.value, ")") {
				c.errorf(`served: %q: not of the form "not applicable (reason)"`, f.value)
			}
			c.noServed = true
		case len(s.Claims) == 0:
			c.errorf("%s: before the first claim", f.key)
		default:
			if err := s.Claims[len(s.Claims)-1].set(f.key, f.value); err != nil {
				c.errorf("%s: %w", f.key, err)
			}
			if f.key == "reference" {
				shared = f.value
			}
		}
	}
	c.line = 1
	if len(s.Claims) == 0 {
		c.errorf(`no claim: the file begins with "# claim: some-id"`)
	}
	for i := range s.Claims {
		claim := &s.Claims[i]
		claim.Reference = cmp.Or(claim.Reference, shared)
		if s.own {
			claim.Says = cmp.Or(claim.Says, strings.Join(text, " "), s.Name)
			if claim.Holds.text == "" {
				claim.Holds, _ = ParseVersions("all")
			}
			continue
		}
		for _, f := range []struct{ key, value string }{{"says", claim.Says}, {"holds", claim.Holds.text}, {"reference", claim.Reference}} {
			if f.value == "" {
				c.errorf("claim %s: no %s", claim.ID, f.key)
			}
		}
	}
	return n
}

// fields parts the n comment lines at the head of the file. text is, of a script
// of the user's, what is no field.
func (c *checker) fields(lines []string) (fields []field, text []string, n int) {
	for ; n < len(lines) && strings.HasPrefix(lines[n], "#"); n++ {
		c.line = n + 1
		line := lines[n][1:]
		key, value, ok := strings.Cut(line, ": ")
		switch {
		case strings.TrimSpace(line) == "":
		case strings.HasPrefix(line, "  ") && len(fields) > 0:
			fields[len(fields)-1].value += " " + strings.TrimSpace(line)
		case c.script.own && !(ok && slices.Contains(headerKeys, strings.TrimPrefix(key, " "))):
			text = append(text, strings.TrimSpace(line))
		case !ok || !strings.HasPrefix(key, " "):
			c.errorf("%q: a header line is \"# key: value\", and goes on with \"#   more\"", lines[n])
		default:
			fields = append(fields, field{n + 1, key[1:], strings.TrimSpace(value)})
		}
	}
	return fields, text, n
}

// begin begins a claim, to which the fields that follow belong.
func (c *checker) begin(id string) {
	if !validID(id) {
		c.errorf("claim: %q: an id is lower-case words with dashes", id)
	}
	if c.script.claim(id) != nil {
		c.errorf("claim: %s stands here twice", id)
	}
	c.script.Claims = append(c.script.Claims, Claim{ID: id})
}

// set sets what a key of the header is about.
func (c *Claim) set(key, value string) (err error) {
	var to *string
	switch key {
	case "says":
		to = &c.Says
	case "reference":
		to = &c.Reference
	case "holds":
		if c.Holds.text != "" {
			return errors.New("given twice")
		}
		c.Holds, err = ParseVersions(value)
		return err
	case "n/a":
		versions, reason, ok := strings.Cut(value, " (")
		if c.NA, err = ParseVersions(versions); err == nil && (!ok || !strings.HasSuffix(reason, ")") || c.NA.Empty()) {
			err = errors.New(`not of the form "..go1.20 (reason)"`)
		}
		to, value = &c.Reason, strings.TrimSuffix(reason, ")")
	default:
		return errors.New("unknown key")
	}
	if *to != "" {
		err = errors.New("given twice")
	}
	*to = value
	return err
}

// claimID makes an id of the name of a file.
func claimID(name string) string {
	return strings.Map(func(r rune) rune {
		if validID(string(r)) {
			return r
		}
		return '-'
	}, strings.ToLower(name))
}

func validID(id string) bool {
	return id != "" && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}
