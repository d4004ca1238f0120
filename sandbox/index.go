package sandbox

import (
	"crypto/sha256"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
)

// An index has what was read of files while they were copied, so that they are
// not read again for their hashes. Files of modules are not in it: go and gox
// write to these while they make a sandbox.
type index struct {
	mu      sync.Mutex
	files   map[string]indexed
	buffers sync.Pool
}

type indexed struct {
	info   fs.FileInfo       // of the copy
	sum    [sha256.Size]byte // of the file
	header [sha256.Size]byte // of what header returns, for a Go file
}

// indexLimit is the size in bytes of the largest file in an index.
const indexLimit = 1 << 20

// copy copies what in, a file of that size, holds, and notes it under name. It
// does nothing and returns false for what an index has not.
func (x *index) copy(name string, out, in *os.File, size int64) (bool, error) {
	if x == nil || size > indexLimit || ofModules(name) {
		return false, nil
	}
	buffer, _ := x.buffers.Get().(*[]byte)
	if buffer == nil {
		made := make([]byte, indexLimit)
		buffer = &made
	}
	defer x.buffers.Put(buffer)
	data := (*buffer)[:size]
	if _, err := io.ReadFull(in, data); err == io.EOF || err == io.ErrUnexpectedEOF {
		return true, errChanged
	} else if err != nil {
		return true, err
	}
	if _, err := out.Write(data); err != nil {
		return true, err
	}
	f := indexed{sum: sha256.Sum256(data)}
	if path.Ext(name) == ".go" {
		f.header = sha256.Sum256(header(data))
	}
	var err error
	if f.info, err = out.Stat(); err != nil {
		return true, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.files == nil {
		x.files = map[string]indexed{}
	}
	x.files[name] = f
	return true, nil
}

// of returns what is known of the file called name, if it is what info says.
func (x *index) of(name string, info fs.FileInfo) (indexed, bool) {
	if x == nil {
		return indexed{}, false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	f, ok := x.files[name]
	return f, ok && same(f.info, info)
}

// forget takes back what is known of a file that was written to since.
func (x *index) forget(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.files, name)
}
