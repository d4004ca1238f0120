package testscripts

import (
	"fmt"
	"go/version"
	"strings"
)

// Versions is a set of Go versions, as a header gives it. The zero value is
// the empty set.
type Versions struct {
	spans []span
	text  string
}

// A span is a closed interval; "" at either end is open.
type span struct{ from, to string }

// ParseVersions parses "all", "none", or ranges with commas between them:
//
//	go1.22..        Go 1.22 and newer
//	..go1.19        Go 1.19 and older, all its patch releases included
//	go1.20..go1.22  both ends included
//	go1.21          Go 1.21 with all its patch releases
//
// An end may name a patch release, as in go1.21.4.. .
func ParseVersions(s string) (Versions, error) {
	switch s {
	case "all":
		return Versions{[]span{{}}, s}, nil
	case "none":
		return Versions{text: s}, nil
	}
	vs := Versions{text: s}
	for elem := range strings.SplitSeq(s, ",") {
		elem = strings.TrimSpace(elem)
		from, to, ranged := strings.Cut(elem, "..")
		if !ranged {
			to = from
		}
		for _, end := range []string{from, to} {
			// go/version ignores what follows a dash.
			if end != "" && (!version.IsValid(end) || strings.Contains(end, "-")) {
				return Versions{}, fmt.Errorf("%q: not a go version, as in go1.22", end)
			}
		}
		if from == "" && to == "" {
			return Versions{}, fmt.Errorf("%q: not all, none, or a range like go1.22.. or ..go1.19", elem)
		}
		if from != "" && to != "" && compare(from, to) > 0 {
			return Versions{}, fmt.Errorf("%q: runs backwards", elem)
		}
		vs.spans = append(vs.spans, span{from, to})
	}
	return vs, nil
}

// Contain reports whether the version v, as in "go1.22.12", is in the set.
func (vs Versions) Contain(v string) bool {
	for _, s := range vs.spans {
		if (s.from == "" || compare(v, s.from) >= 0) && (s.to == "" || compare(v, s.to) <= 0) {
			return true
		}
	}
	return false
}

// Empty reports whether no version is in the set.
func (vs Versions) Empty() bool { return len(vs.spans) == 0 }

// String returns the set as it was written, "none" for the zero value.
func (vs Versions) String() string {
	if vs.text == "" {
		return "none"
	}
	return vs.text
}

// compare compares the version v with the end of a range. Where the end names
// no patch release, all those of v's minor version are equal to it.
func compare(v, end string) int {
	if version.Lang(end) == end {
		v = version.Lang(v)
	}
	return version.Compare(v, end)
}
