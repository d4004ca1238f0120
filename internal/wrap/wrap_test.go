package wrap

import (
	"slices"
	"testing"
)

// parse takes what stands before the first word, and nothing of go's.
func TestParseLeavesGoArguments(t *testing.T) {
	for _, tt := range []struct {
		name       string
		args, rest []string
	}{
		{"none", nil, nil},
		{"go's flag", []string{"test", "-p", "4"}, []string{"test", "-p", "4"}},
		{"gox's before", []string{"-p", "a", "test", "-p", "4"}, []string{"test", "-p", "4"}},
		{"long forms", []string{"--profile=a", "--go=1.22", "-e", "A=b,c", "build"}, []string{"build"}},
		{"dashes", []string{"-p", "a", "--", "-x"}, []string{"-x"}},
		{"empty word", []string{"-n", "", "build"}, []string{"", "build"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Run
			if err := r.parse(tt.args); err != nil || !slices.Equal(r.Words, tt.rest) {
				t.Errorf("parse(%q) = %q, %v; want %q", tt.args, r.Words, err, tt.rest)
			}
		})
	}
	for _, args := range [][]string{{"-p"}, {"--nope", "build"}, {"-n=x", "build"}} {
		if err := new(Run).parse(args); err == nil {
			t.Errorf("parse(%q): no error", args)
		}
	}
}
