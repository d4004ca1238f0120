package source

import (
	"bytes"
	"io"

	"golang.org/x/mod/sumdb/dirhash"
)

// hashMod is the hash of a go.mod file, as go.sum has it.
func hashMod(data []byte) (string, error) {
	return dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	})
}
