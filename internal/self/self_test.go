package self

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"testing"
)

func TestModulePath(t *testing.T) {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != modulePath {
		t.Errorf("modulePath is %q, but this is %q", modulePath, info.Main.Path)
	}
}

func TestIsGox(t *testing.T) {
	gox, err := os.Executable() // a program of gox's module, as gox is
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "go")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		file string
		want bool
	}{
		{gox, true},
		{filepath.Join(string(out[:len(out)-1]), "bin", "gofmt"), false},
		{script, false},
		{"/nowhere", false},
	} {
		if got := IsGox(tt.file); got != tt.want {
			t.Errorf("IsGox(%s) = %v, want %v", tt.file, got, tt.want)
		}
	}
}
