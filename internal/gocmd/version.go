package gocmd

import (
	"fmt"
	"go/version"
	"strconv"
	"strings"
)

// A spec says which Go versions are meant, one term for each element of its
// list.
type spec []term

// A term is one release, or the newest patch release of each minor version
// from 1.lo to 1.hi.
type term struct {
	release string // as in "go1.22.12"; "" where lo and hi count
	lo, hi  int
}

// CheckSpec returns an error unless s is a version that Lookup and Resolve
// understand:
//
//	1.22         the newest patch release of Go 1.22
//	1.22.12      this release, and so go1.22.12, 1.23rc1
//	1.18..1.22   the newest patch release of each of these
//	1.18,1.26    a list of any of them
//
// The first release of a minor version is 1.22.0, before Go 1.21 too, though
// it was called go1.20 then.
func CheckSpec(s string) error {
	_, err := parseSpec(s)
	return err
}

func parseSpec(s string) (spec, error) {
	var sp spec
	for elem := range strings.SplitSeq(s, ",") {
		t, ok := parseTerm(strings.TrimSpace(elem))
		if !ok {
			return nil, fmt.Errorf("%q: not a go version\n\tuse 1.22, 1.22.12, 1.23rc1, 1.18..1.22, or several with commas", s)
		}
		sp = append(sp, t)
	}
	return sp, nil
}

func parseTerm(s string) (term, bool) {
	if from, to, ok := strings.Cut(s, ".."); ok {
		lo, ok1 := parseMinor(from)
		hi, ok2 := parseMinor(to)
		return term{lo: lo, hi: hi}, ok1 && ok2 && lo <= hi
	}
	if n, ok := parseMinor(s); ok {
		return term{lo: n, hi: n}, true
	}
	v, ok := parseRelease(s)
	return term{release: v}, ok
}

// parseMinor parses "1.22" or "go1.22".
func parseMinor(s string) (int, bool) {
	v := "go" + strings.TrimPrefix(s, "go")
	if !version.IsValid(v) || version.Lang(v) != v {
		return 0, false
	}
	return minor(v)
}

// parseRelease parses "1.22.12", "go1.22.12", "1.23rc1", and "go1.20" as the
// first release of Go 1.20. It returns the name under which go publishes it.
func parseRelease(s string) (string, bool) {
	v := "go" + strings.TrimPrefix(s, "go")
	// go/version ignores what follows a dash, which could be a path.
	if !version.IsValid(v) || strings.Contains(v, "-") {
		return "", false
	}
	if _, ok := minor(v); !ok {
		return "", false
	}
	// Since Go 1.21, a minor version's first release is go1.N.0, and go1.N is
	// older than all its releases. Before, go1.N is the first release's name.
	first := version.Compare(v, version.Lang(v)) == 0
	if first && version.Compare(v, "go1.21") >= 0 {
		return "", false
	}
	if first {
		v = version.Lang(v)
	}
	return v, true
}

// minor returns N of a valid version go1.N….
func minor(v string) (int, bool) {
	s, ok := strings.CutPrefix(version.Lang(v), "go1.")
	n, err := strconv.Atoi(s)
	return n, ok && err == nil
}

// isPatch reports whether v is a release, not a release candidate or a beta.
func isPatch(v string) bool {
	return strings.Trim(v[len("go"):], ".0123456789") == ""
}

// matches reports whether the release v is one that t means, newest or not.
func (t term) matches(v string) bool {
	if t.release != "" {
		return v == t.release
	}
	n, ok := minor(v)
	return ok && isPatch(v) && t.lo <= n && n <= t.hi
}

// newest returns the newest of versions that sp means, "" if there is none.
func (sp spec) newest(versions []string) string {
	var best string
	for _, v := range versions {
		for _, t := range sp {
			if t.matches(v) && (best == "" || version.Compare(v, best) > 0) {
				best = v
			}
		}
	}
	return best
}

// needsList reports whether only a list of the releases can tell what sp means.
func (sp spec) needsList() bool {
	for _, t := range sp {
		if t.release == "" {
			return true
		}
	}
	return false
}

// display returns v as users write it: 1.22.12.
func display(v string) string { return strings.TrimPrefix(v, "go") }

// Specs takes a spec (see CheckSpec) apart into such as mean one version each:
// 1.18..1.20,1.22.12 into 1.18, 1.19, 1.20 and 1.22.12.
func Specs(s string) ([]string, error) {
	sp, err := parseSpec(s)
	if err != nil {
		return nil, err
	}
	var specs []string
	for _, t := range sp {
		if t.release != "" {
			specs = append(specs, display(t.release))
			continue
		}
		for n := t.lo; n <= t.hi; n++ {
			specs = append(specs, "1."+strconv.Itoa(n))
		}
	}
	return specs, nil
}
