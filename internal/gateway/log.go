package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gofrs/flock"
)

// A Log is a file of records, to which any number of runs append.
type Log struct {
	Path string // absolute; its directory need not exist
	// Limit is the size in bytes from which on the file is set aside as Path.1,
	// and those before it as Path.2 and Path.3. 0 means 16 MiB.
	Limit int64
}

const (
	defaultLimit = 16 << 20
	kept         = 3 // files set aside
)

// Append adds records at the end. Each run's records stay in its order, and
// no line is torn, whoever else appends: what could not be written whole is
// taken back. The file is the user's alone to read.
func (l Log) Append(records ...Record) (err error) {
	var lines bytes.Buffer
	e := json.NewEncoder(&lines)
	e.SetEscapeHTML(false)
	for _, r := range records {
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(l.Path), 0o700); err != nil {
		return err
	}
	// A file of its own, as the log is renamed while others wait for the lock.
	lock := flock.New(l.Path+".lock", flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("%s.lock: %w", l.Path, cause(err))
	}
	defer lock.Unlock()
	if err := l.rotate(int64(lines.Len())); err != nil {
		return err
	}
	f, err := os.OpenFile(l.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	data := lines.Bytes()
	if size > 0 {
		last := []byte{0}
		if _, err := f.ReadAt(last, size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			data = append([]byte{'\n'}, data...) // somebody was killed, or the disk was full
		}
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Truncate(size))
	}
	return nil
}

// rotate sets the file aside where more bytes would make it too large. The
// lock is held.
func (l Log) rotate(more int64) error {
	limit := l.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	info, err := os.Stat(l.Path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (info.Size() == 0 || info.Size()+more <= limit) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil // a pipe or a device has no size to speak of
	}
	for i := kept; i > 0; i-- {
		from := l.Path
		if i > 1 {
			from += "." + strconv.Itoa(i-1)
		}
		if err := os.Rename(from, l.Path+"."+strconv.Itoa(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// ReadLog calls f for each record of the log at path, those set aside first,
// the oldest first, until f returns false. Lines that are no records, of a run
// that was killed, are passed over. A log that is not there is empty.
func ReadLog(path string, f func(Record) bool) error {
	for i := kept; i >= 0; i-- {
		name := path
		if i > 0 {
			name += "." + strconv.Itoa(i)
		}
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for line := range bytes.Lines(data) {
			var r Record
			if json.Unmarshal(line, &r) != nil || r.Time.IsZero() {
				continue
			}
			if !f(r) {
				return nil
			}
		}
	}
	return nil
}

// cause takes the operation and the path out of an error, which the text
// around it names.
func cause(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
