package gocmd

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Progress is one report of what Toolchains does.
type Progress struct {
	Version string // the release, as in "go1.22.12"; "" when listing
	Phase   Phase
	Bytes   int64 // downloaded so far
	About   int64 // an estimate of how many there will be; 0 for unknown
}

// A Phase is what goes on.
type Phase int

const (
	Listing     Phase = iota // asking the module proxies for their releases
	Waiting                  // for another process that does the same
	Downloading              // the only phase with Bytes
	Unpacking                // after the checksum database has agreed
	Done
)

func (p Phase) String() string {
	return [...]string{"listing", "waiting", "downloading", "unpacking", "done"}[p]
}

func (t *Toolchains) progress(p Progress) {
	if t.Progress != nil {
		t.Progress(p)
	}
}

// watch reports the download of the release v until stop is called. go says
// nothing while it downloads, but the file in dir can be seen to grow.
func (t *Toolchains) watch(v, dir string) (stop func()) {
	if t.Progress == nil {
		return func() {}
	}
	last := Progress{Version: v, Phase: Downloading, About: about(v)}
	t.Progress(last)
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			next := last
			next.Phase, next.Bytes = look(dir)
			if next != last && next.Phase >= last.Phase {
				last = next
				t.Progress(last)
			}
		}
	}()
	return func() {
		close(quit)
		<-ended
	}
}

// look returns how far the download in dir, a cache/download/…/@v, has got: go
// downloads to NAME.zipN.tmp, and renames it when it has verified it.
func look(dir string) (Phase, int64) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".zip" {
			return Unpacking, 0
		}
		if strings.Contains(e.Name(), ".zip") && filepath.Ext(e.Name()) == ".tmp" {
			if fi, err := e.Info(); err == nil {
				return Downloading, fi.Size()
			}
		}
	}
	return Downloading, 0
}

// about returns an estimate of how many bytes the zip of the release v has:
// what those of linux-amd64 had in the last release of each minor version when
// this was written. Other platforms and releases differ by some percent.
func about(v string) int64 {
	sizes := [...]int64{ // from Go 1.18 on
		145206023, 151003856, 103182246, 70398493, 72872114,
		77711695, 83058986, 64451068, 71680185, 75846323,
	}
	n, ok := minor(v)
	if !ok || n < 18 {
		return 0
	}
	return sizes[min(n-18, len(sizes)-1)]
}
