// Command goproxy is a real module proxy for the tests of package testscripts:
// github.com/goproxy/goproxy, in front of a plain file server for a directory.
//
//	goproxy DIR
//
// It prints its URL, and then each request with the status of the answer. It
// ends when its standard input does.
package main

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/goproxy/goproxy"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: goproxy DIR")
	}
	files := serve(http.FileServer(http.Dir(os.Args[1])))
	temp, err := os.MkdirTemp("", "goproxy-")
	if err != nil {
		log.Fatal(err)
	}
	proxy := &goproxy.Goproxy{
		Fetcher: &goproxy.GoFetcher{
			Env:     append(os.Environ(), "GOPROXY="+files, "GOSUMDB=off", "GONOPROXY=none", "GOPRIVATE="),
			TempDir: temp,
		},
		TempDir: temp,
		Logger:  slog.New(slog.DiscardHandler),
	}
	var mu sync.Mutex
	url := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Told before the client has the answer, so that none is told too late.
		told := &teller{ResponseWriter: w, tell: func(status int) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Println(r.Method, r.URL.Path, status)
		}}
		proxy.ServeHTTP(told, r)
		told.WriteHeader(http.StatusOK)
	}))
	mu.Lock()
	fmt.Println(url)
	mu.Unlock()
	io.Copy(io.Discard, os.Stdin)
	os.RemoveAll(temp)
}

// serve answers at a loopback address of its own, and returns its URL.
func serve(h http.Handler) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(l, h)
	return "http://" + l.Addr().String()
}

// A teller tells of the status before it is sent.
type teller struct {
	http.ResponseWriter
	tell func(status int)
	told bool
}

func (t *teller) WriteHeader(status int) {
	if t.told {
		return
	}
	t.told = true
	t.tell(status)
	t.ResponseWriter.WriteHeader(status)
}

func (t *teller) Write(p []byte) (int, error) {
	t.WriteHeader(http.StatusOK)
	return t.ResponseWriter.Write(p)
}
