package cmd_test

import (
	"testing"

	"example.com/gox/internal/source"
	"example.com/gox/testscripts"
)

// Each rule that gox source cites is proved by a claim, which does not change
// in the versions that the rule is about, and does at their borders.
func TestSourceRulesAreClaims(t *testing.T) {
	scripts, err := testscripts.All()
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]testscripts.Claim{}
	for _, s := range scripts {
		for _, c := range s.Claims {
			claims[c.ID] = c
		}
	}
	versions := []string{"1.18", "1.19", "1.20", "1.21", "1.22", "1.23", "1.24", "1.25", "1.26", "1.27"}
	for _, rule := range source.Rules() {
		c, ok := claims[rule.Claim]
		if !ok {
			t.Errorf("%s: no such claim", rule.Claim)
			continue
		}
		var inside testscripts.Verdict
		begun := rule.Since == ""
		ended := false
		for _, v := range versions {
			begun = begun || v == rule.Since
			verdict := c.Verdict("go" + v)
			switch {
			case begun && !ended && inside == "":
				inside = verdict
			case begun && !ended && verdict != inside:
				t.Errorf("%s: %s with go%s, and %s before", rule.Claim, verdict, v, inside)
			case ended && verdict == inside:
				t.Errorf("%s: %s with go%s too", rule.Claim, verdict, v)
			}
			ended = ended || v == rule.Until
		}
	}
}
