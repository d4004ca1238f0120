// Package gateway stands between go and the module proxies of GOPROXY: a relay
// on the loopback interface that changes nothing and writes down everything.
//
// go is given one entry for each upstream, with the separators kept, so that
// go's own rules decide what is asked next:
//
//	GOPROXY=https://a.example|https://b.example,direct
//	GOPROXY=http://127.0.0.1:40123/TOKEN/0-a.example|http://127.0.0.1:40123/TOKEN/1-b.example,direct
//
// Nothing here reads the environment of the process: what go would have read
// there is handed in.
package gateway
