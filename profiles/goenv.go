package profiles

import (
	"os"
	"path/filepath"
	"strings"
)

// An assignment is one line of a go env file.
type assignment struct {
	value string
	pos   Position
}

// readGoEnv reads a file as `go env -w` writes it, or GOROOT/go.env, by go's
// own rules (cmd/go/internal/cfg, readEnvFile): lines NAME=value, no quoting;
// what does not begin with an upper-case letter or lacks "=" is passed over;
// the last assignment of a name counts; a file that cannot be read is empty.
func readGoEnv(path string) map[string]assignment {
	if path == "" {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return parseGoEnv(path, string(data))
}

func parseGoEnv(path, data string) map[string]assignment {
	found := map[string]assignment{}
	line := 0
	for text := range strings.SplitSeq(data, "\n") {
		line++
		name, value, ok := strings.Cut(text, "=")
		if !ok || text[0] < 'A' || 'Z' < text[0] {
			continue
		}
		found[name] = assignment{value, Position{File: path, line: line}}
	}
	return found
}

// goEnvFile returns the file of `go env -w` for a go that runs in dir with
// GOENV set to goenv ("" for unset) and the user's configuration directory, ""
// where there is none (cmd/go/internal/cfg, EnvFile).
func goEnvFile(goenv, configDir, dir string) string {
	switch {
	case goenv == "off":
		return ""
	case goenv != "":
		if !filepath.IsAbs(goenv) {
			goenv = filepath.Join(dir, goenv)
		}
		return goenv
	case configDir == "":
		return ""
	}
	return filepath.Join(configDir, "go", "env")
}
