package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkRelay compares small requests and large bodies with and without the
// gateway between, and with a log.
func BenchmarkRelay(b *testing.B) {
	block := make([]byte, 8<<20)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if filepath.Ext(r.URL.Path) == ".zip" {
			w.Write(block)
			return
		}
		io.WriteString(w, "module example.com/dep\n")
	}))
	defer upstream.Close()
	log := Log{Path: filepath.Join(b.TempDir(), "log")}
	g, err := Start(b.Context(), Config{GOPROXY: upstream.URL})
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	logged, err := Start(b.Context(), Config{GOPROXY: upstream.URL, Record: func(r Record) {
		if err := log.Append(r); err != nil {
			b.Error(err)
		}
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer logged.Close()
	for _, file := range []string{".mod", ".zip"} {
		for _, way := range []struct{ name, url string }{{"plain", upstream.URL}, {"gateway", g.GOPROXY()}, {"logged", logged.GOPROXY()}} {
			b.Run(file[1:]+"/"+way.name, func(b *testing.B) {
				for b.Loop() {
					res, err := http.Get(way.url + "/example.com/dep/@v/v1.0.0" + file)
					if err != nil {
						b.Fatal(err)
					}
					io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
			})
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	log := Log{Path: filepath.Join(b.TempDir(), "log")}
	for b.Loop() {
		if err := log.Append(Record{Time: time.Now(), Module: "example.com/dep"}); err != nil {
			b.Fatal(err)
		}
	}
}
