module example.com/gox/testscripts/testdata/goproxy

go 1.26.0

require github.com/goproxy/goproxy v0.25.0

require (
	github.com/aofei/backoff v1.1.0 // indirect
	golang.org/x/mod v0.31.0 // indirect
)
