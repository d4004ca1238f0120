package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"

	"example.com/gox/internal/gateway"
)

// A logged is a record and the file that it stands in.
type logged struct {
	gateway.Record
	file string
}

// readRecords reads files of records. A file that is not there is empty.
func readRecords(files []string) (all []logged, err error) {
	for _, file := range files {
		err := gateway.ReadLog(file, func(r gateway.Record) bool {
			all = append(all, logged{r, file})
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// heed takes from records who filled the module cache, and what is alarming.
func (r *Report) heed(records []logged) {
	zips := map[module.Version][]logged{}
	for _, rec := range records {
		if rec.File == gateway.Zip && rec.Found() {
			m := module.Version{Path: rec.Module, Version: rec.Version}
			zips[m] = append(zips[m], rec)
		}
	}
	for i := range r.Modules {
		m := &r.Modules[i]
		if m.Source != ModCache {
			continue
		}
		if filled := r.settings.recorded(m.Content(), zips[m.Content()]); filled != nil {
			m.Filled = filled
			m.Rules = slices.DeleteFunc(m.Rules, func(rule Rule) bool { return rule.Claim == "order-cache-forgets" })
		}
	}
	r.alarm(r.settings.alarming(records)...)
}

// recorded returns who filled the module cache by those records whose answer
// came to be in it: the same bytes, at that time. The bytes alone prove nothing:
// another upstream, or the same for another module cache, serves the same.
func (s settings) recorded(m module.Version, records []logged) *Filled {
	file, err := s.download(m)
	if err != nil || len(records) == 0 {
		return nil
	}
	info, err := os.Stat(file + ".zip")
	if err != nil {
		return nil
	}
	records = slices.DeleteFunc(slices.Clone(records), func(rec logged) bool {
		// go writes what it reads, and the last bytes a little later. Where it
		// takes longer the answer is unknown. The kernel stamps a file with the
		// time of its last tick, at most 10 ms ago, which may be before a quick
		// request began.
		begin := rec.Time.Add(-10 * time.Millisecond)
		end := rec.Time.Add(time.Duration(rec.Phases.Total*float64(time.Millisecond)) + 250*time.Millisecond)
		return info.ModTime().Before(begin) || info.ModTime().After(end) || rec.SHA256 == ""
	})
	if len(records) == 0 {
		return nil
	}
	data, err := os.ReadFile(file + ".zip")
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	var filled *Filled
	for _, rec := range records {
		switch {
		case rec.SHA256 != hash:
		case filled != nil && filled.Upstream != rec.Upstream:
			return nil // two at a time
		default:
			filled = &Filled{Upstream: rec.Upstream, By: ByRecord, File: rec.file, Time: rec.Time}
		}
	}
	return filled
}

// hashMod is the hash of a go.mod file, as go.sum has it.
func hashMod(data []byte) (string, error) {
	return dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	})
}
