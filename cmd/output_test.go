package cmd

import (
	"os/exec"
	"strings"
	"testing"
)

// What shellQuote writes, a shell reads back, and no terminal obeys.
func TestShellQuote(t *testing.T) {
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash, whose $'…' this is about")
	}
	for _, word := range []string{
		"plain", "", "two words", "it's", "$HOME `id` \\ \"", "line\nbreak\ttab", "-ldflags=-X 'a=b'",
		"\x1b[31mred", "\r\x1b[K'quoted' \\ too", "\u202eright to left", "*?[a]~!#&;|<>(){}",
	} {
		quoted := shellQuote(word)
		if strings.ContainsAny(quoted, "\x1b\r\u202e") {
			t.Errorf("shellQuote(%q) = %q holds a control character", word, quoted)
		}
		out, err := exec.Command(shell, "-c", "printf %s "+quoted).Output()
		if err != nil || string(out) != word {
			t.Errorf("shellQuote(%q) = %s, which the shell reads as %q (%v)", word, quoted, out, err)
		}
	}
}
