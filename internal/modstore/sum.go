package modstore

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/mod/module"
)

// Sum is one line of a go.sum or go.work.sum file.
type Sum struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	GoMod   bool   `json:"goMod,omitempty"` // the hash is of the go.mod file alone
	H1      string `json:"h1"`              // as in "h1:…"
}

// String returns "module@version", with "/go.mod" where the line has it.
func (s Sum) String() string {
	if s.GoMod {
		return s.Path + "@" + s.Version + "/go.mod"
	}
	return s.Path + "@" + s.Version
}

// ParseSums reads the content of a go.sum or go.work.sum file, as go does
// (modfetch.readGoSum): three fields a line, blank lines ignored. Hashes of a
// kind that is not h1 are left out, as go ignores them. file is for errors.
func ParseSums(file string, data []byte) ([]Sum, error) {
	var sums []Sum
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) != 3 {
			return nil, fmt.Errorf("%s:%d: not a line of a go.sum file\n\trestore it, or remove the line and run go mod tidy", file, n)
		}
		s := Sum{Path: f[0], H1: f[2]}
		s.Version, s.GoMod = strings.CutSuffix(f[1], "/go.mod")
		if !strings.HasPrefix(s.H1, "h1:") {
			continue
		}
		if _, err := s.key(); err == nil {
			err = module.Check(s.Path, s.Version)
			if err == nil {
				sums = append(sums, s)
				continue
			}
		}
		return nil, fmt.Errorf("%s:%d: %s: not a module version with its hash\n\trestore it, or remove the line and run go mod tidy", file, n, strings.TrimSpace(line))
	}
	return sums, nil
}

// key names what s stands for in the store by 96 bits. They are so
// few because the target of a symbolic link of less than 60 bytes costs no
// block of its own on ext4. Whoever uses a key compares the whole hash too.
func (s Sum) key() (string, error) {
	raw, ok := strings.CutPrefix(s.H1, "h1:")
	sum, err := base64.StdEncoding.DecodeString(raw)
	if !ok || err != nil || len(sum) != 32 {
		return "", fmt.Errorf("%s: %q is not an h1 hash", s, s.H1)
	}
	if !s.GoMod {
		// This hash is of names too, which begin with the version's. A go.sum
		// that has it for another version is wrong, and finds nothing.
		h := sha256.Sum256([]byte(s.String() + " " + s.H1))
		sum = h[:]
	}
	return hex.EncodeToString(sum[:12]), nil
}

// escaped returns path and version as they are on disk.
func (s Sum) escaped() (path, version string, err error) {
	if path, err = module.EscapePath(s.Path); err != nil {
		return "", "", err
	}
	version, err = module.EscapeVersion(s.Version)
	return path, version, err
}
