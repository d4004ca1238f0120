package envvar

import (
	"runtime"
	"testing"
)

func TestLookup(t *testing.T) {
	list := []string{"A=1", "B=", "A=2=3", "C", "=D", "PATHS=x"}
	for _, tt := range []struct {
		name, want string
		ok         bool
	}{
		{"A", "2=3", true}, {"B", "", true}, {"C", "", false}, {"D", "", false}, {"PATH", "", false},
		{"a", map[bool]string{true: "2=3"}[runtime.GOOS == "windows"], runtime.GOOS == "windows"},
	} {
		if got, ok := Lookup(list, tt.name); got != tt.want || ok != tt.ok || Get(list, tt.name) != tt.want {
			t.Errorf("Lookup(%q) = %q, %v, want %q, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}
