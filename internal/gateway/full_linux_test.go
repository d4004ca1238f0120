package gateway

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/gox/internal/gotest"
)

// On a full disk the log keeps whole records only, and goes on when there is
// room again.
func TestLogDiskFull(t *testing.T) {
	disk := gotest.Disk(t, "16k")
	l := Log{Path: filepath.Join(disk, "log")}
	// Of a length that does not divide a page: some of the last one has room.
	record := func(i int) Record {
		return Record{Time: time.Now(), Index: i, Error: strings.Repeat("x", 1000)}
	}
	written := 0
	for ; written < 100; written++ {
		if err := l.Append(record(written)); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			break
		}
	}
	if written == 0 || written == 100 {
		t.Fatalf("%d records", written)
	}
	check := func(want int) {
		t.Helper()
		data, err := os.ReadFile(l.Path)
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(data, []byte("\n")); lines != want || !bytes.HasSuffix(data, []byte("\n")) {
			t.Errorf("%d lines, want %d, and whole", lines, want)
		}
		n := 0
		if err := ReadLog(l.Path, func(r Record) bool {
			if r.Index != n {
				t.Errorf("record %d is %d", n, r.Index)
			}
			n++
			return true
		}); err != nil || n != want {
			t.Errorf("%d records, want %d: %v", n, want, err)
		}
	}
	check(written)
	if err := syscall.Mount("none", disk, "tmpfs", syscall.MS_REMOUNT, "size=1m"); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(record(written)); err != nil {
		t.Fatal(err)
	}
	check(written + 1)
}
