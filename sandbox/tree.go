package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// sums hashes the files below dir: one line for each, sorted by path,
//
//	<SHA-256 in hexadecimal> <kind> <path>
//
// where the kind is "-" for a file, "x" for one that can be executed, "l" for a
// symbolic link, whose hash is that of its target. Other modes, times and
// owners do not count, nor does an empty directory.
func sums(dir string) ([]byte, Tree, error) {
	var b bytes.Buffer
	var t Tree
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, t, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		h := sha256.New()
		kind := "-"
		switch {
		case info.Mode().Type() == fs.ModeSymlink:
			kind = "l"
			target, err := root.Readlink(filepath.FromSlash(name))
			if err != nil {
				return err
			}
			io.WriteString(h, target)
		case info.Mode().IsRegular():
			if info.Mode()&0o111 != 0 {
				kind = "x"
			}
			f, err := root.Open(filepath.FromSlash(name))
			if err != nil {
				return err
			}
			n, err := io.Copy(h, f)
			f.Close()
			if err != nil {
				return err
			}
			t.Size += n
		default:
			return nil
		}
		t.Files++
		fmt.Fprintf(&b, "%x %s %s\n", h.Sum(nil), kind, spelt(name))
		return nil
	})
	t.Sum = sumOf(b.Bytes())
	return b.Bytes(), t, err
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "h1:" + base64.StdEncoding.EncodeToString(sum[:])
}

// spelt returns a path so that it stands in one line, and means one path.
func spelt(name string) string {
	if strings.HasPrefix(name, `"`) || strings.ContainsFunc(name, unicode.IsControl) {
		return strconv.Quote(name)
	}
	return name
}

// unspell undoes spelt.
func unspell(name string) (string, error) {
	if strings.HasPrefix(name, `"`) {
		return strconv.Unquote(name)
	}
	return name, nil
}
